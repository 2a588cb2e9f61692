//! Nodes that move data without computing on it: what they do to quantised bytes.

use tract_onnx::pb::NodeProto;

use super::flow::{Draft, Search};
use super::net::{self, Try};
use super::{params, pool, resize};
use crate::int8::graph::{Op, TensorId};

/// In what the value of a `Pad` is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Real,
    /// A real that is rounded to a byte, since its result is quantised right behind.
    Rounded,
    Bytes {
        unsigned: bool,
    },
}

const MOVEMENTS: [&str; 20] = [
    "Identity",
    "Dropout",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Flatten",
    "Transpose",
    "Slice",
    "Split",
    "Gather",
    "Pad",
    "Expand",
    "Tile",
    "DepthToSpace",
    "SpaceToDepth",
    "MaxPool",
    "GlobalMaxPool",
    "ReduceMax",
    "Resize",
    "Upsample",
];

/// Largest amount of a `Pad` that is believed.
const MAX_PAD: i64 = 1 << 24;

/// Whether a type of node may be movement.
pub(super) fn is_movement(op: &str) -> bool {
    MOVEMENTS.contains(&op)
}

/// Whether a node has one input that is moved and one output.
pub(super) fn is_simple(node: &NodeProto) -> bool {
    net::only_output(node).is_ok() && node.op_type != "Split"
}

/// The order of axes of a `Transpose`.
pub(super) fn permutation(node: &NodeProto, rank: usize) -> Try<Vec<usize>> {
    let Some(perm) = net::ints(node, "perm")? else { return Ok((0..rank).rev().collect()) };
    let perm: Vec<usize> = perm.iter().filter_map(|&p| usize::try_from(p).ok()).collect();
    let mut sorted = perm.clone();
    sorted.sort_unstable();
    if sorted.iter().copied().eq(0..rank) { Ok(perm) } else { Err(format!("its order of axes {perm:?} cannot be")) }
}

/// Does to `x` what a node of the file does to its first input; one tensor for each output.
pub(super) fn apply<'a>(
    search: &mut Search<'a>,
    draft: &mut Draft<'a>,
    node: &'a NodeProto,
    x: TensorId,
    kind: Kind,
) -> Try<Vec<TensorId>> {
    for name in node.input.iter().skip(1).filter(|i| !i.is_empty()) {
        if !search.net.is_constant(name) {
            return Err(format!("its input {name:?} is not a constant"));
        }
    }
    if node.op_type == "Split" {
        return split(search, draft, node, x);
    }
    let outputs: Vec<&str> = node.output.iter().map(String::as_str).filter(|o| !o.is_empty()).collect();
    let [output, rest @ ..] = &outputs[..] else { return Err("it makes nothing".into()) };
    // The second output of Dropout and MaxPool is a mask or indices.
    if rest.iter().any(|name| search.net.is_kept(name) || !search.net.readers(name).is_empty()) {
        return Err("its second output is read".into());
    }
    let out = search.net.shape(output)?;
    let y = match node.op_type.as_str() {
        "Identity" => x,
        "Dropout" => dropout(search, node, x)?,
        "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" => same_elements(search, draft, x, &out)?,
        "Transpose" => {
            let perm = permutation(node, search.shape(x).len())?;
            search.transpose(draft, x, perm)
        }
        "Slice" => slice(search, draft, node, x, &out)?,
        "Gather" => gather(search, draft, node, x, &out)?,
        "Pad" => pad(search, draft, node, x, kind, &out)?,
        "Expand" | "Tile" => repeat(search, draft, x, &out)?,
        "DepthToSpace" => depth_to_space(search, draft, node, x, &out)?,
        "SpaceToDepth" => space_to_depth(search, draft, node, x, &out)?,
        "MaxPool" => pool::max_pool(search, draft, node, x, &out)?,
        "GlobalMaxPool" => pool::global_max(search, draft, x, &out)?,
        "ReduceMax" => pool::reduce_max(search, draft, node, x, &out)?,
        "Resize" | "Upsample" => resize::nearest(search, draft, node, x, &out)?,
        other => return Err(format!("{other} has no integer form here")),
    };
    if search.shape(y) != out {
        return Err(format!("its result has shape {out:?}, expected was {:?}", search.shape(y)));
    }
    Ok(vec![y])
}

