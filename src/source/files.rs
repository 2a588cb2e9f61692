//! `files`: pictures from a file, a directory or a glob.
//!
//! One picture is in memory at a time: `.mjpeg` and `.y4m` files are streamed. What cannot be read is a bad frame naming
//! the file, and the next file is taken.

mod mjpeg;
mod y4m;

use std::ffi::OsStr;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::backoff::Backoff;
use super::{FilesConfig, Next, Source, SourceError};
use crate::frame::{Frame, PixelFormat};
use crate::sys::file::{self, FileError};

/// Most bytes that one picture may have, encoded or not.
pub const MOST_BYTES: usize = 64 << 20;

/// Longest sleep inside `next`, so that its thread can be stopped.
const NAP: Duration = Duration::from_millis(200);

const STREAMS: [&str; 3] = ["mjpeg", "mjpg", "y4m"];
const PICTURES: [&str; 4] = ["jpg", "jpeg", "png", "bmp"];

/// Pictures from files.
pub struct Files {
    pattern: String,
    repeat: bool,
    /// Time between two pictures; zero = as fast as they are taken.
    interval: Duration,
    due: Instant,
    /// What is still to come in this round, last first.
    files: Vec<PathBuf>,
    stream: Option<Stream>,
    /// Pictures given in this round.
    given: u64,
    /// The list is to be read again before anything else happens.
    stale: bool,
    /// Why there was never a list: what it is of is waited for.
    absent: Option<String>,
    backoff: Backoff,
}

/// Why there is no list of files.
enum Unlisted {
    /// Nothing is there now.
    Now(String),
    /// There can be none.
    Never(String),
}

impl Unlisted {
    fn reason(self) -> String {
        match self {
            Unlisted::Now(reason) | Unlisted::Never(reason) => reason,
        }
    }
}

/// A file with many pictures.
struct Stream {
    path: PathBuf,
    kind: StreamKind,
    pictures: u64,
}

enum StreamKind {
    Mjpeg(mjpeg::Reader<BufReader<File>>),
    Y4m(y4m::Reader<BufReader<File>>),
}

/// What a reader of a stream answers.
enum Part {
    /// One picture was read.
    Picture,
    /// One picture was unreadable; another may follow.
    Broken(String),
    /// Nothing yet, after reading as much as one call should.
    Searching,
    /// The file is at its end.
    End,
}

impl Files {
    /// Lists the files. With `waits`, a path that is not there and a directory without pictures are looked for again in later calls of
    /// `next`.
    ///
    /// # Errors
    /// [`SourceError::Fatal`] when nothing matches, or nothing ever can.
    pub fn open(config: &FilesConfig, waits: bool) -> Result<Self, SourceError> {
        let fatal = |reason: String| SourceError::Fatal { origin: config.path.clone(), reason };
        if !config.fps.is_finite() || config.fps < 0.0 {
            return Err(fatal(format!("fps is {}, and must be 0 or more", config.fps)));
        }
        let interval =
            if config.fps > 0.0 { Duration::try_from_secs_f64(1.0 / config.fps) } else { Ok(Duration::ZERO) };
        let mut backoff = Backoff::default();
        let (files, absent) = match list(&config.path) {
            Ok(files) => (files, None),
            Err(Unlisted::Now(reason)) if waits => {
                backoff.failed(Instant::now());
                (Vec::new(), Some(reason))
            }
            Err(error) => return Err(fatal(error.reason())),
        };
        Ok(Files {
            pattern: config.path.clone(),
            repeat: config.repeat,
            interval: interval.unwrap_or(Duration::MAX),
            due: Instant::now(),
            files,
            stream: None,
            given: 0,
            stale: absent.is_some(),
            absent,
            backoff,
        })
    }

    fn bad(path: &Path, reason: impl Into<String>) -> SourceError {
        SourceError::Bad { origin: path.display().to_string(), reason: reason.into() }
    }

