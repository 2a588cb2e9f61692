//! `[[pipeline]]`: one source, one model, one set of topics.

use leptond_governor as governor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::input::Input;
use super::motion;
use crate::frame::PipelineName;
use crate::{model, preprocess, task};

/// `[[pipeline]]`: one source, one model, one set of topics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name in topics, `[a-zA-Z0-9_-]`, unique.
    pub name: PipelineName,
    /// A bundle's name, or the path of a bundle, `.onnx` or `.tflite` file.
    #[schemars(length(min = 1))]
    pub model: String,
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
    /// How far this pipeline may be lowered.
    #[serde(default)]
    pub governor: governor::PipelineConfig,
}
