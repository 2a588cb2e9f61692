//! Normalisation.

use super::super::layout::Layout;
use super::super::write::{Try, Writer};
use super::elementwise::real;
use super::node::Node;
use crate::onnx::build::NodeBuilder;

/// `L2_NORMALIZATION` along the last axis.
pub fn l2(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    /// Least length that is divided by.
    const LEAST: f32 = 1e-6;
    let (x, y) = (node.input(0)?, node.output()?);
    real(w, &[x], y)?;
    let shape = &w.tensor(x).shape;
    if *shape != w.tensor(y).shape || shape.is_empty() {
        return Err("its result has another shape than its operand".into());
    }
    let last = w.longs(&[shape.len() as i64 - 1])?;
    let activation = node.activation(0)?;
    let (name, least) = (w.real(x, Layout::File)?, w.number(LEAST)?);
    let squares = w.extra(y, NodeBuilder::new("Mul", [&name, &name]));
    let sum = w.extra(y, NodeBuilder::new("ReduceSum", [&squares, &last]).int("keepdims", 1));
    let length = w.extra(y, NodeBuilder::new("Sqrt", [&sum]));
    let length = w.extra(y, NodeBuilder::new("Max", [&length, &least]));
    let mut steps = vec![NodeBuilder::new("Div", [&name, &length])];
    steps.extend(w.activation(activation, y)?);
    w.compute(y, Layout::File, steps)
}

/// `LOCAL_RESPONSE_NORMALIZATION` over the channels around each one.
pub fn local_response(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    // Options: radius, bias, alpha, beta.
    let (x, y) = (node.input(0)?, node.output()?);
    real(w, &[x], y)?;
    let radius = node.option(0, |o| o.i32(0, 0))?;
    let radius =
        usize::try_from(radius).ok().filter(|r| *r < 1 << 12).ok_or_else(|| format!("a radius of {radius}"))?;
    if w.tensor(x).shape.len() != 4 || w.tensor(x).shape != w.tensor(y).shape {
        return Err(format!("it does not lead from {:?} to {:?}", w.tensor(x).shape, w.tensor(y).shape));
    }
    let number = |id| node.option(0.0, |o| o.f32(id));
    let size = 2 * radius + 1;
    let name = w.real(x, Layout::File)?;
    let squares = w.extra(y, NodeBuilder::new("Mul", [&name, &name]));
    // The mean of a window over the last axis, which counts what lies behind the ends as zeros.
    let mean = NodeBuilder::new("AveragePool", [&squares])
        .sizes("kernel_shape", &[1, size])
        .sizes("pads", &[0, radius, 0, radius])
        .int("count_include_pad", 1);
    let mean = w.extra(y, mean);
    let (alpha, bias, beta) = (w.number(number(2)? * size as f32)?, w.number(number(1)?)?, w.number(number(3)?)?);
    let scaled = w.extra(y, NodeBuilder::new("Mul", [&mean, &alpha]));
    let moved = w.extra(y, NodeBuilder::new("Add", [&scaled, &bias]));
    let root = w.extra(y, NodeBuilder::new("Pow", [&moved, &beta]));
    w.compute(y, Layout::File, vec![NodeBuilder::new("Div", [&name, &root])])
}
