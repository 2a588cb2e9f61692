//! Operators that onnxruntime contributes (`com.microsoft`), as it saves them in optimised models, by ONNX's own ones.
//!
//! Their definitions: `docs/ContribOperators.md` of onnxruntime. What follows another form is left with the domain in its name,
//! since some of them share a name with an operator of ONNX that does something else.

use tract_onnx::pb::{GraphProto, NodeProto};

use super::names::{Scratch, attributes_without, replace};
use crate::onnx::build::NodeBuilder;
use crate::onnx::node::{self, input};

const DOMAIN: &str = "com.microsoft";

/// Operators whose name means something else in ONNX.
const OTHER_MEANING: &[&str] = &["Attention", "GroupNorm", "Pad", "Unique"];

/// Rewrites the contributed operators of a graph that can be.
pub(super) fn decompose(graph: &mut GraphProto) {
    let wanted = |node: &NodeProto| {
        node.domain == DOMAIN
            || matches!(node.op_type.as_str(), "SimplifiedLayerNormalization" | "FusedConv" | "FusedGemm")
    };
    replace(graph, &wanted, &rewritten);
    mark(graph);
}

fn mark(graph: &mut GraphProto) {
    for node in &mut graph.node {
        if node.domain == DOMAIN && OTHER_MEANING.contains(&node.op_type.as_str()) {
            node.op_type = format!("{DOMAIN}.{}", node.op_type);
        }
        node::subgraphs_mut(node).for_each(mark);
    }
}

fn rewritten(node: &NodeProto, scratch: &mut Scratch) -> Option<()> {
    match node.op_type.as_str() {
        "FusedConv" => fused(node, scratch, "Conv", 3),
        "NhwcFusedConv" => nhwc_conv(node, scratch),
        "NhwcMaxPool" => nhwc_pool(node, scratch),
        "FusedGemm" => fused(node, scratch, "Gemm", 3),
        "FusedMatMul" | "TransposeMatMul" => fused_matmul(node, scratch),
        "Gelu" => gelu(node, scratch, false, None),
        "BiasGelu" => gelu(node, scratch, false, Some(input(node, 1)?)),
        "FastGelu" => gelu(node, scratch, true, input(node, 1)),
        "QuickGelu" => quick_gelu(node, scratch),
        "SkipLayerNormalization" => skip_normalization(node, scratch, true),
        "SkipSimplifiedLayerNormalization" => skip_normalization(node, scratch, false),
        "SimplifiedLayerNormalization" => {
            let output = node::only_output(node).ok()?;
            let norm = NodeBuilder::new("RMSNormalization", [input(node, 0)?, input(node, 1)?]);
            scratch.last(norm.attributes(attributes_without(node, &[])), output);
            Some(())
        }
        "EmbedLayerNormalization" => embedding(node, scratch),
        "Attention" => attention(node, scratch),
        "MultiHeadAttention" => multi_head_attention(node, scratch),
        "BiasAdd" => {
            let sum = scratch.node("Add", &[input(node, 0)?, input(node, 1)?]);
            scratch.last(NodeBuilder::new("Add", [sum.as_str(), input(node, 2)?]), node::only_output(node).ok()?);
            Some(())
        }
        _ => None,
    }
}

/// The activation behind `from`, from the attributes `activation` and `activation_params` (or their own attributes).
fn activate(node: &NodeProto, scratch: &mut Scratch, from: &str, output: &str) -> Option<()> {
    let params = node::floats(node, "activation_params").ok()?.unwrap_or_default();
    let param = |index: usize, name: &str, default: f32| match params.get(index) {
        Some(&value) => Some(value),
        None => node::float(node, &format!("activation_{name}"), default).ok(),
    };
    let builder = match node::text(node, "activation", "").ok()? {
        "" => NodeBuilder::new("Identity", [from]),
        name @ ("Relu" | "Tanh" | "Sigmoid" | "Softplus" | "Softsign" | "Gelu" | "HardSwish") => {
            NodeBuilder::new(name, [from])
        }
        "LeakyRelu" => NodeBuilder::new("LeakyRelu", [from]).float("alpha", param(0, "alpha", 0.01)?),
        "Elu" => NodeBuilder::new("Elu", [from]).float("alpha", param(0, "alpha", 1.0)?),
        "HardSigmoid" => NodeBuilder::new("HardSigmoid", [from])
            .float("alpha", param(0, "alpha", 0.2)?)
            .float("beta", param(1, "beta", 0.5)?),
        "Clip" => {
            let (low, high) = (scratch.float("low", *params.first()?), scratch.float("high", *params.get(1)?));
            NodeBuilder::new("Clip", [from, &low, &high])
        }
        _ => return None,
    };
    scratch.last(builder, output);
    Some(())
}

const ACTIVATION: &[&str] =
    &["activation", "activation_params", "activation_alpha", "activation_beta", "activation_gamma", "activation_axis"];

