//! Nodes that work element by element, and those whose result has a quantisation of its own.

use std::sync::Arc;

use super::epilogue::{Affine, Epilogue};
use super::moves::PadDomain;
use super::net::Try;
use super::params::{self, Stored};
use super::search::{Draft, Role, Search, Table, View, table_of};
use crate::int8::graph::{Clamp, Op, Quant, TensorId};
use crate::onnx::{node, operators};

/// An operand as far as functions of one byte go.
enum Operand {
    Table(TensorId, Table),
    Number(f32),
}

impl<'a> Search<'a> {
    /// A node that moves data.
    pub fn movement(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let name = node::required_input(node, 0)?;
        let view = match self.view(name) {
            Some(function @ View::Function { .. }) => match self.real(name) {
                Ok(tensor) => View::Real { tensor },
                // The function of what is moved is what is moved of the function.
                Err(_) if operators::selects_elements(node) => function,
                Err(why) => return Err(why),
            },
            Some(view) => view,
            None => return Err(format!("its input {name:?} is not quantised")),
        };
        let domain = match view {
            View::Bytes { unsigned, .. } => PadDomain::Bytes { unsigned },
            _ => PadDomain::Real,
        };
        let mut draft = self.draft(index);
        match self.apply(&mut draft, node, view.tensor(), domain) {
            Ok(outputs) => self.finish_moved(draft, node, &outputs, &view),
            Err(_) if node.op_type == "Pad" && domain == PadDomain::Real => self.pad_behind(index, view.tensor()),
            Err(why) => Err(why),
        }
    }

    /// A `Pad` with a value that has no byte before it is quantised with other parameters.
    fn pad_behind(&mut self, index: usize, x: TensorId) -> Try<()> {
        let node = self.net.node(index);
        let epilogue = self.epilogue(node::only_output(node)?, None)?;
        let (shape, table) = (self.shape(x).to_vec(), table_of(self.quant(x)));
        let mut draft = self.draft(index);
        let table = Op::Lookup(Arc::new(table.map(|real| params::quantise(epilogue.quant, real))));
        let x = self.step(&mut draft, table, vec![x], shape, epilogue.quant);
        let outputs = self.apply(&mut draft, node, x, PadDomain::Rounded)?;
        let y = *outputs.first().ok_or("it makes nothing")?;
        let y = self.clamped(&mut draft, y, epilogue.clamp);
        self.finish(draft, y, &epilogue, false)
    }

    /// A function of one operand.
    pub fn unary(&mut self, index: usize, function: &dyn Fn(f32) -> f32) -> Try<()> {
        let node = self.net.node(index);
        if node::input(node, 1).is_some() && node.op_type != "Clip" {
            return Err("it has more than one operand".into());
        }
        match self.operand(node::required_input(node, 0)?) {
            Some(Operand::Table(tensor, table)) => self.function(index, tensor, Arc::new(table.map(function))),
            _ => Err("its operand is not quantised".into()),
        }
    }

    fn function(&mut self, index: usize, tensor: TensorId, table: Table) -> Try<()> {
        let output = node::only_output(self.net.node(index))?;
        if self.net.shape(output)? != self.shape(tensor) {
            return Err("its result has another shape than its operand".into());
        }
        self.views.insert(output, View::Function { tensor, table });
        self.roles[index] = Some(Role::View);
        Ok(())
    }

    /// Functions of two tensors as functions of one, where both are made from the same bytes: `x · σ(x)`, whatever is quantised in
    /// between.
    fn common(
        &self,
        x: TensorId,
        a: &[f32; 256],
        y: TensorId,
        b: &[f32; 256],
    ) -> Option<(TensorId, [f32; 256], [f32; 256])> {
        if x == y {
            return Some((x, *a, *b));
        }
        let ((x, a), (y, b)) = (self.based(x, a), self.based(y, b));
        (x == y).then_some((x, a, b))
    }

