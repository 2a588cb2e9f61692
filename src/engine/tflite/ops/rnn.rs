//! Recurrent layers, step by step.

use super::super::layout::Layout;
use super::super::schema::{Activation, ElementType};
use super::super::write::{Try, Writer};
use super::node::Node;
use super::{dense, elementwise};
use crate::onnx::build::NodeBuilder;

/// Most steps that are written one by one.
const MAX_STEPS: usize = 1024;

/// A sequence: steps, items, features.
#[derive(Clone, Copy)]
pub struct Sequence {
    pub x: usize,
    pub steps: usize,
    pub items: usize,
    pub features: usize,
    pub time_major: bool,
}

impl Sequence {
    /// The sequence that tensor `x` holds.
    pub fn of(w: &Writer<'_, '_>, x: usize, time_major: bool) -> Try<Sequence> {
        let (steps, items, features) = match (&w.tensor(x).shape[..], time_major) {
            (&[items, features], _) => (1, items, features),
            (&[steps, items, features], true) => (steps, items, features),
            (&[items, steps, features], false) => (steps, items, features),
            (shape, _) => return Err(format!("shape {shape:?} is of no sequence")),
        };
        Ok(Sequence { x, steps, items, features, time_major })
    }

    /// Shape of a sequence of as many steps and items with other features.
    fn shape(&self, w: &Writer<'_, '_>, features: usize) -> Vec<usize> {
        match (w.tensor(self.x).shape.len(), self.time_major) {
            (2, _) => vec![self.items, features],
            (_, true) => vec![self.steps, self.items, features],
            (_, false) => vec![self.items, self.steps, features],
        }
    }

    /// Its reals, steps first: `[steps, items, features]`.
    pub fn steps_first(&self, w: &mut Writer<'_, '_>) -> Try<String> {
        let name = w.real(self.x, Layout::File)?;
        if w.tensor(self.x).shape.len() == 3 && !self.time_major {
            return Ok(w.extra(self.x, NodeBuilder::new("Transpose", [&name]).sizes("perm", &[1, 0, 2])));
        }
        let dims = w.dims(&[self.steps, self.items, self.features])?;
        Ok(w.extra(self.x, NodeBuilder::new("Reshape", [&name, &dims])))
    }

    /// The reals of each step, `[items, features]`.
    pub fn each(&self, w: &mut Writer<'_, '_>) -> Try<Vec<String>> {
        if self.steps > MAX_STEPS {
            return Err(format!("its sequence has {} steps, written are up to {MAX_STEPS}", self.steps));
        }
        let name = self.steps_first(w)?;
        let (dims, axes) = (w.dims(&[self.items, self.features])?, w.longs(&[0])?);
        let mut names = Vec::new();
        for step in 0..self.steps {
            let (start, end) = (w.longs(&[step as i64])?, w.longs(&[step as i64 + 1])?);
            let cut = w.extra(self.x, NodeBuilder::new("Slice", [&name, &start, &end, &axes]));
            names.push(w.extra(self.x, NodeBuilder::new("Reshape", [&cut, &dims])));
        }
        Ok(names)
    }

    /// Names of steps as the nodes in a row that put them together as a result lies: `[items, features]` each.
    pub fn joined(&self, w: &mut Writer<'_, '_>, steps: &[String], features: usize, y: usize) -> Try<String> {
        let dims = w.dims(&[1, self.items, features])?;
        let parts: Vec<String> =
            steps.iter().map(|step| w.extra(y, NodeBuilder::new("Reshape", [step, &dims]))).collect();
        let all = w.extra(y, NodeBuilder::new("Concat", parts).size("axis", 0));
        self.laid_out(w, all, features, y)
    }

    /// A sequence `[steps, items, features]` as a result lies.
    pub fn laid_out(&self, w: &mut Writer<'_, '_>, all: String, features: usize, y: usize) -> Try<String> {
        let shape = self.shape(w, features);
        if shape.len() == 3 && !self.time_major {
            return Ok(w.extra(y, NodeBuilder::new("Transpose", [&all]).sizes("perm", &[1, 0, 2])));
        }
        let dims = w.dims(&shape)?;
        Ok(w.extra(y, NodeBuilder::new("Reshape", [&all, &dims])))
    }

