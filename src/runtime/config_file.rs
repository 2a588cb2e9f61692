//! The configuration file of a run, for those who change it.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Loaded;

/// Reads the text of the configuration; its error is a whole explanation.
pub type ReadText = Arc<dyn Fn() -> Result<String, String> + Send + Sync>;

/// Loads a text as if it were that of the configuration; its error is a whole explanation.
pub type LoadText = Arc<dyn Fn(&str) -> Result<Loaded, String> + Send + Sync>;

/// The configuration file, for requests that change it.
#[derive(Clone)]
pub struct ConfigFile {
    /// The file.
    pub path: PathBuf,
    /// Reads its text.
    pub read: ReadText,
    /// Loads a text in its place.
    pub check: LoadText,
}
