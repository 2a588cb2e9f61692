//! Inverse DCT, upsampling and colour conversion of files unsuitable for zune-jpeg.
//!
//! Optimised for correctness, since cameras do not send such pictures.

use super::coefficients::{Block, Plane};
use super::segments::{Colours, Component, FrameHeader};

/// Positions in a block of the coefficients in zigzag order (T.81, figure A.6).
#[rustfmt::skip]
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// The samples of one component.
struct Samples {
    data: Vec<u8>,
    stride: usize,
    /// Samples inside the picture, across and down.
    size: [usize; 2],
    /// Samples of the picture per sample of this component, across and down.
    ratio: [usize; 2],
}

/// The inverse DCT of 8 values as a matrix: `[frequency][place]` (T.81, A.3.3).
type Basis = [[f32; 8]; 8];

/// Writes the pixels of a picture to `out`, consuming the planes: grey, one byte each, when `luma` is requested or the picture is
/// grey; RGB otherwise.
pub(super) fn paint(frame: &FrameHeader, planes: Vec<Plane>, colours: Colours, luma: bool, out: &mut Vec<u8>) {
    let basis: Basis = std::array::from_fn(|frequency| {
        std::array::from_fn(|place| {
            let scale = if frequency == 0 { std::f64::consts::FRAC_1_SQRT_2 } else { 1.0 };
            let angle = (2 * place + 1) as f64 * frequency as f64 * std::f64::consts::PI / 16.0;
            (scale * angle.cos() / 2.0) as f32
        })
    });
    let wanted = if luma || colours == Colours::Grey { 1 } else { planes.len() };
    let parts = planes.into_iter().zip(&frame.components).take(wanted);
    let samples: Vec<Samples> = parts.map(|(plane, component)| transform(&basis, plane, component, frame)).collect();
    out.clear();
    let mut rows: Vec<Vec<u8>> = vec![Vec::new(); samples.len()];
    let mut scratch = Vec::new();
    for y in 0..frame.height {
        for (row, samples) in rows.iter_mut().zip(&samples) {
            samples.row(y, frame.width, &mut scratch, row);
        }
        match rows.as_slice() {
            [grey] => out.extend_from_slice(grey),
            [a, b, c] => out.extend(a.iter().zip(b).zip(c).flat_map(|((&a, &b), &c)| match colours {
                Colours::Rgb => [a, b, c],
                _ => rgb(a, b, c),
            })),
            [a, b, c, k] => out.extend(a.iter().zip(b).zip(c).zip(k).flat_map(|(((&a, &b), &c), &k)| {
                let inks = if colours == Colours::Ycck { rgb(a, b, c).map(|v| 255 - v) } else { [a, b, c] };
                inks.map(|ink| ((u32::from(ink) * u32::from(k) + 127) / 255) as u8)
            })),
            _ => {}
        }
    }
}

/// Samples of all blocks of a component.
fn transform(basis: &Basis, plane: Plane, component: &Component, frame: &FrameHeader) -> Samples {
    let stride = plane.stride * 8;
    let steps = plane.steps.unwrap_or([1; 64]);
    let mut data = vec![0; plane.blocks.len() * 64];
    for (i, block) in plane.blocks.iter().enumerate() {
        let (row, column) = (i / plane.stride, i % plane.stride);
        let values = inverse(basis, block, &steps);
        for (y, line) in values.iter().enumerate() {
            let from = (row * 8 + y) * stride + column * 8;
            if let Some(to) = data.get_mut(from..from + 8) {
                to.iter_mut().zip(line).for_each(|(to, value)| *to = (value + 128.5) as u8);
            }
        }
    }
    let size = [frame.width, frame.height];
    let axis = |i: usize| (size[i] * component.sampling[i]).div_ceil(frame.most[i]);
    let ratio = |i: usize| frame.most[i] / component.sampling[i];
    Samples { data, stride, size: [axis(0), axis(1)], ratio: [ratio(0), ratio(1)] }
}

/// The samples of a block, before the level shift of 128.
fn inverse(basis: &Basis, block: &Block, steps: &[u16; 64]) -> [[f32; 8]; 8] {
    let mut values = [[0.0_f32; 8]; 8];
    let mut flat = true;
    for ((&coefficient, &step), &place) in block.iter().zip(steps).zip(&ZIGZAG) {
        if coefficient != 0 {
            values[usize::from(place / 8)][usize::from(place % 8)] = f32::from(coefficient) * f32::from(step);
            flat &= place == 0;
        }
    }
    if flat {
        return [[values[0][0] / 8.0; 8]; 8];
    }
    let mut half = [[0.0_f32; 8]; 8];
    for (from, to) in values.iter().zip(&mut half) {
        for (value, wave) in from.iter().zip(basis) {
            to.iter_mut().zip(wave).for_each(|(to, w)| *to += value * w);
        }
    }
    let mut out = [[0.0_f32; 8]; 8];
    for (line, wave) in half.iter().zip(basis) {
        for (to, w) in out.iter_mut().zip(wave) {
            to.iter_mut().zip(line).for_each(|(to, value)| *to += value * w);
        }
    }
    out
}

impl Samples {
    /// Row `y` of the picture, `width` samples. Samples that cover two pixels are interpolated, as in libjpeg ("fancy
    /// upsampling"); those that cover more are repeated.
    fn row(&self, y: usize, width: usize, scratch: &mut Vec<u8>, out: &mut Vec<u8>) {
        let line =
            |row: usize| self.data.get(row * self.stride..).and_then(|d| d.get(..self.size[0])).unwrap_or_default();
        scratch.clear();
        let row = y / self.ratio[1];
        if self.ratio[1] == 2 {
            let other = if y.is_multiple_of(2) { row.saturating_sub(1) } else { (row + 1).min(self.size[1] - 1) };
            scratch.extend(line(row).iter().zip(line(other)).map(|(&near, &far)| blend(near, far)));
        } else {
            scratch.extend_from_slice(line(row));
        }
        out.clear();
        if self.ratio[0] == 2 {
            let last = scratch.len().saturating_sub(1);
            for (x, &near) in scratch.iter().enumerate() {
                let at = |x: usize| scratch.get(x).copied().unwrap_or(near);
                out.extend([blend(near, at(x.saturating_sub(1))), blend(near, at((x + 1).min(last)))]);
            }
        } else {
            out.extend(scratch.iter().flat_map(|&value| std::iter::repeat_n(value, self.ratio[0])));
        }
        out.truncate(width);
    }
}

/// A value between two samples, a quarter of the way to the far one.
fn blend(near: u8, far: u8) -> u8 {
    ((3 * u32::from(near) + u32::from(far) + 2) / 4) as u8
}

/// Y'CbCr of full range to RGB (JFIF 1.02).
fn rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (y, cb, cr) = (f32::from(y) + 0.5, f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb].map(|value| value as u8)
}
