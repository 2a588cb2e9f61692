//! What the integration tests share.
#![allow(dead_code, reason = "each test module uses what it needs")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Says that a test is skipped and why: on standard error, and in the list that `tests/run` counts.
pub fn skip(test: &str, why: &str) {
    eprintln!("SKIPPED {test}: {why}");
    if let Some(list) = std::env::var_os("LEPTOND_TEST_SKIPS")
        && let Ok(mut file) = std::fs::OpenOptions::new().append(true).create(true).open(list)
    {
        let _ = writeln!(file, "{test}: {why}");
    }
}

/// The folder of models and data that is kept beside the project (`LEPTOND_SHARED`, else `../shared`), or `None` after
/// saying that the test is skipped.
pub fn shared(test: &str) -> Option<PathBuf> {
    let dir = std::env::var_os("LEPTOND_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    if dir.is_dir() {
        return Some(dir);
    }
    skip(test, &format!("{} is absent (set LEPTOND_SHARED)", dir.display()));
    None
}

/// Whether an emulator runs the tests (`cross/test`): everything takes long, and what is measured in seconds says nothing.
pub fn emulated() -> bool {
    std::env::var_os("LEPTOND_TEST_EMULATED").is_some()
}

/// How long something may take that takes up to `limit` natively.
pub fn patiently(limit: Duration) -> Duration {
    if emulated() { limit * 12 } else { limit }
}

/// How many cases of `many` a property is tried on: few where an emulator runs them (`cross/test`).
pub fn cases(many: u32) -> u32 {
    if emulated() { many / 20 } else { many }
}

/// A file of `tests/data`.
pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// The `leptond` binary under test; what it measures of this machine is remembered beside the tests, not for the user.
pub fn leptond() -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_leptond"));
    command.env("STATE_DIRECTORY", env!("CARGO_TARGET_TMPDIR"));
    // No directory: a daemon of one test is not to be seen by those of others.
    command.env("XDG_RUNTIME_DIR", "none");
    command
}
