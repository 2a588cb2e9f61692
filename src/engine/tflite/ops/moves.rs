//! Operators that move elements without computing on them.

use super::super::graph::Operator;
use super::super::layout::Layout;
use super::super::schema::ElementType;
use super::super::write::{Try, Writer};
use super::node::{Node, moved, same_bytes};
use crate::onnx::build::NodeBuilder;
use crate::onnx::node::{axis, is_permutation};

/// The axis of a `CONCATENATION` as the file has it.
pub fn axis_option(operator: &Operator<'_>) -> Try<i64> {
    Node { operator }.option(0, |o| o.i32(0, 0)).map(i64::from)
}

/// `RESHAPE`, `SQUEEZE`, `EXPAND_DIMS`: the shape of the result is what the file says of it.
pub fn reshape(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    let (from, to) = (w.tensor(x), w.tensor(y));
    if from.len() != to.len() {
        return Err(format!("shape {:?} does not become {:?}", from.shape, to.shape));
    }
    // One pixel lies in both layouts alike; where it comes from a picture, a picture is likely to be wanted.
    let layout = match (from.shape.len(), &to.shape[..]) {
        (rank, &[_, 1, 1, _]) if rank < 4 => Layout::ChannelsFirst,
        _ => Layout::File,
    };
    let dims = w.dims(&layout.shape(&to.shape))?;
    if same_bytes(w, x, y) {
        let name = w.in_order(x)?;
        return w.row(y, layout, vec![NodeBuilder::new("Reshape", [&name, &dims])]);
    }
    let name = w.real(x, Layout::File)?;
    w.compute(y, layout, vec![NodeBuilder::new("Reshape", [&name, &dims])])
}

/// `TRANSPOSE`; one that only says that channels come first or last needs nothing to be done.
pub fn transpose(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    let shape = w.tensor(x).shape.clone();
    let order: Vec<usize> =
        w.integers(node.input(1)?)?.into_iter().map(|a| axis(a, shape.len())).collect::<Result<_, _>>()?;
    if !is_permutation(&order, shape.len()) || order.iter().map(|&a| shape[a]).ne(w.tensor(y).shape.iter().copied()) {
        return Err(format!("order {order:?} of {shape:?} does not make {:?}", w.tensor(y).shape));
    }
    let (from, to) = match order[..] {
        [0, 3, 1, 2] => (Layout::ChannelsFirst, Layout::File),
        [0, 2, 3, 1] => (Layout::File, Layout::ChannelsFirst),
        _ => {
            return moved(w, x, y, Layout::File, |name| {
                vec![NodeBuilder::new("Transpose", [name]).sizes("perm", &order)]
            });
        }
    };
    if same_bytes(w, x, y) {
        let name = w.stored(x, from)?;
        return w.alias(y, to, name);
    }
    let name = w.real(x, from)?;
    w.compute(y, to, vec![NodeBuilder::new("Identity", [&name])])
}

/// The shape with two amounts added to every dimension.
pub fn padded(shape: &[usize], amounts: &[i64]) -> Option<Vec<usize>> {
    let (pairs, rest) = amounts.as_chunks::<2>();
    if pairs.len() != shape.len() || !rest.is_empty() {
        return None;
    }
    let sum = |(dim, pair): (&usize, &[i64; 2])| {
        pair.iter().try_fold(*dim, |sum, &amount| sum.checked_add(usize::try_from(amount).ok()?))
    };
    shape.iter().zip(pairs).map(sum).collect()
}

/// `PAD` with what stands for zero, `PADV2` with a value.
pub fn pad(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    let (shape, amounts) = (w.tensor(x).shape.clone(), w.integers(node.input(1)?)?);
    if padded(&shape, &amounts).as_ref() != Some(&w.tensor(y).shape) {
        return Err(format!("amounts {amounts:?} do not lead from {shape:?} to {:?}", w.tensor(y).shape));
    }
    let value = match node.optional(2) {
        None => w.number(0.0)?,
        Some(value) if w.tensor(value).data.is_some() && w.tensor(value).len() == 1 => {
            w.real_constant(value, &[], &[])?
        }
        Some(_) => return Err("its value is not one constant".into()),
    };
    let layout = w.common_layout(&[x], y);
    let rank = shape.len();
    let mut pads = vec![0i64; 2 * rank];
    for (place, pair) in amounts.chunks(2).enumerate() {
        (pads[layout.axis(place)], pads[layout.axis(place) + rank]) = (pair[0], pair[1]);
    }
    let (name, pads) = (w.real(x, layout)?, w.longs(&pads)?);
    w.compute(y, layout, vec![NodeBuilder::new("Pad", [&name, &pads, &value])])
}

