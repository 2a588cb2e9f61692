//! A model made ready to lose channels, or the reason why it cannot.

use tract_onnx::pb::ModelProto;

use crate::compress::fold;
use crate::compress::run::{CompressError, graph_of};
use crate::onnx::{GraphView, node, tensor};

/// Operators that only quantised models have.
const QUANTISED: &[&str] =
    &["QuantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul"];

/// The model with constants as initializers, stored weights as floats, normalisations folded and nodes named.
///
/// # Errors
/// [`CompressError::Node`] for a quantised model and for weights that are not finite.
pub fn prepared(model: &ModelProto) -> Result<ModelProto, CompressError> {
    let mut model = model.clone();
    fold::plain(&mut model);
    let graph = graph_of(&model)?;
    let view = GraphView::new(graph);
    for found in &graph.node {
        let failed = |reason: &str| {
            let (node, operator) = (found.name.clone(), found.op_type.clone());
            Err(CompressError::Node { node, operator, reason: reason.into() })
        };
        let operator = found.op_type.as_str();
        if QUANTISED.contains(&operator) || operator == "DequantizeLinear" || operator.starts_with("QLinear") {
            return failed("the model is quantised already; prune its float form and quantise that");
        }
        if !matches!(operator, "Conv" | "ConvTranspose" | "Gemm" | "MatMul") {
            continue;
        }
        for name in node::inputs(found).skip(1) {
            let values = view.constant(name).and_then(|constant| tensor::floats(&constant).ok());
            if values.is_some_and(|values| values.iter().any(|value| !value.is_finite())) {
                return failed(&format!("its weights {name:?} hold values that are not finite"));
            }
        }
    }
    Ok(model)
}
