//! Activations of 16 bits.

use tract_onnx::pb::tensor_proto::DataType;

use super::build::{Attribute, Builder, facts};
use super::check;
use crate::int8::find::{Found, Idle, find_as};
use crate::int8::graph::{FloatOp, Op};
use crate::int8::kernels::float::Function;

fn found(b: &Builder) -> Found {
    let facts = facts(&b.model(), &[]);
    let found = find_as(&b.graph, b.opset, &facts, Idle::Keep, true);
    check::found(&b.graph, &facts, &found);
    found
}

/// A convolution, its `Relu`, 16 bits, a `Transpose` of these, a `Sigmoid`, 16 bits.
fn network(last_zero_point: i32) -> Builder {
    let mut b = Builder::new(&[1, 2, 3, 3]);
    b.constant("w", &[2, 2, 1, 1], DataType::Float, &[1.0, 2.0, 3.0, 4.0]);
    b.node("Conv", "sums", &["x", "w"], &[]);
    b.node("Relu", "relu", &["sums"], &[]);
    b.linear("QuantizeLinear", "first", "relu", 0.25, -5, DataType::Int16);
    b.node("Transpose", "moved", &["first"], &[("perm", Attribute::Ints(vec![0, 2, 3, 1]))]);
    b.linear("DequantizeLinear", "real", "moved", 0.25, -5, DataType::Int16);
    b.node("Sigmoid", "sigmoid", &["real"], &[]);
    b.linear("QuantizeLinear", "second", "sigmoid", 0.5, 0, DataType::Uint16);
    b.linear("DequantizeLinear", "y", "second", 0.5, last_zero_point, DataType::Uint16);
    b
}

#[test]
fn integers_of_16_bits_are_floats_in_steps() {
    let mut b = network(0);
    b.output("y");
    let found = found(&b);
    let [partition] = &found.partitions[..] else { panic!("{:?}", found.verdicts) };
    let ops: Vec<&Op> = partition.graph.nodes.iter().map(|n| &n.op).collect();
    let [Op::Float(FloatOp::Conv(conv)), Op::Transpose { .. }, Op::Float(FloatOp::Unary(Function::Sigmoid)), last] =
        ops[..]
    else {
        panic!("{ops:?}")
    };
    assert_eq!(conv.epilogue.after, Function::Steps([0.25, 0.0, 32772.0]));
    let Op::Float(FloatOp::Unary(steps)) = last else { panic!("{last:?}") };
    assert_eq!(*steps, Function::Steps([0.5, 0.0, 65535.0]));
}

#[test]
fn integers_that_are_needed_stay_integers() {
    let kept = |b: &Builder| {
        let found = found(b);
        let steps = |op: &Op| matches!(op, Op::Float(FloatOp::Unary(Function::Steps(_))));
        assert!(!found.partitions.iter().flat_map(|p| &p.graph.nodes).any(|n| steps(&n.op)), "{:?}", found.verdicts);
    };
    let mut b = network(0);
    b.output("y");
    b.output("second");
    kept(&b);
    // Read with another quantisation than they were written with.
    let mut b = network(3);
    b.output("y");
    kept(&b);
}
