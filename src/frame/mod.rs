//! The shared vocabulary: what flows between the rooms, and nothing that acts.
//!
//! A [`Frame`] (an image or a window of sensor readings) comes out of a source, becomes a model input, a model's
//! output becomes an [`Outcome`], and a change worth telling becomes an [`Event`]. An [`Output`] carries both over the [`Bus`] to the
//! sinks, as it does the [`NodeStatus`](status::NodeStatus). This module imports no other room.

pub mod names;
mod outcome;
mod output;
mod spec;
pub mod status;
mod tensor;

use std::sync::Arc;
use std::time::{Instant, SystemTime};

pub use names::{NameError, NodeName, PipelineName, SourceName, TopicFilter};
pub use outcome::{
    Detection, Event, EventKind, Label, LastGood, Outcome, Quality, RawOutput, Reading, RegionRead, Scored, Unreadable,
    VALUE_DIGITS, rfc3339,
};
pub use output::{Bus, Emission, Output, Sink, Stamp, Timing};
pub use spec::{Boxes, Colour, Fit, Head, InputSpec, Layout, Spec, TaskKind, TaskSpec, WindowSpec};
pub use tensor::{DType, Elements, ElementsMut, Quant, TensorSpec, TensorView, TensorViewMut};

/// How the bytes of an [`Image`] are to be read.
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

/// One picture as the source gave it, still encoded or in the camera's own pixel format.
#[derive(Clone, Debug, Default)]
pub struct Image {
    /// How `data` is to be read.
    pub format: PixelFormat,
    /// Width in pixels (0 for JPEG, PNG and BMP whose source did not say).
    pub width: u32,
    /// Height in pixels (0 for JPEG, PNG and BMP whose source did not say).
    pub height: u32,
    /// Bytes from one row of the first plane to the next; 0 means tightly packed. Chroma planes follow the V4L2 rule
    /// (NV12: the same stride; I420: half of it).
    pub stride: u32,
    /// `[width, height]` in pixels that the picture has when its capture is not lowered, which is what regions are given in (before it
    /// is turned upright); `None` = it is not lowered.
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
}

/// What a frame carries.
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
    /// Counts up from 1 for each frame that a source produced.
    pub seq: u64,
    /// When it was captured, on the monotonic clock: latencies are measured from here.
    pub captured: Instant,
    /// When it was captured, on the wall clock: what is published.
    pub time: SystemTime,
    /// What the source knows to be the right answer (synthetic sources only).
    pub truth: Option<String>,
    /// Where it came from, for people: a file name, a device.
    pub origin: String,
    /// The data.
    pub payload: Payload,
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

/// How one item of a model input was cut out of the source picture: maps model pixels back to source pixels.
///
/// `source = model × scale + offset`, per axis. For a quadrilateral region this is its bounding box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Geometry {
    /// Source pixels per model pixel, horizontally and vertically.
    pub scale: [f32; 2],
    /// Source position of the model's top left corner, `[x, y]`.
    pub offset: [f32; 2],
    /// Size of the whole source picture in pixels, `[width, height]`.
    pub source: [u32; 2],
}

impl Geometry {
    /// A box `[x1, y1, x2, y2]` from model pixels to source pixels, clamped to the picture.
    pub fn to_source(&self, model: [f32; 4]) -> [f32; 4] {
        let [w, h] = self.source.map(|v| v as f32);
        let x = |v: f32| (v * self.scale[0] + self.offset[0]).clamp(0.0, w);
        let y = |v: f32| (v * self.scale[1] + self.offset[1]).clamp(0.0, h);
        [x(model[0]), y(model[1]), x(model[2]), y(model[3])]
    }
}

/// One message that came in on a subscription, for a source that takes its input from MQTT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The topic it was published on.
    pub topic: String,
    /// Its bytes, whatever they hold.
    pub payload: Vec<u8>,
    /// Whether the broker kept it from before we subscribed.
    pub retain: bool,
}
