//! Operators of ONNX that are made of others: those that tract computes in another way than the specification says, or lacks.

use std::collections::HashSet;

use tract_onnx::pb::{GraphProto, NodeProto};

use super::names::{Scratch, attributes_without, replace};
use crate::onnx::build::NodeBuilder;
use crate::onnx::node::{self, input};
use crate::operators::{BATCH_STATISTICS, BLOCK_DEQUANTIZE, BLOCK_QUANTIZE, WRAP_PAD};

/// Version of the operator set whose `Resize` is `Upsample` by another name.
const RESIZE_AS_UPSAMPLE: i64 = 10;

/// Rewrites them, in a graph of operator set `version`.
pub(super) fn decompose(graph: &mut GraphProto, version: i64) {
    let initializers = graph.initializer.iter().map(|t| t.name.clone());
    let nodes = graph.node.iter().filter(|n| n.op_type == "Constant").flat_map(|n| n.output.iter().cloned());
    let constants: HashSet<String> = initializers.chain(nodes).collect();
    let wanted = |node: &NodeProto| match node.op_type.as_str() {
        "Celu" | "LpPool" | "SwiGLU" => true,
        "Pad" => wraps(node) || input(node, 2).is_some_and(|value| !constants.contains(value)),
        "BatchNormalization" => !matches!(node::flag(node, "training_mode"), Ok(false)),
        "DequantizeLinear" | "QuantizeLinear" => !matches!(node::int(node, "block_size", 0), Ok(0)),
        "Upsample" => input(node, 1).is_none(),
        "Resize" => version == RESIZE_AS_UPSAMPLE,
        "Swish" => node::attribute(node, "alpha").is_some(),
        "SpaceToDepth" => !matches!(node::text(node, "mode", "DCR"), Ok("DCR")),
        _ => false,
    };
    replace(graph, &wanted, &rewritten);
}

/// Test for a `Pad` that goes round.
fn wraps(node: &NodeProto) -> bool {
    matches!(node::text(node, "mode", "constant"), Ok("wrap"))
}

fn rewritten(node: &NodeProto, scratch: &mut Scratch) -> Option<()> {
    let name = match node.op_type.as_str() {
        "BatchNormalization" => Some(BATCH_STATISTICS),
        "DequantizeLinear" => Some(BLOCK_DEQUANTIZE),
        "QuantizeLinear" => Some(BLOCK_QUANTIZE),
        "Resize" => Some("Upsample"),
        "Pad" if wraps(node) => Some(WRAP_PAD),
        _ => None,
    };
    if let Some(name) = name {
        scratch.renamed(node, name);
        return Some(());
    }
    let output = node::only_output(node).ok()?;
    match node.op_type.as_str() {
        // α · Elu(x / α).
        "Celu" => {
            let alpha = scratch.float("alpha", node::float(node, "alpha", 1.0).ok()?);
            let scaled = scratch.node("Div", &[input(node, 0)?, &alpha]);
            let elu = scratch.node("Elu", &[&scaled]);
            scratch.last(NodeBuilder::new("Mul", [elu, alpha]), output);
        }
        "Swish" => {
            let gate = gate(node, scratch)?;
            scratch.last(NodeBuilder::new("Mul", [input(node, 0)?, &gate]), output);
        }
        "SwiGLU" => {
            let gate = gate(node, scratch)?;
            let swish = scratch.node("Mul", &[input(node, 0)?, &gate]);
            scratch.last(NodeBuilder::new("Mul", [swish.as_str(), input(node, 1)?]), output);
        }
        // A value of one element stands for a scalar.
        "Pad" => {
            let shape = scratch.ints("scalar", &[]);
            let value = scratch.node("Reshape", &[input(node, 2)?, &shape]);
            let inputs = node.input.iter().enumerate().map(|(slot, name)| if slot == 2 { &value } else { name });
            scratch.last(NodeBuilder::new("Pad", inputs).attributes(attributes_without(node, &[])), output);
        }
        // The oldest version has the scales as an attribute.
        "Upsample" => {
            let scales = scratch.list_of_floats("scales", node::floats(node, "scales").ok()??);
            let builder = NodeBuilder::new("Upsample", [input(node, 0)?, &scales]);
            scratch.last(builder.attributes(attributes_without(node, &["scales"])), output);
        }
        "LpPool" => pool(node, scratch, output)?,
        "SpaceToDepth" if matches!(node::text(node, "mode", "DCR"), Ok("CRD")) => {
            space_to_depth(node, scratch, output)?
        }
        _ => return None,
    }
    Some(())
}

/// Channels of each block of pixels side by side, instead of blocks of channels.
fn space_to_depth(node: &NodeProto, scratch: &mut Scratch, output: &str) -> Option<()> {
    let builder = NodeBuilder::new("SpaceToDepth", [input(node, 0)?]);
    let blocks = scratch.node_with(builder.attributes(attributes_without(node, &["mode"])));
    let size = node::int(node, "blocksize", 0).ok()?;
    let turned = |scratch: &mut Scratch, x: &str, perm: &[i64]| {
        scratch.node_with(NodeBuilder::new("Transpose", [x]).ints("perm", perm))
    };
    let last = turned(scratch, &blocks, &[0, 2, 3, 1]);
    let (apart, joined) = (scratch.ints("apart", &[0, 0, 0, size * size, -1]), scratch.ints("joined", &[0, 0, 0, -1]));
    let parts = scratch.node("Reshape", &[&last, &apart]);
    let swapped = turned(scratch, &parts, &[0, 1, 2, 4, 3]);
    let channels = scratch.node("Reshape", &[&swapped, &joined]);
    scratch.last(NodeBuilder::new("Transpose", [channels]).ints("perm", &[0, 3, 1, 2]), output);
    Some(())
}

/// `σ(alpha · x)`.
fn gate(node: &NodeProto, scratch: &mut Scratch) -> Option<String> {
    let alpha = scratch.float("alpha", node::float(node, "alpha", 1.0).ok()?);
    let scaled = scratch.node("Mul", &[input(node, 0)?, &alpha]);
    Some(scratch.node("Sigmoid", &[&scaled]))
}

/// The p-th root of a window's sum of p-th powers, by its mean times its size.
fn pool(node: &NodeProto, scratch: &mut Scratch, output: &str) -> Option<()> {
    let power = node::int(node, "p", 2).ok()?;
    let size: i64 = node::ints(node, "kernel_shape").ok()??.iter().product();
    let (exponent, inverse) = (scratch.float("power", power as f32), scratch.float("root", 1.0 / power as f32));
    let count = scratch.float("count", size as f32);
    let absolute = scratch.node("Abs", &[input(node, 0)?]);
    let powers = scratch.node("Pow", &[&absolute, &exponent]);
    let builder = NodeBuilder::new("AveragePool", [powers]).attributes(attributes_without(node, &["p"]));
    let means = scratch.node_with(builder.int("count_include_pad", 1));
    let sums = scratch.node("Mul", &[&means, &count]);
    scratch.last(NodeBuilder::new("Pow", [sums, inverse]), output);
    Some(())
}
