//! The whole configuration: every room's own `Config` put together; load, layer, validate, explain.
//!
//! [`load`] puts `/etc/leptond/leptond.toml` (or `--config FILE`), `LEPTOND__SECTION__KEY` variables and flags over one
//! another, holds the result against the [`schema`] that the types themselves give, and answers with a [`Loaded`] or with
//! every [`Problem`] at once.

mod check;
mod document;
mod explain;
mod files;
mod glance;
mod layers;
mod load;
mod models;
mod path;
mod problem;
mod schema;
mod secret;
mod source;
mod unknown;
mod walk;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use check::Findings;
pub use explain::{effective, masked};
pub use glance::{Glance, glance};
pub use layers::Override;
pub use load::{DEFAULT_FILE, Loaded, Options, load};
pub use problem::{ConfigErrors, Origin, Problem};
pub use schema::schema;
pub use secret::{MASK, redact};
pub use source::SourceConfig;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use leptond_governor as governor;

pub use crate::model::Config as ModelsConfig;
pub use crate::pipeline::Config as PipelineConfig;
use crate::pipeline::{Feed, Input, Places, Resolved};
use crate::{publish, telemetry};

/// The whole TOML file.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// This computer.
    pub node: NodeConfig,
    /// Logs.
    pub log: telemetry::Config,
    /// The MQTT broker that results go to.
    pub mqtt: publish::Config,
    /// A broker inside the process.
    pub broker: publish::BrokerConfig,
    /// Where models are found.
    pub models: ModelsConfig,
    /// When to work less.
    pub governor: governor::Config,
    /// Cameras and sensors that several pipelines read.
    #[serde(rename = "source", skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<SourceConfig>,
    /// What is read, run and published.
    #[serde(rename = "pipeline")]
    pub pipelines: Vec<PipelineConfig>,
}

impl Config {
    /// Directories that pipelines are made ready from, as the file and the environment name them.
    pub fn places(&self) -> Places {
        Places { models: self.models.dirs.clone(), state: self.node.state_dir() }
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
        let named = |name: &String| self.sources.iter().position(|source| source.name == *name);
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

/// `[node]`: this computer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NodeConfig {
    /// Name in topics, `[a-zA-Z0-9_-]`; empty = `leptond-` and eight hex digits made from the machine id.
    #[schemars(regex(pattern = r"^[a-zA-Z0-9_-]{0,64}$"))]
    pub name: String,
    /// Where measurements of this board are kept; empty = the service's state directory, else the user's cache.
    pub state_dir: PathBuf,
    /// Whether the process shuts itself off from the files that it does not need (landlock).
    pub sandbox: Sandbox,
    /// Thermal zone that the processor's temperature is taken from: its type (`cpu-thermal`) or directory (`thermal_zone0`);
    /// empty = found by the names of the zones.
    pub thermal_zone: String,
    /// Time between two `health` messages in s.
    #[schemars(range(min = 1, max = 86_400))]
    pub health_interval_s: u32,
}

/// Whether the process shuts itself off from files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sandbox {
    /// Where the kernel has landlock and nothing else confines the process yet.
    #[default]
    Auto,
    /// Never.
    Off,
}

impl NodeConfig {
    /// Where measurements are kept: `state_dir`, else `$STATE_DIRECTORY` (systemd), else `leptond` in `$XDG_CACHE_HOME` or
    /// `~/.cache`. `None` where the environment names none of them.
    pub fn state_dir(&self) -> Option<PathBuf> {
        crate::model::autotune::state_dir(&self.state_dir, &|name| std::env::var_os(name))
    }
}

impl Default for NodeConfig {
    fn default() -> Self {
        NodeConfig {
            name: String::new(),
            state_dir: PathBuf::new(),
            sandbox: Sandbox::Auto,
            thermal_zone: String::new(),
            health_interval_s: 60,
        }
    }
}
