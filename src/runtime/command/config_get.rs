//! `config/get`: the effective configuration without secrets.

use serde_json::{Value, json};

use super::fields::{Fields, kind};
use crate::config::{self, Config};

/// The request.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigGet {
    /// The part that is wanted; `None` = the whole.
    pub path: Option<String>,
}

impl ConfigGet {
    /// Reads it.
    pub(super) fn read(fields: &Fields) -> Result<ConfigGet, String> {
        fields.only(&["path"])?;
        let path = fields.get("path", |value| match value {
            Value::String(path) => Ok(path.clone()),
            other => Err(format!("path: found {}, allowed is a dotted path such as pipeline.door.task", kind(other))),
        })?;
        Ok(ConfigGet { path })
    }

    /// The data of the answer; `digest` is that of `config`.
    pub(super) fn answer(&self, config: &Config, digest: &str) -> Result<Value, String> {
        let value = match &self.path {
            Some(path) => config::part(config, path).map_err(|error| error.to_string())?,
            None => config::masked(config),
        };
        Ok(json!({ "path": self.path, "value": value, "digest": digest }))
    }
}
