//! Progress of an installation, for whoever shows it.

use std::path::Path;

use crate::catalog::Progress;

/// Shows the steps of an installation.
pub trait Steps {
    /// Runs a step that may take seconds, once.
    fn step(&self, name: &str, work: &mut dyn FnMut());

    /// Tells that something is about to be written.
    fn begin(&self);

    /// Tells that another process works in the directory.
    fn wait(&self, dir: &Path);

    /// The view of a download of the model `name`.
    fn download(&self, name: &str) -> Box<dyn Progress>;
}

/// Runs a step and gives its result.
pub(super) fn run<T>(steps: &dyn Steps, name: &str, mut work: impl FnMut() -> T) -> T {
    let mut result = None;
    steps.step(name, &mut || result = Some(work()));
    result.unwrap_or_else(work)
}
