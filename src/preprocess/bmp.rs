//! BMP as meter cameras write it: uncompressed, 1 to 32 bits a pixel, rows from the bottom up or from the top down
//! (Microsoft, "Bitmap Storage"; headers from BITMAPCOREHEADER to BITMAPV5HEADER).

use super::error::PreprocessError;
use super::picture::{Channels, check_pixels};

/// Bytes before the information header.
const FILE_HEADER: usize = 14;
/// Size of the oldest information header, whose fields are shorter.
const CORE: usize = 12;
/// Size of the usual information header.
const INFO: usize = 40;
/// Position of the colour masks, behind or inside an information header.
const MASKS: usize = FILE_HEADER + INFO;

/// Decoded headers.
struct Header {
    width: usize,
    height: usize,
    top_down: bool,
    /// Bits per pixel.
    bits: usize,
    /// Masks of red, green and blue, for 16 and 32 bits.
    masks: [u32; 3],
    /// Colours of the palette, red first.
    palette: Vec<[u8; 3]>,
    /// Position of the pixels.
    offset: usize,
}

/// Decodes a file into `out` (resized to fit). Returns width and height in pixels and the channels.
///
/// # Errors
/// A description of the damage. Nothing is allocated before all pixels are known to be present.
pub(super) fn decode(data: &[u8], out: &mut Vec<u8>) -> Result<(u32, u32, Channels), PreprocessError> {
    let failed = |reason: String| PreprocessError::Decode { format: "BMP", reason };
    let header = read_header(data).map_err(failed)?;
    let (width, height) = (header.width as u32, header.height as u32);
    check_pixels("BMP", width, height)?;
    let row = (header.width * header.bits).div_ceil(8);
    let stride = (header.width * header.bits).div_ceil(32) * 4;
    // The last row may lack its padding.
    let needed = stride * (header.height - 1) + row;
    let found = data.len().saturating_sub(header.offset);
    let Some(pixels) = data.get(header.offset..).and_then(|pixels| pixels.get(..needed)) else {
        return Err(failed(format!(
            "the picture ends early: {found} bytes of pixels; {width}x{height} pixels of {} bits need {needed}",
            header.bits
        )));
    };
    out.clear();
    let grey = !header.palette.is_empty() && header.palette.iter().all(|[r, g, b]| r == g && g == b);
    let channels = match header.bits {
        24 => Channels::Bgr,
        _ if grey => Channels::Grey,
        _ => Channels::Rgb,
    };
    out.reserve(header.width * header.height * channels.bytes());
    for y in 0..header.height {
        let stored = if header.top_down { y } else { header.height - 1 - y };
        let line = pixels.get(stored * stride..).and_then(|rest| rest.get(..row)).unwrap_or_default();
        header.write_row(line, grey, out).map_err(failed)?;
    }
    Ok((width, height, channels))
}

impl Header {
    fn write_row(&self, line: &[u8], grey: bool, out: &mut Vec<u8>) -> Result<(), String> {
        match self.bits {
            24 => out.extend_from_slice(line),
            16 => out.extend(line.as_chunks().0.iter().flat_map(|&pair| self.masked(u16::from_le_bytes(pair).into()))),
            32 => out.extend(line.as_chunks().0.iter().flat_map(|&four| self.masked(u32::from_le_bytes(four)))),
            bits => {
                // Indices start at the upper bits of each byte.
                let (each, mask) = (8 / bits, ((1_u32 << bits) - 1) as u8);
                for x in 0..self.width {
                    let byte = line.get(x / each).copied().unwrap_or(0);
                    let index = byte >> (8 - bits - x % each * bits) & mask;
                    let colour = self
                        .palette
                        .get(usize::from(index))
                        .ok_or_else(|| format!("damaged: colour {index} of a palette of {}", self.palette.len()))?;
                    out.extend_from_slice(if grey { &colour[..1] } else { colour });
                }
            }
        }
        Ok(())
    }

