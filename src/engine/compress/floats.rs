//! Float models to begin with, or the reason why one is none.

use tract_onnx::pb::{ModelProto, NodeProto};

use super::fold;
use super::run::{CompressError, graph_of};
use crate::onnx::{GraphView, node, tensor};

/// Operators with constant weights.
const LAYERS: [&str; 4] = ["Conv", "ConvTranspose", "Gemm", "MatMul"];

/// Operators that only quantised models have, beside those whose names begin with `QLinear`.
const QUANTIZED: [&str; 5] =
    ["QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"];

/// Makes a model plain ([`fold::plain`]).
///
/// # Errors
/// [`CompressError::Node`] for a quantised model and for weights that are not finite.
pub fn plain(model: &mut ModelProto) -> Result<(), CompressError> {
    fold::plain(model);
    let view = GraphView::new(graph_of(model)?);
    view.graph().node.iter().try_for_each(|node| check(&view, node))
}

fn check(view: &GraphView<'_>, found: &NodeProto) -> Result<(), CompressError> {
    let refused = |reason: String| {
        let (node, operator) = (found.name.clone(), found.op_type.clone());
        Err(CompressError::Node { node, operator, reason })
    };
    let operator = found.op_type.as_str();
    if QUANTIZED.contains(&operator) || operator.starts_with("QLinear") {
        return refused("the model is quantised already: give the float model that it was made of".into());
    }
    if !LAYERS.contains(&operator) {
        return Ok(());
    }
    for name in node::inputs(found).skip(1) {
        let values = view.constant(name).and_then(|constant| tensor::floats(&constant).ok()).unwrap_or_default();
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return refused(format!("its weights {name:?} hold values that are not finite ({value})"));
        }
    }
    Ok(())
}
