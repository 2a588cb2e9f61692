//! Borders of partitions, and quantised operators decomposed into QDQ patterns.

use tract_onnx::pb::NodeProto;
use tract_onnx::pb::tensor_proto::DataType;

use super::build::{Attribute, Builder};
use crate::int8::decompose;
use crate::int8::find::{Found, Idle, Verdict, splice};
use crate::int8::graph::{Format, Op, Quant};

/// One pixel, one channel, steps of ½ on both sides.
fn layer(b: &mut Builder, name: &str, x: &str) -> String {
    let w = b.weights(&format!("{name}.w"), &[1, 1, 1, 1], &[3.0], &[0.5], 0);
    let y = b.node("Conv", &format!("{name}.conv"), &[x, &w], &[]);
    b.qdq(name, &y, 0.5, 0)
}

fn verdict<'f>(b: &Builder, found: &'f Found, name: &str) -> &'f Verdict {
    &found.verdicts[b.graph.node.iter().position(|n| n.name == name).unwrap()]
}

#[test]
fn an_partition_never_depends_on_itself() {
    // The second layer reads the first through a float operator, and the sum reads both.
    let mut b = Builder::new(&[1, 1, 2, 2]);
    let x = b.qdq("a", "x", 0.5, 0);
    let first = layer(&mut b, "first", &x);
    let float = b.node("LpNormalization", "float", &[&first], &[]);
    let again = b.qdq("again", &float, 0.5, 0);
    let second = layer(&mut b, "second", &again);
    let sum = b.node("Add", "sum", &[&first, &second], &[]);
    let y = b.qdq("y", &sum, 0.5, 0);
    b.output(&y);
    // tract need not know the operator: shapes stay what they are.
    let mut stand_in = Builder { graph: b.graph.clone(), opset: 13 };
    stand_in.graph.node.iter_mut().find(|n| n.name == "float").unwrap().op_type = "Cos".into();
    let facts = super::build::facts(&stand_in.model(), &[]);
    let found = crate::int8::find::find(&b.graph, 13, &facts);
    super::check::found(&b.graph, &facts, &found);
    assert_eq!(found.partitions.len(), 2);
    assert_eq!(*verdict(&b, &found, "first.conv"), Verdict::Integer { partition: 0 });
    assert_eq!(*verdict(&b, &found, "second.conv"), Verdict::Integer { partition: 1 });
    assert_eq!(*verdict(&b, &found, "sum"), Verdict::Integer { partition: 1 });
    assert!(matches!(verdict(&b, &found, "float"), Verdict::Float { .. }));
    let outer =
        |ports: &[crate::int8::graph::Port]| ports.iter().map(|p| (p.name.clone(), p.format)).collect::<Vec<_>>();
    // Bytes for the other partition, floats for the float operator.
    let made = outer(&found.partitions[0].graph.outputs);
    assert_eq!(made, [("first.q".into(), Format::I8), ("first".into(), Format::F32)]);
    // Each may also be put in without the other.
    for partition in &found.partitions {
        super::check::spliced(&b.graph, std::slice::from_ref(partition));
    }
}

#[test]
fn what_only_moves_stays_in_tract() {
    let mut b = Builder::new(&[1, 1, 2, 2]);
    let x = b.qdq("a", "x", 0.5, 0);
    let y = b.node("Transpose", "turn", &[&x], &[("perm", Attribute::Ints(vec![0, 2, 3, 1]))]);
    let y = b.qdq("y", &y, 0.5, 0);
    b.output(&y);
    let found = b.find(Idle::Drop);
    assert!(found.partitions.is_empty());
    let why = "no operator around it is worth a partition".to_owned();
    assert_eq!(*verdict(&b, &found, "turn"), Verdict::Float { why });
}

#[test]
fn ports_take_what_lies_outside() {
    let mut b = Builder { opset: 13, ..Default::default() };
    b.input("bytes", DataType::Uint8, &[1, 2, 2, 1]);
    let turned = b.node("Transpose", "turn", &["bytes"], &[("perm", Attribute::Ints(vec![0, 3, 1, 2]))]);
    let x = b.linear("DequantizeLinear", "x", &turned, 0.5, 130, DataType::Uint8);
    let w = b.weights("w", &[1, 1, 1, 1], &[3.0], &[0.5], 0);
    let y = b.node("Conv", "conv", &[&x, &w], &[]);
    let y = b.linear("QuantizeLinear", "y", &y, 0.5, 7, DataType::Uint8);
    b.output(&y);
    let graph = b.partition();
    assert_eq!((graph.inputs[0].name.as_str(), graph.inputs[0].format), ("bytes", Format::U8));
    assert_eq!((graph.outputs[0].name.as_str(), graph.outputs[0].format), ("y", Format::U8));
    assert_eq!(graph.tensors[graph.inputs[0].tensor].quant, Quant { scale: 0.5, zero_point: 2 });
    assert_eq!(graph.tensors[graph.outputs[0].tensor].quant, Quant { scale: 0.5, zero_point: -121 });
}

