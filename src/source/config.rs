//! `[pipeline.source]`: the kinds of source that there are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Context, Source, SourceError};
use super::files::FilesConfig;
use super::kind::SourceKind;
use super::mqtt::MqttConfig;
use super::rpicam::RpicamConfig;
use super::rtsp::RtspConfig;
use super::sensor::config::SensorConfig;
use super::synthetic::SyntheticConfig;
use super::v4l2::V4l2Config;

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
    /// A counter drawn by leptond itself, to try things without a camera.
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

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
