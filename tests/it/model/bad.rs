//! Bad models: each one an error that names what is wrong, none a panic, none a hang.

use std::time::{Duration, Instant};

use leptond::model::{Bundle, LoadedModel, PlanKey, graph};
use tract_onnx::pb;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};

use super::build::*;

fn outcome(bytes: &[u8]) -> Result<(), String> {
    let model = LoadedModel::from_onnx("bad.onnx", bytes).map_err(|e| e.to_string())?;
    let mut plan = model.plan(PlanKey::default()).map_err(|e| e.to_string())?;
    plan.run().map_err(|e| e.to_string())
}

fn case(bytes: Vec<u8>, words: &[&str]) {
    let started = Instant::now();
    let error = outcome(&bytes).expect_err(&format!("{words:?} was accepted"));
    for word in words {
        assert!(error.contains(word), "{word:?} is not in: {error}");
    }
    assert!(error.len() < 1200, "too long: {error}");
    assert!(
        started.elapsed() < crate::common::patiently(Duration::from_secs(20)),
        "{words:?} took {:?}",
        started.elapsed()
    );
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("huge.onnx");
    std::fs::File::create(&path).unwrap().set_len(graph::MAX_FILE_BYTES + 1).unwrap();
    // Already when it is opened: what a bare file is, is its hash.
    let error = Bundle::open(&path).unwrap_err().to_string();
    assert!(error.contains("huge.onnx") && error.contains("more than 536870912 bytes"), "{error}");
}

#[test]
fn files_that_are_no_models() {
    case(vec![], &["bad.onnx", "empty"]);
    case(b"hello world, this is no model".to_vec(), &["bad.onnx", "not a complete ONNX model"]);
    case(vec![0xff; 4096], &["not a complete ONNX model"]);
    let whole = file(network());
    case(whole[..whole.len() / 2].to_vec(), &["not a complete ONNX model"]);
    case(pb_without_graph(), &["no graph"]);
}

fn pb_without_graph() -> Vec<u8> {
    use prost::Message;
    pb::ModelProto { ir_version: 8, ..Default::default() }.encode_to_vec()
}

#[test]
fn graphs_that_do_not_hang_together() {
    case(line(vec![], vec![node("Relu", &["nowhere"], &["y"])]), &["the_y", "Relu", "nowhere", "defined nowhere"]);
    let circle = vec![node("Add", &["x", "b"], &["a"]), node("Relu", &["a"], &["b"]), node("Relu", &["b"], &["y"])];
    case(line(vec![], circle), &["circle", "the_a", "Add"]);
    let twice = vec![node("Relu", &["x"], &["y"]), node("Abs", &["x"], &["y"])];
    case(line(vec![], twice), &["defined twice", "\"y\"", "Abs"]);
    case(line(vec![], vec![node("Relu", &["x"], &["z"])]), &["\"y\"", "no node computes"]);
    case(line(vec![], vec![node("FlyToTheMoon", &["x"], &["y"])]), &["FlyToTheMoon", "the_y", "no such operator"]);
    let mut relu = node("Relu", &["x"], &["y"]);
    relu.attribute = vec![attr_ints("a", &[1]), attr_ints("a", &[2])];
    case(line(vec![], vec![relu]), &["the_y", "\"a\"", "twice"]);
    let mut unknown = graph(
        vec![port("x", DataType::Float, &[1])],
        vec![],
        vec![node("Relu", &["x"], &["y"])],
        vec![port("y", DataType::Float, &[1])],
    );
    unknown.input[0].r#type = None;
    case(file(unknown), &["\"x\"", "no type"]);
}

#[test]
fn tensors_that_are_not_whole() {
    let add = || vec![node("Add", &["x", "w"], &["y"])];
    case(line(vec![raw("w", &[4], DataType::Float, vec![0; 15])], add()), &["\"w\"", "15 bytes", "16"]);
    case(line(vec![floats("w", &[-4], &[0.0; 4])], add()), &["\"w\"", "-4"]);
    // On 32 bits this many elements cannot even be counted.
    let beyond = if cfg!(target_pointer_width = "32") { "cannot be" } else { "MiB" };
    case(line(vec![raw("w", &[1 << 40], DataType::Float, vec![0; 16])], add()), &["\"w\"", beyond]);
    case(line(vec![raw("w", &[1 << 40, 1 << 40], DataType::Float, vec![0; 16])], add()), &["\"w\"", "cannot be"]);
    case(line(vec![raw("w", &[4], DataType::String, vec![0; 16])], add()), &["\"w\"", "string"]);
    case(line(vec![raw("w", &[4], DataType::Bfloat16, vec![0; 8])], add()), &["\"w\"", "bfloat16"]);
    let mut external = floats("w", &[4], &[]);
    external.data_location = Some(DataLocation::External as i32);
    let location = pb::StringStringEntryProto { key: "location".into(), value: "../../etc/passwd".into() };
    external.external_data = vec![location];
    case(line(vec![external], add()), &["\"w\"", "another file", "passwd"]);
    let mut huge = network();
    huge.input[0] = port("x", DataType::Int8, &[1, 1, 1 << 30, 1 << 30]);
    case(file(huge), &["\"x\"", "MiB"]);
}

