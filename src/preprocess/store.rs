//! Writes scaled pixels into the model's input: colour, axis order, normalisation and quantisation in one table look-up.

use super::PreprocessError;
use super::decode::Picture;
use crate::frame::Channels;
use crate::frame::{Colour, DType, ElementsMut, InputSpec, Layout, Quant, TensorViewMut};

/// What a letterbox is padded with: the grey that detection networks are trained with (YOLOv5 and later).
pub(super) const PADDING: u8 = 114;

/// One value per pixel value and channel.
type Table<T> = [[T; 256]; 3];

/// Writes items of one input specification.
#[derive(Debug)]
pub(super) struct Store {
    table: Tables,
}

#[derive(Debug)]
enum Tables {
    F32(Box<Table<f32>>),
    I8(Box<Table<i8>>),
    U8(Box<Table<u8>>),
    I32(Box<Table<i32>>),
    I64(Box<Table<i64>>),
}

impl Store {
    /// The tables for `spec`.
    pub fn new(spec: &InputSpec) -> Self {
        let real = |c: usize, p: usize| (p as f32 / 255.0 - spec.mean[c]) / spec.std[c];
        let quant = spec.quant.unwrap_or(default_quant(spec.dtype));
        let table = match spec.dtype {
            DType::F32 => Tables::F32(table(real)),
            DType::I8 => Tables::I8(table(|c, p| quantize(real(c, p), quant, -128, 127) as i8)),
            DType::U8 => Tables::U8(table(|c, p| quantize(real(c, p), quant, 0, 255) as u8)),
            DType::I32 => {
                Tables::I32(table(|c, p| quantize(real(c, p), quant, i32::MIN.into(), i32::MAX.into()) as i32))
            }
            DType::I64 => Tables::I64(table(|c, p| quantize(real(c, p), quant, i64::MIN, i64::MAX))),
        };
        Store { table }
    }

    /// Whether `items` items from `first` on fit into `input`.
    pub fn check(
        spec: &InputSpec,
        input: &TensorViewMut<'_>,
        first: usize,
        items: usize,
    ) -> Result<(), PreprocessError> {
        let each = item_len(spec);
        let (dtype, len) = match &input.data {
            ElementsMut::F32(v) => (DType::F32, v.len()),
            ElementsMut::I8(v) => (DType::I8, v.len()),
            ElementsMut::U8(v) => (DType::U8, v.len()),
            ElementsMut::I32(v) => (DType::I32, v.len()),
            ElementsMut::I64(v) => (DType::I64, v.len()),
        };
        let name = &input.spec.name;
        if dtype != spec.dtype {
            return Err(PreprocessError::Mismatch(format!("input {name:?} is {dtype:?}, {:?} was said", spec.dtype)));
        }
        if each == 0 || !len.is_multiple_of(each) {
            return Err(PreprocessError::Mismatch(format!(
                "input {name:?} has {len} elements, which is no multiple of {}x{}x{}",
                channels(spec.colour),
                spec.height,
                spec.width
            )));
        }
        if first.saturating_add(items) > len / each {
            return Err(PreprocessError::Mismatch(format!(
                "input {name:?} holds {} items, {items} from item {first} on are to be written",
                len / each
            )));
        }
        Ok(())
    }

    /// Writes one item: `pixels` (the picture's channels, packed, changed in place) at `inner`, padding around it.
    pub fn write(
        &self,
        spec: &InputSpec,
        picture: &Picture<'_>,
        pixels: &mut [u8],
        inner: [usize; 4],
        input: &mut TensorViewMut<'_>,
        item: usize,
    ) {
        let (bytes, order) = order_channels(spec.colour, picture, pixels);
        let cut = Cut { pixels, bytes, order, inner };
        let len = item_len(spec);
        let range = item * len..(item + 1) * len;
        match (&self.table, &mut input.data) {
            (Tables::F32(t), ElementsMut::F32(v)) => cut.put(spec, t, &mut v[range]),
            (Tables::I8(t), ElementsMut::I8(v)) => cut.put(spec, t, &mut v[range]),
            (Tables::U8(t), ElementsMut::U8(v)) => cut.put(spec, t, &mut v[range]),
            (Tables::I32(t), ElementsMut::I32(v)) => cut.put(spec, t, &mut v[range]),
            (Tables::I64(t), ElementsMut::I64(v)) => cut.put(spec, t, &mut v[range]),
            _ => unreachable!("`check` compared the types"),
        }
    }
}

/// `round_half_even(real / scale) + zero_point`, saturated (ONNX `QuantizeLinear`).
pub(super) fn quantize(real: f32, quant: Quant, low: i64, high: i64) -> i64 {
    let q = (real / quant.scale).round_ties_even() as i64;
    q.saturating_add(quant.zero_point.into()).clamp(low, high)
}

