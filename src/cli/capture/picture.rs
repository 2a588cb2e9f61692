//! A captured picture: what it looks like, and where it is kept.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;

use crate::draw::{self, Canvas};
use crate::frame::{Image, PixelFormat};
use crate::preprocess;

/// Format, size and colours of a picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Look {
    /// Pixel format.
    pub format: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Red, green and blue from 0 to 255, averaged over the picture.
    pub mean_rgb: [f64; 3],
    /// The same for each of eight upright strips of the lower half, left to right.
    pub strips_rgb: [[f64; 3]; 8],
}

/// Format, size and colours of `image`, and its pixels in `rgb`.
///
/// # Errors
/// The fault of a picture that cannot be decoded.
pub fn look(image: &Image, rgb: &mut Vec<u8>) -> Result<Look, preprocess::PreprocessError> {
    let [width, height] = preprocess::to_rgb(image, rgb)?;
    let (w, h) = (width as usize, height as usize);
    let strip = |i: usize| mean(rgb, w, h / 2..h, i * w / 8..(i + 1) * w / 8);
    Ok(Look {
        format: format!("{:?}", image.format),
        width,
        height,
        mean_rgb: mean(rgb, w, 0..h, 0..w),
        strips_rgb: std::array::from_fn(strip),
    })
}

/// The mean colour of a rectangle of a packed RGB picture.
fn mean(rgb: &[u8], width: usize, rows: std::ops::Range<usize>, columns: std::ops::Range<usize>) -> [f64; 3] {
    let mut sum = [0u64; 3];
    let mut count = 0u64;
    for row in rows {
        let line = rgb.get(3 * (row * width + columns.start)..3 * (row * width + columns.end)).unwrap_or_default();
        for pixel in line.chunks_exact(3) {
            for (sum, value) in sum.iter_mut().zip(pixel) {
                *sum += u64::from(*value);
            }
            count += 1;
        }
    }
    sum.map(|sum| rounded(sum as f64 / count.max(1) as f64))
}

/// `value` to one decimal.
pub fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Saves a picture as `dir/name`: JPEG, PNG and BMP as they came, others as PNG; the path.
///
/// # Errors
/// The system's, with the path.
pub fn save(dir: &Path, name: &str, image: &Image, look: &Look, rgb: &[u8]) -> anyhow::Result<PathBuf> {
    let (suffix, encoded) = match image.format {
        PixelFormat::Jpeg => ("jpg", None),
        PixelFormat::Png => ("png", None),
        PixelFormat::Bmp => ("bmp", None),
        _ => {
            let canvas = Canvas::new([look.width, look.height], rgb.to_vec());
            ("png", Some(draw::encode(&canvas, draw::Format::Png)?))
        }
    };
    let path = dir.join(format!("{name}.{suffix}"));
    fs::write(&path, encoded.as_deref().unwrap_or(&image.data)).with_context(|| path.display().to_string())?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_are_told_apart() {
        // Eight strips of two pixels, strip i all i * 30; the upper half is black.
        let row: Vec<u8> = (0..16u8).flat_map(|x| [x / 2 * 30; 3]).collect();
        let image = Image {
            format: PixelFormat::Rgb8,
            width: 16,
            height: 4,
            stride: 0,
            full: None,
            data: [vec![0; 96], row.repeat(2)].concat(),
        };
        let look = look(&image, &mut Vec::new()).unwrap();
        assert_eq!(look.strips_rgb, std::array::from_fn(|i| [i as f64 * 30.0; 3]));
        assert_eq!(look.mean_rgb, [52.5; 3]);
    }
}
