//! Products of two tensors that both depend on the input.

use super::elementwise::broadcast;
use super::net::Try;
use super::search::Search;
use crate::int8::graph::Op;
use crate::onnx::node;

/// Most terms of a sum of products of two bytes less their zero points, 255² at most, that stay within 31 bits.
const MAX_TERMS: usize = i32::MAX as usize / (255 * 255);

impl Search<'_> {
    /// `MatMul` whose operands both depend on the input, as in attention.
    pub fn batch_matmul(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let output = node::only_output(node)?;
        let out = self.net.shape(output)?;
        let (a, b) = (node::required_input(node, 0)?, node::required_input(node, 1)?);
        let (a, b) = (self.real(a)?, self.real(b)?);
        let (first, second) = (self.shape(a), self.shape(b));
        let ([a_lead @ .., m, k], [b_lead @ .., k_too, n]) = (first, second) else {
            return Err("its operands are not matrices".into());
        };
        if k != k_too || broadcast(a_lead, b_lead).is_none_or(|lead| [&lead[..], &[*m, *n]].concat() != out) {
            return Err(format!("operands of shapes {first:?} and {second:?} do not make {out:?}"));
        }
        if *k > MAX_TERMS {
            return Err(format!("its sums of {k} products do not fit 32 bits"));
        }
        let epilogue = self.epilogue(output, Some(out.len() - 1))?;
        let mut factor = 1.0;
        if let Some(affine) = &epilogue.affine {
            factor = affine.factor.first().copied().unwrap_or(1.0);
            if affine.factor.iter().any(|f| *f != factor) || affine.term.iter().any(|t| *t != 0.0) {
                return Err("something for each column is added to its result or multiplied with it".into());
            }
        }
        let to_output = f64::from(self.quant(a).scale) * f64::from(self.quant(b).scale) * factor;
        let to_output = to_output / f64::from(epilogue.quant.scale);
        if !(1e-30..=1e30).contains(&to_output.abs()) {
            return Err("its scales lie too far from one another".into());
        }
        let mut draft = self.draft(index);
        let op = Op::BatchMatMul { factor: factor as f32, clamp: epilogue.clamp };
        let y = self.step(&mut draft, op, vec![a, b], out, epilogue.quant);
        self.finish(draft, y, &epilogue, true)
    }
}