fn dropout(search: &Search, node: &NodeProto, x: TensorId) -> Try<TensorId> {
    let training = net::input(node, 2).is_some_and(|name| search.net.uniform(name) != Some(0.0));
    if training { Err("it is in training mode".into()) } else { Ok(x) }
}

/// The same elements under shape `out`.
pub(super) fn same_elements<'a>(
    search: &mut Search<'a>,
    draft: &mut Draft<'a>,
    x: TensorId,
    out: &[usize],
) -> Try<TensorId> {
    if search.shape(x).iter().product::<usize>() != out.iter().product::<usize>() {
        return Err(format!("shape {:?} does not become {out:?}", search.shape(x)));
    }
    Ok(search.reshape(draft, x, out.to_vec()))
}

/// Elements by index along one axis.
pub(super) fn take<'a>(
    search: &mut Search<'a>,
    draft: &mut Draft<'a>,
    x: TensorId,
    axis: usize,
    indices: Vec<usize>,
) -> Try<TensorId> {
    let mut shape = search.shape(x).to_vec();
    let dim = *shape.get(axis).ok_or("its axis does not fit")?;
    if indices.is_empty() || indices.iter().any(|&i| i >= dim) {
        return Err(format!("an index does not fit a dimension of {dim}"));
    }
    if indices.iter().copied().eq(0..dim) {
        return Ok(x);
    }
    shape[axis] = indices.len();
    let quant = search.quant(x);
    let step = indices.get(1).map_or(1, |second| second.saturating_sub(indices[0]));
    let start = indices[0];
    let even = step >= 1 && indices.iter().enumerate().all(|(k, &i)| i == start + k * step);
    let op = if even { Op::Slice { axis, start, step } } else { Op::Gather { axis, indices } };
    Ok(search.step(draft, op, vec![x], shape, quant))
}

fn split<'a>(search: &mut Search<'a>, draft: &mut Draft<'a>, node: &'a NodeProto, x: TensorId) -> Try<Vec<TensorId>> {
    let shape = search.shape(x).to_vec();
    let axis = net::axis(net::int(node, "axis", 0)?, shape.len())?;
    let mut start: usize = 0;
    let mut parts = Vec::new();
    for output in &node.output {
        let out = search.net.shape(output)?;
        let size = *out.get(axis).ok_or("its parts have other dimensions")?;
        let end = start.checked_add(size).ok_or("its parts are too large")?;
        parts.push(take_range(search, draft, x, axis, start, end)?);
        let whole = parts.last().is_some_and(|&part| search.shape(part) == out);
        if !whole {
            return Err("its parts do not fit".into());
        }
        start = end;
    }
    if shape[axis] == start { Ok(parts) } else { Err("its parts do not make the whole".into()) }
}

fn take_range<'a>(
    search: &mut Search<'a>,
    draft: &mut Draft<'a>,
    x: TensorId,
    axis: usize,
    start: usize,
    end: usize,
) -> Try<TensorId> {
    if search.shape(x).get(axis).is_none_or(|&dim| end > dim) {
        return Err("its parts do not fit".into());
    }
    take(search, draft, x, axis, (start..end).collect())
}

