//! Lowering of convolutions and matrix products.

use std::borrow::Cow;
use std::sync::Arc;

use super::super::graph::{Clamp, Conv, MatMul, Node};
use super::super::kernels::step::{Ending, Pixels, Work};
use super::super::kernels::{DepthwiseWeights, GemmWeights, Kernels, Loops, PackedGemm};
use super::error::PlanError;
use super::hints::CHANNELS_LAST;
use super::lower::{Lowering, place, requant, row_major};
use super::view::{FLOAT, View};
use super::window::{segments, taps_first};

/// Last step of a product's sums, and their place.
pub(super) struct Sums<'a> {
    pub ending: Ending,
    /// `[out channels]`, as in [`GemmWeights::scale`].
    pub scale: Cow<'a, [f32]>,
    /// As in [`GemmWeights::x_zero`].
    pub x_zero: i32,
    /// `[out channels]`, as in [`GemmWeights::floats`].
    pub floats: Option<&'a [f32]>,
}

impl Sums<'_> {
    /// Bytes of a result.
    fn size(&self) -> usize {
        if self.floats.is_some() { FLOAT } else { 1 }
    }
}

/// Values packed with the weights of a product: see [`GemmWeights`].
struct RowsToPack {
    zeros: Vec<i8>,
    bias: Vec<i32>,
    scale: Vec<f32>,
    x_zero: i32,
    floats: Option<Vec<f32>>,
}

impl RowsToPack {
    /// Weights `data` of `n` rows of so many segments, packed.
    fn packed(&self, kernels: &dyn Kernels, [n, segments, segment]: [usize; 3], data: &[i8]) -> PackedGemm {
        kernels.pack_gemm(&GemmWeights {
            n,
            segments,
            segment,
            data,
            zeros: &self.zeros,
            bias: &self.bias,
            scale: &self.scale,
            x_zero: self.x_zero,
            floats: self.floats.as_deref(),
        })
    }
}

/// Place of a result, and the table applied on the way there.
type Elsewhere = (View, Option<Arc<[i8; 256]>>);

