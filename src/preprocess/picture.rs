//! Decoded pictures and the limit on their size.

use super::error::PreprocessError;
pub(super) use crate::frame::Channels;
use crate::frame::Pixels;

/// Most pixels of a picture, against decompression bombs.
pub const MAX_PIXELS: u64 = 64 << 20;

/// A decoded picture: `height × width` pixels in packed rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picture<'a> {
    /// Width in pixels, above 0.
    pub width: u32,
    /// Height in pixels, above 0.
    pub height: u32,
    /// Channels of a pixel.
    pub channels: Channels,
    /// Luminance from 16 to 235 instead of 0 to 255, not expanded yet.
    pub limited: bool,
    /// Rotated by a quarter turn: the source's width and height are those of the stored picture.
    pub sideways: bool,
    /// The pixels.
    pub data: &'a [u8],
}

impl<'a> From<&'a Pixels> for Picture<'a> {
    fn from(pixels: &'a Pixels) -> Self {
        let Pixels { width, height, channels, sideways, ref data } = *pixels;
        Picture { width, height, channels, limited: false, sideways, data }
    }
}

/// Refuses an empty picture and one of more than [`MAX_PIXELS`].
pub(super) fn check_pixels(format: &str, width: u32, height: u32) -> Result<(), PreprocessError> {
    if width == 0 || height == 0 {
        return Err(PreprocessError::Size(format!("{format}: the picture is {width}x{height} pixels")));
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(PreprocessError::Size(format!(
            "{format}: {width}x{height} pixels, at most {MAX_PIXELS} are taken"
        )));
    }
    Ok(())
}
