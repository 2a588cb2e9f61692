//! Any bytes as a TensorFlow Lite model: an error or an ONNX model that loads or says why not; never a crash, never a hang.
//!
//! `cargo +nightly fuzz run --fuzz-dir tests/fuzz tflite tests/fuzz/corpus -- -timeout=20 -rss_limit_mb=2048`, with a few
//! small `.tflite` files in the corpus folder to start from.

#![no_main]

use leptond::model::{LoadedModel, PlanKey};
use leptond_engine::tflite::convert;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(onnx) = convert(data) else { return };
    let Ok(model) = LoadedModel::from_onnx("fuzz", &onnx) else { return };
    if let Ok(mut plan) = model.plan(PlanKey::default()) {
        let _ = plan.run();
    }
});
