//! `files`: pictures from a file, a directory or a glob.
//!
//! One picture is in memory at a time: `.mjpeg` and `.y4m` files are streamed. What cannot be read is a bad frame naming
//! the file, and the next file is taken.

mod list;
mod mjpeg;
mod picture;
mod y4m;

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::backoff::Backoff;
use super::contract::{Context, Next, Source, SourceError};
use super::kind::{self, Frames, Paths, SourceKind};
use crate::frame::diagnostic::{Diagnostic, quoted};
use crate::frame::{Frame, Image, PixelFormat};
use crate::sys::file::{self, FileError};
use crate::sys::landlock;
pub use list::names_pictures;
use list::{STREAMS, Unlisted, WILD, has_extension, list};
pub(super) use picture::check_jpeg;
use picture::{MOST_BYTES, Part, format_of, whole_picture};
pub use picture::{image_of, stated_size};

/// Start of a picture's file that holds its size: cameras write previews and places before it.
const HEADERS_BYTES: u64 = 1 << 20;
/// Longest sleep inside `next`, so that its thread can be stopped.
const NAP: Duration = Duration::from_millis(200);

/// Pictures from files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesConfig {
    /// A file, a directory (its pictures in name order) or a glob (`/data/*.jpg`) of JPEG, PNG and BMP pictures;
    /// `.mjpeg`/`.mjpg` and `.y4m` files hold many.
    #[schemars(length(min = 1))]
    pub path: String,
    /// Start again at the end.
    #[serde(default, rename = "loop")]
    pub repeat: bool,
    /// Pictures per second; 0 = as fast as they are taken.
    #[serde(default = "one")]
    #[schemars(range(min = 0.0, max = 240.0))]
    pub fps: f64,
}

/// Files that a path, a directory or a glob stands for, in the order of their names.
///
/// # Errors
/// The reason for which there are none.
pub fn listed(pattern: &str) -> Result<Vec<PathBuf>, String> {
    let mut files = list(pattern).map_err(Unlisted::reason)?;
    files.reverse();
    Ok(files)
}

fn one() -> f64 {
    1.0
}

impl SourceKind for FilesConfig {
    /// Fatal when nothing matches, or nothing ever can. With [`Context::waits`], a path that is not there and a directory
    /// without pictures are looked for again in later calls of `next`.
    fn open(&self, context: Context) -> Result<Box<dyn Source>, SourceError> {
        Ok(Box::new(Files::open(self, context.waits)?))
    }

    fn describe(&self) -> String {
        format!("files {}", self.path)
    }

    fn frames(&self) -> Frames<'_> {
        Frames::Pictures { format: PixelFormat::Jpeg, size: None }
    }

    fn frame_interval(&self) -> Duration {
        kind::interval(self.fps)
    }

    fn is_unpaced(&self) -> bool {
        self.frame_interval().is_zero()
    }

    fn paths(&self) -> Paths {
        Paths { read: vec![fixed_part(&self.path)], ..Paths::default() }
    }

    fn size_now(&self) -> Option<[u32; 2]> {
        let file = list(&self.path).ok()?.pop()?;
        let mut start = Vec::new();
        file::open_regular(&file).ok()?.take(HEADERS_BYTES).read_to_end(&mut start).ok()?;
        stated_size(&Image { format: format_of(&start).ok()?, data: start, ..Image::default() })
    }

    fn check_files(&self) -> Vec<Diagnostic> {
        let path = Path::new(&self.path);
        let message = if path.is_dir() {
            let holds_file = std::fs::read_dir(path).is_ok_and(|all| all.flatten().any(|e| e.path().is_file()));
            (!holds_file).then(|| "the directory holds no file".to_owned())
        } else if path.exists() {
            None
        } else if self.path.contains(WILD) {
            match glob::glob(&self.path) {
                Ok(mut matches) => matches.next().is_none().then(|| "matches no file".to_owned()),
                Err(error) => Some(format!("not a glob: {}", error.msg)),
            }
        } else {
            Some("there is no such file or directory".to_owned())
        };
        message.map(|message| Diagnostic::error("path", message).found(quoted(&self.path))).into_iter().collect()
    }
}

/// The directory that holds all matches of a path with `*`, `?` and `[`.
fn fixed_part(path: &str) -> PathBuf {
    let fixed = path.find(WILD).map_or(path, |at| &path[..at]);
    match fixed {
        "" => ".".into(),
        fixed if fixed.ends_with('/') || Path::new(path).is_dir() => fixed.into(),
        fixed => landlock::directory(Path::new(fixed)),
    }
}

/// The source.
struct Files {
    pattern: String,
    repeat: bool,
    /// Time between two pictures; zero = as fast as they are taken.
    interval: Duration,
    due: Instant,
    /// Files still to come in this round, last first.
    files: Vec<PathBuf>,
    stream: Option<Stream>,
    /// Pictures given in this round.
    given: u64,
    /// The list is to be read again before anything else happens.
    stale: bool,
    /// Reason why there was never a list: its files are waited for.
    absent: Option<String>,
    backoff: Backoff,
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

impl Files {
    /// Lists the files. With `waits`, a path that is not there and a directory without pictures are looked for again in later calls of
    /// `next`.
    ///
    /// # Errors
    /// [`SourceError::Fatal`] when nothing matches, or nothing ever can.
    fn open(config: &FilesConfig, waits: bool) -> Result<Self, SourceError> {
        let fatal = |reason: String| SourceError::Fatal { origin: config.path.clone(), reason };
        if !config.fps.is_finite() || config.fps < 0.0 {
            return Err(fatal(format!("fps is {}, and must be 0 or more", config.fps)));
        }
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
            interval: kind::interval(config.fps),
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

#[cfg(test)]
mod tests;
