//! Lowering of what works on floats, without products.

use super::super::graph::{FloatOp, Node, Norm, Op, Pool, Tap};
use super::super::kernels::Loops;
use super::super::kernels::float::{self, Binary, Function, Reduction};
use super::super::kernels::step::{FloatWork, Map, Work};
use super::error::PlanError;
use super::lower::{Lowering, dense_strides, no_halo, place, row_major};
use super::simple::{pixels, windows, without};
use super::view::{FLOAT, View};

impl Lowering<'_> {
    /// Brings the floats of an input in, axes in `order`.
    pub(super) fn load_floats(&mut self, index: usize, order: &[usize]) {
        let tensor = self.graph.inputs[index].tensor;
        let view = self.allocate(tensor, order);
        let outside = dense_strides(&view.shape, FLOAT);
        let loops = Loops::new(&view.shape, [&outside, &view.strides]);
        self.push_float(&view, FloatWork::Load { port: index, place: place(&view), loops });
    }

    /// Takes the floats of an output out.
    pub(super) fn store_floats(&mut self, index: usize, view: &View) {
        let outside = dense_strides(&view.shape, FLOAT);
        let loops = Loops::new(&view.shape, [&view.strides, &outside]);
        self.push_float(view, FloatWork::Store { port: index, place: place(view), loops });
    }

    /// A step without multiply-accumulates whose result is about as large as `view`.
    pub(super) fn push_float(&mut self, view: &View, work: FloatWork) {
        self.push(0, view.len() * FLOAT, Work::Float(work));
    }

    /// An operator on floats that is not one of views alone.
    pub(super) fn float_node(&mut self, node: &Node) -> Result<(), PlanError> {
        match &node.op {
            Op::Float(op) => self.float_op(node, op),
            Op::MaxPool(pool) => self.pool_floats(node, pool, true),
            Op::AveragePool(pool) => self.pool_floats(node, pool, false),
            Op::Resize { rows, cols } => self.resize_floats(node, rows, cols),
            Op::Gather { axis, indices } => self.gather_floats(node, *axis, indices),
            Op::Softmax { axis } => self.softmax_floats(node, *axis, false),
            other => Err(self.error(format!("{} has no form on floats", other.name()))),
        }
    }

    fn float_op(&mut self, node: &Node, op: &FloatOp) -> Result<(), PlanError> {
        match op {
            FloatOp::Conv(conv) => self.float_conv(node, conv),
            FloatOp::MatMul(matmul) => self.float_matmul(node, matmul),
            FloatOp::Product { function } => self.float_product(node, *function),
            FloatOp::Unary(function) => self.mapped(node, Map::Function(*function)),
            FloatOp::Binary { op, after } => self.binary_floats(node, *op, *after),
            FloatOp::Reduce { reduction, axes } => self.reduce_floats(node, *reduction, axes),
            FloatOp::LogSoftmax { axis } => self.softmax_floats(node, *axis, true),
            FloatOp::Norm(norm) => self.norm_floats(node, norm),
            FloatOp::Recurrent(layer) => self.recurrent(node, layer),
            FloatOp::Pad { before, after, value } => self.pad_floats(node, before, after, *value),
            FloatOp::Quantize => {
                let quant = self.quant(node.output);
                self.mapped(node, Map::Quantize(quant.scale, quant.zero_point))
            }
            FloatOp::Dequantize => {
                let quant = self.quant(node.inputs[0]);
                self.mapped(node, Map::Dequantize(quant.scale, quant.zero_point))
            }
            FloatOp::Hybrid(hybrid) => self.hybrid(node, hybrid),
            FloatOp::Lookup(table) => self.mapped(node, Map::Lookup(table.clone())),
        }
    }

    fn mapped(&mut self, node: &Node, map: Map) -> Result<(), PlanError> {
        let x = self.view(node.inputs[0])?;
        let out = self.allocate(node.output, &x.order());
        let loops = Loops::new(&out.shape, [&x.strides, &out.strides]);
        self.push_float(&out, FloatWork::Map { map, places: [place(&x), place(&out)], loops });
        Ok(())
    }

    /// A step that copies floats.
    pub(super) fn copy_floats(&mut self, from: &View, to: &View) {
        let loops = Loops::new(&to.shape, [&from.strides, &to.strides]);
        let work = FloatWork::Map { map: Map::Copy, places: [place(from), place(to)], loops };
        self.push_as("Copy f32", 0, to.len() * FLOAT, Work::Float(work));
    }

    /// A step that writes one value to a whole view.
    pub(super) fn fill_floats(&mut self, view: &View, value: f32) {
        let loops = Loops::new(&view.shape, [&view.strides]);
        let work = FloatWork::Fill { value, place: place(view), loops };
        self.push_as("Fill f32", 0, view.len() * FLOAT, Work::Float(work));
    }

    fn binary_floats(&mut self, node: &Node, op: Binary, after: Function) -> Result<(), PlanError> {
        let (views, loops) = self.operands(node)?;
        let work = FloatWork::Binary { op, after, places: views.each_ref().map(place), loops };
        self.push_float(&views[2], work);
        Ok(())
    }

    fn reduce_floats(&mut self, node: &Node, reduction: Reduction, axes: &[usize]) -> Result<(), PlanError> {
        let mut x = self.view(node.inputs[0])?;
        let mut line = Loops::new(&picked(&x.shape, axes), [&picked(&x.strides, axes)]).axes;
        if line.len() > 1 {
            // The reduced axes are brought together, where they lie apart.
            let innermost = x.order().last().copied().filter(|a| !axes.contains(a));
            let rest = (0..x.shape.len()).filter(|a| !axes.contains(a) && Some(*a) != innermost);
            let order: Vec<usize> = rest.chain(axes.iter().copied()).chain(innermost).collect();
            let plain = self.fresh_of(FLOAT, &x.shape, &order, &no_halo(order.len()));
            self.copy(&x, &plain, None);
            x = plain;
            line = Loops::new(&picked(&x.shape, axes), [&picked(&x.strides, axes)]).axes;
        }
        let &[(len, [step])] = &line[..] else { return Err(self.error("its axes cannot be brought together")) };
        let step = if len == 1 { FLOAT } else { step };
        let out = self.allocate(node.output, &x.order());
        let kept: Vec<usize> = (0..x.shape.len()).filter(|a| !axes.contains(a)).collect();
        let strides = [&picked(&x.strides, &kept)[..], &picked(&out.strides, &kept)[..]];
        let loops = in_bytes(Loops::new(&picked(&x.shape, &kept), strides));
        let work = FloatWork::Reduce { reduction, len, step, places: [place(&x), place(&out)], loops };
        self.push_float(&x, work);
        Ok(())
    }

    fn softmax_floats(&mut self, node: &Node, axis: usize, log: bool) -> Result<(), PlanError> {
        let x = self.view(node.inputs[0])?;
        let out = self.allocate(node.output, &x.order());
        let work = FloatWork::Softmax {
            log,
            len: x.shape[axis],
            steps: [x.strides[axis], out.strides[axis]],
            places: [place(&x), place(&out)],
            loops: in_bytes(without(axis, &x, &out)),
        };
        // An exponential costs as much as some ten floats that are moved.
        self.push(0, 10 * out.len() * FLOAT, Work::Float(work));
        Ok(())
    }

    fn norm_floats(&mut self, node: &Node, norm: &Norm) -> Result<(), PlanError> {
        let mut x = self.view(node.inputs[0])?;
        let order = row_major(x.shape.len());
        let last = order.len() - 1;
        if x.strides[last] != FLOAT && x.shape[last] > 1 {
            let plain = self.fresh_of(FLOAT, &x.shape, &order, &no_halo(order.len()));
            self.copy(&x, &plain, None);
            x = plain;
        }
        let own = self.allocate(node.output, &x.order());
        let rows = own.strides[last] == FLOAT || own.shape[last] == 1;
        let out = if rows { own.clone() } else { self.fresh_of(FLOAT, &x.shape, &order, &no_halo(order.len())) };
        let work = FloatWork::Norm {
            epsilon: norm.epsilon,
            centre: norm.centre,
            scale: norm.scale.clone(),
            bias: norm.bias.clone(),
            len: x.shape[last],
            places: [place(&x), place(&out)],
            loops: in_bytes(without(last, &x, &out)),
        };
        self.push(0, 3 * out.len() * FLOAT, Work::Float(work));
        if !rows {
            self.copy(&out, &own, None);
        }
        Ok(())
    }

    fn pool_floats(&mut self, node: &Node, pool: &Pool, max: bool) -> Result<(), PlanError> {
        let [n, channels, height, width] = self.image(node.inputs[0])?;
        let [_, _, rows, cols] = self.image(node.output)?;
        let x = self.channels_last(node.inputs[0], [0; 4])?;
        let (y, own) = self.pixels_out(node);
        let (Some(rows), Some(cols)) = (windows(pool, 0, height, rows), windows(pool, 1, width, cols)) else {
            return Err(self.error("a window lies in the padding alone"));
        };
        let kind = match (max, pool.count_pads) {
            (true, _) => float::Pool::Max,
            (false, true) => float::Pool::Average(Some((pool.kernel[0] * pool.kernel[1]) as f32)),
            (false, false) => float::Pool::Average(None),
        };
        let work =
            FloatWork::Pool { pool: kind, rows, cols, channels, input: pixels(&x), output: pixels(&y), images: n };
        self.push(0, y.len() * FLOAT * pool.kernel[0], Work::Float(work));
        self.back(&y, own);
        Ok(())
    }

    fn resize_floats(&mut self, node: &Node, rows: &[Tap], cols: &[Tap]) -> Result<(), PlanError> {
        let [n, channels, ..] = self.image(node.inputs[0])?;
        let x = self.channels_last(node.inputs[0], [0; 4])?;
        let (y, own) = self.pixels_out(node);
        let input = pixels(&x);
        let pixel = input.steps[2] / FLOAT;
        let work = FloatWork::Resize {
            rows: rows.iter().map(|t| (t.first, t.second, t.share)).collect(),
            cols: cols.iter().map(|t| (t.first * pixel, t.second * pixel, t.share)).collect(),
            channels,
            input,
            output: pixels(&y),
            images: n,
            copy: rows.iter().chain(cols).all(|t| t.share == 0.0),
        };
        self.push_float(&y, work);
        self.back(&y, own);
        Ok(())
    }

    fn gather_floats(&mut self, node: &Node, axis: usize, indices: &[usize]) -> Result<(), PlanError> {
        let x = self.view(node.inputs[0])?;
        let out = self.allocate(node.output, &x.order());
        let offsets = indices.iter().map(|i| i * x.strides[axis]).collect();
        let loops = in_bytes(without(axis, &x, &out));
        let work = FloatWork::Gather { offsets, step: out.strides[axis], places: [place(&x), place(&out)], loops };
        self.push_float(&out, work);
        Ok(())
    }

    fn pad_floats(&mut self, node: &Node, before: &[usize], after: &[usize], value: f32) -> Result<(), PlanError> {
        let x = self.view(node.inputs[0])?;
        let out = self.allocate(node.output, &x.order());
        let mut inner = out.clone();
        for (axis, (&b, &a)) in before.iter().zip(after).enumerate() {
            for (start, len) in [(0, b), (b + x.shape[axis], a)] {
                if len > 0 {
                    self.fill_floats(&out.sliced(axis, start, 1, len), value);
                }
            }
            inner = inner.sliced(axis, b, 1, x.shape[axis]);
        }
        self.copy(&x, &inner, None);
        Ok(())
    }

    /// A place for a result whose channels are innermost, and where it has to go from there if that is elsewhere.
    pub(super) fn pixels_out(&mut self, node: &Node) -> (View, Option<View>) {
        let own = self.allocate(node.output, &super::hints::CHANNELS_LAST);
        if own.strides[1] == FLOAT || own.shape[1] == 1 {
            return (own, None);
        }
        (self.fresh_of(FLOAT, &own.shape, &super::hints::CHANNELS_LAST, &no_halo(4)), Some(own))
    }

    /// Brings a result to where it has to go.
    pub(super) fn back(&mut self, from: &View, to: Option<View>) {
        if let Some(to) = to {
            self.copy(from, &to, None);
        }
    }
}

/// The entries of some axes.
pub(super) fn picked(values: &[usize], axes: &[usize]) -> Vec<usize> {
    axes.iter().map(|&a| values[a]).collect()
}

/// A single turn, which [`Loops`] takes a byte for, in floats.
pub(super) fn in_bytes<const N: usize>(mut loops: Loops<N>) -> Loops<N> {
    if let [(1, steps)] = &mut loops.axes[..] {
        *steps = [FLOAT; N];
    }
    loops
}
