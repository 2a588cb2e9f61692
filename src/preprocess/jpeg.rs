//! JPEG: a walk over the file's own structure before anything is allocated, then zune-jpeg.
//!
//! The walk (ITU-T T.81, annex B) finds the size, and whether the file is complete: a decoder paints what is missing
//! grey, and a half-grey picture must not be taken for what the camera saw. (A file that somebody cut and then ended with
//! a marker again is noticed only when whole rows of blocks are missing, and not always then.) zune-jpeg has no scaled (1/2, 1/4, 1/8)
//! inverse DCT, so the whole picture is decoded; for grey only the luminance blocks are transformed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::decode::{Channels, check_pixels};
use super::{MAX_PIXELS, PreprocessError};

/// The largest believable number of pixels per byte of file: a block of 8×8 needs at least one bit, and the chroma
/// blocks more. A tiny file that claims a huge picture is refused before its buffer is allocated.
const MAX_PIXELS_PER_BYTE: u64 = 1024;

/// What the file's own structure says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Header {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// 1 grey, 3 colour, 4 CMYK or YCCK.
    pub components: u8,
    /// Progressive: all coefficients of the picture are kept while decoding.
    pub progressive: bool,
    /// Whether the sampling is one of 4:4:4, 4:2:2, 4:4:0, 4:2:0 and 4:1:1: zune-jpeg 0.5 leaves parts of the picture black
    /// when asked for the luminance of others, so those are decoded in colour.
    pub plain_sampling: bool,
    /// Whether Huffman tables are in the file; many USB cameras leave the standard ones out.
    pub huffman: bool,
}

/// Decodes a JPEG into `out` (resized to fit) and says its size and channels. `scratch` is for files without Huffman
/// tables.
pub(super) fn decode(
    data: &[u8],
    grey: bool,
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
) -> Result<(u32, u32, Channels), PreprocessError> {
    let header = read_structure(data).map_err(failed)?;
    check_pixels("JPEG", header.width, header.height)?;
    let pixels = u64::from(header.width) * u64::from(header.height);
    if header.progressive && pixels > MAX_PIXELS / 4 {
        return Err(PreprocessError::Size(format!(
            "the progressive JPEG is {}x{} pixels, at most {} are taken",
            header.width,
            header.height,
            MAX_PIXELS / 4
        )));
    }
    if pixels > MAX_PIXELS_PER_BYTE * data.len() as u64 {
        return Err(failed(format!("{}x{} pixels in {} bytes", header.width, header.height, data.len())));
    }
    let data = if header.huffman {
        data
    } else {
        insert_avi1(data, scratch);
        scratch.as_slice()
    };
    // zune-jpeg does not panic on any file we know of; should one come, it costs that frame and not the daemon.
    let decoded = catch_unwind(AssertUnwindSafe(|| decode_pixels(data, grey && header.plain_sampling, out)));
    let channels = decoded.unwrap_or_else(|_| Err("the decoder failed on this file".into())).map_err(failed)?;
    Ok((header.width, header.height, channels))
}

fn decode_pixels(data: &[u8], grey: bool, out: &mut Vec<u8>) -> Result<Channels, String> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(data), options);
    decoder.decode_headers().map_err(|e| e.to_string())?;
    // Only a Y'CbCr or grey file holds luminance as a plane of its own.
    let luma = matches!(decoder.input_colorspace(), Some(ColorSpace::Luma))
        || grey && matches!(decoder.input_colorspace(), Some(ColorSpace::YCbCr));
    if luma {
        decoder.set_options(options.jpeg_set_out_colorspace(ColorSpace::Luma));
    }
    let size = decoder.output_buffer_size().ok_or("no size")?;
    out.resize(size, 0);
    decoder.decode_into(out).map_err(|e| e.to_string())?;
    Ok(if luma { Channels::Grey } else { Channels::Rgb })
}

