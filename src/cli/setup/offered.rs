//! The catalog's models beside those that are here already: which fit, and installing one.

use std::path::PathBuf;

use super::Failure;
use super::probe::Choice;
use crate::catalog::{self, Entry};
use crate::cli::catalog_args::CatalogArgs;
use crate::cli::model::add_of_catalog;
use crate::cli::words::size;
use crate::frame::TaskKind;
use crate::model::manifest::InputKind;
use crate::source;

/// The models of the catalog that fit `source` and are not among `here`.
///
/// # Errors
/// [`Failure`] when the catalog cannot be read.
pub fn choices(
    catalog: &CatalogArgs,
    source: &source::Config,
    here: &[Choice],
) -> Result<Vec<(Choice, Entry)>, Failure> {
    let catalog = catalog.open()?;
    let fits = |entry: &&Entry| {
        let window = entry.manifest.input.kind == Some(InputKind::Window);
        let anomaly = entry.manifest.task == TaskKind::Anomaly && entry.manifest.input.rows.is_some();
        if source.kind().frames().are_windows() { window || anomaly } else { !window }
    };
    let entries = catalog.entries().filter(fits).filter(|e| here.iter().all(|c| c.name != e.name()));
    Ok(entries.map(|entry| (choice(entry), entry.clone())).collect())
}

fn choice(entry: &Entry) -> Choice {
    let manifest = &entry.manifest;
    let licence = if manifest.licence.is_empty() { "licence not known" } else { &manifest.licence };
    let accuracy = manifest.accuracy.as_ref().map(|a| format!(", {} {}", a.metric, a.value)).unwrap_or_default();
    let task = manifest.task.word();
    let about = format!("{task}, {} to fetch, {licence}{accuracy}", size(entry.bytes));
    let label = format!("{}: {} ({about})", entry.name(), manifest.description.trim_end_matches('.'));
    // Its labels may be in a file of their own, which is fetched with it.
    Choice::new(entry.name().into(), label, manifest, &[])
}

/// The directory that a model would be installed in.
///
/// # Errors
/// The reason for which this user may write none.
pub fn directory(dirs: &[PathBuf]) -> Result<PathBuf, String> {
    catalog::choose(dirs).map_err(|error| error.to_string())
}

/// The command that installs `name`.
pub fn command(name: &str) -> String {
    let sudo = if rustix::process::geteuid().is_root() { "" } else { "sudo " };
    format!("{sudo}leptond model add {name}")
}

/// Installs `name` as `leptond model add` does.
///
/// # Errors
/// As that command's.
pub fn install(name: &str, dirs: &[PathBuf], catalog: &CatalogArgs) -> Result<(), Failure> {
    let dir = directory(dirs).map_err(|reason| Failure::Failed(anyhow::anyhow!(reason)))?;
    add_of_catalog(name, dir, catalog)
}
