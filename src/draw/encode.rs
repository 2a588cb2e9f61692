//! Pictures as PNG and JPEG files.

use super::Canvas;

/// Quality of JPEG pictures, 1 to 100: text keeps its edges.
const JPEG_QUALITY: u8 = 92;

/// A file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Without loss.
    Png,
    /// Smaller, with loss.
    Jpeg,
}

impl Format {
    /// The usual ending of a file's name.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Png => "png",
            Format::Jpeg => "jpg",
        }
    }
}

/// A picture that the format cannot hold.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The PNG encoder refuses it.
    #[error("cannot encode PNG: {0}")]
    Png(#[from] png::EncodingError),
    /// The JPEG encoder refuses it.
    #[error("cannot encode JPEG: {0}")]
    Jpeg(#[from] jpeg_encoder::EncodingError),
    /// A JPEG picture has at most 65,535 pixels on each side.
    #[error("cannot encode JPEG: {width}x{height} pixels, at most 65535x65535 are possible")]
    JpegSize {
        /// In pixels.
        width: i64,
        /// In pixels.
        height: i64,
    },
}

/// The picture as the bytes of a file.
///
/// # Errors
/// [`EncodeError`] when the format cannot hold it.
pub fn encode(canvas: &Canvas, format: Format) -> Result<Vec<u8>, EncodeError> {
    let [width, height] = canvas.size();
    let mut bytes = Vec::new();
    match format {
        Format::Png => {
            let side = |side: i64| u32::try_from(side).unwrap_or(u32::MAX);
            let mut encoder = png::Encoder::new(&mut bytes, side(width), side(height));
            encoder.set_color(png::ColorType::Rgb);
            encoder.set_depth(png::BitDepth::Eight);
            encoder.write_header()?.write_image_data(canvas.rgb())?;
        }
        Format::Jpeg => return jpeg(canvas, JPEG_QUALITY),
    }
    Ok(bytes)
}

/// The picture as a JPEG file of a quality from 1 to 100.
///
/// # Errors
/// [`EncodeError`] when it is too large for the format.
pub fn jpeg(canvas: &Canvas, quality: u8) -> Result<Vec<u8>, EncodeError> {
    let [width, height] = canvas.size();
    let too_large = EncodeError::JpegSize { width, height };
    let (Ok(width), Ok(height)) = (u16::try_from(width), u16::try_from(height)) else { return Err(too_large) };
    let mut bytes = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut bytes, quality.clamp(1, 100));
    encoder.encode(canvas.rgb(), width, height, jpeg_encoder::ColorType::Rgb)?;
    Ok(bytes)
}
