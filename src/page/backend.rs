//! Knowledge that the page is given by those who have it.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::sync::oneshot;

use crate::draw::{Canvas, Corners, Mark};
use crate::frame::status::NodeStatus;
use crate::frame::{Event, Image, Output, PipelineName};

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

    /// Meters and pipelines whose pictures can be drawn on, with what is drawn on them, and the end of the latest change.
    fn drawings(&self) -> Value;

    /// Asks for a result of a pipeline now, and not at its next turn.
    fn look_now(&self, pipeline: &str);

    /// The picture of a result's frame without anything drawn on it. Takes as long as encoding takes.
    ///
    /// # Errors
    /// The reason in words.
    fn photo_of(&self, output: &Output) -> Result<Photo, String>;

    /// A picture file that a person gives. Takes as long as decoding takes.
    ///
    /// # Errors
    /// The reason for which it is none.
    fn photo(&self, file: Vec<u8>) -> Result<Photo, String>;

    /// The file of a meter's reference picture.
    ///
    /// # Errors
    /// It has none, or it cannot be read.
    fn reference(&self, meter: &str) -> Result<Vec<u8>, String>;

    /// Reads what is drawn on a picture: `{"meter": name, "digits": [...], "dials": [...]}` or `{"pipeline": name, "regions": [...]}`,
    /// regions as in the configuration. Takes as long as compiling a model takes.
    ///
    /// # Errors
    /// The reason in words.
    fn read(&self, photo: &Photo, drawn: Value) -> Result<Value, String>;

    /// Finds the digits and dials of a meter: `{"digits": [...], "dials": [...]}`, as in the configuration. May take a quarter of a minute.
    ///
    /// # Errors
    /// The reason in words.
    fn propose(&self, photo: &Photo) -> Result<Value, String>;

    /// The difference that these values make to the configuration file: `{"difference": text}`. Models are opened.
    ///
    /// # Errors
    /// The reason for which they cannot be set.
    fn difference(&self, values: Vec<(String, Value)>, reference: Option<Reference<'_>>) -> Result<Value, String>;

    /// Begins to change the configuration; the first answer comes when the change applies or is refused.
    ///
    /// # Errors
    /// The reason for which they cannot be set.
    fn change(
        &self,
        values: Vec<(String, Value)>,
        reference: Option<Reference<'_>>,
    ) -> Result<oneshot::Receiver<Result<Value, String>>, String>;
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

/// A picture to draw on.
#[derive(Clone, Debug)]
pub struct Photo {
    /// The picture, as a file: JPEG, PNG or BMP.
    pub image: Image,
    /// `[width, height]` in pixels in which regions are given, upright.
    pub size: [u32; 2],
}

/// A picture that becomes a meter's reference.
#[derive(Clone, Copy, Debug)]
pub struct Reference<'a> {
    /// The meter.
    pub meter: &'a str,
    /// The picture.
    pub photo: &'a Photo,
}
