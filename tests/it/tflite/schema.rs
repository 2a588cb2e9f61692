//! Operators of the schema, one model each, against what LiteRT made of them: `tests/tools/tflite_operators.py` writes models,
//! inputs and results into `tests/data/tflite/operators.json`.

use leptond::model::{LoadedModel, PlanKey, Runner};
use leptond_engine::tflite::convert;
use serde_json::{Map, Value};
use tract_onnx::prelude::{DatumType, IntoTValue, Tensor, tvec};

use super::{noise, values};
use crate::common;

/// Largest difference of floats, as a share of the greatest one or of 1.
const NEAR: f64 = 2e-5;

/// Models whose reference rounds on the way where floats do not: so many quanta may lie between them.
const FURTHER: &[(&str, f64)] = &[
    // Its exponentials are looked up.
    ("softmax-i2", 16.0),
];

/// Models that the runtime computes from rounded activations, and their largest difference from unrounded ones.
const ROUNDED: &[(&str, f64)] = &[("fully_connected-hybrid", 0.02)];

fn tensor(value: &Value) -> Tensor {
    let shape: Vec<usize> = value["shape"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect();
    let numbers: Vec<f64> = value["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    let dtype = match value["type"].as_str().unwrap() {
        "f4" => DatumType::F32,
        "i1" => DatumType::I8,
        "u1" => DatumType::U8,
        "i2" => DatumType::I16,
        "i4" => DatumType::I32,
        "i8" => DatumType::I64,
        "b1" => DatumType::Bool,
        other => panic!("type {other}"),
    };
    Tensor::from_shape(&shape, &numbers).unwrap().cast_to_dt(dtype).unwrap().into_owned()
}

fn cases() -> Map<String, Value> {
    let text = std::fs::read_to_string(common::data("tflite/operators.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn bytes(case: &Value) -> Vec<u8> {
    let hex = case["model"].as_str().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn check(name: &str, case: &Value) -> Result<bool, String> {
    let bytes = bytes(case);
    let onnx = convert(&bytes).map_err(|e| e.to_string())?;
    let model = LoadedModel::from_onnx(name, &onnx).map_err(|e| e.to_string())?;
    let inputs = case["inputs"].as_array().unwrap().iter().map(tensor).collect();
    let got = model.run_raw(inputs, |_, _| ()).map_err(|e| e.to_string())?;
    let want: Vec<Tensor> = case["outputs"].as_array().unwrap().iter().map(tensor).collect();
    if got.len() != want.len() {
        return Err(format!("{} results, {} are expected", got.len(), want.len()));
    }
    let mut same = true;
    let quanta = FURTHER.iter().find(|(case, _)| *case == name).map_or(1.0, |(_, quanta)| *quanta);
    for (got, want) in got.iter().zip(&want) {
        if (got.datum_type(), got.shape()) != (want.datum_type(), want.shape()) {
            return Err(format!("{got:?} where {want:?} is expected"));
        }
        let limit = match want.datum_type() {
            DatumType::F32 if ROUNDED.iter().any(|(case, _)| *case == name) => ROUNDED[0].1,
            DatumType::F32 => values(want).iter().fold(1.0f64, |most, v| most.max(v.abs())) * NEAR,
            DatumType::I8 | DatumType::U8 | DatumType::I16 => quanta,
            _ => 0.0,
        };
        let (got, want) = (values(got), values(want));
        let far = got.iter().zip(&want).filter(|(a, b)| (*a - *b).abs() > limit || a.is_nan() != b.is_nan()).count();
        if far > 0 {
            return Err(format!("{far} of {} are far:\n  {got:?}\n  {want:?}", want.len()));
        }
        same &= got.iter().zip(&want).all(|(a, b)| (a - b).abs() <= if limit < 0.5 { limit } else { 0.0 });
    }
    Ok(same)
}

#[test]
fn every_operator_of_the_schema_computes_what_litert_does() {
    let cases = cases();
    let (mut equal, mut wrong) = (0, Vec::new());
    for (name, case) in &cases {
        match check(name, case) {
            Ok(same) => equal += usize::from(same),
            Err(why) => wrong.push(format!("{name}: {why}")),
        }
    }
    println!("{} models: {equal} equal, {} within a quantum", cases.len(), cases.len() - equal - wrong.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// State kept between runs belongs to the runner, and is reset when the runner is told so.
#[test]
fn a_new_stream_begins_as_the_first_one_did() {
    let cases = cases();
    let onnx = convert(&bytes(&cases["variables"])).unwrap();
    let model = LoadedModel::from_onnx("variables", &onnx).unwrap();
    assert_eq!((model.info().inputs.len(), model.info().outputs.len(), model.info().kept.len()), (1, 1, 1));
    let shapes = model.shapes(PlanKey::default()).unwrap();
    let (mut runner, mut other) = (model.compile(&shapes).unwrap(), model.compile(&shapes).unwrap());
    let x = Tensor::from_shape(&[1, 3], &[1f32, 2.0, 3.0]).unwrap();
    let run = |runner: &mut Runner| values(&runner.run(tvec![x.clone().into_tvalue()]).unwrap()[0]);
    let (first, second) = (run(&mut runner), run(&mut runner));
    assert!(first.iter().zip(&second).all(|(a, b)| (b - a - 1.0).abs() < 2.5 && a != b), "{first:?} {second:?}");
    assert_eq!(run(&mut other), first, "each runner has its own");
    runner.reset_state();
    assert_eq!(run(&mut runner), first);
    assert_eq!(model.report(PlanKey::default()).unwrap().state.bytes, 12);
}

/// Files of every operator with a few bytes changed: an error or a model.
#[test]
fn damaged_files_of_every_operator_are_refused_or_convert() {
    for (name, case) in &cases() {
        let sound = bytes(case);
        let mut byte = noise(name.len() as u64);
        for _ in 0..20 {
            let mut damaged = sound.clone();
            for _ in 0..3 {
                let at = (usize::from(byte()) << 8 | usize::from(byte())) % damaged.len();
                damaged[at] = byte();
            }
            let _ = convert(&damaged);
        }
    }
}
