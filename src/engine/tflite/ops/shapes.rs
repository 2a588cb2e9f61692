//! Shapes as tensors, and tensors of one value or a row of numbers.

use super::super::constants::onnx_type;
use super::super::layout::Layout;
use super::super::schema::ElementType;
use super::super::write::{Try, Writer};
use super::node::{Node, moved, same_bytes, told};
use crate::onnx::build::NodeBuilder;
use crate::onnx::node::axis;

/// Integers as a result of their type.
fn integers(w: &mut Writer<'_, '_>, y: usize, shape: &[usize], values: &[i64]) -> Try<()> {
    let kind = w.tensor(y).kind;
    let bytes = match kind {
        ElementType::I32 => values.iter().flat_map(|&v| (v as i32).to_le_bytes()).collect(),
        ElementType::I64 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        other => return Err(format!("its result is of type {}", other.name())),
    };
    if w.tensor(y).shape != shape {
        return Err(format!("its result has shape {:?}, expected {shape:?}", w.tensor(y).shape));
    }
    let name = w.values(kind, shape, bytes)?;
    w.alias(y, Layout::File, name)
}

/// `SHAPE`: what the file says of its operand.
pub fn shape(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    let dims: Vec<i64> = w.tensor(x).shape.iter().map(|&d| d as i64).collect();
    integers(w, y, &[dims.len()], &dims)
}

/// `RANK`.
pub fn rank(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let rank = w.tensor(node.input(0)?).shape.len() as i64;
    integers(w, node.output()?, &[], &[rank])
}

/// `FILL` and `BROADCAST_TO`: operand `place` under the shape that the file says of the result.
pub fn expand(w: &mut Writer<'_, '_>, node: Node<'_, '_>, place: usize) -> Try<()> {
    told(w, node, 1 - place)?;
    let (x, y) = (node.input(place)?, node.output()?);
    let (from, to) = (w.tensor(x).shape.clone(), w.tensor(y).shape.clone());
    if super::elementwise::broadcast(&from, &to).as_ref() != Some(&to) {
        return Err(format!("shape {from:?} does not broadcast to {to:?}"));
    }
    let dims = w.dims(&to)?;
    moved(w, x, y, Layout::File, |name| vec![NodeBuilder::new("Expand", [name, &dims])])
}

/// `BROADCAST_ARGS`: the shape that two others broadcast to.
pub fn broadcast_args(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (a, b, y) = (node.input(0)?, node.input(1)?, node.output()?);
    let rank = w.tensor(y).len();
    let kind = w.tensor(y).kind;
    let one = w.typed(kind, 1.0)?;
    let mut names = Vec::new();
    for x in [a, b] {
        if w.tensor(x).kind != kind || w.tensor(x).shape.len() != 1 || w.tensor(x).len() > rank {
            return Err("its operands are no shapes of its result's rank".into());
        }
        let pads = w.longs(&[(rank - w.tensor(x).len()) as i64, 0])?;
        let name = w.stored(x, Layout::File)?;
        names.push(w.extra(y, NodeBuilder::new("Pad", [&name, &pads, &one])));
    }
    let single = w.extra(y, NodeBuilder::new("Equal", [&names[0], &one]));
    w.row(y, Layout::File, vec![NodeBuilder::new("Where", [&single, &names[1], &names[0]])])
}

/// `ZEROS_LIKE`.
pub fn zeros_like(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let y = node.output()?;
    if w.tensor(y).shape != w.tensor(node.input(0)?).shape {
        return Err("its result has another shape than its operand".into());
    }
    let (zero, dims) = (w.typed(w.tensor(y).kind, 0.0)?, w.dims(&w.tensor(y).shape)?);
    w.row(y, Layout::File, vec![NodeBuilder::new("Expand", [&zero, &dims])])
}

/// `TILE`: as often as the shapes say.
pub fn tile(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    told(w, node, 1)?;
    let (x, y) = (node.input(0)?, node.output()?);
    let (from, to) = (w.tensor(x).shape.clone(), w.tensor(y).shape.clone());
    if from.len() != to.len() || from.iter().zip(&to).any(|(from, to)| to % from != 0) {
        return Err(format!("copies of {from:?} do not make {to:?}"));
    }
    let times: Vec<i64> = from.iter().zip(&to).map(|(from, to)| (to / from) as i64).collect();
    let times = w.longs(&times)?;
    moved(w, x, y, Layout::File, |name| vec![NodeBuilder::new("Tile", [name, &times])])
}

/// `RANGE`: numbers at equal distances.
pub fn range(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let y = node.output()?;
    let kind = w.tensor(y).kind;
    if w.tensor(y).open {
        return Err("how many numbers it makes is only known when it runs".into());
    }
    let none = w.dims(&[])?;
    let mut names = Vec::new();
    for place in 0..3 {
        let x = node.input(place)?;
        if w.tensor(x).kind != kind || w.tensor(x).len() != 1 {
            return Err("its limits are not one number each of its result's type".into());
        }
        let name = w.stored(x, Layout::File)?;
        names.push(w.extra(y, NodeBuilder::new("Reshape", [&name, &none])));
    }
    let dims = w.dims(&w.tensor(y).shape)?;
    w.row(y, Layout::File, vec![NodeBuilder::new("Range", names), NodeBuilder::new("Reshape", [&dims])])
}

