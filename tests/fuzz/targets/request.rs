//! Any bytes on any topic as a request: a request or a bounded error, never a crash; and what a change of the configuration asks for as an
//! edit of a file: an error, or a text within reach that is TOML.
//!
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz request`. The first line is the verb, the rest the payload. Without a nightly toolchain: as
//! the target `model` says.

#![no_main]

use std::sync::LazyLock;

use leptond::config::{self, Config};
use leptond::publish::requests::{Level, REGISTRY, Requests};
use leptond::runtime::command::{Request, read};
use libfuzzer_sys::fuzz_target;

const TEXT: &str = include_str!("../../../configs/leptond.toml");

static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    let options = config::Options { skip_files: true, ..config::Options::default() };
    config::load_text(TEXT, &options).expect("the packaged configuration loads").config
});

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let Ok(verb) = std::str::from_utf8(&data[..end]) else { return };
    let payload = data.get(end + 1..).unwrap_or_default();
    let names: Vec<&str> = CONFIG.pipelines.iter().map(|pipeline| pipeline.name.as_str()).collect();
    let off = read(verb, payload, &names, &Requests::Level(Level::Off));
    assert!(off.is_none_or(|asked| asked.request.is_err()));
    let every = Requests::Verbs(REGISTRY.iter().map(|entry| entry.name.to_owned()).collect());
    let Some(asked) = read(verb, payload, &names, &every) else { return };
    match asked.request {
        Err(error) => assert!(error.len() < 4096, "{error}"),
        Ok(Request::ConfigGet(wanted)) => {
            let _ = wanted.path.map(|path| config::part(&CONFIG, &path));
        }
        Ok(Request::ConfigSet(change)) => {
            if let Ok(edited) = config::edited(TEXT, &CONFIG, &change.values) {
                let options = config::Options { skip_files: true, ..config::Options::default() };
                if let Ok(loaded) = config::load_text(&edited.text, &options) {
                    assert!(config::is_within_reach(&CONFIG, &loaded.config), "{}", edited.text);
                }
            }
        }
        Ok(_) => {}
    }
});
