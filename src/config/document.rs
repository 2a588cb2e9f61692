//! A parsed TOML file as values of the `config` crate, with the line and column of each.

use std::collections::BTreeMap;
use std::path::PathBuf;

use config::{Value, ValueKind};
use toml_edit::{Item, TableLike};

use super::path::Path;
use super::problem::Origin;
use super::provenance::{Provenance, to_value};

/// Reads a parsed file and records the origin of every value.
pub(super) struct Reader<'a> {
    pub(super) file: PathBuf,
    text: &'a str,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &std::path::Path, text: &'a str) -> Self {
        Reader { file: file.to_path_buf(), text }
    }

    /// Line and column of a span.
    pub(super) fn origin(&self, span: Option<std::ops::Range<usize>>) -> Option<Origin> {
        let before = self.text.get(..span?.start)?;
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Some(Origin::File { file: self.file.clone(), line, column })
    }

    /// The value of an item; records its origin and those of its children in `places`.
    pub(super) fn item(
        &self,
        item: &Item,
        key: Option<std::ops::Range<usize>>,
        path: &Path,
        places: &mut BTreeMap<String, Provenance>,
    ) -> Value {
        let value = self.origin(item.span());
        let key = self.origin(key).or_else(|| value.clone()).unwrap_or(Origin::Whole { file: self.file.clone() });
        let value = value.unwrap_or_else(|| key.clone());
        let from = value.to_string();
        let mut date = None;
        let kind = match item {
            Item::None => ValueKind::Nil,
            Item::Table(table) => self.table(table, path, places),
            Item::ArrayOfTables(tables) => ValueKind::Array(
                tables
                    .iter()
                    .enumerate()
                    .map(|(i, table)| self.item(&Item::Table(table.clone()), None, &path.index(i), places))
                    .collect(),
            ),
            Item::Value(toml_edit::Value::InlineTable(table)) => self.table(table, path, places),
            Item::Value(toml_edit::Value::Array(items)) => ValueKind::Array(
                items
                    .iter()
                    .enumerate()
                    .map(|(i, value)| self.item(&Item::Value(value.clone()), None, &path.index(i), places))
                    .collect(),
            ),
            Item::Value(scalar) => {
                if let toml_edit::Value::Datetime(text) = scalar {
                    date = Some(text.value().to_string());
                }
                to_value(scalar, &from).kind
            }
        };
        places.insert(path.to_string(), Provenance { key, value, date });
        Value::new(Some(&from), kind)
    }

    fn table(&self, table: &dyn TableLike, path: &Path, places: &mut BTreeMap<String, Provenance>) -> ValueKind {
        let read = |(name, item): (&str, &Item)| {
            let span = table.get_key_value(name).and_then(|(key, _)| key.span());
            (name.to_owned(), self.item(item, span, &path.key(name), places))
        };
        ValueKind::Table(table.iter().map(read).collect())
    }
}

/// The parser's message, with plain words for frequent errors.
pub(super) fn plain_words(error: &toml_edit::TomlError, text: &str) -> String {
    let words = error.message().trim().replace('\n', "; ");
    match words.as_str() {
        "duplicate key" => match error.span().and_then(|span| text.get(span)) {
            Some(key) => format!("{key} stands here for the second time"),
            None => words,
        },
        "integer number overflowed" => format!("the number is too large, at most {}", i64::MAX),
        "unexpected leading zero, expected nothing" => "a number must not begin with 0".into(),
        "cannot recurse further; max recursion depth met" => "lists or tables inside one another too deeply".into(),
        "invalid basic string, expected `\"`" => "the text has no closing quote".into(),
        "string values must be quoted, expected literal string" => "text must stand in quotes".into(),
        "key with no value, expected `=`" => "a key needs a value: key = value".into(),
        _ => words,
    }
}
