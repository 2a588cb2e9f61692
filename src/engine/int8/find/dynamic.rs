//! Products whose operand is quantised as it comes: `DynamicQuantizeLinear → ConvInteger or MatMulInteger → Cast → Mul`, as
//! onnxruntime's `quantize_dynamic` writes them, and bias and limits behind it.
//!
//! The nodes are seen from the `DynamicQuantizeLinear`, whose three results mean nothing by themselves: all that read them
//! become one item, or none of them.

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::DatumType;

use super::dense::Rows;
use super::net::Try;
use super::params::Stored;
use super::pool;
use super::search::{Draft, Search, View};
use crate::int8::graph::{Clamp, Conv, FloatOp, Hybrid, MatMul, Product, Ranges, TensorId};
use crate::onnx::node;

/// The results of a `DynamicQuantizeLinear`.
#[derive(Clone, Copy)]
struct Quantised<'a> {
    bytes: &'a str,
    scale: &'a str,
    zero_point: &'a str,
}

/// An integer product and what follows it.
pub(super) struct Chain<'a> {
    /// The product.
    pub index: usize,
    /// Every node but the product.
    pub nodes: Vec<usize>,
    /// Parts of the operand that have a range of their own.
    pub ranges: Ranges,
    /// Of the weights, one for each channel.
    pub scales: Vec<f32>,
    /// One for each channel.
    pub bias: Vec<f32>,
    pub limits: (f32, f32),
    /// Name of the result.
    pub output: &'a str,
}

impl<'a> Search<'a> {
    /// `DynamicQuantizeLinear` and all that reads it.
    pub fn dynamic(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let [bytes, scale, zero_point] = &node.output[..] else { return Err("it has not three outputs".into()) };
        let quantised = Quantised { bytes, scale, zero_point };
        if node.output.iter().any(|name| self.net.is_kept(name)) {
            return Err("what it makes leaves the model".into());
        }
        let readers = self.net.consumers(bytes).to_vec();
        let chains = readers.iter().map(|&reader| self.chain(reader, quantised)).collect::<Try<Vec<_>>>()?;
        let nodes: Vec<usize> = chains.iter().flat_map(|c| c.nodes.iter().copied().chain([c.index])).collect();
        for name in [scale, zero_point] {
            if let Some(&other) = self.net.consumers(name).iter().find(|reader| !nodes.contains(reader)) {
                return Err(format!("{name:?} is read by {} too", self.net.node(other).op_type));
            }
        }
        if chains.is_empty() {
            return Err("nothing reads it".into());
        }
        let x = self.as_floats(node::required_input(node, 0)?)?;
        let mut draft = self.draft(index);
        let mut results = Vec::with_capacity(chains.len());
        for chain in &chains {
            let product = self.net.node(chain.index);
            let stored = self.integer_weights(product, &chain.scales);
            let y = stored.and_then(|stored| self.hybrid(&mut draft, x, chain, stored));
            let y = y.map_err(|why| format!("{} {:?} behind it: {why}", product.op_type, product.name))?;
            results.push((chain.output, y));
        }
        for (name, tensor) in results {
            self.name(name, View::Floats { tensor })?;
        }
        self.close(draft, &nodes, true);
        Ok(())
    }

