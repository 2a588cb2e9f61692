//! JPEG decoding that verifies the file's structure and every block of its entropy-coded data first.
//!
//! A decoder paints missing parts grey, and a half-grey picture must not pass for what the camera saw. zune-jpeg 0.5 does not
//! report it when a marker follows the cut, so the data is scanned here first, without an inverse DCT:
//!
//! ```text
//! segments ─▶ one sequential scan, Y'CbCr or grey, plain sampling ─▶ scan::check ─▶ zune-jpeg
//!         └─▶ anything else: several scans, progressive, CMYK, … ──▶ scan::decode ─▶ picture::paint
//! ```
//!
//! zune-jpeg (the fast path) has no scaled (1/2, 1/4, 1/8) inverse DCT, so the whole picture is decoded; for grey only the
//! luminance blocks are transformed. It decodes baseline files of several scans to garbage (zune-image 419, 422) and skips stray
//! bytes by a rule of its own (zune-image 261), so it only receives unambiguous files.

mod bits;
mod coefficients;
mod fault;
mod huffman;
mod picture;
mod progressive;
mod scan;
mod segments;
mod units;

use std::panic::{AssertUnwindSafe, catch_unwind};

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::error::PreprocessError;
use super::picture::{Channels, MAX_PIXELS, check_pixels};
use coefficients::Coefficients;
use segments::{Colours, FrameHeader, ScanHeader, Segments, Tables};

/// Bound on pixels per byte of file: a block of 8×8 needs at least one bit, and the chroma blocks more. A tiny file that claims a
/// huge picture is refused before its buffer is allocated.
const MAX_PIXELS_PER_BYTE: u64 = 1024;

/// Most pixels of a picture decoded through its coefficients, which take 2 bytes per sample.
const MAX_KEPT_PIXELS: u64 = MAX_PIXELS / 4;

/// Most scans of a picture. Encoders write about ten; each pass covers the whole picture, even if it has few bytes.
const MOST_SCANS: usize = 100;

const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;

/// Properties of a decoded picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Channels of a pixel.
    pub channels: Channels,
    /// EXIF orientation, 1 to 8; 1 where the file has none.
    pub orientation: u8,
}

/// Decodes JPEG files; keeps the Huffman tables from one file to the next.
#[derive(Debug, Default)]
pub(super) struct Jpeg {
    tables: Tables,
}

/// Result of scanning a file.
enum Walked {
    /// Complete and suitable for zune-jpeg.
    Plain {
        /// Stray bytes have to be removed, or a table added.
        tidy: bool,
    },
    /// Decoded to coefficients.
    Kept(Coefficients),
}

impl Jpeg {
    /// Decodes a file into `out` (resized to fit). `scratch` is for files with stray bytes and those without Huffman tables.
    ///
    /// # Errors
    /// A description of the damage; an incomplete picture counts as damaged.
    pub fn decode(
        &mut self,
        data: &[u8],
        grey: bool,
        out: &mut Vec<u8>,
        scratch: &mut Vec<u8>,
    ) -> Result<Decoded, PreprocessError> {
        let mut walked = self.walk(data, false)?;
        if let Walked::Plain { tidy } = walked {
            match self.decode_plain(data, tidy, grey, out, scratch) {
                Ok(channels) => return Ok(self.decoded(channels)),
                // The picture is complete: decode it here.
                Err(_) => walked = self.walk(data, true)?,
            }
        }
        let (Walked::Kept(coefficients), Some(frame)) = (walked, &self.tables.frame) else {
            return Err(failed("the decoder failed on this file".into()));
        };
        let colours = self.tables.colours();
        let luma = grey && colours == Colours::YCbCr || colours == Colours::Grey;
        picture::paint(frame, coefficients.components, colours, luma, out);
        Ok(self.decoded(if luma { Channels::Grey } else { Channels::Rgb }))
    }

    fn decoded(&self, channels: Channels) -> Decoded {
        let (width, height) = self.tables.frame.as_ref().map_or((0, 0), |f| (f.width as u32, f.height as u32));
        Decoded { width, height, channels, orientation: self.tables.orientation.unwrap_or(1) }
    }

    fn decode_plain(
        &self,
        data: &[u8],
        tidy: bool,
        grey: bool,
        out: &mut Vec<u8>,
        scratch: &mut Vec<u8>,
    ) -> Result<Channels, String> {
        if tidy {
            copy_tidy(data, self.tables.has_huffman, scratch)?;
        }
        let data = if tidy { scratch.as_slice() } else { data };
        // No known file makes zune-jpeg panic; if one does, it costs that frame and not the daemon.
        let decoded = catch_unwind(AssertUnwindSafe(|| decode_pixels(data, grey, out)));
        decoded.unwrap_or_else(|_| Err("the decoder failed on this file".into()))
    }