#[test]
fn operators_that_cannot_be() {
    case(line(vec![floats("w", &[3], &[0.0; 3])], vec![node("Add", &["x", "w"], &["y"])]), &["the_y", "Add"]);
    case(line(vec![floats("w", &[5, 2], &[0.0; 10])], vec![node("MatMul", &["x", "w"], &["y"])]), &["the_y", "MatMul"]);
    case(line(vec![ints("to", &[1], &[3])], vec![node("Reshape", &["x", "to"], &["y"])]), &["the_y", "Reshape"]);
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let nodes = vec![node("QuantizeLinear", &["x", "s"], &["q"]), node("DequantizeLinear", &["q", "s"], &["y"])];
        case(line(vec![floats("s", &[], &[scale])], nodes), &["QuantizeLinear", "scale", "above 0"]);
    }
    let nodes = vec![node("QuantizeLinear", &["x", "s"], &["q"]), node("DequantizeLinear", &["q", "s"], &["y"])];
    case(line(vec![floats("s", &[3], &[1.0; 3])], nodes), &["QuantizeLinear", "3 scales"]);
    let mut conv = node("Conv", &["x", "w"], &["y"]);
    conv.attribute = vec![attr_ints("kernel_shape", &[3, 3]), attr_ints("strides", &[0, 0])];
    case(line(vec![floats("w", &[1, 1, 3, 3], &[0.0; 9])], vec![conv]), &["Conv", "the_y"]);
}

#[test]
fn sizes_that_would_eat_the_memory() {
    let shape = ints("to", &[2], &[1 << 20, 1 << 20]);
    case(line(vec![shape.clone()], vec![node("ConstantOfShape", &["to"], &["y"])]), &["the_y", "ConstantOfShape"]);
    let expand = vec![node("Slice", &["x", "0", "1", "1"], &["one"]), node("Expand", &["one", "to"], &["y"])];
    let zero = ints("0", &[1], &[0]);
    let one = ints("1", &[1], &[1]);
    case(line(vec![shape, zero, one], expand), &["the_y", "Expand"]);
    let tile = ints("by", &[2], &[1 << 16, 1 << 16]);
    case(line(vec![tile], vec![node("Tile", &["x", "by"], &["y"])]), &["the_y", "Tile"]);
    let pads = ints("pads", &[4], &[0, 1 << 20, 1 << 20, 0]);
    case(line(vec![pads], vec![node("Pad", &["x", "pads"], &["y"])]), &["the_y", "Pad"]);
    let range = vec![ints("a", &[], &[0]), ints("b", &[], &[1 << 40]), ints("c", &[], &[1])];
    case(line(range, vec![node("Range", &["a", "b", "c"], &["y"])]), &["the_y", "Range"]);
}

#[test]
fn graphs_that_are_deep_or_long() {
    let mut inner =
        graph(vec![], vec![], vec![node("Identity", &["x"], &["y0"])], vec![port("y0", DataType::Float, &[])]);
    for depth in 1..60 {
        let (then, last) = (inner.clone(), format!("y{depth}"));
        let mut branch = node("If", &["c"], &[&last]);
        branch.attribute = vec![attr_graph("then_branch", then)];
        inner = graph(vec![], vec![], vec![branch], vec![port(&last, DataType::Float, &[])]);
    }
    inner.input = vec![port("x", DataType::Float, &[1]), port("c", DataType::Bool, &[])];
    let error = outcome(&file(inner));
    assert!(error.is_err_and(|e| e.contains("bad.onnx")), "sixty nested branches were accepted");

    let started = Instant::now();
    let names: Vec<String> = (0..3000).map(|i| if i == 2999 { "y".into() } else { format!("t{i}") }).collect();
    let mut nodes = vec![node("Relu", &["x"], &[&names[0]])];
    nodes.extend(names.windows(2).map(|w| node("Neg", &[&w[0]], &[&w[1]])));
    assert_eq!(outcome(&line(vec![], nodes)), Ok(()));
    assert!(started.elapsed() < crate::common::patiently(Duration::from_secs(60)), "{:?}", started.elapsed());
}

/// xorshift64*, so that the mutations are the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % n.max(1)
    }
}

/// One to four changes: bits, bytes, runs cut, doubled or swapped, extreme varints, the end cut off.
fn mutate(original: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len());
        let run = (1 + random.below(24)).min(bytes.len() - at);
        match random.below(8) {
            0 | 1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            3 => drop(bytes.drain(at..at + run)),
            4 => {
                let copy = bytes[at..at + run].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, copy);
            }
            5 => {
                let to = random.below(bytes.len() - run + 1);
                let copy = bytes[at..at + run].to_vec();
                bytes[to..to + run].copy_from_slice(&copy);
            }
            6 => drop(bytes.splice(at..at + 1, [0xff, 0xff, 0xff, 0xff, 0x0f])),
            _ if random.below(4) == 0 => bytes.truncate(at.max(1)),
            _ => bytes[at] = bytes[at].wrapping_add(1),
        }
        if bytes.is_empty() {
            bytes.push(0);
        }
    }
    bytes
}

#[test]
fn mutated_models_err_or_run() {
    let original = file(network());
    assert_eq!(outcome(&original), Ok(()));
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let (mut refused, mut ran) = (0, 0);
    for _ in 0..600 {
        let bytes = mutate(&original, &mut random);
        let started = Instant::now();
        match outcome(&bytes) {
            Ok(()) => ran += 1,
            Err(error) => {
                assert!(!error.is_empty());
                refused += 1;
            }
        }
        assert!(started.elapsed() < crate::common::patiently(Duration::from_secs(20)), "took {:?}", started.elapsed());
    }
    assert!(refused > 100 && ran > 20, "{refused} refused, {ran} ran: the mutations do not reach deep enough");
}
