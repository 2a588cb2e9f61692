//! Layers with constant weights: they take the labels of their inputs and give new ones to their outputs.

use tract_onnx::pb::NodeProto;

use super::super::labels::{AxisLabels, FIXED, Label};
use super::super::trace::{Cut, Layer, Tracer};
use crate::onnx::node;

/// A layer as it stands in the graph.
struct Found {
    /// Shapes of input, constant weights and output.
    shape: Vec<usize>,
    weights: Vec<usize>,
    out_shape: Vec<usize>,
    /// Labels of the input.
    axes: Vec<AxisLabels>,
}

fn look(tracer: &Tracer<'_>, found: &NodeProto) -> Result<Found, String> {
    let input = node::required_input(found, 0)?;
    let weights = node::required_input(found, 1)?;
    let weights = tracer.constant(weights).ok_or("its weights are no constant")?.shape().to_vec();
    let shape = tracer.shape(input)?;
    let axes = tracer.axes(input, shape.len());
    Ok(Found { shape, weights, out_shape: tracer.shape(node::only_output(found)?)?, axes })
}

/// Labels of input and output channels of a convolution whose weights hold `per_group` outputs for each group.
struct Channels {
    input: AxisLabels,
    output: Vec<Label>,
    depthwise: bool,
}

fn channels(tracer: &mut Tracer<'_>, input: AxisLabels, inputs: usize, outputs: usize, groups: usize) -> Channels {
    let labels = &mut tracer.trace.labels;
    if groups == 1 {
        return Channels { input, output: labels.fresh(outputs), depthwise: false };
    }
    let (inputs_of_one, outputs_of_one) = (inputs / groups, outputs / groups);
    if inputs_of_one == 1 {
        let of = |own: &Vec<Label>| own.iter().flat_map(|&label| vec![label; outputs_of_one]).collect();
        let output = input.as_ref().map_or_else(|| vec![FIXED; outputs], of);
        return Channels { input, output, depthwise: true };
    }
    // Every group keeps the same indices, so that groups stay equal.
    if let Some(own) = &input {
        for index in inputs_of_one..inputs {
            labels.unite(own[index], own[index % inputs_of_one]);
        }
    }
    let fresh = labels.fresh(outputs_of_one);
    Channels { input, output: fresh.repeat(groups), depthwise: false }
}

fn finish(tracer: &mut Tracer<'_>, found: &NodeProto, layer: Layer, rank: usize, axis: usize) -> Result<(), String> {
    let mut axes: Vec<AxisLabels> = vec![None; rank];
    axes[axis] = Some(layer.output.clone());
    tracer.set(node::only_output(found)?, axes);
    tracer.trace.layers.push(layer);
    Ok(())
}

/// `Conv`.
pub fn conv(tracer: &mut Tracer<'_>, index: usize, found: &NodeProto) -> Result<(), String> {
    convolution(tracer, index, found, 0)
}

/// `ConvTranspose`.
pub fn conv_transpose(tracer: &mut Tracer<'_>, index: usize, found: &NodeProto) -> Result<(), String> {
    convolution(tracer, index, found, 1)
}

/// A convolution whose weights have outputs along `output_axis`, of all groups for axis 0 and of one for axis 1.
fn convolution(tracer: &mut Tracer<'_>, index: usize, found: &NodeProto, output_axis: usize) -> Result<(), String> {
    let Found { shape, weights, out_shape, axes } = look(tracer, found)?;
    let groups = usize::try_from(node::int(found, "group", 1)?).unwrap_or(0);
    if shape.len() < 3 || weights.len() != shape.len() || groups == 0 || !shape[1].is_multiple_of(groups) {
        return Err(format!("weights of shape {weights:?} do not fit its input"));
    }
    let transposed = output_axis == 1;
    let outputs = if transposed { weights[1] * groups } else { weights[0] };
    let inputs = if transposed { weights[0] } else { weights[1] * groups };
    if inputs != shape[1] || !outputs.is_multiple_of(groups) || out_shape.get(1) != Some(&outputs) {
        return Err(format!("weights of shape {weights:?} do not fit its input"));
    }
    for own in axes[..1].iter().chain(&axes[2..]) {
        tracer.fix_axis(own);
    }
    let Channels { input, output, depthwise } = channels(tracer, axes[1].clone(), inputs, outputs, groups);
    let of_one = |own: &[Label], all: usize| own[..all / groups].to_vec();
    if transposed {
        tracer.cut_constant(
            index,
            1,
            1,
            &of_one(&if depthwise { vec![FIXED; outputs] } else { output.clone() }, outputs),
        )?;
        if let Some(own) = &input {
            tracer.cut_constant(index, 1, 0, own)?;
        }
    } else {
        tracer.cut_constant(index, 1, 0, &output)?;
        if let Some(own) = input.as_ref().filter(|_| !depthwise) {
            tracer.cut_constant(index, 1, 1, &of_one(own, inputs))?;
        }
    }
    if let Some(own) = input.as_ref().filter(|_| depthwise) {
        tracer.cut(index, Cut::Group(own.clone()));
    }
    if node::input(found, 2).is_some() {
        tracer.cut_constant(index, 2, 0, &output)?;
    }
    let taps: usize = weights[2..].iter().product();
    let places: usize = if transposed { &shape } else { &out_shape }[2..].iter().product();
    let macs_per_pair = (taps * places * out_shape[0]) as u64;
    let layer = Layer { node: index, input, input_axis: 1, inputs, output, groups, depthwise, macs_per_pair };
    finish(tracer, found, layer, out_shape.len(), 1)
}

