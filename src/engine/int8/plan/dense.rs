//! Lowering of convolutions and matrix products.

use std::borrow::Cow;
use std::sync::Arc;

use super::super::graph::{Clamp, Conv, MatMul, Node};
use super::super::kernels::step::{Pixels, Work};
use super::super::kernels::{DepthwiseWeights, GemmWeights, Loops};
use super::error::PlanError;
use super::hints::CHANNELS_LAST;
use super::lower::{Lowering, place, requant, row_major};
use super::view::View;

impl Lowering<'_> {
    pub(super) fn conv(&mut self, node: &Node, conv: &Conv) -> Result<(), PlanError> {
        let [n, channels, ..] = self.image(node.inputs[0])?;
        let [_, outs, rows, cols] = self.image(node.output)?;
        let mut x = self.channels_last(node.inputs[0], conv.pads)?;
        if x.shape[1] == 1 {
            x.strides[1] = 1;
        }
        let (y, elsewhere) = self.pixels_out(node, outs);
        let [top, left, ..] = conv.pads;
        x.offset -= top * x.strides[2] + left * x.strides[3];
        let input = Pixels {
            place: place(&x),
            steps: [x.strides[0], x.strides[2] * conv.strides[0], x.strides[3] * conv.strides[1]],
        };
        let output = Pixels { place: place(&y), steps: [y.strides[0], y.strides[2], y.strides[3]] };
        let scale = self.scales(node, &conv.weight_scales);
        let dims = [n, rows, cols];
        if conv.groups == channels && outs == channels && channels > 1 {
            self.depthwise(node, conv, &x, (input, output), dims, &scale);
        } else {
            self.grouped(node, conv, &x, (input, output), dims, &scale)?;
        }
        if let Some((to, table)) = elsewhere {
            self.copy(&y, &to, table);
        }
        Ok(())
    }

    /// A place for pixels of `outs` adjacent channels; if that is not where the result goes, that place, and what is applied on the
    /// way there.
    pub(super) fn pixels_out(&mut self, node: &Node, outs: usize) -> (View, Option<(View, Option<Arc<[i8; 256]>>)>) {
        let target = self.target(node);
        let mut y = self.allocate(target, &CHANNELS_LAST);
        if y.shape[1] == 1 {
            y.strides[1] = 1;
        }
        if y.strides[1] == 1 || outs == 1 {
            return (y, None);
        }
        let near = self.fresh(&y.shape, &CHANNELS_LAST, &[(0, 0); 4]);
        (near, Some((y, self.table.take())))
    }

    pub(super) fn depthwise(
        &mut self,
        node: &Node,
        conv: &Conv,
        x: &View,
        (input, output): (Pixels, Pixels),
        dims: [usize; 3],
        scale: &[f32],
    ) {
        let (channels, taps) = (conv.groups, conv.kernel[0] * conv.kernel[1]);
        let data: Vec<i8> =
            (0..taps).flat_map(|tap| (0..channels).map(move |c| c * taps + tap)).map(|i| conv.weights[i]).collect();
        let packed = self.kernels.pack_depthwise(&DepthwiseWeights {
            channels,
            kh: conv.kernel[0],
            kw: conv.kernel[1],
            data: &data,
            bias: &conv.bias,
            scale,
            x_zero: self.quant(node.inputs[0]).zero_point,
        });
        let bytes = dims.iter().product::<usize>() * channels;
        let work = Work::Depthwise {
            packed: Arc::new(packed),
            requant: requant(self.quant(node.output), conv.clamp.low, conv.clamp.high),
            taps: [x.strides[2] * conv.dilations[0], x.strides[3] * conv.dilations[1]],
            input,
            output,
            dims,
        };
        self.push((bytes * taps) as u64, bytes, work);
    }

    /// One matrix product for each group.
    pub(super) fn grouped(
        &mut self,
        node: &Node,
        conv: &Conv,
        x: &View,
        (input, output): (Pixels, Pixels),
        dims: [usize; 3],
        scale: &[f32],
    ) -> Result<(), PlanError> {
        let [kh, kw] = conv.kernel;
        let (inside, outside) = (x.shape[1] / conv.groups, scale.len() / conv.groups);
        // Neighbouring pixels of a window are neighbouring bytes unless the input is dilated, grouped or part of a wider tensor.
        let (row, col) = (x.strides[2] * conv.dilations[0], x.strides[3] * conv.dilations[1]);
        let (segments, segment, offsets): (usize, usize, Vec<usize>) = if col == inside || kw == 1 {
            if row == kw * inside && kh > 1 {
                (1, kh * kw * inside, vec![0])
            } else {
                (kh, kw * inside, (0..kh).map(|y| y * row).collect())
            }
        } else {
            (kh * kw, inside, (0..kh * kw).map(|tap| tap / kw * row + tap % kw * col).collect())
        };
        let (input, output, dims) = merged(input, output, dims);
        let taps = kh * kw;
        for group in 0..conv.groups {
            let range = group * outside..(group + 1) * outside;
            // [out, in, kh, kw] → [out][kh][kw][in]
            let data = if taps == 1 {
                Cow::Borrowed(&conv.weights[range.start * inside..range.end * inside])
            } else {
                let mut data = Vec::with_capacity(outside * taps * inside);
                for out in range.clone() {
                    for tap in 0..taps {
                        data.extend((0..inside).map(|channel| conv.weights[(out * inside + channel) * taps + tap]));
                    }
                }
                Cow::Owned(data)
            };
            let packed = self.kernels.pack_gemm(&GemmWeights {
                n: outside,
                segments,
                segment,
                data: &data,
                bias: &conv.bias[range.clone()],
                scale: &scale[range],
                x_zero: self.quant(node.inputs[0]).zero_point,
            });
            let (mut input, mut output) = (input, output);
            input.place.offset += group * inside;
            output.place.offset += group * outside;
            self.gemm(node, conv.clamp, packed, offsets.clone(), (input, output), dims);
        }
        Ok(())
    }

    pub(super) fn matmul(&mut self, node: &Node, matmul: &MatMul) -> Result<(), PlanError> {
        let (mut x, shape) = (self.view(node.inputs[0])?, self.shape(node.output));
        let last = shape.len() - 1;
        let order = row_major(shape.len());
        let y = self.allocate(self.target(node), &order);
        let outer = |x: &View, y: &View| Loops::new(&shape[..last], [&x.strides[..last], &y.strides[..last]]);
        if (x.strides[last] != 1 && x.shape[last] > 1) || outer(&x, &y).axes.len() > 3 {
            let plain = self.fresh(&x.shape, &order, &vec![(0, 0); shape.len()]);
            self.copy(&x, &plain, None);
            x = plain;
        }
        let mut axes = outer(&x, &y).axes;
        if (y.strides[last] != 1 && shape[last] > 1) || axes.len() > 3 {
            return Err(self.error("its result cannot be laid out in rows"));
        }
        while axes.len() < 3 {
            axes.insert(0, (1, [0, 0]));
        }
        let dims = [axes[0].0, axes[1].0, axes[2].0];
        let input = Pixels { place: place(&x), steps: [axes[0].1[0], axes[1].1[0], axes[2].1[0]] };
        let output = Pixels { place: place(&y), steps: [axes[0].1[1], axes[1].1[1], axes[2].1[1]] };
        let scale = self.scales(node, &matmul.weight_scales);
        let packed = self.kernels.pack_gemm(&GemmWeights {
            n: shape[last],
            segments: 1,
            segment: x.shape[last],
            data: &matmul.weights,
            bias: &matmul.bias,
            scale: &scale,
            x_zero: self.quant(node.inputs[0]).zero_point,
        });
        self.gemm(node, matmul.clamp, packed, vec![0], (input, output), dims);
        Ok(())
    }

    fn gemm(
        &mut self,
        node: &Node,
        clamp: Clamp,
        packed: super::super::kernels::PackedGemm,
        offsets: Vec<usize>,
        (input, output): (Pixels, Pixels),
        dims: [usize; 3],
    ) {
        let bytes = dims.iter().product::<usize>() * packed.n;
        let macs = (bytes * packed.segments * packed.segment) as u64;
        let requant = requant(self.quant(node.output), clamp.low, clamp.high);
        let work = Work::Gemm { packed: Arc::new(packed), requant, offsets, input, output, dims };
        self.push(macs, bytes, work);
    }

    /// Input scale × weight scale ÷ output scale for every output channel, in f32 and in this order: what ONNX's integer operators do with
    /// them, so that a sum that falls between two bytes falls as it does there.
    pub(super) fn scales(&self, node: &Node, weights: &[f32]) -> Vec<f32> {
        let (from, to) = (self.quant(node.inputs[0]).scale, self.quant(node.output).scale);
        weights.iter().map(|&w| (from * w / to).clamp(f32::MIN, f32::MAX)).collect()
    }

    /// `[N, C, H, W]` of a picture.
    pub(super) fn image(&self, id: usize) -> Result<[usize; 4], PlanError> {
        let shape = self.shape(id);
        <[usize; 4]>::try_from(shape).map_err(|_| self.error(format!("shape {shape:?} is no [N, C, H, W]")))
    }
}

/// Fewer and longer axes where rows of pixels follow one another on both sides.
fn merged(input: Pixels, output: Pixels, dims: [usize; 3]) -> (Pixels, Pixels, [usize; 3]) {
    let mut axes = Loops::new(&dims, [&input.steps, &output.steps]).axes;
    while axes.len() < 3 {
        axes.insert(0, (1, [0, 0]));
    }
    let steps = |v: usize| [axes[0].1[v], axes[1].1[v], axes[2].1[v]];
    let (input, output) = (Pixels { steps: steps(0), ..input }, Pixels { steps: steps(1), ..output });
    (input, output, [axes[0].0, axes[1].0, axes[2].0])
}
