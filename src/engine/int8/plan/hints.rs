//! Hints from later nodes before a tensor is laid out: an order of axes, a border, a place inside a
//! concatenation.

use super::super::graph::{Conv, FloatConv, FloatOp, Graph, Node, Op, Product, TensorId};
use super::phases;

/// Elements before and after every axis.
pub type Halo = Vec<(usize, usize)>;

/// `[N, C, H, W]` with the channels innermost.
pub const CHANNELS_LAST: [usize; 4] = [0, 2, 3, 1];

/// A tensor that may be written straight into its slice of a concatenation.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// The concatenation's result.
    pub whole: TensorId,
    /// Along this axis.
    pub axis: usize,
    /// From this element.
    pub start: usize,
}

/// One entry for every tensor.
#[derive(Debug)]
pub struct LayoutHints {
    /// Order of axes, outermost first, where a kernel needs one.
    pub orders: Vec<Option<Vec<usize>>>,
    /// The border that convolutions want around it.
    pub halos: Vec<Halo>,
    /// Place inside a larger tensor that saves a copy.
    pub slots: Vec<Option<Slot>>,
}

impl LayoutHints {
    /// Walks the graph backwards, from those who want to those who can give.
    pub fn of(graph: &Graph) -> Self {
        let mut hints = LayoutHints {
            orders: vec![None; graph.tensors.len()],
            halos: graph.tensors.iter().map(|t| vec![(0, 0); t.shape.len()]).collect(),
            slots: vec![None; graph.tensors.len()],
        };
        let movable = movable(graph);
        for node in graph.nodes.iter().rev() {
            hints.order(graph, node);
            hints.halo(graph, node);
            if let Op::Concat { axis } = node.op {
                hints.slots(graph, node, axis, &movable);
            }
        }
        for node in &graph.nodes {
            hints.spread(node.output);
        }
        hints
    }

    fn order(&mut self, graph: &Graph, node: &Node) {
        let preferred = match &node.op {
            Op::Conv(_)
            | Op::ConvTranspose(_)
            | Op::Float(FloatOp::Conv(_))
            | Op::MaxPool(_)
            | Op::AveragePool(_)
            | Op::Resize { .. } => Some(CHANNELS_LAST.to_vec()),
            Op::Float(FloatOp::Hybrid(hybrid)) if matches!(hybrid.product, Product::Conv(_)) => {
                Some(CHANNELS_LAST.to_vec())
            }
            Op::Float(FloatOp::Hybrid(_)) => None,
            Op::Transpose { perm } => {
                self.orders[node.output].as_ref().map(|order| order.iter().map(|&axis| perm[axis]).collect())
            }
            Op::MatMul(_)
            | Op::BatchMatMul { .. }
            | Op::Float(FloatOp::MatMul(_) | FloatOp::Product { .. })
            | Op::Reshape => None,
            _ => self.orders[node.output].clone(),
        };
        for &input in &node.inputs {
            let fits = preferred.as_ref().is_some_and(|w| w.len() == graph.tensors[input].shape.len());
            if fits && self.orders[input].is_none() {
                self.orders[input].clone_from(&preferred);
            }
        }
    }

    fn halo(&mut self, graph: &Graph, node: &Node) {
        let Some(&input) = node.inputs.first() else { return };
        let mut want = vec![(0, 0); graph.tensors[input].shape.len()];
        let out = &self.halos[node.output];
        match &node.op {
            Op::Conv(Conv { pads, .. }) | Op::Float(FloatOp::Conv(FloatConv { pads, .. })) => {
                let [top, left, bottom, right] = *pads;
                (want[2], want[3]) = ((top, bottom), (left, right));
            }
            Op::ConvTranspose(conv) => {
                let sides = phases::borders(conv, &graph.tensors[input].shape, &graph.tensors[node.output].shape);
                (want[2], want[3]) = (sides[0], sides[1]);
            }
            Op::Transpose { perm } => perm.iter().zip(out).for_each(|(&axis, &halo)| want[axis] = halo),
            Op::Slice { axis, .. } => {
                want.clone_from(out);
                want[*axis] = (0, 0);
            }
            Op::Reshape => {
                let (from, to) = (&graph.tensors[input].shape, &graph.tensors[node.output].shape);
                for (from, to) in same_axes(from, to) {
                    want[from] = out[to];
                }
            }
            Op::Pad { before, after, value } if i32::from(*value) == graph.tensors[input].quant.zero_point => {
                for (axis, want) in want.iter_mut().enumerate() {
                    *want = (out[axis].0 + before[axis], out[axis].1 + after[axis]);
                }
            }
            _ => return,
        }
        widen(&mut self.halos[input], &want);
    }

    fn slots(&mut self, graph: &Graph, node: &Node, axis: usize, movable: &[bool]) {
        let mut start = 0;
        for (index, &input) in node.inputs.iter().enumerate() {
            let (tensor, whole) = (&graph.tensors[input], &graph.tensors[node.output]);
            let again = node.inputs[..index].contains(&input);
            let same = (tensor.element, tensor.quant) == (whole.element, whole.quant);
            if movable[input] && !again && self.slots[input].is_none() && same {
                self.slots[input] = Some(Slot { whole: node.output, axis, start });
            }
            start += tensor.shape.get(axis).copied().unwrap_or(0);
        }
    }

    /// Slices of one buffer share its border, so the whole needs the widest. A border along the concatenation itself would lie over
    /// the neighbours.
    fn spread(&mut self, id: TensorId) {
        let Some(Slot { whole, axis, .. }) = self.slots[id] else { return };
        if self.halos[id][axis] != (0, 0) {
            self.slots[id] = None;
            return;
        }
        let want = self.halos[id].clone();
        widen(&mut self.halos[whole], &want);
    }
}

/// Tensors that a computing node writes, and that can therefore be written anywhere.
fn movable(graph: &Graph) -> Vec<bool> {
    let mut movable = vec![false; graph.tensors.len()];
    for node in &graph.nodes {
        movable[node.output] =
            !matches!(node.op, Op::Reshape | Op::Transpose { .. } | Op::Slice { .. } | Op::Pad { .. });
    }
    movable
}

fn widen(halo: &mut Halo, want: &[(usize, usize)]) {
    for (have, want) in halo.iter_mut().zip(want) {
        *have = (have.0.max(want.0), have.1.max(want.1));
    }
}

/// Pairs of axes (before, after) of a reshape that only adds or removes axes of length 1; none for other reshapes.
pub fn same_axes(from: &[usize], to: &[usize]) -> Vec<(usize, usize)> {
    let real = |shape: &[usize]| (0..shape.len()).filter(|&a| shape[a] != 1).collect::<Vec<_>>();
    let (old, new) = (real(from), real(to));
    let same = old.len() == new.len() && old.iter().zip(&new).all(|(&o, &n)| from[o] == to[n]);
    if same { old.into_iter().zip(new).collect() } else { Vec::new() }
}
