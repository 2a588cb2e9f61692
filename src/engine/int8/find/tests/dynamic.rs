//! Activations that are quantised as they come.

use tract_onnx::pb::tensor_proto::DataType;

use super::build::{Attribute, Builder, facts};
use super::check;
use crate::int8::decompose::decompose;
use crate::int8::find::{Idle, Verdict, find_as};
use crate::int8::graph::{FloatOp, Graph, Hybrid, Op, Product, Ranges, RecurrentWeights};
use crate::onnx::operators::ROUNDS_OPERAND;

/// A graph with what onnxruntime's `quantize_dynamic` writes for a `Conv` of two groups with a bias, and its `Relu`.
fn conv() -> Builder {
    let mut b = Builder::new(&[1, 2, 3, 3]);
    let weights = [255.0, 3.0];
    b.constant("w", &[2, 1, 1, 1], DataType::Uint8, &weights);
    b.constant("w.zero", &[], DataType::Uint8, &[100.0]);
    quantised(&mut b, "x");
    let groups = [("group", Attribute::Int(2))];
    let sums = b.node("ConvInteger", "sums", &["x.bytes", "w", "x.zero", "w.zero"], &groups);
    let real = scaled(&mut b, &sums, "x", &[0.5]);
    b.constant("bias", &[1, 2, 1, 1], DataType::Float, &[1.0, -2.0]);
    let biased = b.node("Add", "biased", &[&real, "bias"], &[]);
    b.node("Relu", "y", &[&biased], &[]);
    b
}

/// The three results of a `DynamicQuantizeLinear` of `x`.
fn quantised(b: &mut Builder, x: &str) {
    b.node("DynamicQuantizeLinear", &format!("{x}.bytes"), &[x], &[]);
    let outputs = ["bytes", "scale", "zero"].map(|part| format!("{x}.{part}"));
    b.graph.node.last_mut().expect("a node").output = outputs.to_vec();
}

/// Sums as floats: times the scales of `x` and of the weights.
fn scaled(b: &mut Builder, sums: &str, x: &str, scales: &[f64]) -> String {
    let name = |part: &str| format!("{sums}.{part}");
    let cast = b.node("Cast", &name("cast"), &[sums], &[("to", Attribute::Int(1))]);
    let scale = b.float(&name("scale"), scales);
    let factor = b.node("Mul", &name("factor"), &[&format!("{x}.scale"), &scale], &[]);
    b.node("Mul", &name("real"), &[&cast, &factor], &[])
}

fn hybrids(graph: &Graph) -> Vec<&Hybrid> {
    let hybrid = |op: &'_ Op| matches!(op, Op::Float(FloatOp::Hybrid(_)));
    assert!(graph.nodes.iter().any(|n| hybrid(&n.op)), "{:?}", graph.nodes);
    graph
        .nodes
        .iter()
        .filter_map(|n| match &n.op {
            Op::Float(FloatOp::Hybrid(hybrid)) => Some(&**hybrid),
            _ => None,
        })
        .collect()
}

#[test]
fn a_convolution_keeps_its_bytes_and_takes_bias_and_limits_in() {
    let mut b = conv();
    b.output("y");
    let graph = b.partition();
    assert_eq!(graph.nodes.len(), 1);
    let [hybrid] = hybrids(&graph)[..] else { panic!("one product") };
    let Product::Conv(conv) = &hybrid.product else { panic!("a convolution") };
    assert_eq!((conv.groups, &conv.weights[..], &conv.weight_zeros[..]), (2, &[127, -97][..], &[-28, 0][..]));
    assert_eq!((&conv.weight_scales[..], &hybrid.bias[..]), (&[0.5, 0.5][..], &[1.0, -2.0][..]));
    assert_eq!((hybrid.low, hybrid.high), (0.0, f32::INFINITY));
}

#[test]
fn products_of_one_operand_are_one_item() {
    let mut b = Builder::new(&[4, 3]);
    quantised(&mut b, "x");
    for (name, columns) in [("q", 2), ("k", 5)] {
        let weights: Vec<f64> = (0..3 * columns).map(f64::from).collect();
        b.constant(&format!("{name}.w"), &[3, columns as usize], DataType::Int8, &weights);
        let sums = b.node("MatMulInteger", name, &["x.bytes", &format!("{name}.w"), "x.zero"], &[]);
        let scales: Vec<f64> = (0..columns).map(|c| f64::from(c + 1)).collect();
        let y = scaled(&mut b, &sums, "x", &scales);
        b.output(&y);
    }
    let graph = b.partition();
    let [q, k] = hybrids(&graph)[..] else { panic!("two products") };
    let (Product::MatMul(q), Product::MatMul(k)) = (&q.product, &k.product) else { panic!("matrices") };
    assert_eq!((&q.weights[..], &q.weight_scales[..]), (&[0, 2, 4, 1, 3, 5][..], &[1.0, 2.0][..]));
    assert_eq!((k.weights.len(), &k.weight_scales[..]), (15, &[1.0, 2.0, 3.0, 4.0, 5.0][..]));
}

#[test]
fn what_is_read_otherwise_stays() {
    for outside in ["x.bytes", "x.scale", "x.zero", "sums"] {
        let mut b = conv();
        b.output("y");
        b.output(outside);
        let found = b.find(crate::int8::find::Idle::Keep);
        assert!(!found.verdicts.iter().any(|v| matches!(v, Verdict::Integer { .. })), "{outside}");
    }
}

