//! Products with constant weights: `Conv`, `MatMul`, `Gemm`.

use super::epilogue::{Affine, Epilogue};
use super::net::Try;
use super::params::Stored;
use super::pool;
use super::search::{Draft, Search};
use crate::int8::graph::{Clamp, Conv, MatMul, Op, TensorId, Weights};
use crate::onnx::node;

/// Weights `[outputs][inputs]`, made of integers that may not fit a byte.
pub(super) struct Rows {
    pub outputs: usize,
    pub inputs: usize,
    /// Bytes, of which the zero points are still to be taken.
    pub bytes: Weights<i8>,
    /// One, or one for each output.
    pub zero_points: Vec<i32>,
    /// One for each output.
    pub scales: Vec<f64>,
}

impl Rows {
    /// Rows of `stored` are outputs; its scales and zero points, if there are several, run along its first axis.
    pub fn of(stored: Stored) -> Try<Rows> {
        let outputs = *stored.shape.first().ok_or("its weights have no dimensions")?;
        let inputs = stored.shape[1..].iter().product();
        if stored.slices() > 1 && stored.axis != 0 {
            return Err("the scales of its weights do not run along the output channels".into());
        }
        let scales = stored.scales.iter().map(|&s| f64::from(s));
        let scales = if stored.scales.len() > 1 { scales.collect() } else { scales.cycle().take(outputs).collect() };
        let (bytes, zero_points) = stored.into_bytes()?;
        Ok(Rows { outputs, inputs, bytes, zero_points, scales })
    }

    /// The weights as bytes, and the bytes' zero points if not all are 0: of unsigned bytes, a row reaches anywhere from −255 to
    /// 255 but no further from end to end than a byte does. Where the file's bytes will do, they are those of the file.
    pub fn into_bytes(self) -> Try<(Weights<i8>, Vec<i8>)> {
        let Rows { inputs, mut bytes, zero_points, .. } = self;
        let (mut zeros, mut shifts) = (Vec::with_capacity(self.outputs), Vec::with_capacity(self.outputs));
        for (row, values) in bytes.chunks(inputs.max(1)).enumerate() {
            let from = zero_points[row % zero_points.len()];
            let first = values.first().copied().unwrap_or(0);
            let least = i64::from(values.iter().copied().fold(first, i8::min)) - i64::from(from);
            let most = i64::from(values.iter().copied().fold(first, i8::max)) - i64::from(from);
            // As little as will do. −128 is kept out where it can be, since some kernels take a slower way with it.
            let zero = match (least, most) {
                (-128.., ..=127) => 0,
                (_, 128..) => 127 - most,
                _ => (-127 - least).min(127 - most),
            };
            let zero = i8::try_from(zero).ok().filter(|&zero| least + i64::from(zero) >= -128);
            zeros.push(zero.ok_or_else(|| format!("its weights less their zero point reach from {least} to {most}"))?);
            shifts.push(i32::from(zeros[row]) - from);
        }
        if shifts.iter().any(|&shift| shift != 0) {
            for (values, &shift) in bytes.make_mut().chunks_mut(inputs.max(1)).zip(&shifts) {
                // The sum fits a byte, so its lowest one is all there is.
                values.iter_mut().for_each(|value| *value = value.wrapping_add(shift as i8));
            }
        }
        Ok((bytes, if zeros.iter().all(|&z| z == 0) { Vec::new() } else { zeros }))
    }
}

/// `Σ |w − zero|`.
fn sum_of_magnitudes(weights: &[i8], zero: i8) -> u64 {
    // Sums of so many fit 32 bits.
    let chunks = weights.chunks(1 << 16);
    let sum =
        |chunk: &[i8]| chunk.iter().map(|&w| u32::from((i16::from(w) - i16::from(zero)).unsigned_abs())).sum::<u32>();
    chunks.map(|chunk| u64::from(sum(chunk))).sum()
}

/// A product ready for its operator.
pub(super) struct Dense {
    pub weights: Weights<i8>,
    /// Zero points of the weights; empty where all are 0.
    pub zeros: Vec<i8>,
    pub scales: Vec<f32>,
    pub bias: Vec<i32>,
}

