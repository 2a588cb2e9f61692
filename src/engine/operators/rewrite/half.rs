//! Half precision computed in single: what is rounded less often than the file asks for is nearer to what was meant, and many times
//! faster where a processor has no arithmetic for halves. Inputs and outputs keep their types.

use std::collections::HashMap;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto, type_proto};
use tract_onnx::prelude::f16;

use super::names::Scratch;
use crate::onnx::build::NodeBuilder;
use crate::onnx::{node, tensor};

const HALF: i32 = DataType::Float16 as i32;
const SINGLE: i32 = DataType::Float as i32;

/// Attributes that name an element type.
const TYPES: &[&str] =
    &["to", "dtype", "output_dtype", "output_datatype", "stash_type", "softmax_precision", "precision"];

/// Makes single precision of a graph's half precision.
pub(super) fn to_single(graph: &mut GraphProto) {
    if !has_halves(graph) || reinterprets(graph) {
        return;
    }
    let mut scratch = Scratch::of(graph);
    let mut names: HashMap<String, String> = HashMap::new();
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let initializers: Vec<String> = graph.initializer.iter().map(|t| t.name.clone()).collect();
    for input in graph.input.iter_mut().filter(|port| is_half(port)) {
        if initializers.contains(&input.name) {
            set_type(input);
            continue;
        }
        scratch.begin(&NodeProto { name: input.name.clone(), ..Default::default() });
        let single = scratch.fresh("single");
        before.push(cast(&input.name, &single, SINGLE));
        names.insert(input.name.clone(), single);
    }
    for output in graph.output.iter().filter(|port| is_half(port)) {
        let single = names.get(&output.name).cloned().unwrap_or_else(|| {
            scratch.begin(&NodeProto { name: output.name.clone(), ..Default::default() });
            scratch.fresh("single")
        });
        // An input that is handed through is an output already.
        if !graph.input.iter().any(|input| input.name == output.name) {
            after.push(cast(&single, &output.name, HALF));
            names.insert(output.name.clone(), single);
        }
    }
    graph.initializer.iter_mut().for_each(|t| renamed(&mut t.name, &names));
    convert(graph, &names);
    graph.node.splice(0..0, before);
    graph.node.extend(after);
}

fn cast(from: &str, to: &str, kind: i32) -> NodeProto {
    let name = if kind == SINGLE { to.to_owned() } else { format!("{to}:half") };
    NodeBuilder::new("Cast", [from]).int("to", i64::from(kind)).named(name, [to])
}

fn renamed(name: &mut String, names: &HashMap<String, String>) {
    if let Some(new) = names.get(name) {
        name.clone_from(new);
    }
}

/// Constants, casts and types of a graph and the graphs inside of it, with some tensors under other names.
fn convert(graph: &mut GraphProto, names: &HashMap<String, String>) {
    graph.initializer.iter_mut().for_each(single);
    for node in &mut graph.node {
        node.input.iter_mut().chain(&mut node.output).for_each(|name| renamed(name, names));
        for attribute in &mut node.attribute {
            if TYPES.contains(&attribute.name.as_str()) && attribute.i == i64::from(HALF) {
                attribute.i = i64::from(SINGLE);
            }
            attribute.t.iter_mut().chain(&mut attribute.tensors).for_each(single);
            for inner in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                inner.input.iter_mut().chain(&mut inner.output).filter(|port| is_half(port)).for_each(set_type);
                let own: Vec<String> = (inner.node.iter().flat_map(|n| n.output.iter()))
                    .chain(inner.input.iter().map(|i| &i.name))
                    .chain(inner.initializer.iter().map(|t| &t.name))
                    .cloned()
                    .collect();
                let seen = names.iter().filter(|(name, _)| !own.contains(name));
                let seen = seen.map(|(old, new)| (old.clone(), new.clone())).collect();
                inner.output.iter_mut().for_each(|port| renamed(&mut port.name, &seen));
                convert(inner, &seen);
            }
        }
    }
}

fn is_half(port: &ValueInfoProto) -> bool {
    let value = port.r#type.as_ref().and_then(|t| t.value.as_ref());
    matches!(value, Some(type_proto::Value::TensorType(tensor)) if tensor.elem_type == HALF)
}

fn set_type(port: &mut ValueInfoProto) {
    if let Some(type_proto::Value::TensorType(tensor)) = port.r#type.as_mut().and_then(|t| t.value.as_mut()) {
        tensor.elem_type = SINGLE;
    }
}

fn attributes(graph: &GraphProto) -> impl Iterator<Item = &AttributeProto> {
    graph.node.iter().flat_map(|node| &node.attribute)
}

fn has_halves(graph: &GraphProto) -> bool {
    let types = |a: &AttributeProto| TYPES.contains(&a.name.as_str()) && a.i == i64::from(HALF);
    let tensors = |a: &AttributeProto| a.t.iter().chain(&a.tensors).any(|t| t.data_type == HALF);
    graph.initializer.iter().any(|t| t.data_type == HALF)
        || graph.input.iter().chain(&graph.output).any(is_half)
        || attributes(graph).any(|a| types(a) || tensors(a) || a.g.iter().chain(&a.graphs).any(has_halves))
}

/// Test for a graph that looks at the bits of its numbers.
fn reinterprets(graph: &GraphProto) -> bool {
    graph.node.iter().any(|n| n.op_type == "BitCast" || node::subgraphs(n).any(reinterprets))
}

/// A tensor of halves in single precision; one that is not whole is left for others to refuse.
fn single(proto: &mut TensorProto) {
    if proto.data_type != HALF {
        return;
    }
    let bits: Vec<u16> = match proto.raw_data.len() {
        0 => proto.int32_data.iter().map(|&v| v as u16).collect(),
        _ => proto.raw_data.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect(),
    };
    if tensor::elements(proto) != Some(bits.len()) {
        return;
    }
    proto.raw_data = bits.iter().flat_map(|&b| f16::from_bits(b).to_f32().to_le_bytes()).collect();
    proto.int32_data.clear();
    proto.data_type = SINGLE;
}
