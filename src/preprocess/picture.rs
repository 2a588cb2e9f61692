//! Decoded pictures, and the largest that is accepted.

use super::error::PreprocessError;

/// Pictures with more pixels than this are refused (a decompression bomb must not take the board down).
pub const MAX_PIXELS: u64 = 64 << 20;

/// What one pixel of a [`Picture`] is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channels {
    /// One byte of luminance.
    Grey,
    /// Luminance, then a byte of chroma that is not looked at (packed 4:2:2 where only luminance is wanted).
    GreyChroma,
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

impl Channels {
    /// Bytes of one pixel.
    pub fn bytes(self) -> usize {
        match self {
            Channels::Grey => 1,
            Channels::GreyChroma => 2,
            Channels::Rgb | Channels::Bgr => 3,
        }
    }
}

/// A decoded picture: `height × width` pixels, rows packed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picture<'a> {
    /// Width in pixels, above 0.
    pub width: u32,
    /// Height in pixels, above 0.
    pub height: u32,
    /// What a pixel is made of.
    pub channels: Channels,
    /// Luminance from 16 to 235 (still to be spread over 0 to 255) instead of 0 to 255.
    pub limited: bool,
    /// Turned by a quarter: what the source says of width and height is true of the stored picture.
    pub sideways: bool,
    /// The pixels.
    pub data: &'a [u8],
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
