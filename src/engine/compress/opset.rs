//! Models of older operator sets as ones of set 13, the first in which weights may have a scale for each output.
//!
//! Source: the histories of the operators, <https://onnx.ai/onnx/operators/>.

use std::collections::HashMap;

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto};
use tract_onnx::prelude::Tensor;

use super::run::{CompressError, TensorFact};
use crate::onnx::{self, build, node, tensor};

/// The set that is wanted.
const WANTED: i64 = 13;

/// The oldest set whose operators are known here: before it, broadcasting was another.
const OLDEST: i64 = 7;

/// File format in which initializers need not be inputs.
const IR_VERSION: i64 = 7;

/// Rewrites the operators of `model` that set 13 changed; newer models stay as they are.
///
/// # Errors
/// [`CompressError::Model`] for sets before 7; [`CompressError::Node`] naming an operator of another meaning.
pub fn raise(model: &mut ModelProto, facts: &HashMap<String, TensorFact>) -> Result<(), CompressError> {
    let version = onnx::opset(model);
    model.ir_version = model.ir_version.max(IR_VERSION);
    if version >= WANTED {
        return Ok(());
    }
    if version < OLDEST {
        let reason = format!("its operator set is {version}: export it with operator set {WANTED} or newer");
        return Err(CompressError::Model(reason));
    }
    if let Some(graph) = &mut model.graph {
        raise_graph(graph, version, facts)?;
    }
    model.opset_import.retain(|set| !(set.domain.is_empty() || set.domain == "ai.onnx"));
    model.opset_import.push(OperatorSetIdProto { domain: String::new(), version: WANTED });
    Ok(())
}

fn raise_graph(graph: &mut GraphProto, version: i64, facts: &HashMap<String, TensorFact>) -> Result<(), CompressError> {
    let mut made: Vec<TensorProto> = Vec::new();
    for node in &mut graph.node {
        if !(node.domain.is_empty() || node.domain == "ai.onnx") {
            continue;
        }
        for inner in node::subgraphs_mut(node) {
            raise_graph(inner, version, facts)?;
        }
        raise_node(node, version, facts, &mut made).map_err(|reason| CompressError::Node {
            node: node.name.clone(),
            operator: node.op_type.clone(),
            reason,
        })?;
    }
    graph.initializer.append(&mut made);
    Ok(())
}

fn raise_node(
    node: &mut NodeProto,
    version: i64,
    facts: &HashMap<String, TensorFact>,
    made: &mut Vec<TensorProto>,
) -> Result<(), String> {
    let mut inputs = Inputs { node, made };
    match inputs.node.op_type.as_str() {
        "Squeeze" | "Unsqueeze" | "ReduceSum" => inputs.list("axes", 1),
        "Split" => inputs.list("split", 1),
        "Clip" if version < 11 => {
            inputs.number("min", 1, None)?;
            inputs.number("max", 2, None)
        }
        "Pad" if version < 11 => {
            inputs.list("pads", 1)?;
            inputs.number("value", 2, Some(0.0))
        }
        "Slice" if version < 10 => {
            inputs.list("starts", 1)?;
            inputs.list("ends", 2)?;
            inputs.list("axes", 3)
        }
        "TopK" if version < 10 => inputs.list_of_one("k", 1),
        "Upsample" => {
            if let Some(scales) = node::floats(inputs.node, "scales")?.map(<[f32]>::to_vec) {
                inputs.put("scales", 1, Tensor::from_shape(&[scales.len()], &scales));
            }
            inputs.as_resize();
            Ok(())
        }
        "Resize" if version < 11 => {
            inputs.as_resize();
            Ok(())
        }
        "Scatter" => {
            inputs.node.op_type = "ScatterElements".into();
            Ok(())
        }
        "Dropout" if version < 12 => {
            inputs.node.attribute.clear();
            Ok(())
        }
        "Softmax" | "LogSoftmax" | "Hardmax" => last_axis(inputs.node, facts),
        "Scan" if version < 9 => Err("its meaning changed with operator set 9: export the model with set 13".into()),
        _ => Ok(()),
    }
}

/// Writes the axis of a distribution out. Before set 13 it ran over that axis and all behind it.
fn last_axis(node: &mut NodeProto, facts: &HashMap<String, TensorFact>) -> Result<(), String> {
    let axis = node::int(node, "axis", 1)?;
    let shape = node::input(node, 0).and_then(|name| facts.get(name)).and_then(|fact| fact.shape.as_ref());
    let shape = shape.ok_or("the shape of its input is not known: export the model with operator set 13")?;
    let at = node::axis(axis, shape.len())?;
    let last = (at..shape.len()).rev().find(|&axis| shape[axis] > 1).unwrap_or(at);
    if shape[at..].iter().filter(|&&size| size > 1).count() > 1 {
        return Err(format!(
            "it runs over all axes from {at} on, which operator set 13 cannot say: export the model with it"
        ));
    }
    node.attribute.retain(|attribute| attribute.name != "axis");
    node.attribute.push(build::int("axis", last as i64));
    Ok(())
}

/// Inputs of a node that were attributes.
struct Inputs<'n> {
    node: &'n mut NodeProto,
    made: &'n mut Vec<TensorProto>,
}

impl Inputs<'_> {
    fn list(&mut self, name: &str, index: usize) -> Result<(), String> {
        let Some(values) = node::ints(self.node, name)?.map(<[i64]>::to_vec) else { return Ok(()) };
        self.put(name, index, Tensor::from_shape(&[values.len()], &values));
        Ok(())
    }

    fn list_of_one(&mut self, name: &str, index: usize) -> Result<(), String> {
        let value = node::int(self.node, name, 0)?;
        self.put(name, index, Tensor::from_shape(&[1], &[value]));
        Ok(())
    }

    fn number(&mut self, name: &str, index: usize, default: Option<f32>) -> Result<(), String> {
        let there = node::attribute(self.node, name).is_some();
        let Some(default) = default.or(there.then_some(0.0)) else { return Ok(()) };
        let value = node::float(self.node, name, default)?;
        self.put(name, index, Tensor::from_shape(&[], &[value]));
        Ok(())
    }

    fn put<E>(&mut self, name: &str, index: usize, value: Result<Tensor, E>) {
        let full = format!("leptond.{}.{name}", self.node.name);
        let Some(proto) = value.ok().and_then(|value| tensor::write(&full, &value)) else { return };
        self.made.push(proto);
        self.node.attribute.retain(|attribute| attribute.name != name);
        self.node.input.resize(self.node.input.len().max(index + 1), String::new());
        self.node.input[index] = full;
    }

    /// Sizes changed the way in which they were changed before set 11.
    fn as_resize(&mut self) {
        self.node.op_type = "Resize".into();
        // Regions, which come between the tensor and its scales, are not used.
        self.node.input.insert(1, String::new());
        self.node.attribute.extend([
            build::text("coordinate_transformation_mode", "asymmetric"),
            build::text("nearest_mode", "floor"),
        ]);
    }
}
