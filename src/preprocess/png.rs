//! PNG of any depth and colour type, to grey or RGB with 8 bits; transparency is dropped.

use std::io::Cursor;

use png::{ColorType, Limits, Transformations};

use super::error::PreprocessError;
use super::exif;
use super::picture::{Channels, check_pixels};

/// Most bytes that the decoder allocates besides the picture.
const LIMIT: usize = 64 << 20;

/// Decodes a file into `out` (resized to fit). Returns width and height in pixels, channels and EXIF orientation.
///
/// # Errors
/// A description of the damage. The file is read to its end, so a wrong checksum anywhere in the picture's data is detected.
pub(super) fn decode(data: &[u8], out: &mut Vec<u8>) -> Result<(u32, u32, Channels, u8), PreprocessError> {
    let failed = |e: png::DecodingError| PreprocessError::Decode { format: "PNG", reason: e.to_string() };
    let damaged = |reason: &str| PreprocessError::Decode { format: "PNG", reason: reason.into() };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(data), Limits { bytes: LIMIT });
    decoder.set_transformations(Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    let (width, height) = decoder.read_header_info().map_err(failed)?.size();
    check_pixels("PNG", width, height)?;
    let mut reader = decoder.read_info().map_err(failed)?;
    let size = reader.output_buffer_size().ok_or_else(|| damaged("too large"))?;
    out.resize(size, 0);
    let info = reader.next_frame(out).map_err(failed)?;
    if (info.width, info.height) != (width, height) {
        return Err(damaged("an animation frame that is not the whole picture"));
    }
    let channels = match info.color_type {
        ColorType::Grayscale => Channels::Grey,
        // Luminance and alpha: the second byte is unused.
        ColorType::GrayscaleAlpha => Channels::GreyChroma,
        ColorType::Rgb => Channels::Rgb,
        ColorType::Rgba => {
            drop_alpha(out);
            Channels::Rgb
        }
        ColorType::Indexed => return Err(damaged("the palette was not expanded")),
    };
    out.truncate(width as usize * height as usize * channels.bytes());
    reader.finish().map_err(failed)?;
    let orientation = reader.info().exif_metadata.as_deref().and_then(exif::orientation);
    Ok((width, height, channels, orientation.unwrap_or(1)))
}

/// RGBA to RGB in place.
fn drop_alpha(pixels: &mut Vec<u8>) {
    let count = pixels.len() / 4;
    for i in 0..count {
        pixels.copy_within(i * 4..i * 4 + 3, i * 3);
    }
    pixels.truncate(count * 3);
}
