//! The origin of each value, and TOML values as values of the `config` crate.

use std::collections::BTreeMap;

use config::{Value, ValueKind};

use super::path::Path;
use super::problem::Origin;

/// Origins of one key and its value.
#[derive(Clone, Debug)]
pub(super) struct Provenance {
    /// Origin of the key.
    pub(super) key: Origin,
    /// Origin of the value.
    pub(super) value: Origin,
    /// Text of a TOML date, which no key accepts.
    pub(super) date: Option<String>,
}

/// Records `origin` for `value` and all its children.
pub(super) fn note(places: &mut BTreeMap<String, Provenance>, path: &Path, value: &Value, origin: &Origin) {
    let place = Provenance { key: origin.clone(), value: origin.clone(), date: None };
    places.insert(path.to_string(), place);
    match &value.kind {
        ValueKind::Table(table) => table.iter().for_each(|(key, value)| note(places, &path.key(key), value, origin)),
        ValueKind::Array(items) => {
            items.iter().enumerate().for_each(|(i, value)| note(places, &path.index(i), value, origin));
        }
        _ => {}
    }
}

/// A TOML value as a value of the `config` crate, with `from` as its origin.
pub(super) fn to_value(value: &toml_edit::Value, from: &String) -> Value {
    use toml_edit::Value as Toml;
    let kind = match value {
        Toml::String(s) => ValueKind::String(s.value().clone()),
        Toml::Integer(i) => ValueKind::I64(*i.value()),
        Toml::Float(f) => ValueKind::Float(*f.value()),
        Toml::Boolean(b) => ValueKind::Boolean(*b.value()),
        Toml::Datetime(d) => ValueKind::String(d.value().to_string()),
        Toml::Array(items) => ValueKind::Array(items.iter().map(|item| to_value(item, from)).collect()),
        Toml::InlineTable(table) => {
            ValueKind::Table(table.iter().map(|(key, item)| (key.to_owned(), to_value(item, from))).collect())
        }
    };
    Value::new(Some(from), kind)
}
