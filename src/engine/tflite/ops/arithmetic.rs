//! Arithmetic that takes several nodes.

use super::super::layout::Layout;
use super::super::schema::ElementType;
use super::super::write::{Try, Writer};
use super::elementwise::{alike, broadcast, functions, real};
use super::node::Node;
use crate::onnx::build::NodeBuilder;

/// The operands of an operator of two, as numbers that broadcast to its result.
fn operands(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<(String, String, usize)> {
    let (a, b, y) = (node.input(0)?, node.input(1)?, node.output()?);
    alike(w, &[a, b], y)?;
    if broadcast(&w.tensor(a).shape, &w.tensor(b).shape).as_ref() != Some(&w.tensor(y).shape) {
        let (a, b, y) = (&w.tensor(a).shape, &w.tensor(b).shape, &w.tensor(y).shape);
        return Err(format!("shapes {a:?} and {b:?} do not broadcast to {y:?}"));
    }
    Ok((w.real(a, Layout::File)?, w.real(b, Layout::File)?, y))
}

fn is_real(w: &Writer<'_, '_>, index: usize) -> bool {
    let kind = w.tensor(index).kind;
    kind.is_quantised() || matches!(kind, ElementType::F32 | ElementType::F64)
}

/// Type of the numbers that a tensor is computed in.
fn number_type(w: &Writer<'_, '_>, index: usize) -> ElementType {
    let kind = w.tensor(index).kind;
    if kind.is_quantised() || kind == ElementType::F16 { ElementType::F32 } else { kind }
}

/// `SQUARED_DIFFERENCE`.
pub fn squared_difference(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (a, b, y) = operands(w, node)?;
    let difference = w.extra(y, NodeBuilder::new("Sub", [&a, &b]));
    w.compute(y, Layout::File, vec![NodeBuilder::new("Mul", [&difference, &difference])])
}

/// `SQUARE`.
pub fn square(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    alike(w, &[x], y)?;
    let layout = w.common_layout(&[x], y);
    let name = w.real(x, layout)?;
    w.compute(y, layout, vec![NodeBuilder::new("Mul", [&name, &name])])
}

/// `FLOOR_DIV`: the quotient rounded down.
pub fn floor_div(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (a, b, y) = operands(w, node)?;
    if is_real(w, y) {
        return w.compute(y, Layout::File, vec![NodeBuilder::new("Div", [&a, &b]), NodeBuilder::new("Floor", [""; 0])]);
    }
    // What is left has the divisor's sign, and without it the division has no remainder.
    let left = w.extra(y, NodeBuilder::new("Mod", [&a, &b]));
    let whole = w.extra(y, NodeBuilder::new("Sub", [&a, &left]));
    w.compute(y, Layout::File, vec![NodeBuilder::new("Div", [&whole, &b])])
}

/// `FLOOR_MOD`: the remainder with the divisor's sign.
pub fn floor_mod(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (a, b, y) = operands(w, node)?;
    if !is_real(w, y) {
        return w.compute(y, Layout::File, vec![NodeBuilder::new("Mod", [&a, &b])]);
    }
    let zero = w.typed(number_type(w, y), 0.0)?;
    let left = w.extra(y, NodeBuilder::new("Mod", [&a, &b]).int("fmod", 1));
    let other = w.extra(y, NodeBuilder::new("Mul", [&left, &b]));
    let other = w.extra(y, NodeBuilder::new("Less", [&other, &zero]));
    let turned = w.extra(y, NodeBuilder::new("Add", [&left, &b]));
    w.compute(y, Layout::File, vec![NodeBuilder::new("Where", [&other, &turned, &left])])
}

/// `ATAN2`: the angle of the point whose ordinate comes first.
pub fn atan2(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (up, along, y) = operands(w, node)?;
    real(w, &[node.input(0)?, node.input(1)?], y)?;
    let kind = number_type(w, y);
    let (zero, pi, quarter) =
        (w.typed(kind, 0.0)?, w.typed(kind, std::f64::consts::PI)?, w.typed(kind, std::f64::consts::FRAC_PI_2)?);
    let minus = w.typed(kind, -std::f64::consts::PI)?;
    let minus_quarter = w.typed(kind, -std::f64::consts::FRAC_PI_2)?;
    let slope = w.extra(y, NodeBuilder::new("Div", [&up, &along]));
    let angle = w.extra(y, NodeBuilder::new("Atan", [&slope]));
    let (below, behind) =
        (w.extra(y, NodeBuilder::new("Less", [&up, &zero])), w.extra(y, NodeBuilder::new("Less", [&along, &zero])));
    let turn = w.extra(y, NodeBuilder::new("Where", [&below, &minus, &pi]));
    let turned = w.extra(y, NodeBuilder::new("Add", [&angle, &turn]));
    let angle = w.extra(y, NodeBuilder::new("Where", [&behind, &turned, &angle]));
    // Straight up and down the slope has no number, nor has it at the origin.
    let above = w.extra(y, NodeBuilder::new("Greater", [&up, &zero]));
    let straight = w.extra(y, NodeBuilder::new("Where", [&below, &minus_quarter, &zero]));
    let straight = w.extra(y, NodeBuilder::new("Where", [&above, &quarter, &straight]));
    let upright = w.extra(y, NodeBuilder::new("Equal", [&along, &zero]));
    w.compute(y, Layout::File, vec![NodeBuilder::new("Where", [&upright, &straight, &angle])])
}

/// `ADD_N`.
pub fn add_all(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let y = node.output()?;
    let all: Vec<usize> = (0..node.operator.inputs.len()).map(|place| node.input(place)).collect::<Try<_>>()?;
    alike(w, &all, y)?;
    if all.is_empty() || all.iter().any(|&x| w.tensor(x).shape != w.tensor(y).shape) {
        return Err("its operands do not have its result's shape".into());
    }
    let names: Vec<String> = all.iter().map(|&x| w.real(x, Layout::File)).collect::<Try<_>>()?;
    w.compute(y, Layout::File, vec![NodeBuilder::new("Sum", names)])
}

/// An operator of two operands on the bits of integers.
pub fn integers(w: &mut Writer<'_, '_>, node: Node<'_, '_>, step: NodeBuilder) -> Try<()> {
    let (a, b, y) = (node.input(0)?, node.input(1)?, node.output()?);
    let kind = w.tensor(y).kind;
    let fits = [a, b].iter().all(|&x| w.tensor(x).kind == kind);
    let floats = matches!(kind, ElementType::F32 | ElementType::F64 | ElementType::F16 | ElementType::Bool);
    if !fits || floats || broadcast(&w.tensor(a).shape, &w.tensor(b).shape).as_ref() != Some(&w.tensor(y).shape) {
        return Err("its operands are no integers that fit its result".into());
    }
    let (a, b) = (w.stored(a, Layout::File)?, w.stored(b, Layout::File)?);
    let mut step = step;
    step.prepend_input(b);
    step.prepend_input(a);
    w.row(y, Layout::File, vec![step])
}

/// `GELU`, by the error function or by the hyperbolic tangent.
pub fn gelu(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    real(w, &[x], y)?;
    if w.tensor(x).shape != w.tensor(y).shape {
        return Err("its result has another shape than its operand".into());
    }
    let layout = w.common_layout(&[x], y);
    let name = w.real(x, layout)?;
    let (one, half) = (w.number(1.0)?, w.number(0.5)?);
    let inner = if node.option(false, |o| o.flag(0))? {
        let (third, root) = (w.number(0.044_715)?, w.number((2.0 / std::f32::consts::PI).sqrt())?);
        let square = w.extra(y, NodeBuilder::new("Mul", [&name, &name]));
        let cube = w.extra(y, NodeBuilder::new("Mul", [&square, &name]));
        let cube = w.extra(y, NodeBuilder::new("Mul", [&cube, &third]));
        let sum = w.extra(y, NodeBuilder::new("Add", [&name, &cube]));
        let scaled = w.extra(y, NodeBuilder::new("Mul", [&sum, &root]));
        w.extra(y, NodeBuilder::new("Tanh", [&scaled]))
    } else {
        let root = w.number(std::f32::consts::SQRT_2)?;
        let scaled = w.extra(y, NodeBuilder::new("Div", [&name, &root]));
        w.extra(y, NodeBuilder::new("Erf", [&scaled]))
    };
    let share = w.extra(y, NodeBuilder::new("Add", [&inner, &one]));
    let product = w.extra(y, NodeBuilder::new("Mul", [&name, &share]));
    w.compute(y, layout, vec![NodeBuilder::new("Mul", [&product, &half])])
}

/// `FAKE_QUANT`: rounds reals to as many steps as there are integers of some bits.
pub fn fake_quant(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    if w.tensor(x).kind != ElementType::F32 {
        return Err("it is not of floats".into());
    }
    let (low, high) = (node.option(0.0, |o| o.f32(0))?, node.option(0.0, |o| o.f32(1))?);
    let bits = node.option(8, |o| o.i32(2, 0))?;
    let narrow = node.option(false, |o| o.flag(3))?;
    if !(2..=16).contains(&bits) || !low.is_finite() || !high.is_finite() || low > 0.0 || high < 0.0 || low >= high {
        return Err(format!("{bits} bits from {low} to {high} cannot be"));
    }
    let (least, most) = (if narrow { 1.0f32 } else { 0.0 }, ((1u32 << bits) - 1) as f32);
    let scale = (high - low) / (most - least);
    let zero = (least - low / scale).round().clamp(least, most);
    let (low, high) = ((least - zero) * scale, (most - zero) * scale);
    let (low, high) = (w.number(low)?, w.number(high)?);
    let (inverse, scale, half) = (w.number(1.0 / scale)?, w.number(scale)?, w.number(0.5)?);
    let steps = vec![
        NodeBuilder::new("Clip", [&low, &high]),
        NodeBuilder::new("Sub", [&low]),
        NodeBuilder::new("Mul", [&inverse]),
        NodeBuilder::new("Add", [&half]),
        NodeBuilder::new("Floor", [""; 0]),
        NodeBuilder::new("Mul", [&scale]),
        NodeBuilder::new("Add", [&low]),
    ];
    functions(w, node, steps)?;
    debug_assert!(w.is_known(y));
    Ok(())
}
