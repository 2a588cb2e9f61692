//! Secrets of a configuration, masked by its schema and by what [`redact`] recognises.

use serde_json::Value as Json;
use toml_edit::Value;

use super::root::Config;
use super::schema::{Node, shorten, shorten_floats};
pub use crate::sys::mask::{MASK, redact, redact_args};

/// The configuration as JSON with every secret masked, safe to log, print and publish.
pub fn masked(config: &Config) -> Json {
    let mut json = serde_json::to_value(config).unwrap_or_default();
    shorten_floats(&mut json);
    mask_json(&mut json, Some(Node::root()));
    json
}

/// Masks the secrets of a TOML value.
pub(super) fn mask_toml(value: &mut Value, node: Option<Node>) {
    match value {
        Value::String(text) => {
            let shown = if node.is_some_and(Node::is_secret) && !text.value().is_empty() {
                MASK.to_owned()
            } else {
                redact(text.value())
            };
            if shown != *text.value() {
                *value = Value::from(shown);
            }
        }
        Value::Float(number) => *value = Value::from(shorten(*number.value())),
        Value::Array(items) => {
            let texts: Option<Vec<String>> = items.iter().map(|item| Some(item.as_str()?.to_owned())).collect();
            match texts {
                Some(texts) => items.iter_mut().zip(redact_args(&texts)).for_each(|(item, shown)| {
                    if item.as_str() != Some(shown.as_str()) {
                        *item = Value::from(shown);
                    }
                }),
                None => items.iter_mut().for_each(|item| mask_toml(item, None)),
            }
        }
        Value::InlineTable(table) => table.iter_mut().for_each(|(_, item)| mask_toml(item, None)),
        _ => {}
    }
}

fn mask_json(json: &mut Json, node: Option<Node>) {
    match json {
        Json::String(text) => {
            *text = if node.is_some_and(Node::is_secret) && !text.is_empty() { MASK.into() } else { redact(text) };
        }
        Json::Array(items) if items.iter().all(Json::is_string) => {
            let texts: Vec<String> = items.iter().filter_map(|item| Some(item.as_str()?.to_owned())).collect();
            *items = redact_args(&texts).into_iter().map(Json::String).collect();
        }
        Json::Array(items) => {
            let node = node.and_then(Node::item);
            items.iter_mut().for_each(|item| mask_json(item, node));
        }
        Json::Object(map) => map.iter_mut().for_each(|(key, value)| mask_json(value, node.and_then(|n| n.child(key)))),
        _ => {}
    }
}
