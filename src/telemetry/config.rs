//! `[log]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[log]`: the log on standard error (and so in the journal).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,leptond::source=debug`.
    pub level: String,
    /// `text` for people, `json` for machines.
    pub format: Format,
}

impl Default for Config {
    fn default() -> Self {
        Config { level: "info".into(), format: Format::Text }
    }
}

/// Form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}
