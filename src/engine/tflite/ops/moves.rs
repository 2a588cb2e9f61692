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

/// `PAD` with what stands for zero, `PADV2` with a value.
pub fn pad(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    let (shape, amounts) = (w.tensor(x).shape.clone(), w.integers(node.input(1)?)?);
    let rank = shape.len();
    let sums: Option<Vec<usize>> = shape
        .iter()
        .zip(amounts.chunks(2))
        .map(|(&dim, pair)| match *pair {
            [before, after] if before >= 0 && after >= 0 => {
                dim.checked_add(usize::try_from(before).ok()?)?.checked_add(usize::try_from(after).ok()?)
            }
            _ => None,
        })
        .collect();
    if amounts.len() != 2 * rank || sums.as_ref() != Some(&w.tensor(y).shape) {
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

/// One axis of a slice: from where, to where, how far apart.
struct Cut {
    axis: usize,
    start: i64,
    end: i64,
    step: i64,
}

/// `SLICE`: constant beginnings and sizes, a size of −1 being the rest.
pub fn slice(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    let (starts, sizes) = (w.integers(node.input(1)?)?, w.integers(node.input(2)?)?);
    let shape = w.tensor(x).shape.clone();
    if starts.len() != shape.len() || sizes.len() != shape.len() {
        return Err("its beginnings and sizes do not fit its operand".into());
    }
    let mut cuts = Vec::new();
    for (axis, &dim) in shape.iter().enumerate() {
        let (start, size) = (starts[axis], sizes[axis]);
        let end = if size == -1 { Some(dim as i64) } else { start.checked_add(size) };
        let end = end.filter(|&end| start >= 0 && end > start && end <= dim as i64);
        cuts.push(Cut { axis, start, end: end.ok_or("its parts leave its operand")?, step: 1 });
    }
    cut(w, x, y, cuts, true)
}

/// `STRIDED_SLICE` with constant limits.
pub fn strided_slice(w: &mut Writer<'_, '_>, node: Node<'_, '_>) -> Try<()> {
    // Options: begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask, offset.
    let (x, y) = (node.input(0)?, node.output()?);
    let lists = [w.integers(node.input(1)?)?, w.integers(node.input(2)?)?, w.integers(node.input(3)?)?];
    let shape = w.tensor(x).shape.clone();
    let mask = |id| node.option(0, |o| o.i32(id, 0));
    if mask(2)? != 0 || mask(3)? != 0 || node.option(false, |o| o.flag(5))? {
        return Err("an ellipsis, new axes and offsets have no form here".into());
    }
    let (begin, end, shrink) = (mask(0)?, mask(1)?, mask(4)?);
    let count = lists[0].len();
    if count > shape.len() || lists.iter().any(|l| l.len() != count) {
        return Err("its limits do not fit its operand".into());
    }
    let mut cuts = Vec::new();
    for axis in 0..count {
        let (dim, step) = (shape[axis] as i64, lists[2][axis]);
        let has = |mask: i32| mask >> axis & 1 == 1;
        if step <= 0 {
            return Err(format!("a step of {step} has no form here"));
        }
        let within = |value: i64| (if value < 0 { value.saturating_add(dim) } else { value }).clamp(0, dim);
        let start = if has(begin) { 0 } else { within(lists[0][axis]) };
        let stop = if has(end) { dim } else { within(lists[1][axis]) };
        let stop = if has(shrink) { start.saturating_add(1).min(dim) } else { stop };
        if stop <= start {
            return Err("it takes nothing".into());
        }
        cuts.push(Cut { axis, start, end: stop, step });
    }
    cut(w, x, y, cuts, shrink == 0)
}

/// Takes parts of `x`; dimensions that are left with one element are dropped where `keeps` is false and `y` lacks them.
fn cut(w: &mut Writer<'_, '_>, x: usize, y: usize, mut cuts: Vec<Cut>, keeps: bool) -> Try<()> {
    let mut shape = w.tensor(x).shape.clone();
    for cut in &cuts {
        let count = (cut.end - cut.start + cut.step - 1) / cut.step;
        shape[cut.axis] = usize::try_from(count).map_err(|_| "it takes nothing")?;
    }
    cuts.retain(|cut| shape[cut.axis] != w.tensor(x).shape[cut.axis] || cut.step != 1);
    let (made, wanted) = (shape.iter().product::<usize>(), w.tensor(y).shape.clone());
    if if keeps { shape != wanted } else { made != w.tensor(y).len() } {
        return Err(format!("it makes {shape:?}, the file says {wanted:?}"));
    }
    let layout = if keeps { w.common_layout(&[x], y) } else { Layout::File };
    let column = |get: fn(&Cut) -> i64| cuts.iter().map(get).collect::<Vec<i64>>();
    let starts = w.longs(&column(|c| c.start))?;
    let ends = w.longs(&column(|c| c.end))?;
    let axes: Vec<i64> = cuts.iter().map(|c| layout.axis(c.axis) as i64).collect();
    let axes = w.longs(&axes)?;
    let steps = w.longs(&column(|c| c.step))?;
    let dims = w.dims(&wanted)?;
    moved(w, x, y, layout, |name| {
        let mut nodes = match cuts.is_empty() {
            true => vec![NodeBuilder::new("Identity", [name])],
            false => vec![NodeBuilder::new("Slice", [name, &starts, &ends, &axes, &steps])],
        };
        if shape != wanted {
            nodes.push(NodeBuilder::new("Reshape", [&dims]));
        }
        nodes
    })
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

/// `DEPTH_TO_SPACE` and `SPACE_TO_DEPTH`, whose channels are in ONNX's usual order.
pub fn blocks(w: &mut Writer<'_, '_>, node: Node<'_, '_>, op: &'static str) -> Try<()> {
    let (x, y) = (node.input(0)?, node.output()?);
    let size = node.option(0, |o| o.i32(0, 0))?;
    let block = usize::try_from(size).ok().filter(|b| (1..1 << 12).contains(b)).ok_or("its block size cannot be")?;
    let (small, large) = if op == "DepthToSpace" { (x, y) } else { (y, x) };
    let fits = match (&w.tensor(small).shape[..], &w.tensor(large).shape[..]) {
        (&[n, h, width, deep], &[m, rows, columns, c]) => {
            n == m
                && rows / block == h
                && rows % block == 0
                && columns / block == width
                && columns % block == 0
                && deep / c == block * block
                && deep % c == 0
        }
        _ => false,
    };
    if !fits || matches!(w.tensor(x).kind, ElementType::I32 | ElementType::I64) {
        return Err(format!("blocks of {block} do not lead to {:?}", w.tensor(y).shape));
    }
    let name = w.real(x, Layout::ChannelsFirst)?;
    w.compute(y, Layout::ChannelsFirst, vec![NodeBuilder::new(op, [&name]).size("blocksize", block)])
}
