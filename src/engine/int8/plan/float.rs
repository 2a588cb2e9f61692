//! Lowering of what works on floats.

use super::super::graph::{FloatOp, Node};
use super::super::kernels::Loops;
use super::super::kernels::step::{FloatWork, Work};
use super::error::PlanError;
use super::lower::{Lowering, dense_strides, place};
use super::view::View;

/// Bytes of a float.
pub(super) const FLOAT: usize = 4;

impl Lowering<'_> {
    /// Brings the floats of an input in, axes in `order`.
    pub(super) fn load_floats(&mut self, index: usize, order: &[usize]) {
        let tensor = self.graph.inputs[index].tensor;
        let view = self.allocate(tensor, order);
        let outside = dense_strides(&view.shape, FLOAT);
        let loops = Loops::new(&view.shape, [&outside, &view.strides]);
        let work = FloatWork::Load { port: index, place: place(&view), loops };
        self.push(0, view.len() * FLOAT, Work::Float(work));
    }

    /// Takes the floats of an output out.
    pub(super) fn store_floats(&mut self, index: usize, view: &View) {
        let outside = dense_strides(&view.shape, FLOAT);
        let loops = Loops::new(&view.shape, [&view.strides, &outside]);
        let work = FloatWork::Store { port: index, place: place(view), loops };
        self.push(0, view.len() * FLOAT, Work::Float(work));
    }

    /// An operator on floats.
    pub(super) fn float_op(&mut self, node: &Node, op: &FloatOp) -> Result<(), PlanError> {
        match op {
            FloatOp::Quantize => self.converted(node, true),
            FloatOp::Dequantize => self.converted(node, false),
            FloatOp::Hybrid(hybrid) => self.hybrid(node, hybrid),
        }
    }

    /// A step that writes one value to a whole view.
    pub(super) fn fill_floats(&mut self, view: &View, value: f32) {
        let loops = Loops::new(&view.shape, [&view.strides]);
        let work = FloatWork::Fill { value, place: place(view), loops };
        self.push_as("Fill", 0, view.len() * FLOAT, Work::Float(work));
    }

    fn converted(&mut self, node: &Node, to_bytes: bool) -> Result<(), PlanError> {
        let x = self.view(node.inputs[0])?;
        let out = self.allocate(node.output, &x.order());
        let quant = self.quant(if to_bytes { node.output } else { node.inputs[0] });
        let quant = (quant.scale, quant.zero_point);
        let places = [place(&x), place(&out)];
        let loops = Loops::new(&out.shape, [&x.strides, &out.strides]);
        let work = if to_bytes {
            FloatWork::Quantize { quant, places, loops }
        } else {
            FloatWork::Dequantize { quant, places, loops }
        };
        self.push(0, out.len() * FLOAT, Work::Float(work));
        Ok(())
    }
}