impl<'a> Search<'a> {
    /// Weights and bias in units of the sums, what follows folded in.
    pub(super) fn dense(&self, x: TensorId, mut rows: Rows, bias: Option<Vec<f64>>, epilogue: &Epilogue) -> Try<Dense> {
        let (count, inputs) = (rows.outputs, rows.inputs);
        let weight_scales = std::mem::take(&mut rows.scales);
        let (bytes, zeros) = rows.into_bytes()?;
        let unit = Affine { factor: vec![1.0; count], term: vec![0.0; count] };
        let affine = epilogue.affine.as_ref().unwrap_or(&unit);
        let bias = bias.unwrap_or_else(|| vec![0.0; count]);
        if affine.factor.len() != count || bias.len() != count {
            return Err(format!("it has {} terms for {count} outputs", bias.len()));
        }
        let quant = self.quant(x);
        let span = f64::from((127 - quant.zero_point).max(quant.zero_point + 128));
        let mut dense = Dense { weights: bytes, zeros, scales: Vec::new(), bias: Vec::new() };
        for (channel, bias) in bias.iter().enumerate() {
            let row = channel * inputs..(channel + 1) * inputs;
            let zero = dense.zeros.get(channel).copied().unwrap_or(0);
            let factor = affine.factor[channel];
            let real = bias * factor + affine.term[channel];
            let mut scale = weight_scales[channel] * factor;
            let sum = sum_of_magnitudes(&dense.weights[row.clone()], zero);
            if factor == 0.0 || sum == 0 {
                // Nothing but the term is left, whatever the scale: one that shows it finely.
                dense.weights.make_mut()[row].fill(zero);
                let unit = if real == 0.0 { f64::from(epilogue.quant.scale) } else { real.abs() / f64::from(1 << 20) };
                scale = unit / f64::from(quant.scale);
            }
            let unit = scale * f64::from(quant.scale);
            let to_output = (unit / f64::from(epilogue.quant.scale)).abs();
            if !(1e-30..=1e30).contains(&to_output) || !(1e-30..=1e30).contains(&scale.abs()) {
                return Err(format!("the scale {scale:e} of output channel {channel} is out of range"));
            }
            let start = (real / unit).round_ties_even();
            let most = start.abs() + sum as f64 * span;
            if most.is_nan() || most >= f64::from(i32::MAX) {
                return Err(format!("the sums of output channel {channel} do not fit 32 bits"));
            }
            dense.scales.push(scale as f32);
            dense.bias.push(start as i32);
        }
        Ok(dense)
    }

    /// Weights as integers, or why there are none.
    pub(super) fn stored_weights(&mut self, name: &str) -> Try<Stored> {
        if !self.net.is_constant(name) {
            return Err("its weights depend on the input".into());
        }
        self.spend(name)?;
        Stored::find(&self.net, name).map_err(|why| format!("its weights: {why}"))
    }

    /// `Conv` over one or two spatial axes.
    pub fn conv(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let output = node::only_output(node)?;
        let stored = self.stored_weights(node::required_input(node, 1)?)?;
        let out = self.net.shape(output)?;
        let x = self.real(node::required_input(node, 0)?)?;
        let [n, c, h, w] = pool::picture(self.shape(x))?;
        let [out_n, m, out_h, out_w] = pool::picture(&out)?;
        let rank = out.len();
        if stored.shape.len() != rank || self.shape(x).len() != rank {
            return Err("its weights have other dimensions than its input".into());
        }
        let groups = usize::try_from(node::int(node, "group", 1)?).ok().filter(|g| (1..=c).contains(g));
        let groups = groups.ok_or("its number of groups cannot be")?;
        let kernel = stored.shape[2..].to_vec();
        let inner = stored.shape[1];
        if out_n != n || stored.shape[0] != m || inner * groups != c || m % groups != 0 {
            return Err(format!("weights of shape {:?} do not fit {c} channels in {groups} groups", stored.shape));
        }
        let first = if rank == 3 { 3 } else { 2 };
        let slides = pool::sliding(node, &kernel, &[h, w][first - 2..], &[out_h, out_w][first - 2..])?;
        if slides.iter().any(|s| s.beyond > 0) {
            return Err("its windows leave its input".into());
        }
        let bias = node::input(node, 2).map(|name| self.channel_terms(name, m)).transpose()?;
        let epilogue = self.epilogue(output, Some(1))?;
        let dense = self.dense(x, Rows::of(stored)?, bias, &epilogue)?;

        let mut draft = self.draft(index);
        let x = self.reshape(&mut draft, x, vec![n, c, h, w]);
        let [top, left] = pool::pair(&slides, |s| s.before, 0);
        let [bottom, right] = pool::pair(&slides, |s| s.after, 0);
        let op = Op::Conv(Conv {
            weights: dense.weights,
            weight_zeros: dense.zeros,
            kernel: pool::pair(&slides, |s| s.kernel, 1),
            weight_scales: dense.scales,
            bias: dense.bias,
            strides: pool::pair(&slides, |s| s.stride, 1),
            dilations: pool::pair(&slides, |s| s.dilation, 1),
            pads: [top, left, bottom, right],
            groups,
            clamp: epilogue.clamp,
        });
        let y = self.step(&mut draft, op, vec![x], vec![n, m, out_h, out_w], epilogue.quant);
        let y = self.reshape(&mut draft, y, out);
        self.finish(draft, y, &epilogue, true)
    }

