//! Tensors joined, split and cut along axes.

use tract_onnx::pb::NodeProto;

use super::super::labels::{AxisLabels, FIXED, Label};
use super::super::trace::{Cut, Tracer};
use crate::onnx::{node, tensor};

/// `Concat`: the labels of the inputs one behind the other.
pub fn concat(tracer: &mut Tracer<'_>, index: usize, found: &NodeProto) -> Result<(), String> {
    let output = node::only_output(found)?;
    let shape = tracer.shape(output)?;
    let axis = node::axis(node::int(found, "axis", 0)?, shape.len())?;
    let inputs: Vec<usize> = (0..found.input.len()).collect();
    let mut axes = tracer.broadcast(index, &inputs, &shape, Some(axis))?;
    let mut joined = Vec::with_capacity(shape[axis]);
    for name in node::inputs(found) {
        let own = tracer.shape(name)?;
        let labels = tracer.axes(name, own.len());
        joined.extend(labels[axis].clone().unwrap_or_else(|| vec![FIXED; own[axis]]));
    }
    if joined.len() != shape[axis] {
        return Err("its inputs do not fit its output".into());
    }
    axes[axis] = Some(joined);
    tracer.set(output, axes);
    Ok(())
}

/// `Split`.
pub fn split(tracer: &mut Tracer<'_>, index: usize, found: &NodeProto) -> Result<(), String> {
    let input = node::required_input(found, 0)?;
    let rank = tracer.shape(input)?.len();
    let axis = node::axis(node::int(found, "axis", 0)?, rank)?;
    let axes = tracer.axes(input, rank);
    let mut pieces = Vec::new();
    let mut start = 0;
    for name in &found.output {
        let size = tracer.shape(name)?[axis];
        let piece = |own: &Vec<Label>| own.get(start..start + size).map(<[Label]>::to_vec);
        let own = match &axes[axis] {
            Some(own) => Some(piece(own).ok_or("its pieces do not fit its input")?),
            None => None,
        };
        start += size;
        let mut piece = axes.clone();
        piece[axis].clone_from(&own);
        tracer.set(name, piece);
        pieces.push(own.unwrap_or_default());
    }
    if axes[axis].is_some() {
        if node::input(found, 1).is_some_and(|name| tracer.constant(name).is_none()) {
            return Err("its sizes are no constant".into());
        }
        tracer.cut(index, Cut::Pieces(pieces));
    }
    Ok(())
}

/// `Slice`.
pub fn slice(tracer: &mut Tracer<'_>, index: usize, found: &NodeProto) -> Result<(), String> {
    if found.input.len() < 3 {
        return Err("bounds in attributes are not followed".into());
    }
    let (input, output) = (node::required_input(found, 0)?, node::only_output(found)?);
    let shape = tracer.shape(input)?;
    let list = |at: usize| -> Result<Option<Vec<i64>>, String> {
        let Some(name) = node::input(found, at) else { return Ok(None) };
        tracer.integers(name).map(Some).ok_or_else(|| "its bounds are no constants".into())
    };
    let (starts, ends) = (list(1)?.unwrap_or_default(), list(2)?.unwrap_or_default());
    let listed = list(3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = list(4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), listed.len(), steps.len()].iter().any(|count| *count != starts.len()) {
        return Err("its bounds do not fit each other".into());
    }
    let mut axes = tracer.axes(input, shape.len());
    for at in 0..starts.len() {
        let axis = node::axis(listed[at], shape.len())?;
        let Some(own) = axes[axis].clone() else { continue };
        if steps[at] != 1 {
            axes[axis] = tracer.fix_axis(&Some(own));
            continue;
        }
        let size = shape[axis] as i64;
        let bound = |value: i64| (if value < 0 { value.saturating_add(size) } else { value }).clamp(0, size) as usize;
        let (start, end) = (bound(starts[at]), bound(ends[at]));
        if start >= end {
            return Err("it takes nothing".into());
        }
        axes[axis] = Some(own[start..end].to_vec());
        tracer.cut(index, Cut::Bounds { at, labels: own, range: (start, end) });
    }
    tracer.set(output, axes);
    Ok(())
}

/// `Gather` with constant indices.
pub fn gather(tracer: &mut Tracer<'_>, index: usize, found: &NodeProto) -> Result<(), String> {
    let (input, output) = (node::required_input(found, 0)?, node::only_output(found)?);
    let rank = tracer.shape(input)?.len();
    let axis = node::axis(node::int(found, "axis", 0)?, rank)?;
    let indices = tracer.constant(node::required_input(found, 1)?).ok_or("its indices are no constant")?;
    let mut axes = tracer.axes(input, rank);
    let taken: AxisLabels = match axes[axis].clone() {
        None => None,
        Some(own) => {
            let picked = tensor::ints(&indices)?.into_iter().map(|at| Ok(own[node::axis(at, own.len())?]));
            let picked = picked.collect::<Result<Vec<Label>, String>>()?;
            tracer.cut(index, Cut::Indices(own));
            match indices.rank() {
                1 => Some(picked),
                _ => tracer.fix_axis(&Some(picked)),
            }
        }
    };
    let mut between = vec![None; indices.rank()];
    if let [only] = &mut between[..] {
        *only = taken;
    }
    axes.splice(axis..=axis, between);
    tracer.set(output, axes);
    Ok(())
}

/// `Pad`: axes that grow stay as they are.
pub fn pad(tracer: &mut Tracer<'_>, found: &NodeProto) -> Result<(), String> {
    let (input, output) = (node::required_input(found, 0)?, node::only_output(found)?);
    let rank = tracer.shape(input)?.len();
    let pads = match node::input(found, 1) {
        Some(name) => tracer.integers(name).ok_or("its padding is no constant")?,
        None => node::ints(found, "pads")?.unwrap_or_default().to_vec(),
    };
    let listed = match node::input(found, 3) {
        Some(name) => tracer.integers(name).ok_or("its axes are no constant")?,
        None => (0..rank as i64).collect(),
    };
    if pads.len() != 2 * listed.len() {
        return Err("its padding does not fit its input".into());
    }
    let mut axes = tracer.axes(input, rank);
    for (at, axis) in listed.iter().enumerate() {
        let axis = node::axis(*axis, rank)?;
        if pads[at] != 0 || pads[at + listed.len()] != 0 {
            axes[axis] = tracer.fix_axis(&axes[axis].clone());
        }
    }
    tracer.set(output, axes);
    Ok(())
}
