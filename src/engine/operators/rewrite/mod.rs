//! A model as others write it, in operators that the rest of the engine knows: functions put in place, half precision computed in
//! single, operators of onnxruntime and new ones of ONNX as the ones that they are made of.
//!
//! A node of an unknown form is left as it is, to be refused by name.

mod attention;
mod composed;
mod contributed;
mod flex;
mod functions;
mod half;
mod maps;
mod names;
mod recurrent;
mod scan;

use tract_onnx::pb::ModelProto;

/// Rewrites a model whose nodes have names.
///
/// # Errors
/// A function that calls itself, or makes a graph that is too large.
pub fn rewrite(model: &mut ModelProto) -> Result<(), String> {
    functions::put_in_place(model)?;
    maps::index_labels(model);
    let version = crate::onnx::opset(model);
    let Some(graph) = &mut model.graph else { return Ok(()) };
    maps::drop(graph);
    half::to_single(graph);
    contributed::decompose(graph);
    attention::decompose(graph);
    flex::decompose(graph);
    composed::decompose(graph, version);
    recurrent::decompose(graph);
    scan::decompose(graph, version);
    Ok(())
}
