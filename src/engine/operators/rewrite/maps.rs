//! Maps from labels to probabilities and labels of text, which scikit-learn's converter puts at the end of classifiers: the tensor of
//! probabilities is the output instead, and the index of a label, whose text goes into the model's metadata.

use std::collections::HashSet;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, StringStringEntryProto, type_proto};

use crate::onnx::build::{self, Dim, NodeBuilder};
use crate::onnx::node;

/// Gives the probabilities of a `ZipMap` as a tensor `[N, C]`.
pub(super) fn drop(graph: &mut GraphProto) {
    for index in 0..graph.node.len() {
        let zip = &graph.node[index];
        let (Some(probabilities), Ok(output)) = (node::input(zip, 0), node::only_output(zip)) else { continue };
        let Some(port) = graph.output.iter_mut().find(|port| port.name == output) else { continue };
        if zip.op_type != "ZipMap" {
            continue;
        }
        let is_tensor = port.r#type.as_ref().and_then(|t| t.value.as_ref());
        if !matches!(is_tensor, Some(type_proto::Value::TensorType(t)) if t.shape.is_some()) {
            *port = build::port(output, DataType::Float, &[Dim::Open("N"), Dim::Open("C")]);
        }
        graph.node[index] = NodeBuilder::new("Identity", [probabilities]).named(&zip.name, [output]);
    }
}

/// Gives indices in place of labels that are text, as `Int64`; the labels go under `names` into the metadata, unless there are some.
pub(super) fn index_labels(model: &mut ModelProto) {
    let Some(graph) = &mut model.graph else { return };
    let mut labels: Option<Vec<String>> = None;
    // Tensors that hold labels of text.
    let mut texts: HashSet<String> = HashSet::new();
    for node in &mut graph.node {
        let named = ["classlabels_strings"].iter().find_map(|name| node::attribute(node, name));
        if let (Some(names), Some(output)) = (named.filter(|n| !n.strings.is_empty()), node.output.first()) {
            labels.get_or_insert(names.strings.iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect());
            texts.insert(output.clone());
        }
        let moves =
            matches!(node.op_type.as_str(), "Identity" | "Cast" | "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze");
        if moves && node::input(node, 0).is_some_and(|name| texts.contains(name)) {
            texts.extend(node.output.iter().cloned());
            for attribute in node.attribute.iter_mut().filter(|a| a.name == "to") {
                attribute.i = DataType::Int64 as i64;
            }
        }
    }
    for port in graph.output.iter_mut().filter(|port| texts.contains(&port.name)) {
        if let Some(type_proto::Value::TensorType(tensor)) = port.r#type.as_mut().and_then(|t| t.value.as_mut()) {
            tensor.elem_type = DataType::Int64 as i32;
        }
    }
    let Some(labels) = labels.filter(|_| !model.metadata_props.iter().any(|entry| entry.key == "names")) else {
        return;
    };
    let quoted = |label: &String| label.replace('\\', "\\\\").replace('\'', "\\'");
    let entries: Vec<String> =
        labels.iter().enumerate().map(|(i, label)| format!("{i}: '{}'", quoted(label))).collect();
    let value = format!("{{{}}}", entries.join(", "));
    model.metadata_props.push(StringStringEntryProto { key: "names".into(), value });
}