#[test]
fn floats_are_quantised_before_they_are_turned() {
    let mut b = Builder::new(&[1, 2, 2, 1]);
    let x = b.node("Transpose", "turn", &["x"], &[("perm", Attribute::Ints(vec![0, 3, 1, 2]))]);
    let x = b.qdq("a", &x, 0.5, 0);
    let y = layer(&mut b, "layer", &x);
    b.output(&y);
    let graph = b.partition();
    assert_eq!((graph.inputs[0].name.as_str(), graph.inputs[0].format), ("x", Format::F32));
    assert!(matches!(graph.nodes[0].op, Op::Transpose { .. }));
}

#[test]
fn nodes_that_ask_for_shapes_do_not_keep_floats_alive() {
    let mut b = Builder::new(&[1, 1, 2, 2]);
    let x = b.qdq("a", "x", 0.5, 0);
    let w = b.weights("w", &[1, 1, 1, 1], &[3.0], &[0.5], 0);
    let y = b.node("Conv", "conv", &[&x, &w], &[]);
    let shape = b.node("Shape", "shape", &[&y], &[]);
    let first = b.ints("first", &[0.0]);
    let batch = b.node("Gather", "batch", &[&shape, &first], &[]);
    let rest = b.ints("rest", &[-1.0]);
    let target = b.node("Concat", "target", &[&batch, &rest], &[("axis", Attribute::Int(0))]);
    let y = b.qdq("y", &y, 0.5, 0);
    let y = b.node("Reshape", "flat", &[&y, &target], &[]);
    b.output(&y);
    let found = b.find(Idle::Drop);
    assert_eq!(*verdict(&b, &found, "conv"), Verdict::Integer { partition: 0 });
    assert_eq!(*verdict(&b, &found, "flat"), Verdict::Integer { partition: 0 });
    assert_eq!(*verdict(&b, &found, "shape"), Verdict::Folded);
    splice(&mut b.graph, &found.partitions);
    let operators: Vec<&str> = b.graph.node.iter().map(|n| n.op_type.as_str()).collect();
    assert_eq!(operators, ["Int8Partition"]);
    assert!(b.graph.initializer.is_empty(), "weights are in the partition");
}

/// `QLinearConv` of one pixel, with the given zero points and last inputs.
fn quantised_conv(b: &mut Builder, more: &[&str], attributes: &[(&str, Attribute)]) {
    for (name, scale, zero, dtype) in
        [("x", 0.5, 128.0, DataType::Uint8), ("w", 0.25, 0.0, DataType::Int8), ("y", 1.0, 100.0, DataType::Uint8)]
    {
        b.float(&format!("{name}.scale"), &[scale]);
        b.constant(&format!("{name}.zero"), &[], dtype, &[zero]);
    }
    b.constant("w", &[1, 1, 1, 1], DataType::Int8, &[5.0]);
    b.constant("bias", &[1], DataType::Int32, &[77.0]);
    let inputs = ["bytes", "x.scale", "x.zero", "w", "w.scale", "w.zero", "y.scale", "y.zero"];
    let inputs: Vec<&str> = inputs.iter().chain(more).copied().collect();
    b.node("QLinearConv", "conv", &inputs, attributes);
    b.output("conv");
}

#[test]
fn quantised_operators_become_qdq_patterns() {
    let mut b = Builder { opset: 13, ..Default::default() };
    b.input("bytes", DataType::Uint8, &[1, 1, 2, 2]);
    quantised_conv(&mut b, &["bias"], &[]);
    let graph = b.partition();
    assert!(b.graph.node.iter().any(|n| n.op_type == "Conv" && n.name == "conv"), "reports name it");
    let Op::Conv(conv) = &graph.nodes[0].op else { panic!("not a Conv") };
    assert_eq!((conv.weights[0], conv.bias[0], graph.nodes.len()), (5, 77, 1));
}

#[test]
fn channels_may_lie_last() {
    let mut b = Builder { opset: 13, ..Default::default() };
    b.input("bytes", DataType::Uint8, &[1, 2, 2, 1]);
    let attributes = [("channels_last", Attribute::Int(1)), ("kernel_shape", Attribute::Ints(vec![1, 1]))];
    quantised_conv(&mut b, &[], &attributes);
    let operators: Vec<&str> = b.partition().nodes.iter().map(|n| n.op.name()).collect();
    assert_eq!(operators, ["Transpose", "Conv", "Transpose"]);
}

#[test]
fn malformed_quantised_operators_are_left_alone() {
    let operators = ["QLinearConv", "QLinearMatMul", "QGemm", "QLinearAdd", "QLinearMul", "QLinearConcat"];
    let more =
        ["QLinearAveragePool", "QLinearGlobalAveragePool", "QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax"];
    for op_type in operators.into_iter().chain(more) {
        for count in 0..3 {
            let input = (0..count).map(|k| format!("in{k}")).collect();
            let node = NodeProto { op_type: op_type.into(), input, output: vec!["out".into()], ..Default::default() };
            let mut graph = tract_onnx::pb::GraphProto { node: vec![node.clone()], ..Default::default() };
            decompose(&mut graph);
            assert_eq!(graph.node, [node], "{op_type}");
        }
    }
    let mut b = Builder { opset: 13, ..Default::default() };
    b.input("bytes", DataType::Uint8, &[1, 1, 2, 2]);
    quantised_conv(&mut b, &["bias"], &[("channels_last", Attribute::Int(1))]);
    decompose(&mut b.graph);
    assert_eq!(b.graph.node.len(), 1, "without kernel_shape the number of axes is not known");
}
