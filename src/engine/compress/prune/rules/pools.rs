//! Operators over windows, axes and whole channels.

use std::ops::Range;

use tract_onnx::pb::NodeProto;

use super::super::trace::Tracer;
use crate::onnx::node;

/// Normalisation with a constant for each channel in each of `parameters`.
pub fn normalise(
    tracer: &mut Tracer<'_>,
    index: usize,
    found: &NodeProto,
    parameters: Range<usize>,
) -> Result<(), String> {
    let (input, output) = (node::required_input(found, 0)?, node::only_output(found)?);
    let rank = tracer.shape(input)?.len();
    let mut axes = tracer.axes(input, rank);
    if rank < 2 {
        return Err("its input has no channels".into());
    }
    for (_, own) in axes.iter_mut().enumerate().filter(|(axis, _)| *axis != 1) {
        *own = tracer.fix_axis(own);
    }
    if let Some(own) = axes[1].clone() {
        for parameter in parameters {
            node::required_input(found, parameter)?;
            tracer.cut_constant(index, parameter, 0, &own)?;
        }
    }
    tracer.set(output, axes);
    Ok(())
}

/// Pooling of each channel by itself.
pub fn pool(tracer: &mut Tracer<'_>, found: &NodeProto) -> Result<(), String> {
    let (input, output) = (node::required_input(found, 0)?, node::only_output(found)?);
    let rank = tracer.shape(input)?.len();
    let mut axes = tracer.axes(input, rank);
    for own in axes.iter_mut().skip(2) {
        *own = tracer.fix_axis(own);
    }
    tracer.set(output, axes);
    Ok(())
}

/// A function of all elements along an axis, or all axes from one on.
pub fn over_axes(tracer: &mut Tracer<'_>, found: &NodeProto) -> Result<(), String> {
    let (input, output) = (node::required_input(found, 0)?, node::only_output(found)?);
    let rank = tracer.shape(input)?.len();
    let mut axes = tracer.axes(input, rank);
    let whole = found.op_type == "LayerNormalization" || tracer.opset < 13;
    let default = if whole && found.op_type != "LayerNormalization" { 1 } else { -1 };
    let axis = node::axis(node::int(found, "axis", default)?, rank)?;
    let end = if whole { rank } else { axis + 1 };
    for own in &mut axes[axis..end] {
        *own = tracer.fix_axis(own);
    }
    tracer.set(output, axes);
    Ok(())
}

/// A sum, mean or extreme over axes.
pub fn reduce(tracer: &mut Tracer<'_>, found: &NodeProto) -> Result<(), String> {
    let (input, output) = (node::required_input(found, 0)?, node::only_output(found)?);
    let rank = tracer.shape(input)?.len();
    let listed = match node::input(found, 1) {
        Some(name) => Some(tracer.integers(name).ok_or("its axes are no constant")?),
        None => node::ints(found, "axes")?.map(<[i64]>::to_vec),
    };
    let listed = listed.filter(|axes| !axes.is_empty());
    let mut reduced = vec![listed.is_none() && node::int(found, "noop_with_empty_axes", 0)? == 0; rank];
    for axis in listed.unwrap_or_default() {
        reduced[node::axis(axis, rank)?] = true;
    }
    let keep = node::int(found, "keepdims", 1)? != 0;
    let mut axes = Vec::new();
    for (axis, own) in tracer.axes(input, rank).into_iter().enumerate() {
        match (reduced[axis], keep) {
            (false, _) => axes.push(own),
            (true, true) => axes.push(tracer.fix_axis(&own)),
            (true, false) => _ = tracer.fix_axis(&own),
        }
    }
    tracer.set(output, axes);
    Ok(())
}