    fn operand(&mut self, name: &'a str) -> Option<Operand> {
        if self.net.is_constant(name) {
            let number = self.net.uniform(name).or_else(|| Stored::uniform(&self.net, name));
            return number.map(Operand::Number);
        }
        match self.view(name)? {
            View::Real { tensor } => Some(Operand::Table(tensor, table_of(self.quant(tensor)))),
            View::Function { tensor, table } => Some(Operand::Table(tensor, table)),
            View::Bytes { .. } | View::Floats { .. } => None,
        }
    }

    /// `Clip`, whose limits are constants.
    pub fn clip(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let limits = self.limits(node, node::required_input(node, 0)?)?;
        let (low, high) = limits.ok_or("its limits are not constants")?;
        self.unary(index, &move |x: f32| x.max(low).min(high))
    }

    /// A node with two operands.
    pub fn binary(&mut self, index: usize, function: fn(f32, f32) -> f32) -> Try<()> {
        let node = self.net.node(index);
        let [a, b] = &node.input[..] else { return Err("it has not two operands".into()) };
        if node::int(node, "broadcast", 0)? != 0 {
            return Err("it broadcasts in the way of operator set 6".into());
        }
        match (self.operand(a), self.operand(b)) {
            (Some(Operand::Table(x, a)), Some(Operand::Table(y, b))) => {
                if let Some((tensor, a, b)) = self.common(x, &a, y, &b) {
                    let table = Arc::new(std::array::from_fn(|byte| function(a[byte], b[byte])));
                    return self.function(index, tensor, table);
                }
            }
            (Some(Operand::Table(tensor, a)), Some(Operand::Number(b)))
                if self.function(index, tensor, Arc::new(a.map(|a| function(a, b)))).is_ok() =>
            {
                return Ok(());
            }
            (Some(Operand::Number(a)), Some(Operand::Table(tensor, b)))
                if self.function(index, tensor, Arc::new(b.map(|b| function(a, b)))).is_ok() =>
            {
                return Ok(());
            }
            _ => {}
        }
        let output = node::only_output(node)?;
        let op = |clamp: Clamp| match node.op_type.as_str() {
            "Add" | "Sum" => Some(Op::Add { subtract: false, clamp }),
            "Sub" => Some(Op::Add { subtract: true, clamp }),
            "Mul" => Some(Op::Mul { clamp }),
            _ => None,
        };
        let operands = self.real_or_steps(a).and_then(|a| Ok((a, self.real_or_steps(b)?)));
        let (a, b) = match operands {
            Ok(operands) if op(Clamp::NONE).is_some() => operands,
            _ if (self.net.is_constant(a) || self.net.is_constant(b))
                && matches!(node.op_type.as_str(), "Add" | "Sub" | "Mul" | "Div") =>
            {
                return self.affine(index);
            }
            Ok(_) => return Err(format!("{} of two tensors has no integer form here", node.op_type)),
            Err(why) => return Err(why),
        };
        let shape = self.net.shape(output)?;
        if broadcast(self.shape(a), self.shape(b)).as_ref() != Some(&shape) {
            return Err("its operands do not broadcast to its result".into());
        }
        let epilogue = self.epilogue(output, None)?;
        let (sa, sb, sy) = (self.quant(a).scale, self.quant(b).scale, epilogue.quant.scale);
        let ratios = if node.op_type == "Mul" { [sa * sb / sy, 1.0] } else { [sa / sy, sb / sy] };
        if ratios.iter().any(|r| !(1e-20..=1e20).contains(r)) {
            return Err("its scales lie too far from one another".into());
        }
        let Some(op) = op(epilogue.clamp) else { return Err("it has no integer form here".into()) };
        let mut draft = self.draft(index);
        let y = self.step(&mut draft, op, vec![a, b], shape, epilogue.quant);
        self.finish(draft, y, &epilogue, true)
    }

    /// A term and a factor for each channel of a quantised tensor.
    pub fn affine(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let variable = node.input.iter().find(|i| !i.is_empty() && !self.net.is_constant(i));
        let name = variable.ok_or("its operands are constants")?;
        let x = self.real(name)?;
        let channels = *self.shape(x).get(1).ok_or("it has no channels")?;
        let mut affine = Affine::unit(channels);
        self.fold(node, name, 1, &mut affine)?;
        let epilogue = self.epilogue(node::only_output(node)?, Some(1))?;
        self.scaled(index, x, affine, &epilogue)
    }