/// An operator of ONNX with `count` inputs, what is added to its output, and an activation.
fn fused(node: &NodeProto, scratch: &mut Scratch, operator: &str, count: usize) -> Option<()> {
    let output = node::only_output(node).ok()?;
    let inputs: Vec<&str> = node.input.iter().take(count).map(String::as_str).collect();
    let builder = NodeBuilder::new(operator, inputs).attributes(attributes_without(node, ACTIVATION));
    let mut made = scratch.node_with(builder);
    if let Some(added) = input(node, count) {
        made = scratch.node("Add", &[&made, added]);
    }
    activate(node, scratch, &made, output)
}

/// The same with channels last.
fn nhwc_conv(node: &NodeProto, scratch: &mut Scratch) -> Option<()> {
    let output = node::only_output(node).ok()?;
    let first = |scratch: &mut Scratch, x: &str| {
        scratch.node_with(NodeBuilder::new("Transpose", [x]).ints("perm", &[0, 3, 1, 2]))
    };
    let x = first(scratch, input(node, 0)?);
    let mut inputs = vec![x.as_str(), input(node, 1)?];
    inputs.extend(input(node, 2));
    let mut made = scratch.node_with(NodeBuilder::new("Conv", inputs).attributes(attributes_without(node, ACTIVATION)));
    if let Some(added) = input(node, 3) {
        let added = first(scratch, added);
        made = scratch.node("Add", &[&made, &added]);
    }
    let active = scratch.fresh("active");
    activate(node, scratch, &made, &active)?;
    scratch.last(NodeBuilder::new("Transpose", [active]).ints("perm", &[0, 2, 3, 1]), output);
    Some(())
}

fn nhwc_pool(node: &NodeProto, scratch: &mut Scratch) -> Option<()> {
    let output = node::only_output(node).ok()?;
    let x = scratch.node_with(NodeBuilder::new("Transpose", [input(node, 0)?]).ints("perm", &[0, 3, 1, 2]));
    let pooled = scratch.node_with(NodeBuilder::new("MaxPool", [x]).attributes(attributes_without(node, &[])));
    scratch.last(NodeBuilder::new("Transpose", [pooled]).ints("perm", &[0, 2, 3, 1]), output);
    Some(())
}

/// `alpha · op(A) · op(B)`.
fn fused_matmul(node: &NodeProto, scratch: &mut Scratch) -> Option<()> {
    if node::flag(node, "transBatchA").ok()? || node::flag(node, "transBatchB").ok()? {
        return None;
    }
    let output = node::only_output(node).ok()?;
    let (a, b) = (input(node, 0)?, input(node, 1)?);
    let alpha = node::float(node, "alpha", 1.0).ok()?;
    let product = match (node::flag(node, "transA").ok()?, node::flag(node, "transB").ok()?) {
        (false, false) => NodeBuilder::new("MatMul", [a, b]),
        (true, false) => NodeBuilder::new("Einsum", [a, b]).text("equation", "...ki,...kj->...ij"),
        (false, true) => NodeBuilder::new("Einsum", [a, b]).text("equation", "...ik,...jk->...ij"),
        (true, true) => NodeBuilder::new("Einsum", [a, b]).text("equation", "...ki,...jk->...ij"),
    };
    if alpha == 1.0 {
        scratch.last(product, output);
        return Some(());
    }
    let product = scratch.node_with(product);
    let alpha = scratch.float("alpha", alpha);
    scratch.last(NodeBuilder::new("Mul", [product, alpha]), output);
    Some(())
}

fn gelu(node: &NodeProto, scratch: &mut Scratch, tanh: bool, bias: Option<&str>) -> Option<()> {
    let output = node::only_output(node).ok()?;
    let x = match bias {
        Some(bias) => scratch.node("Add", &[input(node, 0)?, bias]),
        None => input(node, 0)?.to_owned(),
    };
    let gelu = NodeBuilder::new("Gelu", [x]).text("approximate", if tanh { "tanh" } else { "none" });
    scratch.last(gelu, output);
    Some(())
}

/// `x · σ(alpha · x)`.
fn quick_gelu(node: &NodeProto, scratch: &mut Scratch) -> Option<()> {
    let (x, output) = (input(node, 0)?, node::only_output(node).ok()?);
    let alpha = scratch.float("alpha", node::float(node, "alpha", 1.702).ok()?);
    let scaled = scratch.node("Mul", &[x, &alpha]);
    let gate = scratch.node("Sigmoid", &[&scaled]);
    scratch.last(NodeBuilder::new("Mul", [x, &gate]), output);
    Some(())
}

