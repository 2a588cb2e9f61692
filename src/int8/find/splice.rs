//! Puts islands into an ONNX graph, one node for each.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::{AttributeProto, GraphProto, NodeProto, attribute_proto::AttributeType};

use super::Island;
use super::net;

/// Domain of the node that stands for an island.
pub const ISLAND_DOMAIN: &str = "leptond";
/// Type of the node that stands for an island. Its attribute `island` is the island's index.
pub const ISLAND_OPERATOR: &str = "Int8Island";

/// Replaces the nodes of each island by one node whose inputs and outputs are its ports in their order.
///
/// Nodes and initialisers that only islands needed go as well. The nodes that are left stand in an order in which they
/// can be computed.
pub fn splice(graph: &mut GraphProto, islands: &[Island]) {
    let gone: HashSet<usize> = islands.iter().flat_map(|i| i.nodes.iter().copied()).collect();
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
    let names: HashSet<String> = graph.node.iter().map(|n| n.name.clone()).collect();
    for (index, island) in islands.iter().enumerate() {
        let mut name = format!("int8 island {index}");
        while names.contains(&name) {
            name.push('_');
        }
        let ports = |ports: &[crate::int8::graph::Port]| ports.iter().map(|p| p.name.clone()).collect();
        let attribute = AttributeProto {
            name: "island".into(),
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
