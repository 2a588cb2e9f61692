//! Lowering of products of floats that are quantised as they come.

use std::borrow::Cow;
use std::sync::Arc;

use super::super::graph::{Conv, FloatOp, Hybrid, MatMul, Node, Op, Product, Ranges, TensorId};
use super::super::kernels::step::{Address, Ending, HybridWork, Range, Work};
use super::super::kernels::{GemmWeights, Loops};
use super::dense::Sums;
use super::error::PlanError;
use super::hints::{CHANNELS_LAST, Halo};
use super::lower::{Lowering, no_halo, place, row_major};
use super::view::{FLOAT, View};

impl Lowering<'_> {
    pub(super) fn hybrid(&mut self, node: &Node, hybrid: &Hybrid) -> Result<(), PlanError> {
        let input = node.inputs[0];
        let shape = self.shape(input);
        let (order, items) = match &hybrid.product {
            Product::Conv(_) => (CHANNELS_LAST.to_vec(), 1),
            Product::MatMul(_) => (row_major(shape.len()), shape.len().saturating_sub(1)),
        };
        let several = hybrid.ranges == Ranges::Items && shape[..items].iter().any(|&len| len > 1);
        let (mut x, range) =
            if several { self.quantised_items(input, &order, items)? } else { self.quantised(input, &order)? };
        let order = match &hybrid.product {
            Product::Conv(_) => order,
            Product::MatMul(_) => row_major(self.shape(node.output).len()),
        };
        let own = self.allocate(node.output, &order);
        let innermost = *order.last().ok_or_else(|| self.error("its result has no dimensions"))?;
        let straight = own.strides[innermost] == FLOAT || own.shape[innermost] == 1;
        let y = if straight { own.clone() } else { self.fresh_of(FLOAT, &own.shape, &order, &no_halo(order.len())) };
        let (low, high) = (hybrid.low, hybrid.high);
        let ending = Ending::Floats { range, low, high };
        let sums =
            |ending: Ending, scales, bias| Sums { ending, scale: Cow::Borrowed(scales), x_zero: 0, floats: Some(bias) };
        match &hybrid.product {
            Product::Conv(conv) => {
                self.image(input)?;
                self.image(node.output)?;
                if x.shape[1] == 1 {
                    x.strides[1] = 1;
                }
                let sums = sums(ending, &conv.weight_scales, &hybrid.bias);
                if several { self.image_by_image(conv, x, &y, &sums)? } else { self.convolution(conv, x, &y, &sums)? }
            }
            Product::MatMul(matmul) if several => {
                let weights = row_sums(matmul);
                let ending =
                    Ending::Rows { ranges: range, sums: weights, bias: hybrid.bias.as_slice().into(), low, high };
                let none = vec![0.0; hybrid.bias.len()];
                self.rows(matmul, &x, &y, &sums(ending, &matmul.weight_scales, &none))?;
            }
            Product::MatMul(matmul) => {
                self.rows(matmul, &x, &y, &sums(ending, &matmul.weight_scales, &hybrid.bias))?;
            }
        }
        if !straight {
            self.copy(&y, &own, None);
        }
        Ok(())
    }

    /// The steps of a convolution for each of several images, whose ranges follow one another.
    fn image_by_image(&mut self, conv: &Conv, x: View, y: &View, sums: &Sums) -> Result<(), PlanError> {
        let (first, pitches) = (self.steps.len(), [x.strides[0], y.strides[0]]);
        let images = x.shape[0];
        self.convolution(conv, x.sliced(0, 0, 1, 1), &y.sliced(0, 0, 1, 1), sums)?;
        // Weights are packed once: the others take the same steps elsewhere.
        let steps = self.steps[first..].to_vec();
        for image in 1..images {
            for mut step in steps.iter().cloned() {
                if let Work::Gemm { ending, input, output, .. } | Work::Depthwise { ending, input, output, .. } =
                    &mut step.work
                {
                    input.place.offset += image * pitches[0];
                    output.place.offset += image * pitches[1];
                    ending.ranges_mut().into_iter().for_each(|range| range.offset += image * Range::BYTES);
                }
                self.steps.push(step);
            }
        }
        Ok(())
    }

    /// The bytes of a tensor of floats as of [`Lowering::quantised`], where each item, an index of the first `items` axes, has a range of its
    /// own; and where these are.
    fn quantised_items(&mut self, id: TensorId, order: &[usize], items: usize) -> Result<(View, Address), PlanError> {
        let x = self.view(id)?;
        let key = (id, order.to_vec());
        if let Some(known) = self.hybrids.items.get(&key) {
            return Ok(known.clone());
        }
        let halo = self.wanted_border(id, order);
        let bytes = self.fresh(&x.shape, order, &halo);
        let count: usize = x.shape[..items].iter().product();
        let pitch = self.buffers[bytes.buffer] / count.max(1);
        let mut border = Vec::new();
        if halo.iter().any(|&h| h != (0, 0)) {
            // Of the first item: what lies behind it is the next one's.
            let runs = self.border(&bytes, order).into_iter().filter(|&(start, _)| start < pitch);
            border = runs.map(|(start, len)| (start, len.min(pitch - start))).collect();
        }
        let ranges = Address { buffer: self.buffers.len(), offset: 0 };
        self.buffers.push(count * Range::BYTES);
        let loops = |axes: std::ops::Range<usize>| {
            Loops::new(&x.shape[axes.clone()], [&bytes.strides[axes.clone()], &x.strides[axes]])
        };
        let work = HybridWork::Items {
            ranges,
            places: [place(&bytes), place(&x)],
            items: loops(0..items),
            inside: loops(items..x.shape.len()),
            buffer: Address { buffer: bytes.buffer, offset: 0 },
            pitch,
            border,
        };
        self.push_as("DynamicQuantizeLinear", 0, x.len() * FLOAT, Work::Hybrid(work));
        self.hybrids.items.insert(key, (bytes.clone(), ranges));
        Ok((bytes, ranges))
    }

    /// The bytes of a tensor of floats, axes in `order`, with the border that its readers want; and where their quantisation is.
    fn quantised(&mut self, id: TensorId, order: &[usize]) -> Result<(View, Address), PlanError> {
        let x = self.view(id)?;
        let range = match self.hybrids.ranges.get(&id) {
            Some(&range) => range,
            None => {
                let range = Address { buffer: self.buffers.len(), offset: 0 };
                self.buffers.push(Range::BYTES);
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

/// `Σ (w − zero) · scale` of every output.
fn row_sums(matmul: &MatMul) -> Arc<[f32]> {
    let n = matmul.weight_scales.len();
    let (data, zeros, segment) = (&matmul.weights[..], &matmul.weight_zeros[..], matmul.weights.len() / n.max(1));
    let weights = GemmWeights { n, segments: 1, segment, data, zeros, ..GemmWeights::default() };
    matmul.weight_scales.iter().enumerate().map(|(channel, scale)| weights.sum(channel) as f32 * scale).collect()
}
