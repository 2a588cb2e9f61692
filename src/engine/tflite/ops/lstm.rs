//! Long short-term memory.

use super::super::layout::Layout;
use super::super::schema::{Activation, ElementType};
use super::super::write::{Try, Writer};
use super::node::Node;
use super::rnn::{Sequence, activated, rounded, state, store, together};
use super::{dense, elementwise};
use crate::onnx::build::NodeBuilder;

/// Gates in the order of the format.
const GATES: usize = 4;
const INPUT: usize = 0;
const FORGET: usize = 1;
const CELL: usize = 2;
const OUTPUT: usize = 3;

/// Operands of one direction, as tensors; what may be left out is an option.
struct Cell {
    /// Weights of the input; the input gate may be left out, and is then what the forget gate leaves.
    input: [Option<usize>; GATES],
    /// Weights of what was given out in the step before.
    recurrent: [Option<usize>; GATES],
    /// Weights of the cell's own state.
    peephole: [Option<usize>; GATES],
    bias: [Option<usize>; GATES],
    /// Factors of the normalised sums.
    norm: [Option<usize>; GATES],
    projection: Option<usize>,
    projection_bias: Option<usize>,
    /// Tensors that keep what was given out, and the cell's state.
    held: usize,
    memory: usize,
    activation: Activation,
    cell_clip: f32,
    projection_clip: f32,
}

/// Tensors read in every step.
struct Ready {
    input: [Option<String>; GATES],
    recurrent: [Option<String>; GATES],
    peephole: [Option<String>; GATES],
    bias: [Option<String>; GATES],
    norm: [Option<String>; GATES],
    projection: Option<String>,
    projection_bias: Option<String>,
}

impl Cell {
    /// Number of units, and of what is given out.
    fn sizes(&self, w: &Writer<'_, '_>, sequence: Sequence) -> Try<(usize, usize)> {
        let shape = |index: Option<usize>| index.map(|index| w.tensor(index).shape.clone());
        let forget = shape(self.input[FORGET]).ok_or("its weights are missing")?;
        let &[units, features] = &forget[..] else { return Err("its weights are no matrices".into()) };
        let outputs = match shape(self.projection).as_deref() {
            None => units,
            Some(&[outputs, from]) if from == units => outputs,
            Some(shape) => return Err(format!("its projection of shape {shape:?} does not fit {units} units")),
        };
        for gate in 0..GATES {
            let coupled = gate == INPUT && self.input[INPUT].is_none();
            let weights = (shape(self.input[gate]), shape(self.recurrent[gate]));
            let fits = match weights {
                (Some(input), Some(recurrent)) => input == [units, features] && recurrent == [units, outputs],
                (None, None) => coupled,
                _ => false,
            };
            let line = |index: Option<usize>| shape(index).is_none_or(|shape| shape == [units]);
            if !fits || !line(self.peephole[gate]) || !line(self.bias[gate]) || !line(self.norm[gate]) {
                return Err(format!("the weights of its gate {gate} do not fit {units} units of {features} features"));
            }
        }
        if features != sequence.features {
            return Err(format!("its weights are for {features} features, its sequence has {}", sequence.features));
        }
        Ok((units, outputs))
    }

    /// Test for what ONNX's own operator computes.
    fn is_plain(&self, w: &Writer<'_, '_>, x: usize) -> bool {
        w.tensor(x).kind == ElementType::F32
            && self.input[INPUT].is_some()
            && self.bias.iter().all(Option::is_some)
            && self.peephole.iter().chain(&self.norm).all(Option::is_none)
            && self.projection.is_none()
            && self.cell_clip == 0.0
            && self.activation == Activation::Tanh
    }

