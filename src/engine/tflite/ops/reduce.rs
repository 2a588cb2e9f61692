//! Sums, means, extremes and their places along axes.

use tract_onnx::pb::tensor_proto::DataType;

use super::super::constants::onnx_type;
use super::super::layout::Layout;
use super::super::schema::ElementType;
use super::super::write::{Try, Writer};
use super::elementwise;
use super::node::{Node, moved, same_bytes, told};
use crate::onnx::build::NodeBuilder;

/// The axes that an operator reduces, in order, and whether they stay as dimensions of 1.
fn axes(w: &Writer<'_, '_>, node: Node<'_, '_>) -> Try<(Vec<usize>, bool)> {
    let (x, y) = (node.input(0)?, node.output()?);
    let rank = w.tensor(x).shape.len();
    let keep = node.option(false, |o| o.flag(0))?;
    let mut axes = Vec::new();
    for axis in w.integers(node.input(1)?)? {
        axes.push(crate::onnx::node::axis(axis, rank)?);
    }
    axes.sort_unstable();
    axes.dedup();
    let shape = &w.tensor(x).shape;
    if remaining(shape, &axes, keep) != w.tensor(y).shape {
        return Err(format!("axes {axes:?} of {shape:?} do not make {:?}", w.tensor(y).shape));
    }
    Ok((axes, keep))
}

/// The shape without `axes`, or with 1 in their places.
pub fn remaining(shape: &[usize], axes: &[usize], keep: bool) -> Vec<usize> {
    let left = |(axis, &dim): (usize, &usize)| match (axes.contains(&axis), keep) {
        (false, _) => Some(dim),
        (true, true) => Some(1),
        (true, false) => None,
    };
    shape.iter().enumerate().filter_map(left).collect()
}

/// A node that reduces `axes` of `name`.
fn over(w: &mut Writer<'_, '_>, op: &str, name: &str, axes: &[usize], keep: bool) -> Try<NodeBuilder> {
    let step = match op {
        "ReduceSum" => {
            let axes = w.longs(&axes.iter().map(|&axis| axis as i64).collect::<Vec<_>>())?;
            NodeBuilder::new(op, [name, &axes])
        }
        _ => NodeBuilder::new(op, [name]).sizes("axes", axes),
    };
    Ok(step.size("keepdims", usize::from(keep)))
}

/// `MEAN`, `SUM` and their kin over constant axes.
pub fn reduce(w: &mut Writer<'_, '_>, node: Node<'_, '_>, op: &'static str) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    elementwise::alike(w, &[x], y)?;
    let (axes, keep) = axes(w, node)?;
    // Whole pictures, or axes that stay, can be taken channels first; what is left must then be in the file's order.
    let lies_first = w.lies(x) == Some(Layout::ChannelsFirst);
    let in_order = keep || axes.contains(&3) || axes == [1, 2];
    let layout = if lies_first && in_order { Layout::ChannelsFirst } else { Layout::File };
    let mapped: Vec<usize> = axes.iter().map(|&axis| layout.axis(axis)).collect();
    let result = if keep { layout } else { Layout::File };
    if axes.is_empty() {
        return moved(w, x, y, Layout::File, |name| vec![NodeBuilder::new("Identity", [name])]);
    }
    let name = w.real(x, layout)?;
    let kind = w.tensor(x).kind;
    if op == "ReduceMean" && !kind.is_quantised() && !matches!(kind, ElementType::F32 | ElementType::F64) {
        // A sum that is divided as integers are.
        let name = w.extra(y, NodeBuilder::new("Cast", [&name]).int("to", DataType::Int64 as i64));
        let sum = over(w, "ReduceSum", &name, &mapped, keep)?;
        let count = axes.iter().map(|&axis| w.tensor(x).shape[axis]).product::<usize>();
        let count = w.typed(ElementType::I64, count as f64)?;
        let to = onnx_type(kind)? as i64;
        let steps = vec![sum, NodeBuilder::new("Div", [&count]), NodeBuilder::new("Cast", [""; 0]).int("to", to)];
        return w.row(y, result, steps);
    }
    let step = over(w, op, &name, &mapped, keep)?;
    w.compute(y, result, vec![step])
}

