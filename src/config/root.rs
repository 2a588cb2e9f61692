//! The whole TOML file.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use leptond_governor as governor;

use super::node::NodeConfig;
use super::source::SourceConfig;
#[cfg(feature = "fleet")]
use crate::fleet;
use crate::frame::SourceName;
use crate::model::Config as ModelsConfig;
use crate::pipeline::{Config as PipelineConfig, Feed, Input, MeterConfig, Places, Resolved};
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
    /// Work for other nodes, and from them; absent = none.
    #[cfg(feature = "fleet")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleet: Option<fleet::Config>,
    /// Locations of models.
    pub models: ModelsConfig,
    /// Limits of heat and load.
    pub governor: governor::Config,
    /// Cameras and sensors that several pipelines read.
    #[serde(rename = "source", skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceConfig>,
    /// Meters: digits and dials of one picture, joined to one number.
    #[serde(rename = "meter", skip_serializing_if = "Vec::is_empty")]
    pub meters: Vec<MeterConfig>,
    /// Pipelines: what is read, run and published. Behind those of the file stands one for each meter.
    #[serde(rename = "pipeline", serialize_with = "written")]
    pub pipelines: Vec<PipelineConfig>,
}

/// Writes the pipelines of the file.
fn written<S: serde::Serializer>(pipelines: &[PipelineConfig], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(pipelines.iter().filter(|pipeline| pipeline.meter.is_none()))
}

impl Config {
    /// True for a node that computes for others.
    pub fn assists(&self) -> bool {
        #[cfg(feature = "fleet")]
        let assists = self.fleet.as_ref().is_some_and(|fleet| fleet.assist);
        #[cfg(not(feature = "fleet"))]
        let assists = false;
        assists
    }

    /// Names of the models that this node computes for others with, beside those of its pipelines.
    pub fn lent_models(&self) -> &[String] {
        #[cfg(feature = "fleet")]
        let lent = self.fleet.as_ref().filter(|fleet| fleet.assist).map_or(&[][..], |fleet| &fleet.models);
        #[cfg(not(feature = "fleet"))]
        let lent = &[];
        lent
    }

    /// Adds the pipeline of each meter behind those of the file.
    pub(crate) fn add_meters(&mut self) {
        self.pipelines.retain(|pipeline| pipeline.meter.is_none());
        self.pipelines.extend(self.meters.iter().map(MeterConfig::pipeline));
    }

    /// Pipelines that are written in the file.
    pub(crate) fn written(&self) -> impl Iterator<Item = &PipelineConfig> {
        self.pipelines.iter().filter(|pipeline| pipeline.meter.is_none())
    }

    /// Path of a key as it is written in the file: that of a meter's pipeline is in the meter's own table.
    pub(super) fn written_path(&self, path: &str) -> String {
        let beyond = path.strip_prefix("pipeline[").and_then(|rest| {
            let (index, rest) = rest.split_once(']')?;
            let meter = index.parse::<usize>().ok()?.checked_sub(self.written().count())?;
            Some((meter, self.meters.get(meter)?, rest))
        });
        let Some((index, meter, rest)) = beyond else { return path.to_owned() };
        let only_dials = meter.digits.is_empty();
        let key = match rest.strip_prefix('.').unwrap_or(rest) {
            "model" if only_dials => "dials_model".into(),
            "model" => "digits_model".into(),
            "meter.model" => "dials_model".into(),
            key => match key.strip_prefix("preprocess.regions") {
                Some(region) => format!("{}{region}", if only_dials { "dials" } else { "digits" }),
                None => key.strip_prefix("preprocess.").unwrap_or(key).to_owned(),
            },
        };
        if key.is_empty() { format!("meter[{index}]") } else { format!("meter[{index}].{key}") }
    }

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
            Input::Inline(source) => Some((self.written_path(&format!("pipeline[{i}].source")), source)),
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
            _ => self.written_path(&format!("pipeline[{pipeline}].{key}")),
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