    /// Fails unless tensor `y` is a sequence of as many steps and items.
    pub fn fits(&self, w: &Writer<'_, '_>, y: usize, features: usize) -> Try<()> {
        let wanted = self.shape(w, features);
        if w.tensor(y).shape != wanted {
            return Err(format!("its result has shape {:?}, expected {wanted:?}", w.tensor(y).shape));
        }
        Ok(())
    }
}

/// State of the tensor at `index`, which keeps it, as reals `[items, features]`.
pub fn state(w: &mut Writer<'_, '_>, index: usize, items: usize, features: usize) -> Try<String> {
    let tensor = w.tensor(index);
    let (kind, shape, name) = (tensor.kind, tensor.shape.clone(), tensor.name.clone());
    if !tensor.variable || tensor.len() != items * features {
        return Err(format!("its state {name:?} of shape {shape:?} is no variable of {items} by {features}"));
    }
    let stored = w.kept(&format!("tensor {index}"), kind, &shape)?;
    let dims = w.dims(&[items, features])?;
    let stored = w.extra(index, NodeBuilder::new("Reshape", [&stored, &dims]));
    w.dequantised(index, stored, None)
}

/// Reals rounded to the integers of tensor `index`: these, and the reals that they stand for.
pub fn rounded(w: &mut Writer<'_, '_>, index: usize, name: String) -> Try<(String, String)> {
    if !w.tensor(index).kind.is_quantised() {
        return Ok((name.clone(), name));
    }
    let (scale, zero_point) = w.parameters(index)?;
    let stored = w.extra(index, NodeBuilder::new("QuantizeLinear", [&name, &scale, &zero_point]));
    let real = w.dequantised(index, stored.clone(), None)?;
    Ok((stored, real))
}

/// Keeps what was stored for the tensor at `index`.
pub fn store(w: &mut Writer<'_, '_>, index: usize, stored: &str) -> Try<()> {
    let (kind, shape) = (w.tensor(index).kind, w.tensor(index).shape.clone());
    let dims = w.dims(&shape)?;
    let name = w.extra(index, NodeBuilder::new("Reshape", [stored, &dims]));
    w.keep(&format!("tensor {index}"), kind, &shape, name)
}

/// Adds an activation behind `name`.
pub fn activated(w: &mut Writer<'_, '_>, y: usize, activation: Activation, name: String) -> Try<String> {
    let step = match activation {
        Activation::None => return Ok(name),
        Activation::Relu => NodeBuilder::new("Relu", [&name]),
        Activation::Tanh => NodeBuilder::new("Tanh", [&name]),
        other => {
            let (low, high) = other.limits().unwrap_or_default();
            let (low, high) = (w.number(low)?, w.number(high)?);
            NodeBuilder::new("Clip", [&name, &low, &high])
        }
    };
    Ok(w.extra(y, step))
}

/// One direction of a layer: weights, a bias, and the tensor that keeps its state, by their places among the operands.
struct Layer {
    kernel: usize,
    recurrent: usize,
    bias: usize,
    state: usize,
}

