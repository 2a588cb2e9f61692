//! The whole TOML file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use leptond_governor as governor;

use super::node::NodeConfig;
use crate::model::Config as ModelsConfig;
use crate::pipeline::{Config as PipelineConfig, Places};
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
    /// What is read, run and published.
    #[serde(rename = "pipeline")]
    pub pipelines: Vec<PipelineConfig>,
}

impl Config {
    /// Where pipelines are made ready from, as the file and the environment name it.
    pub fn places(&self) -> Places {
        Places { models: self.models.dirs.clone(), state: self.node.state_dir() }
    }
}
