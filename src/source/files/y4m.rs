//! YUV4MPEG2, the uncompressed video of `mjpegtools` and `ffmpeg -f yuv4mpegpipe` (`yuv4mpeg(5)`).
//!
//! 8-bit 4:2:0, 4:2:2 and mono are read; 4:2:2 becomes packed YUYV, the only 4:2:2 that a [`Frame`](crate::frame::Frame)
//! knows.

use std::io::{BufRead, Read};

use super::picture::{MOST_BYTES, Part};
use crate::frame::{Image, PixelFormat};

/// Longest header line.
const MOST_LINE: u64 = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chroma {
    Half,
    Wide,
    None,
}

/// Reads pictures from a stream.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    width: u32,
    height: u32,
    chroma: Chroma,
    line: Vec<u8>,
    /// One picture's planes, where they must be rearranged.
    planes: Vec<u8>,
}

impl<R: BufRead> Reader<R> {
    /// Reads the stream's header.
    pub fn new(mut input: R) -> Result<Self, String> {
        let mut line = Vec::new();
        read_line(&mut input, &mut line).map_err(|e| e.to_string())?;
        let text = std::str::from_utf8(&line).map_err(|_| "no YUV4MPEG2 header".to_owned())?;
        let mut words = text.split(' ').filter(|w| !w.is_empty());
        if words.next() != Some("YUV4MPEG2") {
            return Err("no YUV4MPEG2 header".into());
        }
        let (mut width, mut height, mut chroma) = (0, 0, Chroma::Half);
        for word in words {
            let (tag, value) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
            let size = || value.parse::<u32>().ok().filter(|v| (1..=65_535).contains(v));
            match tag {
                "W" => width = size().ok_or_else(|| format!("width {value:?} is not 1 to 65535"))?,
                "H" => height = size().ok_or_else(|| format!("height {value:?} is not 1 to 65535"))?,
                "C" => {
                    chroma = match value {
                        "420" | "420jpeg" | "420mpeg2" | "420paldv" => Chroma::Half,
                        "422" => Chroma::Wide,
                        "mono" => Chroma::None,
                        _ => return Err(format!("colour space {value:?}: only 8-bit 420, 422 and mono are read")),
                    }
                }
                _ => {}
            }
        }
        if width == 0 || height == 0 {
            return Err("the header says no width or no height".into());
        }
        if chroma == Chroma::Wide && width % 2 == 1 {
            return Err(format!("4:2:2 of odd width {width}"));
        }
        let reader = Reader { input, width, height, chroma, line, planes: Vec::new() };
        if reader.bytes() > MOST_BYTES as u64 {
            return Err(format!("{width}×{height} is {} bytes, and at most {MOST_BYTES} are read", reader.bytes()));
        }
        Ok(reader)
    }

    /// Bytes of one picture. A chroma plane of an odd size is rounded up.
    fn bytes(&self) -> u64 {
        let (w, h) = (u64::from(self.width), u64::from(self.height));
        match self.chroma {
            Chroma::Half => w * h + 2 * w.div_ceil(2) * h.div_ceil(2),
            Chroma::Wide => w * h * 2,
            Chroma::None => w * h,
        }
    }

    /// Reads the next picture over `image`. After an error the stream is of no use.
    pub fn next(&mut self, image: &mut Image) -> std::io::Result<Part> {
        let invalid = |reason: &str| std::io::Error::new(std::io::ErrorKind::InvalidData, reason.to_owned());
        if self.input.fill_buf()?.is_empty() {
            return Ok(Part::End);
        }
        read_line(&mut self.input, &mut self.line)?;
        if self.line != b"FRAME" && !self.line.starts_with(b"FRAME ") {
            return Err(invalid("no FRAME header"));
        }
        let bytes = self.bytes();
        let data = if self.chroma == Chroma::Wide { &mut self.planes } else { &mut image.data };
        data.clear();
        let read = self.input.by_ref().take(bytes).read_to_end(data)? as u64;
        if read < bytes {
            return Err(invalid(&format!("truncated: {read} of {bytes} bytes")));
        }
        (image.width, image.height, image.stride) = (self.width, self.height, 0);
        image.format = match self.chroma {
            Chroma::Half => PixelFormat::I420,
            Chroma::None => PixelFormat::Gray8,
            Chroma::Wide => {
                self.pack(&mut image.data);
                PixelFormat::Yuyv
            }
        };
        Ok(Part::Picture)
    }

    /// Y, U and V planes of 4:2:2 to Y0 U Y1 V.
    fn pack(&self, out: &mut Vec<u8>) {
        let pixels = self.width as usize * self.height as usize;
        let (y, chroma) = self.planes.split_at(pixels.min(self.planes.len()));
        let (u, v) = chroma.split_at(chroma.len() / 2);
        out.clear();
        for ((y, u), v) in y.chunks_exact(2).zip(u).zip(v) {
            if let [first, second] = y {
                out.extend([*first, *u, *second, *v]);
            }
        }
    }
}

/// Reads to the end of a line over `line`, which is left without it.
fn read_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<()> {
    line.clear();
    input.by_ref().take(MOST_LINE).read_until(b'\n', line)?;
    if line.pop() == Some(b'\n') {
        return Ok(());
    }
    Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "a header line without an end"))
}
