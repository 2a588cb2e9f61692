//! Operators that work element by element, and those that only round.

use super::super::layout::Layout;
use super::super::schema::{Activation, ElementType};
use super::super::write::{Try, Writer};
use super::node::{Node, same_bytes};
use crate::onnx::build::NodeBuilder;

/// An operator of two operands that are broadcast against each other; its activation is in field `activation`.
pub fn binary(w: &mut Writer<'_, '_>, node: Node<'_, '_>, op: &'static str, activation: Option<usize>) -> Try<()> {
    let (a, b, y) = (node.input(0)?, node.input(1)?, node.output()?);
    let shape = w.tensor(y).shape.clone();
    if broadcast(&w.tensor(a).shape, &w.tensor(b).shape).as_ref() != Some(&shape) {
        let (a, b) = (&w.tensor(a).shape, &w.tensor(b).shape);
        return Err(format!("shapes {a:?} and {b:?} do not broadcast to {shape:?}"));
    }
    alike(w, &[a, b], y)?;
    let activation = activation.map_or(Ok(Activation::None), |id| node.activation(id))?;
    let layout = w.common_layout(&[a, b], y);
    let (a, b) = (operand(w, a, layout)?, operand(w, b, layout)?);
    let mut steps = vec![NodeBuilder::new(op, [&a, &b])];
    steps.extend(w.activation(activation, y)?);
    w.compute(y, layout, steps)
}

/// `PRELU`: slopes that broadcast.
pub fn prelu(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, slopes, y) = (node.input(0)?, node.input(1)?, node.output()?);
    if w.tensor(slopes).data.is_some() {
        return binary(w, node, "PRelu", None);
    }
    real(w, &[x, slopes], y)?;
    let (from, by) = (w.real(x, Layout::File)?, w.real(slopes, Layout::File)?);
    let zero = w.number(0.0)?;
    let negative = w.extra(y, NodeBuilder::new("Less", [&from, &zero]));
    let scaled = w.extra(y, NodeBuilder::new("Mul", [&from, &by]));
    w.compute(y, Layout::File, vec![NodeBuilder::new("Where", [&negative, &scaled, &from])])
}

/// Fails unless operands and result are reals, or all of them of one other type of numbers.
pub fn alike(w: &Writer<'_, '_>, operands: &[usize], result: usize) -> Try<()> {
    let real = |index: usize| {
        w.tensor(index).kind.is_quantised() || matches!(w.tensor(index).kind, ElementType::F32 | ElementType::F16)
    };
    let kind = w.tensor(result).kind;
    let fits = |&index: &usize| w.tensor(index).kind == kind || (real(index) && real(result));
    match operands.iter().find(|index| !fits(index)) {
        None if kind == ElementType::Bool => Err("it does not compute on flags".into()),
        None => Ok(()),
        Some(&index) => Err(format!(
            "its operand {:?} is of type {}, its result of {}",
            w.tensor(index).name,
            w.tensor(index).kind.name(),
            kind.name()
        )),
    }
}

/// Fails unless operands and result are reals.
pub fn real(w: &Writer<'_, '_>, operands: &[usize], result: usize) -> Try<()> {
    let real = |kind: ElementType| kind.is_quantised() || matches!(kind, ElementType::F32 | ElementType::F64);
    let kinds = operands
        .iter()
        .chain([&result])
        .map(|&index| w.tensor(index))
        .find(|tensor| !(real(tensor.kind) || tensor.kind == ElementType::F16 && tensor.data.is_some()));
    match kinds {
        None => alike(w, operands, result),
        Some(tensor) => Err(format!("tensor {:?} is of type {}, which is no real", tensor.name, tensor.kind.name())),
    }
}

/// An operand as reals that broadcast in `layout`.
pub fn operand(w: &mut Writer<'_, '_>, index: usize, layout: Layout) -> Try<String> {
    let tensor = w.tensor(index);
    if layout == Layout::File || tensor.data.is_none() {
        return w.real(index, layout);
    }
    let lead = 4usize.checked_sub(tensor.shape.len()).ok_or("a constant has more dimensions than its result")?;
    let shape: Vec<usize> = std::iter::repeat_n(1, lead).chain(tensor.shape.iter().copied()).collect();
    w.real_constant(index, &shape, &Layout::TO_CHANNELS_FIRST)
}

/// The shape that two others broadcast to.
pub fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let dim = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    (0..rank)
        .map(|axis| match (dim(a, axis), dim(b, axis)) {
            (a, b) if a == b || b == 1 => Some(a),
            (1, b) => Some(b),
            _ => None,
        })
        .collect()
}

