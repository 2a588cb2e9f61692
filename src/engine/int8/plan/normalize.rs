//! Lowering of normalisations over the last axis.

use std::sync::Arc;

use super::super::graph::{Node, Norm};
use super::super::kernels::Loops;
use super::super::kernels::step::Normalize;
use super::super::kernels::step::Work;
use super::error::PlanError;
use super::lower::{Lowering, no_halo, place, requant, row_major};

impl Lowering<'_> {
    pub(super) fn normalize(&mut self, node: &Node, norm: &Norm) -> Result<(), PlanError> {
        let shape = self.shape(node.output);
        let Some(last) = shape.len().checked_sub(1) else { return Err(self.error("it has no axis")) };
        let order = row_major(shape.len());
        let mut x = self.view(node.inputs[0])?;
        if x.strides[last] != 1 && shape[last] > 1 {
            let plain = self.fresh(shape, &order, &no_halo(shape.len()));
            self.copy(&x, &plain, None);
            x = plain;
        }
        let mut out = self.allocate(node.output, &order);
        let elsewhere = (out.strides[last] != 1 && shape[last] > 1).then(|| out.clone());
        if elsewhere.is_some() {
            out = self.fresh(shape, &order, &no_halo(shape.len()));
        }
        let (from, to) = (self.quant(node.inputs[0]), self.quant(node.output));
        let over = |values: &Option<Arc<Vec<f32>>>, default: f32| -> Arc<[f32]> {
            let all = || std::iter::repeat_n(default, shape[last]).collect();
            let values = values.as_ref().map_or_else(all, |v| v.to_vec());
            values.into_iter().map(|v| (f64::from(v) / f64::from(to.scale)) as f32).collect()
        };
        let work = Work::Normalize(Normalize {
            len: shape[last],
            factors: over(&norm.scale, 1.0),
            terms: over(&norm.bias, 0.0),
            from: (from.scale, from.zero_point),
            epsilon: norm.epsilon,
            centre: norm.centre,
            requant: requant(to, -128, 127),
            places: [place(&x), place(&out)],
            rows: Loops::new(&shape[..last], [&x.strides[..last], &out.strides[..last]]),
        });
        self.push(0, out.len(), work);
        if let Some(to) = elsewhere {
            self.copy(&out, &to, None);
        }
        Ok(())
    }
}
