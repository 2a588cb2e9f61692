//! Types and shapes of outputs that a file leaves out, by inference.

use leptond_engine::onnx::{build, tensor};
use tract_onnx::model::Onnx;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{ModelProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto};
use tract_onnx::tract_hir::internal::*;

/// Writes them where they follow from the rest of the file; an output of which nothing follows stays as it is, to be refused.
pub(super) fn complete(model: &mut ModelProto, onnx: &Onnx) {
    let Some(graph) = &mut model.graph else { return };
    if graph.output.iter().all(is_whole) {
        return;
    }
    let said = graph.output.clone();
    // What the file says of these would be held against what is found.
    let outputs = graph.output.iter_mut().filter(|port| !is_whole(port));
    outputs.for_each(|port| *port = build::untyped_port(port.name.clone()));
    let found = inferred(model, onnx);
    let ports = model.graph.iter_mut().flat_map(|graph| &mut graph.output);
    for (index, (port, said)) in ports.zip(said).enumerate() {
        let kind = if is_whole(&said) { None } else { found.get(index).and_then(described) };
        *port = said;
        port.r#type = kind.or(port.r#type.take());
    }
}

/// Facts about the outputs, in order; none where the graph cannot be parsed or analysed.
fn inferred(model: &ModelProto, onnx: &Onnx) -> Vec<InferenceFact> {
    let Ok(mut parsed) = onnx.parse(model, None).map(|parsed| parsed.model) else { return Vec::new() };
    if parsed.analyse(true).is_err() {
        return Vec::new();
    }
    (parsed.outputs.iter()).filter_map(|&o| parsed.outlet_fact(o).ok().cloned()).collect()
}

/// Test for an output whose type and number of dimensions are known, or that is no tensor.
fn is_whole(port: &ValueInfoProto) -> bool {
    match port.r#type.as_ref().and_then(|t| t.value.as_ref()) {
        Some(type_proto::Value::TensorType(tensor)) => tensor.shape.is_some(),
        other => other.is_some(),
    }
}

/// A fact as ONNX writes it.
fn described(fact: &InferenceFact) -> Option<TypeProto> {
    let dtype = match fact.datum_type()? {
        // Shapes that tract computes symbolically.
        dtype if dtype == TDim::datum_type() => DatumType::I64,
        dtype => dtype,
    };
    let kind = (0..=i32::from(u8::MAX)).find(|&kind| tensor::datum_type(kind) == Some(dtype))?;
    if fact.shape.is_open() {
        return None;
    }
    let size = |dim: &DimFact| dim.concretize().and_then(|dim| dim.to_i64().ok()).filter(|size| *size > 0);
    let dim = |dim| Dimension { value: size(dim).map(dimension::Value::DimValue), ..Default::default() };
    let shape = Some(TensorShapeProto { dim: fact.shape.dims().map(dim).collect() });
    let value = type_proto::Value::TensorType(type_proto::Tensor { elem_type: kind, shape });
    Some(TypeProto { value: Some(value), ..Default::default() })
}

#[cfg(test)]
mod tests {
    use leptond_engine::onnx::build::{Dim, NodeBuilder};
    use tract_onnx::pb::GraphProto;
    use tract_onnx::pb::tensor_proto::DataType;

    use super::*;

    #[test]
    fn an_output_without_a_shape_gets_the_one_that_follows() {
        let graph = GraphProto {
            node: vec![
                NodeBuilder::new("Relu", ["x"]).named("r", ["y"]),
                NodeBuilder::new("Shape", ["y"]).named("s", ["shape"]),
            ],
            input: vec![build::port("x", DataType::Float, &[Dim::Open("N"), Dim::Size(3)])],
            output: vec![build::untyped_port("y"), build::untyped_port("shape")],
            ..Default::default()
        };
        let mut model = build::model(graph, 13);
        complete(&mut model, &crate::model::parser::onnx());
        let outputs = &model.graph.unwrap().output;
        let shape = |port: &ValueInfoProto| match port.r#type.as_ref().and_then(|t| t.value.clone()) {
            Some(type_proto::Value::TensorType(tensor)) => Some((tensor.elem_type, tensor.shape?.dim)),
            _ => None,
        };
        let dims = |sizes: &[Option<i64>]| -> Vec<Dimension> {
            let dim =
                |size: &Option<i64>| Dimension { value: size.map(dimension::Value::DimValue), ..Default::default() };
            sizes.iter().map(dim).collect()
        };
        assert_eq!(shape(&outputs[0]), Some((DataType::Float as i32, dims(&[None, Some(3)]))));
        assert_eq!(shape(&outputs[1]), Some((DataType::Int64 as i32, dims(&[Some(2)]))));
    }
}
