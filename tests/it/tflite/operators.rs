//! Every operator in small models made by hand, against what LiteRT's reference kernels computed (`tests/data/tflite/litert.json`).
//!
//! `tests/tools/litert_cases.py` writes that file anew: with `LEPTOND_TFLITE_CASES` set to a folder, the test puts models and
//! inputs there instead of comparing.

mod cases;
mod nets;

use std::path::Path;

use leptond::model::{LoadedModel, npy};
use leptond_engine::tflite::convert;
use serde_json::Value;
use tract_onnx::prelude::Tensor;

use self::cases::{cases, conv, pool, q8, terms, weights};
use super::build::{self, Call, F32, Fields, I8, I32, Part, Spec, byte, int, spec};
use super::{noise, tensor, values};
use crate::common;

/// What is wanted of the result.
#[derive(Clone, Copy, PartialEq)]
enum Want {
    /// LiteRT's bits.
    Same,
    /// Within a quantum, and one in ten at most differs; for floats, within a hundred-thousandth.
    Near,
    /// Exact halves of a quantum are common, or roundings follow one another: within two, and one in five at most differs. LiteRT
    /// rounds halves away from zero, ONNX to the even neighbour.
    Halves,
}

struct Case {
    name: String,
    want: Want,
    tensors: Vec<Spec>,
    calls: Vec<Call>,
    inputs: Vec<i32>,
    outputs: Vec<i32>,
}

impl Case {
    fn bytes(&self) -> Vec<u8> {
        build::model(&self.tensors, &self.calls, &self.inputs, &self.outputs)
    }
}

/// A model of one operator: the last tensor is its result, what has no values before it is an input.
fn one(name: &str, want: Want, code: i32, union: u8, options: Fields, tensors: Vec<Spec>) -> Case {
    let last = tensors.len() as i32 - 1;
    let inputs = (0..last).filter(|&i| tensors[i as usize].data.is_empty()).collect();
    let call = Call { code, custom: None, union, options, inputs: (0..last).collect(), outputs: vec![last] };
    Case { name: name.into(), want, tensors, calls: vec![call], inputs, outputs: vec![last] }
}

fn inputs(case: &Case, model: &LoadedModel) -> Vec<Tensor> {
    let mut byte = noise(case.name.len() as u64);
    let ports = &model.info().inputs;
    assert_eq!(ports.len(), case.inputs.len(), "{}", case.name);
    let shape =
        |place: usize| case.tensors[case.inputs[place] as usize].shape.iter().map(|&d| d as usize).collect::<Vec<_>>();
    ports.iter().enumerate().map(|(place, port)| tensor(port.dtype, &shape(place), &mut byte)).collect()
}

fn write_cases(dir: &Path) {
    for case in cases() {
        std::fs::write(dir.join(format!("{}.tflite", case.name)), case.bytes()).unwrap();
        let model = LoadedModel::from_onnx(&case.name, &convert(&case.bytes()).unwrap()).unwrap();
        for (place, input) in inputs(&case, &model).iter().enumerate() {
            let mut bytes = Vec::new();
            npy::write(input, &mut bytes).unwrap();
            std::fs::write(dir.join(format!("{}.{place}.npy", case.name)), bytes).unwrap();
        }
    }
}

