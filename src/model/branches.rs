//! `If` nodes whose condition is known once the input shapes are: the branch taken is put in their place.
//!
//! Exporters leave such nodes behind where a program looked at shapes. tract compiles both branches, and the one that is
//! never taken often does not fit the shapes at hand.

use std::collections::{HashMap, HashSet};

use leptond_engine::onnx::build::{self, NodeBuilder};
use leptond_engine::onnx::{GraphView, node};
use tract_onnx::model::Onnx;
use tract_onnx::pb;
use tract_onnx::prelude::*;
use tract_onnx::tract_hir::internal::Factoid;

use super::optimise;

/// Most branches that are put in place; a graph with more is left to tract.
const MAX_BRANCHES: usize = 256;

/// Replaces every `If` whose condition follows from constants and from the shapes of `inputs`.
pub(super) fn fold(model: &mut pb::ModelProto, inputs: &[InferenceFact], onnx: &Onnx) {
    let mut undecided: HashSet<String> = HashSet::new();
    for _ in 0..MAX_BRANCHES {
        let Some(graph) = &model.graph else { return };
        let next = graph.node.iter().position(|n| n.op_type == "If" && !undecided.contains(&n.name));
        let Some(index) = next else { return };
        let node = &graph.node[index];
        let taken = node.input.first().and_then(|condition| value_of(model, graph, condition, inputs, onnx));
        let branch = taken.and_then(|taken| {
            let name = if taken { "then_branch" } else { "else_branch" };
            node::attribute(node, name)?.g.clone()
        });
        match branch {
            Some(branch) if branch.input.is_empty() && branch.output.len() == node.output.len() => {
                if let Some(graph) = &mut model.graph {
                    put_in_place(graph, index, branch);
                }
            }
            _ => drop(undecided.insert(node.name.clone())),
        }
    }
}

/// The value of the boolean tensor `name`, if it does not depend on the data.
fn value_of(
    model: &pb::ModelProto,
    graph: &pb::GraphProto,
    name: &str,
    inputs: &[InferenceFact],
    onnx: &Onnx,
) -> Option<bool> {
    let view = GraphView::new(graph);
    let (mut wanted, mut tensors, mut nodes) = (vec![name], HashSet::new(), HashSet::new());
    while let Some(tensor) = wanted.pop() {
        if tensors.insert(tensor)
            && let Some(index) = view.producer(tensor)
            && nodes.insert(index)
        {
            let node = view.node(index);
            if node::subgraphs(node).next().is_some() {
                return None;
            }
            wanted.extend(node::inputs(node));
        }
    }
    let part = pb::GraphProto {
        input: graph.input.clone(),
        initializer: graph.initializer.iter().filter(|t| tensors.contains(t.name.as_str())).cloned().collect(),
        node: graph.node.iter().enumerate().filter(|(i, _)| nodes.contains(i)).map(|(_, n)| n.clone()).collect(),
        output: vec![build::untyped_port(name)],
        ..Default::default()
    };
    let part = pb::ModelProto { opset_import: model.opset_import.clone(), graph: Some(part), ..Default::default() };
    let mut parsed = onnx.parse(&part, None).ok()?.model;
    for (index, fact) in inputs.iter().enumerate() {
        parsed.set_input_fact(index, fact.clone()).ok()?;
    }
    parsed.analyse(false).ok()?;
    let known = parsed.output_fact(0).ok()?.value.concretize();
    let value = match known {
        Some(value) => value,
        None => optimise::decluttered(parsed).ok()?.output_fact(0).ok()?.konst.clone()?,
    };
    let value = value.cast_to::<bool>().ok()?;
    value.try_as_plain_ram().ok()?.as_slice::<bool>().ok()?.first().copied()
}

/// Puts the nodes of `branch` where node `index` was.
fn put_in_place(graph: &mut pb::GraphProto, index: usize, branch: pb::GraphProto) {
    let gone = graph.node.remove(index);
    let taken: HashSet<&str> = defined(graph).collect();
    let clashes: HashMap<String, String> = defined(&branch)
        .filter(|name| taken.contains(name) || gone.output.iter().any(|o| o == name))
        .map(|name| (name.to_owned(), format!("{}/{name}", gone.name)))
        .collect();
    let names: HashSet<String> = graph.node.iter().map(|n| n.name.clone()).collect();
    let mut branch = branch;
    rename(&mut branch, &clashes);
    for node in branch.node.iter_mut().filter(|n| n.name.is_empty() || names.contains(&n.name)) {
        node.name = format!("{}/{}", gone.name, node.output.first().map_or("", String::as_str));
    }
    let outputs = branch.output.iter().zip(gone.output).enumerate().filter(|(_, (_, to))| !to.is_empty());
    let outputs = outputs.map(|(k, (from, to))| {
        NodeBuilder::new("Identity", [&from.name]).named(format!("{}/output_{k}", gone.name), [to])
    });
    let nodes: Vec<pb::NodeProto> = branch.node.into_iter().chain(outputs).collect();
    graph.node.splice(index..index, nodes);
    graph.initializer.extend(branch.initializer);
}

/// Names of the tensors that a graph makes.
fn defined(graph: &pb::GraphProto) -> impl Iterator<Item = &str> {
    let nodes = graph.node.iter().flat_map(|n| &n.output).map(String::as_str);
    let initialisers = graph.initializer.iter().map(|t| t.name.as_str());
    nodes.chain(initialisers).chain(graph.input.iter().map(|i| i.name.as_str())).filter(|n| !n.is_empty())
}

/// Renames tensors in a graph and in the sub-graphs that see them.
fn rename(graph: &mut pb::GraphProto, names: &HashMap<String, String>) {
    if names.is_empty() {
        return;
    }
    let change = |name: &mut String| {
        if let Some(new) = names.get(name) {
            name.clone_from(new);
        }
    };
    graph.initializer.iter_mut().for_each(|t| change(&mut t.name));
    graph.output.iter_mut().for_each(|o| change(&mut o.name));
    for node in &mut graph.node {
        node.input.iter_mut().chain(&mut node.output).for_each(change);
        for inner in node::subgraphs_mut(node) {
            let own: HashSet<String> = defined(inner).map(str::to_owned).collect();
            let seen = names.iter().filter(|(old, _)| !own.contains(*old));
            let seen = seen.map(|(old, new)| (old.clone(), new.clone())).collect();
            rename(inner, &seen);
        }
    }
}
