//! Facts about a kind of source, which its configuration answers before anything is opened.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::contract::{Context, Source, SourceError};
use crate::frame::PixelFormat;
use crate::frame::diagnostic::Diagnostic;

/// Configuration of one kind of source.
pub trait SourceKind {
    /// Opens the source. A device that is not there yet is no error: the source answers
    /// [`Next::Idle`](super::Next::Idle) and goes on looking for it.
    ///
    /// # Errors
    /// [`SourceError::Fatal`] when it can never work, or its input is not there and it [does not wait](Context::waits).
    fn open(&self, context: Context) -> Result<Box<dyn Source>, SourceError>;

    /// The source in a few words for people, without a password.
    fn describe(&self) -> String;

    /// The frames that it gives.
    fn frames(&self) -> Frames<'_>;

    /// Time between two frames at full work; zero where it is not known.
    fn frame_interval(&self) -> Duration {
        Duration::ZERO
    }

    /// True for frames without a pace of their own: as many come as are taken.
    fn is_unpaced(&self) -> bool {
        false
    }

    /// True for a camera, which looks at one scene for long.
    fn is_camera(&self) -> bool {
        false
    }

    /// True for a scene that begins anew with every start of the process, so that an earlier reading of it is worth nothing.
    fn begins_anew(&self) -> bool {
        false
    }

    /// `[width, height]` in pixels of the smaller pictures that can be asked for by [`Source::set_capture`] because they cost
    /// less, largest first, all of the configured shape; empty where there are none. `regions` is true for a reader of parts of
    /// the picture, for which a smaller picture must show the same field of view.
    ///
    /// May open a device to ask it.
    fn capture_sizes(&self, regions: bool) -> Vec<[u32; 2]> {
        let _ = regions;
        Vec::new()
    }

    /// The device that only one source can read at a time.
    fn exclusive_device(&self) -> Option<Device> {
        None
    }

    /// Files and devices that must be within reach.
    fn paths(&self) -> Paths {
        Paths::default()
    }

    /// The MQTT subscription whose messages the source takes from [`Context::incoming`].
    fn subscription(&self) -> Option<Subscription<'_>> {
        None
    }

    /// Faults of the values alone; looks at nothing else.
    fn check(&self) -> Vec<Diagnostic> {
        Vec::new()
    }

    /// Faults of the files, devices and programs that it names on this computer: an input that may still come is a warning.
    fn check_files(&self) -> Vec<Diagnostic> {
        Vec::new()
    }

    /// Reason for which no reading that the source gives now has the channels `model`; `None` where one has, or it cannot be told. Reads
    /// plain files and sysfs, for at most half a second.
    fn refusal(&self, model: &[String]) -> Option<String> {
        let _ = model;
        None
    }

    /// `[width, height]` in pixels of the pictures that it gives now, where the configuration does not say it and a look at a file does.
    fn size_now(&self) -> Option<[u32; 2]> {
        None
    }

    /// Keys whose values hold a password.
    fn secret_keys(&self) -> Vec<&'static str> {
        Vec::new()
    }

    /// Identity of the view: two sources with the same one show the same scene at the same size, so that a place in one picture
    /// is the same place in the other. `None` = only equal configurations do. May hold a password: not to be shown.
    fn view(&self) -> Option<String> {
        None
    }
}

/// Frames that a source gives, as far as its configuration tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frames<'a> {
    /// Pictures.
    Pictures {
        /// Their format.
        format: PixelFormat,
        /// `[width, height]` in pixels, where it is configured.
        size: Option<[u32; 2]>,
    },
    /// Windows of readings.
    Windows {
        /// Readings in one window.
        rows: u32,
        /// Channels in their order; empty = those that the model names, else those that are found.
        channels: &'a [String],
    },
}

impl Frames<'_> {
    /// True for windows of readings.
    pub fn are_windows(&self) -> bool {
        matches!(self, Frames::Windows { .. })
    }
}

/// A device that one source has for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its identity, for people.
    pub name: String,
    /// Key of the source's table that names it.
    pub key: &'static str,
}

/// An MQTT subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription<'a> {
    /// Topic filter.
    pub filter: &'a str,
    /// Key of the source's table that has it.
    pub key: &'static str,
}

/// Paths that a source opens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths {
    /// Files, and directories with all that is in them, that are read.
    pub read: Vec<PathBuf>,
    /// Devices, and directories of devices.
    pub devices: Vec<PathBuf>,
}

/// Interval of `fps` frames per second; zero where there is no such rate.
pub(super) fn interval(fps: f64) -> Duration {
    /// No source is slower: sums of times stay within range.
    const MOST: Duration = Duration::from_secs(1 << 32);
    if fps > 0.0 { Duration::try_from_secs_f64(1.0 / fps).unwrap_or(MOST).min(MOST) } else { Duration::ZERO }
}

/// `path` as a found value.
pub(super) fn shown(path: &Path) -> String {
    crate::frame::diagnostic::quoted(&path.display().to_string())
}
