//! The shared vocabulary: values that flow between the rooms, without behaviour.
//!
//! A [`Frame`] (an image or a window of sensor readings) comes out of a source, becomes a model input, a model's
//! output becomes an [`Outcome`], and a change worth telling becomes an [`Event`]. An [`Output`] carries both over the [`Bus`] to the
//! sinks, as it does the [`NodeStatus`](status::NodeStatus). This module imports no other room.

mod captured;
pub mod diagnostic;
mod geometry;
mod head;
mod incoming;
mod meter;
pub mod names;
mod object;
mod outcome;
mod output;
mod quality;
pub mod quantity;
pub mod roles;
mod shared;
mod spec;
pub mod status;
mod tensor;
mod tile;
mod time;
mod trouble;

pub use captured::{Frame, Image, Parent, Payload, PixelFormat, Window};
pub use geometry::Geometry;
pub use head::{Boxes, Head};
pub use incoming::Incoming;
pub use meter::{MeterNumber, MeterProblem, MeterReading, PlaceRead, PositionRead, is_near_truth};
pub use names::{LineName, NameError, NodeName, PipelineName, SourceName, TopicFilter, ZoneName};
pub use object::{ClassMap, Detection, Keypoint, Label, Share, overlap};
pub use outcome::{
    AnomalyChannels, Attribute, ChannelShare, Crossing, Direction, Event, EventIds, EventKind, LabelCounts, LineCount,
    Outcome, RawOutput, Reading, RegionRead, Scored, SourceSize, TextRead, VALUE_DIGITS,
};
pub use output::{Bus, Emission, Output, Sink, Stamp, Timing};
pub use quality::{LastGood, Quality, Unreadable};
pub use quantity::Quantity;
pub use shared::{Channels, FramePool, Pixels, SharedFrame, SourceCounts, Undecodable};
pub use spec::{Colour, Fit, InputSpec, Layout, Spec, TaskKind, TaskSpec, WindowSpec};
pub use tensor::{DType, Elements, ElementsMut, Quant, TensorSpec, TensorView, TensorViewMut};
pub use tile::Tile;
pub use time::rfc3339;
pub use trouble::{ChannelFault, Trouble};
