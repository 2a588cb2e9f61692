//! Recurrent layers that run backwards, as layers that run forwards on a sequence turned round.

use tract_onnx::pb::{GraphProto, NodeProto};

use super::names::{Scratch, attributes_without, replace};
use crate::onnx::build::NodeBuilder;
use crate::onnx::node::{self, input};

/// Turns the sequences of backward layers round; `direction = reverse` alone, without lengths of sequences.
pub(super) fn decompose(graph: &mut GraphProto) {
    let wanted = |node: &NodeProto| {
        matches!(node.op_type.as_str(), "LSTM" | "GRU" | "RNN")
            && matches!(node::text(node, "direction", "forward"), Ok("reverse"))
            && input(node, 4).is_none()
    };
    replace(graph, &wanted, &forwards);
}

fn forwards(node: &NodeProto, scratch: &mut Scratch) -> Option<()> {
    let axis = node::int(node, "layout", 0).ok()?;
    let x = turned(scratch, input(node, 0)?, axis);
    let inputs = std::iter::once(x).chain(node.input.iter().skip(1).cloned());
    let builder = NodeBuilder::new(&node.op_type, inputs).attributes(attributes_without(node, &["direction"]));
    let mut outputs = node.output.clone();
    let sequence = outputs.first().filter(|name| !name.is_empty()).cloned();
    if let (Some(first), Some(_)) = (outputs.first_mut(), &sequence) {
        *first = scratch.fresh("forwards");
    }
    let name = scratch.fresh("layer");
    scratch.nodes.push(builder.named(name, &outputs));
    if let (Some(sequence), Some(forwards)) = (sequence, outputs.first()) {
        let turned = turned(scratch, forwards, axis);
        scratch.last(NodeBuilder::new("Identity", [turned]), &sequence);
    }
    Some(())
}

/// A tensor from its end to its beginning along an axis.
fn turned(scratch: &mut Scratch, x: &str, axis: i64) -> String {
    let (minus_one, end) = (scratch.ints("last", &[-1]), scratch.ints("end", &[-i64::from(i32::MAX)]));
    let axes = scratch.ints("axes", &[axis]);
    scratch.node("Slice", &[x, &minus_one, &end, &axes, &minus_one])
}
