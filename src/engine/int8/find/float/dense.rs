//! Products of floats: `Conv`, `MatMul`, `Gemm`, and factors and terms for each channel.

use super::super::epilogue::Affine;
use super::super::net::Try;
use super::super::params::columns_first;
use super::super::pool;
use super::super::search::Search;
use super::named;
use super::tail::Tail;
use crate::int8::graph::{FloatConv, FloatMatMul, FloatOp, TensorId, Weights};
use crate::int8::kernels::float::{Epilogue, Function};
use crate::onnx::node;

impl<'a> Search<'a> {
    /// `Conv` over one or two spatial axes; `FusedConv` is one with an activation, and perhaps a sum with another tensor.
    pub fn float_conv(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let output = node::only_output(node)?;
        let weights = node::required_input(node, 1)?;
        if !self.net.is_constant(weights) {
            return Err("its weights depend on the input".into());
        }
        let out = self.net.shape(output)?;
        let shape = self.net.shape(weights)?;
        let x = self.as_floats(node::required_input(node, 0)?)?;
        let [n, c, h, w] = pool::picture(self.shape(x))?;
        let [out_n, m, out_h, out_w] = pool::picture(&out)?;
        let rank = out.len();
        if shape.len() != rank || self.shape(x).len() != rank {
            return Err("its weights have other dimensions than its input".into());
        }
        let groups = usize::try_from(node::int(node, "group", 1)?).ok().filter(|g| (1..=c).contains(g));
        let groups = groups.ok_or("its number of groups cannot be")?;
        if out_n != n || shape[0] != m || shape[1] * groups != c || m % groups != 0 {
            return Err(format!("weights of shape {shape:?} do not fit {c} channels in {groups} groups"));
        }
        let first = if rank == 3 { 3 } else { 2 };
        let slides = pool::sliding(node, &shape[2..], &[h, w][first - 2..], &[out_h, out_w][first - 2..])?;
        if slides.iter().any(|s| s.beyond > 0) {
            return Err("its windows leave its input".into());
        }
        let mut weights = self.float_weights(weights)?;
        let mut bias = self.terms(node::input(node, 2), m)?;
        let own = named::activation(node)?;
        let added = node::input(node, 3).map(|name| self.as_floats(name)).transpose()?;
        let fused = own != Function::Identity || added.is_some();
        let tail = if fused {
            let epilogue = Epilogue::of(own);
            Tail { affine: None, epilogue, residual: added, nodes: Vec::new(), output }
        } else {
            // A depthwise convolution adds no other tensor.
            self.tail(output, Some(1), groups == 1 || groups != m)
        };
        fold_weights(tail.affine.as_ref(), &mut weights, &mut bias)?;

        let mut draft = self.draft(index);
        let picture = vec![n, m, out_h, out_w];
        let mut inputs = vec![self.reshape(&mut draft, x, vec![n, c, h, w])];
        if let Some(added) = tail.residual {
            inputs.push(self.reshape(&mut draft, added, picture.clone()));
        }
        let [top, left] = pool::pair(&slides, |s| s.before, 0);
        let [bottom, right] = pool::pair(&slides, |s| s.after, 0);
        let op = FloatOp::Conv(FloatConv {
            weights,
            kernel: pool::pair(&slides, |s| s.kernel, 1),
            bias,
            strides: pool::pair(&slides, |s| s.stride, 1),
            dilations: pool::pair(&slides, |s| s.dilation, 1),
            pads: [top, left, bottom, right],
            groups,
            epilogue: tail.epilogue,
        });
        let y = self.float_step(&mut draft, op, inputs, picture);
        let y = self.reshape(&mut draft, y, out);
        self.float_finish(draft, y, tail.output, &tail.nodes, true)
    }