#[test]
fn operators_compute_what_litert_does() {
    if let Some(dir) = std::env::var_os("LEPTOND_TFLITE_CASES") {
        return write_cases(Path::new(&dir));
    }
    let text = std::fs::read_to_string(common::data("tflite/litert.json")).unwrap();
    let expected: serde_json::Map<String, Value> = serde_json::from_str(&text).unwrap();
    let mut wrong = Vec::new();
    for case in cases() {
        if let Err(why) = compare(&case, &expected) {
            wrong.push(format!("{}: {why}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn compare(case: &Case, expected: &serde_json::Map<String, Value>) -> Result<(), String> {
    let onnx = convert(&case.bytes()).map_err(|e| e.to_string())?;
    let model = LoadedModel::from_onnx(&case.name, &onnx).map_err(|e| e.to_string())?;
    let got = model.run_raw(inputs(case, &model), |_, _| ()).map_err(|e| e.to_string())?;
    let want = expected.get(&case.name).and_then(Value::as_array).ok_or("litert.json lacks it")?;
    if got.len() != want.len() {
        return Err(format!("{} results, {} are expected", got.len(), want.len()));
    }
    for (got, want) in got.iter().zip(want) {
        let integers = got.datum_type().is_integer();
        let got = values(got);
        let want: Vec<f64> = want.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        let limit = match (case.want, integers) {
            (Want::Same, _) => 0.0,
            (Want::Near, true) => 1.0,
            (Want::Halves, true) => 2.0,
            (_, false) => 1e-5,
        };
        let far = got.iter().zip(&want).filter(|(a, b)| (*a - *b).abs() > limit).count();
        let differ = got.iter().zip(&want).filter(|(a, b)| a != b).count();
        let share = if case.want == Want::Halves { 5 } else { 10 };
        if got.len() != want.len() || far > 0 || (integers && differ * share > want.len().max(share)) {
            return Err(format!("{far} of {} are far, {differ} differ:\n  {got:?}\n  {want:?}", want.len()));
        }
    }
    Ok(())
}

/// What cannot be converted names operator, place and tensor.
#[test]
fn what_has_no_form_is_named() {
    let mut custom = one("custom", Want::Same, 32, 0, vec![], vec![q8("x", &[1, 4]), q8("boxes", &[1, 4])]);
    custom.calls[0].custom = Some("FlexBoxes");
    let unknown = one("hashes", Want::Same, 10, 0, vec![], vec![q8("x", &[1, 4]), q8("out", &[1, 4])]);
    let wide = one(
        "wide",
        Want::Same,
        0,
        11,
        vec![],
        vec![spec("x", 7, &[1, 4]), spec("b", 7, &[1, 4]), spec("out", 7, &[1, 4])],
    );
    let sizes = one(
        "sizes",
        Want::Same,
        17,
        5,
        pool([1, 2, 2, 2, 2, 0]),
        vec![q8("x", &[1, 6, 6, 1]), q8("out", &[1, 4, 4, 1])],
    );
    let scaleless = one("scaleless", Want::Same, 14, 0, vec![], vec![spec("x", I8, &[1, 4]), q8("out", &[1, 4])]);
    let cases: [(Case, &[&str]); 5] = [
        (custom, &["operator 0 (FlexBoxes)", "\"boxes\"", "no such operator"]),
        (unknown, &["operator 0 (HASHTABLE_LOOKUP)", "\"out\"", "words and hashes"]),
        (wide, &["\"x\"", "no scale"]),
        (sizes, &["operator 0 (MAX_POOL_2D)", "\"out\"", "do not make 4"]),
        (scaleless, &["operator 0 (LOGISTIC)", "\"x\"", "no scale"]),
    ];
    for (case, words) in cases {
        let error = convert(&case.bytes()).unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "{}: {error}", case.name);
        }
    }
}

/// LiteRT wants a bias; other converters' files lack it where it is zero.
#[test]
fn a_missing_bias_is_zero() {
    let run = |bias: Option<Spec>| {
        let x = q8("x", &[1, 7, 6, 3]);
        let mut tensors = vec![x, weights(&[4, 3, 3, 3], 0)];
        tensors.extend(bias);
        tensors.push(spec("out", I8, &[1, 7, 6, 4]).quant(0.06, -5));
        let case = one("bias", Want::Same, 3, 1, conv([0, 1, 1, 1, 1, 1]), tensors);
        let model = LoadedModel::from_onnx("bias", &convert(&case.bytes()).unwrap()).unwrap();
        values(&model.run_raw(inputs(&case, &model), |_, _| ()).unwrap()[0])
    };
    assert_eq!(run(None), run(Some(terms(4).ints(&[0; 4]))));
}

/// MediaPipe's operator is `TRANSPOSE_CONV` with other operands and options; LiteRT does not have it.
#[test]
fn a_custom_transposed_convolution_computes_what_the_known_one_does() {
    let (kernel, bias): (Vec<f32>, Vec<f32>) = ((0..36).map(|v| v as f32 / 8.0 - 2.0).collect(), vec![0.5, -1.0]);
    let x = || spec("x", F32, &[1, 3, 4, 2]);
    let weights = || spec("weights", F32, &[2, 3, 3, 2]).floats(&kernel);
    let bias = || spec("bias", F32, &[2]).floats(&bias);
    let run = |case: &Case| {
        let model = LoadedModel::from_onnx("transposed", &convert(&case.bytes()).unwrap()).unwrap();
        values(&model.run_raw(inputs(case, &model), |_, _| ()).unwrap()[0])
    };
    for (padding, out) in [(1u8, [1, 6, 8, 2]), (2, [1, 7, 9, 2])] {
        let y = || spec("out", F32, &out);
        let options = vec![(0, byte(padding - 1)), (1, int(2)), (2, int(2))];
        let size = spec("size", I32, &[4]).ints(&out);
        let known = one("transposed", Want::Same, 67, 49, options, vec![size, weights(), x(), bias(), y()]);
        let packed = [i32::from(padding), 2, 2].iter().flat_map(|v| v.to_le_bytes()).collect();
        let options = vec![(5, Part::Bytes(packed))];
        let mut custom = one("transposed", Want::Same, 32, 0, options, vec![x(), weights(), bias(), y()]);
        custom.calls[0].custom = Some("Convolution2DTransposeBias");
        assert_eq!(run(&custom), run(&known), "padding {padding}");
        custom.calls[0].options = vec![(5, Part::Bytes(vec![1; 5]))];
        let short = convert(&custom.bytes()).unwrap_err().to_string();
        assert!(short.contains("Convolution2DTransposeBias") && short.contains("padding"), "{short}");
    }
}
