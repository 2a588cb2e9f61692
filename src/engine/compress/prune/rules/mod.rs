//! Rules by which channels go through operators.

mod layers;
mod pieces;
mod pools;
mod shapes;
mod sizes;

use std::collections::HashMap;

use tract_onnx::pb::{GraphProto, NodeProto};

use super::trace::{Trace, Tracer};
use crate::onnx::node;
use crate::onnx::operators::{Effect, effect};

/// Follows channels through a graph whose tensors have these shapes.
pub fn trace(graph: &GraphProto, opset: i64, shapes: &HashMap<String, Vec<usize>>) -> Trace {
    let mut tracer = Tracer::new(graph, opset, shapes);
    for index in tracer.view.order() {
        let found = tracer.view.node(index);
        if let Err(reason) = apply(&mut tracer, index, found) {
            tracer.leave(index, found, reason);
        }
    }
    tracer.finish()
}

/// Gives the outputs of a node their labels, and notes what changes in it.
///
/// # Errors
/// A reason to leave the node as it is: nothing that it reads may be removed then.
fn apply(tracer: &mut Tracer<'_>, index: usize, found: &NodeProto) -> Result<(), String> {
    if !found.domain.is_empty() && found.domain != "ai.onnx" {
        return Err(format!("operators of {:?} are not followed", found.domain));
    }
    if node::subgraphs(found).next().is_some() {
        return Err("it has graphs inside".into());
    }
    match found.op_type.as_str() {
        "Conv" => return layers::conv(tracer, index, found),
        "ConvTranspose" => return layers::conv_transpose(tracer, index, found),
        "Gemm" => return layers::gemm(tracer, index, found),
        "MatMul" => return layers::matmul(tracer, index, found),
        _ => {}
    }
    if node::inputs(found).any(|name| tracer.sizes.contains_key(name)) {
        return sizes::apply(tracer, index, found);
    }
    if !node::inputs(found).any(|name| tracer.is_labelled(name)) {
        return Ok(());
    }
    match found.op_type.as_str() {
        "Shape" => sizes::of_shape(tracer, found),
        "Reshape" => shapes::reshape(tracer, index, found),
        "Flatten" | "Squeeze" | "Unsqueeze" => shapes::regroup(tracer, found).map(drop),
        "Transpose" => shapes::transpose(tracer, found),
        "Expand" => shapes::expand(tracer, index, found),
        "Tile" => shapes::tile(tracer, found),
        "DepthToSpace" | "SpaceToDepth" => shapes::blocks(tracer, found),
        "Concat" => pieces::concat(tracer, index, found),
        "Split" => pieces::split(tracer, index, found),
        "Slice" => pieces::slice(tracer, index, found),
        "Gather" => pieces::gather(tracer, index, found),
        "Pad" => pieces::pad(tracer, found),
        "Resize" | "Upsample" => shapes::resize(tracer, index, found),
        "BatchNormalization" => pools::normalise(tracer, index, found, 1..5),
        "InstanceNormalization" => pools::normalise(tracer, index, found, 1..3),
        "AveragePool" | "MaxPool" | "LpPool" | "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => {
            pools::pool(tracer, found)
        }
        "Softmax" | "LogSoftmax" | "LayerNormalization" => pools::over_axes(tracer, found),
        name if name.starts_with("Reduce") => pools::reduce(tracer, found),
        "Identity" | "Dropout" => unary(tracer, found),
        "Mod" | "BitShift" => Err("it is not followed".into()),
        name => match effect(name) {
            Effect::Unary => unary(tracer, found),
            Effect::Binary => binary(tracer, index, found),
            _ => Err("it is not followed".into()),
        },
    }
}

/// A function of single elements of the first input; further inputs are its parameters.
fn unary(tracer: &mut Tracer<'_>, found: &NodeProto) -> Result<(), String> {
    let (input, output) = (node::required_input(found, 0)?, node::only_output(found)?);
    let one = |name: &str| tracer.shape(name).is_ok_and(|shape| shape.iter().product::<usize>() == 1);
    if tracer.is_labelled(output) || node::inputs(found).skip(1).any(|name| !one(name)) {
        return Err("its parameters are not single numbers".into());
    }
    let rank = tracer.shape(input)?.len();
    let axes = tracer.axes(input, rank);
    tracer.set(output, axes);
    Ok(())
}

/// A function of elements of several inputs, broadcast.
fn binary(tracer: &mut Tracer<'_>, index: usize, found: &NodeProto) -> Result<(), String> {
    let output = node::only_output(found)?;
    let shape = tracer.shape(output)?;
    let inputs: Vec<usize> = (0..found.input.len()).collect();
    let axes = tracer.broadcast(index, &inputs, &shape, None)?;
    tracer.set(output, axes);
    Ok(())
}