    /// `MatMul` with a constant on one side.
    pub fn matmul(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let output = node::only_output(node)?;
        let (a, b) = (node::required_input(node, 0)?, node::required_input(node, 1)?);
        let left = self.net.is_constant(a);
        if !left && !self.net.is_constant(b) {
            return self.batch_matmul(index);
        }
        let mut stored = self.stored_weights(if left { a } else { b })?;
        let out = self.net.shape(output)?;
        let x = self.real(if left { b } else { a })?;
        // Leading dimensions of 1 change nothing but the shape of the result, which is known.
        let keep = stored.shape.len().min(2);
        let lead = stored.shape.len() - keep;
        if stored.shape[..lead].iter().any(|&d| d != 1) || stored.scales.len() > 1 && stored.axis < lead {
            return Err("its weights are a batch of matrices".into());
        }
        let shape = match stored.shape[lead..] {
            [k] if left => vec![1, k],
            [k] => vec![k, 1],
            [rows, columns] => vec![rows, columns],
            _ => return Err("its weights have no dimensions".into()),
        };
        stored = stored.reshaped(shape)?;
        if !left {
            stored = stored.transposed(&[1, 0]);
        }
        let weights = Rows::of(stored)?;
        let mut draft = self.draft(index);
        let x_shape = self.shape(x).to_vec();
        let rank = x_shape.len();
        if left && (rank < 2 || out.len() != rank || weights.outputs != out[rank - 2]) {
            return Err("its operands do not fit".into());
        }
        let channel = if left { Some(out.len() - 2) } else { out.len().checked_sub(1) };
        // A vector as weights leaves no axis for its one channel.
        let channel = channel.filter(|&c| out[c] == weights.outputs);
        let epilogue = self.epilogue(output, channel)?;
        let mut swap: Vec<usize> = (0..rank).collect();
        if left {
            swap.swap(rank - 2, rank - 1);
        }
        let x = self.transpose(&mut draft, x, swap.clone());
        let y = self.product(&mut draft, x, weights, None, &epilogue)?;
        let y = self.transpose(&mut draft, y, swap);
        let y = self.same_elements(&mut draft, y, &out)?;
        self.finish(draft, y, &epilogue, true)
    }

    /// `Gemm` with constant weights.
    pub fn gemm(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let output = node::only_output(node)?;
        let mut stored = self.stored_weights(node::required_input(node, 1)?)?;
        let out = self.net.shape(output)?;
        let x = self.real(node::required_input(node, 0)?)?;
        let (alpha, beta) = (node::float(node, "alpha", 1.0)?, node::float(node, "beta", 1.0)?);
        if stored.shape.len() != 2 || self.shape(x).len() != 2 || out.len() != 2 {
            return Err("its operands are not matrices".into());
        }
        if node::int(node, "transB", 0)? == 0 {
            stored = stored.transposed(&[1, 0]);
        }
        let mut weights = Rows::of(stored)?;
        weights.scales.iter_mut().for_each(|s| *s *= f64::from(alpha));
        let bias = match node::input(node, 2) {
            Some(name) => {
                let mut bias = self.column_terms(name, &out)?;
                bias.iter_mut().for_each(|b| *b *= f64::from(beta));
                Some(bias)
            }
            None => None,
        };
        let epilogue = self.epilogue(output, Some(1))?;
        let mut draft = self.draft(index);
        let order = if node::int(node, "transA", 0)? != 0 { vec![1, 0] } else { vec![0, 1] };
        let x = self.transpose(&mut draft, x, order);
        let y = self.product(&mut draft, x, weights, bias, &epilogue)?;
        let y = self.same_elements(&mut draft, y, &out)?;
        self.finish(draft, y, &epilogue, true)
    }