/// The sum of two or three tensors, normalised along the last axis; the sum is an output too.
fn skip_normalization(node: &NodeProto, scratch: &mut Scratch, mean: bool) -> Option<()> {
    let bias = input(node, if mean { 4 } else { 3 });
    let wants_statistics = node.output.iter().skip(1).take(2).any(|name| !name.is_empty());
    let output = node.output.first().filter(|name| !name.is_empty() && !wants_statistics)?;
    let sum = node.output.get(3).filter(|name| !name.is_empty()).cloned().unwrap_or_else(|| scratch.fresh("sum"));
    match bias {
        Some(bias) => {
            let both = scratch.node("Add", &[input(node, 0)?, input(node, 1)?]);
            scratch.last(NodeBuilder::new("Add", [both.as_str(), bias]), &sum);
        }
        None => scratch.last(NodeBuilder::new("Add", [input(node, 0)?, input(node, 1)?]), &sum),
    }
    normalized(node, scratch, &sum, (input(node, 2)?, if mean { input(node, 3) } else { None }), mean, output)
}

fn normalized(
    node: &NodeProto,
    scratch: &mut Scratch,
    x: &str,
    (scale, shift): (&str, Option<&str>),
    mean: bool,
    output: &str,
) -> Option<()> {
    let epsilon = node::float(node, "epsilon", 1e-12).ok()?;
    let operator = if mean { "LayerNormalization" } else { "RMSNormalization" };
    let inputs = [Some(x), Some(scale), shift].into_iter().flatten();
    scratch.last(NodeBuilder::new(operator, inputs).int("axis", -1).float("epsilon", epsilon), output);
    Some(())
}

/// Words, positions and segments looked up, added and normalised; without the mask.
fn embedding(node: &NodeProto, scratch: &mut Scratch) -> Option<()> {
    if input(node, 7).is_some() || node.output.get(1).is_some_and(|name| !name.is_empty()) {
        return None;
    }
    let (ids, words, positions) = (input(node, 0)?, input(node, 2)?, input(node, 3)?);
    let words = scratch.node("Gather", &[words, ids]);
    let positions = match input(node, 8) {
        Some(indices) => scratch.node("Gather", &[positions, indices]),
        None => {
            let (zero, one, two) = (scratch.ints("zero", &[0]), scratch.ints("one", &[1]), scratch.ints("two", &[2]));
            let shape = scratch.node("Shape", &[ids]);
            let length = scratch.node("Slice", &[&shape, &one, &two, &zero]);
            scratch.node("Slice", &[positions, &zero, &length, &zero])
        }
    };
    let mut sum = scratch.node("Add", &[&words, &positions]);
    if let (Some(segment), Some(table)) = (input(node, 1), input(node, 4)) {
        let segment = scratch.node("Gather", &[table, segment]);
        sum = scratch.node("Add", &[&sum, &segment]);
    }
    if let Some(output) = node.output.get(2).filter(|name| !name.is_empty()) {
        scratch.last(NodeBuilder::new("Identity", [sum.as_str()]), output);
    }
    normalized(node, scratch, &sum, (input(node, 5)?, input(node, 6)), true, node.output.first()?)
}

/// One projection to queries, keys and values, then attention.
fn attention(node: &NodeProto, scratch: &mut Scratch) -> Option<()> {
    let others = [3, 4, 6].iter().any(|&slot| input(node, slot).is_some());
    if others || node::attribute(node, "qkv_hidden_sizes").is_some() || node::flag(node, "do_rotary").ok()? {
        return None;
    }
    let mut projected = scratch.node("MatMul", &[input(node, 0)?, input(node, 1)?]);
    if let Some(bias) = input(node, 2) {
        projected = scratch.node("Add", &[&projected, bias]);
    }
    let parts = ["query", "key", "value"].map(|what| scratch.fresh(what));
    let name = scratch.fresh("split");
    let split = NodeBuilder::new("Split", [projected]).int("axis", -1).int("num_outputs", 3);
    scratch.nodes.push(split.named(name, &parts));
    let parts = parts.each_ref().map(String::as_str);
    standard_attention(node, scratch, parts, input(node, 5))
}

/// Queries, keys and values `[B, S, heads · size]`, each with its share of the bias.
fn multi_head_attention(node: &NodeProto, scratch: &mut Scratch) -> Option<()> {
    if [4, 6, 7].iter().any(|&slot| input(node, slot).is_some()) || input(node, 3).is_some() {
        return None;
    }
    standard_attention(node, scratch, [input(node, 0)?, input(node, 1)?, input(node, 2)?], input(node, 5))
}

fn standard_attention(node: &NodeProto, scratch: &mut Scratch, parts: [&str; 3], mask: Option<&str>) -> Option<()> {
    let output = node::only_output(node).ok()?;
    let heads = node::int(node, "num_heads", 0).ok().filter(|heads| *heads > 0)?;
    let inputs = parts.into_iter().chain(mask);
    let mut builder = NodeBuilder::new("Attention", inputs)
        .int("q_num_heads", heads)
        .int("kv_num_heads", heads)
        .int("is_causal", node::int(node, "unidirectional", 0).ok()?);
    let scale = node::float(node, "scale", 0.0).ok()?;
    if scale != 0.0 {
        builder = builder.float("scale", scale);
    }
    scratch.last(builder, output);
    Some(())
}
