//! Frames as sources capture them: pictures and windows of sensor readings.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use serde::Serialize;

use super::names::PipelineName;
use super::object::Label;

/// Encoding of the bytes of an [`Image`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum PixelFormat {
    /// A whole JPEG file; its own header gives the size.
    #[default]
    Jpeg,
    /// A whole PNG file.
    Png,
    /// A whole BMP file.
    Bmp,
    /// Packed 4:2:2, two pixels in four bytes: Y0 U Y1 V.
    Yuyv,
    /// Planar 4:2:0: Y plane, then interleaved UV.
    Nv12,
    /// Planar 4:2:0: Y plane, U plane, V plane (V4L2 `YU12`).
    I420,
    /// `[H, W, 3]`, red first.
    Rgb8,
    /// `[H, W, 3]`, blue first.
    Bgr8,
    /// `[H, W]` luminance.
    Gray8,
}

/// One picture as captured, still encoded or in the camera's own pixel format.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// Encoding of `data`.
    pub format: PixelFormat,
    /// Width in pixels (0 for JPEG, PNG and BMP from a source that does not report it).
    pub width: u32,
    /// Height in pixels (0 for JPEG, PNG and BMP from a source that does not report it).
    pub height: u32,
    /// Bytes from one row of the first plane to the next; 0 means tightly packed. Chroma planes follow the V4L2 rule
    /// (NV12: the same stride; I420: half of it).
    pub stride: u32,
    /// `[width, height]` in pixels of an unreduced capture, the coordinate system of regions (before the picture is turned
    /// upright); `None` = the capture is not reduced.
    pub full: Option<[u32; 2]>,
    /// The bytes. Sources clear and refill this buffer so that it is allocated once.
    pub data: Vec<u8>,
}

/// A window of sensor readings, `[rows, channels]` row-major, oldest row first.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// One name per channel, in the sensor's own units (`cpu0_percent`, `soc_celsius`, …).
    pub channels: Arc<[String]>,
    /// Number of rows (readings in time).
    pub rows: usize,
    /// `rows × channels` values; NaN where a reading was missing.
    pub data: Vec<f32>,
    /// Time of the last row as its writer noted it, in s since some midnight; `None` where it did not. By its own clock and in its own
    /// zone: to be compared with others of the same source only.
    pub noted: Option<f64>,
}

/// Content of a frame.
#[derive(Clone, Debug)]
pub enum Payload {
    /// A picture.
    Image(Image),
    /// A window of sensor readings.
    Window(Window),
}

/// One unit of work: a picture or a sensor window with the moment it was captured.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Number of the frame in its source, from 1.
    pub seq: u64,
    /// Capture time on the monotonic clock; latencies are measured from here.
    pub captured: Instant,
    /// Capture time on the wall clock; this one is published.
    pub time: SystemTime,
    /// The right answer, where the source knows it (synthetic sources only).
    pub truth: Option<String>,
    /// File or device, for people.
    pub origin: String,
    /// The detection that this picture was cut around; `None` for a frame of a source.
    pub parent: Option<Parent>,
    /// Picture or readings.
    pub payload: Payload,
}

/// A detection that a picture was cut around.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Parent {
    /// The pipeline that detected it.
    pub pipeline: PipelineName,
    /// Number of the frame that it was detected in.
    pub seq: u64,
    /// Its place among the frame's detections, from 0.
    pub index: usize,
    /// Its label.
    pub label: Label,
    /// The object's number, as in [`Detection::track_id`](super::Detection::track_id).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track_id: Option<u64>,
}

impl Frame {
    /// An empty frame for a source to fill; sources reuse it so that buffers are allocated once.
    pub fn empty() -> Self {
        Frame {
            seq: 0,
            captured: Instant::now(),
            time: SystemTime::now(),
            truth: None,
            origin: String::new(),
            parent: None,
            payload: Payload::Image(Image::default()),
        }
    }

    /// The image buffer to fill, turning the payload into an image if it was something else.
    pub fn image_mut(&mut self) -> &mut Image {
        if !matches!(self.payload, Payload::Image(_)) {
            self.payload = Payload::Image(Image::default());
        }
        match &mut self.payload {
            Payload::Image(image) => image,
            Payload::Window(_) => unreachable!("the payload was made an image above"),
        }
    }

    /// The window to fill, turning the payload into a window if it was something else.
    pub fn window_mut(&mut self) -> &mut Window {
        if !matches!(self.payload, Payload::Window(_)) {
            self.payload = Payload::Window(Window::default());
        }
        match &mut self.payload {
            Payload::Window(window) => window,
            Payload::Image(_) => unreachable!("the payload was made a window above"),
        }
    }
}
