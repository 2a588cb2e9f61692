//! Tensors of an ONNX file: the check that they are whole, and quantisation found through the nodes around them.

use std::collections::HashSet;

use leptond_engine::onnx::tensor::{datum_type, declared_bytes, elements, listed_values, type_name};
use leptond_engine::onnx::{GraphView, node, operators};
use tract_onnx::pb::tensor_proto::DataLocation;
use tract_onnx::pb::{NodeProto, TensorProto};

use super::budget::MAX_TENSOR_BYTES;
use super::external::REMEDY;
use crate::frame::Quant;

/// Most nodes crossed in search of a quantisation, from an input or output of the graph.
const MAX_HOPS: usize = 8;

/// Checks that a tensor is whole: a known type, sane dimensions, as many values as they say, all inside the file.
///
/// # Errors
/// The reason why it is not.
pub fn check(tensor: &TensorProto) -> Result<(), String> {
    if tensor.data_location == Some(DataLocation::External as i32) || !tensor.external_data.is_empty() {
        let location = tensor.external_data.iter().find(|e| e.key == "location");
        let location = location.map(|e| e.value.clone()).unwrap_or_default();
        return Err(format!(
            "its values lie in another file ({location:?}), which is read beside a single .onnx file only; {REMEDY}"
        ));
    }
    let Some(dtype) = datum_type(tensor.data_type) else {
        return Err(format!("its element type ({}) is not supported", type_name(tensor.data_type)));
    };
    let Some(count) = elements(tensor) else {
        return Err(format!("its shape {:?} cannot be", tensor.dims));
    };
    match declared_bytes(tensor) {
        Some(bytes) if bytes <= MAX_TENSOR_BYTES => {}
        _ => return Err(format!("its shape {:?} asks for more than {} MiB", tensor.dims, MAX_TENSOR_BYTES >> 20)),
    }
    if tensor.segment.is_some() {
        return Err("segmented tensors are not supported".into());
    }
    let (found, want) = match tensor.raw_data.len() {
        0 => (listed_values(tensor, dtype), count),
        bytes => (bytes, count * dtype.size_of()),
    };
    if found != want {
        let unit = if tensor.raw_data.is_empty() { "values" } else { "bytes" };
        return Err(format!("it holds {found} {unit}, its shape {:?} asks for {want}", tensor.dims));
    }
    Ok(())
}

/// Quantisation of the integer input `name`: that of the first `DequantizeLinear` or quantised operator behind it, with only
/// moves of its values in between.
pub fn quant_of_input(view: &GraphView, name: &str) -> Option<Quant> {
    let (mut reached, mut seen) = (vec![name], HashSet::new());
    for _ in 0..MAX_HOPS {
        let mut moved = Vec::new();
        for name in reached {
            for node in view.consumers(name).iter().filter(|index| seen.insert(**index)).map(|&index| view.node(index))
            {
                let first = node::input(node, 0) == Some(name);
                match node.op_type.as_str() {
                    "DequantizeLinear" | "QLinearConv" | "QLinearMatMul" if first => return quant_at(node, view, 1),
                    "Concat" => moved.extend(node::outputs(node)),
                    _ if first && operators::moves(node) => moved.extend(operators::moved_outputs(node)),
                    _ => {}
                }
            }
        }
        reached = moved;
    }
    None
}

/// Quantisation of the integer output `name`: that with which its values were quantised before they were moved there.
pub fn quant_of_output(view: &GraphView, name: &str) -> Option<Quant> {
    let mut name = name;
    for _ in 0..MAX_HOPS {
        let node = view.node(view.producer(name)?);
        match node.op_type.as_str() {
            "QuantizeLinear" => return quant_at(node, view, 1),
            "QLinearConv" | "QLinearMatMul" => return quant_at(node, view, 6),
            _ if operators::moves(node) && operators::moved_outputs(node).any(|output| output == name) => {
                name = node::input(node, 0)?;
            }
            _ => return None,
        }
    }
    None
}

/// Scale at input `index` of `node`, zero point right after it.
fn quant_at(node: &NodeProto, view: &GraphView, index: usize) -> Option<Quant> {
    let scale = view.scalar(node::input(node, index)?)? as f32;
    let zero_point = node::input(node, index + 1).map_or(Some(0), |name| Some(view.scalar(name)? as i32))?;
    (scale.is_finite() && scale > 0.0).then_some(Quant { scale, zero_point })
}

#[cfg(test)]
mod tests {
    use leptond_engine::onnx::build::{self, NodeBuilder};
    use tract_onnx::pb::GraphProto;
    use tract_onnx::pb::tensor_proto::DataType;

    use super::*;

    /// `x` through `nodes` to `y`, between a `QuantizeLinear` of step 0.5 and a `DequantizeLinear` of step 0.25.
    fn moved(nodes: Vec<NodeProto>) -> (Option<f32>, Option<f32>) {
        let mut graph = GraphProto::default();
        graph.initializer.extend([build::floats("half", &[0.5]), build::floats("quarter", &[0.25])]);
        graph.initializer.push(build::tensor("zero", DataType::Int8, vec![], vec![0]));
        graph.node.push(NodeBuilder::new("QuantizeLinear", ["real", "half", "zero"]).named("q", ["x"]));
        graph.node.extend(nodes);
        graph.node.push(NodeBuilder::new("DequantizeLinear", ["y", "quarter", "zero"]).named("d", ["back"]));
        let view = GraphView::new(&graph);
        let scale = |quant: Option<Quant>| quant.map(|q| q.scale);
        (scale(quant_of_output(&view, "y")), scale(quant_of_input(&view, "x")))
    }

    #[test]
    fn a_quantisation_holds_on_both_sides_of_what_moves_values() {
        let both = (Some(0.5), Some(0.25));
        for op in
            ["Identity", "Reshape", "Slice", "MaxPool", "Gather", "Pad", "Tile", "DepthToSpace", "ReduceMax", "Resize"]
        {
            assert_eq!(moved(vec![NodeBuilder::new(op, ["x"]).named("n", ["y"])]), both, "{op}");
        }
        for op in ["Relu", "AveragePool", "Add", "Cast", "Shape"] {
            assert_eq!(moved(vec![NodeBuilder::new(op, ["x"]).named("n", ["y"])]), (None, None), "{op}");
        }
        let linear = NodeBuilder::new("Resize", ["x"]).text("mode", "linear").named("n", ["y"]);
        assert_eq!(moved(vec![linear]), (None, None), "neighbours are mixed");
        let row =
            |op: &str, x: &str, outputs: &[&str]| NodeBuilder::new(op, [x]).named(outputs[0], outputs.iter().copied());
        assert_eq!(moved(vec![row("Split", "x", &["other", "y"])]), both, "every part of a Split");
        assert_eq!(moved(vec![row("MaxPool", "x", &["other", "y"])]), (None, None), "indices are no values");
        assert_eq!(moved(vec![NodeBuilder::new("Gather", ["table", "x"]).named("n", ["y"])]), (None, None));
        assert_eq!(moved(vec![row("Cast", "x", &["real_too"]), row("Identity", "x", &["y"])]), both, "another reader");
    }

    #[test]
    fn a_circle_ends() {
        let nodes = vec![
            NodeBuilder::new("Identity", ["y"]).named("a", ["b"]),
            NodeBuilder::new("Identity", ["b"]).named("c", ["y"]),
        ];
        assert_eq!(moved(nodes), (None, None));
    }
}
