//! `prune` through the real binary: a small float net over bare tensors, what it says of it, and what it refuses.

use std::path::{Path, PathBuf};
use std::process::Output;

use leptond_engine::onnx::build::{self, NodeBuilder, port_of_shape, untyped_port};
use leptond_engine::onnx::tensor;
use prost::Message;
use tract_onnx::pb::GraphProto;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::prelude::Tensor;

use crate::common::leptond;
use crate::infer::{bundle, failed};

/// Numbers from −0.5 to 0.5.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

/// A net with a residual sum, a depthwise layer and a softmax over 5 classes.
fn net(path: &Path) {
    let mut graph = GraphProto::default();
    let constant = |graph: &mut GraphProto, name: &str, shape: &[usize]| {
        let seed = graph.initializer.len() as u64 + 1;
        let value = Tensor::from_shape(shape, &numbers(shape.iter().product(), seed)).unwrap();
        graph.initializer.push(tensor::write(name, &value).unwrap());
    };
    for (name, shape) in
        [("wa", &[16, 3, 3, 3][..]), ("ba", &[16]), ("wb", &[16, 16, 3, 3]), ("wd", &[16, 1, 3, 3]), ("wf", &[16, 5])]
    {
        constant(&mut graph, name, shape);
    }
    let padded = |inputs: &[&str]| NodeBuilder::new("Conv", inputs.iter().copied()).ints("pads", &[1; 4]);
    graph.node = vec![
        padded(&["x", "wa", "ba"]).named("first", ["a"]),
        NodeBuilder::new("Relu", ["a"]).named("relu", ["r"]),
        padded(&["r", "wb"]).named("second", ["b"]),
        NodeBuilder::new("Add", ["r", "b"]).named("sum", ["s"]),
        padded(&["s", "wd"]).int("group", 16).named("own", ["d"]),
        NodeBuilder::new("GlobalAveragePool", ["d"]).named("pool", ["p"]),
        NodeBuilder::new("Flatten", ["p"]).named("flat", ["f"]),
        NodeBuilder::new("MatMul", ["f", "wf"]).named("head", ["l"]),
        NodeBuilder::new("Softmax", ["l"]).int("axis", 1).named("softmax", ["y"]),
    ];
    graph.input = vec![port_of_shape("x", DataType::Float, &[1, 3, 8, 8])];
    graph.output = vec![untyped_port("y")];
    std::fs::write(path, build::model(graph, 13).encode_to_vec()).unwrap();
}

/// Samples as `.npy` files.
fn samples(dir: &Path, count: usize) -> PathBuf {
    let dir = dir.join("samples");
    std::fs::create_dir_all(&dir).unwrap();
    for index in 0..count {
        let mut header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 8, 8), }".to_owned();
        header.push_str(&" ".repeat((64 - (header.len() + 11) % 64) % 64));
        header.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(numbers(192, 100 + index as u64).iter().flat_map(|v| v.to_le_bytes()));
        std::fs::write(dir.join(format!("{index:03}.npy")), bytes).unwrap();
    }
    dir
}

fn prune(model: &Path, samples: &Path, output: &Path, more: &[&str]) -> Output {
    let mut command = leptond();
    command.arg("prune").arg(model).arg("--calibrate").arg(samples).arg("-o").arg(output).args(more);
    command.output().unwrap()
}

#[test]
fn a_share_is_removed_and_the_rest_runs() {
    let dir = tempfile::tempdir().unwrap();
    let (model, out) = (dir.path().join("net.onnx"), dir.path().join("small.onnx"));
    net(&model);
    let samples = samples(dir.path(), 40);
    let output = prune(&model, &samples, &out, &["--ratio", "30%"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for part in
        ["first", "16 → 12", "% removed", "fitted to 32 samples", "over 8 samples that were held out", "small.onnx"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(std::fs::metadata(&out).unwrap().len() < std::fs::metadata(&model).unwrap().len());
    let npy = dir.path().join("y.npy");
    let infer = leptond().arg("infer").arg(&out).arg(samples.join("000.npy")).arg("--raw").arg("-o").arg(&npy).output();
    assert!(infer.unwrap().status.success());
    assert!(npy.is_file());
    // The same place is not taken twice unless told.
    failed(&prune(&model, &samples, &out, &["--ratio", "0.3"]), 2, &["small.onnx is there already; --replace"]);
    assert!(prune(&model, &samples, &out, &["--target-macs", "120k", "--replace"]).status.success());
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let (model, out) = (dir.path().join("net.onnx"), dir.path().join("small.onnx"));
    net(&model);
    let few = samples(dir.path(), 4);
    failed(&prune(&model, &few, &out, &["--ratio", "0.99"]), 1, &["cannot be left: the fewest are", "net.onnx"]);
    failed(&prune(&model, &few, &out, &[]), 2, &["--ratio"]);
    failed(&prune(&model, &few, &out, &["--ratio", "1.5"]), 2, &["a share above 0 and below 1"]);
    failed(&prune(&model, &dir.path().join("none"), &out, &["--ratio", "0.3"]), 1, &["--calibrate", "none"]);
    let one = few.join("000.npy");
    failed(&prune(&model, &one, &out, &["--ratio", "0.3"]), 1, &["one sample is not enough"]);
    let digits = bundle("leptonnet-digits");
    let goldens = digits.join("golden");
    failed(&prune(&digits, &goldens, &out, &["--ratio", "0.3"]), 1, &["the model is quantised already"]);
    assert!(!out.exists());
}
