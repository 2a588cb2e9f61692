//! What the integration tests share.

use std::path::{Path, PathBuf};

/// The folder of models and data that is kept beside the project (`LEPTOND_SHARED`, else `../shared`), or `None` after
/// saying on standard error that the test is skipped.
#[allow(dead_code, reason = "each test module uses what it needs")]
pub fn shared(test: &str) -> Option<PathBuf> {
    let dir = std::env::var_os("LEPTOND_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    if dir.is_dir() {
        return Some(dir);
    }
    eprintln!("SKIPPED {test}: {} is absent (set LEPTOND_SHARED)", dir.display());
    None
}

/// A file of `tests/data`.
#[allow(dead_code, reason = "each test module uses what it needs")]
pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}
