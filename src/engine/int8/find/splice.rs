//! Puts partitions into an ONNX graph, one node for each.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};

use super::found::Partition;
use crate::int8::graph::Port;
use crate::onnx::build::NodeBuilder;
use crate::onnx::{GraphView, captured_names, node};

/// Domain of the node that stands for a partition.
pub const PARTITION_DOMAIN: &str = "leptond";
/// Type of the node that stands for a partition.
pub const PARTITION_OPERATOR: &str = "Int8Partition";
/// The attribute of that node that is the partition's index.
pub const PARTITION_INDEX: &str = "partition";

/// A copy of a graph with partitions in it, and of its constants only those that are still read: weights are most of a file.
pub fn spliced(graph: &GraphProto, partitions: &[Partition]) -> GraphProto {
    let constants: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let mut light = GraphProto {
        name: graph.name.clone(),
        node: graph.node.clone(),
        input: graph.input.iter().filter(|i| !constants.contains(i.name.as_str())).cloned().collect(),
        output: graph.output.clone(),
        ..Default::default()
    };
    splice(&mut light, partitions);
    let mut read: HashSet<&str> = light.output.iter().map(|o| o.name.as_str()).collect();
    for node in &light.node {
        read.extend(reads_of(node));
    }
    let known: HashSet<&str> = light.initializer.iter().map(|t| t.name.as_str()).collect();
    let read = |t: &&TensorProto| read.contains(t.name.as_str()) && !known.contains(t.name.as_str());
    let kept: Vec<TensorProto> = graph.initializer.iter().filter(read).cloned().collect();
    light.initializer.extend(kept);
    light
}

/// Replaces the nodes of each partition by one node whose inputs and outputs are its ports in their order.
///
/// `partitions` may be some of those that were found: nodes of theirs that the others would have made unnecessary stay.
/// Nodes and initialisers that only partitions needed go as well. The nodes that are left stand in an order in which they
/// can be computed.
pub fn splice(graph: &mut GraphProto, partitions: &[Partition]) {
    let mut gone: HashSet<usize> = partitions.iter().flat_map(|i| i.nodes.iter().chain(&i.asking).copied()).collect();
    restore(graph, partitions, &mut gone);
    let mut index = 0;
    let mut orphans: Vec<String> = Vec::new();
    graph.node.retain_mut(|node| {
        let stays = !gone.contains(&index);
        index += 1;
        if !stays {
            orphans.append(&mut node.input);
        }
        stays
    });
    graph.initializer.extend(partitions.iter().flat_map(|i| i.constants.iter().cloned()));
    let names: HashSet<String> = graph.node.iter().map(|n| n.name.clone()).collect();
    for (index, partition) in partitions.iter().enumerate() {
        let mut name = format!("int8 partition {index}");
        while names.contains(&name) {
            name.push('_');
        }
        let ports = |ports: &[Port]| ports.iter().map(|p| p.name.clone()).collect::<Vec<_>>();
        let node = NodeBuilder::new(PARTITION_OPERATOR, ports(&partition.graph.inputs)).domain(PARTITION_DOMAIN);
        graph.node.push(node.size(PARTITION_INDEX, index).named(name, ports(&partition.graph.outputs)));
    }
    drop_orphans(graph, orphans);
    let order = GraphView::new(graph).order();
    if order.len() == graph.node.len() {
        let mut nodes: Vec<Option<NodeProto>> = std::mem::take(&mut graph.node).into_iter().map(Some).collect();
        graph.node = order.into_iter().filter_map(|index| nodes[index].take()).collect();
    }
}

/// Takes nodes out of `gone` again that make what is still read and what no partition hands out.
fn restore(graph: &mut GraphProto, partitions: &[Partition], gone: &mut HashSet<usize>) {
    let ports = |partition: &Partition| partition.graph.outputs.iter().map(|p| p.name.clone()).collect::<Vec<_>>();
    let mut made: HashSet<String> = partitions.iter().flat_map(ports).collect();
    made.extend(partitions.iter().flat_map(|i| i.constants.iter().map(|t| t.name.clone())));
    let view = GraphView::new(graph);
    let mut wanted: Vec<&str> = graph.output.iter().map(|o| o.name.as_str()).collect();
    wanted.extend(partitions.iter().flat_map(|i| i.graph.inputs.iter().map(|p| p.name.as_str())));
    for (_, node) in graph.node.iter().enumerate().filter(|(index, _)| !gone.contains(index)) {
        wanted.extend(reads_of(node));
    }
    let mut restored: Vec<usize> = Vec::new();
    while let Some(name) = wanted.pop() {
        let Some(index) = view.producer(name).filter(|_| !made.contains(name)) else { continue };
        if gone.remove(&index) {
            restored.push(index);
            wanted.extend(reads_of(&graph.node[index]));
        }
    }
    // What both make comes from the partition.
    for index in restored {
        for output in graph.node[index].output.iter_mut().filter(|o| made.contains(o.as_str())) {
            while !output.is_empty() && made.contains(output.as_str()) {
                output.push_str("/unused");
            }
        }
    }
}

/// Drops nodes and initializers that made `names` and are read no longer, and those that only these read.
fn drop_orphans(graph: &mut GraphProto, mut names: Vec<String>) {
    let view = GraphView::new(graph);
    let mut reads: HashMap<&str, usize> = graph.output.iter().map(|o| (o.name.as_str(), 1)).collect();
    for node in &graph.node {
        reads_of(node).into_iter().for_each(|name| *reads.entry(name).or_default() += 1);
    }
    let mut dead: HashSet<usize> = HashSet::new();
    let mut unread: HashSet<String> = HashSet::new();
    while let Some(name) = names.pop() {
        if reads.get(name.as_str()).is_some_and(|&r| r > 0) || !unread.insert(name.clone()) {
            continue;
        }
        let Some(index) = view.producer(&name) else { continue };
        let node = view.node(index);
        let is_read = node.output.iter().any(|o| reads.get(o.as_str()).is_some_and(|&r| r > 0));
        if is_read || !dead.insert(index) {
            continue;
        }
        for name in reads_of(node) {
            if let Some(count) = reads.get_mut(name) {
                *count -= 1;
                names.push(name.to_owned());
            }
        }
    }
    let mut index = 0;
    graph.node.retain(|_| {
        index += 1;
        !dead.contains(&(index - 1))
    });
    let inputs: HashSet<&str> = graph.input.iter().map(|i| i.name.as_str()).collect();
    graph.initializer.retain(|t| !unread.contains(&t.name) || inputs.contains(t.name.as_str()));
}

/// Names that a node and the graphs inside it read.
fn reads_of(node: &NodeProto) -> Vec<&str> {
    let mut names: Vec<&str> = node::inputs(node).collect();
    captured_names(node, &mut |name| names.push(name));
    names
}
