//! TensorFlow Lite models: against their forms by another converter, operator by operator against LiteRT, and damaged.

mod build;
mod damaged;
mod operators;
mod schema;
mod sparse;

use std::path::{Path, PathBuf};

use leptond::model::{Bundle, Engine, LoadedModel, PlanKey};
use leptond_engine::onnx::operators::ROUNDS_OPERAND;
use leptond_engine::tflite::convert;
use tract_onnx::prelude::{DatumType, Tensor};

use crate::common;

fn load(path: &Path, engine: Engine) -> LoadedModel {
    let load = || LoadedModel::load(&Bundle::open(path)?, 0, engine, 1);
    load().unwrap_or_else(|e| panic!("{e}"))
}

/// Every `.tflite` below the shared models with the `.onnx` of the same name beside it.
fn pairs(shared: &Path) -> Vec<(PathBuf, PathBuf)> {
    let mut pairs = Vec::new();
    for folder in std::fs::read_dir(shared.join("models")).unwrap() {
        for entry in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let tflite = entry.unwrap().path();
            let onnx = tflite.with_extension("onnx");
            if tflite.extension().is_some_and(|e| e == "tflite") && onnx.exists() {
                pairs.push((tflite, onnx));
            }
        }
    }
    pairs.sort();
    assert!(!pairs.is_empty(), "no pairs below {}", shared.display());
    pairs
}

/// Test for weights that a file holds as integers beside operands of floats, which its own runtime rounds then; tract's floats leave
/// that out.
fn rounds_operands(tflite: &Path) -> bool {
    let bytes = std::fs::read(tflite).unwrap();
    let converted = convert(&bytes).unwrap();
    converted.windows(ROUNDS_OPERAND.len()).any(|window| window == ROUNDS_OPERAND.as_bytes())
}

/// Numbers that look like noise, the same everywhere.
pub fn noise(seed: u64) -> impl FnMut() -> u8 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    }
}

/// A tensor of bytes, or of floats from −1 to 1.
pub fn tensor(dtype: DatumType, shape: &[usize], mut byte: impl FnMut() -> u8) -> Tensor {
    let bytes: Vec<u8> = (0..shape.iter().product()).map(|_| byte()).collect();
    let tensor = match dtype {
        DatumType::I8 => Tensor::from_shape(shape, &bytes.into_iter().map(|b| b as i8).collect::<Vec<_>>()),
        DatumType::U8 => Tensor::from_shape(shape, &bytes),
        DatumType::F32 => {
            let floats: Vec<f32> = bytes.into_iter().map(|b| (f32::from(b) - 128.0) / 128.0).collect();
            Tensor::from_shape(shape, &floats)
        }
        other => panic!("no noise of type {other:?}"),
    };
    tensor.unwrap()
}

pub fn values(tensor: &Tensor) -> Vec<f64> {
    tensor.cast_to::<f64>().unwrap().try_as_plain_ram().unwrap().as_slice::<f64>().unwrap().to_vec()
}

/// Real inputs of a model, by its name: what lies beside the shared models.
fn real_inputs(shared: &Path, name: &str) -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    if name.starts_with("kws01-int8") {
        let mut files: Vec<_> =
            std::fs::read_dir(shared.join("data/kws01")).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        inputs.extend(files.iter().step_by(10).map(|f| std::fs::read(f).unwrap()));
    }
    inputs
}

