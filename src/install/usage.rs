//! Bundles as the configuration uses them, and their sizes.

use std::path::Path;

use crate::catalog;
use crate::config::ModelRefs;
use crate::model::{self, Bundle};

/// Pipelines whose model is the bundle `name` at `path`.
pub fn users(name: &str, path: &Path, glance: &ModelRefs) -> Vec<String> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.into());
    let here = real(path);
    named(name, glance, |model| model::locate(model, &glance.dirs).is_some_and(|found| real(&found) == here))
}

/// Pipelines that name the model `name` or a path, and mean one that `is_it`.
pub fn named(name: &str, glance: &ModelRefs, is_it: impl Fn(&str) -> bool) -> Vec<String> {
    let may = |model: &str| model == name || model.contains('/');
    glance
        .pipelines
        .iter()
        .filter(|(_, model)| may(model) && is_it(model))
        .map(|(pipeline, _)| pipeline.clone())
        .collect()
}

/// Bytes of all files of a bundle.
pub fn bytes_of(bundle: &Bundle) -> u64 {
    let files = catalog::files_of(bundle);
    files.iter().filter_map(|file| bundle.read(file).ok()).map(|bytes| bytes.len() as u64).sum()
}
