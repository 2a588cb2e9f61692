//! The same bits on every processor: digests of what the integer engine computes are kept in `tests/data/int8/digests.txt`, and each
//! machine that runs the suite (x86-64 with its kernels, emulated Cortex-A72 and A76 with theirs) has to arrive at them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use leptond::model::{Bundle, Engine, LoadedModel, PlanKey, sha256};
use tract_onnx::prelude::{DatumType, Tensor};

use super::{cases, inputs, onnx, pattern};
use crate::common;

/// Fixtures of which a part computes in floats, as `leptond inspect` says: sums and exponentials there are the float kernels' of each
/// processor, which do not promise bits.
const IN_FLOATS: &[(&str, &str)] = &[
    ("softmax", "one Softmax and a LogSoftmax"),
    ("topology-float-of-the-layer-is-read", "a Conv and Tanh"),
    ("topology-layer-to-floats", "the last Gemm"),
];

/// Type, shape and every byte of the outputs.
fn digest(outputs: &[Tensor]) -> String {
    let mut bytes = Vec::new();
    for tensor in outputs {
        bytes.extend(format!("{:?}{:?}", tensor.datum_type(), tensor.shape()).bytes());
        bytes.extend_from_slice(tensor.as_bytes());
    }
    sha256(&bytes)[..16].to_owned()
}

fn of_file(path: &Path, rung: usize, inputs: impl Fn(&LoadedModel) -> Vec<Tensor>) -> Result<String, String> {
    let bundle = Bundle::open(path).map_err(|e| e.to_string())?;
    let model = LoadedModel::load(&bundle, rung, Engine::Int8, 1).map_err(|e| e.to_string())?;
    let outputs = model.run_raw(inputs(&model), |_, _| ()).map_err(|e| e.to_string())?;
    Ok(digest(&outputs))
}

/// Numbers of the generator for every input of a model, of one item each.
fn generated(model: &LoadedModel) -> Vec<Tensor> {
    let shapes = model.shapes(PlanKey::default()).unwrap();
    let one = |(k, (port, shape)): (usize, (&leptond::model::graph::Port, &Vec<usize>))| {
        let kind = match port.dtype.unquantized() {
            DatumType::F32 => "float",
            DatumType::I8 => "int8",
            DatumType::U8 => "uint8",
            other => panic!("{}: {other:?}", port.name),
        };
        pattern(kind, shape, 11 + k as u64)
    };
    model.info().inputs.iter().zip(&shapes).enumerate().map(one).collect()
}

/// The digests that are kept, by model.
fn kept() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(common::data("int8/digests.txt")).unwrap_or_default();
    let line = |l: &str| l.split_once(' ').map(|(digest, name)| (name.to_owned(), digest.to_owned()));
    text.lines().filter(|l| !l.starts_with('#')).filter_map(line).collect()
}

/// Compares with what is kept. `LEPTOND_TEST_WRITE_DIGESTS=1` with `--test-threads=1` writes what is new, for the change to show.
fn compare(found: &[(String, Result<String, String>)]) {
    let mut kept = kept();
    let mut wrong = String::new();
    for (name, digest) in found {
        match (digest, kept.get(name)) {
            (Ok(digest), Some(want)) if digest == want => {}
            (Ok(digest), want) => {
                let want = want.map_or("none is kept", String::as_str);
                let _ = writeln!(wrong, "{name}: {digest}, {want}");
                kept.insert(name.clone(), digest.clone());
            }
            (Err(error), _) => _ = writeln!(wrong, "{name}: {error}"),
        }
    }
    if std::env::var_os("LEPTOND_TEST_WRITE_DIGESTS").is_some() {
        let head =
            "# Digests of the outputs of tests/it/int8/identical.rs; LEPTOND_TEST_WRITE_DIGESTS=1 writes them.\n";
        let lines: String = kept.iter().map(|(name, digest)| format!("{digest} {name}\n")).collect();
        std::fs::write(common::data("int8/digests.txt"), format!("{head}{lines}")).unwrap();
    }
    assert!(wrong.is_empty(), "other bits than those kept:\n{wrong}");
}

#[test]
fn every_int8_model_gives_the_same_bits_on_every_processor() {
    let mut found = Vec::new();
    for (name, case) in cases() {
        if !IN_FLOATS.iter().any(|(model, _)| *model == name) && !super::KNOWN.iter().any(|(model, ..)| *model == name)
        {
            found.push((format!("fixture {name}"), of_file(&onnx(&name), 0, |_| inputs(&case))));
        }
    }
    for name in ["leptonnet-cifar10", "leptonnet-dials", "leptonnet-digits", "machine-anomaly"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(name);
        for rung in 0..Bundle::open(&path).unwrap().variants().len() {
            found.push((format!("shipped {name} {rung}"), of_file(&path, rung, generated)));
        }
    }
    compare(&found);
}

#[test]
fn public_int8_models_give_the_same_bits_on_every_processor() {
    let Some(shared) = common::shared("public_int8_models_give_the_same_bits_on_every_processor") else { return };
    let models = [
        "mlperf-tiny/ad01-int8.onnx",
        "mlperf-tiny/ad01-int8.tflite",
        "mlperf-tiny/ic01-int8.onnx",
        "mlperf-tiny/ic01-int8.tflite",
        "mlperf-tiny/kws01-int8.onnx",
        "mlperf-tiny/kws01-int8.tflite",
        "mlperf-tiny/vww01-int8.onnx",
        "mlperf-tiny/vww01-int8.tflite",
        "vision/fastestdet-coco-int8.onnx",
        "vision/mobilenet-v2-224-int8.onnx",
        "vision/mobilenet-v2-224-int8.tflite",
    ];
    let one = |file: &&str| (format!("public {file}"), of_file(&shared.join("models").join(file), 0, generated));
    compare(&models.iter().map(one).collect::<Vec<_>>());
}