    fn ready(&self, w: &mut Writer<'_, '_>, x: usize) -> Try<Ready> {
        fn each(w: &mut Writer<'_, '_>, from: &[Option<usize>; GATES]) -> Try<[Option<String>; GATES]> {
            let mut names = [const { None }; GATES];
            for (name, index) in names.iter_mut().zip(from) {
                *name = index.map(|index| w.real(index, Layout::File)).transpose()?;
            }
            Ok(names)
        }
        let whole = w.tensor(x).kind.is_quantised();
        if whole && self.norm.iter().any(Option::is_some) {
            return Err("normalised sums of integers have no form here".into());
        }
        let mut bias = [const { None }; GATES];
        for (bias, (index, weights)) in bias.iter_mut().zip(self.bias.into_iter().zip(self.input)) {
            if let (Some(index), Some(weights)) = (index, weights) {
                *bias = Some(dense::bias_of(w, index, x, weights)?);
            }
        }
        let projection_bias = match (self.projection_bias, self.projection) {
            (Some(index), Some(_)) if w.tensor(index).kind == ElementType::F32 => Some(w.real(index, Layout::File)?),
            (Some(_), _) => return Err("a bias of its projection in integers has no form here".into()),
            (None, _) => None,
        };
        Ok(Ready {
            input: each(w, &self.input)?,
            recurrent: each(w, &self.recurrent)?,
            peephole: each(w, &self.peephole)?,
            bias,
            norm: each(w, &self.norm)?,
            projection: self.projection.map(|index| w.real(index, Layout::File)).transpose()?,
            projection_bias,
        })
    }

    /// Runs over a sequence: a result `[items, outputs]` per step, in order; and the number of outputs.
    fn run(&self, w: &mut Writer<'_, '_>, sequence: Sequence, y: usize, reverse: bool) -> Try<(Vec<String>, usize)> {
        let (units, outputs) = self.sizes(w, sequence)?;
        let ready = self.ready(w, sequence.x)?;
        let mut held = state(w, self.held, sequence.items, outputs)?;
        let mut memory = state(w, self.memory, sequence.items, units)?;
        let mut steps = sequence.each(w)?;
        if reverse {
            steps.reverse();
        }
        let (mut made, mut stored) = (Vec::new(), None);
        for step in steps {
            let (out, cell) = self.step(w, &ready, y, [&step, &held, &memory])?;
            let (out, cell) = (rounded(w, self.held, out)?, rounded(w, self.memory, cell)?);
            (held, memory) = (out.1.clone(), cell.1);
            stored = Some((out.0, cell.0));
            made.push(out.1);
        }
        if let Some((out, cell)) = stored {
            store(w, self.held, &out)?;
            store(w, self.memory, &cell)?;
        }
        if reverse {
            made.reverse();
        }
        Ok((made, outputs))
    }

    /// One step: what is given out, and the cell's new state.
    fn step(
        &self,
        w: &mut Writer<'_, '_>,
        ready: &Ready,
        y: usize,
        [x, held, memory]: [&str; 3],
    ) -> Try<(String, String)> {
        let forget = self.gate(w, ready, y, FORGET, [x, held, memory])?;
        let forget = w.extra(y, NodeBuilder::new("Sigmoid", [&forget]));
        let input = if self.input[INPUT].is_some() {
            let input = self.gate(w, ready, y, INPUT, [x, held, memory])?;
            w.extra(y, NodeBuilder::new("Sigmoid", [&input]))
        } else {
            let one = w.number(1.0)?;
            w.extra(y, NodeBuilder::new("Sub", [&one, &forget]))
        };
        let new = self.gate(w, ready, y, CELL, [x, held, memory])?;
        let new = activated(w, y, self.activation, new)?;
        let new = w.extra(y, NodeBuilder::new("Mul", [&input, &new]));
        let old = w.extra(y, NodeBuilder::new("Mul", [forget.as_str(), memory]));
        let cell = w.extra(y, NodeBuilder::new("Add", [&old, &new]));
        let cell = clipped(w, y, self.cell_clip, cell)?;
        let output = self.gate(w, ready, y, OUTPUT, [x, held, &cell])?;
        let output = w.extra(y, NodeBuilder::new("Sigmoid", [&output]));
        let shown = activated(w, y, self.activation, cell.clone())?;
        let mut out = w.extra(y, NodeBuilder::new("Mul", [&output, &shown]));
        if let Some(projection) = &ready.projection {
            let inputs = [Some(&out), Some(projection), ready.projection_bias.as_ref()].into_iter().flatten();
            let step = NodeBuilder::new("Gemm", inputs.cloned()).size("transB", 1);
            out = w.extra(y, step);
            out = clipped(w, y, self.projection_clip, out)?;
        }
        Ok((out, cell))
    }

