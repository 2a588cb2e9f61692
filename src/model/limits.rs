//! Operators that make large tensors out of small files, or lack what they need, refused before anything is computed on them.
//!
//! tract evaluates operators on constants while it infers shapes, so a target shape that is written in the file must be
//! looked at first. Shapes that only follow from the inputs are checked after inference.

use std::path::Path;

use tract_onnx::pb;

use super::ModelError;
use super::graph::MAX_TENSOR_BYTES;
use super::tensors::{self, Values};

/// Most elements that a constant may ask for; four bytes each is [`MAX_TENSOR_BYTES`].
const MAX_ELEMENTS: f64 = (MAX_TENSOR_BYTES / 4) as f64;

/// Checks a graph and its sub-graphs.
pub(super) fn check(graph: &pb::GraphProto, path: &Path) -> Result<(), ModelError> {
    let values = Values::of(graph);
    for node in &graph.node {
        let elements = asked_for(node, &values);
        if elements > MAX_ELEMENTS {
            return Err(ModelError::Unsupported {
                path: path.into(),
                node: node.name.clone(),
                operator: node.op_type.clone(),
                reason: format!("it asks for {elements:.3e} elements, allowed are up to {MAX_ELEMENTS:.3e}"),
            });
        }
        if let Some(reason) = misses(node) {
            let (node, operator) = (node.name.clone(), node.op_type.clone());
            return Err(ModelError::Unsupported { path: path.into(), node, operator, reason });
        }
        for inner in node.attribute.iter().flat_map(|a| a.g.iter().chain(&a.graphs)) {
            check(inner, path)?;
        }
    }
    Ok(())
}

/// What an operator lacks that tract relies on without looking.
fn misses(node: &pb::NodeProto) -> Option<String> {
    let needs = match node.op_type.as_str() {
        "Conv" | "ConvTranspose" | "ConvInteger" | "Gemm" | "MatMul" | "MatMulInteger" | "Add" | "Sub" | "Mul"
        | "Div" | "Pow" | "Reshape" | "Expand" | "Gather" | "QuantizeLinear" | "DequantizeLinear" => 2,
        "Softmax" | "LogSoftmax" | "Relu" | "LeakyRelu" | "Sigmoid" | "Tanh" | "HardSigmoid" | "HardSwish" | "Elu"
        | "Clip" | "MaxPool" | "AveragePool" | "GlobalAveragePool" | "GlobalMaxPool" | "Concat" | "Transpose"
        | "Flatten" | "Squeeze" | "Unsqueeze" | "Slice" | "Split" | "Pad" | "Resize" | "ReduceMean"
        | "BatchNormalization" => 1,
        _ => 0,
    };
    if let Some(index) = (0..needs).find(|&i| node.input.get(i).is_none_or(String::is_empty)) {
        return Some(format!("its input {index} is missing"));
    }
    let windows = ["strides", "dilations", "kernel_shape"];
    let bad = |a: &&pb::AttributeProto| windows.contains(&a.name.as_str()) && a.ints.iter().any(|&v| v < 1);
    node.attribute.iter().find(bad).map(|a| format!("its {} are {:?}, allowed are numbers from 1", a.name, a.ints))
}

/// How many elements at least the output of `node` has, as far as constants say; 0 where they do not.
fn asked_for(node: &pb::NodeProto, values: &Values) -> f64 {
    let constant = |index: usize| -> Option<Vec<f64>> {
        tensors::reals(values.get(node.input.get(index).filter(|n| !n.is_empty())?)?)
    };
    let product = |dims: Vec<f64>| dims.iter().map(|d| d.abs().max(1.0)).product::<f64>();
    let ints = |name: &str| {
        let attribute = node.attribute.iter().find(|a| a.name == name);
        attribute.map(|a| a.ints.iter().map(|&v| v as f64).collect::<Vec<f64>>())
    };
    match node.op_type.as_str() {
        "ConstantOfShape" => constant(0).map_or(0.0, product),
        "Expand" | "Tile" | "Reshape" | "Upsample" | "OneHot" => constant(1).map_or(0.0, product),
        "Resize" => constant(3).map_or(0.0, product).max(constant(2).map_or(0.0, product)),
        // Padding beyond reason makes outputs of the same size.
        "Pad" | "Conv" | "ConvTranspose" | "MaxPool" | "AveragePool" => {
            let given = if node.op_type == "Pad" { constant(1) } else { None };
            let pads = given.or_else(|| ints("pads")).unwrap_or_default();
            let half = pads.len() / 2;
            pads.iter().zip(pads.iter().skip(half)).map(|(a, b)| (a + b).max(0.0) + 1.0).product()
        }
        "Range" => match (constant(0), constant(1), constant(2)) {
            (Some(a), Some(b), Some(c)) => match (a.first(), b.first(), c.first()) {
                (Some(start), Some(limit), Some(delta)) if *delta != 0.0 => ((limit - start) / delta).max(0.0),
                _ => 0.0,
            },
            _ => 0.0,
        },
        _ => 0.0,
    }
}
