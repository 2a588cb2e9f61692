//! The whole TOML file.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use leptond_governor as governor;

use super::node::NodeConfig;
use super::source::SourceConfig;
use crate::frame::SourceName;
use crate::model::Config as ModelsConfig;
use crate::pipeline::{Config as PipelineConfig, Feed, Input, Places, Resolved};
use crate::{page, publish, telemetry};

/// The whole TOML file.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// This computer.
    pub node: NodeConfig,
    /// Logs.
    pub log: telemetry::Config,
    /// The MQTT broker that receives results.
    pub mqtt: publish::Config,
    /// A broker inside the process.
    pub broker: publish::BrokerConfig,
    /// A page for browsers.
    pub page: page::Config,
    /// Locations of models.
    pub models: ModelsConfig,
    /// Limits of heat and load.
    pub governor: governor::Config,
    /// Cameras and sensors that several pipelines read.
    #[serde(rename = "source", skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceConfig>,
    /// Pipelines: what is read, run and published.
    #[serde(rename = "pipeline")]
    pub pipelines: Vec<PipelineConfig>,
}

impl Config {
    /// Directories of models and of state, as the file and the environment name them.
    pub fn places(&self) -> Places {
        Places { models: self.models.dirs.clone(), state: self.node.state_dir() }
    }

    /// Directory of events that wait for the broker; `None` where they are kept in memory only.
    pub fn outbox_dir(&self) -> Option<PathBuf> {
        let outbox = &self.mqtt.outbox;
        let default = || self.node.state_dir().map(|state| state.join("outbox"));
        let dir = if outbox.dir.as_os_str().is_empty() { default() } else { Some(outbox.dir.clone()) };
        dir.filter(|_| outbox.enabled)
    }

    /// The source that `input` refers to, for crops that of the pipeline whose detections they are; `None` where a name is not known
    /// or a chain of crops is a circle.
    pub fn source_of<'a>(&'a self, input: &'a Input) -> Option<&'a crate::source::Config> {
        let mut input = input;
        // A longer chain than there are pipelines is a circle.
        for _ in 0..=self.pipelines.len() {
            match input {
                Input::Inline(source) => return Some(source),
                Input::Named(name) => {
                    return self.sources.iter().find(|one| one.name == *name).map(|one| &one.source);
                }
                Input::Crops(crops) => {
                    input = &self.pipelines.iter().find(|one| one.name == crops.pipeline)?.source;
                }
            }
        }
        None
    }

    /// Every source that the file declares, named or inline, with the dotted path of its table.
    pub fn declared_sources(&self) -> impl Iterator<Item = (String, &crate::source::Config)> {
        let named = self.sources.iter().enumerate().map(|(i, one)| (format!("source[{i}]"), &one.source));
        let inline = self.pipelines.iter().enumerate().filter_map(|(i, pipeline)| match &pipeline.source {
            Input::Inline(source) => Some((format!("pipeline[{i}].source"), source)),
            Input::Named(_) | Input::Crops(_) => None,
        });
        named.chain(inline)
    }

    /// Dotted path of a key that a pipeline's table has (`task.type`, `source.window`): those of a named source are in its own table.
    pub fn path_of(&self, pipeline: usize, key: &str) -> String {
        let input = self.pipelines.get(pipeline).map(|pipeline| &pipeline.source);
        let named = |name: &SourceName| self.sources.iter().position(|source| source.name == *name);
        match (input, key.strip_prefix("source.")) {
            (Some(Input::Named(name)), Some(key)) => match named(name) {
                Some(i) => format!("source[{i}].{key}"),
                None => format!("pipeline[{pipeline}].source"),
            },
            _ => format!("pipeline[{pipeline}].{key}"),
        }
    }

    /// `pipeline` with its input looked up; `None` as [`Config::source_of`].
    pub fn resolve(&self, pipeline: &PipelineConfig) -> Option<Resolved> {
        let source = self.source_of(&pipeline.source)?.clone();
        let feed = match &pipeline.source {
            Input::Named(name) => Feed::Source { name: Some(name.clone()), source },
            Input::Inline(_) => Feed::Source { name: None, source },
            Input::Crops(crops) => Feed::Crops { crops: crops.clone(), head: source },
        };
        Some(Resolved { config: pipeline.clone(), feed })
    }

    /// Every pipeline with its input looked up. A checked configuration has no input that is not found.
    pub fn resolved(&self) -> Vec<Resolved> {
        self.pipelines.iter().filter_map(|pipeline| self.resolve(pipeline)).collect()
    }
}
