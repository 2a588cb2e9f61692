//! Models that are not quantised, and weights made ready.

use std::collections::HashSet;

use tract_onnx::pb::{ModelProto, TensorProto};

use super::super::run::{CompressError, floats_of, graph_of};
use crate::onnx::{GraphView, node, tensor};

/// Refuses models with integers in them.
pub(super) fn refuse_quantized(model: &ModelProto) -> Result<(), CompressError> {
    let quantized = |operator: &str| {
        matches!(
            operator,
            "QuantizeLinear" | "DequantizeLinear" | "DynamicQuantizeLinear" | "ConvInteger" | "MatMulInteger"
        ) || operator.starts_with("QLinear")
    };
    match graph_of(model)?.node.iter().find(|node| quantized(&node.op_type)) {
        Some(node) => Err(CompressError::Model(format!(
            "it is quantised already (node {:?} is a {}): give the float model that it was made of",
            node.name, node.op_type
        ))),
        None => Ok(()),
    }
}

/// Gives each layer weights and bias of its own where several share a tensor.
pub(super) fn separate(model: &mut ModelProto) {
    let Some(graph) = &mut model.graph else { return };
    let mut used: HashSet<String> = HashSet::new();
    let mut copies = Vec::new();
    for node in
        graph.node.iter_mut().filter(|n| matches!(n.op_type.as_str(), "Conv" | "ConvTranspose" | "Gemm" | "MatMul"))
    {
        for input in node.input.iter_mut().skip(1) {
            let Some(shared) = graph.initializer.iter().find(|tensor| tensor.name == *input) else { continue };
            if !used.insert(input.clone()) {
                let name = format!("{}.own.{input}", node.name);
                copies.push(TensorProto { name: name.clone(), ..shared.clone() });
                *input = name;
            }
        }
    }
    graph.initializer.append(&mut copies);
}

/// Refuses weights that are no numbers.
pub(super) fn check_weights(model: &ModelProto) -> Result<(), CompressError> {
    let view = GraphView::new(graph_of(model)?);
    for node in &view.graph().node {
        for name in node::inputs(node) {
            let Some(values) = view.initializer(name).filter(|t| t.data_type == 1).and_then(tensor::read) else {
                continue;
            };
            let bad = floats_of(name, &values)?.iter().find(|value| !value.is_finite());
            if let (Some(value), true) =
                (bad, matches!(node.op_type.as_str(), "Conv" | "ConvTranspose" | "Gemm" | "MatMul"))
            {
                return Err(CompressError::Node {
                    node: node.name.clone(),
                    operator: node.op_type.clone(),
                    reason: format!("its weights {name:?} contain {value}"),
                });
            }
        }
    }
    Ok(())
}
