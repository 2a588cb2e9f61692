//! A model made ready to lose channels, or the reason why it cannot.

use tract_onnx::pb::{GraphProto, ModelProto};
use tract_onnx::prelude::Tensor;

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
    if let Some(graph) = &mut model.graph {
        stored(graph);
    }
    // What was stored as bytes may have stood between a layer and its normalisation.
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

/// Makes floats of constants that are stored as integers with a scale.
fn stored(graph: &mut GraphProto) {
    let view = GraphView::new(graph);
    let mut made = Vec::new();
    for (index, found) in graph.node.iter().enumerate() {
        if found.op_type == "DequantizeLinear" {
            made.extend(dequantised(&view, index).map(|tensor| (index, tensor)));
        }
    }
    for (index, value) in &made {
        let output = graph.node[*index].output[0].clone();
        graph.initializer.extend(tensor::write(&output, value));
    }
    let mut at = 0;
    graph.node.retain(|_| {
        at += 1;
        !made.iter().any(|(index, _)| *index + 1 == at)
    });
}

fn dequantised(view: &GraphView<'_>, index: usize) -> Option<Tensor> {
    let found = view.node(index);
    let value = view.constant(node::input(found, 0)?)?;
    let scales = tensor::floats(&view.constant(node::input(found, 1)?)?).ok()?;
    let zeros = match node::input(found, 2) {
        Some(name) => tensor::floats(&view.constant(name)?).ok()?,
        None => vec![0.0; scales.len()],
    };
    if view.is_kept(&found.output[0]) || node::int(found, "block_size", 0).ok()? != 0 || zeros.len() != scales.len() {
        return None;
    }
    let shape = value.shape().to_vec();
    let inner: usize = if scales.len() == 1 {
        value.len().max(1)
    } else {
        let axis = node::axis(node::int(found, "axis", 1).ok()?, shape.len()).ok()?;
        if shape[axis] != scales.len() {
            return None;
        }
        shape[axis + 1..].iter().product::<usize>().max(1)
    };
    let of = |(at, value): (usize, &f32)| {
        let channel = at / inner % scales.len();
        (value - zeros[channel]) * scales[channel]
    };
    let values: Vec<f32> = tensor::floats(&value).ok()?.iter().enumerate().map(of).collect();
    Tensor::from_shape(&shape, &values).ok()
}
