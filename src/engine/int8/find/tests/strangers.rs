//! Graphs that make no sense: nothing panics, and whatever is found holds together.

use tract_onnx::pb::tensor_proto::DataType;

use super::build::{Attribute, Builder, facts};
use super::check;
use crate::int8::find::{Idle, find_with};

/// Marsaglia's xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound.max(1)
    }

    fn pick<'v, T>(&mut self, values: &'v [T]) -> Option<&'v T> {
        values.get(self.below(values.len()))
    }
}

/// A graph in which most of what can be found occurs.
fn sample() -> Builder {
    let mut b = Builder::new(&[1, 4, 6, 6]);
    let x = b.qdq("a", "x", 0.5, 3);
    let w = b.weights("w", &[8, 2, 3, 3], &[1.0; 144], &[0.5; 8], 0);
    let bias = b.float("bias", &[1.0; 8]);
    let window = [("pads", Attribute::Ints(vec![1, 1, 1, 1])), ("group", Attribute::Int(2))];
    let y = b.node("Conv", "conv", &[&x, &w, &bias], &window);
    let y = b.node("Relu", "relu", &[&y], &[]);
    let y = b.qdq("y", &y, 0.25, -128);
    let parts = b.ints("parts", &[4.0, 4.0]);
    b.node("Split", "left", &[&y, &parts], &[("axis", Attribute::Int(1))]);
    b.graph.node.last_mut().unwrap().output.push("right".into());
    let gate = b.node("Sigmoid", "gate", &["right"], &[]);
    let gate = b.qdq("gated", &gate, 0.00390625, -128);
    let y = b.node("Mul", "mul", &["left", &gate], &[]);
    let y = b.qdq("scaled", &y, 0.125, 0);
    let y = b.node("Concat", "both", &[&y, "left"], &[("axis", Attribute::Int(1))]);
    let y = b.qdq("joined", &y, 0.25, 0);
    let kernel = || Attribute::Ints(vec![2, 2]);
    let y = b.node("MaxPool", "most", &[&y], &[("kernel_shape", kernel()), ("strides", kernel())]);
    let scales = b.float("scales", &[1.0, 1.0, 2.0, 2.0]);
    let y = b.node("Resize", "resize", &[&y, "", &scales], &[("mode", Attribute::Text("linear"))]);
    let y = b.qdq("resized", &y, 0.25, 0);
    let pads = b.ints("pads", &[0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    let y = b.node("Pad", "pad", &[&y, &pads], &[]);
    let y = b.node("AveragePool", "mean", &[&y], &[("kernel_shape", kernel()), ("ceil_mode", Attribute::Int(1))]);
    let y = b.qdq("meant", &y, 0.25, 0);
    let (starts, ends) = (b.ints("starts", &[1.0]), b.ints("ends", &[4.0]));
    let (axes, steps) = (b.ints("axes", &[2.0]), b.ints("steps", &[2.0]));
    let y = b.node("Slice", "slice", &[&y, &starts, &ends, &axes, &steps], &[]);
    let y = b.node("Transpose", "turn", &[&y], &[("perm", Attribute::Ints(vec![0, 2, 3, 1]))]);
    let indices = b.ints("indices", &[0.0, -1.0, 2.0]);
    let y = b.node("Gather", "take", &[&y, &indices], &[("axis", Attribute::Int(3))]);
    let m = b.weights("m", &[3, 5], &[2.0; 15], &[0.5; 5], 1);
    let y = b.node("MatMul", "product", &[&y, &m], &[]);
    let term = b.float("term", &[0.5; 5]);
    let y = b.node("Add", "sum", &[&y, &term], &[]);
    let y = b.qdq("summed", &y, 0.5, 0);
    let y = b.node("Softmax", "softmax", &[&y], &[("axis", Attribute::Int(-1))]);
    let y = b.qdq("last", &y, 0.00390625, -128);
    b.output(&y);
    b
}

#[test]
fn the_sample_is_found_whole() {
    let found = sample().find(Idle::Drop);
    let float: Vec<_> =
        found.verdicts.iter().filter(|v| !matches!(v, crate::int8::find::Verdict::Integer { .. })).collect();
    assert!(float.iter().all(|v| **v == crate::int8::find::Verdict::Folded), "{float:?}");
    assert_eq!(found.partitions.len(), 1);
}

#[test]
fn senseless_graphs_do_no_harm() {
    const NUMBERS: [i64; 14] = [i64::MIN, -(1 << 40), -3, -2, -1, 0, 1, 2, 3, 4, 7, 255, 1 << 33, i64::MAX];
    const FLOATS: [f32; 9] = [f32::NAN, f32::INFINITY, -1.0, 0.0, 1e-40, 1e-20, 0.3, 1e20, f32::MAX];
    let sample = sample();
    let known = facts(&sample.model(), &[]);
    let names: Vec<String> = known.keys().cloned().collect::<std::collections::BTreeSet<_>>().into_iter().collect();
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let mut partitions = 0;
    for _ in 0..1000 {
        let (mut graph, mut facts) = (sample.graph.clone(), known.clone());
        for _ in 0..1 + random.below(4) {
            let count = graph.node.len();
            let node = &mut graph.node[random.below(count)];
            match random.below(9) {
                0 => {
                    if let Some(attribute) = random.pick(&[0, 1, 2, 3]).and_then(|&k: &usize| node.attribute.get_mut(k))
                    {
                        attribute.i = *random.pick(&NUMBERS).unwrap();
                        let index = random.below(attribute.ints.len());
                        if let Some(value) = attribute.ints.get_mut(index) {
                            *value = *random.pick(&NUMBERS).unwrap();
                        }
                        if random.below(3) == 0 {
                            attribute.ints.pop();
                        }
                    }
                }
                1 => {
                    let index = random.below(node.input.len());
                    if let Some(input) = node.input.get_mut(index) {
                        input.clone_from(random.pick(&names).unwrap());
                    }
                }
                2 => _ = node.input.pop(),
                3 => {
                    let other =
                        ["Conv", "Gemm", "Add", "Concat", "Pad", "Clip", "Resize", "ReduceMean", "PRelu", "Tile"];
                    node.op_type = (*random.pick(&other).unwrap()).into();
                }
                4 | 5 => {
                    let count = graph.initializer.len();
                    let tensor = &mut graph.initializer[random.below(count)];
                    facts.remove(&tensor.name);
                    let index = random.below(tensor.float_data.len());
                    if let Some(value) = tensor.float_data.get_mut(index) {
                        *value = *random.pick(&FLOATS).unwrap();
                    }
                    let index = random.below(tensor.int64_data.len());
                    if let Some(value) = tensor.int64_data.get_mut(index) {
                        *value = *random.pick(&NUMBERS).unwrap();
                    }
                    if random.below(4) == 0 {
                        tensor.data_type = [DataType::Uint8, DataType::Int32, DataType::Int16][random.below(3)] as i32;
                    }
                }
                6 | 7 => {
                    let fact = facts.get_mut(random.pick(&names).unwrap());
                    if let Some(fact) = fact.filter(|f| f.value.is_none()) {
                        let index = random.below(fact.shape.len());
                        if let Some(dim) = fact.shape.get_mut(index) {
                            *dim = random.below(9);
                        }
                        if random.below(4) == 0 {
                            fact.shape.pop();
                        }
                    }
                }
                _ => _ = facts.remove(random.pick(&names).unwrap()),
            }
        }
        let opset = 9 + random.below(13) as i64;
        let found = find_with(&graph, opset, &facts, if random.below(2) == 0 { Idle::Keep } else { Idle::Drop });
        partitions += found.partitions.len();
        // Inputs that no longer fit their nodes may close a circle, which the reader of files refuses before.
        let acyclic = !found
            .verdicts
            .iter()
            .any(|v| matches!(v, crate::int8::find::Verdict::Float { why } if why.contains("circle")));
        if acyclic {
            check::found(&graph, &facts, &found);
        }
    }
    assert!(partitions > 500, "only {partitions} partitions: the changes leave nothing to look at");
}
