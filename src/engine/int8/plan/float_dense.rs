//! Lowering of convolutions and products of floats.

use std::sync::Arc;

use super::super::graph::{FloatConv, FloatMatMul, Node};
use super::super::kernels::Loops;
use super::super::kernels::float::{Epilogue, FloatDepthwiseWeights, FloatGemmWeights, Function, PackedFloatGemm};
use super::super::kernels::step::{FloatWork, Pixels, Work};
use super::dense::merged;
use super::error::PlanError;
use super::float::in_bytes;
use super::lower::{Lowering, no_halo, place, row_major};
use super::simple::pixels;
use super::view::{FLOAT, View};
use super::window::{segments, taps_first};

/// Places that a product reads and writes, and its residual.
struct Rows {
    input: Pixels,
    output: Pixels,
    residual: Option<Pixels>,
    dims: [usize; 3],
}

impl Lowering<'_> {
    pub(super) fn float_conv(&mut self, node: &Node, conv: &FloatConv) -> Result<(), PlanError> {
        let [n, channels, ..] = self.image(node.inputs[0])?;
        let [_, outs, rows, cols] = self.image(node.output)?;
        let mut x = self.channels_last(node.inputs[0], conv.pads)?;
        if x.shape[1] == 1 {
            x.strides[1] = FLOAT;
        }
        let residual = match node.inputs.get(1) {
            Some(&added) => Some(self.channels_last(added, [0; 4])?),
            None => None,
        };
        let (y, own) = self.pixels_out(node);
        let [top, left, ..] = conv.pads;
        x.offset -= top * x.strides[2] + left * x.strides[3];
        let input = Pixels {
            place: place(&x),
            steps: [x.strides[0], x.strides[2] * conv.strides[0], x.strides[3] * conv.strides[1]],
        };
        let rows = Rows { input, output: pixels(&y), residual: residual.as_ref().map(pixels), dims: [n, rows, cols] };
        if conv.groups == channels && outs == channels && channels > 1 && residual.is_none() {
            self.float_depthwise(conv, &x, &rows);
        } else {
            self.float_groups(conv, &x, rows);
        }
        self.back(&y, own);
        Ok(())
    }

    fn float_depthwise(&mut self, conv: &FloatConv, x: &View, rows: &Rows) {
        let (channels, taps) = (conv.groups, conv.kernel[0] * conv.kernel[1]);
        let data: Vec<f32> =
            (0..taps).flat_map(|tap| (0..channels).map(move |c| c * taps + tap)).map(|i| conv.weights[i]).collect();
        let packed = self.floats.pack_depthwise(&FloatDepthwiseWeights {
            channels,
            kh: conv.kernel[0],
            kw: conv.kernel[1],
            data: &data,
            bias: &conv.bias,
        });
        let len = rows.dims.iter().product::<usize>() * channels;
        let work = FloatWork::Depthwise {
            packed: Arc::new(packed),
            function: conv.epilogue.after,
            taps: [x.strides[2] * conv.dilations[0], x.strides[3] * conv.dilations[1]],
            input: rows.input,
            output: rows.output,
            dims: rows.dims,
        };
        self.push((len * taps) as u64, len * FLOAT, Work::Float(work));
    }

    /// One product for each group.
    fn float_groups(&mut self, conv: &FloatConv, x: &View, rows: Rows) {
        let [kh, kw] = conv.kernel;
        let (inside, outside) = (x.shape[1] / conv.groups, conv.bias.len() / conv.groups);
        // Neighbouring pixels of a window are neighbouring floats unless the input is dilated, grouped or part of a wider tensor.
        let (row, col) = (x.strides[2] * conv.dilations[0] / FLOAT, x.strides[3] * conv.dilations[1] / FLOAT);
        let (segments, segment, offsets) = segments([kh, kw], inside, [row, col]);
        let taps = kh * kw;
        for group in 0..conv.groups {
            let range = group * outside..(group + 1) * outside;
            let (weights, cut) = (conv.weights.clone(), range.start * inside * taps..range.end * inside * taps);
            let (floats, bias) = (self.floats, conv.bias[range].to_vec());
            let packed = self.packing.floats_later(floats.gemm_shape(outside, segments, segment), move || {
                let data = taps_first(&weights[cut], inside, taps);
                floats.pack_gemm(&FloatGemmWeights { n: outside, segments, segment, data: &data, bias: &bias })
            });
            let shifted = |pixels: Pixels, by: usize| {
                let mut pixels = pixels;
                pixels.place.offset += by * FLOAT;
                pixels
            };
            let own = Rows {
                input: shifted(rows.input, group * inside),
                output: shifted(rows.output, group * outside),
                residual: rows.residual.map(|r| shifted(r, group * outside)),
                dims: rows.dims,
            };
            self.float_gemm(packed, conv.epilogue, offsets.clone(), own);
        }
    }

    fn float_gemm(&mut self, packed: Arc<PackedFloatGemm>, epilogue: Epilogue, offsets: Vec<usize>, rows: Rows) {
        let len = rows.dims.iter().product::<usize>() * packed.shape.n;
        let macs = (len * packed.shape.depth()) as u64;
        let Rows { mut input, mut output, residual, mut dims } = rows;
        if residual.is_none() {
            (input, output, dims) = merged(input, output, dims);
        }
        let work = FloatWork::Gemm { packed, epilogue, offsets, input, output, residual, dims };
        self.push(macs, len * FLOAT, Work::Float(work));
    }

    pub(super) fn float_matmul(&mut self, node: &Node, matmul: &FloatMatMul) -> Result<(), PlanError> {
        let shape = self.shape(node.output);
        let last = shape.len() - 1;
        let mut x = self.in_rows(node.inputs[0])?;
        let own = self.allocate(node.output, &row_major(shape.len()));
        let mut y = own.clone();
        let mut residual = match node.inputs.get(1) {
            Some(&added) => Some(self.in_rows(added)?),
            None => None,
        };
        if y.strides[last] != FLOAT && shape[last] > 1 {
            y = self.plain_floats(shape);
        }
        let outer = |x: &View, y: &View, r: &View| {
            Loops::new(&shape[..last], [&x.strides[..last], &r.strides[..last], &y.strides[..last]]).axes
        };
        let mut axes = outer(&x, &y, residual.as_ref().unwrap_or(&y));
        if axes.len() > 3 {
            x = self.copied(&x);
            residual = residual.map(|r| self.copied(&r));
            if y.strides != super::lower::dense_strides(shape, FLOAT) {
                y = self.plain_floats(shape);
            }
            axes = outer(&x, &y, residual.as_ref().unwrap_or(&y));
        }
        if axes.len() > 3 {
            return Err(self.error("its result cannot be laid out in rows"));
        }
        while axes.len() < 3 {
            axes.insert(0, (1, [0; 3]));
        }
        let steps = |v: usize| [axes[0].1[v], axes[1].1[v], axes[2].1[v]];
        let rows = Rows {
            input: Pixels { place: place(&x), steps: steps(0) },
            output: Pixels { place: place(&y), steps: steps(2) },
            residual: residual.as_ref().map(|r| Pixels { place: place(r), steps: steps(1) }),
            dims: [axes[0].0, axes[1].0, axes[2].0],
        };
        let (weights, bias, floats) = (matmul.weights.clone(), matmul.bias.clone(), self.floats);
        let (n, segment) = (shape[last], x.shape[last]);
        let packed = self.packing.floats_later(floats.gemm_shape(n, 1, segment), move || {
            floats.pack_gemm(&FloatGemmWeights { n, segments: 1, segment, data: &weights, bias: &bias })
        });
        self.float_gemm(packed, matmul.epilogue, vec![0], rows);
        if y.buffer != own.buffer {
            self.copy(&y, &own, None);
        }
        Ok(())
    }

    pub(super) fn float_product(&mut self, node: &Node, function: Function) -> Result<(), PlanError> {
        let shape = self.shape(node.output);
        let rank = shape.len();
        let (m, n) = (shape[rank - 2], shape[rank - 1]);
        let a = self.in_rows(node.inputs[0])?;
        let b = self.view(node.inputs[1])?;
        let k = a.shape[rank - 1];
        let own = self.allocate(node.output, &row_major(rank));
        let whole = own.strides[rank - 1] == FLOAT || n == 1;
        let y = if whole { own.clone() } else { self.plain_floats(shape) };
        let packing = self.floats.gemm_shape(n, 1, k);
        // One packed matrix for each of the right operand's own, in the order of its axes.
        let batch = &b.shape[..rank - 2];
        let matrices: usize = batch.iter().product();
        let Some(len) = matrices.checked_mul(packing.len()) else { return Err(self.error("it is too large")) };
        let packed = self.fresh_of(FLOAT, &[len], &[0], &[(0, 0)]);
        let each = super::lower::dense_strides(batch, packing.len() * FLOAT);
        let loops = Loops::new(batch, [&b.strides[..rank - 2], &each]);
        let step = |strides: &[usize], axis: usize, len: usize| if len == 1 { FLOAT } else { strides[axis] };
        let work = FloatWork::Pack {
            shape: packing,
            steps: [step(&b.strides, rank - 2, k), step(&b.strides, rank - 1, n)],
            places: [place(&b), place(&packed)],
            loops: in_bytes(loops),
        };
        self.push_as("Pack f32", 0, len * FLOAT, Work::Float(work));
        let broadcast = |own: &[usize], strides: &[usize]| -> Vec<usize> {
            (0..rank - 2).map(|axis| if own[axis] == 1 { 0 } else { strides[axis] }).collect()
        };
        let (left, right) = (broadcast(&a.shape, &a.strides), broadcast(&b.shape, &each));
        let work = FloatWork::Product {
            shape: packing,
            function,
            rows: m,
            steps: [step(&a.strides, rank - 2, m), step(&y.strides, rank - 2, m)],
            places: [place(&a), place(&packed), place(&y)],
            loops: Loops::new(&shape[..rank - 2], [&left, &right, &y.strides[..rank - 2]]),
        };
        let len = y.len();
        self.push((len * k) as u64, len * FLOAT, Work::Float(work));
        self.back(&y, (!whole).then_some(own));
        Ok(())
    }

    /// A tensor whose last axis is innermost; a copy where it lies otherwise.
    fn in_rows(&mut self, id: usize) -> Result<View, PlanError> {
        let x = self.view(id)?;
        let last = x.shape.len() - 1;
        if x.strides[last] == FLOAT || x.shape[last] == 1 {
            return Ok(x);
        }
        Ok(self.copied(&x))
    }

    fn copied(&mut self, x: &View) -> View {
        let plain = self.plain_floats(&x.shape);
        self.copy(x, &plain, None);
        plain
    }

    /// A buffer of floats that lie row-major.
    fn plain_floats(&mut self, shape: &[usize]) -> View {
        self.fresh_of(FLOAT, shape, &row_major(shape.len()), &no_halo(shape.len()))
    }
}
