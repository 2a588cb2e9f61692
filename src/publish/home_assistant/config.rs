//! `[mqtt.home_assistant]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[mqtt.home_assistant]`: discovery by Home Assistant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Publish the message by which Home Assistant finds this node with all its entities.
    pub enabled: bool,
    /// Home Assistant's discovery prefix.
    #[schemars(length(min = 1))]
    pub prefix: String,
    /// Topic on which Home Assistant says `online`; empty = `status` below `prefix`.
    pub status_topic: String,
}

impl Default for Config {
    fn default() -> Self {
        Config { enabled: true, prefix: "homeassistant".into(), status_topic: String::new() }
    }
}

impl Config {
    /// Topic of the discovery message of `node`.
    pub fn topic(&self, node: &str) -> String {
        format!("{}/device/{node}/config", self.prefix)
    }

    /// Topic of Home Assistant's birth and will.
    pub fn birth_topic(&self) -> String {
        if self.status_topic.is_empty() { format!("{}/status", self.prefix) } else { self.status_topic.clone() }
    }
}
