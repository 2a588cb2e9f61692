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

/// The format of a whole picture file, told from its bytes and not from its name; or why it is none.
pub(super) fn whole_picture(data: &[u8]) -> Result<PixelFormat, String> {
    if data.is_empty() {
        return Err("the file is empty".into());
    }
    if data.starts_with(b"\xff\xd8") {
        return mjpeg::check(data).map(|()| PixelFormat::Jpeg);
    }
    if let Some(chunks) = data.strip_prefix(b"\x89PNG\r\n\x1a\n") {
        return check_png(chunks).map(|()| PixelFormat::Png);
    }
    if data.starts_with(b"BM") {
        return Ok(PixelFormat::Bmp);
    }
    Err("neither JPEG, PNG nor BMP".into())
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
