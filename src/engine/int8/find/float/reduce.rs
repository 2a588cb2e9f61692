//! Reductions, pools, softmax and normalisations of floats.

use std::sync::Arc;

use super::super::moves::PadDomain;
use super::super::net::Try;
use super::super::search::Search;
use crate::int8::graph::{FloatOp, Norm, Op, Quant};
use crate::int8::kernels::float::Reduction;
use crate::onnx::node;

impl Search<'_> {
    /// A pool whose windows slide.
    pub fn float_pool(&mut self, index: usize, average: bool) -> Try<()> {
        let node = self.net.node(index);
        let output = node.output.first().ok_or("it makes nothing")?;
        let out = self.net.shape(output)?;
        let x = self.as_floats(node::required_input(node, 0)?)?;
        let mut draft = self.draft(index);
        let y = if average {
            self.average(&mut draft, node, x, &out, Quant::UNIT)?
        } else {
            let outputs = self.apply(&mut draft, node, x, PadDomain::Real)?;
            *outputs.first().ok_or("it makes nothing")?
        };
        self.same_shape(y, &out)?;
        self.float_finish(draft, y, output, &[], true)
    }

    /// A reduction over whole axes.
    pub fn float_reduce(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        if node.op_type == "ReduceMean" && self.norm_behind(index).is_ok() {
            return Ok(());
        }
        let output = node::only_output(node)?;
        let out = self.net.shape(output)?;
        let x = self.as_floats(node::required_input(node, 0)?)?;
        let shape = self.shape(x).to_vec();
        let (reduction, axes) = match node.op_type.as_str() {
            "GlobalAveragePool" => (Reduction::Mean, (2..shape.len()).collect()),
            "GlobalMaxPool" => (Reduction::Max, (2..shape.len()).collect()),
            other => (named(other)?, self.reduced_axes(node, shape.len())?),
        };
        if axes.is_empty() {
            return Err("it reduces nothing".into());
        }
        let kept = shape.iter().enumerate().map(|(a, &d)| if axes.contains(&a) { 1 } else { d }).collect();
        let mut draft = self.draft(index);
        let y = self.float_step(&mut draft, FloatOp::Reduce { reduction, axes }, vec![x], kept);
        let y = self.same_elements(&mut draft, y, &out)?;
        self.float_finish(draft, y, output, &[], true)
    }

    /// `Softmax` along one axis, or before operator set 13 along all from one on.
    pub fn float_softmax(&mut self, index: usize, log: bool) -> Try<()> {
        let node = self.net.node(index);
        let output = node::only_output(node)?;
        let x = self.as_floats(node::required_input(node, 0)?)?;
        let shape = self.shape(x).to_vec();
        if self.net.shape(output)? != shape {
            return Err("its result has another shape than its operand".into());
        }
        let flattens = self.net.opset < 13;
        let axis = node::axis(node::int(node, "axis", if flattens { 1 } else { -1 })?, shape.len())?;
        let op = |axis| if log { Op::Float(FloatOp::LogSoftmax { axis }) } else { Op::Softmax { axis } };
        let mut draft = self.draft(index);
        let behind: usize = shape[axis + 1..].iter().product();
        let y = if !flattens || behind == 1 {
            self.step(&mut draft, op(axis), vec![x], shape, Quant::UNIT)
        } else {
            let rows = vec![shape[..axis].iter().product(), shape[axis] * behind];
            let y = self.reshape(&mut draft, x, rows.clone());
            let y = self.step(&mut draft, op(1), vec![y], rows, Quant::UNIT);
            self.reshape(&mut draft, y, shape)
        };
        self.float_finish(draft, y, output, &[], true)
    }

    /// `LayerNormalization`, whose statistics nothing reads.
    pub fn layer_norm(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let [output, rest @ ..] = &node.output[..] else { return Err("it makes nothing".into()) };
        if rest.iter().any(|name| self.net.is_kept(name) || !self.net.consumers(name).is_empty()) {
            return Err("its second output is read".into());
        }
        let x = self.as_floats(node::required_input(node, 0)?)?;
        let shape = self.shape(x).to_vec();
        let axis = node::axis(node::int(node, "axis", -1)?, shape.len())?;
        let len: usize = shape[axis..].iter().product();
        let mut values = |at: usize| -> Try<Option<Arc<Vec<f32>>>> {
            let Some(name) = node::input(node, at) else { return Ok(None) };
            let values = self.constant_floats(name)?;
            if values.len() != len {
                return Err(format!("it has {} factors or terms for {len} values", values.len()));
            }
            Ok(Some(Arc::new(values)))
        };
        let (scale, bias) = (values(1)?, values(2)?);
        let norm = Norm { epsilon: node::float(node, "epsilon", 1e-5)?, centre: true, scale, bias };
        let rows = vec![shape[..axis].iter().product(), len];
        let mut draft = self.draft(index);
        let direct = axis + 1 == shape.len();
        let y = if direct { x } else { self.reshape(&mut draft, x, rows.clone()) };
        let made = if direct { shape.clone() } else { rows };
        let y = self.float_step(&mut draft, FloatOp::Norm(norm), vec![y], made);
        let y = self.reshape(&mut draft, y, shape);
        self.float_finish(draft, y, output, &[], true)
    }
}

fn named(operator: &str) -> Try<Reduction> {
    Ok(match operator {
        "ReduceMean" => Reduction::Mean,
        "ReduceSum" => Reduction::Sum,
        "ReduceMax" => Reduction::Max,
        "ReduceMin" => Reduction::Min,
        "ReduceProd" => Reduction::Product,
        "ReduceSumSquare" => Reduction::SumSquare,
        "ReduceL1" => Reduction::L1,
        "ReduceL2" => Reduction::L2,
        "ReduceLogSum" => Reduction::LogSum,
        "ReduceLogSumExp" => Reduction::LogSumExp,
        other => return Err(format!("{other} is not planned")),
    })
}
