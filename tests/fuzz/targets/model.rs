//! Any bytes as a model or a manifest: an error or a run, never a crash, never a hang.
//!
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz model tests/fuzz/corpus -- -timeout=10 -rss_limit_mb=600`, with a few
//! small `.onnx` files in the corpus folder to start from. The first byte says what the rest is. Without a nightly toolchain:
//! `RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4
//! -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table
//! -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing" cargo build --release --target x86_64-unknown-linux-gnu` here, then
//! the binary `model` with the same options.

#![no_main]

use std::path::Path;

use leptond::model::{LoadedModel, Manifest, PlanKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    if *kind == b'#' {
        if let Ok(text) = std::str::from_utf8(rest) {
            let _ = Manifest::parse(text, Path::new("model.toml"));
        }
        return;
    }
    let Ok(model) = LoadedModel::from_onnx("fuzz", data) else { return };
    let batch = if kind & 1 == 0 { None } else { Some(2) };
    if let Ok(mut plan) = model.plan(PlanKey { batch, size: Some([16, 16]) }) {
        let _ = plan.run();
        let _ = plan.run();
    }
    let _ = model.report(PlanKey::default());
});
