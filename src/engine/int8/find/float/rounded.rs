//! Products of floats by integer weights whose operand their own runtime rounds to bytes as it comes, as TensorFlow Lite's dynamic
//! range models have them: in integers where that is faster, in floats elsewhere, which leaves a rounding out.

use super::super::dynamic::Chain;
use super::super::net::Try;
use super::super::search::{Search, View};
use crate::int8::graph::Ranges;
use crate::onnx::{node, operators};

/// Products with each element of the operand from which on it is worth rounding: that takes two looks at each.
const LEAST_PRODUCTS: usize = 24;

impl Search<'_> {
    /// A `Conv`, `MatMul` or `Gemm`; an error says why not.
    pub(super) fn rounded(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        if !node::flag(node, operators::ROUNDS_OPERAND)? {
            return Err("its operand is not rounded".into());
        }
        let output = node::only_output(node)?;
        let weights = node::required_input(node, 1)?;
        let (shape, out) = (self.net.shape(weights)?, self.net.shape(output)?);
        let x = self.as_floats(node::required_input(node, 0)?)?;
        let channels = if node.op_type == "Conv" { Some(1) } else { out.len().checked_sub(1) };
        let channels = channels.filter(|&axis| axis < out.len()).ok_or("its result has no channels")?;
        let terms = shape.iter().product::<usize>() / out[channels].max(1);
        let products = out.iter().product::<usize>().saturating_mul(terms);
        if products / self.shape(x).iter().product::<usize>().max(1) < LEAST_PRODUCTS {
            return Err("it takes too few products".into());
        }
        let plain = node::int(node, "transA", 0)? == 0
            && node::float(node, "alpha", 1.0)? == 1.0
            && node::float(node, "beta", 1.0)? == 1.0
            && node.input.len() <= 3;
        if !plain {
            return Err("it is not a plain product".into());
        }
        let mut stored = self.stored_weights(weights)?;
        if node::int(node, "transB", 0)? != 0 {
            stored = stored.transposed(&[1, 0]);
        }
        let scales =
            if stored.scales.len() == 1 { vec![stored.scales[0]; out[channels]] } else { stored.scales.clone() };
        let bias = self.terms(node::input(node, 2), out[channels])?;
        let mut chain = Chain {
            index,
            nodes: Vec::new(),
            ranges: Ranges::Items,
            scales,
            bias,
            limits: (f32::NEG_INFINITY, f32::INFINITY),
            output,
        };
        self.added(&mut chain, &out, channels);
        let mut draft = self.draft(index);
        let y = self.hybrid(&mut draft, x, &chain, stored)?;
        self.name(chain.output, View::Floats { tensor: y })?;
        self.close(draft, &chain.nodes, true);
        Ok(())
    }
}