/// Walks over all segments and entropy-coded data up to the end-of-image marker.
///
/// # Errors
/// What is wrong, for people: not a JPEG, cut short, a process that nobody decodes.
pub(super) fn read_structure(data: &[u8]) -> Result<Header, String> {
    if !data.starts_with(&[0xFF, 0xD8]) {
        return Err("it does not begin with a JPEG start-of-image marker".into());
    }
    let mut frame = None;
    let (mut huffman, mut scans) = (false, 0);
    let mut at = 2;
    loop {
        let (marker, after) = next_marker(data, at)
            .ok_or_else(|| format!("cut short: no end-of-image marker in {} bytes", data.len()))?;
        at = after;
        match marker {
            0x01 | 0xD0..=0xD8 => continue,
            0xD9 => break,
            _ => {}
        }
        let body = segment(data, at)
            .ok_or_else(|| format!("cut short or damaged: segment FF{marker:02X} at byte {at} does not fit"))?;
        at += 2 + body.len();
        match marker {
            0xC4 => huffman = true,
            0xC0..=0xC2 if frame.is_some() => return Err("two frame headers".into()),
            0xC0..=0xC2 => frame = Some(frame_header(body, marker == 0xC2)?),
            0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                return Err(format!("coding process SOF{} is not supported", marker - 0xC0));
            }
            0xDA => scans += 1,
            _ => {}
        }
    }
    let frame = frame.ok_or("no frame header")?;
    if scans == 0 {
        return Err("no scan: the picture's data is missing".into());
    }
    Ok(Header { huffman, ..frame })
}

/// The next marker at or after `at` (entropy-coded data, stuffed zeros and restarts are skipped), and where it ends.
fn next_marker(data: &[u8], mut at: usize) -> Option<(u8, usize)> {
    loop {
        at += data.get(at..)?.iter().position(|&b| b == 0xFF)? + 1;
        let byte = *data.get(at)?;
        if byte != 0x00 && byte != 0xFF && !(0xD0..=0xD7).contains(&byte) {
            return Some((byte, at + 1));
        }
    }
}

/// The body of the segment whose length field is at `at`.
fn segment(data: &[u8], at: usize) -> Option<&[u8]> {
    let length = usize::from(u16::from_be_bytes([*data.get(at)?, *data.get(at + 1)?]));
    data.get(at + 2..at + length)
}

fn frame_header(body: &[u8], progressive: bool) -> Result<Header, String> {
    let &[precision, h1, h0, w1, w0, components, ref rest @ ..] = body else {
        return Err("the frame header is cut short".into());
    };
    let (height, width) = (u32::from(u16::from_be_bytes([h1, h0])), u32::from(u16::from_be_bytes([w1, w0])));
    if precision != 8 {
        return Err(format!("{precision} bits a sample; only 8 are supported"));
    }
    if !matches!(components, 1 | 3 | 4) {
        return Err(format!("{components} components; 1, 3 or 4 are supported"));
    }
    // Three bytes a component: number, horizontal and vertical sampling in four bits each, table.
    let sampling = |c: usize| rest.get(c * 3 + 1).copied();
    let plain_sampling = matches!(sampling(0), Some(0x11 | 0x21 | 0x12 | 0x22 | 0x41))
        && (1..usize::from(components)).all(|c| sampling(c) == Some(0x11));
    Ok(Header { width, height, components, progressive, plain_sampling, huffman: false })
}

/// The file with an `AVI1` segment put first, which tells zune-jpeg to use the standard Huffman tables (T.81, annex K.3).
fn insert_avi1(data: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&[0xFF, 0xD8, 0xFF, 0xE0, 0x00, 0x07]);
    out.extend_from_slice(b"AVI1\0");
    out.extend_from_slice(data.get(2..).unwrap_or_default());
}

fn failed(reason: String) -> PreprocessError {
    PreprocessError::Decode { format: "JPEG", reason }
}
