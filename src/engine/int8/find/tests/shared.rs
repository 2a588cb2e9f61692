//! Weights that are those of the file, not copies.

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::prelude::Datum;

use super::build::{Attribute, Builder, facts};
use crate::int8::find::partition::Idle;
use crate::int8::find::{Fact, HashMap, find_as};
use crate::int8::graph::{FloatOp, Graph, Op};

fn searched(b: &Builder) -> (HashMap<String, Fact>, Graph) {
    let facts = facts(&b.model(), &[]);
    let found = find_as(&b.graph, b.opset, &facts, Idle::Keep, true);
    let graph = found.partitions.into_iter().next().unwrap().graph;
    (facts, graph)
}

/// Address of a constant's values.
fn address<T: Datum>(facts: &HashMap<String, Fact>, name: &str) -> *const T {
    facts[name].value.as_ref().unwrap().as_plain_ram().unwrap().as_slice::<T>().unwrap().as_ptr()
}

#[test]
fn signed_bytes_without_zero_points_are_shared() {
    let mut b = Builder::new(&[1, 2, 3, 3]);
    let x = b.qdq("a", "x", 0.125, 3);
    let w = b.weights("w", &[2, 2, 1, 1], &[1.0, -2.0, 3.0, 4.0], &[0.5, 0.25], 0);
    let y = b.node("Conv", "conv", &[&x, &w], &[]);
    let y = b.qdq("y", &y, 0.25, -100);
    b.output(&y);
    let (facts, graph) = searched(&b);
    let conv = graph.nodes.iter().find_map(|n| if let Op::Conv(conv) = &n.op { Some(conv) } else { None }).unwrap();
    assert_eq!(conv.weights.as_ptr(), address::<i8>(&facts, "w.bytes"));
}

#[test]
fn floats_are_shared_until_something_is_folded_into_them() {
    let conv = |behind: &dyn Fn(&mut Builder, String) -> String| {
        let mut b = Builder::new(&[1, 2, 3, 3]);
        let w = b.constant("w", &[2, 2, 1, 1], DataType::Float, &[1.0, -2.0, 3.0, 4.0]);
        let y = b.node("Conv", "conv", &["x", &w], &[]);
        let y = behind(&mut b, y);
        b.output(&y);
        let (facts, graph) = searched(&b);
        let weights = graph.nodes.iter().find_map(|n| match &n.op {
            Op::Float(FloatOp::Conv(conv)) => Some(conv.weights.clone()),
            _ => None,
        });
        (weights.unwrap(), address::<f32>(&facts, "w"))
    };
    let (weights, of_file) = conv(&|_, y| y);
    assert_eq!(weights.as_ptr(), of_file);
    let (weights, of_file) = conv(&|b, y| {
        let factor = b.constant("factor", &[1, 2, 1, 1], DataType::Float, &[2.0, 0.5]);
        b.node("Mul", "scaled", &[&y, &factor], &[])
    });
    assert_ne!(weights.as_ptr(), of_file);
    assert_eq!(weights[..], [2.0, -4.0, 1.5, 2.0]);
}

#[test]
fn rows_of_outputs_are_shared_and_columns_are_turned() {
    for (flipped, expected) in [(1, [1.0, 2.0, 3.0, 4.0]), (0, [1.0, 3.0, 2.0, 4.0])] {
        let mut b = Builder::new(&[1, 2]);
        let w = b.constant("w", &[2, 2], DataType::Float, &[1.0, 2.0, 3.0, 4.0]);
        let y = b.node("Gemm", "gemm", &["x", &w], &[("transB", Attribute::Int(flipped))]);
        b.output(&y);
        let (facts, graph) = searched(&b);
        let weights = graph.nodes.iter().find_map(|n| match &n.op {
            Op::Float(FloatOp::MatMul(matmul)) => Some(matmul.weights.clone()),
            _ => None,
        });
        let weights = weights.unwrap();
        assert_eq!(weights[..], expected);
        assert_eq!(weights.as_ptr() == address::<f32>(&facts, "w"), flipped == 1);
    }
}