    /// The sum in front of a gate.
    fn gate(
        &self,
        w: &mut Writer<'_, '_>,
        ready: &Ready,
        y: usize,
        gate: usize,
        [x, held, memory]: [&str; 3],
    ) -> Try<String> {
        /// Least variance that is divided by.
        const LEAST: f32 = 1e-8;
        let (Some(input), Some(recurrent)) = (&ready.input[gate], &ready.recurrent[gate]) else {
            return Err("its weights are missing".into());
        };
        // Behind normalised sums, else among them.
        let late = ready.bias[gate].as_ref().filter(|_| ready.norm[gate].is_some());
        let early = ready.bias[gate].as_ref().filter(|_| ready.norm[gate].is_none());
        let inputs = [Some(x), Some(input.as_str()), early.map(String::as_str)].into_iter().flatten();
        let step = NodeBuilder::new("Gemm", inputs).size("transB", 1);
        let sum = w.extra(y, step);
        let mut sum = w.extra(y, NodeBuilder::new("Gemm", [held, recurrent, &sum]).size("transB", 1));
        if let Some(peephole) = &ready.peephole[gate] {
            let seen = w.extra(y, NodeBuilder::new("Mul", [memory, peephole]));
            sum = w.extra(y, NodeBuilder::new("Add", [&sum, &seen]));
        }
        if let Some(norm) = &ready.norm[gate] {
            let least = w.number(LEAST)?;
            let mean = |w: &mut Writer<'_, '_>, name: &str| {
                w.extra(y, NodeBuilder::new("ReduceMean", [name]).sizes("axes", &[1]).int("keepdims", 1))
            };
            let middle = mean(w, &sum);
            let apart = w.extra(y, NodeBuilder::new("Sub", [&sum, &middle]));
            let squares = w.extra(y, NodeBuilder::new("Mul", [&apart, &apart]));
            let variance = mean(w, &squares);
            let variance = w.extra(y, NodeBuilder::new("Add", [&variance, &least]));
            let spread = w.extra(y, NodeBuilder::new("Sqrt", [&variance]));
            let even = w.extra(y, NodeBuilder::new("Div", [&apart, &spread]));
            sum = w.extra(y, NodeBuilder::new("Mul", [&even, norm]));
            if let Some(bias) = late {
                sum = w.extra(y, NodeBuilder::new("Add", [&sum, bias]));
            }
        }
        Ok(sum)
    }

