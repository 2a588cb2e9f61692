//! Tensors of floats inside partitions.

use super::net::Try;
use super::search::{Search, View};
use crate::int8::graph::{FloatOp, Op, Quant, TensorId};
use crate::onnx::node;

impl Search<'_> {
    /// A `QuantizeLinear` of floats that a partition computes.
    pub fn quantize_floats(&mut self, index: usize, tensor: TensorId, quant: Quant, unsigned: bool) -> Try<()> {
        let output = node::only_output(self.net.node(index))?;
        let mut draft = self.draft(index);
        let shape = self.shape(tensor).to_vec();
        let bytes = self.step(&mut draft, Op::Float(FloatOp::Quantize), vec![tensor], shape, quant);
        self.name(output, View::Bytes { tensor: bytes, unsigned })?;
        self.close(draft, &[], false);
        Ok(())
    }
}
