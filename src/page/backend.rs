//! Knowledge that the page is given by those who have it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::draw::{Canvas, Corners, Mark};
use crate::frame::status::NodeStatus;
use crate::frame::{Event, Output, PipelineName};

/// The daemon behind the page. Every answer is safe to show: secrets are masked.
pub trait Backend: Send + Sync {
    /// The status as JSON objects `info`, `health` and `governor`, as they are published; `fps` are inferences per second.
    fn status(&self, status: &NodeStatus, fps: &BTreeMap<PipelineName, f32>) -> Value;

    /// A result as JSON, with `words` for people.
    fn result(&self, output: &Output) -> Value;

    /// An event as JSON, with `words` for people.
    fn event(&self, pipeline: &PipelineName, event: &Event) -> Value;

    /// The picture of a result's frame, and the size in pixels that its boxes and regions are of. Takes as long as decoding takes.
    ///
    /// # Errors
    /// A line for the log.
    fn picture(&self, output: &Output) -> Result<(Canvas, [u32; 2]), String>;

    /// The parts of a pipeline's picture that have a meaning; `None` for a pipeline that is not known.
    fn layout(&self, pipeline: &str) -> Option<Layout>;

    /// Models that are installed, and what they cost here. Takes as long as reading their files takes.
    fn models(&self) -> Value;

    /// Findings of `leptond doctor`. May take a minute.
    ///
    /// # Errors
    /// The reason for which there are none.
    fn findings(&self) -> Result<Value, String>;

    /// The effective configuration.
    fn configuration(&self) -> Value;

    /// The latest lines of the log, oldest first.
    fn log(&self) -> Vec<String>;
}

/// The parts of a pipeline's picture that have a meaning.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// It reads pictures, and not numbers.
    pub pictures: bool,
    /// Regions that are read, in pixels of the source.
    pub regions: Vec<Corners>,
    /// Zones and lines.
    pub marks: Vec<Mark>,
}