    /// By ONNX's operator: all steps, `[steps, items, units]`.
    fn whole(&self, w: &mut Writer<'_, '_>, sequence: Sequence, y: usize) -> Try<String> {
        let (units, _) = self.sizes(w, sequence)?;
        let x = sequence.steps_first(w)?;
        let ready = self.ready(w, sequence.x)?;
        // ONNX's order of gates; the axis in front is that of directions.
        let order = [INPUT, OUTPUT, FORGET, CELL];
        let one = w.longs(&[0])?;
        let stacked = |w: &mut Writer<'_, '_>, parts: &[Option<String>; GATES]| -> Try<String> {
            let parts: Vec<String> = order.iter().filter_map(|&gate| parts[gate].clone()).collect();
            let all = w.extra(y, NodeBuilder::new("Concat", parts).size("axis", 0));
            Ok(w.extra(y, NodeBuilder::new("Unsqueeze", [&all, &one])))
        };
        let (kernel, recurrent) = (stacked(w, &ready.input)?, stacked(w, &ready.recurrent)?);
        let bias = stacked(w, &ready.bias)?;
        let zeros = w.values(ElementType::F32, &[1, GATES * units], vec![0; 4 * GATES * units])?;
        let bias = w.extra(y, NodeBuilder::new("Concat", [&bias, &zeros]).size("axis", 1));
        let held = state(w, self.held, sequence.items, units)?;
        let held = w.extra(y, NodeBuilder::new("Unsqueeze", [&held, &one]));
        let memory = state(w, self.memory, sequence.items, units)?;
        let memory = w.extra(y, NodeBuilder::new("Unsqueeze", [&memory, &one]));
        let step = NodeBuilder::new("LSTM", [x.as_str(), &kernel, &recurrent, &bias, "", &held, &memory])
            .size("hidden_size", units);
        let names: Vec<String> = ["lstm", "lstm_held", "lstm_cell"].iter().map(|end| w.fresh(y, end)).collect();
        w.nodes(step, names.clone());
        store(w, self.held, &names[1])?;
        store(w, self.memory, &names[2])?;
        let dims = w.dims(&[sequence.steps, sequence.items, units])?;
        Ok(w.extra(y, NodeBuilder::new("Reshape", [&names[0], &dims])))
    }
}

fn clipped(w: &mut Writer<'_, '_>, y: usize, limit: f32, name: String) -> Try<String> {
    if limit == 0.0 {
        return Ok(name);
    }
    let (low, high) = (w.number(-limit)?, w.number(limit)?);
    Ok(w.extra(y, NodeBuilder::new("Clip", [&name, &low, &high])))
}

/// A cell whose weights begin with operand `first`, in the order of the format, its states at these operands.
fn cell(node: Node<'_, '_>, first: usize, states: [usize; 2], options: [usize; 3]) -> Try<Cell> {
    let at = |place: usize| node.optional(first + place);
    let clip = |id: usize| {
        let limit = node.option(0.0, |o| o.f32(id))?;
        if limit.is_finite() && limit >= 0.0 { Ok(limit) } else { Err(format!("a clip of {limit}")) }
    };
    Ok(Cell {
        input: [at(0), at(1), at(2), at(3)],
        recurrent: [at(4), at(5), at(6), at(7)],
        peephole: [at(8), at(9), None, at(10)],
        bias: [at(11), at(12), at(13), at(14)],
        norm: [None; GATES],
        projection: at(15),
        projection_bias: at(16),
        held: node.input(states[0])?,
        memory: node.input(states[1])?,
        activation: node.activation(options[0])?,
        cell_clip: clip(options[1])?,
        projection_clip: clip(options[2])?,
    })
}

/// `LSTM` and `UNIDIRECTIONAL_SEQUENCE_LSTM`.
pub fn forward(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let single = node.operator.name == "LSTM";
    if single && node.option(0, |o| o.i8(3))? != 0 {
        return basic(w, node);
    }
    let (x, y) = (node.input(0)?, node.output()?);
    elementwise::real(w, &[x], y)?;
    if !single && node.option(false, |o| o.flag(5))? {
        return Err("recurrent weights on a diagonal have no form here".into());
    }
    let time_major = single || node.option(false, |o| o.flag(3))?;
    let mut cell = cell(node, 1, [18, 19], [0, 1, 2])?;
    cell.norm = [20, 21, 22, 23].map(|place| node.optional(place));
    let sequence = Sequence::of(w, x, time_major)?;
    let (_, outputs) = cell.sizes(w, sequence)?;
    sequence.fits(w, y, outputs)?;
    let name = if cell.is_plain(w, x) {
        let all = cell.whole(w, sequence, y)?;
        sequence.laid_out(w, all, outputs, y)?
    } else {
        let (steps, _) = cell.run(w, sequence, y, false)?;
        sequence.joined(w, &steps, outputs, y)?
    };
    w.compute(y, Layout::File, vec![NodeBuilder::new("Identity", [&name])])
}

