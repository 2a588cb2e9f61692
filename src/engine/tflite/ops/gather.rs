//! Elements taken from, and put at, places that are computed.

use super::super::constants::onnx_type;
use super::super::layout::Layout;
use super::super::schema::ElementType;
use super::super::write::{Try, Writer};
use super::node::{INT64, Node, moved, same_bytes};
use crate::onnx::build::NodeBuilder;
use crate::onnx::node::axis;

/// Places as 64-bit integers.
pub fn places(w: &mut Writer<'_, '_>, index: usize) -> Try<String> {
    let kind = w.tensor(index).kind;
    if !matches!(kind, ElementType::I32 | ElementType::I64 | ElementType::I16 | ElementType::I8 | ElementType::U8) {
        return Err(format!("its places {:?} are of type {}", w.tensor(index).name, kind.name()));
    }
    let name = w.stored(index, Layout::File)?;
    Ok(match kind {
        ElementType::I64 => name,
        _ => w.extra(index, NodeBuilder::new("Cast", [&name]).int("to", INT64)),
    })
}

/// `GATHER` along an axis, item by item where the first axes are shared.
pub fn gather(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, at, y) = (node.input(0)?, node.input(1)?, node.output()?);
    let (shape, list) = (w.tensor(x).shape.clone(), w.tensor(at).shape.clone());
    let along = axis(i64::from(node.option(0, |o| o.i32(0, 0))?), shape.len())?;
    let shared = i64::from(node.option(0, |o| o.i32(1, 0))?);
    let shared = if shared < 0 { shared + list.len() as i64 } else { shared };
    let shared = usize::try_from(shared).ok().filter(|s| *s <= along && shape.get(..*s) == list.get(..*s));
    let shared = shared.ok_or_else(|| format!("its first axes of {shape:?} and {list:?} are not shared"))?;
    let made: Vec<usize> = [&shape[..along], &list[shared..], &shape[along + 1..]].concat();
    if made != w.tensor(y).shape {
        return Err(format!("places {list:?} along axis {along} of {shape:?} do not make {:?}", w.tensor(y).shape));
    }
    let at = places(w, at)?;
    if shared == 0 {
        return moved(w, x, y, Layout::File, |name| vec![NodeBuilder::new("Gather", [name, &at]).size("axis", along)]);
    }
    // The axis behind the shared ones, single places, and the axes between them back in front of the places' own.
    let order: Vec<usize> = (0..shared).chain([along]).chain((shared..shape.len()).filter(|&a| a != along)).collect();
    let (between, own) = (along - shared, list.len() - shared);
    let back: Vec<usize> = (0..shared)
        .chain(shared + own..shared + own + between)
        .chain(shared..shared + own)
        .chain(shared + own + between..made.len())
        .collect();
    let single: Vec<usize> = list.iter().copied().chain([1]).collect();
    let single = w.dims(&single)?;
    let at = w.extra(y, NodeBuilder::new("Reshape", [&at, &single]));
    moved(w, x, y, Layout::File, |name| {
        vec![
            NodeBuilder::new("Transpose", [name]).sizes("perm", &order),
            NodeBuilder::new("GatherND", [&at]).size("batch_dims", shared),
            NodeBuilder::new("Transpose", [""; 0]).sizes("perm", &back),
        ]
    })
}

/// `GATHER_ND`: the last axis of the places names axes of the operand.
pub fn gather_nd(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, at, y) = (node.input(0)?, node.input(1)?, node.output()?);
    let (shape, list) = (&w.tensor(x).shape, &w.tensor(at).shape);
    let made = match list.split_last() {
        Some((&depth, lead)) if depth <= shape.len() => [lead, &shape[depth..]].concat(),
        _ => return Err(format!("places {list:?} of {shape:?} cannot be")),
    };
    if made != w.tensor(y).shape {
        return Err(format!("places {list:?} of {shape:?} do not make {:?}", w.tensor(y).shape));
    }
    let at = places(w, at)?;
    moved(w, x, y, Layout::File, |name| vec![NodeBuilder::new("GatherND", [name, &at])])
}

/// `EMBEDDING_LOOKUP`: rows of a table.
pub fn embedding(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (at, table, y) = (node.input(0)?, node.input(1)?, node.output()?);
    let rest = w.tensor(table).shape.get(1..).ok_or("its table has no rows")?;
    let made = [&w.tensor(at).shape[..], rest].concat();
    if made != w.tensor(y).shape {
        return Err(format!("rows {:?} do not make {:?}", w.tensor(at).shape, w.tensor(y).shape));
    }
    let at = places(w, at)?;
    moved(w, table, y, Layout::File, |name| vec![NodeBuilder::new("Gather", [name, &at]).size("axis", 0)])
}

