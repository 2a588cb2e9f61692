//! Cutting the output of a child into pictures.

use crate::frame::{Frame, Image, PixelFormat};
use crate::source::mjpeg::{Found, Walker};

/// Bytes read at a time, as much as a pipe holds.
const CHUNK: usize = 64 * 1024;

/// A cutter of a stream into pictures.
#[derive(Debug)]
pub(in crate::source) enum Cut {
    /// JPEG pictures, one behind the other.
    Mjpeg(Mjpeg),
    /// Raw pictures of one size.
    Raw(Raw),
}

/// Cuts JPEG pictures by their structure.
#[derive(Debug)]
pub(in crate::source) struct Mjpeg {
    walker: Walker,
    /// Bytes read, of which `chunk[at..end]` are still to be walked.
    chunk: Vec<u8>,
    at: usize,
    end: usize,
    picture: Vec<u8>,
    /// The picture is whole and waits to be taken.
    whole: bool,
    /// Most bytes that a picture may have.
    most: usize,
    /// Bytes walked since the last picture.
    walked: usize,
    /// Bytes outside of pictures are the rest of a broken one, which was told already.
    broken: bool,
}

/// Cuts raw I420 pictures by their size, reading straight into the buffer that the frame will own.
#[derive(Debug)]
pub(in crate::source) struct Raw {
    width: u32,
    height: u32,
    filling: Vec<u8>,
    have: usize,
}

impl Mjpeg {
    /// For pictures of up to `most` bytes.
    pub(in crate::source) fn new(most: usize) -> Self {
        Mjpeg {
            walker: Walker::default(),
            chunk: vec![0; CHUNK],
            at: 0,
            end: 0,
            picture: Vec::new(),
            whole: false,
            most,
            walked: 0,
            broken: false,
        }
    }

    /// Copies the next whole picture to `out`, or says what is wrong with the bytes at hand; `None` = more are needed.
    fn take(&mut self, out: &mut Vec<u8>) -> Option<Result<(), String>> {
        loop {
            if self.whole {
                out.clear();
                out.extend_from_slice(&self.picture);
                self.picture.clear();
                self.whole = false;
                return Some(Ok(()));
            }
            let bytes = self.chunk.get(self.at..self.end).filter(|bytes| !bytes.is_empty())?;
            let (used, found) = self.walker.walk(bytes, &mut self.picture);
            self.at += used;
            self.walked += used;
            match found {
                Found::Picture => {
                    self.whole = true;
                    let strays = self.strays();
                    self.broken = false;
                    if let Some(error) = strays {
                        return Some(Err(error));
                    }
                }
                Found::Broken(reason) => {
                    self.picture.clear();
                    self.broken = true;
                    // The start of the next one may be what broke it.
                    self.walked = if self.walker.is_inside() { 2 } else { 0 };
                    return Some(Err(format!("broken JPEG: {reason}")));
                }
                Found::Nothing if self.picture.len() > self.most => {
                    self.picture.clear();
                    self.walker.reset();
                    self.broken = true;
                    self.walked = 0;
                    return Some(Err(format!("JPEG of more than {} bytes", self.most)));
                }
                Found::Nothing if self.picture.is_empty() && self.walked > self.most => {
                    if let Some(error) = self.strays() {
                        return Some(Err(error));
                    }
                }
                Found::Nothing => {}
            }
        }
    }

    /// A sentence about bytes outside of pictures.
    fn strays(&mut self) -> Option<String> {
        let strays = std::mem::take(&mut self.walked).saturating_sub(self.picture.len());
        (strays > 0 && !self.broken).then(|| format!("{strays} bytes that belong to no picture"))
    }
}

impl Raw {
    /// For I420 of so many pixels; chroma planes of odd sizes are rounded up, as `ffmpeg` writes them.
    pub(in crate::source) fn i420(width: u32, height: u32) -> Self {
        Raw { width, height, filling: Vec::new(), have: 0 }
    }

    fn size(&self) -> usize {
        let (w, h) = (self.width as usize, self.height as usize);
        w * h + 2 * w.div_ceil(2) * h.div_ceil(2)
    }
}

impl Cut {
    /// The place to read to; all bytes read before are used up.
    pub(super) fn room(&mut self) -> &mut [u8] {
        match self {
            Cut::Mjpeg(mjpeg) => &mut mjpeg.chunk,
            Cut::Raw(raw) => {
                raw.filling.resize(raw.size(), 0);
                raw.filling.get_mut(raw.have..).unwrap_or_default()
            }
        }
    }

    /// `n` bytes of the room were filled.
    pub(super) fn filled(&mut self, n: usize) {
        match self {
            Cut::Mjpeg(mjpeg) => (mjpeg.at, mjpeg.end) = (0, n),
            Cut::Raw(raw) => raw.have += n,
        }
    }

    /// Moves the next whole picture into `frame`, or says what is wrong with the bytes at hand; `None` = more are needed.
    pub(super) fn take(&mut self, frame: &mut Frame) -> Option<Result<(), String>> {
        match self {
            Cut::Mjpeg(mjpeg) => {
                let image = frame.image_mut();
                let taken = mjpeg.take(&mut image.data)?;
                (image.format, image.width, image.height, image.stride) = (PixelFormat::Jpeg, 0, 0, 0);
                Some(taken)
            }
            Cut::Raw(raw) => {
                if raw.have < raw.size() {
                    return None;
                }
                let image: &mut Image = frame.image_mut();
                std::mem::swap(&mut image.data, &mut raw.filling);
                (image.format, image.width, image.height, image.stride) =
                    (PixelFormat::I420, raw.width, raw.height, raw.width);
                raw.have = 0;
                Some(Ok(()))
            }
        }
    }

    pub(super) fn clear(&mut self) {
        match self {
            Cut::Mjpeg(mjpeg) => *mjpeg = Mjpeg::new(mjpeg.most),
            Cut::Raw(raw) => raw.have = 0,
        }
    }
}
