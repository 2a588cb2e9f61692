//! Where frames come from: `trait Source` and its implementations, one file each.
//!
//! A source owns its device, file or child process and fills the caller's [`Frame`]. It runs on a thread of its own
//! (`daemon`), which hands the frame to a slot of one where the newest wins.

pub mod address;
mod backoff;
mod config;
mod files;
mod mjpeg;
mod mqtt;
mod piped;
mod rpicam;
mod rtsp;
mod sensor;
mod sizes;
pub mod synthetic;
mod v4l2;

use std::sync::mpsc::Receiver;

pub use config::{
    Config, Decimal, Delimiter, FilesConfig, Header, MissingPolicy, MqttConfig, MqttContent, RpicamConfig, RtspConfig,
    RtspTransport, SensorConfig, SensorKind, SyntheticConfig, V4l2Config, V4l2Format,
};
pub use sensor::channels::match_names;

use crate::frame::{Frame, Incoming};
use crate::sys::Roots;
/// How secrets are kept out of what is shown.
pub use crate::sys::mask;

/// A producer of frames.
pub trait Source: Send {
    /// What it reads, for people: `v4l2 /dev/video0 640x480 MJPG`.
    fn describe(&self) -> String;

    /// Fills `frame` with the next picture or window, overwriting what it held and reusing its buffers, and sets
    /// `captured`, `time`, `truth`, `origin` and `payload` (`seq` is set by the caller).
    ///
    /// Returns within 500 ms, with [`Next::Idle`] when there is nothing yet, so that its thread can be stopped and the
    /// watchdog knows why nothing comes. A source paces itself: a camera by its driver, a file by `fps`.
    ///
    /// # Errors
    /// [`SourceError::Bad`] for one frame that could not be read (the caller counts it and goes on);
    /// [`SourceError::Lost`] when the device or child went away (the source itself reopens it with back-off in later
    /// calls, answering `Idle` in between); [`SourceError::Fatal`] when it can never work again.
    fn next(&mut self, frame: &mut Frame) -> Result<Next, SourceError>;

    /// Whether frames pass whether or not somebody takes them, so that an untaken one gives way to a newer one. A file that
    /// is read as fast as it is taken can wait, and then nothing of it is lost.
    fn live(&self) -> bool {
        true
    }

    /// Asks for pictures of another size from the next frame on: `side` is the longer side in pixels of one of
    /// [`capture_sizes`], `None` = as configured. Such pictures say in `full` what they would be otherwise. A size that the
    /// device refuses leaves the present one and is logged once. Sources that cannot do it ignore it.
    fn set_capture(&mut self, side: Option<u32>) {
        let _ = side;
    }
}

/// What [`Source::next`] achieved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The frame was filled.
    Frame,
    /// Nothing to give at the moment, and why: `waiting for the next frame`, `/dev/video0 is not there`.
    Idle(String),
    /// There will be no more (a file without `loop` was read to its end).
    End,
}

/// Why a source could not give a frame.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// One frame was unreadable; the next may be fine.
    #[error("{origin}: {reason}")]
    Bad {
        /// The file, device or topic.
        origin: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The device or child process went away; the source reopens it by itself.
    #[error("{origin}: {reason}")]
    Lost {
        /// The device or child.
        origin: String,
        /// What happened.
        reason: String,
    },
    /// It can never work: nothing a retry would mend.
    #[error("{origin}: {reason}")]
    Fatal {
        /// The file, device or child.
        origin: String,
        /// What is wrong.
        reason: String,
    },
}

/// What a source is given beside its configuration.
#[derive(Debug, Default)]
pub struct Context {
    /// Where `/proc`, `/sys` and `/dev` are.
    pub roots: Roots,
    /// Messages of the subscription that `daemon` made for an `mqtt` source. Bounded: when it is full, the newest is dropped
    /// and counted by the sender.
    pub incoming: Option<Receiver<Incoming>>,
    /// Whether a file, FIFO or directory that is not there is waited for, as a camera always is; else it is an error of [`open`].
    pub waits: bool,
    /// Channels that the model names, which a source of numbers gives by these names; empty = it names none, or there is no
    /// model.
    pub channels: Vec<String>,
}

/// `[width, height]` in pixels of the smaller pictures that the source can be asked for by [`Source::set_capture`] because they
/// cost less, largest first, all of the configured shape; empty where it cannot. `regions` says whether the pipeline looks at
/// parts of the picture only.
///
/// Opens nothing but a `v4l2` device, which is asked what it offers: empty while it is not there. It offers nothing to a
/// pipeline with regions either, because nobody says whether a camera's smaller picture shows the same field of view. The
/// others scale the whole picture.
pub fn capture_sizes(config: &Config, regions: bool) -> Vec<[u32; 2]> {
    match config {
        Config::Synthetic(config) => sizes::free([config.width, config.height], 2),
        Config::V4l2(_) if regions => Vec::new(),
        Config::V4l2(config) => v4l2::capture_sizes(config),
        Config::Rpicam(config) => rpicam::capture_sizes(config),
        Config::Rtsp(config) => rtsp::capture_sizes(config),
        Config::Files(_) | Config::Sensor(_) | Config::Mqtt(_) => Vec::new(),
    }
}

/// Opens the source that `config` describes. A device that is not there yet is no error: the source answers
/// [`Next::Idle`] and goes on looking for it.
///
/// # Errors
/// [`SourceError::Fatal`] when it can never work, or what it reads is not there and it [does not wait](Context::waits).
pub fn open(config: &Config, context: Context) -> Result<Box<dyn Source>, SourceError> {
    let Context { roots, incoming, waits, channels } = context;
    match config {
        Config::Synthetic(config) => Ok(Box::new(synthetic::Synthetic::new(config)?)),
        Config::Files(config) => Ok(Box::new(files::Files::open(config, waits)?)),
        Config::V4l2(config) => Ok(v4l2::open(config)),
        Config::Rpicam(config) => rpicam::open(config),
        Config::Rtsp(config) => rtsp::open(config),
        Config::Sensor(config) => sensor::open(config, &channels, roots, waits),
        Config::Mqtt(config) => Ok(Box::new(mqtt::Mqtt::open(config, &channels, incoming)?)),
    }
}