    /// Reads the next picture over `frame`, from the open stream or the next file.
    fn read(&mut self, frame: &mut Frame) -> Result<Next, SourceError> {
        let Some(stream) = &mut self.stream else { return self.begin(frame) };
        let image = frame.image_mut();
        let part = match &mut stream.kind {
            StreamKind::Mjpeg(reader) => {
                (image.format, image.width, image.height, image.stride) = (PixelFormat::Jpeg, 0, 0, 0);
                reader.next(&mut image.data)
            }
            StreamKind::Y4m(reader) => reader.next(image),
        };
        match part {
            Ok(Part::Picture) => {
                stream.pictures += 1;
                frame.origin = format!("{}#{}", stream.path.display(), stream.pictures);
                Ok(Next::Frame)
            }
            Ok(Part::Broken(reason)) => {
                stream.pictures += 1;
                Err(Self::bad(&stream.path, format!("picture {}: {reason}", stream.pictures)))
            }
            Ok(Part::Searching) => Ok(Next::Idle(format!("looking for a picture in {}", stream.path.display()))),
            Ok(Part::End) => {
                let empty = (stream.pictures == 0).then(|| Self::bad(&stream.path, "no picture in it"));
                self.stream = None;
                empty.map_or_else(|| Ok(Next::Idle("going to the next file".into())), Err)
            }
            Err(error) => {
                let error = Self::bad(&stream.path, format!("picture {}: {error}", stream.pictures + 1));
                self.stream = None;
                Err(error)
            }
        }
    }

    /// Takes the next file: reads it when it is one picture, opens it when it is a stream.
    fn begin(&mut self, frame: &mut Frame) -> Result<Next, SourceError> {
        let Some(path) = self.files.pop() else { return self.round() };
        let failed = |e: FileError| Self::bad(&path, e.to_string());
        let file = file::open_regular(&path).map_err(failed)?;
        if has_extension(&path, &STREAMS) {
            let file = BufReader::with_capacity(1 << 16, file);
            let kind = if has_extension(&path, &["y4m"]) {
                StreamKind::Y4m(y4m::Reader::new(file).map_err(|reason| Self::bad(&path, reason))?)
            } else {
                StreamKind::Mjpeg(mjpeg::Reader::new(file))
            };
            self.stream = Some(Stream { path, kind, pictures: 0 });
            return self.read(frame);
        }
        let image = frame.image_mut();
        image.data.clear();
        (image.width, image.height, image.stride) = (0, 0, 0);
        file::read_open_into(&file, MOST_BYTES as u64, &mut image.data).map_err(failed)?;
        image.format = whole_picture(&image.data).map_err(|reason| Self::bad(&path, reason))?;
        frame.origin = path.display().to_string();
        Ok(Next::Frame)
    }

    /// All files were read: ends, or lists them again.
    fn round(&mut self) -> Result<Next, SourceError> {
        if !self.repeat && self.absent.is_none() {
            return Ok(Next::End);
        }
        let now = Instant::now();
        let empty = |files: &Files| match &files.absent {
            Some(reason) => format!("{}: {reason}", files.pattern),
            None => format!("no readable picture in {}", files.pattern),
        };
        // A round that gave nothing is not repeated at once, or a directory of broken files would keep a core busy.
        if self.given == 0 && !self.stale {
            self.backoff.failed(now);
            self.stale = true;
        }
        if !self.backoff.is_due(now) {
            std::thread::sleep(NAP);
            return Ok(Next::Idle(empty(self)));
        }
        match list(&self.pattern) {
            Ok(files) => {
                self.files = files;
                self.absent = None;
                self.stale = false;
                self.given = 0;
                Ok(Next::Idle("starting again".into()))
            }
            Err(error) => {
                self.backoff.failed(now);
                let reason = error.reason();
                if self.stale {
                    self.absent = self.absent.take().map(|_| reason);
                    return Ok(Next::Idle(empty(self)));
                }
                self.stale = true;
                Err(SourceError::Lost { origin: self.pattern.clone(), reason })
            }
        }
    }
}

impl Source for Files {
    fn live(&self) -> bool {
        !self.interval.is_zero()
    }

    fn describe(&self) -> String {
        format!("files {}", self.pattern)
    }

