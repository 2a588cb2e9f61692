//! Lists of models: the built-in one, the one of this computer, or one from an address.

use std::path::{Path, PathBuf};

use toml_edit::DocumentMut;

use super::entry::{ANCHORS, Entry, LABELS, Location, is_url};
use super::fault::CatalogError;
use crate::sys::beneath::Directory;
use crate::sys::file::{self, FileError};

/// Catalog of this computer; its entries come before the built-in ones.
pub const LOCAL_FILE: &str = "/etc/leptond/catalog.toml";

/// Largest list accepted.
const MOST_BYTES: u64 = 1 << 20;

const BUILT_IN: &str = include_str!("../../models/catalog.toml");

/// Built-in lists of labels by their name in catalogs.
const BUILT_IN_FILES: &[(&str, &str)] = &[
    ("labels/coco.txt", include_str!("../../models/labels/coco.txt")),
    ("labels/imagenet.txt", include_str!("../../models/labels/imagenet.txt")),
    ("labels/ppocr.txt", include_str!("../../models/labels/ppocr.txt")),
];

/// The built-in list of labels called `name`, one a line: `coco`, `imagenet` or `ppocr`.
pub fn built_in_labels(name: &str) -> Option<&'static str> {
    let file = format!("labels/{name}.txt");
    BUILT_IN_FILES.iter().find(|(known, _)| *known == file).map(|(_, text)| *text)
}

/// Base of relative addresses.
#[derive(Clone, Debug)]
enum Base {
    Program,
    Directory(PathBuf),
    /// An address up to and including its last slash.
    Url(String),
}

/// A list of models that can be fetched.
#[derive(Clone, Debug)]
pub struct Catalog {
    lists: Vec<(Base, Vec<Entry>)>,
}

impl Catalog {
    /// The catalog of this computer (`local`, if it exists) before the built-in one.
    ///
    /// # Errors
    /// `local` exists and is not a catalog.
    pub fn of_this_computer(local: &Path) -> Result<Catalog, CatalogError> {
        let mut catalog = Catalog { lists: Vec::new() };
        if local.exists() {
            catalog = Catalog::open(local)?;
        }
        let built_in = parse(BUILT_IN, "the program's catalog", Base::Program)?;
        catalog.lists.push((Base::Program, built_in));
        Ok(catalog)
    }

    /// Reads a list from a file; relative paths in it start at its directory.
    ///
    /// # Errors
    /// [`CatalogError::Unreadable`] or [`CatalogError::Wrong`].
    pub fn open(path: &Path) -> Result<Catalog, CatalogError> {
        let place = path.display().to_string();
        let unreadable = |reason: String| CatalogError::Unreadable { place: place.clone(), reason };
        let text = file::read_text(path, MOST_BYTES).map_err(|e| unreadable(e.to_string()))?;
        let directory = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Catalog::of(&text, &place, Base::Directory(directory))
    }

    /// Reads a list downloaded from `url`, the base of its relative addresses.
    ///
    /// # Errors
    /// [`CatalogError::Wrong`].
    pub fn from_url(text: &str, url: &str) -> Result<Catalog, CatalogError> {
        let end = url.rfind('/').map_or(url.len(), |slash| slash + 1);
        Catalog::of(text, url, Base::Url(url[..end].into()))
    }

    fn of(text: &str, place: &str, base: Base) -> Result<Catalog, CatalogError> {
        let entries = parse(text, place, base.clone())?;
        Ok(Catalog { lists: vec![(base, entries)] })
    }

    /// Largest list in bytes.
    pub const MOST_BYTES: u64 = MOST_BYTES;

