//! Lowering of products of floats that are quantised as they come.

use std::borrow::Cow;

use super::super::graph::{FloatOp, Hybrid, Node, Op, Product, TensorId};
use super::super::kernels::Loops;
use super::super::kernels::step::{Address, Ending, HybridWork, Work};
use super::dense::Sums;
use super::error::PlanError;
use super::hints::{CHANNELS_LAST, Halo};
use super::lower::{Lowering, no_halo, place, row_major};
use super::view::{FLOAT, View};

/// Bytes of a scale and a zero point.
const RANGE: usize = 8;

impl Lowering<'_> {
    pub(super) fn hybrid(&mut self, node: &Node, hybrid: &Hybrid) -> Result<(), PlanError> {
        let input = node.inputs[0];
        let order = match &hybrid.product {
            Product::Conv(_) => CHANNELS_LAST.to_vec(),
            Product::MatMul(_) => row_major(self.shape(input).len()),
        };
        let (mut x, range) = self.quantised(input, &order)?;
        let scales = match &hybrid.product {
            Product::Conv(conv) => &conv.weight_scales,
            Product::MatMul(matmul) => &matmul.weight_scales,
        };
        let sums = Sums {
            ending: Ending::Floats { range, low: hybrid.low, high: hybrid.high },
            scale: Cow::Borrowed(scales),
            x_zero: 0,
            floats: Some(&hybrid.bias),
        };
        let order = match &hybrid.product {
            Product::Conv(_) => order,
            Product::MatMul(_) => row_major(self.shape(node.output).len()),
        };
        let own = self.allocate(node.output, &order);
        let innermost = *order.last().ok_or_else(|| self.error("its result has no dimensions"))?;
        let straight = own.strides[innermost] == FLOAT || own.shape[innermost] == 1;
        let y = if straight { own.clone() } else { self.fresh_of(FLOAT, &own.shape, &order, &no_halo(order.len())) };
        match &hybrid.product {
            Product::Conv(conv) => {
                self.image(input)?;
                self.image(node.output)?;
                if x.shape[1] == 1 {
                    x.strides[1] = 1;
                }
                self.convolution(conv, x, &y, &sums)?;
            }
            Product::MatMul(matmul) => self.rows(matmul, &x, &y, &sums)?,
        }
        if !straight {
            self.copy(&y, &own, None);
        }
        Ok(())
    }

    /// The bytes of a tensor of floats, axes in `order`, with the border that its readers want; and where their quantisation is.
    fn quantised(&mut self, id: TensorId, order: &[usize]) -> Result<(View, Address), PlanError> {
        let x = self.view(id)?;
        let range = match self.hybrids.ranges.get(&id) {
            Some(&range) => range,
            None => {
                let range = Address { buffer: self.buffers.len(), offset: 0 };
                self.buffers.push(RANGE);
                let loops = Loops::new(&x.shape, [&x.strides]);
                self.push_as("Range", 0, 0, Work::Hybrid(HybridWork::Range { input: place(&x), loops, range }));
                self.hybrids.ranges.insert(id, range);
                range
            }
        };
        let key = (id, order.to_vec());
        if let Some(bytes) = self.hybrids.bytes.get(&key) {
            return Ok((bytes.clone(), range));
        }
        let halo = self.wanted_border(id, order);
        let bytes = self.fresh(&x.shape, order, &halo);
        let border = if halo.iter().any(|&h| h != (0, 0)) { self.border(&bytes, order) } else { Vec::new() };
        let work = HybridWork::Quantize {
            range,
            places: [place(&bytes), place(&x)],
            // In the order in which floats lie: there are four times as many bytes of them.
            loops: Loops::new(&x.shape, [&bytes.strides, &x.strides]),
            buffer: Address { buffer: bytes.buffer, offset: 0 },
            border,
        };
        self.push_as("DynamicQuantizeLinear", 0, x.len() * FLOAT, Work::Hybrid(work));
        self.hybrids.bytes.insert(key, bytes.clone());
        Ok((bytes, range))
    }

    /// The border that all convolutions together want around the bytes of a tensor.
    fn wanted_border(&self, id: TensorId, order: &[usize]) -> Halo {
        let mut halo = no_halo(order.len());
        for node in self.graph.nodes.iter().filter(|node| node.inputs.first() == Some(&id)) {
            if let Op::Float(FloatOp::Hybrid(hybrid)) = &node.op
                && let (Product::Conv(conv), 4) = (&hybrid.product, order.len())
            {
                let [top, left, bottom, right] = conv.pads;
                halo[2] = (halo[2].0.max(top), halo[2].1.max(bottom));
                halo[3] = (halo[3].0.max(left), halo[3].1.max(right));
            }
        }
        halo
    }
}