    /// Follows the result of an integer product to its floats, and as far behind as bias and limits go.
    fn chain(&self, index: usize, quantised: Quantised) -> Try<Chain<'a>> {
        let node = self.net.node(index);
        let other = || Err(format!("{} {:?} reads it", node.op_type, node.name));
        if !matches!(node.op_type.as_str(), "ConvInteger" | "MatMulInteger")
            || !matches!(node.domain.as_str(), "" | "ai.onnx")
            || node::input(node, 0) != Some(quantised.bytes)
            || node::input(node, 2) != Some(quantised.zero_point)
        {
            return other();
        }
        let mut chain = Chain {
            index,
            nodes: Vec::new(),
            ranges: Ranges::Whole,
            scales: Vec::new(),
            bias: Vec::new(),
            limits: (f32::NEG_INFINITY, f32::INFINITY),
            output: node::only_output(node)?,
        };
        let shape = self.net.shape(chain.output)?;
        let axis = if node.op_type == "ConvInteger" { Some(1) } else { shape.len().checked_sub(1) };
        let axis = axis.filter(|&a| a < shape.len()).ok_or("its result has no channels")?;
        let cast = self.follow(&mut chain)?;
        if cast.op_type != "Cast" || self.net.dtype(chain.output) != Some(DatumType::F32) {
            return Err(format!("{} makes integers that are read by {}", node.op_type, cast.op_type));
        }
        let sums = node::only_output(cast)?;
        let product = self.follow(&mut chain)?;
        let [a, b] = &product.input[..] else { return other() };
        let factor = if a == sums { b } else { a };
        let maker = self.net.producer(factor).filter(|_| product.op_type == "Mul" && factor != sums);
        let maker = maker.ok_or_else(|| format!("{} is not scaled behind it", node.op_type))?;
        let scaling = self.net.node(maker);
        let [a, b] = &scaling.input[..] else { return other() };
        let weight_scale = if a == quantised.scale { b } else { a };
        let alone = self.net.consumers(factor).len() == 1 && !self.net.is_kept(factor);
        if scaling.op_type != "Mul"
            || !alone
            || (a != quantised.scale && b != quantised.scale)
            || !self.net.is_constant(weight_scale)
            || self.net.shape(chain.output)? != shape
        {
            return Err(format!("{} is not scaled by the scales of its operands", node.op_type));
        }
        chain.nodes.push(maker);
        chain.scales = self.per_channel(weight_scale, &shape, axis)?.into_iter().map(|v| v as f32).collect();
        chain.bias = vec![0.0; chain.scales.len()];
        self.added(&mut chain, &shape, axis);
        Ok(chain)
    }

    /// Takes bias and limits into a chain, as far as they follow.
    pub(super) fn added(&self, chain: &mut Chain<'a>, shape: &[usize], axis: usize) {
        let (mut biased, mut limited) = (false, false);
        while let Some((reader, node)) = self.sole_reader(chain.output) {
            let Ok(output) = node::only_output(node) else { return };
            if self.net.shape(output).ok().as_deref() != Some(shape) {
                return;
            }
            if let Ok(Some((low, high))) = self.limits(node, chain.output)
                && low <= high
            {
                let (least, most) = chain.limits;
                chain.limits = (least.clamp(low, high), most.clamp(low, high));
                limited = true;
            } else if let ("Add", [a, b], false, false) = (node.op_type.as_str(), &node.input[..], biased, limited) {
                let term = if a == chain.output { b } else { a };
                if term == chain.output || !self.net.is_constant(term) {
                    return;
                }
                let Ok(values) = self.per_channel(term, shape, axis) else { return };
                chain.bias.iter_mut().zip(values).for_each(|(bias, value)| *bias += value as f32);
                biased = true;
            } else {
                return;
            }
            chain.nodes.push(reader);
            chain.output = output;
        }
    }

    /// The only node that reads a name, if it is read nowhere else.
    fn sole_reader(&self, name: &str) -> Option<(usize, &'a NodeProto)> {
        let &[reader] = self.net.consumers(name) else { return None };
        let free = self.roles[reader].is_none() && !self.net.is_kept(name);
        free.then(|| (reader, self.net.node(reader)))
    }

    /// The only reader of a chain's result, which becomes part of the chain.
    fn follow(&self, chain: &mut Chain<'a>) -> Try<&'a NodeProto> {
        let (reader, node) = self.sole_reader(chain.output).ok_or("its integers are read in several places")?;
        chain.nodes.push(reader);
        chain.output = node::only_output(node)?;
        Ok(node)
    }

    /// The product of a chain.
    /// Weights of a convolution are `[M, C / groups, …]`, of another product `[…, K, N]`.
    pub(super) fn hybrid(
        &mut self,
        draft: &mut Draft<'a>,
        x: TensorId,
        chain: &Chain<'a>,
        stored: Stored,
    ) -> Try<TensorId> {
        let node = self.net.node(chain.index);
        if !matches!(node.op_type.as_str(), "ConvInteger" | "Conv") {
            return self.hybrid_matmul(draft, x, chain, stored);
        }
        let out = self.net.shape(node::only_output(node)?)?;
        let x_shape = self.shape(x).to_vec();
        let ([n, c, h, w], [out_n, m, out_h, out_w]) = (pool::picture(&x_shape)?, pool::picture(&out)?);
        let groups = usize::try_from(node::int(node, "group", 1)?).ok().filter(|g| (1..=c).contains(g));
        let groups = groups.ok_or("its number of groups cannot be")?;
        let fits = stored.shape.len() == out.len() && x_shape.len() == out.len();
        if !fits || out_n != n || stored.shape[0] != m || stored.shape[1] * groups != c || m % groups != 0 {
            return Err(format!("weights of shape {:?} do not fit {c} channels in {groups} groups", stored.shape));
        }
        let first = if out.len() == 3 { 3 } else { 2 };
        let slides = pool::sliding(node, &stored.shape[2..], &[h, w][first - 2..], &[out_h, out_w][first - 2..])?;
        if slides.iter().any(|s| s.beyond > 0) {
            return Err("its windows leave its input".into());
        }
        let [top, left] = pool::pair(&slides, |s| s.before, 0);
        let [bottom, right] = pool::pair(&slides, |s| s.after, 0);
        let (weights, weight_zeros) = Rows::of(stored)?.into_bytes()?;
        let conv = Conv {
            weights,
            weight_zeros,
            kernel: pool::pair(&slides, |s| s.kernel, 1),
            weight_scales: chain.scales.clone(),
            bias: Vec::new(),
            strides: pool::pair(&slides, |s| s.stride, 1),
            dilations: pool::pair(&slides, |s| s.dilation, 1),
            pads: [top, left, bottom, right],
            groups,
            clamp: Clamp::NONE,
        };
        let x = self.reshape(draft, x, vec![n, c, h, w]);
        let y = self.product_of(draft, x, chain, Product::Conv(conv), vec![n, m, out_h, out_w]);
        self.same_elements(draft, y, &out)
    }

    fn hybrid_matmul(
        &mut self,
        draft: &mut Draft<'a>,
        x: TensorId,
        chain: &Chain<'a>,
        stored: Stored,
    ) -> Try<TensorId> {
        let out = self.net.shape(node::only_output(self.net.node(chain.index))?)?;
        let lead = stored.shape.len().saturating_sub(2);
        let &[k, n] = &stored.shape[lead..] else { return Err("its weights are no matrix".into()) };
        if stored.shape[..lead].iter().any(|&d| d != 1) {
            return Err("its weights are a batch of matrices".into());
        }
        let Some((&inner, rows)) = self.shape(x).split_last() else {
            return Err("its operand has no dimensions".into());
        };
        if inner != k {
            return Err(format!("{k} weights for {inner} values"));
        }
        let shape = rows.iter().copied().chain([n]).collect();
        let stored = stored.reshaped(vec![k, n])?.transposed(&[1, 0]);
        let (weights, weight_zeros) = Rows::of(stored)?.into_bytes()?;
        let matmul =
            MatMul { weights, weight_zeros, weight_scales: chain.scales.clone(), bias: Vec::new(), clamp: Clamp::NONE };
        let y = self.product_of(draft, x, chain, Product::MatMul(matmul), shape);
        self.same_elements(draft, y, &out)
    }

    fn product_of(
        &mut self,
        draft: &mut Draft<'a>,
        x: TensorId,
        chain: &Chain<'a>,
        product: Product,
        shape: Vec<usize>,
    ) -> TensorId {
        let (low, high) = chain.limits;
        let hybrid = Hybrid { product, ranges: chain.ranges, bias: chain.bias.clone(), low, high };
        self.float_step(draft, FloatOp::Hybrid(Box::new(hybrid)), vec![x], shape)
    }

    /// The weights of an integer product, less their zero points, which are one for all or one for each output channel.
    fn integer_weights(&mut self, node: &NodeProto, scales: &[f32]) -> Try<Stored> {
        let name = node::required_input(node, 1)?;
        if !self.net.is_constant(name) {
            return Err("its weights depend on the input".into());
        }
        if let Some(scale) = scales.iter().find(|s| !s.is_normal()) {
            return Err(format!("a scale of {scale:e} for its weights cannot be"));
        }
        self.spend(name)?;
        let (shape, values) = (self.net.shape(name)?, Stored::integers(&self.net, name)?);
        let zeros = match node::input(node, 3) {
            Some(zero) => self.net.integers(zero).map_err(|why| format!("the zero points of its weights: {why}"))?,
            None => vec![0],
        };
        let axis = if node.op_type == "ConvInteger" { Some(0) } else { shape.len().checked_sub(1) };
        let channels = axis.and_then(|a| shape.get(a).copied()).ok_or("its weights have no dimensions")?;
        if (zeros.len() != 1 && zeros.len() != channels) || values.len() != shape.iter().product::<usize>() {
            return Err(format!("it has {} zero points for weights of shape {shape:?}", zeros.len()));
        }
        let shift = if self.net.dtype(name) == Some(DatumType::U8) { 128 } else { 0 };
        let zero_points: Vec<i32> = zeros.iter().map(|zero| zero - shift).collect();
        let (scales, axis) = (vec![1.0; zero_points.len()], if zeros.len() > 1 { axis.unwrap_or(0) } else { 0 });
        Ok(Stored { values, shape, scales, zero_points, axis })
    }
}
