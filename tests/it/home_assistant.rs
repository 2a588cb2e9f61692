//! Home Assistant: the discovery message by its schemas, its templates by its engine, and all of it by Home Assistant itself.
//!
//! The keys are held against a table of Home Assistant's schemas, always. Its own validators, its template engine and a whole Home
//! Assistant need a Python that has it: `tests/home_assistant/setup` makes one in `target/home-assistant`, else
//! `LEPTOND_HOME_ASSISTANT` names the interpreter.

#[path = "home_assistant/live.rs"]
mod live;
#[path = "home_assistant/message.rs"]
mod message;

use std::path::PathBuf;

use crate::common;

/// The interpreter that has Home Assistant, or `None` after saying that `test` is skipped.
fn python(test: &str) -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let usual = || root.join("target/home-assistant/venv/bin/python");
    let python = std::env::var_os("LEPTOND_HOME_ASSISTANT").map_or_else(usual, PathBuf::from);
    if common::emulated() {
        common::skip(test, "Home Assistant's times are those of this computer, not of an emulated one");
        return None;
    }
    if python.exists() {
        return Some(python);
    }
    common::skip(test, "no Python with Home Assistant (tests/home_assistant/setup makes one)");
    None
}

/// A script of `tests/home_assistant`.
fn script(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/home_assistant").join(name)
}
