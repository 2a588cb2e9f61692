//! The model that is asked for: of the catalog, an address, a file or a bundle.

use std::path::{Path, PathBuf};

use super::error::InstallError;
use super::names::is_url;
use crate::catalog::{Catalog, Entry};
use crate::model;

/// A model to be installed.
#[derive(Debug)]
pub enum Wanted {
    /// A model of the catalog, with names and texts of the files that belong to it.
    Entry(Box<Entry>, Vec<(&'static str, String)>),
    /// A file at an address.
    Url(String),
    /// A model file of this computer.
    File(PathBuf),
    /// A bundle of this computer.
    Bundle(PathBuf),
}

/// Tells `what` apart: an address by its scheme, a path by its slash or ending, else a name in the catalog.
///
/// # Errors
/// [`InstallError::Request`] when it is nothing of these.
pub fn resolve<E: From<InstallError>>(what: &str, catalog: impl FnOnce() -> Result<Catalog, E>) -> Result<Wanted, E> {
    if is_url(what) {
        return match what.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()).as_deref() {
            Some("http" | "https") => Ok(Wanted::Url(what.into())),
            _ => {
                Err(InstallError::Request(format!("{what}: only http:// and https:// addresses can be fetched")).into())
            }
        };
    }
    let path = Path::new(what);
    if what.contains('/') || path.extension().is_some() {
        return Ok(local(path)?);
    }
    let catalog = catalog()?;
    if let Some(entry) = catalog.find(what) {
        let texts = catalog.texts(entry).map_err(InstallError::from)?;
        return Ok(Wanted::Entry(Box::new(entry.clone()), texts));
    }
    if path.exists() {
        return Ok(local(path)?);
    }
    if model::shipped().any(|shipped| shipped == what) {
        return Err(
            InstallError::Request(format!("{what} is part of the program: a pipeline can name it as it is")).into()
        );
    }
    let known: Vec<&str> = catalog.entries().map(Entry::name).collect();
    let score = |name: &str| strsim::jaro_winkler(what, name);
    let nearest = known.iter().filter(|name| score(name) > 0.7).max_by(|a, b| score(a).total_cmp(&score(b)));
    let meant = nearest.map(|name| format!(", did you mean {name:?}?")).unwrap_or_default();
    Err(InstallError::Request(format!(
        "{what:?} is neither in the catalog{meant} ({}) nor a file here; an address begins with https://",
        known.join(", ")
    ))
    .into())
}

fn local(path: &Path) -> Result<Wanted, InstallError> {
    let shown = path.display();
    let meta = std::fs::metadata(path).map_err(|e| InstallError::Request(format!("{shown}: {e}")))?;
    if meta.is_dir() {
        if path.join("model.toml").is_file() {
            return Ok(Wanted::Bundle(path.into()));
        }
        return Err(InstallError::Request(format!(
            "{shown}: a bundle's directory has a model.toml, this one has none"
        )));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    if [".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz"].iter().any(|ending| name.ends_with(ending)) {
        return Err(InstallError::Request(format!(
            "{shown}: unpack it first, and give the directory or the model file in it"
        )));
    }
    Ok(Wanted::File(path.into()))
}