/// `SCATTER_ND`: the sum of what is put at each place, zeros elsewhere.
pub fn scatter_nd(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (at, updates, y) = (node.input(0)?, node.input(1)?, node.output()?);
    if !same_bytes(w, updates, y) {
        return Err("its result is of another type than what it puts".into());
    }
    let shape = w.tensor(y).shape.clone();
    let list = w.tensor(at).shape.clone();
    let made = match list.split_last() {
        Some((&depth, lead)) if depth <= shape.len() => [lead, &shape[depth..]].concat(),
        _ => return Err(format!("places {list:?} of {shape:?} cannot be")),
    };
    if made != w.tensor(updates).shape {
        return Err(format!("what is put has shape {:?}, its places ask for {made:?}", w.tensor(updates).shape));
    }
    let zeros = filled(w, y, 0.0, &shape)?;
    let at = places(w, at)?;
    let updates = w.stored(updates, Layout::File)?;
    let reduction = if w.tensor(y).kind == ElementType::Bool { "none" } else { "add" };
    let step = NodeBuilder::new("ScatterND", [&zeros, &at, &updates]).text("reduction", reduction);
    w.row(y, Layout::File, vec![step])
}

/// Numbers of a result's type, all alike.
fn filled(w: &mut Writer<'_, '_>, y: usize, value: f64, shape: &[usize]) -> Try<String> {
    let (number, dims) = (w.typed(w.tensor(y).kind, value)?, w.dims(shape)?);
    Ok(w.extra(y, NodeBuilder::new("Expand", [&number, &dims])))
}

/// `SPARSE_TO_DENSE`: values at their places, another one elsewhere.
pub fn sparse_to_dense(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (at, values, default, y) = (node.input(0)?, node.input(2)?, node.input(3)?, node.output()?);
    let shape = w.tensor(y).shape.clone();
    let list = w.tensor(at).shape.clone();
    let count = match list[..] {
        [] => 1,
        [count] if shape.len() == 1 => count,
        [count, depth] if depth == shape.len() => count,
        _ => return Err(format!("places {list:?} of {shape:?} cannot be")),
    };
    let fits = matches!(w.tensor(values).shape[..], [] | [_]) && [1, count].contains(&w.tensor(values).len());
    if !fits || !same_bytes(w, values, y) || !same_bytes(w, default, y) || w.tensor(default).len() != 1 {
        return Err("its values do not fit its places".into());
    }
    let (dims, list, line) = (w.dims(&shape)?, w.dims(&[count, shape.len()])?, w.dims(&[count])?);
    let none = w.dims(&[])?;
    let default = w.stored(default, Layout::File)?;
    let default = w.extra(y, NodeBuilder::new("Reshape", [&default, &none]));
    let empty = w.extra(y, NodeBuilder::new("Expand", [&default, &dims]));
    let at = places(w, at)?;
    let at = w.extra(y, NodeBuilder::new("Reshape", [&at, &list]));
    let values = w.stored(values, Layout::File)?;
    let values = w.extra(y, NodeBuilder::new("Expand", [&values, &line]));
    w.row(y, Layout::File, vec![NodeBuilder::new("ScatterND", [&empty, &at, &values])])
}

/// `SEGMENT_SUM` and `UNSORTED_SEGMENT_…`: rows with the same number become one.
pub fn segments(w: &mut Writer<'_, '_>, node: Node<'_, '_>, reduction: &'static str) -> Try<()> {
    let (x, numbers, y) = (node.input(0)?, node.input(1)?, node.output()?);
    let (shape, list, made) = (w.tensor(x).shape.clone(), w.tensor(numbers).shape.clone(), w.tensor(y).shape.clone());
    let kind = w.tensor(y).kind;
    let open = w.tensor(y).open
        && !(w.tensor(numbers).data.is_some() || node.optional(2).is_some_and(|n| w.tensor(n).data.is_some()));
    let fits = !made.is_empty() && shape.starts_with(&list) && shape[list.len()..] == made[1..];
    if !fits || open || w.tensor(x).kind != kind || kind.is_quantised() {
        return Err(format!("numbers {list:?} of {shape:?} do not make {made:?}"));
    }
    let neutral = match (reduction, kind) {
        ("add", _) => 0.0,
        ("mul", _) => 1.0,
        ("max", ElementType::F32) => f64::from(f32::MIN),
        ("max", _) => f64::NEG_INFINITY,
        (_, ElementType::F32) => f64::from(f32::MAX),
        _ => f64::INFINITY,
    };
    // Numbers below zero are of no segment: their rows go to one that is cut off.
    let mut wide = made.clone();
    wide[0] += 1;
    let empty = filled(w, y, neutral, &wide)?;
    let mut single = list.clone();
    single.push(1);
    let (zero, rest) = (w.typed(ElementType::I64, 0.0)?, w.typed(ElementType::I64, made[0] as f64)?);
    let single = w.dims(&single)?;
    let numbers = places(w, numbers)?;
    let below = w.extra(y, NodeBuilder::new("Less", [&numbers, &zero]));
    let numbers = w.extra(y, NodeBuilder::new("Where", [&below, &rest, &numbers]));
    let numbers = w.extra(y, NodeBuilder::new("Reshape", [&numbers, &single]));
    let name = w.stored(x, Layout::File)?;
    let (start, end) = (w.longs(&[0])?, w.longs(&[made[0] as i64])?);
    let steps = vec![
        NodeBuilder::new("ScatterND", [&empty, &numbers, &name]).text("reduction", reduction),
        NodeBuilder::new("Slice", [&start, &end]),
    ];
    onnx_type(kind)?;
    w.row(y, Layout::File, steps)
}
