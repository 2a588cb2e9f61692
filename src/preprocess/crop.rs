//! Crops around boxes of a decoded picture.

use super::decode::Decoder;
use super::error::PreprocessError;
use super::picture::Picture;
use crate::frame::{Channels, Image, Payload, PixelFormat, SharedFrame};

/// A pixel that a box covers by less than this is not touched: boxes are in single precision.
const TOUCH: f64 = 1e-3;

/// Cuts boxes out of frames, which are decoded once for all of their readers.
#[derive(Debug, Default)]
pub struct Cropper {
    decoder: Decoder,
}

impl Cropper {
    /// Copies the surroundings of a box of `frame` into `out`, reusing its buffer: the pixels as they are decoded, in colour where the
    /// frame has it. `bbox` is `[x1, y1, x2, y2]` in pixels of the upright picture at its `full` size, `[width, height]`; `pad`
    /// widens it on each side by this share of its width and height. `false` where nothing of it lies in the picture.
    ///
    /// # Errors
    /// [`PreprocessError`] when the frame is no picture, or one that cannot be decoded.
    pub fn crop(
        &mut self,
        frame: &SharedFrame,
        bbox: [f32; 4],
        pad: f32,
        full: [u32; 2],
        out: &mut Image,
    ) -> Result<bool, PreprocessError> {
        let Payload::Image(image) = &frame.payload else {
            return Err(PreprocessError::Mismatch("crops are cut out of pictures, not out of readings".into()));
        };
        let picture = self.decoder.shared(frame, image, false)?;
        let Some(area) = area(bbox, pad, full, [picture.width, picture.height]) else { return Ok(false) };
        cut(&picture, area, out);
        Ok(true)
    }
}

/// Area `[x, y, width, height]` of a picture around a box, in whole pixels: every pixel that the box touches is inside.
///
/// `bbox` is `[x1, y1, x2, y2]` in pixels of the picture at its `full` size, `[width, height]`; `size` is the size that it has.
/// `pad` widens the box on each side by this share of its width and height. `None` where nothing of it lies in the picture.
fn area(bbox: [f32; 4], pad: f32, full: [u32; 2], size: [u32; 2]) -> Option<[u32; 4]> {
    let [x1, y1, x2, y2] = bbox.map(f64::from);
    let (left, width) = span(x1, x2, pad, full[0], size[0])?;
    let (top, height) = span(y1, y2, pad, full[1], size[1])?;
    Some([left, top, width, height])
}

/// First pixel and number of pixels along one axis.
fn span(from: f64, to: f64, pad: f32, full: u32, size: u32) -> Option<(u32, u32)> {
    if !(from.is_finite() && to > from) || full == 0 {
        return None;
    }
    let margin = f64::from(pad) * (to - from);
    let scale = f64::from(size) / f64::from(full);
    let first = ((from - margin) * scale + TOUCH).floor().clamp(0.0, f64::from(size));
    let end = ((to + margin) * scale - TOUCH).ceil().clamp(0.0, f64::from(size));
    (end > first).then_some((first as u32, (end - first) as u32))
}

/// Copies an [`area`] of a picture into `image`, reusing its buffer; the pixels stay as they are.
fn cut(picture: &Picture<'_>, [x, y, width, height]: [u32; 4], image: &mut Image) {
    let bytes = picture.channels.bytes();
    let row = picture.width as usize * bytes;
    let (start, len) = (x as usize * bytes, width as usize * bytes);
    image.format = match picture.channels {
        Channels::Grey | Channels::GreyChroma => PixelFormat::Gray8,
        Channels::Rgb => PixelFormat::Rgb8,
        Channels::Bgr => PixelFormat::Bgr8,
    };
    (image.width, image.height, image.stride, image.full) = (width, height, 0, None);
    image.data.clear();
    for line in picture.data.chunks_exact(row.max(1)).skip(y as usize).take(height as usize) {
        let pixels = line.get(start..start + len).unwrap_or_default();
        match picture.channels {
            Channels::GreyChroma => image.data.extend(pixels.iter().step_by(2)),
            _ => image.data.extend_from_slice(pixels),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_area_holds_every_pixel_that_the_box_touches() {
        let check = |bbox, pad, full, size, expected: Option<[u32; 4]>| {
            assert_eq!(area(bbox, pad, full, size), expected, "{bbox:?} {pad}");
        };
        let full = [640, 480];
        check([10.0, 20.0, 30.0, 60.0], 0.0, full, full, Some([10, 20, 20, 40]));
        check([10.2, 20.9, 29.1, 59.5], 0.0, full, full, Some([10, 20, 20, 40]));
        check([10.0, 20.0, 30.0, 60.0], 0.1, full, full, Some([8, 16, 24, 48]));
        check([10.0, 20.0, 30.0, 60.0], 0.0, full, [320, 240], Some([5, 10, 10, 20]));
        check([-50.0, -50.0, 700.0, 500.0], 0.5, full, full, Some([0, 0, 640, 480]));
        check([639.5, 479.5, 639.9, 479.9], 0.0, full, full, Some([639, 479, 1, 1]));
        for nothing in [
            [640.0, 0.0, 700.0, 10.0],
            [-9.0, 0.0, 0.0, 10.0],
            [5.0, 5.0, 5.0, 9.0],
            [9.0, 5.0, 5.0, 9.0],
            [f32::NAN, 0.0, 5.0, 5.0],
            [0.0, f32::NEG_INFINITY, 5.0, 5.0],
            [0.0, 0.0, f32::NAN, 5.0],
        ] {
            check(nothing, 0.0, full, full, None);
        }
        check([0.0, 0.0, 5.0, 5.0], 0.0, [0, 0], [0, 0], None);
    }

    #[test]
    fn pixels_are_copied_as_they_are() {
        let mut image = Image::default();
        for (channels, format, bytes) in [
            (Channels::Rgb, PixelFormat::Rgb8, 3),
            (Channels::Bgr, PixelFormat::Bgr8, 3),
            (Channels::Grey, PixelFormat::Gray8, 1),
            (Channels::GreyChroma, PixelFormat::Gray8, 2),
        ] {
            let (width, height) = (7_usize, 5_usize);
            let data: Vec<u8> = (0..width * height * bytes).map(|i| i as u8).collect();
            let picture = Picture { width: 7, height: 5, channels, limited: false, sideways: false, data: &data };
            cut(&picture, [2, 1, 3, 2], &mut image);
            assert_eq!((image.format, image.width, image.height), (format, 3, 2));
            let mut expected = Vec::new();
            for y in 1..3 {
                for x in 2..5 {
                    let at = (y * width + x) * bytes;
                    let kept = if channels == Channels::GreyChroma { 1 } else { bytes };
                    expected.extend_from_slice(&data[at..at + kept]);
                }
            }
            assert_eq!(image.data, expected, "{channels:?}");
        }
    }
}
