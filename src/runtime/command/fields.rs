//! Fields of a request: readers whose errors name the key, what was found and what is allowed.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

/// The JSON object of a request.
#[derive(Debug)]
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// Reads a payload of at most `most_bytes`.
    ///
    /// # Errors
    /// What it is instead of a JSON object.
    pub(super) fn read(payload: &[u8], most_bytes: usize) -> Result<Fields, String> {
        if payload.len() > most_bytes {
            return Err(format!("the payload has {} bytes; at most {most_bytes} are read", payload.len()));
        }
        if payload.is_empty() {
            return Err("the payload is empty; it must be a JSON object".into());
        }
        match serde_json::from_slice(payload) {
            Ok(Value::Object(object)) => Ok(Fields(object)),
            Ok(other) => Err(format!("the payload is {}; it must be a JSON object", kind(&other))),
            Err(error) => Err(format!("the payload is not JSON: {error}")),
        }
    }

    /// Refuses every key but `keys` and `transaction`.
    pub(super) fn only(&self, keys: &[&str]) -> Result<(), String> {
        match self.0.keys().find(|key| *key != "transaction" && !keys.contains(&key.as_str())) {
            Some(key) => {
                let known: Vec<&str> = ["transaction"].iter().chain(keys).copied().collect();
                Err(format!("unknown key {}; known are {}", shown(key), known.join(", ")))
            }
            None => Ok(()),
        }
    }

    /// The value of `key`, read by `read`.
    pub(super) fn get<'a, T>(
        &'a self,
        key: &str,
        read: impl FnOnce(&'a Value) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        self.0.get(key).map(read).transpose()
    }

    /// The value of `pipeline`: one of `known`.
    pub(super) fn pipeline(&self, known: &[&str]) -> Result<Option<Arc<str>>, String> {
        self.get("pipeline", |value| {
            let Value::String(name) = value else {
                return Err(format!("pipeline: found {}, allowed is a name", kind(value)));
            };
            pipeline(name, known)
        })
    }

    /// The same; where there is only one, its name may be left out.
    pub(super) fn pipeline_or_only(&self, known: &[&str]) -> Result<Arc<str>, String> {
        match (self.pipeline(known)?, known) {
            (Some(pipeline), _) => Ok(pipeline),
            (None, [only]) => Ok(Arc::from(*only)),
            (None, _) => Err(format!("pipeline is needed; there are {}", known.join(", "))),
        }
    }
}

/// The pipeline called `name`, if it is one of `known`.
pub(super) fn pipeline(name: &str, known: &[&str]) -> Result<Arc<str>, String> {
    let unknown = || format!("pipeline: found {}, there are {}", shown(name), known.join(", "));
    known.iter().find(|known| **known == name).map(|known| Arc::from(*known)).ok_or_else(unknown)
}

/// A duration in seconds, from 1 s to a day.
pub(super) fn seconds(value: &Value) -> Result<Duration, String> {
    const ALLOWED: &str = "allowed is a number of seconds from 1 to 86400";
    match value {
        Value::Number(number) => {
            let seconds = number.as_f64().filter(|s| (1.0..=86_400.0).contains(s)).map(Duration::from_secs_f64);
            seconds.ok_or_else(|| format!("for_s: found {number}, {ALLOWED}"))
        }
        other => Err(format!("for_s: found {}, {ALLOWED}", kind(other))),
    }
}

/// A value's kind for people: the value itself may be long.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Text of a request, cut and quoted.
pub(super) fn shown(text: &str) -> String {
    let cut: String = text.chars().take(40).collect();
    if cut.len() < text.len() { format!("{cut:?}…") } else { format!("{cut:?}") }
}