impl Lowering<'_> {
    pub(super) fn conv(&mut self, node: &Node, conv: &Conv) -> Result<(), PlanError> {
        let [_, outs, ..] = self.image(node.output)?;
        let mut x = self.channels_last(node.inputs[0], conv.pads)?;
        if x.shape[1] == 1 {
            x.strides[1] = 1;
        }
        let (y, elsewhere) = self.bytes_out(node, outs);
        let sums = self.sums(node, &conv.weight_scales, conv.clamp);
        self.convolution(conv, x, &y, &sums)?;
        if let Some((to, table)) = elsewhere {
            self.copy(&y, &to, table);
        }
        Ok(())
    }

    /// A place for pixels of `outs` adjacent channels; if that is not where the result goes, that place, and what is applied on the
    /// way there.
    pub(super) fn bytes_out(&mut self, node: &Node, outs: usize) -> (View, Option<Elsewhere>) {
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

    /// The steps of a convolution from `x`, bytes with channels innermost and a border, to `y`, channels innermost.
    pub(super) fn convolution(&mut self, conv: &Conv, mut x: View, y: &View, sums: &Sums) -> Result<(), PlanError> {
        let [top, left, ..] = conv.pads;
        x.offset -= top * x.strides[2] + left * x.strides[3];
        let input = Pixels {
            place: place(&x),
            steps: [x.strides[0], x.strides[2] * conv.strides[0], x.strides[3] * conv.strides[1]],
        };
        let output = Pixels { place: place(y), steps: [y.strides[0], y.strides[2], y.strides[3]] };
        let (channels, outs, dims) = (x.shape[1], y.shape[1], [y.shape[0], y.shape[2], y.shape[3]]);
        if conv.groups == channels && outs == channels && channels > 1 {
            self.depthwise(conv, &x, (input, output), dims, sums);
            Ok(())
        } else {
            self.grouped(conv, &x, (input, output), dims, sums)
        }
    }

    pub(super) fn depthwise(
        &mut self,
        conv: &Conv,
        x: &View,
        (input, output): (Pixels, Pixels),
        dims: [usize; 3],
        sums: &Sums,
    ) {
        let (channels, taps) = (conv.groups, conv.kernel[0] * conv.kernel[1]);
        let data: Vec<i8> =
            (0..taps).flat_map(|tap| (0..channels).map(move |c| c * taps + tap)).map(|i| conv.weights[i]).collect();
        let packed = self.kernels.pack_depthwise(&DepthwiseWeights {
            channels,
            kh: conv.kernel[0],
            kw: conv.kernel[1],
            data: &data,
            zeros: &conv.weight_zeros,
            bias: &conv.bias,
            scale: &sums.scale,
            x_zero: sums.x_zero,
            floats: sums.floats,
        });
        let count = dims.iter().product::<usize>() * channels;
        let work = Work::Depthwise {
            packed: Arc::new(packed),
            ending: sums.ending.clone(),
            taps: [x.strides[2] * conv.dilations[0], x.strides[3] * conv.dilations[1]],
            input,
            output,
            dims,
        };
        self.push((count * taps) as u64, count * sums.size(), work);
    }

    /// One matrix product for each group.
    pub(super) fn grouped(
        &mut self,
        conv: &Conv,
        x: &View,
        (input, output): (Pixels, Pixels),
        dims: [usize; 3],
        sums: &Sums,
    ) -> Result<(), PlanError> {
        let [kh, kw] = conv.kernel;
        let (inside, outside) = (x.shape[1] / conv.groups, sums.scale.len() / conv.groups);
        // Neighbouring pixels of a window are neighbouring bytes unless the input is dilated, grouped or part of a wider tensor.
        let (row, col) = (x.strides[2] * conv.dilations[0], x.strides[3] * conv.dilations[1]);
        let (segments, segment, offsets) = segments([kh, kw], inside, [row, col]);
        let (input, output, dims) = merged(input, output, dims);
        let taps = kh * kw;
        for group in 0..conv.groups {
            let range = group * outside..(group + 1) * outside;
            let (weights, cut) = (conv.weights.clone(), range.start * inside * taps..range.end * inside * taps);
            let rows = RowsToPack {
                zeros: conv.weight_zeros.get(range.clone()).unwrap_or_default().into(),
                bias: conv.bias.get(range.clone()).unwrap_or_default().into(),
                scale: sums.scale[range.clone()].into(),
                x_zero: sums.x_zero,
                floats: sums.floats.map(|bias| bias[range].into()),
            };
            let (kernels, sizes) = (self.kernels, [outside, segments, segment]);
            let packed = self
                .packing
                .later(sizes, move || rows.packed(kernels, sizes, &taps_first(&weights[cut], inside, taps)));
            let (mut input, mut output) = (input, output);
            input.place.offset += group * inside;
            output.place.offset += group * outside * sums.size();
            self.gemm(packed, offsets.clone(), (input, output), dims, sums);
        }
        Ok(())
    }

    pub(super) fn matmul(&mut self, node: &Node, matmul: &MatMul) -> Result<(), PlanError> {
        let (mut x, shape) = (self.view(node.inputs[0])?, self.shape(node.output));
        let last = shape.len() - 1;
        let order = row_major(shape.len());
        let y = self.allocate(self.target(node), &order);
        if (x.strides[last] != 1 && x.shape[last] > 1) || outer(&x, &y).len() > 3 {
            let plain = self.fresh(&x.shape, &order, &vec![(0, 0); shape.len()]);
            self.copy(&x, &plain, None);
            x = plain;
        }
        let sums = self.sums(node, &matmul.weight_scales, matmul.clamp);
        self.rows(matmul, &x, &y, &sums)
    }

    /// The step of a product from `x`, bytes in rows, to `y` in rows.
    pub(super) fn rows(&mut self, matmul: &MatMul, x: &View, y: &View, sums: &Sums) -> Result<(), PlanError> {
        let last = y.shape.len() - 1;
        let mut axes = outer(x, y);
        if (y.strides[last] != sums.size() && y.shape[last] > 1) || axes.len() > 3 {
            return Err(self.error("its result cannot be laid out in rows"));
        }
        while axes.len() < 3 {
            axes.insert(0, (1, [0, 0]));
        }
        let dims = [axes[0].0, axes[1].0, axes[2].0];
        let input = Pixels { place: place(x), steps: [axes[0].1[0], axes[1].1[0], axes[2].1[0]] };
        let output = Pixels { place: place(y), steps: [axes[0].1[1], axes[1].1[1], axes[2].1[1]] };
        let rows = RowsToPack {
            zeros: matmul.weight_zeros.clone(),
            bias: matmul.bias.clone(),
            scale: sums.scale.to_vec(),
            x_zero: sums.x_zero,
            floats: sums.floats.map(<[f32]>::to_vec),
        };
        let (weights, kernels, sizes) = (matmul.weights.clone(), self.kernels, [y.shape[last], 1, x.shape[last]]);
        let packed = self.packing.later(sizes, move || rows.packed(kernels, sizes, &weights));
        self.gemm(packed, vec![0], (input, output), dims, sums);
        Ok(())
    }

    fn gemm(
        &mut self,
        packed: Arc<PackedGemm>,
        offsets: Vec<usize>,
        (input, output): (Pixels, Pixels),
        dims: [usize; 3],
        sums: &Sums,
    ) {
        let count = dims.iter().product::<usize>() * packed.n;
        let macs = (count * packed.segments * packed.segment) as u64;
        let work = Work::Gemm { packed, ending: sums.ending.clone(), offsets, input, output, dims };
        self.push(macs, count * sums.size(), work);
    }

    /// Sums that become bytes. Their scales are input scale × weight scale ÷ output scale for every output channel, in f32 and in
    /// this order: what ONNX's integer operators do with them, so that a sum that falls between two bytes falls as it does there.
    pub(super) fn sums(&self, node: &Node, weight_scales: &[f32], clamp: Clamp) -> Sums<'static> {
        let (from, to) = (self.quant(node.inputs[0]), self.quant(node.output));
        let scale = weight_scales.iter().map(|&w| (from.scale * w / to.scale).clamp(f32::MIN, f32::MAX)).collect();
        let ending = Ending::Bytes(requant(to, clamp.low, clamp.high));
        Sums { ending, scale: Cow::Owned(scale), x_zero: from.zero_point, floats: None }
    }

    /// `[N, C, H, W]` of a picture.
    pub(super) fn image(&self, id: usize) -> Result<[usize; 4], PlanError> {
        let shape = self.shape(id);
        <[usize; 4]>::try_from(shape).map_err(|_| self.error(format!("shape {shape:?} is no [N, C, H, W]")))
    }
}

/// Loops over the rows of two tensors.
fn outer(x: &View, y: &View) -> Vec<(usize, [usize; 2])> {
    let last = y.shape.len() - 1;
    Loops::new(&y.shape[..last], [&x.strides[..last], &y.strides[..last]]).axes
}

/// Fewer and longer axes where rows of pixels follow one another on both sides.
pub(super) fn merged(input: Pixels, output: Pixels, dims: [usize; 3]) -> (Pixels, Pixels, [usize; 3]) {
    let mut axes = Loops::new(&dims, [&input.steps, &output.steps]).axes;
    while axes.len() < 3 {
        axes.insert(0, (1, [0, 0]));
    }
    let steps = |v: usize| [axes[0].1[v], axes[1].1[v], axes[2].1[v]];
    let (input, output) = (Pixels { steps: steps(0), ..input }, Pixels { steps: steps(1), ..output });
    (input, output, [axes[0].0, axes[1].0, axes[2].0])
}