    /// `MatMul`.
    pub fn float_matmul(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let output = node::only_output(node)?;
        let (a, b) = (node::required_input(node, 0)?, node::required_input(node, 1)?);
        let out = self.net.shape(output)?;
        let shape = self.net.shape(b)?;
        let keep = shape.len().min(2);
        let x = self.as_floats(a)?;
        let one = shape[..shape.len() - keep].iter().all(|&d| d == 1);
        let (&[k, n], true, true) = (&shape[shape.len() - keep..], one, self.net.is_constant(b)) else {
            return self.float_product(index, x, b);
        };
        let x_shape = self.shape(x).to_vec();
        // Leading dimensions of 1 that the weights alone have change nothing but the shape of the result, which is known.
        let Some((&last, lead)) = x_shape.split_last() else { return Err("its operand has no dimensions".into()) };
        if last != k || lead.iter().product::<usize>() * n != out.iter().product::<usize>() {
            return Err(format!("weights of shape {shape:?} do not fit {x_shape:?}"));
        }
        let mut weights = Weights::from(columns_first(&self.float_weights(b)?, k, n));
        let mut bias = vec![0.0; n];
        let made: Vec<usize> = lead.iter().copied().chain([n]).collect();
        let channel = out.len().checked_sub(1).filter(|&axis| out[axis] == n);
        let tail = self.tail(output, channel, true);
        fold_weights(tail.affine.as_ref(), &mut weights, &mut bias)?;
        let mut draft = self.draft(index);
        self.weighed(&mut draft, x, (weights, bias), &tail, made)
            .and_then(|y| self.same_elements(&mut draft, y, &out))
            .and_then(|y| self.float_finish(draft, y, tail.output, &tail.nodes, true))
    }

    /// `Gemm` with constant weights.
    pub fn float_gemm(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let output = node::only_output(node)?;
        let b = node::required_input(node, 1)?;
        let out = self.net.shape(output)?;
        let shape = self.net.shape(b)?;
        let x = self.as_floats(node::required_input(node, 0)?)?;
        if !self.net.is_constant(b) {
            return Err("its weights depend on the input".into());
        }
        let (&[rows, columns], &[_, n]) = (&shape[..], &out[..]) else {
            return Err("its operands are not matrices".into());
        };
        let flipped = node::int(node, "transB", 0)? != 0;
        let k = if flipped { columns } else { rows };
        let mut weights = self.float_weights(b)?;
        if !flipped {
            weights = columns_first(&weights, rows, columns).into();
        }
        let (alpha, beta) = (node::float(node, "alpha", 1.0)?, node::float(node, "beta", 1.0)?);
        if alpha != 1.0 {
            weights.make_mut().iter_mut().for_each(|w| *w *= alpha);
        }
        let mut bias = match node::input(node, 2) {
            Some(name) => self.column_terms(name, &out)?.into_iter().map(|v| v as f32 * beta).collect(),
            None => vec![0.0; n],
        };
        let order = if node::int(node, "transA", 0)? != 0 { vec![1, 0] } else { vec![0, 1] };
        let mut draft = self.draft(index);
        let x = self.transpose(&mut draft, x, order);
        if self.shape(x) != [out[0], k] || weights.len() != k * n {
            return Err(format!("weights of shape {shape:?} do not fit {:?}", self.shape(x)));
        }
        let tail = self.tail(output, Some(1), true);
        fold_weights(tail.affine.as_ref(), &mut weights, &mut bias)?;
        let y = self.weighed(&mut draft, x, (weights, bias), &tail, out)?;
        self.float_finish(draft, y, tail.output, &tail.nodes, true)
    }

    /// The operator itself: `[…, K]` to `[…, N]`, which is `made`.
    fn weighed(
        &mut self,
        draft: &mut super::Draft<'a>,
        x: TensorId,
        (weights, bias): (Weights<f32>, Vec<f32>),
        tail: &Tail,
        made: Vec<usize>,
    ) -> Try<TensorId> {
        let mut inputs = vec![x];
        if let Some(added) = tail.residual {
            inputs.push(self.same_elements(draft, added, &made)?);
        }
        let op = FloatOp::MatMul(FloatMatMul { weights, bias, epilogue: tail.epilogue });
        Ok(self.float_step(draft, op, inputs, made))
    }

