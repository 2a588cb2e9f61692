//! Writes scaled pixels into the model's input: colour, axis order, normalisation and quantisation in one table look-up.

use super::error::PreprocessError;
use super::picture::{Channels, Picture};
use super::quantize::Element;
use crate::frame::{Colour, DType, ElementsMut, InputSpec, Layout, Quant, TensorViewMut};

/// Padding of a letterbox: the grey used in training of detection networks (YOLOv5 and later).
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
    /// Builds the table for `spec`.
    pub fn new(spec: &InputSpec) -> Self {
        let quant = spec.quant.unwrap_or(default_quant(spec.dtype));
        let table = match spec.dtype {
            DType::F32 => Tables::F32(table(spec, quant)),
            DType::I8 => Tables::I8(table(spec, quant)),
            DType::U8 => Tables::U8(table(spec, quant)),
            DType::I32 => Tables::I32(table(spec, quant)),
            DType::I64 => Tables::I64(table(spec, quant)),
        };
        Store { table }
    }

    /// Checks that `items` items from `first` on fit into `input`.
    pub fn check(
        spec: &InputSpec,
        input: &TensorViewMut<'_>,
        first: usize,
        items: usize,
    ) -> Result<(), PreprocessError> {
        let each = item_len(spec);
        let (dtype, len) = (input.data.dtype(), input.data.count());
        let name = &input.spec.name;
        if dtype != spec.dtype {
            return Err(PreprocessError::Mismatch(format!(
                "input {name:?} is {dtype:?}, expected is {:?}",
                spec.dtype
            )));
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

    /// Writes one item: `pixels` (the picture's channels, packed, modified in place) at `inner`, with padding around it.
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

/// Default quantisation of integer inputs: pixels unchanged, signed ones minus 128.
fn default_quant(dtype: DType) -> Quant {
    Quant { scale: 1.0 / 255.0, zero_point: if dtype == DType::I8 { -128 } else { 0 } }
}

fn channels(colour: Colour) -> usize {
    if colour == Colour::Grey { 1 } else { 3 }
}

fn item_len(spec: &InputSpec) -> usize {
    spec.height * spec.width * channels(spec.colour)
}

/// The stored element of each channel and pixel value: normalised, then quantised.
fn table<T: Element>(spec: &InputSpec, quant: Quant) -> Box<Table<T>> {
    let mut table = Box::new([[T::default(); 256]; 3]);
    for ((channel, mean), std) in table.iter_mut().zip(spec.mean).zip(spec.std) {
        for (pixel, entry) in channel.iter_mut().enumerate() {
            *entry = T::quantize((pixel as f32 / 255.0 - mean) / std, quant);
        }
    }
    table
}

/// Bytes from pixel to pixel, and the byte of a pixel for each model channel. Colour pictures for a grey model are converted to
/// luminance in place here, after scaling, when few pixels are left.
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
    light_of(picture, pixels.get(index * bytes..(index + 1) * bytes).unwrap_or_default()).into()
}

/// Luminance of one pixel of `picture`; 0 where there is none.
pub(super) fn light_of(picture: &Picture<'_>, pixel: &[u8]) -> u8 {
    match (picture.channels, pixel) {
        (Channels::Rgb, &[r, g, b]) | (Channels::Bgr, &[b, g, r]) => luminance(r, g, b),
        (_, &[y, ..]) if picture.limited => full_range(y),
        (_, &[y, ..]) => y,
        (_, []) => 0,
    }
}

/// BT.601 luminance with 16 bits of fraction, as in JPEG encoders and Pillow.
fn luminance(r: u8, g: u8, b: u8) -> u8 {
    ((u32::from(r) * 19595 + u32::from(g) * 38470 + u32::from(b) * 7471 + 0x8000) >> 16) as u8
}

/// 16..235 expanded to 0..255.
fn full_range(y: u8) -> u8 {
    let spread = (i32::from(y) - 16) * 255;
    ((spread + 109) / 219).clamp(0, 255) as u8
}

/// Scaled pixels to be written into one item.
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
