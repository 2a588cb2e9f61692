//! Nodes and constants in place of a node, under names that are not taken.

use std::collections::HashSet;

use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto};

use crate::onnx::build::{self, NodeBuilder};
use crate::onnx::captured_names;
use crate::operators::DOMAIN;

/// Nodes and constants that replace nodes of a graph.
pub(super) struct Scratch {
    taken: HashSet<String>,
    /// Name of the node at hand.
    base: String,
    pub nodes: Vec<NodeProto>,
    pub constants: Vec<TensorProto>,
}

impl Scratch {
    pub fn of(graph: &GraphProto) -> Self {
        let mut taken: HashSet<String> = HashSet::new();
        for node in &graph.node {
            taken.insert(node.name.clone());
            taken.extend(node.input.iter().chain(&node.output).cloned());
            captured_names(node, &mut |name| _ = taken.insert(name.to_owned()));
        }
        taken.extend(graph.initializer.iter().map(|t| t.name.clone()));
        taken.extend(graph.input.iter().chain(&graph.output).map(|port| port.name.clone()));
        Scratch { taken, base: String::new(), nodes: Vec::new(), constants: Vec::new() }
    }

    /// Begins with the replacement of a node.
    pub fn begin(&mut self, node: &NodeProto) {
        self.nodes.clear();
        self.constants.clear();
        let output = || node.output.iter().find(|o| !o.is_empty()).cloned().unwrap_or_default();
        self.base = if node.name.is_empty() { output() } else { node.name.clone() };
    }

    /// A name for a tensor and for the node that makes it.
    pub fn fresh(&mut self, what: &str) -> String {
        let mut name = format!("{}:{what}", self.base);
        while !self.taken.insert(name.clone()) {
            name.push('_');
        }
        name
    }

    /// A constant list of integers.
    pub fn ints(&mut self, what: &str, values: &[i64]) -> String {
        let name = self.fresh(what);
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let kind = tract_onnx::pb::tensor_proto::DataType::Int64;
        self.constants.push(build::tensor(&name, kind, vec![values.len() as i64], bytes));
        name
    }

    /// A constant float.
    pub fn float(&mut self, what: &str, value: f32) -> String {
        let name = self.fresh(what);
        self.constants.push(build::floats(&name, &[value]));
        name
    }

    /// A constant list of floats.
    pub fn list_of_floats(&mut self, what: &str, values: &[f32]) -> String {
        let name = self.fresh(what);
        let mut constant = build::floats(&name, values);
        constant.dims = vec![values.len() as i64];
        self.constants.push(constant);
        name
    }

    /// The node at hand as one of another operator.
    pub fn renamed(&mut self, node: &NodeProto, operator: &str) {
        self.nodes.push(NodeProto { op_type: operator.into(), domain: DOMAIN.into(), ..node.clone() });
    }

    /// A node with one output of a name of its own.
    pub fn node(&mut self, operator: &str, inputs: &[&str]) -> String {
        self.node_with(NodeBuilder::new(operator, inputs.iter().copied()))
    }

    /// [`Scratch::node`] with attributes.
    pub fn node_with(&mut self, builder: NodeBuilder) -> String {
        let name = self.fresh(&builder.operator().to_lowercase());
        self.nodes.push(builder.named(&name, [&name]));
        name
    }

    /// The node that makes `output`.
    pub fn last(&mut self, builder: NodeBuilder, output: &str) {
        let name = self.fresh(&builder.operator().to_lowercase());
        self.nodes.push(builder.named(name, [output]));
    }
}

/// Replaces every node of a graph, those of inner graphs included, for which `rewritten` fills the scratch and says so.
pub(super) fn replace(
    graph: &mut GraphProto,
    wanted: &dyn Fn(&NodeProto) -> bool,
    rewritten: &dyn Fn(&NodeProto, &mut Scratch) -> Option<()>,
) {
    graph.node.iter_mut().flat_map(crate::onnx::node::subgraphs_mut).for_each(|g| replace(g, wanted, rewritten));
    if !graph.node.iter().any(wanted) {
        return;
    }
    let mut scratch = Scratch::of(graph);
    for node in std::mem::take(&mut graph.node) {
        scratch.begin(&node);
        match wanted(&node).then(|| rewritten(&node, &mut scratch)).flatten() {
            Some(()) => {
                graph.node.append(&mut scratch.nodes);
                graph.initializer.append(&mut scratch.constants);
            }
            None => graph.node.push(node),
        }
    }
}

/// Attributes of a node but for some.
pub(super) fn attributes_without(node: &NodeProto, without: &[&str]) -> Vec<AttributeProto> {
    node.attribute.iter().filter(|a| !without.contains(&a.name.as_str())).cloned().collect()
}
