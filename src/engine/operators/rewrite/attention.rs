//! `Attention` (opset 23 on) without a cache, as products and a softmax, which the rest of the engine makes fast.
//!
//! Masks with rows that allow nothing, caches, caps and groups of heads are left to the operator in plain Rust.

use tract_onnx::pb::{GraphProto, NodeProto};

use super::names::{Scratch, replace};
use crate::onnx::build::NodeBuilder;
use crate::onnx::node::{self, input};

/// Rewrites the plain ones.
pub(super) fn decompose(graph: &mut GraphProto) {
    replace(graph, &|node| node.op_type == "Attention" && node.domain.is_empty(), &plain);
}

fn plain(node: &NodeProto, scratch: &mut Scratch) -> Option<()> {
    let output = node::only_output(node).ok()?;
    let heads = (node::int(node, "q_num_heads", 0).ok()?, node::int(node, "kv_num_heads", 0).ok()?);
    let options = ["softcap", "softmax_precision", "qk_matmul_output_mode", "left_window_size", "right_window_size"];
    let special = options.iter().any(|name| node::attribute(node, name).is_some());
    // Four dimensions say nothing of groups; a file without numbers of heads may have some.
    if special || node.input.len() > 3 || node::flag(node, "is_causal").ok()? || heads.0 != heads.1 || heads.0 == 0 {
        return None;
    }
    let split = scratch.ints("heads", &[0, 0, heads.0, -1]);
    let part = |scratch: &mut Scratch, slot: usize, perm: &[i64]| {
        let parts = scratch.node("Reshape", &[input(node, slot)?, &split]);
        Some((scratch.node_with(NodeBuilder::new("Transpose", [&parts]).ints("perm", perm)), parts))
    };
    let (query, query_parts) = part(scratch, 0, &[0, 2, 1, 3])?;
    let (key, _) = part(scratch, 1, &[0, 2, 3, 1])?;
    let (value, _) = part(scratch, 2, &[0, 2, 1, 3])?;
    let scale = match node::attribute(node, "scale") {
        Some(_) => {
            let scale = node::float(node, "scale", 1.0).ok()?;
            scratch.float("scale", scale)
        }
        None => {
            let shape = scratch.node("Shape", &[&query_parts]);
            let (three, four) = (scratch.ints("three", &[3]), scratch.ints("four", &[4]));
            let zero = scratch.ints("zero", &[0]);
            let size = scratch.node("Slice", &[&shape, &three, &four, &zero]);
            let size = scratch.node_with(NodeBuilder::new("Cast", [size]).int("to", 1));
            let root = scratch.node("Sqrt", &[&size]);
            scratch.node("Reciprocal", &[&root])
        }
    };
    let query = scratch.node("Mul", &[&query, &scale]);
    let scores = scratch.node("MatMul", &[&query, &key]);
    let weights = scratch.node_with(NodeBuilder::new("Softmax", [scores]).int("axis", -1));
    let made = scratch.node("MatMul", &[&weights, &value]);
    let rows = scratch.node_with(NodeBuilder::new("Transpose", [made]).ints("perm", &[0, 2, 1, 3]));
    let joined = scratch.ints("joined", &[0, 0, -1]);
    scratch.last(NodeBuilder::new("Reshape", [rows, joined]), output);
    Some(())
}
