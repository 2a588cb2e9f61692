//! Decoded pictures and the limit on their size.

use super::error::PreprocessError;

/// Most pixels of a picture, against decompression bombs.
pub const MAX_PIXELS: u64 = 64 << 20;

/// Channels of a [`Picture`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channels {
    /// One byte of luminance.
    Grey,
    /// Luminance, then an unused byte of chroma (packed 4:2:2 where only luminance is wanted).
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
