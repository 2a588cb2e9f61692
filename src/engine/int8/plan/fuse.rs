//! Tables that are applied where the bytes before them are made: while these are in the cache, not in a pass of their own.

use std::sync::Arc;

use super::super::graph::{Graph, Op, TensorId};

/// A result and the function of it that alone is wanted.
#[derive(Clone, Debug)]
pub struct Behind {
    /// The result of the table.
    pub tensor: TensorId,
    /// The table.
    pub table: Arc<[i8; 256]>,
}

/// The table behind every tensor that nothing else reads and whose steps can apply one.
pub fn tables_behind(graph: &Graph) -> Vec<Option<Behind>> {
    let mut readers = vec![0usize; graph.tensors.len()];
    let mut makes = vec![false; graph.tensors.len()];
    for node in &graph.nodes {
        node.inputs.iter().for_each(|&t| readers[t] += 1);
        makes[node.output] = applies_tables(&node.op);
    }
    graph.outputs.iter().for_each(|port| readers[port.tensor] += 1);
    let mut behind = vec![None; graph.tensors.len()];
    for node in &graph.nodes {
        let (Op::Lookup(table), &[x]) = (&node.op, &node.inputs[..]) else { continue };
        if readers[x] == 1 && makes[x] {
            behind[x] = Some(Behind { tensor: node.output, table: table.clone() });
        }
    }
    behind
}

/// Test for an operator whose steps apply a table to what they make.
fn applies_tables(op: &Op) -> bool {
    matches!(
        op,
        Op::Conv(_) | Op::ConvTranspose(_) | Op::MatMul(_) | Op::BatchMatMul { .. } | Op::Add { .. } | Op::Mul { .. }
    )
}