    /// Red, green and blue of a pixel, each scaled to 0 to 255.
    fn masked(&self, pixel: u32) -> [u8; 3] {
        self.masks.map(|mask| {
            let shift = mask.trailing_zeros();
            let (value, most) = (u64::from((pixel & mask) >> shift), u64::from(mask >> shift));
            ((value * 255 + most / 2) / most) as u8
        })
    }
}

fn read_header(data: &[u8]) -> Result<Header, String> {
    if !data.starts_with(b"BM") {
        return Err("it does not begin with BM".into());
    }
    let cut = || format!("the picture ends early: its header is cut short, {} bytes", data.len());
    let u16_at =
        |at: usize| data.get(at..).and_then(|d| d.first_chunk()).map(|b| u16::from_le_bytes(*b)).ok_or_else(cut);
    let u32_at =
        |at: usize| data.get(at..).and_then(|d| d.first_chunk()).map(|b| u32::from_le_bytes(*b)).ok_or_else(cut);
    let size = u32_at(FILE_HEADER)? as usize;
    let core = size == CORE;
    if !core && !(INFO..=1024).contains(&size) {
        return Err(format!("unknown information header of {size} bytes"));
    }
    let (width, height, bits) = if core {
        (i32::from(u16_at(18)?), i32::from(u16_at(20)?), u16_at(24)?)
    } else {
        (u32_at(18)?.cast_signed(), u32_at(22)?.cast_signed(), u16_at(28)?)
    };
    let width_pixels = usize::try_from(width).map_err(|_| format!("a width of {width} pixels"))?;
    let height_pixels = height.unsigned_abs() as usize;
    let (compression, colours) = if core { (0, 0) } else { (u32_at(30)?, u32_at(46)? as usize) };
    let masks = match (compression, bits) {
        (0, 1 | 4 | 8 | 24) => [0; 3],
        (0, 16) => [0x7C00, 0x03E0, 0x001F],
        (0, 32) => [0x00FF_0000, 0x0000_FF00, 0x0000_00FF],
        (3 | 6, 16 | 32) => [u32_at(MASKS)?, u32_at(MASKS + 4)?, u32_at(MASKS + 8)?],
        (1 | 2, _) => return Err("run-length encoding is not supported; uncompressed pictures are".into()),
        (4 | 5, _) => return Err("a JPEG or PNG picture inside is not supported".into()),
        _ => return Err(format!("{bits} bits a pixel with compression {compression} are not supported")),
    };
    if matches!(bits, 16 | 32) {
        for mask in masks {
            // A mask is a single run of ones.
            let run = mask.checked_shr(mask.trailing_zeros()).unwrap_or(0);
            if run == 0 || run & run.wrapping_add(1) != 0 || bits == 16 && mask > 0xFFFF {
                return Err(format!("invalid colour mask {mask:#x}"));
            }
        }
    }
    let outside = if size == INFO && compression == 3 {
        12
    } else if size == INFO && compression == 6 {
        16
    } else {
        0
    };
    let tables = FILE_HEADER + size + outside;
    let mut palette = Vec::new();
    if bits <= 8 {
        let most = 1_usize << bits;
        let count = if colours == 0 { most } else { colours.min(most) };
        let entry = if core { 3 } else { 4 };
        let bytes = data.get(tables..).and_then(|d| d.get(..count * entry)).ok_or_else(cut)?;
        palette.extend(bytes.chunks_exact(entry).map(|c| match c {
            [blue, green, red, ..] => [*red, *green, *blue],
            _ => [0; 3],
        }));
    }
    let offset = match u32_at(10)? as usize {
        0 => tables + palette.len() * if core { 3 } else { 4 },
        offset if offset < tables => return Err(format!("pixels at byte {offset}, inside the header")),
        offset => offset,
    };
    Ok(Header {
        width: width_pixels,
        height: height_pixels,
        top_down: height < 0,
        bits: bits.into(),
        masks,
        palette,
        offset,
    })
}