fn slice<'a>(
    search: &mut Search<'a>,
    draft: &mut Draft<'a>,
    node: &'a NodeProto,
    x: TensorId,
    out: &[usize],
) -> Try<TensorId> {
    let rank = search.shape(x).len();
    let list = |index: usize, attribute: &str| -> Try<Option<Vec<i64>>> {
        match net::input(node, index) {
            Some(name) => search.net.ints(name).map(Some),
            None => Ok(net::ints(node, attribute)?.map(<[i64]>::to_vec)),
        }
    };
    let starts = list(1, "starts")?.ok_or("it says no start")?;
    let axes = list(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = list(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if axes.len() != starts.len() || steps.len() != starts.len() || out.len() != rank {
        return Err("its starts, axes and steps do not fit".into());
    }
    let mut y = x;
    for ((start, step), axis) in starts.iter().zip(&steps).zip(&axes) {
        let axis = net::axis(*axis, rank)?;
        let dim = search.shape(y)[axis] as i64;
        let start = if *start < 0 { start.saturating_add(dim) } else { *start };
        let start = if *step < 0 { start.clamp(0, dim - 1) } else { start.clamp(0, dim) };
        let indices: Option<Vec<usize>> =
            (0..out[axis] as i64).map(|k| usize::try_from(start.checked_add(k.checked_mul(*step)?)?).ok()).collect();
        y = take(search, draft, y, axis, indices.ok_or("its steps leave the tensor")?)?;
    }
    Ok(y)
}

fn gather<'a>(
    search: &mut Search<'a>,
    draft: &mut Draft<'a>,
    node: &'a NodeProto,
    x: TensorId,
    out: &[usize],
) -> Try<TensorId> {
    let shape = search.shape(x);
    let axis = net::axis(net::int(node, "axis", 0)?, shape.len())?;
    let dim = shape[axis] as i64;
    let indices = search.net.ints(net::needs(node, 1)?)?;
    let indices: Option<Vec<usize>> =
        indices.into_iter().map(|i| usize::try_from(if i < 0 { i.checked_add(dim)? } else { i }).ok()).collect();
    let y = take(search, draft, x, axis, indices.ok_or("an index does not fit")?)?;
    same_elements(search, draft, y, out)
}

fn pad<'a>(
    search: &mut Search<'a>,
    draft: &mut Draft<'a>,
    node: &'a NodeProto,
    mut x: TensorId,
    kind: Kind,
    out: &[usize],
) -> Try<TensorId> {
    let shape = search.shape(x).to_vec();
    let rank = shape.len();
    let amounts = match net::input(node, 1) {
        Some(name) => search.net.ints(name)?,
        None => net::ints(node, "pads")?.ok_or("it says not how much")?.to_vec(),
    };
    let axes: Vec<i64> = match net::input(node, 3) {
        Some(name) => search.net.ints(name)?,
        None => (0..rank as i64).collect(),
    };
    if amounts.len() != 2 * axes.len() {
        return Err("its amounts do not fit its axes".into());
    }
    let (mut before, mut after) = (vec![0usize; rank], vec![0usize; rank]);
    for (k, &axis) in axes.iter().enumerate() {
        let axis = net::axis(axis, rank)?;
        let (first, last) = (amounts[k], amounts[k + axes.len()]);
        let believed = -MAX_PAD..MAX_PAD;
        if !believed.contains(&first) || !believed.contains(&last) {
            return Err(format!("its amounts {first} and {last} are too large"));
        }
        // What is below zero is cut off.
        let cut = |amount: i64| (-amount).max(0) as usize;
        if cut(first) + cut(last) > 0 {
            let end = shape[axis].checked_sub(cut(last)).filter(|end| *end > cut(first));
            let end = end.ok_or("it takes everything away")?;
            x = take(search, draft, x, axis, (cut(first)..end).collect())?;
        }
        (before[axis], after[axis]) = (first.max(0) as usize, last.max(0) as usize);
    }
    let shape = search.shape(x).to_vec();
    let padded: Vec<usize> = shape.iter().zip(before.iter().zip(&after)).map(|(d, (b, a))| d + b + a).collect();
    if padded != out {
        return Err(format!("its amounts make {padded:?}, expected was {out:?}"));
    }
    let mode = net::text(node, "mode", "constant")?;
    if mode == "constant" {
        let value = pad_value(search, node, x, kind)?;
        let quant = search.quant(x);
        return Ok(search.step(draft, Op::Pad { before, after, value }, vec![x], padded, quant));
    }
    let mut y = x;
    for axis in 0..rank {
        let (dim, first) = (shape[axis] as i64, before[axis] as i64);
        let index = |at: usize| {
            let at = at as i64 - first;
            let inside = match mode {
                "edge" => at.clamp(0, dim - 1),
                "wrap" => at.rem_euclid(dim),
                _ => {
                    let at = at.rem_euclid((2 * (dim - 1)).max(1));
                    if at < dim { at } else { 2 * (dim - 1) - at }
                }
            };
            inside as usize
        };
        if !matches!(mode, "edge" | "wrap" | "reflect") {
            return Err(format!("its mode {mode:?} is not known"));
        }
        y = take(search, draft, y, axis, (0..shape[axis] + before[axis] + after[axis]).map(index).collect())?;
    }
    Ok(y)
}

