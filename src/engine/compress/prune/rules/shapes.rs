//! Operators that move elements: other shapes, other orders, repeated elements.

use tract_onnx::pb::NodeProto;

use super::super::labels::{self, AxisLabels, Label};
use super::super::trace::{Cut, Size, Tracer};
use crate::onnx::{node, tensor};

/// `Reshape`: the elements in row-major order, read as another shape.
pub fn reshape(tracer: &mut Tracer<'_>, index: usize, found: &NodeProto) -> Result<(), String> {
    let target = node::required_input(found, 1)?;
    let sizes = match tracer.sizes.get(target) {
        Some(sizes) => sizes.clone(),
        None => {
            let list = tracer.integers(target).ok_or("its shape is computed in a way that is not followed")?;
            list.into_iter().map(Size::Known).collect()
        }
    };
    let (from, to) = regroup(tracer, found)?;
    if sizes.len() != to {
        return Err("its shape does not fit its output".into());
    }
    let zero_copies = node::int(found, "allowzero", 0)? == 0;
    let output = node::only_output(found)?;
    let axes = tracer.axes(output, to);
    let own = tracer.axes(node::required_input(found, 0)?, from);
    // Sizes that are copied from the input's axis of the same number.
    let sizes = sizes.into_iter().enumerate().map(|(axis, size)| match size {
        Size::Known(0) if zero_copies => own.get(axis).cloned().flatten().map_or(Size::Known(0), Size::Axis),
        size => size,
    });
    settle(tracer, index, 1, sizes.enumerate().collect(), &axes)
}

/// Holds the sizes that a node is told against the labels of its output: constants are to be changed, what is computed must follow by itself.
///
/// # Errors
/// None; what does not follow stays.
pub fn settle(
    tracer: &mut Tracer<'_>,
    index: usize,
    input: usize,
    sizes: Vec<(usize, Size)>,
    axes: &[AxisLabels],
) -> Result<(), String> {
    let constant = tracer.constant(&tracer.view.node(index).input[input]).is_some();
    let mut changed = false;
    for (axis, size) in &sizes {
        match (size, &axes[*axis]) {
            (Size::Known(-1), _) | (Size::Known(_), None) => {}
            (Size::Known(0), Some(own)) => tracer.trace.labels.fix(own),
            (Size::Known(_), Some(_)) if constant => changed = true,
            (Size::Known(_), Some(own)) => tracer.trace.labels.fix(own),
            (Size::Axis(told), Some(own)) if tracer.trace.labels.same(told, own) => {}
            (Size::Axis(told), own) => {
                tracer.trace.labels.fix(told);
                tracer.fix_axis(own);
            }
        }
    }
    if changed {
        tracer.cut(index, Cut::Shape { input, axes: sizes.into_iter().map(|(axis, _)| axis).collect() });
    }
    Ok(())
}

/// Any operator whose output has the elements of its input in the same order. Gives the ranks of both.
pub fn regroup(tracer: &mut Tracer<'_>, found: &NodeProto) -> Result<(usize, usize), String> {
    let (input, output) = (node::required_input(found, 0)?, node::only_output(found)?);
    let (from, to) = (tracer.shape(input)?, tracer.shape(output)?);
    let own = tracer.axes(input, from.len());
    let mut axes: Vec<AxisLabels> = vec![None; to.len()];
    for (from_axes, to_axes) in blocks_of(&from, &to)? {
        let mut labelled: Vec<(usize, &Vec<Label>)> =
            from_axes.clone().filter_map(|axis| own[axis].as_ref().map(|own| (axis, own))).collect();
        // Where several axes are mixed, the one with the most to remove goes on.
        labelled.sort_by_key(|(_, own)| std::cmp::Reverse(tracer.trace.labels.free(own)));
        let Some(((axis, labels), others)) = labelled.split_first() else { continue };
        others.iter().for_each(|(_, own)| tracer.trace.labels.fix(own));
        let (start, first) = (from_axes.start, to_axes.start);
        let found = labels::regroup(&mut tracer.trace.labels, labels, &from[from_axes], axis - start, &to[to_axes]);
        if let Some((at, found)) = found {
            axes[first + at] = Some(found);
        }
    }
    tracer.set(output, axes);
    Ok((from.len(), to.len()))
}

type Blocks = Vec<(std::ops::Range<usize>, std::ops::Range<usize>)>;

/// Runs of axes of two shapes that hold the same elements.
fn blocks_of(from: &[usize], to: &[usize]) -> Result<Blocks, String> {
    if from.iter().product::<usize>() != to.iter().product::<usize>() || from.contains(&0) {
        return Err(format!("it makes {to:?} of {from:?}"));
    }
    let (mut i, mut j) = (0, 0);
    let mut blocks = Vec::new();
    while i < from.len() || j < to.len() {
        let (first, start) = (i, j);
        let (mut a, mut b) = (1, 1);
        if i < from.len() {
            a = from[i];
            i += 1;
        }
        if j < to.len() {
            b = to[j];
            j += 1;
        }
        while a != b {
            if a < b {
                a *= from[i];
                i += 1;
            } else {
                b *= to[j];
                j += 1;
            }
        }
        blocks.push((first..i, start..j));
    }
    Ok(blocks)
}

/// `Transpose`.
pub fn transpose(tracer: &mut Tracer<'_>, found: &NodeProto) -> Result<(), String> {
    let input = node::required_input(found, 0)?;
    let rank = tracer.shape(input)?.len();
    let own = tracer.axes(input, rank);
    let axes = node::permutation(found, rank)?.into_iter().map(|axis| own[axis].clone()).collect();
    tracer.set(node::only_output(found)?, axes);
    Ok(())
}

