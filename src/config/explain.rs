//! The effective configuration as a person reads it: every value, with its origin where it is not a default.

use std::fmt::Write;

use toml_edit::{InlineTable, Value};

use super::load::Loaded;
use super::path::Path;
use super::problem::Origin;
use super::schema::Node;
use super::secret::mask_toml;

/// The configuration as TOML that can be loaded again (except for masked secrets), each value that is not a default with a
/// comment on its origin.
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

/// `true` for values written as `[table]` or `[[tables]]`; small tables inside lists (regions) are written inline.
fn is_section(value: &Value) -> bool {
    match value {
        Value::InlineTable(_) => true,
        Value::Array(items) => items.iter().any(|item| item.as_inline_table().is_some_and(|t| t.contains_key("name"))),
        _ => false,
    }
}