impl Layer {
    /// Runs over a sequence: a result `[items, units]` per step, in order; and the number of units.
    fn run(
        &self,
        w: &mut Writer<'_, '_>,
        sequence: Sequence,
        activation: Activation,
        y: usize,
        reverse: bool,
    ) -> Try<(Vec<String>, usize)> {
        let &[units, features] = &w.tensor(self.kernel).shape[..] else {
            return Err("its weights are no matrix".into());
        };
        let fits = features == sequence.features
            && w.tensor(self.recurrent).shape == [units, units]
            && w.tensor(self.bias).shape == [units];
        if !fits || w.tensor(sequence.x).kind != ElementType::F32 {
            return Err(format!(
                "weights {:?} do not fit a sequence of {} floats",
                w.tensor(self.kernel).shape,
                sequence.features
            ));
        }
        let kernel = w.real(self.kernel, Layout::File)?;
        let recurrent = w.real(self.recurrent, Layout::File)?;
        let bias = dense::bias_of(w, self.bias, sequence.x, self.kernel)?;
        let mut held = state(w, self.state, sequence.items, units)?;
        let mut steps = sequence.each(w)?;
        if reverse {
            steps.reverse();
        }
        let mut made = Vec::new();
        for step in steps {
            let from = w.extra(y, NodeBuilder::new("Gemm", [&step, &kernel, &bias]).size("transB", 1));
            let sum = w.extra(y, NodeBuilder::new("Gemm", [&held, &recurrent, &from]).size("transB", 1));
            held = activated(w, y, activation, sum)?;
            made.push(held.clone());
        }
        store(w, self.state, &held)?;
        if reverse {
            made.reverse();
        }
        Ok((made, units))
    }
}

/// `RNN` and `UNIDIRECTIONAL_SEQUENCE_RNN`.
pub fn forward(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let single = node.operator.name == "RNN";
    let (x, y) = (node.input(0)?, node.output()?);
    let time_major = single || node.option(false, |o| o.flag(0))?;
    let activation = node.activation(usize::from(!single))?;
    let sequence = Sequence::of(w, x, time_major)?;
    let layer =
        Layer { kernel: node.input(1)?, recurrent: node.input(2)?, bias: node.input(3)?, state: node.input(4)? };
    elementwise::real(w, &[x], y)?;
    let (steps, units) = layer.run(w, sequence, activation, y, false)?;
    sequence.fits(w, y, units)?;
    let name = sequence.joined(w, &steps, units, y)?;
    w.compute(y, Layout::File, vec![NodeBuilder::new("Identity", [&name])])
}

/// `BIDIRECTIONAL_SEQUENCE_RNN`: results side by side, or one behind the other along the features.
pub fn both_ways(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let x = node.input(0)?;
    if (9..12).any(|place| node.optional(place).is_some()) {
        return Err("a second sequence beside the first one has no form here".into());
    }
    let sequence = Sequence::of(w, x, node.option(false, |o| o.flag(0))?)?;
    let activation = node.activation(1)?;
    let layer = |first: usize| -> Try<Layer> {
        Ok(Layer {
            kernel: node.input(first)?,
            recurrent: node.input(first + 1)?,
            bias: node.input(first + 2)?,
            state: node.input(first + 3)?,
        })
    };
    let Some(&y) = node.operator.outputs.first() else { return Err("it has no results".into()) };
    let forth = layer(1)?.run(w, sequence, activation, y, false)?;
    let back = layer(5)?.run(w, sequence, activation, y, true)?;
    together(w, node, sequence, node.option(false, |o| o.flag(2))?, [forth, back])
}

/// Gives the results of both directions.
pub fn together(
    w: &mut Writer<'_, '_>,
    node: Node<'_, '_>,
    sequence: Sequence,
    merge: bool,
    parts: [(Vec<String>, usize); 2],
) -> Try<()> {
    let outputs = &node.operator.outputs;
    let y = *outputs.first().ok_or("it has no results")?;
    let mut names = Vec::new();
    let units = parts[0].1 + parts[1].1;
    for (place, (steps, units)) in parts.into_iter().enumerate() {
        let name = sequence.joined(w, &steps, units, y)?;
        match (merge, outputs.get(place)) {
            (true, _) => names.push(name),
            (false, None) => return Err("it has not two results".into()),
            (false, Some(&y)) => {
                sequence.fits(w, y, units)?;
                w.compute(y, Layout::File, vec![NodeBuilder::new("Identity", [&name])])?;
            }
        }
    }
    if merge {
        sequence.fits(w, y, units)?;
        let axis = w.tensor(y).shape.len() - 1;
        w.compute(y, Layout::File, vec![NodeBuilder::new("Concat", names).size("axis", axis)])?;
    }
    Ok(())
}