/// `BIDIRECTIONAL_SEQUENCE_LSTM`.
pub fn both_ways(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    // Options: activation, cell_clip, proj_clip, merge_outputs, time_major.
    let x = node.input(0)?;
    if (39..48).any(|place| node.optional(place).is_some()) {
        return Err("a second sequence beside the first one has no form here".into());
    }
    let Some(&y) = node.operator.outputs.first() else { return Err("it has no results".into()) };
    elementwise::real(w, &[x], y)?;
    let time_major = match node.operator.options {
        // True where the file does not say.
        Some(options) => options.u8_or(4, 1).map_err(|broken| format!("its options: {broken}"))? != 0,
        None => true,
    };
    let sequence = Sequence::of(w, x, time_major)?;
    let forth = cell(node, 1, [35, 36], [0, 1, 2])?.run(w, sequence, y, false)?;
    let back = cell(node, 18, [37, 38], [0, 1, 2])?.run(w, sequence, y, true)?;
    together(w, node, sequence, node.option(false, |o| o.flag(3))?, [forth, back])
}

/// `LSTM` in its first form: all weights in one matrix, and states as operands and results.
fn basic(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let [x, held, weights, bias, memory] = [0, 1, 2, 3, 4].map(|place| node.input(place));
    let (x, held, weights, bias, memory) = (x?, held?, weights?, bias?, memory?);
    let &[y, cell, joined, shown] = &node.operator.outputs[..] else { return Err("it has not four results".into()) };
    elementwise::real(w, &[x, held, memory], y)?;
    let (&[items, features], &[other, units]) = (&w.tensor(x).shape[..], &w.tensor(held).shape[..]) else {
        return Err("its operands are no matrices".into());
    };
    let fits = items == other
        && w.tensor(weights).shape == [GATES * units, features + units]
        && w.tensor(bias).shape == [GATES * units]
        && [memory, y, cell].iter().all(|&index| w.tensor(index).shape == [items, units]);
    if !fits {
        return Err(format!("weights of shape {:?} do not fit {units} units", w.tensor(weights).shape));
    }
    let (from, old, memory) = (w.real(x, Layout::File)?, w.real(held, Layout::File)?, w.real(memory, Layout::File)?);
    let kernel = w.real(weights, Layout::File)?;
    let bias = dense::bias_of(w, bias, x, weights)?;
    let both = w.extra(y, NodeBuilder::new("Concat", [&from, &old]).size("axis", 1));
    let sums = w.extra(y, NodeBuilder::new("Gemm", [&both, &kernel, &bias]).size("transB", 1));
    // What the runtime writes down on the way.
    if w.tensor(joined).shape == [items, features + units] && w.tensor(shown).shape == [items, GATES * units] {
        w.compute(joined, Layout::File, vec![NodeBuilder::new("Identity", [&both])])?;
        if !w.tensor(shown).kind.is_quantised() {
            w.compute(shown, Layout::File, vec![NodeBuilder::new("Identity", [&sums])])?;
        }
    }
    let mut gates = Vec::new();
    // Input, new input, forget, output.
    for (gate, op) in ["Sigmoid", "Tanh", "Sigmoid", "Sigmoid"].into_iter().enumerate() {
        let (start, end) = (w.longs(&[(gate * units) as i64])?, w.longs(&[((gate + 1) * units) as i64])?);
        let axes = w.longs(&[1])?;
        let sum = w.extra(y, NodeBuilder::new("Slice", [&sums, &start, &end, &axes]));
        gates.push(w.extra(y, NodeBuilder::new(op, [&sum])));
    }
    let new = w.extra(y, NodeBuilder::new("Mul", [&gates[0], &gates[1]]));
    let old = w.extra(y, NodeBuilder::new("Mul", [&gates[2], &memory]));
    w.compute(cell, Layout::File, vec![NodeBuilder::new("Add", [&old, &new])])?;
    let state = w.real(cell, Layout::File)?;
    let shown = w.extra(y, NodeBuilder::new("Tanh", [&state]));
    w.compute(y, Layout::File, vec![NodeBuilder::new("Mul", [&gates[3], &shown])])
}