/// An integer input of which nobody says how it is quantised takes pixels as they are, signed ones minus 128.
fn default_quant(dtype: DType) -> Quant {
    Quant { scale: 1.0 / 255.0, zero_point: if dtype == DType::I8 { -128 } else { 0 } }
}

fn channels(colour: Colour) -> usize {
    if colour == Colour::Grey { 1 } else { 3 }
}

fn item_len(spec: &InputSpec) -> usize {
    spec.height * spec.width * channels(spec.colour)
}

fn table<T: Copy + Default>(value: impl Fn(usize, usize) -> T) -> Box<Table<T>> {
    let mut table = Box::new([[T::default(); 256]; 3]);
    for (c, channel) in table.iter_mut().enumerate() {
        for (p, entry) in channel.iter_mut().enumerate() {
            *entry = value(c, p);
        }
    }
    table
}

/// Bytes from pixel to pixel, and which byte of a pixel each model channel takes. Colour pictures for a grey model are
/// turned into luminance in place here, on the few pixels that are left after scaling.
fn order_channels(colour: Colour, picture: &Picture<'_>, pixels: &mut [u8]) -> (usize, [usize; 3]) {
    let bytes = picture.channels.bytes();
    let red = match picture.channels {
        Channels::Grey | Channels::GreyChroma => {
            if picture.limited {
                pixels.iter_mut().step_by(bytes).for_each(|p| *p = full_range(*p));
            }
            return (bytes, [0; 3]);
        }
        Channels::Rgb => 0,
        Channels::Bgr => 2,
    };
    match colour {
        Colour::Rgb => (3, [red, 1, 2 - red]),
        Colour::Bgr => (3, [2 - red, 1, red]),
        Colour::Grey => {
            for i in 0..pixels.len() / 3 {
                pixels[i] = luminance(pixels[i * 3 + red], pixels[i * 3 + 1], pixels[i * 3 + 2 - red]);
            }
            (1, [0; 3])
        }
    }
}

/// Luminance (0 to 255) of pixel `index` of a part of `picture`.
pub(super) fn light(picture: &Picture<'_>, pixels: &[u8], index: usize) -> f32 {
    let bytes = picture.channels.bytes();
    let pixel = pixels.get(index * bytes..(index + 1) * bytes).unwrap_or_default();
    match (picture.channels, pixel) {
        (Channels::Rgb, &[r, g, b]) | (Channels::Bgr, &[b, g, r]) => luminance(r, g, b).into(),
        (_, &[y, ..]) if picture.limited => full_range(y).into(),
        (_, &[y, ..]) => y.into(),
        (_, []) => 0.0,
    }
}

/// BT.601 luminance in 16 bits of fraction, as JPEG encoders and Pillow compute it.
fn luminance(r: u8, g: u8, b: u8) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
}

/// 16..235 spread over 0..255.
fn full_range(y: u8) -> u8 {
    let spread = (i32::from(y) - 16) * 255;
    ((spread + 109) / 219).clamp(0, 255) as u8
}

/// Scaled pixels on their way into one item.
struct Cut<'a> {
    pixels: &'a [u8],
    bytes: usize,
    order: [usize; 3],
    inner: [usize; 4],
}

impl Cut<'_> {
    fn put<T: Copy>(&self, spec: &InputSpec, table: &Table<T>, out: &mut [T]) {
        let [left, top, width, height] = self.inner;
        let count = channels(spec.colour);
        let padded = width != spec.width || height != spec.height;
        let plane = spec.height * spec.width;
        for (c, values) in table.iter().take(count).enumerate() {
            if padded {
                let padding = values[usize::from(PADDING)];
                match spec.layout {
                    Layout::Nchw => out[c * plane..(c + 1) * plane].fill(padding),
                    Layout::Nhwc => out.iter_mut().skip(c).step_by(count).for_each(|v| *v = padding),
                }
            }
            for (row, line) in self.pixels.chunks_exact(width * self.bytes).take(height).enumerate() {
                let start = (top + row) * spec.width + left;
                let source = line.iter().skip(self.order[c]).step_by(self.bytes);
                match spec.layout {
                    Layout::Nchw => {
                        let target = &mut out[c * plane + start..][..width];
                        target.iter_mut().zip(source).for_each(|(t, &p)| *t = values[usize::from(p)]);
                    }
                    Layout::Nhwc => {
                        let target = out[start * count..][..width * count].iter_mut().skip(c).step_by(count);
                        target.zip(source).for_each(|(t, &p)| *t = values[usize::from(p)]);
                    }
                }
            }
        }
    }
}
