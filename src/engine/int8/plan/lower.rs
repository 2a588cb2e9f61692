//! From nodes to steps: settles where every tensor lies, moving bytes only where a kernel cannot read them as they are.

use std::sync::Arc;

use super::super::graph::{Constant, Element, Format, Graph, Node, Op, Quant, TensorId};
use super::super::kernels::float::FloatKernels;
use super::super::kernels::step::{Address, Step, Work};
use super::super::kernels::{Kernels, Loops, Requant};
use super::error::PlanError;
use super::fuse::{Behind, tables_behind};
use super::hints::{CHANNELS_LAST, Halo, LayoutHints, Slot, same_axes};
use super::pack::Packing;
use super::quantised::Hybrids;
use super::view::{FLOAT, View};

/// Steps in the making.
pub struct Lowering<'a> {
    pub(super) graph: &'a Graph,
    pub(super) kernels: &'static dyn Kernels,
    pub(super) floats: &'static dyn FloatKernels,
    hints: LayoutHints,
    /// For each tensor, the table that its steps apply to it.
    behind: Vec<Option<Behind>>,
    views: Vec<Option<View>>,
    /// Part of each tensor's border that exists, filled with its zero point or 0.0.
    halos: Vec<Halo>,
    /// Bytes of every buffer.
    pub(super) buffers: Vec<usize>,
    pub(super) steps: Vec<Step>,
    /// Buffers that are filled once, when the plan is made.
    pub(super) constants: Vec<(usize, Constant)>,
    /// Tensors of floats quantised as they come.
    pub(super) hybrids: Hybrids,
    /// Weights that steps wait for.
    pub(super) packing: Packing,
    /// Node being lowered.
    name: String,
    op: &'static str,
    /// Table that its steps apply to their results.
    pub(super) table: Option<Arc<[i8; 256]>>,
}

impl<'a> Lowering<'a> {
    /// Lowers the whole graph.
    pub fn run(
        graph: &'a Graph,
        kernels: &'static dyn Kernels,
        floats: &'static dyn FloatKernels,
    ) -> Result<Self, PlanError> {
        let mut lowering = Lowering {
            graph,
            kernels,
            floats,
            hints: LayoutHints::of(graph),
            behind: tables_behind(graph),
            views: vec![None; graph.tensors.len()],
            halos: graph.tensors.iter().map(|t| vec![(0, 0); t.shape.len()]).collect(),
            buffers: Vec::new(),
            steps: Vec::new(),
            constants: Vec::new(),
            hybrids: Hybrids::default(),
            packing: Packing::default(),
            name: String::new(),
            op: "",
            table: None,
        };
        lowering.inputs();
        for node in &graph.nodes {
            lowering.name.clone_from(&node.name);
            lowering.op = node.op.name();
            lowering.table = lowering.behind[node.output].as_ref().map(|behind| behind.table.clone());
            lowering.node(node)?;
        }
        lowering.table = None;
        lowering.outputs()?;
        Ok(lowering)
    }

    fn inputs(&mut self) {
        for (index, port) in self.graph.inputs.iter().enumerate() {
            (self.name, self.op) = (port.name.clone(), "Load");
            let tensor = &self.graph.tensors[port.tensor];
            let order = self.hints.orders[port.tensor].clone().unwrap_or_else(|| row_major(tensor.shape.len()));
            if tensor.element == Element::Float {
                self.load_floats(index, &order);
                continue;
            }
            let outside = dense_strides(&tensor.shape, 1);
            let view = self.allocate(port.tensor, &order);
            let loops = Loops::new(&tensor.shape, [&outside, &view.strides]);
            let quant = (tensor.quant.scale, tensor.quant.zero_point);
            let work = Work::Load { port: index, quant, place: place(&view), loops };
            self.push(0, view.len(), work);
        }
    }

    fn outputs(&mut self) -> Result<(), PlanError> {
        for (index, port) in self.graph.outputs.iter().enumerate() {
            (self.name, self.op) = (port.name.clone(), "Store");
            let tensor = &self.graph.tensors[port.tensor];
            let view = self.view(port.tensor)?;
            if tensor.element == Element::Float {
                self.store_floats(index, &view);
                continue;
            }
            let outside = dense_strides(&tensor.shape, 1);
            let loops = Loops::new(&tensor.shape, [&view.strides, &outside]);
            let quant = match port.format {
                Format::F32 => (tensor.quant.scale, tensor.quant.zero_point),
                Format::I8 | Format::U8 => (1.0, 0),
            };
            let work = Work::Store { port: index, quant, place: place(&view), loops };
            self.push(0, view.len(), work);
        }
        Ok(())
    }

