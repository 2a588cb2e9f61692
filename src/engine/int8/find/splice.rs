//! Puts islands into an ONNX graph, one node for each.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, TensorProto, attribute_proto::AttributeType};

use super::Island;
use super::net;

/// Domain of the node that stands for an island.
pub const ISLAND_DOMAIN: &str = "leptond";
/// Type of the node that stands for an island.
pub const ISLAND_OPERATOR: &str = "Int8Island";
/// The attribute of that node that is the island's index.
pub const ISLAND_INDEX: &str = "island";

/// A copy of a graph with islands in it, and of its constants only those that are still read: weights are most of a file.
pub fn spliced(graph: &GraphProto, islands: &[Island]) -> GraphProto {
    let constants: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let mut light = GraphProto {
        name: graph.name.clone(),
        node: graph.node.clone(),
        input: graph.input.iter().filter(|i| !constants.contains(i.name.as_str())).cloned().collect(),
        output: graph.output.clone(),
        ..Default::default()
    };
    splice(&mut light, islands);
    let mut read: HashSet<&str> = light.output.iter().map(|o| o.name.as_str()).collect();
    for node in &light.node {
        read.extend(node.input.iter().map(String::as_str));
        net::captured(node, &mut |name| _ = read.insert(name));
    }
    let known: HashSet<&str> = light.initializer.iter().map(|t| t.name.as_str()).collect();
    let read = |t: &&TensorProto| read.contains(t.name.as_str()) && !known.contains(t.name.as_str());
    let kept: Vec<TensorProto> = graph.initializer.iter().filter(read).cloned().collect();
    light.initializer.extend(kept);
    light
}

/// Replaces the nodes of each island by one node whose inputs and outputs are its ports in their order.
///
/// `islands` may be some of those that were found: nodes of theirs that the others would have made unnecessary stay.
/// Nodes and initialisers that only islands needed go as well. The nodes that are left stand in an order in which they
/// can be computed.
pub fn splice(graph: &mut GraphProto, islands: &[Island]) {
    let mut gone: HashSet<usize> = islands.iter().flat_map(|i| i.nodes.iter().chain(&i.asking).copied()).collect();
    restore(graph, islands, &mut gone);
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
    graph.initializer.extend(islands.iter().flat_map(|i| i.constants.iter().cloned()));
    let names: HashSet<String> = graph.node.iter().map(|n| n.name.clone()).collect();
    for (index, island) in islands.iter().enumerate() {
        let mut name = format!("int8 island {index}");
        while names.contains(&name) {
            name.push('_');
        }
        let ports = |ports: &[crate::int8::graph::Port]| ports.iter().map(|p| p.name.clone()).collect();
        let attribute = AttributeProto {
            name: ISLAND_INDEX.into(),
            r#type: AttributeType::Int as i32,
            i: index as i64,
            ..Default::default()
        };
        graph.node.push(NodeProto {
            name,
            op_type: ISLAND_OPERATOR.into(),
            domain: ISLAND_DOMAIN.into(),
            input: ports(&island.graph.inputs),
            output: ports(&island.graph.outputs),
            attribute: vec![attribute],
            ..Default::default()
        });
    }
    drop_orphans(graph, orphans);
    let maker: HashMap<&str, usize> = graph
        .node
        .iter()
        .enumerate()
        .flat_map(|(index, node)| node.output.iter().map(move |output| (output.as_str(), index)))
        .filter(|(output, _)| !output.is_empty())
        .collect();
    let order = net::order(graph, &maker);
    if order.len() == graph.node.len() {
        let mut nodes: Vec<Option<NodeProto>> = std::mem::take(&mut graph.node).into_iter().map(Some).collect();
        graph.node = order.into_iter().filter_map(|index| nodes[index].take()).collect();
    }
}

/// Takes nodes out of `gone` again that make what is still read and what no island hands out.
fn restore(graph: &mut GraphProto, islands: &[Island], gone: &mut HashSet<usize>) {
    let ports = |island: &Island| island.graph.outputs.iter().map(|p| p.name.clone()).collect::<Vec<_>>();
    let mut made: HashSet<String> = islands.iter().flat_map(ports).collect();
    made.extend(islands.iter().flat_map(|i| i.constants.iter().map(|t| t.name.clone())));
    let maker: HashMap<&str, usize> = graph
        .node
        .iter()
        .enumerate()
        .flat_map(|(index, node)| node.output.iter().map(move |output| (output.as_str(), index)))
        .collect();
    let mut wanted: Vec<&str> = graph.output.iter().map(|o| o.name.as_str()).collect();
    wanted.extend(islands.iter().flat_map(|i| i.graph.inputs.iter().map(|p| p.name.as_str())));
    for (_, node) in graph.node.iter().enumerate().filter(|(index, _)| !gone.contains(index)) {
        wanted.extend(node.input.iter().map(String::as_str));
        net::captured(node, &mut |name| wanted.push(name));
    }
    let mut restored: Vec<usize> = Vec::new();
    while let Some(name) = wanted.pop() {
        let Some(&index) = maker.get(name).filter(|_| !name.is_empty() && !made.contains(name)) else { continue };
        if gone.remove(&index) {
            restored.push(index);
            wanted.extend(graph.node[index].input.iter().map(String::as_str));
            net::captured(&graph.node[index], &mut |name| wanted.push(name));
        }
    }
    // What both make comes from the island.
    for index in restored {
        for output in graph.node[index].output.iter_mut().filter(|o| made.contains(o.as_str())) {
            while !output.is_empty() && made.contains(output.as_str()) {
                output.push_str("/unused");
            }
        }
    }
}

/// Drops nodes and initialisers that made `names` and are read by nobody any more, and what only these read.
fn drop_orphans(graph: &mut GraphProto, names: Vec<String>) {
    let mut readers: HashMap<String, usize> = HashMap::new();
    let mut count = |name: &str| *readers.entry(name.to_owned()).or_default() += 1;
    for node in &graph.node {
        node.input.iter().for_each(|i| count(i));
        net::captured(node, &mut count);
    }
    graph.output.iter().for_each(|o| count(&o.name));
    let maker: HashMap<String, usize> = graph
        .node
        .iter()
        .enumerate()
        .flat_map(|(index, node)| node.output.iter().map(move |output| (output.clone(), index)))
        .collect();
    let mut dead: HashSet<usize> = HashSet::new();
    let mut unread: HashSet<String> = HashSet::new();
    let mut names = names;
    while let Some(name) = names.pop() {
        if readers.get(&name).is_some_and(|&r| r > 0) || !unread.insert(name.clone()) {
            continue;
        }
        let Some(&index) = maker.get(&name) else { continue };
        let node = &graph.node[index];
        let is_read = node.output.iter().any(|o| readers.get(o).is_some_and(|&r| r > 0));
        if is_read || !dead.insert(index) {
            continue;
        }
        let mut reads: Vec<&str> = node.input.iter().map(String::as_str).collect();
        net::captured(node, &mut |name| reads.push(name));
        for name in reads {
            if let Some(count) = readers.get_mut(name) {
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
