//! Operators: which ones of ONNX compute the same.

mod batch;
mod dense;
mod elementwise;
mod moves;
mod node;
mod resize;
mod window;

use super::error::TfliteError;
use super::graph::{FileGraph, Operator};
use super::schema::{Activation, ElementType};
use super::write::{Try, Writer};
use crate::onnx::build::NodeBuilder;
use node::{Node, reads};

/// Writes a model that was read from a file of `file_bytes`.
pub(super) fn convert(mut net: FileGraph<'_>, file_bytes: usize) -> Result<Vec<u8>, TfliteError> {
    let folded = fold(&mut net);
    let needed = needed(&net);
    let live = |index: &usize| needed[*index] && !folded[*index];
    let operators: Vec<usize> = (0..net.operators.len()).filter(live).collect();
    let open = batch::is_open(&net, &operators);
    let mut writer = Writer::new(&net, open, file_bytes)?;
    for index in operators {
        let operator = &net.operators[index];
        write(&mut writer, operator).and_then(|()| writer.check()).map_err(|reason| {
            let tensor = operator.outputs.first().map(|&o| net.tensors[o].name.clone()).unwrap_or_default();
            TfliteError::Unsupported { operator: operator.name.clone(), index, tensor, reason }
        })?;
    }
    writer.finish()
}

/// Constants that are only expanded, widened or dequantised stay the constants that they are; true for operators that did so.
fn fold(net: &mut FileGraph<'_>) -> Vec<bool> {
    // What the model is given, or computes, is no constant whatever its buffer holds.
    let given: Vec<usize> = net.inputs.iter().chain(net.operators.iter().flat_map(|o| &o.outputs)).copied().collect();
    for index in given {
        net.tensors[index].data = None;
    }
    let mut kept = vec![false; net.tensors.len()];
    net.outputs.iter().for_each(|&o| kept[o] = true);
    net.operators
        .iter()
        .map(|operator| {
            let (&[Some(from)], &[to]) = (&operator.inputs[..], &operator.outputs[..]) else { return false };
            let constant = &net.tensors[from];
            let kind = match operator.name.as_str() {
                "DEQUANTIZE" => ElementType::F32,
                // Its operand was expanded when the file was read.
                "DENSIFY" => constant.kind,
                _ => return false,
            };
            let same = constant.data.is_some()
                && constant.shape == net.tensors[to].shape
                && net.tensors[to].kind == kind
                && !kept[to];
            if same {
                let constant = constant.clone();
                let name = std::mem::take(&mut net.tensors[to].name);
                net.tensors[to] = super::graph::Tensor { name, ..constant };
            }
            same
        })
        .collect()
}

/// Flags of the operators that the outputs depend on.
fn needed(net: &FileGraph<'_>) -> Vec<bool> {
    let mut wanted = vec![false; net.tensors.len()];
    net.outputs.iter().for_each(|&o| wanted[o] = true);
    let mut needed = vec![false; net.operators.len()];
    for (operator, needed) in net.operators.iter().zip(&mut needed).rev() {
        *needed = operator.outputs.iter().any(|&o| wanted[o]);
        if *needed {
            reads(operator).iter().flatten().for_each(|&i| wanted[i] = true);
        }
    }
    needed
}

/// One operator.
fn write(w: &mut Writer<'_, '_>, operator: &Operator<'_>) -> Try<()> {
    let node = Node { operator };
    for &input in reads(operator).iter().flatten() {
        if !w.is_known(input) {
            return Err(format!("its operand {:?} is computed nowhere before it", w.tensor(input).name));
        }
    }
    for &tensor in reads(operator).iter().flatten().chain(&operator.outputs) {
        if w.tensor(tensor).len() == 0 {
            return Err(format!("tensor {:?} of shape {:?} is empty", w.tensor(tensor).name, w.tensor(tensor).shape));
        }
    }
    match operator.name.as_str() {
        "CONV_2D" => dense::conv(w, node, false),
        "DEPTHWISE_CONV_2D" => dense::conv(w, node, true),
        "FULLY_CONNECTED" => dense::fully_connected(w, node),
        "AVERAGE_POOL_2D" => window::pool(w, node, "AveragePool"),
        "MAX_POOL_2D" => window::pool(w, node, "MaxPool"),
        "MEAN" => window::reduce(w, node, "ReduceMean"),
        "REDUCE_MAX" => window::reduce(w, node, "ReduceMax"),
        "ADD" => elementwise::binary(w, node, "Add", Some(0)),
        "SUB" => elementwise::binary(w, node, "Sub", Some(0)),
        "MUL" => elementwise::binary(w, node, "Mul", Some(0)),
        "DIV" => elementwise::binary(w, node, "Div", Some(0)),
        "MAXIMUM" => elementwise::binary(w, node, "Max", None),
        "MINIMUM" => elementwise::binary(w, node, "Min", None),
        "PRELU" => elementwise::binary(w, node, "PRelu", None),
        "RELU" => elementwise::activation(w, node, Activation::Relu),
        "RELU6" => elementwise::activation(w, node, Activation::Relu6),
        "RELU_N1_TO_1" => elementwise::activation(w, node, Activation::ReluN1To1),
        "LOGISTIC" => elementwise::unary(w, node, NodeBuilder::new("Sigmoid", [""; 0])),
        "TANH" => elementwise::unary(w, node, NodeBuilder::new("Tanh", [""; 0])),
        "HARD_SWISH" => elementwise::unary(w, node, NodeBuilder::new("HardSwish", [""; 0])),
        "ABS" => elementwise::unary(w, node, NodeBuilder::new("Abs", [""; 0])),
        "NEG" => elementwise::unary(w, node, NodeBuilder::new("Neg", [""; 0])),
        "EXP" => elementwise::unary(w, node, NodeBuilder::new("Exp", [""; 0])),
        "LEAKY_RELU" => elementwise::leaky_relu(w, node),
        "SOFTMAX" => elementwise::softmax(w, node),
        "QUANTIZE" => elementwise::quantize(w, node),
        "DEQUANTIZE" => elementwise::dequantize(w, node),
        "RESHAPE" | "SQUEEZE" | "EXPAND_DIMS" => moves::reshape(w, node),
        "TRANSPOSE" => moves::transpose(w, node),
        "PAD" | "PADV2" => moves::pad(w, node),
        "CONCATENATION" => moves::concatenation(w, node),
        "SLICE" => moves::slice(w, node),
        "STRIDED_SLICE" => moves::strided_slice(w, node),
        "SPLIT" => moves::split(w, node, 1, 0),
        "SPLIT_V" => moves::split(w, node, 0, 2),
        "DEPTH_TO_SPACE" => moves::blocks(w, node, "DepthToSpace"),
        "SPACE_TO_DEPTH" => moves::blocks(w, node, "SpaceToDepth"),
        "RESIZE_BILINEAR" => resize::resize(w, node, true),
        "RESIZE_NEAREST_NEIGHBOR" => resize::resize(w, node, false),
        "TFLite_Detection_PostProcess" => Err("non-maximum suppression is not part of models here: \
             export the model without it, and take its raw boxes and scores"
            .into()),
        "DENSIFY" => Err("only constants are expanded".into()),
        "SHAPE" | "PACK" => Err("shapes that are computed are only known where a RESHAPE reads them".into()),
        _ => Err("there is no such operator here".into()),
    }
}
