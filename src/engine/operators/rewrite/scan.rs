//! `Scan` of operator set 8, which goes over the items of a batch too: a `Loop` over them around the `Scan` of later versions.

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, NodeProto};

use super::names::{Scratch, attributes_without, replace};
use crate::onnx::build::{self, NodeBuilder};
use crate::onnx::node::{self, input};

/// First version without a batch.
const NEXT_VERSION: i64 = 9;

/// Rewrites them in a graph of operator set `version`.
pub(super) fn decompose(graph: &mut GraphProto, version: i64) {
    if (1..NEXT_VERSION).contains(&version) {
        replace(graph, &|node| node.op_type == "Scan", &by_item);
    }
}

fn by_item(node: &NodeProto, scratch: &mut Scratch) -> Option<()> {
    if input(node, 0).is_some() {
        // Lengths of sequences, under a name that is refused: later versions have other inputs.
        scratch.renamed(node, "Scan(sequence_lens)");
        return Some(());
    }
    let given: Vec<&str> = (1..node.input.len()).map(|slot| input(node, slot)).collect::<Option<_>>()?;
    let scanned = usize::try_from(node::int(node, "num_scan_inputs", 0).ok()?).ok().filter(|count| *count > 0)?;
    let first = given.get(given.len().checked_sub(scanned)?)?;
    let shape = scratch.node("Shape", &[first]);
    let zero = scratch.ints("zero", &[0]);
    let items = scratch.node("Gather", &[&shape, &zero]);
    let [item, before, after] = ["item", "before", "after"].map(|what| scratch.fresh(what));
    let part = |scratch: &mut Scratch, x: &&str| {
        let name = scratch.fresh("part");
        (NodeBuilder::new("Gather", [x, item.as_str()]).int("axis", 0).named(&name, [&name]), name)
    };
    let (mut nodes, parts): (Vec<NodeProto>, Vec<String>) = given.iter().map(|x| part(scratch, x)).unzip();
    let made: Vec<String> = node.output.iter().map(|_| scratch.fresh("made")).collect();
    let mut steps = NodeBuilder::new("Scan", parts).attributes(attributes_without(node, &["directions"]));
    if let Some(directions) = node::ints(node, "directions").ok()? {
        steps = steps.ints("scan_input_directions", directions);
    }
    nodes.push(steps.named(scratch.fresh("scan"), &made));
    nodes.push(NodeBuilder::new("Identity", [&before]).named(&after, [&after]));
    let body = GraphProto {
        node: nodes,
        input: vec![build::port(item, DataType::Int64, &[]), build::port(before, DataType::Bool, &[])],
        output: std::iter::once(after).chain(made).map(build::untyped_port).collect(),
        ..Default::default()
    };
    let over_items = NodeBuilder::new("Loop", [items, String::new()]).graph("body", body);
    let name = scratch.fresh("items");
    scratch.nodes.push(over_items.named(name, &node.output));
    Some(())
}
