//! `[[pipeline]]`: one source, one model, one set of topics.

use std::sync::Arc;

use leptond_governor as governor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::Input;
use super::meter_join::MeterJoin;
use super::motion;
use crate::frame::PipelineName;
use crate::{event, model, preprocess, task};

/// `[[pipeline]]`: one source, one model, one set of topics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name in topics, `[a-zA-Z0-9_-]`, unique.
    pub name: PipelineName,
    /// A bundle's name, or the path of a bundle, `.onnx` or `.tflite` file; none for the tasks `baseline` and `threshold`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(required, length(min = 1))]
    pub model: Option<String>,
    /// Which engine runs it.
    #[serde(default)]
    pub engine: model::Engine,
    /// Threads for one inference, no more than the board has cores; 0 = one.
    #[serde(default)]
    #[schemars(range(min = 0, max = 64))]
    pub threads: u32,
    /// Where frames come from.
    pub source: Input,
    /// How a picture is fitted to the model.
    #[serde(default)]
    pub preprocess: preprocess::Config,
    /// Inference only while something moves.
    #[serde(default)]
    pub motion: motion::Config,
    /// What is made of the model's output.
    #[serde(default)]
    pub task: task::Config,
    /// Identity of detected objects over frames.
    #[serde(default)]
    pub track: event::TrackConfig,
    /// Parts of the picture in which objects are counted.
    #[serde(rename = "zone", default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<event::ZoneConfig>,
    /// Lines across the picture whose crossings are counted.
    #[serde(rename = "line", default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<event::LineConfig>,
    /// Changes that are worth telling.
    #[serde(default)]
    pub event: event::EventConfig,
    /// How far this pipeline may be lowered.
    #[serde(default)]
    pub governor: governor::PipelineConfig,
    /// Other nodes may compute for it, where `[fleet] offload` is set: its pictures leave this node then.
    #[serde(default = "yes")]
    pub offload: bool,
    /// Join of a meter's models; `None` for a pipeline of the file.
    #[serde(skip)]
    pub meter: Option<Arc<MeterJoin>>,
}

fn yes() -> bool {
    true
}

impl Config {
    /// The name or path of its model; empty where it has none.
    pub fn model_name(&self) -> &str {
        self.model.as_deref().filter(|_| self.task.needs_model()).unwrap_or_default()
    }

    /// Its models, each with its key.
    pub fn models(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let second = self.meter.as_ref().and_then(|meter| meter.model.as_deref());
        let first = Some(("model", self.model_name())).filter(|_| self.task.needs_model());
        first.into_iter().chain(second.map(|second| ("meter.model", second)))
    }

    /// The tables that events are made by.
    pub fn events(&self) -> event::Config {
        let Config { track, zones, lines, event, .. } = self.clone();
        event::Config { track, zones, lines, event }
    }
}
