//! Sources of frames: one file for each kind, which answers for itself.
//!
//! A configuration is a [`SourceKind`]: it answers for its frames, pace, sizes, device, paths and faults, and opens a [`Source`].
//! A source owns its device, file or child process and fills the caller's [`Frame`](crate::frame::Frame). It runs on a thread
//! of its own (`runtime`), which hands the frame to a slot of one where the newest wins.
//!
//! A new kind is a file with its configuration and source, and a line in the list of [kinds](Config) below.

pub mod address;
mod backoff;
mod contract;
mod files;
mod kind;
mod mjpeg;
mod mqtt;
mod piped;
mod program;
mod relay;
mod rpicam;
mod rtsp;
mod sensor;
mod sizes;
mod synthetic;
#[cfg(test)]
mod tests;
mod v4l2;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use contract::{Context, Next, Source, SourceError};
pub use files::{FilesConfig, image_of, listed, names_pictures, stated_size};
pub use kind::{Device, Frames, Paths, SourceKind, Subscription};
pub use mqtt::{MqttConfig, MqttContent};
pub use rpicam::RpicamConfig;
pub use rtsp::{RtspConfig, RtspTransport};
pub use sensor::channels::match_names;
pub use sensor::config::{Decimal, Delimiter, Header, MissingPolicy, SensorConfig, SensorKind};
pub use synthetic::{SyntheticConfig, SyntheticScene};
pub use v4l2::{V4l2Config, V4l2Format};

/// Masking of secrets in text that is shown.
pub use crate::sys::mask;

/// Registers the kinds of source: a variant of [`Config`] for each, whose name in lower case is its `type`.
macro_rules! kinds {
    ($($(#[$about:meta])* $kind:ident($config:ty),)*) => {
        /// `[pipeline.source]`: the input of a pipeline.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
        pub enum Config {
            $($(#[$about])* $kind($config),)*
        }

        impl Config {
            /// Facts about the source.
            pub fn kind(&self) -> &dyn SourceKind {
                match self {
                    $(Config::$kind(config) => config,)*
                }
            }
        }

        $(impl From<$config> for Config {
            fn from(config: $config) -> Config {
                Config::$kind(config)
            }
        })*
    };
}

kinds! {
    /// A counter or a street drawn by leptond itself, to try things without a camera.
    Synthetic(SyntheticConfig),
    /// Pictures from files: JPEG, PNG, MJPEG, Y4M.
    Files(FilesConfig),
    /// A USB camera or another Video4Linux capture device.
    V4l2(V4l2Config),
    /// A Raspberry Pi camera through `rpicam-vid` (or `libcamera-vid`).
    Rpicam(RpicamConfig),
    /// A network camera through `ffmpeg`.
    Rtsp(RtspConfig),
    /// Numbers: from this machine, from sysfs sensors, from a file, FIFO or standard input.
    Sensor(SensorConfig),
    /// Numbers or JPEG pictures that others publish on an MQTT topic.
    Mqtt(MqttConfig),
}

/// Opens the source that `config` describes, see [`SourceKind::open`].
///
/// # Errors
/// As there.
pub fn open(config: &Config, context: Context) -> Result<Box<dyn Source>, SourceError> {
    config.kind().open(context)
}
