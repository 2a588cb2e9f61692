//! `ConvTranspose` on floats, as a convolution that makes all phases of an output pixel at once.
//!
//! With stride `s`, an output `o` (padding counted) is `q · s + r`; what adds to it are the inputs `q − t` by the taps `r + t · s`. So the phases `r` are
//! channels of one convolution over `⌈kernel / s⌉` inputs, which are then put side by side and cropped.

use super::super::net::Try;
use super::super::pool;
use super::super::search::Search;
use super::dense::fold;
use crate::int8::graph::{FloatConv, FloatOp};
use crate::onnx::node;

/// One axis: sizes of input and output, taps, stride, and the padding in front.
#[derive(Clone, Copy)]
struct Axis {
    dim: usize,
    out: usize,
    kernel: usize,
    stride: usize,
    before: usize,
}

impl Axis {
    /// Taps of the convolution.
    fn taps(self) -> usize {
        self.kernel.div_ceil(self.stride)
    }

    /// Zeros behind the input, so that every output has all of its inputs.
    fn after(self) -> usize {
        (self.out + self.before).div_ceil(self.stride).saturating_sub(self.dim)
    }

    /// Outputs of the convolution.
    fn made(self) -> usize {
        self.dim + self.after()
    }
}

impl Search<'_> {
    /// `ConvTranspose` over one or two spatial axes.
    pub fn float_conv_transposed(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let output = node::only_output(node)?;
        let weights = node::required_input(node, 1)?;
        if !self.net.is_constant(weights) {
            return Err("its weights depend on the input".into());
        }
        if node::text(node, "auto_pad", "NOTSET")? != "NOTSET" || node::ints(node, "output_shape")?.is_some() {
            return Err("its padding follows from the size of its output".into());
        }
        let (out, shape) = (self.net.shape(output)?, self.net.shape(weights)?);
        let x = self.as_floats(node::required_input(node, 0)?)?;
        let [n, c, h, w] = pool::picture(self.shape(x))?;
        let [out_n, m, out_h, out_w] = pool::picture(&out)?;
        let rank = out.len();
        let groups = usize::try_from(node::int(node, "group", 1)?).ok().filter(|g| (1..=c).contains(g));
        let groups = groups.ok_or("its number of groups cannot be")?;
        let fits = shape.len() == rank && self.shape(x).len() == rank && out_n == n;
        if !fits || shape[0] != c || shape[1] * groups != m || c % groups != 0 {
            return Err(format!("weights of shape {shape:?} do not fit {c} channels in {groups} groups"));
        }
        let spatial = rank - 2;
        if node::window(node, "dilations", spatial, 1, 1)?.iter().any(|&d| d != 1) {
            return Err("its taps are dilated".into());
        }
        let strides = node::window(node, "strides", spatial, 1, 1)?;
        let pads = node::window(node, "pads", 2 * spatial, 0, 0)?;
        let axes: Vec<Axis> = (0..spatial)
            .map(|axis| {
                let (dim, out) = ([h, w][2 - spatial + axis], [out_h, out_w][2 - spatial + axis]);
                Axis { dim, out, kernel: shape[2 + axis], stride: strides[axis], before: pads[axis] }
            })
            .collect();
        let single = Axis { dim: 1, out: 1, kernel: 1, stride: 1, before: 0 };
        let [rows, cols] = match axes[..] {
            [cols] => [single, cols],
            [rows, cols] => [rows, cols],
            _ => return Err("it has other axes than rows and columns".into()),
        };
        let values = self.constant_floats(weights)?;
        let bias = self.terms(node::input(node, 2), m)?;
        let (inside, outside) = (c / groups, m / groups);
        let phases = rows.stride * cols.stride;
        let too_large = || "its phases are too many".to_owned();
        let count = [m, inside, phases, rows.taps(), cols.taps()].iter().try_fold(1usize, |a, &b| a.checked_mul(b));
        // Rounding kernels up to whole strides makes them at most so much larger.
        count.filter(|&count| count / 16 <= values.len()).ok_or_else(too_large)?;
        let (mut made, mut terms) = (Vec::with_capacity(count.unwrap_or(0)), Vec::with_capacity(m * phases));
        for group in 0..groups {
            for (ry, rx) in (0..phases).map(|phase| (phase / cols.stride, phase % cols.stride)) {
                for out in 0..outside {
                    terms.push(bias[group * outside + out]);
                    for channel in group * inside..(group + 1) * inside {
                        for (ty, tx) in (0..rows.taps() * cols.taps()).map(|t| (t / cols.taps(), t % cols.taps())) {
                            let ky = ry + (rows.taps() - 1 - ty) * rows.stride;
                            let kx = rx + (cols.taps() - 1 - tx) * cols.stride;
                            let inside = ky < rows.kernel && kx < cols.kernel;
                            let at = ((channel * outside + out) * rows.kernel + ky) * cols.kernel + kx;
                            made.push(if inside { values[at] } else { 0.0 });
                        }
                    }
                }
            }
        }
        let tail = self.tail(output, Some(1), false);
        if let Some(affine) = &tail.affine {
            let wide = affine.repeated(groups, outside, phases);
            fold(Some(&wide), &mut made, &mut terms)?;
        }
        let mut draft = self.draft(index);
        let picture = self.reshape(&mut draft, x, vec![n, c, h, w]);
        let op = FloatOp::Conv(FloatConv {
            weights: made.into(),
            kernel: [rows.taps(), cols.taps()],
            bias: terms,
            strides: [1, 1],
            dilations: [1, 1],
            pads: [rows.taps() - 1, cols.taps() - 1, rows.after(), cols.after()],
            groups,
            epilogue: tail.epilogue,
        });
        let y = self.float_step(&mut draft, op, vec![picture], vec![n, m * phases, rows.made(), cols.made()]);
        let apart = vec![n, groups, rows.stride, cols.stride, outside, rows.made(), cols.made()];
        let y = self.reshape(&mut draft, y, apart);
        let y = self.transpose(&mut draft, y, vec![0, 1, 4, 5, 2, 6, 3]);
        let y = self.reshape(&mut draft, y, vec![n, m, rows.made() * rows.stride, cols.made() * cols.stride]);
        let y = self.take(&mut draft, y, 2, (rows.before..rows.before + rows.out).collect())?;
        let y = self.take(&mut draft, y, 3, (cols.before..cols.before + cols.out).collect())?;
        let y = self.same_elements(&mut draft, y, &out)?;
        self.float_finish(draft, y, tail.output, &tail.nodes, true)
    }
}