/// `REDUCE_ANY` and `REDUCE_ALL`: extremes of flags.
pub fn of_flags(w: &mut Writer<'_, '_>, node: Node<'_, '_>, op: &'static str) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    let (axes, keep) = axes(w, node)?;
    if w.tensor(x).kind != ElementType::Bool || w.tensor(y).kind != ElementType::Bool {
        return Err("it is not of flags".into());
    }
    let name = w.stored(x, Layout::File)?;
    if axes.is_empty() {
        return w.row(y, Layout::File, vec![NodeBuilder::new("Identity", [&name])]);
    }
    let name = w.extra(y, NodeBuilder::new("Cast", [&name]).int("to", DataType::Int32 as i64));
    let step = over(w, op, &name, &axes, keep)?;
    w.row(y, Layout::File, vec![step, NodeBuilder::new("Cast", [""; 0]).int("to", DataType::Bool as i64)])
}

/// `ARG_MAX` and `ARG_MIN`: the first place of the extreme.
pub fn place(w: &mut Writer<'_, '_>, node: Node<'_, '_>, op: &'static str) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    let shape = w.tensor(x).shape.clone();
    let &[along] = &w.integers(node.input(1)?)?[..] else { return Err("it has not one axis".into()) };
    let along = crate::onnx::node::axis(along, shape.len())?;
    let made: Vec<usize> = (0..shape.len()).filter(|&a| a != along).map(|a| shape[a]).collect();
    let kind = w.tensor(y).kind;
    if made != w.tensor(y).shape || !matches!(kind, ElementType::I32 | ElementType::I64) {
        return Err(format!("axis {along} of {shape:?} does not make {:?}", w.tensor(y).shape));
    }
    if w.tensor(x).kind == ElementType::Bool {
        return Err("it is of flags".into());
    }
    // Integers that stand for reals are ordered as these are.
    let name = w.stored(x, Layout::File)?;
    let mut steps = vec![NodeBuilder::new(op, [&name]).size("axis", along).int("keepdims", 0)];
    if kind == ElementType::I32 {
        steps.push(NodeBuilder::new("Cast", [""; 0]).int("to", DataType::Int32 as i64));
    }
    w.row(y, Layout::File, steps)
}

/// `CUMSUM` along a constant axis.
pub fn running_sum(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    elementwise::alike(w, &[x], y)?;
    let &[along] = &w.integers(node.input(1)?)?[..] else { return Err("it has not one axis".into()) };
    let along = crate::onnx::node::axis(along, w.tensor(x).shape.len())?;
    let (exclusive, reverse) = (node.option(false, |o| o.flag(0))?, node.option(false, |o| o.flag(1))?);
    if w.tensor(x).shape != w.tensor(y).shape {
        return Err("its result has another shape than its operand".into());
    }
    let (name, axis) = (w.real(x, Layout::File)?, w.typed(ElementType::I64, along as f64)?);
    let step = NodeBuilder::new("CumSum", [&name, &axis])
        .size("exclusive", usize::from(exclusive))
        .size("reverse", usize::from(reverse));
    w.compute(y, Layout::File, vec![step])
}

/// `TOPK_V2`: the greatest along the last axis, and their places; how many is what the file says of its results.
pub fn top(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    told(w, node, 1)?;
    let x = node.input(0)?;
    let &[values, places] = &node.operator.outputs[..] else { return Err("it has not two results".into()) };
    let shape = w.tensor(x).shape.clone();
    let wanted = w.tensor(values).shape.clone();
    let (Some((&most, lead)), Some((&count, same))) = (shape.split_last(), wanted.split_last()) else {
        return Err("it is of one number".into());
    };
    let kind = w.tensor(places).kind;
    let fits = lead == same && count <= most && w.tensor(places).shape == wanted && same_bytes(w, x, values);
    if !fits || !matches!(kind, ElementType::I32 | ElementType::I64) {
        return Err(format!("its results {wanted:?} do not fit its operand {shape:?}"));
    }
    let (name, count) = (w.real(x, Layout::File)?, w.longs(&[count as i64])?);
    let (top, found) = (w.fresh(values, "topk"), w.fresh(places, "topk"));
    let step = NodeBuilder::new("TopK", [&name, &count]).size("axis", shape.len() - 1);
    w.nodes(step, vec![top.clone(), found.clone()]);
    w.compute(values, Layout::File, vec![NodeBuilder::new("Identity", [&top])])?;
    let to = onnx_type(kind)? as i64;
    w.row(places, Layout::File, vec![NodeBuilder::new("Cast", [&found]).int("to", to)])
}
