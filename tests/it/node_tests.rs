//! The node tests of the `onnx` package: one small model an operator, with inputs and expected outputs.
//!
//! They need a Python that has `onnx` (`LEPTOND_ONNX_PYTHON`, else `python3`). `LEPTOND_NODE_TEST=NAME` runs those whose
//! names hold `NAME` and tells of each one that is not equal.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use leptond::model::{LoadedModel, npy};
use tract_onnx::prelude::{DatumType, Tensor};

use crate::common;

/// Share of the tests that must be equal; the rest must be refused.
const EQUAL: f64 = 0.98;

/// Result of one test.
enum Verdict {
    Equal,
    Refused(String),
    Wrong(String),
}

#[test]
fn operators_compute_what_the_specification_says() {
    let test = "node tests of onnx";
    let python = std::env::var("LEPTOND_ONNX_PYTHON").unwrap_or_else(|_| "python3".into());
    let has_onnx = Command::new(&python).args(["-c", "import onnx.backend.test"]).output();
    if !has_onnx.is_ok_and(|output| output.status.success()) {
        return common::skip(test, "no Python with onnx (pip install onnx; LEPTOND_ONNX_PYTHON names the interpreter)");
    }
    let dir = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/onnx_node_tests.py");
    let written = Command::new(&python).arg(script).arg(dir.path()).status().unwrap();
    assert!(written.success(), "the node tests could not be written");
    let wanted = std::env::var("LEPTOND_NODE_TEST").ok();
    let mut cases: Vec<PathBuf> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
    cases.sort();
    cases.retain(|case| wanted.as_ref().is_none_or(|part| name(case).contains(part)));
    let (mut equal, mut refused, mut wrong) = (0, 0, 0);
    let mut words = String::new();
    for case in &cases {
        match verdict(case) {
            Verdict::Equal => equal += 1,
            Verdict::Refused(reason) => {
                refused += 1;
                writeln!(words, "refused {}: {reason}", name(case)).unwrap();
            }
            Verdict::Wrong(reason) => {
                wrong += 1;
                writeln!(words, "wrong {}: {reason}", name(case)).unwrap();
            }
        }
    }
    println!("{words}{} node tests: {equal} equal, {refused} refused, {wrong} wrong", cases.len());
    assert_eq!(wrong, 0, "{words}");
    assert!(f64::from(equal) >= EQUAL * cases.len() as f64, "{equal} of {} are equal\n{words}", cases.len());
}

fn name(case: &Path) -> String {
    case.file_name().unwrap().to_string_lossy().into_owned()
}

fn tensors(case: &Path, what: &str) -> Result<Vec<Tensor>, String> {
    let paths = (0..).map(|index| case.join(format!("{what}{index}.npy"))).take_while(|path| path.exists());
    paths.map(|path| npy::read(&std::fs::read(path).unwrap())).collect()
}

fn verdict(case: &Path) -> Verdict {
    let tolerance = std::fs::read_to_string(case.join("tolerance")).unwrap();
    let mut tolerance = tolerance.split_whitespace().map(|t| t.parse::<f64>().unwrap());
    let (relative, absolute) = (tolerance.next().unwrap(), tolerance.next().unwrap());
    let (inputs, wanted) = match (tensors(case, "in"), tensors(case, "out")) {
        (Ok(inputs), Ok(wanted)) => (inputs, wanted),
        (Err(reason), _) | (_, Err(reason)) => return Verdict::Refused(reason),
    };
    let model = std::fs::read(case.join("model.onnx")).unwrap();
    let run = || LoadedModel::from_onnx(&name(case), &model)?.run_raw(inputs, |_, _| {});
    let found = match run() {
        Ok(found) => found,
        Err(error) => return Verdict::Refused(error.to_string()),
    };
    for (index, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
        if let Err(reason) = same(found, wanted, relative, absolute) {
            return Verdict::Wrong(format!("output {index}: {reason}"));
        }
    }
    if found.len() == wanted.len() { Verdict::Equal } else { Verdict::Wrong("another number of outputs".into()) }
}

fn same(found: &Tensor, wanted: &Tensor, relative: f64, absolute: f64) -> Result<(), String> {
    if found.datum_type() != wanted.datum_type() || found.shape() != wanted.shape() {
        let (found, wanted) = ((found.datum_type(), found.shape()), (wanted.datum_type(), wanted.shape()));
        return Err(format!("{found:?}, expected {wanted:?}"));
    }
    if !found.datum_type().is_float() {
        return if found == wanted { Ok(()) } else { Err(format!("{found:?}, expected {wanted:?}")) };
    }
    // A type with 10 bits of precision is computed in one with 23, and rounded once.
    let relative = if found.datum_type() == DatumType::F16 { relative.max(1.0 / 512.0) } else { relative };
    let values = |tensor: &Tensor| -> Vec<f64> {
        tensor.cast_to::<f64>().unwrap().try_as_plain_ram().unwrap().as_slice::<f64>().unwrap().to_vec()
    };
    // Sums of terms of both signs keep the rounding of the largest.
    let largest = values(wanted).into_iter().filter(|v| v.is_finite()).fold(1.0, |most: f64, v| most.max(v.abs()));
    let absolute = absolute.max(1e-6 * largest);
    for (position, (found, wanted)) in values(found).into_iter().zip(values(wanted)).enumerate() {
        let close = (found - wanted).abs() <= absolute + relative * wanted.abs();
        if !(close || found == wanted || found.is_nan() && wanted.is_nan()) {
            return Err(format!("element {position} is {found}, expected {wanted}"));
        }
    }
    Ok(())
}
