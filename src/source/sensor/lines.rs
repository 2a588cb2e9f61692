//! Lines from a file, a FIFO, a serial line or standard input, without ever blocking for long.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;

/// Longest line, in bytes.
pub const MOST_LINE: usize = 1 << 20;

/// Bytes read at once, and how often within one call.
const CHUNK: usize = 1 << 16;
const MOST_FILLS: u32 = 64;

/// Kind of file that the lines come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// It is all there, and has an end.
    Plain,
    /// Lines come as they are written, and writers come and go.
    Fifo,
    /// A terminal or another character device.
    Device,
    /// Standard input, if that is not a plain file; its end is the end.
    Stdin,
}

/// Result of [`Lines::next`].
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line without its end.
    Text(&'a [u8]),
    /// A line longer than [`MOST_LINE`], left out.
    TooLong,
    /// Nothing came in time.
    Nothing,
    /// The file's end, or all writers of the FIFO are gone.
    End,
}

/// Splits what is read into lines and counts them.
#[derive(Debug)]
pub struct Lines {
    file: File,
    kind: FileKind,
    buffer: Vec<u8>,
    /// Start of the next line in `buffer`, and end of the bytes without a line end.
    start: usize,
    looked: usize,
    /// The rest of a line that is too long is being left out.
    skipping: bool,
    ended: bool,
    /// Lines read so far.
    pub number: u64,
}

impl Lines {
    /// Opens `path`, or standard input for `-`.
    ///
    /// # Errors
    /// The system's error.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let (file, kind) = if path == Path::new("-") {
            let file = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
            let kind = if file.metadata()?.is_file() { FileKind::Plain } else { FileKind::Stdin };
            (file, kind)
        } else {
            // Not to wait for the writer of a FIFO or the carrier of a serial line, nor to become its terminal's owner.
            let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
            let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
            let kind = match file.metadata()?.file_type() {
                t if t.is_file() => FileKind::Plain,
                t if t.is_fifo() => FileKind::Fifo,
                t if t.is_char_device() => FileKind::Device,
                t if t.is_dir() => return Err(std::io::Error::other("it is a directory")),
                _ => return Err(std::io::Error::other("neither a file, a FIFO nor a character device")),
            };
            (file, kind)
        };
        let buffer = Vec::new();
        Ok(Lines { file, kind, buffer, start: 0, looked: 0, skipping: false, ended: false, number: 0 })
    }

    /// The kind of file.
    pub fn kind(&self) -> FileKind {
        self.kind
    }

    /// Goes back to the first line of a plain file.
    ///
    /// # Errors
    /// The system's error.
    pub fn rewind(&mut self) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        self.buffer.clear();
        (self.start, self.looked, self.skipping, self.ended, self.number) = (0, 0, false, false, 0);
        Ok(())
    }

    /// The next line, waiting for at most `patience`. The last line needs no end.
    ///
    /// # Errors
    /// The system's error when the file cannot be read any more.
    pub fn next(&mut self, patience: Duration) -> std::io::Result<Line<'_>> {
        // A writer that dribbles, or a file that is one endless line, does not keep us here.
        let mut fills = if self.kind == FileKind::Plain { MOST_FILLS } else { 1 };
        loop {
            let end = self.buffer.get(self.looked..).and_then(|rest| rest.iter().position(|&b| b == b'\n'));
            let (from, to) = match end {
                Some(n) => {
                    let to = self.looked + n;
                    let from = std::mem::replace(&mut self.start, to + 1);
                    (from, to)
                }
                None if self.ended => {
                    let (from, to) = (self.start, self.buffer.len());
                    self.start = to;
                    if from == to && !self.skipping {
                        return Ok(Line::End);
                    }
                    (from, to)
                }
                None => {
                    self.looked = self.buffer.len();
                    if self.looked - self.start > MOST_LINE {
                        self.skipping = true;
                        self.start = self.looked;
                    }
                    if fills == 0 || !self.fill(patience)? {
                        return Ok(Line::Nothing);
                    }
                    fills -= 1;
                    continue;
                }
            };
            self.looked = self.start;
            self.number += 1;
            if std::mem::take(&mut self.skipping) || to - from > MOST_LINE {
                return Ok(Line::TooLong);
            }
            let text = self.buffer.get(from..to).unwrap_or_default();
            return Ok(Line::Text(text.strip_suffix(b"\r").unwrap_or(text)));
        }
    }

    /// Reads some bytes, or learns of the end; says whether anything was learnt.
    fn fill(&mut self, patience: Duration) -> std::io::Result<bool> {
        if self.kind != FileKind::Plain {
            let timeout = patience.try_into().map_err(|_| std::io::Error::other("a wait too long"))?;
            match poll(&mut [PollFd::new(&self.file, PollFlags::IN)], Some(&timeout)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(false),
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.buffer.drain(..self.start);
        self.looked -= self.start;
        self.start = 0;
        let length = self.buffer.len();
        self.buffer.resize(length + CHUNK, 0);
        let read = self.file.read(self.buffer.get_mut(length..).unwrap_or_default());
        self.buffer.truncate(length + read.as_ref().map_or(0, |n| *n));
        match read {
            Ok(n) => {
                self.ended = n == 0;
                Ok(true)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
