//! `config/set`: values of the configuration file.

use serde_json::Value;

use super::fields::{Fields, kind};
use crate::config::Reach;

/// Most values of one request.
const MOST_VALUES: usize = 64;

/// The request.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigSet {
    /// Path and value of each key; `null` = back to the default.
    pub values: Vec<(String, Value)>,
    /// The keys among which they have to be.
    pub reach: Reach,
}

impl ConfigSet {
    /// Reads it.
    pub(super) fn read(fields: &Fields) -> Result<ConfigSet, String> {
        const ALLOWED: &str =
            "allowed is an object of paths and values, such as {\"pipeline.door.task.min_score\":0.6}";
        fields.only(&["values"])?;
        let values = fields.get("values", |value| match value {
            Value::Object(values) if values.is_empty() => Err(format!("values: found none, {ALLOWED}")),
            Value::Object(values) if values.len() > MOST_VALUES => {
                Err(format!("values: found {} keys, at most {MOST_VALUES} are set at once", values.len()))
            }
            Value::Object(values) => Ok(values.iter().map(|(key, value)| (key.clone(), value.clone())).collect()),
            other => Err(format!("values: found {}, {ALLOWED}", kind(other))),
        })?;
        let values = values.ok_or_else(|| format!("values is needed; {ALLOWED}"))?;
        Ok(ConfigSet { values, reach: Reach::Requests })
    }
}