    fn node(&mut self, node: &Node) -> Result<(), PlanError> {
        let floats = node.inputs.first().is_some_and(|&x| self.graph.tensors[x].element == Element::Float);
        match &node.op {
            Op::Float(_) => self.float_node(node),
            Op::MaxPool(_) | Op::AveragePool(_) | Op::Resize { .. } | Op::Gather { .. } | Op::Softmax { .. }
                if floats =>
            {
                self.float_node(node)
            }
            Op::Conv(conv) => self.conv(node, conv),
            Op::ConvTranspose(conv) => self.conv_transpose(node, conv),
            Op::MatMul(matmul) => self.matmul(node, matmul),
            Op::BatchMatMul { factor, clamp } => self.batch_matmul(node, *factor, *clamp),
            Op::Add { subtract, clamp } => self.add(node, *subtract, *clamp),
            Op::Mul { clamp } => self.mul(node, *clamp),
            Op::Lookup(_) if self.behind[node.inputs[0]].is_some() => Ok(()),
            Op::Lookup(table) => self.lookup(node, table),
            Op::MaxPool(pool) => self.pool(node, pool, true),
            Op::AveragePool(pool) => self.pool(node, pool, false),
            Op::Concat { axis } => self.concat(node, *axis),
            Op::Resize { rows, cols } => self.resize(node, rows, cols),
            Op::Pad { before, after, value } => self.pad(node, before, after, *value),
            Op::Reshape => self.reshape(node),
            Op::Transpose { perm } => {
                let view = self.view(node.inputs[0])?.transposed(perm);
                self.halos[node.output] = perm.iter().map(|&axis| self.halos[node.inputs[0]][axis]).collect();
                self.views[node.output] = Some(view);
                Ok(())
            }
            Op::Slice { axis, start, step } => {
                let len = self.graph.tensors[node.output].shape[*axis];
                let view = self.view(node.inputs[0])?.sliced(*axis, *start, *step, len);
                self.halos[node.output] = self.halos[node.inputs[0]].clone();
                self.halos[node.output][*axis] = (0, 0);
                self.views[node.output] = Some(view);
                Ok(())
            }
            Op::Gather { axis, indices } => self.gather(node, *axis, indices),
            Op::LayerNorm(norm) => self.normalize(node, norm),
            Op::Softmax { axis } => self.softmax(node, *axis),
        }
    }

    /// Place of a tensor. Constants are laid out when they are first asked for.
    pub(super) fn view(&mut self, id: TensorId) -> Result<View, PlanError> {
        if let Some(view) = &self.views[id] {
            return Ok(view.clone());
        }
        let tensor = &self.graph.tensors[id];
        let Some(constant) = &tensor.constant else {
            return Err(PlanError::new(&self.name, format!("tensor {:?} is used before it is computed", tensor.name)));
        };
        let (size, order, halo) = (tensor.element.size(), row_major(tensor.shape.len()), no_halo(tensor.shape.len()));
        let view = self.fresh_of(size, &tensor.shape, &order, &halo);
        self.constants.push((view.buffer, constant.clone()));
        self.views[id] = Some(view.clone());
        Ok(view)
    }

    pub(super) fn set_view(&mut self, id: TensorId, view: View, halo: Halo) {
        self.views[id] = Some(view);
        self.halos[id] = halo;
    }

