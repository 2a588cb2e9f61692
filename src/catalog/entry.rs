//! One model of a catalog: a bundle's manifest, and the locations of its file.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml_edit::{DocumentMut, Item, Table, value};

use crate::model::manifest::is_sha256;
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

/// A file that lies within the one that is fetched, such as an archive that stores what it holds as it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Place of its first byte.
    pub start: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// SHA-256 of the file that is fetched, 64 hexadecimal digits.
    pub of: String,
}

impl Part {
    /// # Errors
    /// A message that names the key, for a part that is not within a file of this size.
    fn check(&self, of_bytes: u64) -> Result<(), String> {
        if !is_sha256(&self.of) {
            return Err(format!("part.of: found {:?}, allowed are 64 hexadecimal digits", self.of));
        }
        match self.start.checked_add(self.bytes) {
            Some(end) if self.bytes > 0 && end <= of_bytes => Ok(()),
            _ => Err(format!("part: found {} bytes from {} on, the file has {of_bytes}", self.bytes, self.start)),
        }
    }
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
    /// Size in bytes of the file that is fetched.
    pub bytes: u64,
    /// Place of the model in it; `None` = the whole file.
    pub part: Option<Part>,
    /// Label file as the catalog names it, where the manifest has no labels.
    pub labels_file: Option<String>,
    /// Anchors file as the catalog names it.
    pub anchors: Option<String>,
    /// Measured cost.
    pub cost: Option<Cost>,
}

/// Name of an entry's label file in its bundle.
pub(super) const LABELS: &str = "labels.txt";
/// Name of its anchors file there.
pub(super) const ANCHORS: &str = "anchors.toml";

/// Keys of an entry beside those of a manifest.
#[derive(Deserialize)]
struct Extra {
    url: Urls,
    bytes: u64,
    #[serde(default)]
    part: Option<Part>,
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
        for key in ["url", "bytes", "part", "cost"] {
            match manifest.remove(key) {
                Some(item) => drop(extra.insert(key, plain(item))),
                None if ["part", "cost"].contains(&key) => {}
                None => return Err(format!("{key}: missing")),
            }
        }
        let Extra { url, bytes, part, cost } =
            toml_edit::de::from_document(extra).map_err(|e| e.message().trim_end().replace('\n', ", "))?;
        if !(1..=graph::MAX_FILE_BYTES).contains(&bytes) {
            return Err(format!("bytes: found {bytes}, allowed is 1 to {}", graph::MAX_FILE_BYTES));
        }
        part.as_ref().map_or(Ok(()), |part| part.check(bytes))?;
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
        let labels_file = renamed(manifest.get_mut("labels_file"), LABELS).map_err(|e| format!("labels_file: {e}"))?;
        let output = manifest.get_mut("output").and_then(Item::as_table_like_mut);
        let anchors = output.and_then(|output| output.get_mut("anchors"));
        let anchors = renamed(anchors, ANCHORS).map_err(|e| format!("output.anchors: {e}"))?;
        let text = DocumentMut::from(manifest).to_string();
        let text = format!("{}\n", text.trim());
        let manifest = Manifest::parse(&text, Path::new("model.toml")).map_err(|e| words(&e.to_string()))?;
        Ok(Entry { manifest, manifest_text: text, locations, bytes, part, labels_file, anchors, cost })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }
}

/// The file that an item names, which gets the name that it has in a bundle.
fn renamed(item: Option<&mut Item>, in_bundle: &str) -> Result<Option<String>, &'static str> {
    let Some(item) = item else { return Ok(None) };
    let name = item.as_str().ok_or("a string is wanted")?.to_string();
    *item = value(in_bundle);
    Ok(Some(name))
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
