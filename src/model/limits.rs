//! Inputs and outputs that tract relies on without looking, checked before the graph is built.

use std::path::Path;

use leptond_engine::onnx::{node, operators};
use tract_onnx::pb;

use super::ModelError;

/// Checks a graph and its sub-graphs.
pub(super) fn check(graph: &pb::GraphProto, path: &Path) -> Result<(), ModelError> {
    for node in &graph.node {
        if let Some(reason) = misses(node) {
            let (node, operator) = (node.name.clone(), node.op_type.clone());
            return Err(ModelError::Unsupported { path: path.into(), node, operator, reason });
        }
        for inner in node::subgraphs(node) {
            check(inner, path)?;
        }
    }
    Ok(())
}

/// Operands and outputs that have to be there.
fn misses(node: &pb::NodeProto) -> Option<String> {
    let needs = operators::operator(&node.op_type).map_or(0, |operator| operator.required_inputs);
    if let Some(index) = (0..needs).find(|&i| node::input(node, i).is_none()) {
        return Some(format!("its input {index} is missing"));
    }
    node.output.iter().all(String::is_empty).then(|| "it has no output".into())
}