    pub(super) fn shape(&self, id: TensorId) -> &'a [usize] {
        &self.graph.tensors[id].shape
    }

    pub(super) fn quant(&self, id: TensorId) -> Quant {
        self.graph.tensors[id].quant
    }

    /// The tensor that the steps of a node write: its result, or a function of it.
    pub(super) fn target(&self, node: &Node) -> TensorId {
        self.behind[node.output].as_ref().map_or(node.output, |behind| behind.tensor)
    }

    /// Lays a result out: inside the concatenation that wants it, or in a buffer of its own, axes in `order`.
    pub(super) fn allocate(&mut self, id: TensorId, order: &[usize]) -> View {
        if let Some(view) = &self.views[id] {
            return view.clone();
        }
        let shape = self.shape(id);
        if let Some(Slot { whole, axis, start }) = self.hints.slots[id] {
            let preferred = self.hints.orders[whole].clone();
            let around = self.allocate(whole, preferred.as_deref().unwrap_or(order));
            // A slice of rows of channels is as good as a tensor of its own; any other order would have to be copied.
            if around.order() == order || same_loops(&around, order) {
                let view = around.sliced(axis, start, 1, shape[axis]);
                let mut halo = self.halos[whole].clone();
                halo[axis] = (0, 0);
                self.set_view(id, view.clone(), halo);
                return view;
            }
        }
        let halo = self.hints.halos[id].clone();
        let view = self.fresh_of(self.graph.tensors[id].element.size(), shape, order, &halo);
        self.fill_halo(&view, &halo, order, self.quant(id).zero_point as i8);
        self.set_view(id, view.clone(), halo);
        view
    }

    /// A buffer of bytes of its own, its border not filled.
    pub(super) fn fresh(&mut self, shape: &[usize], order: &[usize], halo: &[(usize, usize)]) -> View {
        self.fresh_of(1, shape, order, halo)
    }

    /// A buffer of its own for elements of `size` bytes, its border not filled.
    pub(super) fn fresh_of(&mut self, size: usize, shape: &[usize], order: &[usize], halo: &[(usize, usize)]) -> View {
        let (view, len) = View::fresh(self.buffers.len(), size, shape, order, halo);
        self.buffers.push(len);
        view
    }

    /// A step that writes `value` to every byte in the view's buffer but those of the view.
    pub(super) fn fill_halo(&mut self, view: &View, halo: &[(usize, usize)], order: &[usize], value: i8) {
        if halo.iter().all(|&h| h == (0, 0)) {
            return;
        }
        let runs = self.border(view, order);
        let bytes = runs.iter().map(|r| r.1).sum();
        let work = Work::Fill { value, place: Address { buffer: view.buffer, offset: 0 }, runs };
        self.push_as("Fill", 0, bytes, work);
    }

    /// Start and length of what is in a view's buffer but not in the view.
    pub(super) fn border(&self, view: &View, order: &[usize]) -> Vec<(usize, usize)> {
        let ordered = view.transposed(order);
        let mut loops = Loops::new(&ordered.shape, [&ordered.strides]).axes;
        let run = match loops.pop() {
            Some((len, [step])) if step == view.size => len * step,
            Some(other) => {
                loops.push(other);
                view.size
            }
            None => view.size,
        };
        let mut starts = vec![view.offset];
        for (len, [step]) in loops {
            starts = starts.iter().flat_map(|&s| (0..len).map(move |i| s + i * step)).collect();
        }
        starts.sort_unstable();
        let mut runs = Vec::new();
        let mut at = 0;
        for start in starts.into_iter().chain([self.buffers[view.buffer]]) {
            if start > at {
                runs.push((at, start - at));
            }
            at = start + run;
        }
        runs
    }

    /// The tensor with channels innermost and at least this border; a copy where it lies otherwise.
    pub(super) fn channels_last(&mut self, id: TensorId, pads: [usize; 4]) -> Result<View, PlanError> {
        let view = self.view(id)?;
        let [top, left, bottom, right] = pads;
        let halo = &self.halos[id];
        let bordered = halo[2].0 >= top && halo[2].1 >= bottom && halo[3].0 >= left && halo[3].1 >= right;
        if (view.strides[1] == view.size || view.shape[1] == 1) && bordered {
            return Ok(view);
        }
        let halo = vec![(0, 0), (0, 0), (top, bottom), (left, right)];
        let copy = self.fresh_of(view.size, &view.shape, &CHANNELS_LAST, &halo);
        self.fill_halo(&copy, &halo, &CHANNELS_LAST, self.quant(id).zero_point as i8);
        self.copy(&view, &copy, None);
        Ok(copy)
    }

    /// A step that copies, bytes through a table if there is one.
    pub(super) fn copy(&mut self, from: &View, to: &View, table: Option<Arc<[i8; 256]>>) {
        if to.size == FLOAT {
            return self.copy_floats(from, to);
        }
        let loops = Loops::new(&to.shape, [&from.strides, &to.strides]);
        let op = if table.is_some() { "Lookup" } else { "Copy" };
        let work = Work::Lookup { table, places: [place(from), place(to)], loops };
        self.push_as(op, 0, to.len(), work);
    }

    /// A step that computes the node's result.
    pub(super) fn push(&mut self, macs: u64, bytes: usize, work: Work) {
        self.push_as(self.op, macs, bytes, work);
        if let Some(step) = self.steps.last_mut() {
            step.table.clone_from(&self.table);
        }
    }

    pub(super) fn push_as(&mut self, op: &'static str, macs: u64, bytes: usize, work: Work) {
        self.steps.push(Step { name: self.name.clone(), op, macs, bytes, work, table: None });
    }

    pub(super) fn error(&self, reason: impl Into<String>) -> PlanError {
        PlanError::new(&self.name, reason)
    }

    fn reshape(&mut self, node: &Node) -> Result<(), PlanError> {
        let input = node.inputs[0];
        let view = self.view(input)?;
        let (from, to) = (self.shape(input), self.shape(node.output));
        let mut halo = no_halo(to.len());
        let moved = match view.reshaped(to) {
            Some(moved) => {
                same_axes(from, to).into_iter().for_each(|(old, new)| halo[new] = self.halos[input][old]);
                moved
            }
            None => {
                let plain = self.fresh_of(view.size, from, &view.order_for(to), &no_halo(from.len()));
                self.copy(&view, &plain, None);
                plain.reshaped(to).ok_or_else(|| self.error(format!("cannot reshape {from:?} to {to:?}")))?
            }
        };
        self.set_view(node.output, moved, halo);
        Ok(())
    }

    fn pad(&mut self, node: &Node, before: &[usize], after: &[usize], value: i8) -> Result<(), PlanError> {
        let input = node.inputs[0];
        let view = self.view(input)?;
        let halo = self.halos[input].clone();
        let inside = halo.iter().zip(before.iter().zip(after)).all(|(h, (b, a))| h.0 >= *b && h.1 >= *a);
        if inside && i32::from(value) == self.quant(input).zero_point {
            let back: usize = before.iter().zip(&view.strides).map(|(b, s)| b * s).sum();
            let around = View { offset: view.offset - back, shape: self.shape(node.output).to_vec(), ..view };
            let left = halo.iter().zip(before.iter().zip(after)).map(|(h, (b, a))| (h.0 - b, h.1 - a)).collect();
            self.set_view(node.output, around, left);
            return Ok(());
        }
        // Padded inside a larger tensor, which may itself get a border of another value from those who read it.
        let order = view.order();
        let out = self.allocate(node.output, &order);
        let around: Halo = before.iter().zip(after).map(|(&b, &a)| (b, a)).collect();
        let mut inner = out.clone();
        for (axis, &(b, _)) in around.iter().enumerate() {
            inner = inner.sliced(axis, b, 1, view.shape[axis]);
        }
        for (axis, &(b, a)) in around.iter().enumerate() {
            for (start, len) in [(0, b), (b + view.shape[axis], a)] {
                if len > 0 {
                    let part = out.sliced(axis, start, 1, len);
                    match part.size {
                        FLOAT => self.fill_floats(&part, f32::from(value)),
                        _ => self.fill(&part, value),
                    }
                }
            }
        }
        self.copy(&view, &inner, None);
        Ok(())
    }

    /// A step that writes one value to a whole view.
    fn fill(&mut self, view: &View, value: i8) {
        let mut runs = vec![(0usize, 1usize)];
        for (len, [step]) in Loops::new(&view.shape, [&view.strides]).axes.into_iter().rev() {
            if step == runs[0].1 && runs.len() == 1 {
                runs[0].1 *= len;
                continue;
            }
            runs = (0..len).flat_map(|i| runs.iter().map(move |&(s, l)| (s + i * step, l))).collect();
        }
        let work = Work::Fill { value, place: place(view), runs };
        self.push_as("Fill", 0, view.len(), work);
    }
}

/// Tests that a view's axes lie in `order`, axes of length 1 left out of the comparison.
fn same_loops(view: &View, order: &[usize]) -> bool {
    let real = |order: &[usize]| order.iter().copied().filter(|&a| view.shape[a] != 1).collect::<Vec<_>>();
    real(&view.order()) == real(order)
}

pub(super) fn place(view: &View) -> Address {
    Address { buffer: view.buffer, offset: view.offset }
}

pub(super) fn row_major(rank: usize) -> Vec<usize> {
    (0..rank).collect()
}

pub(super) fn no_halo(rank: usize) -> Halo {
    vec![(0, 0); rank]
}

/// Bytes from an element of `size` bytes to the next along every axis of a tensor that lies row-major.
pub(super) fn dense_strides(shape: &[usize], size: usize) -> Vec<usize> {
    let mut strides = vec![size; shape.len()];
    for axis in (0..shape.len().saturating_sub(1)).rev() {
        strides[axis] = strides[axis + 1] * shape[axis + 1];
    }
    strides
}

/// Rounding to a tensor's quantisation.
pub(super) fn requant(quant: Quant, low: i8, high: i8) -> Requant {
    Requant { zero_point: quant.zero_point, low, high }
}