    /// A quantised tensor, or a constant whose values all are multiples of one step.
    fn real_or_steps(&mut self, name: &'a str) -> Try<TensorId> {
        let found = self.real(name);
        if found.is_ok() || !self.net.is_constant(name) {
            return found;
        }
        self.spend(name)?;
        let (values, shape) = (self.net.floats(name)?, self.net.shape(name)?);
        let (quant, bytes) = steps(&values).ok_or_else(|| format!("constant {name:?} is not quantised"))?;
        Ok(self.constant(name, shape, quant, bytes))
    }

    /// `Concat`.
    pub fn concat(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let output = node::only_output(node)?;
        let shape = self.net.shape(output)?;
        let axis = node::axis(node::int(node, "axis", 1)?, shape.len())?;
        let names: Vec<&'a str> = node.input.iter().map(String::as_str).collect();
        let variable = names.iter().copied().find(|n| !self.net.is_constant(n)).ok_or("its operands are constants")?;
        let like = self.view(variable);
        let quantised = like.as_ref().map(|view| self.quant(view.tensor()));
        let bytes = matches!(like, Some(View::Bytes { .. }));
        let epilogue = if bytes { None } else { self.epilogue(output, None).ok() };
        let quant = epilogue.as_ref().map(|t| t.quant).or(quantised).ok_or("its operands are not quantised")?;
        let mut parts = Vec::with_capacity(names.len());
        for name in names {
            parts.push(match (self.view(name), &like) {
                (Some(View::Bytes { tensor, unsigned }), Some(View::Bytes { unsigned: first, .. }))
                    if unsigned == *first =>
                {
                    tensor
                }
                _ if bytes => return Err("its operands are not of bytes alike".into()),
                _ => self.part(name, quant)?,
            });
        }
        let mut want = shape.clone();
        want[axis] = 0;
        for &part in &parts {
            let part = self.shape(part);
            let fits = part.len() == want.len() && (0..part.len()).all(|a| a == axis || part[a] == want[a]);
            want[axis] += if fits { part[axis] } else { return Err("its operands do not fit".into()) };
        }
        if want != shape {
            return Err("its operands do not fit its result".into());
        }
        let mut draft = self.draft(index);
        match (epilogue, like) {
            (Some(epilogue), _) => {
                let y = self.step(&mut draft, Op::Concat { axis }, parts, shape, quant);
                let y = self.clamped(&mut draft, y, epilogue.clamp);
                self.finish(draft, y, &epilogue, false)
            }
            (None, Some(like)) if parts.iter().all(|&p| self.quant(p) == quant) => {
                let y = self.step(&mut draft, Op::Concat { axis }, parts, shape, quant);
                self.finish_moved(draft, node, &[y], &like)
            }
            _ => Err("its operands are quantised in different ways and its result is not".into()),
        }
    }

    /// An operand of `Concat`: quantised, or a constant that has bytes in the quantisation of the result.
    fn part(&mut self, name: &'a str, quant: Quant) -> Try<TensorId> {
        let found = self.real(name);
        if found.is_ok() || !self.net.is_constant(name) {
            return found;
        }
        self.spend(name)?;
        let bytes: Option<Vec<i8>> = self.net.floats(name)?.iter().map(|&v| params::exactly(quant, v)).collect();
        let bytes = bytes.ok_or_else(|| format!("constant {name:?} is not quantised"))?;
        let shape = self.net.shape(name)?;
        Ok(self.constant(name, shape, quant, bytes))
    }

    /// Limits behind an operator that has none of its own.
    pub(super) fn clamped(&mut self, draft: &mut Draft<'a>, x: TensorId, clamp: Clamp) -> TensorId {
        if clamp == Clamp::NONE {
            return x;
        }
        let table = std::array::from_fn(|byte| (byte as u8 as i8).clamp(clamp.low, clamp.high));
        let (shape, quant) = (self.shape(x).to_vec(), self.quant(x));
        self.step(draft, Op::Lookup(Arc::new(table)), vec![x], shape, quant)
    }

