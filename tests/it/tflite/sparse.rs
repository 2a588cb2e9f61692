//! Constants without their zeros (`DENSIFY`), as MediaPipe's nets have them.

use leptond::model::{LoadedModel, PlanKey};
use leptond_engine::tflite::convert;
use tract_onnx::prelude::Tensor;

use super::build::{self, Call, F32, Fields, Part, byte, int, ints, spec};
use crate::common;

/// Number of the type of half-precision floats.
const F16: u8 = 1;

/// `x [2, 3] + w`, where `w` is [[0, 7, 0], [8, 0, 9]], stored sparse in half precision with these row segments.
fn sum(segments: &[u8]) -> Vec<u8> {
    let vector = |bytes: &[u8]| Part::Table(vec![(0, Part::Bytes(bytes.to_vec()))]);
    let rows = vec![(1, int(2))];
    let columns = vec![(0, byte(1)), (2, byte(3)), (3, vector(segments)), (4, byte(3)), (5, vector(&[1, 0, 2]))];
    let sparsity: Fields = vec![(0, ints(&[0, 1])), (2, Part::Tables(vec![rows, columns]))];
    let mut stored = spec("w", F16, &[2, 3]).data(vec![0x00, 0x47, 0x00, 0x48, 0x80, 0x48]);
    stored.sparsity = sparsity;
    let call = |code: i32, union: u8, inputs: &[i32], output: i32| Call {
        code,
        custom: None,
        union,
        options: vec![],
        inputs: inputs.to_vec(),
        outputs: vec![output],
    };
    build::model(
        &[
            spec("x", F32, &[2, 3]),
            stored,
            spec("dense", F16, &[2, 3]),
            spec("real", F32, &[2, 3]),
            spec("y", F32, &[2, 3]),
        ],
        &[call(124, 0, &[1], 2), call(6, 0, &[2], 3), call(0, 11, &[0, 3], 4)],
        &[0],
        &[4],
    )
}

#[test]
fn a_sparse_constant_is_expanded() {
    let model = LoadedModel::from_onnx("sparse", &convert(&sum(&[0, 1, 3])).unwrap()).unwrap();
    let x = Tensor::from_shape(&[2, 3], &[1.0f32, 1.0, 1.0, 2.0, 2.0, 2.0]).unwrap();
    let y = model.run_raw(vec![x], |_, _| {}).unwrap();
    let y = y[0].try_as_plain_ram().unwrap().as_slice::<f32>().unwrap().to_vec();
    assert_eq!(y, [1.0, 8.0, 1.0, 10.0, 2.0, 11.0]);
}

#[test]
fn a_sparse_constant_that_cannot_be_names_the_tensor() {
    for segments in [&[0, 1, 9][..], &[0, 3, 1], &[0, 1], &[0, 1, 2]] {
        let error = convert(&sum(segments)).unwrap_err().to_string();
        assert!(error.contains("\"w\""), "{error}");
    }
}

#[test]
fn a_cut_of_mediapipe_runs() {
    let Some(shared) = common::shared("a_cut_of_mediapipe_runs") else { return };
    let case = shared.join("cases/models/26-tflite-densify");
    let model = convert(&std::fs::read(case.join("model.tflite")).unwrap()).unwrap();
    let model = LoadedModel::from_onnx("densify", &model).unwrap();
    let mut plan = model.plan(PlanKey::default()).unwrap();
    plan.run().unwrap();
    assert!(plan.outputs().iter().all(|output| output.shape.len() == 4));
}