/// The byte that a `Pad` puts around.
fn pad_value(search: &Search, node: &NodeProto, x: TensorId, kind: Kind) -> Try<i8> {
    let value = match net::input(node, 2) {
        Some(name) => search.net.uniform(name).ok_or("its value is not one number")?,
        None => net::float(node, "value", 0.0)?,
    };
    let byte = match kind {
        Kind::Real => params::exactly(search.quant(x), value),
        Kind::Rounded => Some(params::quantise(search.quant(x), value)),
        Kind::Bytes { unsigned } => {
            let byte = value - if unsigned { 128.0 } else { 0.0 };
            (byte.fract() == 0.0 && (-128.0..=127.0).contains(&byte)).then_some(byte as i8)
        }
    };
    byte.ok_or_else(|| format!("its value {value} has no byte"))
}

/// `Expand` and `Tile`: elements again and again along axes.
fn repeat<'a>(search: &mut Search<'a>, draft: &mut Draft<'a>, x: TensorId, out: &[usize]) -> Try<TensorId> {
    let mut shape = search.shape(x).to_vec();
    let more = out.len().checked_sub(shape.len()).ok_or("it loses dimensions")?;
    shape.splice(0..0, std::iter::repeat_n(1, more));
    let mut y = search.reshape(draft, x, shape.clone());
    for (axis, (&dim, &want)) in shape.iter().zip(out).enumerate() {
        if want % dim != 0 {
            return Err("its result is no multiple of its input".into());
        }
        y = take(search, draft, y, axis, (0..want).map(|i| i % dim).collect())?;
    }
    Ok(y)
}

/// Batch, channels, rows and columns, and the size of a block that divides what it must.
fn blocks(node: &NodeProto, shape: &[usize]) -> Try<([usize; 4], usize)> {
    let shape: [usize; 4] = shape.try_into().map_err(|_| "it is not of pictures")?;
    let block = usize::try_from(net::int(node, "blocksize", 0)?).ok().filter(|b| (1..=1 << 16).contains(b));
    Ok((shape, block.ok_or("its block size cannot be")?))
}

fn depth_to_space<'a>(
    search: &mut Search<'a>,
    draft: &mut Draft<'a>,
    node: &'a NodeProto,
    x: TensorId,
    out: &[usize],
) -> Try<TensorId> {
    let ([n, c, h, w], b) = blocks(node, search.shape(x))?;
    if c % (b * b) != 0 {
        return Err("its block size does not divide the channels".into());
    }
    let d = c / (b * b);
    let (split, perm) = match net::text(node, "mode", "DCR")? {
        "CRD" => (vec![n, d, b, b, h, w], vec![0, 1, 4, 2, 5, 3]),
        _ => (vec![n, b, b, d, h, w], vec![0, 3, 4, 1, 5, 2]),
    };
    let y = search.reshape(draft, x, split);
    let y = search.transpose(draft, y, perm);
    same_elements(search, draft, y, out)
}

fn space_to_depth<'a>(
    search: &mut Search<'a>,
    draft: &mut Draft<'a>,
    node: &'a NodeProto,
    x: TensorId,
    out: &[usize],
) -> Try<TensorId> {
    let ([n, c, h, w], b) = blocks(node, search.shape(x))?;
    if h % b != 0 || w % b != 0 {
        return Err("its block size does not divide the picture".into());
    }
    let y = search.reshape(draft, x, vec![n, c, h / b, b, w / b, b]);
    let y = search.transpose(draft, y, vec![0, 3, 5, 1, 2, 4]);
    same_elements(search, draft, y, out)
}
