//! The test for a first dimension that can be left open: nothing may mix its elements, move it, or hold on to its size.

use super::super::graph::{FileGraph, Operator};
use super::node::{is_elementwise, reads};
use super::{moves, resize};

/// True if the file leaves the batch of every input open and each of these operators keeps it apart.
pub fn is_open(net: &FileGraph<'_>, operators: &[usize]) -> bool {
    let leads = |index: usize| net.tensors[index].shape.first() == Some(&1);
    let ends = net.inputs.iter().chain(&net.outputs);
    !net.inputs.is_empty()
        && net.inputs.iter().all(|&i| net.tensors[i].open)
        && ends.into_iter().all(|&i| leads(i))
        && operators.iter().all(|&o| keeps(net, &net.operators[o], &leads))
}

fn keeps(net: &FileGraph<'_>, operator: &Operator<'_>, leads: &impl Fn(usize) -> bool) -> bool {
    let moving: Vec<usize> =
        reads(operator).iter().flatten().copied().filter(|&i| net.tensors[i].data.is_none()).collect();
    if !moving.iter().chain(&operator.outputs).all(|&i| leads(i)) {
        return false;
    }
    let rank = moving.first().map_or(0, |&i| net.tensors[i].shape.len());
    // Constants that are read as numbers: axes and orders.
    let integers = |place: usize| net.tensors[operator.inputs.get(place).copied().flatten()?].integers();
    let other_axes = |place: usize| {
        let first = |axis: &i64| *axis == 0 || *axis == -(rank as i64);
        integers(place).is_some_and(|axes| !axes.iter().any(first))
    };
    match operator.name.as_str() {
        name if is_elementwise(name) => true,
        "CONV_2D" | "DEPTHWISE_CONV_2D" | "FULLY_CONNECTED" | "AVERAGE_POOL_2D" | "MAX_POOL_2D" | "L2_POOL_2D"
        | "ADD" | "SUB" | "MUL" | "DIV" | "MAXIMUM" | "MINIMUM" | "POW" | "SQUARED_DIFFERENCE" | "RESHAPE"
        | "SQUEEZE" | "EXPAND_DIMS" | "PAD" | "PADV2" | "SLICE" | "STRIDED_SLICE" | "DEPTH_TO_SPACE"
        | "SPACE_TO_DEPTH" => true,
        "TRANSPOSE" => integers(1).is_some_and(|order| order.first() == Some(&0)),
        "MEAN" | "SUM" | "REDUCE_MAX" | "REDUCE_MIN" | "ARG_MAX" | "SPLIT_V" => {
            other_axes(if operator.name == "SPLIT_V" { 2 } else { 1 })
        }
        "SPLIT" => other_axes(0),
        "SOFTMAX" | "LOG_SOFTMAX" | "L2_NORMALIZATION" => rank > 1,
        "CONCATENATION" => {
            let constants = operator.inputs.iter().flatten().any(|&i| net.tensors[i].data.is_some());
            !constants && moves::axis_option(operator).is_ok_and(|axis| axis != 0 && axis != -i64::from(rank as u8))
        }
        "RESIZE_BILINEAR" | "RESIZE_NEAREST_NEIGHBOR" => match (moving.first(), operator.outputs.first()) {
            (Some(&from), Some(&to)) => resize::is_exact(&net.tensors[from].shape, &net.tensors[to].shape),
            _ => false,
        },
        _ => false,
    }
}