#[test]
fn products_of_onnxruntime_are_taken_apart() {
    let mut b = Builder::new(&[4, 2]);
    b.constant("w", &[2, 3], DataType::Uint8, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    b.constant("w.zero", &[3], DataType::Uint8, &[1.0, 1.0, 2.0]);
    let (scale, bias) = (b.float("w.scale", &[0.5]), b.float("bias", &[7.0, 8.0, 9.0]));
    b.node("DynamicQuantizeMatMul", "y", &["x", "w", &scale, "w.zero", &bias], &[]);
    b.graph.node.last_mut().expect("a node").domain = "com.microsoft".into();
    b.output("y");
    let graph = b.partition();
    let [hybrid] = hybrids(&graph)[..] else { panic!("one product") };
    let Product::MatMul(matmul) = &hybrid.product else { panic!("a matrix") };
    assert_eq!((&matmul.weights[..], &hybrid.bias[..]), (&[0, 3, 1, 4, 1, 4][..], &[7.0, 8.0, 9.0][..]));
}

#[test]
fn weights_of_a_quantised_lstm_stay_bytes() {
    let mut b = Builder::new(&[5, 1, 3]);
    let weights = |len: usize| (0..len).map(|i| (i % 251) as f64).collect::<Vec<f64>>();
    b.constant("w", &[1, 3, 8], DataType::Uint8, &weights(24));
    b.constant("r", &[1, 2, 8], DataType::Uint8, &weights(16));
    b.constant("zero", &[1], DataType::Uint8, &[3.0]);
    b.float("scale", &[0.25]);
    let inputs = ["x", "w", "r", "", "", "", "", "", "scale", "zero", "scale", "zero"];
    b.node("DynamicQuantizeLSTM", "y", &inputs, &[("hidden_size", Attribute::Int(2))]);
    b.graph.node.last_mut().expect("a node").domain = "com.microsoft".into();
    b.output("y");
    decompose(&mut b.graph);
    let graph = planned(&b);
    let layer = graph.nodes.iter().find_map(|node| match &node.op {
        Op::Float(FloatOp::Recurrent(layer)) => Some(layer),
        _ => None,
    });
    let Some(RecurrentWeights::Bytes(matmul)) = layer.map(|l| &l.weights) else { panic!("{:?}", graph.nodes) };
    // Row 1 of the gates: weights 1 and 9 of the file, less 3.
    assert_eq!((&matmul.weights[2..4], &matmul.weight_scales[..]), (&[-2, 6][..], &[0.25; 8][..]));
    let [hybrid] = hybrids(&graph)[..] else { panic!("one product") };
    assert_eq!(hybrid.ranges, Ranges::Whole);
}

/// A graph of a product with `outputs` columns of dequantised weights, a bias and a `Relu`.
fn dequantised(outputs: usize, flag: bool) -> Builder {
    let mut b = Builder::new(&[4, 3]);
    let weights: Vec<f64> = (0..3 * outputs).map(|i| (i % 255) as f64 - 127.0).collect();
    b.constant("w", &[outputs, 3], DataType::Int8, &weights);
    let scales: Vec<f64> = (0..outputs).map(|c| (c + 1) as f64).collect();
    b.float("w.scale", &scales);
    b.constant("w.zero", &[outputs], DataType::Int8, &vec![0.0; outputs]);
    b.node("DequantizeLinear", "w.real", &["w", "w.scale", "w.zero"], &[("axis", Attribute::Int(0))]);
    b.float("bias", &scales);
    let transposed = ("transB", Attribute::Int(1));
    let attributes = if flag { vec![transposed, (ROUNDS_OPERAND, Attribute::Int(1))] } else { vec![transposed] };
    b.node("Gemm", "sums", &["x", "w.real", "bias"], &attributes);
    b.node("Relu", "y", &["sums"], &[]);
    b.output("y");
    b
}

#[test]
fn operands_that_another_runtime_rounds_are_rounded_row_by_row() {
    let graph = planned(&dequantised(30, true));
    let [hybrid] = hybrids(&graph)[..] else { panic!("one product") };
    let Product::MatMul(matmul) = &hybrid.product else { panic!("a matrix") };
    assert_eq!((hybrid.ranges, matmul.weights.len(), matmul.weights[5]), (Ranges::Items, 90, -122));
    assert_eq!((matmul.weight_scales[29], hybrid.bias[29], hybrid.low), (30.0, 30.0, 0.0));
}

#[test]
fn operands_are_not_rounded_for_few_products_or_unasked() {
    for b in [dequantised(5, true), dequantised(30, false)] {
        let graph = planned(&b);
        assert!(graph.nodes.iter().any(|n| matches!(n.op, Op::Float(FloatOp::MatMul(_)))), "{:?}", graph.nodes);
    }
}

/// The only partition, floats taken in.
fn planned(b: &Builder) -> Graph {
    let facts = facts(&b.model(), &[]);
    let mut found = find_as(&b.graph, b.opset, &facts, Idle::Keep, true);
    check::found(&b.graph, &facts, &found);
    let integers = found.verdicts.iter().any(|verdict| matches!(verdict, Verdict::Integer { .. }));
    let hybrid = |node: &crate::int8::graph::Node| matches!(node.op, Op::Float(FloatOp::Hybrid(_)));
    assert_eq!(integers, found.partitions.iter().any(|p| p.graph.nodes.iter().any(hybrid)), "{:?}", found.verdicts);
    assert_eq!(found.partitions.len(), 1, "{:?}", found.verdicts);
    found.partitions.remove(0).graph
}