    /// Scans the whole file: `Ok` when every block of every scan is present. With `keep` all coefficients are kept, otherwise
    /// only those of files unsuitable for zune-jpeg.
    fn walk(&mut self, data: &[u8], keep: bool) -> Result<Walked, PreprocessError> {
        let tables = &mut self.tables;
        tables.begin();
        let mut segments = Segments::new(data).map_err(failed)?;
        let (mut walked, mut scans) = (None, 0);
        loop {
            let segment = segments.next().map_err(failed)?;
            match segment.code {
                EOI => break,
                SOS => {}
                _ => {
                    tables.take(&segment).map_err(failed)?;
                    continue;
                }
            }
            scans += 1;
            let header = tables.scan(segment.body).map_err(failed)?;
            let frame = tables.frame.as_ref().ok_or_else(|| failed("a scan before the frame header".into()))?;
            let to = match &mut walked {
                Some(walked) => walked,
                none => none.insert(begin(tables, frame, &header, data.len(), keep)?),
            };
            let scanned = match to {
                Walked::Plain { .. } if scans > 1 => Err("a second scan of what the first one held".into()),
                Walked::Kept(_) if scans > MOST_SCANS => Err(format!("more than {MOST_SCANS} scans")),
                Walked::Plain { .. } => scan::check(data, segments.at, tables, &header),
                Walked::Kept(coefficients) => scan::decode(data, segments.at, tables, &header, coefficients),
            };
            let scanned = scanned.map_err(failed)?;
            if scanned.strays && matches!(walked, Some(Walked::Plain { .. })) {
                return self.walk(data, true);
            }
            segments.at = scanned.end;
        }
        match walked {
            None => Err(failed("no scan: the picture's data is missing".into())),
            Some(Walked::Kept(coefficients)) => {
                coefficients.check_complete().map_err(failed)?;
                Ok(Walked::Kept(coefficients))
            }
            Some(Walked::Plain { .. }) => Ok(Walked::Plain { tidy: segments.strays > 0 || !tables.has_huffman }),
        }
    }
}

/// The decoding path for a picture whose first scan is `header`. Checks its size before allocating.
fn begin(
    tables: &Tables,
    frame: &FrameHeader,
    header: &ScanHeader,
    bytes: usize,
    keep: bool,
) -> Result<Walked, PreprocessError> {
    let (width, height) = (frame.width as u32, frame.height as u32);
    check_pixels("JPEG", width, height)?;
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MAX_PIXELS_PER_BYTE * bytes as u64 {
        return Err(failed(format!("{width}x{height} pixels in {bytes} bytes")));
    }
    let all = header.components.len() == frame.components.len();
    if !keep
        && all
        && !frame.progressive
        && frame.plain_sampling
        && frame.components.len() < 4
        && tables.plain_colours()
    {
        for component in &frame.components {
            if tables.quantisation.get(component.table).is_none_or(Option::is_none) {
                return Err(failed(format!("quantisation table {} is missing", component.table)));
            }
        }
        return Ok(Walked::Plain { tidy: false });
    }
    if pixels > MAX_KEPT_PIXELS {
        return Err(PreprocessError::Size(format!(
            "the JPEG is {width}x{height} pixels in several scans or unusual colours, at most {MAX_KEPT_PIXELS} are taken"
        )));
    }
    Ok(Walked::Kept(Coefficients::new(frame)))
}

fn decode_pixels(data: &[u8], grey: bool, out: &mut Vec<u8>) -> Result<Channels, String> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(data), options);
    decoder.decode_headers().map_err(|e| e.to_string())?;
    // Only Y'CbCr and grey files hold luminance as a plane of its own.
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

/// Copies a single-scan file without segments that decoding does not need. Without Huffman tables, an `AVI1` segment comes first,
/// which tells zune-jpeg to use the standard ones (T.81, annex K.3).
fn copy_tidy(data: &[u8], has_huffman: bool, out: &mut Vec<u8>) -> Result<(), String> {
    out.clear();
    out.extend_from_slice(&[0xFF, 0xD8]);
    if !has_huffman {
        out.extend_from_slice(&[0xFF, 0xE0, 0x00, 0x07]);
        out.extend_from_slice(b"AVI1\0");
    }
    let mut segments = Segments::new(data)?;
    loop {
        let segment = segments.next()?;
        if matches!(segment.code, 0xC0..=0xC4 | 0xDB | 0xDD | SOS) {
            out.push(0xFF);
            out.extend_from_slice(data.get(segment.at..segments.at).unwrap_or_default());
        }
        if segment.code == SOS {
            break;
        }
    }
    out.extend_from_slice(data.get(segments.at..).unwrap_or_default());
    Ok(())
}

fn failed(reason: String) -> PreprocessError {
    PreprocessError::Decode { format: "JPEG", reason }
}
