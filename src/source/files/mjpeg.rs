//! A stream of JPEG pictures, read one picture at a time.

use std::io::BufRead;

use super::picture::{MOST_BYTES, Part};
use crate::source::mjpeg::{Found, Walker};

/// Bytes that one call reads at most while it finds no picture.
const MOST_SEARCHED: usize = 8 << 20;

/// Reads pictures from a stream.
pub struct Reader<R> {
    input: R,
    walker: Walker,
}

impl<R: BufRead> Reader<R> {
    /// Pictures from `input`.
    pub fn new(input: R) -> Self {
        Reader { input, walker: Walker::default() }
    }

    /// Reads the next picture over `out`.
    pub fn next(&mut self, out: &mut Vec<u8>) -> std::io::Result<Part> {
        out.clear();
        let mut searched = 0;
        loop {
            let bytes = match self.input.fill_buf() {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                bytes => bytes?,
            };
            if bytes.is_empty() {
                let inside = self.walker.is_inside();
                self.walker.reset();
                return Ok(if inside { Part::Broken("it ends early".into()) } else { Part::End });
            }
            let (used, found) = self.walker.walk(bytes, out);
            self.input.consume(used);
            match found {
                Found::Picture => return Ok(Part::Picture),
                Found::Broken(reason) => return Ok(Part::Broken(reason.into())),
                Found::Nothing if out.len() > MOST_BYTES => {
                    self.walker.reset();
                    return Ok(Part::Broken(format!("more than {MOST_BYTES} bytes")));
                }
                Found::Nothing if out.is_empty() => {
                    searched += used;
                    if searched > MOST_SEARCHED {
                        return Ok(Part::Searching);
                    }
                }
                Found::Nothing => {}
            }
        }
    }
}