    /// `MatMul` of two tensors, or with a batch of constant matrices.
    fn float_product(&mut self, index: usize, a: TensorId, b: &'a str) -> Try<()> {
        let output = node::only_output(self.net.node(index))?;
        let out = self.net.shape(output)?;
        let b = self.as_floats(b)?;
        let (mut left, mut right) = (self.shape(a).to_vec(), self.shape(b).to_vec());
        if left.is_empty() || right.is_empty() {
            return Err("its operands have no dimensions".into());
        }
        if left.len() == 1 {
            left.insert(0, 1);
        }
        if right.len() == 1 {
            right.push(1);
        }
        let rank = left.len().max(right.len());
        for shape in [&mut left, &mut right] {
            let more = rank - shape.len();
            shape.splice(0..0, std::iter::repeat_n(1, more));
        }
        let lead = super::super::elementwise::broadcast(&left[..rank - 2], &right[..rank - 2]);
        let mut made = lead.ok_or("its operands do not broadcast")?;
        made.extend([left[rank - 2], right[rank - 1]]);
        if left[rank - 1] != right[rank - 2] || made.iter().product::<usize>() != out.iter().product::<usize>() {
            return Err(format!("shapes {left:?} and {right:?} do not fit"));
        }
        let start = self.net.consumers(output).first().copied();
        let region = start.and_then(|start| self.function_behind(output, start, true));
        let (function, nodes, output) = match region {
            Some(region) => (region.function, region.nodes, region.output),
            None => (Function::Identity, Vec::new(), output),
        };
        let mut draft = self.draft(index);
        let a = self.reshape(&mut draft, a, left);
        let b = self.reshape(&mut draft, b, right);
        let y = self.float_step(&mut draft, FloatOp::Product { function }, vec![a, b], made);
        let y = self.reshape(&mut draft, y, out);
        self.float_finish(draft, y, output, &nodes, true)
    }

    /// A `BatchNormalization` that no product takes in: a depthwise convolution of one pixel.
    pub fn float_normalization(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let output = node::only_output(node)?;
        let x = self.as_floats(node::required_input(node, 0)?)?;
        let shape = self.shape(x).to_vec();
        let (Some(&n), Some(&c)) = (shape.first(), shape.get(1)) else { return Err("it has no channels".into()) };
        let (factor, term) = self.normalization(node, c)?;
        let tail = self.tail(output, Some(1), false);
        let (mut weights, mut bias) = (vec![1.0; c], vec![0.0; c]);
        fold(Some(&Affine { factor, term }), &mut weights, &mut bias)?;
        fold(tail.affine.as_ref(), &mut weights, &mut bias)?;
        let pixels = shape[2..].iter().product::<usize>();
        let picture = if shape.len() == 4 { shape.clone() } else { vec![n, c, 1, pixels] };
        let mut draft = self.draft(index);
        let inputs = vec![self.reshape(&mut draft, x, picture.clone())];
        let op = FloatOp::Conv(FloatConv {
            weights: weights.into(),
            kernel: [1, 1],
            bias,
            strides: [1, 1],
            dilations: [1, 1],
            pads: [0; 4],
            groups: c,
            epilogue: tail.epilogue,
        });
        let y = self.float_step(&mut draft, op, inputs, picture);
        let y = self.reshape(&mut draft, y, shape);
        self.float_finish(draft, y, tail.output, &tail.nodes, true)
    }

    /// One term for each channel: a constant, or zeros.
    pub(super) fn terms(&mut self, name: Option<&str>, channels: usize) -> Try<Vec<f32>> {
        let Some(name) = name else { return Ok(vec![0.0; channels]) };
        if !self.net.is_constant(name) || self.net.shape(name)? != [channels] {
            return Err(format!("its bias {name:?} is not one constant for each of {channels} channels"));
        }
        self.constant_floats(name)
    }
}

/// [`fold`], which copies weights that others hold as well, unless there is nothing to put into them.
fn fold_weights(affine: Option<&Affine>, weights: &mut Weights<f32>, bias: &mut [f32]) -> Try<()> {
    match affine {
        Some(_) => fold(affine, weights.make_mut(), bias),
        None => Ok(()),
    }
}

/// Puts factors and terms for each channel into weights `[channels][…]` and biases.
pub(super) fn fold(affine: Option<&Affine>, weights: &mut [f32], bias: &mut [f32]) -> Try<()> {
    let Some(affine) = affine else { return Ok(()) };
    if affine.factor.len() != bias.len() || bias.is_empty() {
        return Err(format!("it has {} factors for {} channels", affine.factor.len(), bias.len()));
    }
    let row = weights.len() / bias.len();
    for (channel, bias) in bias.iter_mut().enumerate() {
        let factor = affine.factor[channel];
        for weight in &mut weights[channel * row..(channel + 1) * row] {
            *weight = (f64::from(*weight) * factor) as f32;
        }
        *bias = (f64::from(*bias) * factor + affine.term[channel]) as f32;
    }
    Ok(())
}