    fn next(&mut self, frame: &mut Frame) -> Result<Next, SourceError> {
        let left = self.due.saturating_duration_since(Instant::now());
        std::thread::sleep(left.min(NAP));
        if left > NAP {
            return Ok(Next::Idle("waiting for the next picture's time".into()));
        }
        frame.truth = None;
        let mut answer = self.read(frame)?;
        // Going from one file to the next, or round again, is no reason to say that there is nothing.
        if matches!(answer, Next::Idle(_)) && self.stream.is_none() && !self.stale {
            answer = self.read(frame)?;
        }
        if answer == Next::Frame {
            let now = Instant::now();
            (frame.captured, frame.time) = (now, SystemTime::now());
            self.given += 1;
            self.backoff.worked();
            // Late pictures are not hurried to make up for the time.
            self.due = self.due.checked_add(self.interval).unwrap_or(now + Duration::from_secs(1 << 32)).max(now);
        }
        Ok(answer)
    }
}

/// Files that `pattern` stands for, last first.
fn list(pattern: &str) -> Result<Vec<PathBuf>, Unlisted> {
    let now = |e: std::io::Error| Unlisted::Now(e.to_string());
    let path = Path::new(pattern);
    let mut files = Vec::new();
    match std::fs::metadata(path) {
        Ok(about) if about.is_dir() => {
            for entry in std::fs::read_dir(path).map_err(now)? {
                let path = entry.map_err(now)?.path();
                let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
                if !hidden && (has_extension(&path, &PICTURES) || has_extension(&path, &STREAMS)) && !path.is_dir() {
                    files.push(path);
                }
            }
            if files.is_empty() {
                let reason = "no .jpg, .jpeg, .png, .bmp, .mjpeg, .mjpg or .y4m file in this directory";
                return Err(Unlisted::Now(reason.into()));
            }
        }
        Ok(about) if about.is_file() => files.push(path.into()),
        Ok(_) => return Err(Unlisted::Never("neither a file nor a directory".into())),
        Err(error) if !pattern.contains(['*', '?', '[']) => return Err(now(error)),
        Err(_) => {
            let found = glob::glob(pattern)
                .map_err(|e| Unlisted::Never(format!("not a glob: {} at position {}", e.msg, e.pos)))?;
            files.extend(found.flatten().filter(|p| !p.is_dir()));
            if files.is_empty() {
                return Err(Unlisted::Now("no file matches".into()));
            }
        }
    }
    files.sort_unstable_by(|a, b| b.cmp(a));
    Ok(files)
}

fn has_extension(path: &Path, wanted: &[&str]) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or("");
    wanted.iter().any(|w| extension.eq_ignore_ascii_case(w))
}

/// Whether `data` is one whole JPEG picture, by its structure.
///
/// # Errors
/// What is wrong with it.
pub fn check_jpeg(data: &[u8]) -> Result<(), String> {
    match data {
        [] => Err("the message is empty".into()),
        [0xff, 0xd8, ..] if data.len() > MOST_BYTES => {
            Err(format!("{} bytes, and at most {MOST_BYTES} are read", data.len()))
        }
        [0xff, 0xd8, ..] => super::mjpeg::check(data),
        _ => Err("not a JPEG picture".into()),
    }
}

/// The format of a whole picture file, told from its bytes and not from its name; or why it is none.
fn whole_picture(data: &[u8]) -> Result<PixelFormat, String> {
    if data.is_empty() {
        return Err("the file is empty".into());
    }
    if data.starts_with(b"\xff\xd8") {
        return super::mjpeg::check(data).map(|()| PixelFormat::Jpeg);
    }
    if let Some(chunks) = data.strip_prefix(b"\x89PNG\r\n\x1a\n") {
        return check_png(chunks).map(|()| PixelFormat::Png);
    }
    if data.starts_with(b"BM") {
        return Ok(PixelFormat::Bmp);
    }
    Err("neither JPEG, PNG nor BMP".into())
}

/// Whether the chunks of a PNG (length, type, data, CRC; PNG specification, section 5.3) go on to `IEND`.
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
mod tests;