    /// Every model; of several with one name, the first.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        let all = || self.lists.iter().flat_map(|(_, entries)| entries);
        all().enumerate().filter(move |(i, e)| !all().take(*i).any(|b| b.name() == e.name())).map(|(_, e)| e)
    }

    /// The model of this name.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.entries().find(|entry| entry.name() == name)
    }

    /// Names in the bundle and texts of the files that an entry needs beside its model, from beside the list or built in.
    ///
    /// # Errors
    /// A file does not exist.
    pub fn texts(&self, entry: &Entry) -> Result<Vec<(&'static str, String)>, CatalogError> {
        let named = [(LABELS, &entry.labels_file), (ANCHORS, &entry.anchors)];
        let named = named.into_iter().filter_map(|(file, name)| Some((file, name.as_deref()?)));
        named.map(|(file, name)| Ok((file, self.text(entry, name)?))).collect()
    }

    fn text(&self, entry: &Entry, name: &str) -> Result<String, CatalogError> {
        let base =
            self.lists.iter().find(|(_, entries)| entries.iter().any(|e| std::ptr::eq(e, entry))).map(|(b, _)| b);
        if let Some(Base::Directory(directory)) = base
            && let Some(text) = beside(directory, name)?
        {
            return Ok(text);
        }
        match BUILT_IN_FILES.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Ok((*text).into()),
            None => Err(CatalogError::Missing {
                model: entry.name().into(),
                file: name.into(),
                known: BUILT_IN_FILES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "),
            }),
        }
    }
}

/// Text of a file beneath a list's directory, with strict access checks since it will be copied to a public place. `None` =
/// missing.
fn beside(directory: &Path, name: &str) -> Result<Option<String>, CatalogError> {
    let read = Directory::open(directory).and_then(|dir| dir.read_own(name, MOST_BYTES));
    let text = read.and_then(|bytes| {
        String::from_utf8(bytes).map_err(|e| FileError::NotText { valid_bytes: e.utf8_error().valid_up_to() })
    });
    match text {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(CatalogError::Unreadable {
            place: directory.join(name).display().to_string(),
            reason: error.to_string(),
        }),
    }
}

fn parse(text: &str, place: &str, base: Base) -> Result<Vec<Entry>, CatalogError> {
    let wrong = |reason: String| CatalogError::Wrong { place: place.into(), reason };
    let document: DocumentMut = text.parse().map_err(|e: toml_edit::TomlError| {
        let line = e.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let words = e.message().trim_end().replace('\n', ", ");
        wrong(line.map_or(words.clone(), |line| format!("line {line}: {words}")))
    })?;
    if let Some((key, _)) = document.iter().find(|(key, _)| *key != "model") {
        return Err(wrong(format!("unknown key {key:?} (allowed: [[model]] tables)")));
    }
    let Some(models) = document.get("model") else {
        return Err(wrong("there is no [[model]] in it".into()));
    };
    let Some(tables) = models.as_array_of_tables() else {
        return Err(wrong("model: [[model]] tables are wanted".into()));
    };
    let resolve = |url: &str| resolve(url, &base);
    let mut entries: Vec<Entry> = Vec::new();
    for (i, table) in tables.iter().enumerate() {
        let name =
            table.get("name").and_then(|name| name.as_str()).map_or(format!("number {}", i + 1), |n| format!("{n:?}"));
        let entry = Entry::read(table, resolve).map_err(|reason| wrong(format!("model {name}: {reason}")))?;
        if entries.iter().any(|known| known.name() == entry.name()) {
            return Err(wrong(format!("model {name}: there are two of this name")));
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn resolve(url: &str, base: &Base) -> Result<Location, String> {
    if is_url(url) {
        return Ok(Location::Url(url.into()));
    }
    if url.is_empty() || url.contains("://") {
        return Err(format!(
            "found {url:?}, allowed are http:// and https:// addresses, and paths relative to the catalog"
        ));
    }
    match base {
        Base::Program => Err(format!("found {url:?}, allowed are http:// and https:// addresses")),
        Base::Directory(directory) => Ok(Location::File(directory.join(url))),
        Base::Url(base) => Ok(Location::Url(format!("{base}{url}"))),
    }
}