#[test]
fn every_shared_model_computes_what_its_other_form_does() {
    let Some(shared) = common::shared("every_shared_model_computes_what_its_other_form_does") else { return };
    for (tflite, onnx) in pairs(&shared) {
        let name = tflite.file_stem().unwrap().to_string_lossy().into_owned();
        let (ours, theirs) = (load(&tflite, Engine::Int8), load(&onnx, Engine::Int8));
        let ports = |m: &LoadedModel| {
            let all = m.info().inputs.iter().chain(&m.info().outputs);
            all.map(|p| (p.dtype, p.dims.get(1..).map(<[_]>::to_vec), p.quant)).collect::<Vec<_>>()
        };
        assert_eq!(ports(&ours), ports(&theirs), "{name}: inputs and outputs");
        let shapes = ours.shapes(PlanKey::default()).unwrap();
        let [port] = &ours.info().inputs[..] else { panic!("{name}: one input expected") };
        let size: usize = shapes[0].iter().product();
        // All in one tensor, since a plan is compiled for each call.
        let mut bytes: Vec<u8> = real_inputs(&shared, &name).concat();
        let rounds = (600_000 / size).clamp(3, 60) as u64;
        bytes.extend((0..rounds).flat_map(|seed| std::iter::repeat_with(noise(seed)).take(size)));
        // Runs of equal values are nearer to pictures than noise is.
        let mut byte = noise(100);
        bytes.extend((0..3 * size.div_ceil(97)).flat_map(|_| [byte(); 97]).take(3 * size));
        let mut shape = shapes[0].clone();
        shape[0] = bytes.len() / size;
        let mut bytes = bytes.into_iter();
        let input = tensor(port.dtype, &shape, || bytes.next().unwrap());
        let run = |m: &LoadedModel| m.run_raw(vec![input.clone()], |_, _| ()).unwrap_or_else(|e| panic!("{e}"));
        let (got, want) = (run(&ours), run(&theirs));
        assert_eq!(got.len(), want.len(), "{name}");
        if want.iter().any(|w| w.datum_type() == DatumType::F32) {
            let [floats, others] = [&tflite, &onnx].map(|path| run(&load(path, Engine::F32)));
            for (float, other) in floats.iter().zip(&others) {
                assert!(float.close_enough(other, true).is_ok(), "{name}: {float:?} {other:?}");
            }
        }
        for (got, want) in got.iter().zip(&want) {
            assert_eq!(got.shape(), want.shape(), "{name}");
            if got.datum_type() == DatumType::F32 {
                if !rounds_operands(&tflite) {
                    assert!(got.close_enough(want, true).is_ok(), "{name}: {got:?} {want:?}");
                }
                let apart = values(got).iter().zip(values(want)).fold(0.0, |most, (a, b)| (a - b).abs().max(most));
                let range = values(want).iter().fold(0.0, |most, v: &f64| v.abs().max(most));
                assert!(apart <= 0.05 * range, "{name}: {apart} apart, of {range}");
            } else {
                assert_eq!(values(got), values(want), "{name}");
            }
        }
    }
}

#[test]
fn quantised_shared_models_run_in_integers_from_end_to_end() {
    let Some(shared) = common::shared("quantised_shared_models_run_in_integers_from_end_to_end") else { return };
    for (tflite, _) in pairs(&shared) {
        let model = load(&tflite, Engine::Int8);
        if model.info().inputs[0].dtype == DatumType::F32 {
            continue;
        }
        let report = model.report(PlanKey::default()).unwrap();
        let floats: Vec<String> = report
            .nodes
            .iter()
            .filter(|n| n.runs == leptond::model::report::Arithmetic::Float)
            .map(|n| format!("{} {}: {}", n.operator, n.name, n.why))
            .collect();
        assert!(floats.is_empty(), "{}: {floats:?}", tflite.display());
        let transposes = report.nodes.iter().filter(|n| n.operator == "Transpose").count();
        assert!(transposes <= 1, "{}: {transposes} transpositions", tflite.display());
    }
}

#[test]
fn the_same_file_gives_the_same_model() {
    let Some(shared) = common::shared("the_same_file_gives_the_same_model") else { return };
    let bytes = std::fs::read(shared.join("models/mlperf-tiny/kws01-int8.tflite")).unwrap();
    assert_eq!(convert(&bytes).unwrap(), convert(&bytes).unwrap());
}

#[test]
fn another_format_is_told_apart() {
    for (bytes, what) in [(&b""[..], "TFL3"), (b"PK\x03\x04TFL2", "TFL3"), (b"\x1c\0\0\0TFL3", "not a complete")] {
        let error = convert(bytes).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
}
