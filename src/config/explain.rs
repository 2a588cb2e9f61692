//! The effective configuration as a person reads it: every value, and where those that are not defaults came from.

use std::fmt::Write;

use serde_json::Value as Json;
use toml_edit::{InlineTable, Value};

use super::load::Loaded;
use super::path::Path;
use super::schema::{Node, shorten, shorten_floats};
use super::secret::{MASK, redact, redact_args};
use super::{Config, Origin};

/// The configuration as JSON with every secret masked: what may be logged, printed and published.
pub fn masked(config: &Config) -> Json {
    let mut json = serde_json::to_value(config).unwrap_or_default();
    shorten_floats(&mut json);
    mask_json(&mut json, Some(Node::root()));
    json
}

/// The configuration as TOML that can be loaded again (but for masked secrets), each value that is not a default with
/// a comment saying where it came from.
pub fn effective(loaded: &Loaded) -> String {
    let mut out = String::new();
    match toml_edit::ser::to_document(&loaded.config) {
        Ok(document) => {
            let table: InlineTable = document.as_table().clone().into_inline_table();
            emit(&mut out, loaded, &table, Node::root(), &Path::default(), "");
        }
        Err(error) => {
            let _ = writeln!(out, "# cannot be written as TOML: {error}");
        }
    }
    out
}

fn emit(out: &mut String, loaded: &Loaded, table: &InlineTable, node: Node, path: &Path, header: &str) {
    for (key, value) in table {
        if !is_section(value) {
            let (child, at) = (node.child(key), path.key(key));
            let mut value = value.clone();
            mask_toml(&mut value, child);
            let line = format!("{key} = {}", value.decorated("", ""));
            match loaded.sources.get(&at.to_string()) {
                None | Some(Origin::Default) => {
                    let _ = writeln!(out, "{line}");
                }
                Some(origin) => {
                    let _ = writeln!(out, "{line:<39} # {origin}");
                }
            }
        }
    }
    for (key, value) in table {
        let (child, at) = (node.child(key).unwrap_or(node), path.key(key));
        let name = if header.is_empty() { key.to_owned() } else { format!("{header}.{key}") };
        match value {
            Value::InlineTable(inner) => {
                let _ = writeln!(out, "\n[{name}]");
                emit(out, loaded, inner, child, &at, &name);
            }
            Value::Array(items) if is_section(value) => {
                for (i, item) in items.iter().enumerate() {
                    let at = at.index(i);
                    let origin = loaded.sources.get(&at.to_string()).map(|o| format!(" # {o}")).unwrap_or_default();
                    let _ = writeln!(out, "\n[[{name}]]{origin}");
                    if let (Value::InlineTable(inner), Some(child)) = (item, child.item()) {
                        emit(out, loaded, inner, child, &at, &name);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Whether a value is written as `[table]` or `[[tables]]`: small tables inside lists (regions) are not.
fn is_section(value: &Value) -> bool {
    match value {
        Value::InlineTable(_) => true,
        Value::Array(items) => items.iter().any(|item| item.as_inline_table().is_some_and(|t| t.contains_key("name"))),
        _ => false,
    }
}

fn mask_toml(value: &mut Value, node: Option<Node>) {
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