    /// A node whose result is quantised behind it: `make` adds its operators.
    fn quantised_behind(
        &mut self,
        index: usize,
        make: impl FnOnce(&mut Self, &mut Draft<'a>, TensorId, &[usize], Quant) -> Try<TensorId>,
    ) -> Try<()> {
        let node = self.net.node(index);
        let output = node::only_output(node)?;
        let out = self.net.shape(output)?;
        let x = self.real(node::required_input(node, 0)?)?;
        let epilogue: Epilogue = self.epilogue(output, None)?;
        let mut draft = self.draft(index);
        let y = make(self, &mut draft, x, &out, epilogue.quant)?;
        if self.shape(y) != out {
            return Err(format!("its result has shape {out:?}, expected was {:?}", self.shape(y)));
        }
        let y = self.clamped(&mut draft, y, epilogue.clamp);
        self.finish(draft, y, &epilogue, true)
    }

    /// `AveragePool`.
    pub fn average_pool(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        self.quantised_behind(index, |s, draft, x, out, quant| s.average(draft, node, x, out, quant))
    }

    /// `GlobalAveragePool`.
    pub fn global_average(&mut self, index: usize) -> Try<()> {
        self.quantised_behind(index, |s, draft, x, out, quant| {
            let axes: Vec<usize> = (2..s.shape(x).len()).collect();
            s.over_axes(draft, x, &axes, out, Op::AveragePool, quant)
        })
    }

    /// `ReduceMean`.
    pub fn reduce_mean(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        self.quantised_behind(index, |s, draft, x, out, quant| {
            let axes = s.reduced_axes(node, s.shape(x).len())?;
            s.over_axes(draft, x, &axes, out, Op::AveragePool, quant)
        })
    }

    /// `Resize` between neighbours.
    pub fn resize_linear(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        self.quantised_behind(index, |s, draft, x, out, quant| s.linear(draft, node, x, out, quant))
    }

    /// `Softmax` along one axis, or before operator set 13 along all from one on.
    pub fn softmax(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let flattens = self.net.opset < 13;
        self.quantised_behind(index, |s, draft, x, out, quant| {
            let shape = s.shape(x).to_vec();
            let axis = node::axis(node::int(node, "axis", if flattens { 1 } else { -1 })?, shape.len())?;
            let behind: usize = shape[axis + 1..].iter().product();
            if !flattens || behind == 1 {
                return Ok(s.step(draft, Op::Softmax { axis }, vec![x], shape, quant));
            }
            let (rows, row) = (shape[..axis].iter().product(), shape[axis] * behind);
            let y = s.reshape(draft, x, vec![rows, row]);
            let y = s.step(draft, Op::Softmax { axis: 1 }, vec![y], vec![rows, row], quant);
            s.same_elements(draft, y, out)
        })
    }
}

/// The shape that two shapes broadcast to.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let dim = |shape: &[usize], axis: usize| {
        (axis + shape.len()).checked_sub(rank).and_then(|at| shape.get(at).copied()).unwrap_or(1)
    };
    let both = (0..rank).map(|axis| match (dim(a, axis), dim(b, axis)) {
        (x, y) if x == y || y == 1 => Some(x),
        (1, y) => Some(y),
        _ => None,
    });
    both.collect()
}

/// Values that all are multiples of one step, as bytes.
fn steps(values: &[f32]) -> Option<(Quant, Vec<i8>)> {
    let most = values.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    if most == 0.0 {
        return Some((Quant { scale: 1.0, zero_point: 0 }, vec![0; values.len()]));
    }
    (1..=127).find_map(|count| {
        let scale = most / count as f32;
        let quant = Quant { scale, zero_point: 0 };
        let usable = (1e-12..=1e12).contains(&scale);
        let bytes = values.iter().map(|&v| params::exactly(quant, v).filter(|_| usable));
        Some((quant, bytes.collect::<Option<Vec<i8>>>()?))
    })
}
