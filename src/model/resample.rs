//! `Upsample`, and `Resize` of operator set 10, which know one way only: coordinates from the upper left, the neighbour below.

use std::sync::OnceLock;

use tract_onnx::model::{Onnx, ParsingContext};
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::{AttributeProto, NodeProto};
use tract_onnx::tract_hir::internal::*;

/// Version of `Resize` that is the last one of `Upsample` by another name.
const VERSION: i64 = 10;

/// Puts them into tract's parser.
pub fn register(onnx: &mut Onnx) {
    onnx.op_register.insert("Upsample", |ctx: &ParsingContext, node| old(ctx, node));
    onnx.op_register.insert("Resize", |ctx: &ParsingContext, node| {
        if ctx.onnx_operator_set_version == VERSION { old(ctx, node) } else { resize(ctx, node) }
    });
}

type Parsed = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

/// tract's operator.
fn resize(ctx: &ParsingContext, node: &NodeProto) -> Parsed {
    static TRACT: OnceLock<Onnx> = OnceLock::new();
    let build = TRACT.get_or_init(tract_onnx::onnx).op_register.0.get("Resize");
    build.context("tract has no operator Resize")?(ctx, node)
}

fn old(ctx: &ParsingContext, node: &NodeProto) -> Parsed {
    ensure!(node.input.len() == 2, "it has {} inputs, expected are a tensor and its scales", node.input.len());
    let ctx = ParsingContext {
        onnx_operator_set_version: VERSION,
        framework: ctx.framework,
        model: ctx.model,
        parent_graphs: vec![],
        model_dir: None,
        template: InferenceModel::default(),
    };
    let text = |name: &str, value: &str| AttributeProto {
        name: name.into(),
        r#type: AttributeType::String as i32,
        s: value.into(),
        ..Default::default()
    };
    let mut node = node.clone();
    // Names of the first versions.
    let mode = match node.get_attr_opt("mode")? {
        Some("bilinear" | "trilinear" | "linear") => "linear",
        None | Some("nearest") => "nearest",
        Some(other) => bail!("its mode is {other:?}, allowed are nearest and linear"),
    };
    node.attribute.retain(|a| !["mode", "nearest_mode"].contains(&a.name.as_str()));
    node.attribute.extend([text("mode", mode), text("nearest_mode", "floor")]);
    resize(&ctx, &node)
}
