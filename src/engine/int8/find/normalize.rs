//! `LayerNormalization` of a quantised tensor whose result is quantised.

use std::sync::Arc;

use super::net::Try;
use super::search::Search;
use crate::int8::graph::{Norm, Op};
use crate::onnx::node;

impl Search<'_> {
    /// `LayerNormalization` with constant factors and terms.
    pub fn row_norm(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let output = node.output.first().filter(|name| !name.is_empty()).ok_or("it makes nothing")?;
        // Mean and deviation are for training.
        if node.output.iter().skip(1).any(|name| self.net.is_kept(name) || !self.net.consumers(name).is_empty()) {
            return Err("its mean or deviation is read".into());
        }
        let x = self.real(node::required_input(node, 0)?)?;
        let shape = self.shape(x).to_vec();
        let out = self.net.shape(output)?;
        if out != shape {
            return Err(format!("its result has shape {out:?}, expected was {shape:?}"));
        }
        let axis = node::axis(node::int(node, "axis", -1)?, shape.len())?;
        let (lead, row) = shape.split_at(axis);
        let len = row.iter().product::<usize>();
        let read = |index: usize| -> Try<Option<Arc<Vec<f32>>>> {
            let Some(name) = node::input(node, index) else { return Ok(None) };
            if !self.net.is_constant(name) {
                return Err(format!("its operand {name:?} is not a constant"));
            }
            if self.net.shape(name)? != row {
                return Err(format!("its operand {name:?} does not have one value for each element of a row"));
            }
            Ok(Some(Arc::new(self.reals(name)?.into_iter().map(|v| v as f32).collect())))
        };
        let (scale, bias) = (read(1)?, read(2)?);
        let epsilon = node::float(node, "epsilon", 1e-5)?;
        let epilogue = self.epilogue(output, None)?;
        let most = f64::from(epilogue.quant.scale) * 1e30;
        if scale.iter().chain(&bias).any(|values| values.iter().any(|v| v.is_nan() || f64::from(v.abs()) >= most))
            || !(1e-30..1e30).contains(&epsilon)
        {
            return Err("its factors, terms or epsilon are out of range".into());
        }
        let rows: Vec<usize> = lead.iter().copied().chain([len]).collect();
        let mut draft = self.draft(index);
        let y = self.reshape(&mut draft, x, rows.clone());
        let op = Op::LayerNorm(Norm { epsilon, centre: true, scale, bias });
        let y = self.step(&mut draft, op, vec![y], rows, epilogue.quant);
        let y = self.reshape(&mut draft, y, shape);
        let y = self.clamped(&mut draft, y, epilogue.clamp);
        self.finish(draft, y, &epilogue, true)
    }
}
