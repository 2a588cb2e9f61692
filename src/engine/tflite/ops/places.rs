//! Elements put at other places of the same axes.

use super::super::layout::Layout;
use super::super::schema::ElementType;
use super::super::write::{Try, Writer};
use super::node::{INT64, Node, moved, same_bytes};
use crate::onnx::build::NodeBuilder;
use crate::onnx::node::axis;

/// Takes along each of these axes what the places name.
fn taken(w: &mut Writer<'_, '_>, x: usize, y: usize, places: impl IntoIterator<Item = (usize, Vec<i64>)>) -> Try<()> {
    let mut lists = Vec::new();
    for (axis, places) in places {
        lists.push((axis, w.longs(&places)?));
    }
    moved(w, x, y, Layout::File, |name| match lists.split_first() {
        None => vec![NodeBuilder::new("Identity", [name])],
        Some(((axis, list), rest)) => {
            let first = NodeBuilder::new("Gather", [name, list]).size("axis", *axis);
            let rest = rest.iter().map(|(axis, list)| NodeBuilder::new("Gather", [list]).size("axis", *axis));
            std::iter::once(first).chain(rest).collect()
        }
    })
}

/// `REVERSE_V2` along constant axes.
pub fn reverse(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    let shape = w.tensor(x).shape.clone();
    if shape != w.tensor(y).shape {
        return Err("its result has another shape than its operand".into());
    }
    let mut axes = Vec::new();
    for along in w.integers(node.input(1)?)? {
        axes.push(axis(along, shape.len())?);
    }
    axes.sort_unstable();
    axes.dedup();
    axes.iter().try_for_each(|&along| w.room(shape[along]))?;
    taken(w, x, y, axes.into_iter().map(|along| (along, (0..shape[along] as i64).rev().collect())))
}

/// `MIRROR_PAD`: what lies inside the borders again behind them, with or without the borders themselves.
pub fn mirror_pad(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    let (shape, amounts) = (w.tensor(x).shape.clone(), w.integers(node.input(1)?)?);
    let wanted = w.tensor(y).shape.clone();
    // With the border itself the mirror lies between two elements, without it on one.
    let shift = i64::from(node.option(0, |o| o.i8(0))? != 0);
    if amounts.len() != 2 * shape.len() || wanted.len() != shape.len() {
        return Err(format!("amounts {amounts:?} do not lead from {shape:?} to {wanted:?}"));
    }
    let mut places = Vec::new();
    for (along, pair) in amounts.chunks(2).enumerate() {
        let (dim, most) = (shape[along] as i64, shape[along] as i64 - 1 + shift);
        let [before, after] = [pair[0], pair[1]];
        let inside = (0..=most).contains(&before) && (0..=most).contains(&after);
        if !inside || dim + before + after != wanted[along] as i64 {
            return Err(format!("amounts {amounts:?} do not lead from {shape:?} to {wanted:?}"));
        }
        w.room(wanted[along])?;
        if before + after > 0 {
            let mirrored = |place: i64| match place {
                p if p < 0 => -p - shift,
                p if p >= dim => 2 * (dim - 1) - p + shift,
                p => p,
            };
            places.push((along, (-before..dim + after).map(mirrored).collect::<Vec<i64>>()));
        }
    }
    taken(w, x, y, places)
}

/// `REVERSE_SEQUENCE`: turns the beginning of each item round, as far as its length says.
pub fn reverse_sequence(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, lengths, y) = (node.input(0)?, node.input(1)?, node.output()?);
    let shape = w.tensor(x).shape.clone();
    let along = axis(i64::from(node.option(0, |o| o.i32(0, 0))?), shape.len())?;
    let items = axis(i64::from(node.option(0, |o| o.i32(1, 0))?), shape.len())?;
    let count = shape[items];
    if along == items || w.tensor(lengths).shape != [count] || shape != w.tensor(y).shape {
        return Err(format!("lengths of axis {along} for each of axis {items} do not fit {shape:?}"));
    }
    w.room(shape[along])?;
    let mut wide = vec![1; shape.len()];
    (wide[items], wide[along]) = (count, 1);
    let wide = w.dims(&wide)?;
    let mut line = vec![1; shape.len()];
    line[along] = shape[along];
    let steps = (0..shape[along] as i64).flat_map(i64::to_le_bytes).collect();
    let line = w.values(ElementType::I64, &line, steps)?;
    let (one, full) = (w.typed(ElementType::I64, 1.0)?, w.dims(&shape)?);
    let lengths = w.stored(lengths, Layout::File)?;
    let lengths = w.extra(y, NodeBuilder::new("Cast", [&lengths]).int("to", INT64));
    let lengths = w.extra(y, NodeBuilder::new("Reshape", [&lengths, &wide]));
    let last = w.extra(y, NodeBuilder::new("Sub", [&lengths, &one]));
    let turned = w.extra(y, NodeBuilder::new("Sub", [&last, &line]));
    let inside = w.extra(y, NodeBuilder::new("Less", [&line, &lengths]));
    let places = w.extra(y, NodeBuilder::new("Where", [&inside, &turned, &line]));
    let places = w.extra(y, NodeBuilder::new("Expand", [&places, &full]));
    moved(w, x, y, Layout::File, |name| vec![NodeBuilder::new("GatherElements", [name, &places]).size("axis", along)])
}

/// `DILATE`: elements apart from one another by constant factors, a value between them.
pub fn dilate(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    let (shape, factors) = (w.tensor(x).shape.clone(), w.integers(node.input(1)?)?);
    let value = node.input(2)?;
    let apart = |(&dim, &factor): (&usize, &i64)| {
        let factor = usize::try_from(factor).ok().filter(|f| *f > 0)?;
        (dim - 1).checked_mul(factor)?.checked_add(1)
    };
    let made: Option<Vec<usize>> = shape.iter().zip(&factors).map(apart).collect();
    let plain = w.tensor(value).kind == w.tensor(x).kind && w.tensor(value).len() == 1 && same_bytes(w, x, y);
    if factors.len() != shape.len() || made.as_ref() != Some(&w.tensor(y).shape) || !plain {
        return Err(format!("factors {factors:?} do not lead from {shape:?} to {:?}", w.tensor(y).shape));
    }
    // Each element with its gap behind it, and the last gap cut off.
    let (rank, mut pads, mut split, mut joined) = (shape.len(), vec![0i64; 4 * shape.len()], Vec::new(), Vec::new());
    for (along, (&dim, &factor)) in shape.iter().zip(&factors).enumerate() {
        split.extend([dim, 1]);
        joined.push(dim.saturating_mul(factor as usize));
        pads[2 * rank + 2 * along + 1] = factor - 1;
    }
    if joined.iter().try_fold(1usize, |all, &dim| all.checked_mul(dim)).is_none_or(|all| all > 1 << 28) {
        return Err("its result is too large".into());
    }
    let (split, joined) = (w.dims(&split)?, w.dims(&joined)?);
    let (zeros, ends) = (w.longs(&vec![0; rank])?, w.dims(&w.tensor(y).shape)?);
    let pads = w.longs(&pads)?;
    let empty = w.dims(&[])?;
    let value = w.stored(value, Layout::File)?;
    let value = w.extra(y, NodeBuilder::new("Reshape", [&value, &empty]));
    moved(w, x, y, Layout::File, |name| {
        vec![
            NodeBuilder::new("Reshape", [name, &split]),
            NodeBuilder::new("Pad", [&pads, &value]),
            NodeBuilder::new("Reshape", [&joined]),
            NodeBuilder::new("Slice", [&zeros, &ends]),
        ]
    })
}
