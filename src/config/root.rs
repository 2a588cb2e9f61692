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
    /// The MQTT broker that receives results.
    pub mqtt: publish::Config,
    /// A broker inside the process.
    pub broker: publish::BrokerConfig,
    /// Locations of models.
    pub models: ModelsConfig,
    /// Limits of heat and load.
    pub governor: governor::Config,
    /// Pipelines: what is read, run and published.
    #[serde(rename = "pipeline")]
    pub pipelines: Vec<PipelineConfig>,
}

impl Config {
    /// Directories of models and of state, as the file and the environment name them.
    pub fn places(&self) -> Places {
        Places { models: self.models.dirs.clone(), state: self.node.state_dir() }
    }
}
