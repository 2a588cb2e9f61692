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
mod unknown;
mod walk;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use check::Findings;
pub use explain::{effective, masked};
pub use glance::{Glance, glance};
pub use layers::Override;
pub use load::{DEFAULT_FILE, Loaded, Options, load};
pub use problem::{ConfigErrors, Origin, Problem};
pub use schema::schema;
pub use secret::{MASK, redact};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use leptond_governor as governor;

use crate::frame::NodeName;
use crate::frame::names::optional_node;
pub use crate::model::Config as ModelsConfig;
pub use crate::pipeline::Config as PipelineConfig;
use crate::pipeline::Places;
use crate::publish::topics;
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

/// `[node]`: this computer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NodeConfig {
    /// Name in topics, `[a-zA-Z0-9_-]`; empty = `leptond-` and eight hex digits made from the machine id.
    #[serde(with = "optional_node")]
    #[schemars(schema_with = "optional_node::schema")]
    pub name: Option<NodeName>,
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
    /// Time between two `health` messages without a change.
    pub fn health_interval(&self) -> Duration {
        Duration::from_secs(self.health_interval_s.into())
    }

    /// The node's name: `name`, else the one that the computer below `root` gives.
    pub fn name_or_default(&self, root: &Path) -> NodeName {
        self.name.clone().unwrap_or_else(|| topics::default_node(root))
    }

    /// Where measurements are kept: `state_dir`, else `$STATE_DIRECTORY` (systemd), else `leptond` in `$XDG_CACHE_HOME` or
    /// `~/.cache`. `None` where the environment names none of them.
    pub fn state_dir(&self) -> Option<PathBuf> {
        crate::model::autotune::state_dir(&self.state_dir, &|name| std::env::var_os(name))
    }
}

impl Default for NodeConfig {
    fn default() -> Self {
        NodeConfig {
            name: None,
            state_dir: PathBuf::new(),
            sandbox: Sandbox::Auto,
            thermal_zone: String::new(),
            health_interval_s: 60,
        }
    }
}