/// `ONE_HOT`: a value at each place, another one elsewhere.
pub fn one_hot(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (at, on, off, y) = (node.input(0)?, node.input(2)?, node.input(3)?, node.output()?);
    let (list, made) = (w.tensor(at).shape.clone(), w.tensor(y).shape.clone());
    let along = axis(i64::from(node.option(-1, |o| o.i32(0, 0))?), made.len())?;
    let mut single = list.clone();
    single.insert(along.min(list.len()), 1);
    let mut line = vec![1; made.len()];
    line[along] = made[along];
    let scalar = |index: usize| w.tensor(index).len() == 1 && same_bytes(w, index, y);
    let rest = made.len() == list.len() + 1 && (0..made.len()).all(|a| a == along || single[a] == made[a]);
    if !rest || !scalar(on) || !scalar(off) {
        return Err(format!("places {list:?} along axis {along} do not make {made:?}"));
    }
    w.room(made[along])?;
    let kind = w.tensor(at).kind;
    let bytes = match kind {
        ElementType::I32 => (0..made[along] as i32).flat_map(i32::to_le_bytes).collect(),
        ElementType::I64 => (0..made[along] as i64).flat_map(i64::to_le_bytes).collect(),
        other => return Err(format!("its places are of type {}", other.name())),
    };
    let (single, none) = (w.dims(&single)?, w.dims(&[])?);
    let line = w.values(kind, &line, bytes)?;
    let at = w.stored(at, Layout::File)?;
    let at = w.extra(y, NodeBuilder::new("Reshape", [&at, &single]));
    let hit = w.extra(y, NodeBuilder::new("Equal", [&at, &line]));
    let mut values = Vec::new();
    for value in [on, off] {
        let name = w.stored(value, Layout::File)?;
        values.push(w.extra(y, NodeBuilder::new("Reshape", [&name, &none])));
    }
    w.row(y, Layout::File, vec![NodeBuilder::new("Where", [&hit, &values[0], &values[1]])])
}

/// Flags of the diagonal of matrices `[rows, columns]`.
fn diagonal_flags(w: &mut Writer<'_, '_>, rows: usize, columns: usize) -> Try<String> {
    if rows.saturating_mul(columns) > 1 << 20 {
        return Err(format!("a matrix of {rows} by {columns} is too large"));
    }
    w.room(rows * columns / 8)?;
    let flags = (0..rows * columns).map(|place| u8::from(place / columns == place % columns)).collect();
    w.values(ElementType::Bool, &[rows, columns], flags)
}

/// `MATRIX_DIAG`: the last axis on the diagonal of a square.
pub fn diagonal(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    let shape = w.tensor(x).shape.clone();
    let count = shape.last().copied().unwrap_or(1);
    let made: Vec<usize> = shape.iter().copied().chain([count]).collect();
    if made != w.tensor(y).shape || shape.is_empty() || !same_bytes(w, x, y) {
        return Err(format!("diagonals {shape:?} do not make {:?}", w.tensor(y).shape));
    }
    let mut wide = shape.clone();
    wide.push(1);
    let (wide, flags) = (w.dims(&wide)?, diagonal_flags(w, count, count)?);
    let zero = w.typed(w.tensor(y).kind, 0.0)?;
    let name = w.stored(x, Layout::File)?;
    let name = w.extra(y, NodeBuilder::new("Reshape", [&name, &wide]));
    w.row(y, Layout::File, vec![NodeBuilder::new("Where", [&flags, &name, &zero])])
}

/// `MATRIX_SET_DIAG`: matrices with other values on the diagonal.
pub fn set_diagonal(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, values, y) = (node.input(0)?, node.input(1)?, node.output()?);
    let shape = w.tensor(x).shape.clone();
    let &[ref batch @ .., rows, columns] = &shape[..] else { return Err(format!("shape {shape:?} is of no matrix")) };
    let wanted: Vec<usize> = batch.iter().copied().chain([rows.min(columns)]).collect();
    if shape != w.tensor(y).shape
        || w.tensor(values).shape != wanted
        || !same_bytes(w, x, y)
        || !same_bytes(w, values, y)
    {
        return Err(format!("diagonals {:?} do not fit {shape:?}", w.tensor(values).shape));
    }
    let flags = diagonal_flags(w, rows, columns)?;
    // Along the longer side of what is not square, the values run to its end.
    let mut wide = wanted.clone();
    wide.insert(wanted.len() - 1 + usize::from(rows <= columns), 1);
    let wide = w.dims(&wide)?;
    let (name, values) = (w.stored(x, Layout::File)?, w.stored(values, Layout::File)?);
    let values = w.extra(y, NodeBuilder::new("Reshape", [&values, &wide]));
    w.row(y, Layout::File, vec![NodeBuilder::new("Where", [&flags, &values, &name])])
}

/// `WHERE`: the places of what is not zero, as many as there are.
pub fn places(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    if !w.is_unread(y) {
        return Err("how many places it finds is only known when it runs, and other operators read them".into());
    }
    onnx_type(w.tensor(x).kind)?;
    w.loosen(y);
    let name = w.stored(x, Layout::File)?;
    let steps =
        vec![NodeBuilder::new("NonZero", [&name]), NodeBuilder::new("Transpose", [""; 0]).sizes("perm", &[1, 0])];
    w.row(y, Layout::File, steps)
}
