//! `[pipeline.source]` with `type = "v4l2"`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A Video4Linux capture device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct V4l2Config {
    /// Device node; a stable name such as `/dev/v4l/by-id/…` survives replugging.
    pub device: PathBuf,
    /// Wanted width in pixels; the driver's nearest is taken and logged.
    #[schemars(range(min = 16, max = 8192))]
    pub width: u32,
    /// Wanted height in pixels.
    #[schemars(range(min = 16, max = 8192))]
    pub height: u32,
    /// Wanted pictures per second.
    #[schemars(range(min = 0.1, max = 240.0))]
    pub fps: f64,
    /// Pixel format; `auto` takes the first of MJPG, YUYV, NV12, YU12 that the device offers at that size.
    pub format: V4l2Format,
    /// Memory-mapped buffers to ask the driver for.
    #[schemars(range(min = 2, max = 16))]
    pub buffers: u32,
}

impl Default for V4l2Config {
    fn default() -> Self {
        V4l2Config {
            device: "/dev/video0".into(),
            width: 640,
            height: 480,
            fps: 15.0,
            format: V4l2Format::Auto,
            buffers: 4,
        }
    }
}

/// Pixel format asked of a capture device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum V4l2Format {
    /// The first of MJPG, YUYV, NV12, YU12 that the device offers.
    #[default]
    Auto,
    /// Motion JPEG.
    Mjpg,
    /// Packed 4:2:2.
    Yuyv,
    /// Semi-planar 4:2:0.
    Nv12,
    /// Planar 4:2:0.
    Yu12,
}
