//! One picture: its bounds, and its format told from its bytes.

use crate::frame::{Image, PixelFormat};
use crate::source::mjpeg;

/// Most bytes that one picture may have, encoded or not.
pub(super) const MOST_BYTES: usize = 64 << 20;

/// Result of reading a stream of pictures.
pub(super) enum Part {
    /// One picture was read.
    Picture,
    /// One picture was unreadable; another may follow.
    Broken(String),
    /// Nothing yet, after reading as much as one call should.
    Searching,
    /// The file is at its end.
    End,
}

/// Checks that `data` is one whole JPEG picture, by its structure.
///
/// # Errors
/// The fault.
pub(in crate::source) fn check_jpeg(data: &[u8]) -> Result<(), String> {
    match data {
        [] => Err("the message is empty".into()),
        [0xff, 0xd8, ..] if data.len() > MOST_BYTES => {
            Err(format!("{} bytes, and at most {MOST_BYTES} are read", data.len()))
        }
        [0xff, 0xd8, ..] => mjpeg::check(data),
        _ => Err("not a JPEG picture".into()),
    }
}

/// Begin of each PNG (PNG specification, section 5.2).
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The format of a picture file, told from its first bytes and not from its name; or why it is none.
pub(super) fn format_of(data: &[u8]) -> Result<PixelFormat, String> {
    match data {
        [] => Err("the file is empty".into()),
        [0xff, 0xd8, ..] => Ok(PixelFormat::Jpeg),
        [b'B', b'M', ..] => Ok(PixelFormat::Bmp),
        data if data.starts_with(PNG) => Ok(PixelFormat::Png),
        _ => Err("neither JPEG, PNG nor BMP".into()),
    }
}

/// The format of a file that holds one whole picture; or why it does not.
pub(super) fn whole_picture(data: &[u8]) -> Result<PixelFormat, String> {
    let format = format_of(data)?;
    match format {
        PixelFormat::Jpeg => mjpeg::check(data)?,
        PixelFormat::Png => check_png(data.get(PNG.len()..).unwrap_or_default())?,
        _ => {}
    }
    Ok(format)
}

/// The picture of a whole file's bytes.
///
/// # Errors
/// The reason for which it is none, in words.
pub fn image_of(data: Vec<u8>) -> Result<Image, String> {
    if data.len() > MOST_BYTES {
        return Err(format!("{} bytes, and at most {MOST_BYTES} are read", data.len()));
    }
    Ok(Image { format: whole_picture(&data)?, data, ..Image::default() })
}

/// `[width, height]` that a picture file says of itself, as it is stored; `None` where it says nothing.
pub fn stated_size(image: &Image) -> Option<[u32; 2]> {
    let data = &image.data;
    match image.format {
        PixelFormat::Jpeg => jpeg_size(data),
        PixelFormat::Png => {
            let sides = data.get(16..24)?.as_chunks::<4>().0;
            Some([u32::from_be_bytes(*sides.first()?), u32::from_be_bytes(*sides.get(1)?)])
        }
        PixelFormat::Bmp => {
            let sides = data.get(18..26)?.as_chunks::<4>().0;
            // A negative height is that of a picture from the top down.
            let side = |bytes: &[u8; 4]| i32::from_le_bytes(*bytes).unsigned_abs();
            Some([side(sides.first()?), side(sides.get(1)?)])
        }
        _ => Some([image.width, image.height]),
    }
}

/// Width and height in the first frame header (SOF) of a JPEG: ITU-T T.81, B.2.2.
fn jpeg_size(data: &[u8]) -> Option<[u32; 2]> {
    let mut rest = data.get(2..)?;
    loop {
        let (&[marker, kind], after) = rest.split_first_chunk::<2>()?;
        if marker != 0xff {
            return None;
        }
        if kind == 0xff {
            // Bytes that fill up.
            rest = rest.get(1..)?;
            continue;
        }
        let length = usize::from(u16::from_be_bytes(*after.first_chunk::<2>()?));
        if matches!(kind, 0xc0..=0xcf) && !matches!(kind, 0xc4 | 0xc8 | 0xcc) {
            let side = |at: usize| Some(u32::from(u16::from_be_bytes(*after.get(at..)?.first_chunk::<2>()?)));
            return Some([side(5)?, side(3)?]);
        }
        rest = after.get(length..)?;
    }
}

/// Checks that the chunks of a PNG (length, type, data, CRC; PNG specification, section 5.3) go on to `IEND`.
fn check_png(mut chunks: &[u8]) -> Result<(), String> {
    loop {
        let Some(([a, b, c, d], rest)) = chunks.split_first_chunk::<4>() else { return Err("truncated PNG".into()) };
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let Some(after) = length.checked_add(8).and_then(|n| rest.get(n..)) else { return Err("truncated PNG".into()) };
        if rest.starts_with(b"IEND") {
            return Ok(());
        }
        chunks = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_say_how_large_they_are() {
        let image = |format, data: &[u8]| Image { format, data: data.into(), ..Image::default() };
        let jpeg = b"\xff\xd8\xff\xe0\x00\x04JF\xff\xff\xc2\x00\x0b\x08\x01\xe0\x02\x80\x01\x01\x11\x00";
        assert_eq!(stated_size(&image(PixelFormat::Jpeg, jpeg)), Some([640, 480]));
        let png = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x02\x80\x00\x00\x01\xe0";
        assert_eq!(stated_size(&image(PixelFormat::Png, png)), Some([640, 480]));
        for length in 0..jpeg.len() - 6 {
            assert_eq!(stated_size(&image(PixelFormat::Jpeg, &jpeg[..length])), None, "{length}");
        }
    }
}