/// A function of one real.
pub fn unary(w: &mut Writer<'_, '_>, node: Node<'_, '_>, op: &'static str) -> Try<()> {
    real(w, &[node.input(0)?], node.output()?)?;
    functions(w, node, vec![NodeBuilder::new(op, [""; 0])])
}

/// A function of one number of any type.
pub fn number(w: &mut Writer<'_, '_>, node: Node<'_, '_>, op: &'static str) -> Try<()> {
    alike(w, &[node.input(0)?], node.output()?)?;
    functions(w, node, vec![NodeBuilder::new(op, [""; 0])])
}

/// `RSQRT`.
pub fn rsqrt(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    real(w, &[node.input(0)?], node.output()?)?;
    functions(w, node, vec![NodeBuilder::new("Sqrt", [""; 0]), NodeBuilder::new("Reciprocal", [""; 0])])
}

/// Functions in a row, element by element.
pub fn functions(w: &mut Writer<'_, '_>, node: Node<'_, '_>, mut steps: Vec<NodeBuilder>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    if w.tensor(x).shape != w.tensor(y).shape {
        return Err("its result has another shape than its operand".into());
    }
    let layout = w.common_layout(&[x], y);
    let name = w.real(x, layout)?;
    if steps.is_empty() && !w.tensor(y).kind.is_quantised() {
        steps.push(NodeBuilder::new("Identity", [""; 0]));
    }
    match steps.first_mut() {
        Some(first) => first.prepend_input(&name),
        // Rounding alone.
        None => {
            let (scale, zero_point) = w.parameters(y)?;
            return w.row(y, layout, vec![NodeBuilder::new("QuantizeLinear", [&name, &scale, &zero_point])]);
        }
    }
    w.compute(y, layout, steps)
}

/// `RELU` and its kin by themselves.
pub fn activation(w: &mut Writer<'_, '_>, node: Node<'_, '_>, activation: Activation) -> Try<()> {
    alike(w, &[node.input(0)?], node.output()?)?;
    let steps = w.activation(activation, node.output()?)?;
    functions(w, node, steps)
}

/// `LEAKY_RELU`.
pub fn leaky_relu(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let alpha = node.option(0.0, |o| o.f32(0))?;
    real(w, &[node.input(0)?], node.output()?)?;
    functions(w, node, vec![NodeBuilder::new("LeakyRelu", [""; 0]).float("alpha", alpha)])
}

/// `SOFTMAX` along the last axis.
pub fn softmax(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    let (shape, beta) = (&w.tensor(x).shape, node.option(1.0, |o| o.f32(0))?);
    if *shape != w.tensor(y).shape || shape.is_empty() || !beta.is_finite() {
        return Err(format!("a softmax of {shape:?} with beta {beta} cannot be"));
    }
    let last = shape.len() - 1;
    real(w, &[x], y)?;
    let name = w.real(x, Layout::File)?;
    let mut steps = Vec::new();
    if beta == 1.0 {
        steps.push(NodeBuilder::new("Softmax", [&name]).size("axis", last));
    } else {
        let beta = w.number(beta)?;
        steps.push(NodeBuilder::new("Mul", [&name, &beta]));
        steps.push(NodeBuilder::new("Softmax", [""; 0]).size("axis", last));
    }
    w.compute(y, Layout::File, steps)
}

/// `LOG_SOFTMAX` along the last axis.
pub fn log_softmax(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    real(w, &[x], y)?;
    let rank = w.tensor(x).shape.len();
    if rank == 0 || w.tensor(x).shape != w.tensor(y).shape {
        return Err(format!("it does not lead from {:?} to {:?}", w.tensor(x).shape, w.tensor(y).shape));
    }
    let name = w.real(x, Layout::File)?;
    w.compute(y, Layout::File, vec![NodeBuilder::new("LogSoftmax", [&name]).size("axis", rank - 1)])
}

/// `QUANTIZE`: reals to bytes, or bytes to others.
pub fn quantize(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    real(w, &[x], y)?;
    if !w.tensor(y).kind.is_quantised() {
        return Err(format!("it quantises to {}, which has no form here", w.tensor(y).kind.name()));
    }
    if same_bytes(w, x, y) && w.tensor(x).shape == w.tensor(y).shape {
        let layout = w.common_layout(&[x], y);
        let name = w.stored(x, layout)?;
        return w.alias(y, layout, name);
    }
    functions(w, node, Vec::new())
}

/// `DEQUANTIZE`: bytes to reals.
pub fn dequantize(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    if w.tensor(y).kind != ElementType::F32 || w.tensor(x).shape != w.tensor(y).shape {
        return Err("its result is not of floats of the same shape".into());
    }
    let layout = w.common_layout(&[x], y);
    let name = w.real(x, layout)?;
    w.alias(y, layout, name)
}