    /// The operator itself: `[…, K]` to `[…, N]`.
    fn product(
        &mut self,
        draft: &mut Draft<'a>,
        x: TensorId,
        weights: Rows,
        bias: Option<Vec<f64>>,
        epilogue: &Epilogue,
    ) -> Try<TensorId> {
        let Some((&k, lead)) = self.shape(x).split_last() else { return Err("its operand has no dimensions".into()) };
        if k != weights.inputs {
            return Err(format!("{} weights for {k} values", weights.inputs));
        }
        let shape = lead.iter().copied().chain([weights.outputs]).collect();
        let dense = self.dense(x, weights, bias, epilogue)?;
        let op = Op::MatMul(MatMul {
            weights: dense.weights,
            weight_zeros: dense.zeros,
            weight_scales: dense.scales,
            bias: dense.bias,
            clamp: epilogue.clamp,
        });
        Ok(self.step(draft, op, vec![x], shape, epilogue.quant))
    }

    /// The third operand of `Conv`.
    pub(super) fn channel_terms(&self, name: &str, channels: usize) -> Try<Vec<f64>> {
        if !self.net.is_constant(name) || self.net.shape(name)? != [channels] {
            return Err(format!("its bias {name:?} is not one constant for each of {channels} channels"));
        }
        self.reals(name)
    }

    /// The third operand of `Gemm`, which must be the same in every row.
    pub(super) fn column_terms(&self, name: &str, out: &[usize]) -> Try<Vec<f64>> {
        if !self.net.is_constant(name) {
            return Err(format!("its operand {name:?} is not a constant"));
        }
        match self.per_channel(name, out, 1) {
            Ok(terms) => Ok(terms),
            Err(why) => {
                let (values, shape) = (self.reals(name)?, self.net.shape(name)?);
                let columns = out[1];
                let same = shape == out && values.chunks(columns).all(|row| row == &values[..columns]);
                if same { Ok(values[..columns].to_vec()) } else { Err(why) }
            }
        }
    }

    /// A standalone term and factor for each channel of a quantised tensor: a depthwise convolution of one pixel.
    pub fn scaled(&mut self, index: usize, x: TensorId, affine: Affine, epilogue: &Epilogue<'a>) -> Try<()> {
        let shape = self.shape(x).to_vec();
        let (n, c) = (shape[0], affine.factor.len());
        if shape.len() < 2 || shape[1] != c {
            return Err("its channels are not on the second axis".into());
        }
        // A power of two, so that the factor stays exact and the term gets a fine unit.
        const ONE: i8 = 64;
        let (bytes, scales) = (vec![ONE; c].into(), vec![1.0 / f64::from(ONE); c]);
        let weights = Rows { outputs: c, inputs: 1, bytes, zero_points: vec![0], scales };
        let mut all = affine;
        if let Some(more) = &epilogue.affine {
            for channel in 0..c {
                all.factor[channel] *= more.factor[channel];
                all.term[channel] = all.term[channel] * more.factor[channel] + more.term[channel];
            }
        }
        // A term is rounded to a 64th of a step of the operand, which must stay small in steps of the result.
        let coarse = |(factor, term): (&f64, &f64)| {
            *term != 0.0 && factor.abs() * f64::from(self.quant(x).scale) > 8.0 * f64::from(epilogue.quant.scale)
        };
        if all.factor.iter().zip(&all.term).any(coarse) {
            return Err("its terms are too fine for its operand".into());
        }
        let whole = Epilogue {
            affine: Some(all),
            clamp: epilogue.clamp,
            quant: epilogue.quant,
            ..Epilogue::empty(epilogue.quant)
        };
        let dense = self.dense(x, weights, None, &whole)?;
        let pixels = shape[2..].iter().product::<usize>();
        let picture = if shape.len() == 4 { shape.clone() } else { vec![n, c, 1, pixels] };
        let mut draft = self.draft(index);
        let y = self.reshape(&mut draft, x, picture.clone());
        let op = Op::Conv(Conv {
            weights: dense.weights,
            weight_zeros: dense.zeros,
            kernel: [1, 1],
            weight_scales: dense.scales,
            bias: dense.bias,
            strides: [1, 1],
            dilations: [1, 1],
            pads: [0; 4],
            groups: c,
            clamp: epilogue.clamp,
        });
        let y = self.step(&mut draft, op, vec![y], picture, epilogue.quant);
        let y = self.reshape(&mut draft, y, shape);
        self.finish(draft, y, epilogue, true)
    }
}

impl Epilogue<'_> {
    /// A way without nodes.
    fn empty(quant: crate::int8::graph::Quant) -> Self {
        Epilogue { quant, clamp: Clamp::NONE, affine: None, nodes: Vec::new(), moves: Vec::new(), outputs: Vec::new() }
    }
}