/// `Gemm`.
pub fn gemm(tracer: &mut Tracer<'_>, index: usize, found: &NodeProto) -> Result<(), String> {
    let Found { shape, weights, out_shape, axes } = look(tracer, found)?;
    let input_axis = usize::from(!node::flag(found, "transA")?);
    let weights_axis = usize::from(node::flag(found, "transB")?);
    if shape.len() != 2 || weights.len() != 2 || weights[weights_axis] != shape[input_axis] {
        return Err(format!("weights of shape {weights:?} do not fit its input"));
    }
    tracer.fix_axis(&axes[1 - input_axis]);
    let input = axes[input_axis].clone();
    let mut output = tracer.trace.labels.fresh(weights[1 - weights_axis]);
    if let Some(bias) = node::input(found, 2) {
        let own = tracer.shape(bias)?;
        let wide = own.last() == Some(&output.len()) && output.len() > 1;
        if tracer.constant(bias).is_none() {
            tracer.fix(bias);
            output = vec![FIXED; output.len()];
        } else if wide {
            tracer.cut_constant(index, 2, own.len() - 1, &output)?;
        }
    }
    matrix(
        tracer,
        index,
        found,
        MatrixShape { weights_axis, input, input_axis, inputs: shape[input_axis], output, out_shape },
    )
}

/// `MatMul`.
pub fn matmul(tracer: &mut Tracer<'_>, index: usize, found: &NodeProto) -> Result<(), String> {
    let second = node::required_input(found, 1)?;
    if tracer.constant(second).is_none() {
        return product(tracer, found);
    }
    let Found { shape, weights, out_shape, axes } = look(tracer, found)?;
    let Some(input_axis) = shape.len().checked_sub(1).filter(|last| *last > 0) else {
        return Err("its input is no matrix".into());
    };
    if weights.len() != 2 || weights[0] != shape[input_axis] {
        return Err(format!("weights of shape {weights:?} do not fit its input"));
    }
    for own in &axes[..input_axis] {
        tracer.fix_axis(own);
    }
    let input = axes[input_axis].clone();
    let output = tracer.trace.labels.fresh(weights[1]);
    matrix(
        tracer,
        index,
        found,
        MatrixShape { weights_axis: 0, input, input_axis, inputs: weights[0], output, out_shape },
    )
}

struct MatrixShape {
    weights_axis: usize,
    input: AxisLabels,
    input_axis: usize,
    inputs: usize,
    output: Vec<Label>,
    out_shape: Vec<usize>,
}

fn matrix(tracer: &mut Tracer<'_>, index: usize, found: &NodeProto, shape: MatrixShape) -> Result<(), String> {
    let MatrixShape { weights_axis, input, input_axis, inputs, output, out_shape } = shape;
    tracer.cut_constant(index, 1, 1 - weights_axis, &output)?;
    if let Some(own) = &input {
        tracer.cut_constant(index, 1, weights_axis, own)?;
    }
    let rank = out_shape.len();
    let rows: usize = out_shape[..rank - 1].iter().product();
    let macs_per_pair = rows as u64;
    let layer = Layer { node: index, input, input_axis, inputs, output, groups: 1, depthwise: false, macs_per_pair };
    finish(tracer, found, layer, rank, rank - 1)
}

/// A product of two tensors that are no constants: rows of the first and columns of the second go on, the elements that are summed stay.
fn product(tracer: &mut Tracer<'_>, found: &NodeProto) -> Result<(), String> {
    let (first, second) = (node::required_input(found, 0)?, node::required_input(found, 1)?);
    let output = node::only_output(found)?;
    let (a, b, rank) = (tracer.shape(first)?.len(), tracer.shape(second)?.len(), tracer.shape(output)?.len());
    if a < 2 || b < 2 || rank != a.max(b) {
        return Err("its inputs are no matrices".into());
    }
    let (mut first, mut second) = (tracer.axes(first, a), tracer.axes(second, b));
    for own in first[..a - 2].iter().chain(&first[a - 1..]).chain(&second[..b - 1]) {
        tracer.fix_axis(own);
    }
    let mut axes = vec![None; rank];
    axes[rank - 2] = first.swap_remove(a - 2);
    axes[rank - 1] = second.swap_remove(b - 1);
    tracer.set(output, axes);
    Ok(())
}
