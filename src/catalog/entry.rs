//! One model of a catalog: a bundle's manifest, and the locations of its file.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml_edit::{DocumentMut, Item, Table, value};

use crate::model::{Manifest, graph};

/// Location of a file of a catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// An http or https address.
    Url(String),
    /// A file of this computer.
    File(PathBuf),
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Location::Url(url) => f.write_str(url),
            Location::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Measured cost of one inference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Median time of one inference in ms.
    pub infer_ms: f64,
    /// Machine of the measurement.
    pub machine: String,
    /// Command of the measurement.
    pub command: String,
}

/// A model that can be fetched.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Manifest of the bundle.
    pub manifest: Manifest,
    /// The manifest as text: the bundle's `model.toml`.
    pub manifest_text: String,
    /// Locations of its file, in the order of attempts.
    pub locations: Vec<Location>,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Label file as the catalog names it, where the manifest has no labels.
    pub labels_file: Option<String>,
    /// Measured cost.
    pub cost: Option<Cost>,
}

/// Name of an entry's label file in its bundle.
pub(super) const LABELS: &str = "labels.txt";

/// Keys of an entry beside those of a manifest.
#[derive(Deserialize)]
struct Extra {
    url: Urls,
    bytes: u64,
    #[serde(default)]
    cost: Option<Cost>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Urls {
    One(String),
    Many(Vec<String>),
}

/// `true` for an address, `false` for a path.
pub(super) fn is_url(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https"))
}

impl Entry {
    /// Reads one `[[model]]` table; `resolve` turns a relative address into a location, or returns a message.
    ///
    /// # Errors
    /// A message that names the key.
    pub(super) fn read(table: &Table, resolve: impl Fn(&str) -> Result<Location, String>) -> Result<Entry, String> {
        let mut manifest = table.clone();
        let mut extra = DocumentMut::new();
        for key in ["url", "bytes", "cost"] {
            match manifest.remove(key) {
                Some(item) => drop(extra.insert(key, plain(item))),
                None if key == "cost" => {}
                None => return Err(format!("{key}: missing")),
            }
        }
        let Extra { url, bytes, cost } =
            toml_edit::de::from_document(extra).map_err(|e| e.message().trim_end().replace('\n', ", "))?;
        if !(1..=graph::MAX_FILE_BYTES).contains(&bytes) {
            return Err(format!("bytes: found {bytes}, allowed is 1 to {}", graph::MAX_FILE_BYTES));
        }
        let urls = match url {
            Urls::One(url) => vec![url],
            Urls::Many(urls) => urls,
        };
        if urls.is_empty() {
            return Err("url: is empty, an address is wanted".into());
        }
        let locations =
            urls.iter().map(|url| resolve(url)).collect::<Result<Vec<_>, _>>().map_err(|e| format!("url: {e}"))?;
        if !manifest.contains_key("file") {
            let tflite = urls[0].to_ascii_lowercase().ends_with(".tflite");
            manifest.insert("file", value(if tflite { "model.tflite" } else { "model.onnx" }));
        }
        let labels_file = match manifest.get_mut("labels_file") {
            Some(item) => {
                let name = item.as_str().ok_or("labels_file: a string is wanted")?.to_string();
                *item = value(LABELS);
                Some(name)
            }
            None => None,
        };
        let text = DocumentMut::from(manifest).to_string();
        let text = format!("{}\n", text.trim());
        let manifest = Manifest::parse(&text, Path::new("model.toml")).map_err(|e| words(&e.to_string()))?;
        Ok(Entry { manifest, manifest_text: text, locations, bytes, labels_file, cost })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }
}

/// An item without its comments and its position in the file.
fn plain(item: Item) -> Item {
    match item.into_value() {
        Ok(value) => Item::Value(value),
        Err(item) => item,
    }
}

/// A manifest's error without its position, which refers to no real file.
fn words(error: &str) -> String {
    let rest = error.strip_prefix("model.toml").unwrap_or(error);
    let rest = rest.trim_start_matches(|c: char| c == ':' || c.is_ascii_digit());
    rest.trim_start().into()
}
