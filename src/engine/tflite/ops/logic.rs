//! Comparisons, flags, choices, and changes of type.

use super::super::constants::onnx_type;
use super::super::layout::Layout;
use super::super::schema::ElementType;
use super::super::write::{Try, Writer};
use super::elementwise::{alike, broadcast};
use super::node::{Node, same_bytes};
use crate::onnx::build::NodeBuilder;

fn fits(w: &Writer<'_, '_>, a: usize, b: usize, y: usize) -> Try<()> {
    let (a, b, y) = (w.tensor(a), w.tensor(b), w.tensor(y));
    if y.kind != ElementType::Bool || broadcast(&a.shape, &b.shape).as_ref() != Some(&y.shape) {
        return Err(format!("shapes {:?} and {:?} do not make {} {:?}", a.shape, b.shape, y.kind.name(), y.shape));
    }
    Ok(())
}

/// A comparison; `turned` gives the opposite.
pub fn compare(w: &mut Writer<'_, '_>, node: Node<'_, '_>, op: &'static str, turned: bool) -> Try<()> {
    let (a, b, y) = (node.input(0)?, node.input(1)?, node.output()?);
    fits(w, a, b, y)?;
    // Integers that stand for reals of one scale compare as these do.
    let (a, b) = if same_bytes(w, a, b) {
        (w.stored(a, Layout::File)?, w.stored(b, Layout::File)?)
    } else {
        alike(w, &[a], b)?;
        (w.real(a, Layout::File)?, w.real(b, Layout::File)?)
    };
    let mut steps = vec![NodeBuilder::new(op, [&a, &b])];
    if turned {
        steps.push(NodeBuilder::new("Not", [""; 0]));
    }
    w.row(y, Layout::File, steps)
}

/// `LOGICAL_AND` and `LOGICAL_OR`.
pub fn flags(w: &mut Writer<'_, '_>, node: Node<'_, '_>, op: &'static str) -> Try<()> {
    let (a, b, y) = (node.input(0)?, node.input(1)?, node.output()?);
    fits(w, a, b, y)?;
    let (a, b) = (w.stored(a, Layout::File)?, w.stored(b, Layout::File)?);
    w.row(y, Layout::File, vec![NodeBuilder::new(op, [&a, &b])])
}

/// `LOGICAL_NOT`.
pub fn not(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    fits(w, x, x, y)?;
    let name = w.stored(x, Layout::File)?;
    w.row(y, Layout::File, vec![NodeBuilder::new("Not", [&name])])
}

/// `SELECT`, whose flags may run along the first axis, and `SELECT_V2`, which broadcasts.
pub fn select(w: &mut Writer<'_, '_>, node: Node<'_, '_>, broadcasts: bool) -> Try<()> {
    let (flags, a, b, y) = (node.input(0)?, node.input(1)?, node.input(2)?, node.output()?);
    let shape = w.tensor(y).shape.clone();
    let mut condition = w.stored(flags, Layout::File)?;
    let mut wide = w.tensor(flags).shape.clone();
    if !broadcasts && wide.len() == 1 && shape.len() > 1 {
        wide.resize(shape.len(), 1);
        let dims = w.dims(&wide)?;
        condition = w.extra(y, NodeBuilder::new("Reshape", [&condition, &dims]));
    }
    let all = broadcast(&wide, &w.tensor(a).shape).and_then(|s| broadcast(&s, &w.tensor(b).shape));
    if all.as_ref() != Some(&shape) || w.tensor(flags).kind != ElementType::Bool {
        return Err(format!("its flags {wide:?} do not choose for {shape:?}"));
    }
    if same_bytes(w, a, y) && same_bytes(w, b, y) {
        let (a, b) = (w.stored(a, Layout::File)?, w.stored(b, Layout::File)?);
        return w.row(y, Layout::File, vec![NodeBuilder::new("Where", [&condition, &a, &b])]);
    }
    alike(w, &[a, b], y)?;
    let (a, b) = (w.real(a, Layout::File)?, w.real(b, Layout::File)?);
    w.compute(y, Layout::File, vec![NodeBuilder::new("Where", [&condition, &a, &b])])
}

/// `CAST`: numbers of another type; integers are taken as they are, whatever scale they have.
pub fn cast(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    if w.tensor(x).shape != w.tensor(y).shape {
        return Err("its result has another shape than its operand".into());
    }
    let layout = w.common_layout(&[x], y);
    let to = onnx_type(w.tensor(y).kind)? as i64;
    onnx_type(w.tensor(x).kind)?;
    let name = w.stored(x, layout)?;
    w.row(y, layout, vec![NodeBuilder::new("Cast", [&name]).int("to", to)])
}

/// `BUCKETIZE`: how many boundaries lie at or below each number.
pub fn bucketize(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    let boundaries: Vec<f32> = node
        .option(Vec::new(), |o| Ok(o.words(0)?.f32s().take(1 << 12).collect()))?
        .into_iter()
        .filter(|boundary| !boundary.is_nan())
        .collect();
    let kind = w.tensor(x).kind;
    let numbers = matches!(kind, ElementType::F32 | ElementType::F64 | ElementType::I32 | ElementType::I64);
    if w.tensor(x).shape != w.tensor(y).shape || w.tensor(y).kind != ElementType::I32 || !numbers {
        return Err("its result is not one INT32 for each number".into());
    }
    let float = onnx_type(ElementType::F32)? as i64;
    let mut wide = w.tensor(x).shape.clone();
    wide.push(1);
    let dims = w.dims(&wide)?;
    let (boundaries, last) = (w.numbers(&boundaries)?, w.longs(&[-1])?);
    let name = w.stored(x, Layout::File)?;
    let name = w.extra(y, NodeBuilder::new("Cast", [&name]).int("to", float));
    let name = w.extra(y, NodeBuilder::new("Reshape", [&name, &dims]));
    let passed = w.extra(y, NodeBuilder::new("GreaterOrEqual", [&name, &boundaries]));
    let passed = w.extra(y, NodeBuilder::new("Cast", [&passed]).int("to", onnx_type(ElementType::I32)? as i64));
    w.row(y, Layout::File, vec![NodeBuilder::new("ReduceSum", [&passed, &last]).int("keepdims", 0)])
}
