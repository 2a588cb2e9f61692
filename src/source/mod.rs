//! Sources of frames: one file for each kind, which answers for itself.
//!
//! A configuration is a [`SourceKind`]: it answers for its frames, pace, sizes, device, paths and faults, and opens a [`Source`].
//! A source owns its device, file or child process and fills the caller's [`Frame`](crate::frame::Frame). It runs on a thread
//! of its own (`runtime`), which hands the frame to a slot of one where the newest wins.
//!
//! A new kind is a file with its configuration and source, and a line in the list of kinds in `config.rs`.

pub mod address;
mod backoff;
mod config;
mod contract;
mod files;
mod kind;
mod mjpeg;
mod mqtt;
mod piped;
mod program;
mod rpicam;
mod rtsp;
mod sensor;
mod sizes;
mod synthetic;
mod v4l2;

pub use config::{Config, open};
pub use contract::{Context, Next, Source, SourceError};
pub use files::FilesConfig;
pub use kind::{Device, Frames, Paths, SourceKind, Subscription};
pub use mqtt::{MqttConfig, MqttContent};
pub use rpicam::RpicamConfig;
pub use rtsp::{RtspConfig, RtspTransport};
pub use sensor::channels::match_names;
pub use sensor::config::{Decimal, Delimiter, Header, MissingPolicy, SensorConfig, SensorKind};
pub use synthetic::SyntheticConfig;
pub use v4l2::{V4l2Config, V4l2Format};

/// Masking of secrets in text that is shown.
pub use crate::sys::mask;
