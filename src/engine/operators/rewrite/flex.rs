//! `FlexAttention` (`ai.onnx.preview`): products and a softmax, with the file's own graphs on the scores and on the weights.

use std::collections::HashMap;

use tract_onnx::pb::{GraphProto, NodeProto};

use super::functions::rename;
use super::names::{Scratch, replace};
use crate::onnx::build::NodeBuilder;
use crate::onnx::node::{self, input};

/// Rewrites them.
pub(super) fn decompose(graph: &mut GraphProto) {
    replace(graph, &|node| node.op_type == "FlexAttention", &written_out);
}

fn written_out(node: &NodeProto, scratch: &mut Scratch) -> Option<()> {
    let output = node::only_output(node).ok()?;
    let (query, key, value) = (input(node, 0)?, input(node, 1)?, input(node, 2)?);
    let ends = [0, 1, 2, 3, 4].map(|index| scratch.ints("end", &[index]));
    let query_shape = scratch.node("Shape", &[query]);
    let dim = |scratch: &mut Scratch, shape: &str, axis: usize| {
        scratch.node("Slice", &[shape, &ends[axis], &ends[axis + 1], &ends[0]])
    };
    let heads = dim(scratch, &query_shape, 1);
    // Each head of keys and values as often as there are heads of queries for it.
    let for_each_query = |scratch: &mut Scratch, x: &str| {
        let shape = scratch.node("Shape", &[x]);
        let own_heads = dim(scratch, &shape, 1);
        let group = scratch.node("Div", &[&heads, &own_heads]);
        let apart = scratch.node("Unsqueeze", &[x, &ends[2]]);
        let ones = scratch.ints("ones", &[1, 1]);
        let repeats = scratch.node_with(NodeBuilder::new("Concat", [&ones, &group, &ones]).int("axis", 0));
        let repeated = scratch.node("Tile", &[&apart, &repeats]);
        let (items, rows, size) = (dim(scratch, &shape, 0), dim(scratch, &shape, 2), dim(scratch, &shape, 3));
        let joined = [&items, &heads, &rows, &size];
        let shape = scratch.node_with(NodeBuilder::new("Concat", joined).int("axis", 0));
        scratch.node("Reshape", &[&repeated, &shape])
    };
    let (key, value) = (for_each_query(scratch, key), for_each_query(scratch, value));
    let key = scratch.node_with(NodeBuilder::new("Transpose", [key]).ints("perm", &[0, 1, 3, 2]));
    let products = scratch.node("MatMul", &[query, &key]);
    let scale = match node::attribute(node, "scale") {
        Some(_) => {
            let scale = node::float(node, "scale", 1.0).ok()?;
            scratch.float("scale", scale)
        }
        None => {
            let size = dim(scratch, &query_shape, 3);
            let size = scratch.node_with(NodeBuilder::new("Cast", [size]).int("to", 1));
            let root = scratch.node("Sqrt", &[&size]);
            scratch.node("Reciprocal", &[&root])
        }
    };
    let scale = scratch.node("CastLike", &[&scale, query]);
    let mut scores = scratch.node("Mul", &[&products, &scale]);
    if node::attribute(node, "softmax_precision").is_some() {
        let precision = node::int(node, "softmax_precision", 1).ok()?;
        scores = scratch.node_with(NodeBuilder::new("Cast", [scores]).int("to", precision));
    }
    scores = inlined(node, "score_mod", scratch, scores)?;
    let weights = scratch.node_with(NodeBuilder::new("Softmax", [scores]).int("axis", -1));
    let weights = inlined(node, "prob_mod", scratch, weights)?;
    let weights = scratch.node("CastLike", &[&weights, &value]);
    scratch.last(NodeBuilder::new("MatMul", [weights, value]), output);
    Some(())
}

/// Nodes of the graph in attribute `name` on `x`; gives its output, or `x` where there is no such graph.
fn inlined(node: &NodeProto, name: &str, scratch: &mut Scratch, x: String) -> Option<String> {
    let Some(attribute) = node::attribute(node, name) else { return Some(x) };
    let mut graph = attribute.g.clone()?;
    let ([input], [output]) = (&graph.input[..], &graph.output[..]) else { return None };
    let (input, output) = (input.name.clone(), output.name.clone());
    let mut names: HashMap<String, String> = HashMap::new();
    let constants: Vec<String> = graph.initializer.iter().map(|t| t.name.clone()).collect();
    for own in graph.node.iter().flat_map(node::outputs).map(str::to_owned).chain(constants) {
        let fresh = scratch.fresh(&format!("{name}:{own}"));
        names.insert(own, fresh);
    }
    names.insert(input, x);
    let renamed = |name: &str| names.get(name).cloned().unwrap_or_else(|| name.to_owned());
    rename(&mut graph, &renamed, &mut |_| true);
    for mut inner in graph.node {
        inner.name = scratch.fresh(&format!("{name}:{}", inner.op_type));
        scratch.nodes.push(inner);
    }
    scratch.constants.append(&mut graph.initializer);
    Some(renamed(&output))
}
