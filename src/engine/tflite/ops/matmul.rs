//! Products of matrices that are both computed.

use super::super::layout::Layout;
use super::super::write::{Try, Writer};
use super::dense::marked;
use super::elementwise::{broadcast, real};
use super::node::Node;
use crate::onnx::build::NodeBuilder;

/// `BATCH_MATMUL`: products of the last two axes, either operand transposed before where the file says so.
pub fn batch(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (a, b, y) = (node.input(0)?, node.input(1)?, node.output()?);
    real(w, &[a, b], y)?;
    let turned = [node.option(false, |o| o.flag(0))?, node.option(false, |o| o.flag(1))?];
    let mut names = Vec::new();
    let mut shapes = Vec::new();
    for (index, turned) in [a, b].into_iter().zip(turned) {
        let mut shape = w.tensor(index).shape.clone();
        let rank = shape.len();
        if rank < 2 {
            return Err(format!("shape {shape:?} is of no matrix"));
        }
        let mut name = w.real(index, Layout::File)?;
        if turned {
            let mut order: Vec<usize> = (0..rank).collect();
            order.swap(rank - 1, rank - 2);
            shape.swap(rank - 1, rank - 2);
            name = w.extra(index, NodeBuilder::new("Transpose", [&name]).sizes("perm", &order));
        }
        names.push(name);
        shapes.push(shape);
    }
    if product(&shapes[0], &shapes[1]).as_ref() != Some(&w.tensor(y).shape) {
        return Err(format!("matrices {:?} and {:?} do not make {:?}", shapes[0], shapes[1], w.tensor(y).shape));
    }
    let step = marked(w, NodeBuilder::new("MatMul", names), a, b);
    w.compute(y, Layout::File, vec![step])
}

/// The shape of a product of matrices, the axes before them broadcast.
pub fn product(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let ([batch @ .., m, k], [other @ .., l, n]) = (a, b) else { return None };
    let mut shape = broadcast(batch, other).filter(|_| k == l)?;
    shape.extend([*m, *n]);
    Some(shape)
}