/// `Expand`: axes of one index repeated.
pub fn expand(tracer: &mut Tracer<'_>, index: usize, found: &NodeProto) -> Result<(), String> {
    let (output, target) = (node::only_output(found)?, node::required_input(found, 1)?);
    let shape = tracer.shape(output)?;
    let axes = tracer.broadcast(index, &[0], &shape, None)?;
    let sizes = match tracer.sizes.get(target) {
        Some(sizes) => sizes.clone(),
        None => {
            let list = tracer.integers(target).ok_or("its shape is computed in a way that is not followed")?;
            list.into_iter().map(Size::Known).collect()
        }
    };
    let shift = shape.len().checked_sub(sizes.len()).ok_or("its shape does not fit its output")?;
    // A 1 takes the size of the input.
    let told = sizes.into_iter().enumerate().filter(|(_, size)| !matches!(size, Size::Known(1)));
    let told: Vec<(usize, Size)> = told.map(|(at, size)| (at + shift, size)).collect();
    for (axis, size) in &told {
        if let (Size::Known(_), Some(own)) = (size, &axes[*axis]) {
            tracer.trace.labels.fix(own);
        }
    }
    tracer.set(output, axes);
    let axes = tracer.axes(output, shape.len());
    settle(tracer, index, 1, told, &axes)
}

/// `Tile`: the whole tensor repeated along axes.
pub fn tile(tracer: &mut Tracer<'_>, found: &NodeProto) -> Result<(), String> {
    let (input, output) = (node::required_input(found, 0)?, node::only_output(found)?);
    let (from, to) = (tracer.shape(input)?, tracer.shape(output)?);
    if from.len() != to.len() || tracer.integers(node::required_input(found, 1)?).is_none() {
        return Err("its repeats are no constant".into());
    }
    let repeated = |own: Vec<Label>, axis: usize| own.repeat(to[axis] / from[axis].max(1));
    let own = tracer.axes(input, from.len()).into_iter().enumerate();
    let axes = own.map(|(axis, own)| own.map(|own| repeated(own, axis))).collect();
    tracer.set(output, axes);
    Ok(())
}

/// `DepthToSpace` and `SpaceToDepth`: blocks of pixels to channels and back.
pub fn blocks(tracer: &mut Tracer<'_>, found: &NodeProto) -> Result<(), String> {
    let (input, output) = (node::required_input(found, 0)?, node::only_output(found)?);
    let size = usize::try_from(node::int(found, "blocksize", 0)?).unwrap_or(0);
    let shape = tracer.shape(input)?;
    let square = size * size;
    if shape.len() != 4 || size == 0 {
        return Err("its blocks do not fit its input".into());
    }
    let own = tracer.axes(input, 4);
    for axis in [0, 2, 3] {
        tracer.fix_axis(&own[axis]);
    }
    let Some(channels) = own[1].clone() else { return Ok(()) };
    let result = if found.op_type == "SpaceToDepth" {
        channels.repeat(square)
    } else {
        let count = channels.len() / square;
        let rows = node::text(found, "mode", "DCR")? == "CRD";
        let at = |channel: usize, block: usize| if rows { channel * square + block } else { block * count + channel };
        for (channel, block) in (0..count).flat_map(|channel| (1..square).map(move |block| (channel, block))) {
            tracer.trace.labels.unite(channels[at(channel, 0)], channels[at(channel, block)]);
        }
        (0..count).map(|channel| channels[at(channel, 0)]).collect()
    };
    tracer.set(output, vec![None, Some(result), None, None]);
    Ok(())
}

/// `Resize` and `Upsample`: channels keep their number.
pub fn resize(tracer: &mut Tracer<'_>, index: usize, found: &NodeProto) -> Result<(), String> {
    let (input, output) = (node::required_input(found, 0)?, node::only_output(found)?);
    let (from, to) = (tracer.shape(input)?, tracer.shape(output)?);
    let upsample = found.op_type == "Upsample";
    let rank = from.len();
    let listed = match node::ints(found, "axes")? {
        Some(listed) => listed.iter().map(|&axis| node::axis(axis, rank)).collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).collect(),
    };
    let mut axes = tracer.axes(input, rank);
    for axis in 0..rank {
        if from[axis] != to[axis] {
            axes[axis] = tracer.fix_axis(&axes[axis].clone());
        }
    }
    let told = if upsample { None } else { node::input(found, 3) };
    if let Some(name) = told {
        let sizes = match tracer.sizes.get(name) {
            Some(sizes) => sizes.clone(),
            None => tracer.integers(name).ok_or("its sizes are no constant")?.into_iter().map(Size::Known).collect(),
        };
        if sizes.len() != listed.len() {
            return Err("its sizes do not fit its input".into());
        }
        settle(tracer, index, 3, listed.into_iter().zip(sizes).collect(), &axes)?;
    } else {
        let at = if upsample || tracer.opset < 11 { 1 } else { 2 };
        let scales = match node::input(found, at) {
            Some(name) => tracer.constant(name).and_then(|scales| tensor::floats(&scales).ok()),
            None => node::floats(found, "scales")?.map(<[f32]>::to_vec),
        };
        let scales = scales.ok_or("its scales are no constant")?;
        if scales.len() != listed.len() {
            return Err("its scales do not fit its input".into());
        }
        for (axis, scale) in listed.into_iter().zip(scales) {
            if scale != 1.0 {
                axes[axis] = tracer.fix_axis(&axes[axis].clone());
            }
        }
    }
    tracer.set(output, axes);
    Ok(())
}
