//! `[node]`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::frame::NodeName;
use crate::frame::names::optional_node;
use crate::publish::topics;

/// `[node]`: this computer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NodeConfig {
    /// Name in topics, `[a-zA-Z0-9_-]`; empty = `leptond-` and eight hex digits made from the machine id.
    #[serde(with = "optional_node")]
    #[schemars(schema_with = "optional_node::schema")]
    pub name: Option<NodeName>,
    /// Directory of this board's measurements; empty = the service's state directory, else the user's cache.
    pub state_dir: PathBuf,
    /// Restriction of file access to what the process needs (landlock).
    pub sandbox: Sandbox,
    /// Thermal zone of the processor's temperature: its type (`cpu-thermal`) or directory (`thermal_zone0`); empty = found by the
    /// names of the zones.
    pub thermal_zone: String,
    /// Time between two `health` messages in s.
    #[schemars(range(min = 1, max = 86_400))]
    pub health_interval_s: u32,
}

/// Restriction of the process's file access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sandbox {
    /// Restrict where the kernel has landlock and nothing else confines the process yet.
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

    /// Directory of measurements: `state_dir`, else `$STATE_DIRECTORY` (systemd), else `leptond` in `$XDG_CACHE_HOME` or
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
