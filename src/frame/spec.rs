//! Input and output specifications of a model: declared by its bundle, used by preprocess and task.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::head::{Boxes, Head};
use super::object::Label;
use super::tensor::{DType, Quant};

/// Fit of a picture whose shape differs from the model's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// Scale width and height independently.
    #[default]
    Stretch,
    /// Keep the aspect ratio and cut the excess (centred).
    Crop,
    /// Keep the aspect ratio and pad (centred, with the grey 114 of 255 that detection networks are trained with).
    Letterbox,
    /// The same with the picture in the top left corner, as recognisers of text are trained.
    Pad,
}

/// Order of the axes of a model's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Batch, channels, height, width.
    #[default]
    Nchw,
    /// Batch, height, width, channels.
    Nhwc,
}

/// Colour of a model's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    /// Three channels, red first.
    #[default]
    Rgb,
    /// Three channels, blue first.
    Bgr,
    /// One channel of luminance (BT.601).
    Grey,
}

/// Specification of one picture input; from the bundle's manifest or inferred from the graph.
///
/// The value stored for a pixel `p` (0 to 255) is `r = (p / 255 − mean) / std`, and for an integer input
/// `round_half_even(r / scale) + zero_point`, saturated to the type.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSpec {
    /// Items in one run.
    pub batch: usize,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// Axis order.
    pub layout: Layout,
    /// Channels.
    pub colour: Colour,
    /// Fit of the picture.
    pub fit: Fit,
    /// Mean per channel in 0..1, in the model's own channel order.
    pub mean: [f32; 3],
    /// Standard deviation per channel in 0..1, in the model's own channel order.
    pub std: [f32; 3],
    /// Element type of the input.
    pub dtype: DType,
    /// Quantisation of an integer input.
    pub quant: Option<Quant>,
}

/// Specification of one window input `[batch, rows, channels]` (or flattened).
///
/// The value stored for a reading `x` of channel `c` is `(x − mean[c]) / std[c]`, quantised as in [`InputSpec`]; a missing
/// reading (NaN) becomes the channel's mean.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowSpec {
    /// Items in one run.
    pub batch: usize,
    /// Readings in one window.
    pub rows: usize,
    /// Channel names in the model's order; a window's channels are matched by name when both are known.
    pub channels: Vec<String>,
    /// Mean per channel; empty = 0.
    pub mean: Vec<f32>,
    /// Standard deviation per channel; empty = 1.
    pub std: Vec<f32>,
    /// Element type of the input.
    pub dtype: DType,
    /// Quantisation of an integer input.
    pub quant: Option<Quant>,
}

/// Either kind of input.
#[derive(Clone, Debug, PartialEq)]
pub enum Spec {
    /// Pictures.
    Image(InputSpec),
    /// Sensor windows.
    Window(WindowSpec),
    /// Readings as the source gives them: of a task that needs no model.
    Readings,
}

/// Kind of task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TaskKind {
    /// One class for the picture or window, or one per region.
    Classify,
    /// Objects with boxes.
    Detect,
    /// Objects with boxes and key points.
    Pose,
    /// Objects with boxes and outlines.
    Segment,
    /// Objects with boxes that are turned.
    Obb,
    /// A class for each place of the picture.
    Semantic,
    /// A line of text, or one per region.
    Text,
    /// The position of a drum or pointer, or one per region.
    Position,
    /// Distance from the learnt normal state.
    Anomaly,
    /// Faults of numbers, by what is usual of each; without a model.
    Baseline,
    /// Numbers beyond their limits; without a model.
    Threshold,
    /// The raw outputs.
    Raw,
}

impl TaskKind {
    /// True for a task that finds objects, which are followed and counted.
    pub fn has_objects(self) -> bool {
        matches!(self, TaskKind::Detect | TaskKind::Pose | TaskKind::Segment | TaskKind::Obb)
    }

    /// True for a task that interprets a model's output; the others look at the readings themselves.
    pub fn needs_model(self) -> bool {
        !matches!(self, TaskKind::Baseline | TaskKind::Threshold)
    }

    /// Name in a configuration.
    pub fn word(self) -> &'static str {
        match self {
            TaskKind::Classify => "classify",
            TaskKind::Detect => "detect",
            TaskKind::Pose => "pose",
            TaskKind::Segment => "segment",
            TaskKind::Obb => "obb",
            TaskKind::Semantic => "semantic",
            TaskKind::Text => "text",
            TaskKind::Position => "position",
            TaskKind::Anomaly => "anomaly",
            TaskKind::Baseline => "baseline",
            TaskKind::Threshold => "threshold",
            TaskKind::Raw => "raw",
        }
    }
}

/// Properties of the bundle that a task needs beside its configuration.
#[derive(Clone, Debug, Default)]
pub struct TaskSpec {
    /// Class names, index = class.
    pub labels: Vec<Label>,
    /// Layout of a detection model's outputs; `None` where unknown.
    pub head: Option<Head>,
    /// Unit of the boxes, for the heads that leave it open.
    pub boxes: Boxes,
    /// Key points of an object and values of each: x, y and, with 3, a score; `None` where the shape tells.
    pub keypoints: Option<[usize; 2]>,
    /// Text of the bundle's anchors file (TOML), for the head `ssd`.
    pub anchors: Option<String>,
    /// Model input `[height, width]` in pixels (0 for windows).
    pub input_size: [usize; 2],
    /// Regions of the pipeline: items of the batch that belong to one frame (1 without regions).
    pub items: usize,
    /// Class that means "nothing to read here", of a model that reads text the blank between two characters; `None` where the model has
    /// no such class.
    pub none: Option<usize>,
    /// Channels of a window, in the model's order, by name or else by index in decimal; empty for pictures, and where the shape does not
    /// tell them.
    pub channels: Vec<Label>,
    /// Name of the output that gives positions of drums or pointers; `None` where labels that are numbers give them, or none.
    pub position: Option<String>,
}