/// `CONCATENATION`.
pub fn concatenation(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let y = node.output()?;
    let operands: Vec<usize> = (0..node.operator.inputs.len()).map(|place| node.input(place)).collect::<Try<_>>()?;
    let shape = w.tensor(y).shape.clone();
    let axis = axis(axis_option(node.operator)?, shape.len())?;
    let mut sum = 0usize;
    for &operand in &operands {
        let own = &w.tensor(operand).shape;
        let fits = own.len() == shape.len() && (0..shape.len()).all(|a| a == axis || own[a] == shape[a]);
        sum = if fits { sum.saturating_add(own[axis]) } else { usize::MAX };
    }
    if sum != shape[axis] {
        return Err(format!("its operands do not make {shape:?} along axis {axis}"));
    }
    let activation = node.activation(1)?;
    let layout = w.common_layout(&operands, y);
    let names: Vec<String> = operands.iter().map(|&o| w.real(o, layout)).collect::<Try<_>>()?;
    let mut steps = vec![NodeBuilder::new("Concat", names).size("axis", layout.axis(axis))];
    steps.extend(w.activation(activation, y)?);
    w.compute(y, layout, steps)
}

/// `SPLIT` and `SPLIT_V`; which operands are the data and the axis.
pub fn split(w: &mut Writer<'_, '_>, node: Node<'_, '_>, data: usize, axis_place: usize) -> Try<()> {
    let (x, results) = (node.input(data)?, &node.operator.outputs);
    let shape = w.tensor(x).shape.clone();
    let &[along] = &w.integers(node.input(axis_place)?)?[..] else { return Err("it has not one axis".into()) };
    let along = axis(along, shape.len())?;
    let mut sizes = Vec::new();
    for &result in results {
        let own = &w.tensor(result).shape;
        let fits = own.len() == shape.len() && (0..shape.len()).all(|a| a == along || own[a] == shape[a]);
        if !fits || !same_bytes(w, x, result) {
            return Err(format!("its part {:?} does not fit its operand", w.tensor(result).name));
        }
        sizes.push(own[along] as i64);
    }
    if sizes.iter().sum::<i64>() != shape[along] as i64 {
        return Err(format!("its parts do not make a dimension of {}", shape[along]));
    }
    let layout = results.first().map_or(Layout::File, |&y| w.common_layout(&[x], y));
    let (name, sizes) = (w.stored(x, layout)?, w.longs(&sizes)?);
    w.several(results, layout, NodeBuilder::new("Split", [&name, &sizes]).size("axis", layout.axis(along)))
}

/// `PACK`: operands one behind the other along a new axis.
pub fn pack(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let y = node.output()?;
    let operands: Vec<usize> = (0..node.operator.inputs.len()).map(|place| node.input(place)).collect::<Try<_>>()?;
    let shape = w.tensor(y).shape.clone();
    let along = axis(i64::from(node.option(0, |o| o.i32(1, 0))?), shape.len())?;
    let mut part = shape.clone();
    part.remove(along);
    if shape[along] != operands.len() || operands.iter().any(|&o| w.tensor(o).shape != part) {
        return Err(format!("its operands do not make {shape:?} along axis {along}"));
    }
    part.insert(along, 1);
    // Reals of 16 bits are computed as floats.
    let wide = w.tensor(y).kind == ElementType::I16 && w.tensor(y).quant.is_some();
    let as_stored = !wide && operands.iter().all(|&o| same_bytes(w, o, y));
    let dims = w.dims(&part)?;
    let mut names = Vec::new();
    for &operand in &operands {
        let name = if as_stored { w.stored(operand, Layout::File)? } else { w.real(operand, Layout::File)? };
        names.push(w.extra(y, NodeBuilder::new("Reshape", [&name, &dims])));
    }
    let step = NodeBuilder::new("Concat", names).size("axis", along);
    if as_stored { w.row(y, Layout::File, vec![step]) } else { w.compute(y, Layout::File, vec![step]) }
}

/// `UNPACK`: one result for each slice along an axis, which is dropped.
pub fn unpack(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, results) = (node.input(0)?, &node.operator.outputs);
    let shape = w.tensor(x).shape.clone();
    let along = axis(i64::from(node.option(0, |o| o.i32(1, 0))?), shape.len())?;
    let mut part = shape.clone();
    part.remove(along);
    let fits = |&y: &usize| w.tensor(y).shape == part && same_bytes(w, x, y);
    if shape[along] != results.len() || !results.iter().all(fits) {
        return Err(format!("axis {along} of {shape:?} does not make its {} results", results.len()));
    }
    let name = w.stored(x, Layout::File)?;
    let (axes, dims) = (w.longs(&[along as i64])?, w.dims(&part)?);
    for (place, &y) in results.iter().enumerate() {
        let (start, end) = (w.longs(&[place as i64])?, w.longs(&[place as i64 + 1])?);
        let steps = vec![NodeBuilder::new("Slice", [&name, &start, &end, &axes]), NodeBuilder::new("Reshape", [&dims])];
        w.row(y, Layout::File, steps)?;
    }
    Ok(())
}
