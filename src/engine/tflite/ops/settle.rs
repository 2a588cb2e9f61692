//! Knowledge of a graph before anything is written: constants that are only expanded, and sizes that converters leave
//! to the run.
//!
//! A file that leaves its batch open computes shapes from it (`SHAPE → GATHER → REDUCE_PROD → PACK → RESHAPE` is how a layer of
//! products over a sequence is spelt) and writes 1 for every dimension that it does not tell. With one item in a batch the shapes
//! are constants, and what the file tells of the tensors behind them is put right.

use std::borrow::Cow;

use super::super::graph::{FileGraph, Operator, Tensor};
use super::super::schema::ElementType;
use super::elementwise::broadcast;
use super::moves::axis_option;
use super::node::{Node, is_elementwise};
use super::{matmul, moves, reduce, slices, window};
use crate::onnx::node::axis;

/// Most numbers of a row of sizes.
const MAX_SIZES: usize = 64;

/// Knowledge of a graph.
pub struct Settled {
    /// For each operator, true if its result is a constant now.
    pub folded: Vec<bool>,
    /// For each tensor, true if it was computed from the sizes of others.
    pub sizes: Vec<bool>,
}

/// A row of integers, or one.
struct Numbers {
    values: Vec<i64>,
    shape: Vec<usize>,
}

impl Numbers {
    fn row(values: Vec<i64>) -> Self {
        Numbers { shape: vec![values.len()], values }
    }

    fn one(value: i64) -> Self {
        Numbers { shape: vec![], values: vec![value] }
    }

    /// Test for numbers that a tensor's type holds.
    fn fit(&self, tensor: &Tensor<'_>) -> bool {
        let narrow = || self.values.iter().all(|&v| i32::try_from(v).is_ok());
        tensor.quant.is_none() && (tensor.kind == ElementType::I64 || tensor.kind == ElementType::I32 && narrow())
    }

    /// As a constant of 32 or 64 bits holds them.
    fn bytes(&self, kind: ElementType) -> Vec<u8> {
        match kind {
            ElementType::I64 => self.values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            _ => self.values.iter().flat_map(|&v| (v as i32).to_le_bytes()).collect(),
        }
    }
}

/// Settles what can be known.
pub fn settle(net: &mut FileGraph<'_>) -> Settled {
    // What the model is given, or computes, is no constant whatever its buffer holds.
    let given: Vec<usize> = net.inputs.iter().chain(net.operators.iter().flat_map(|o| &o.outputs)).copied().collect();
    for index in given {
        net.tensors[index].data = None;
    }
    let mut kept = vec![false; net.tensors.len()];
    net.outputs.iter().for_each(|&o| kept[o] = true);
    let mut settled = Settled { folded: vec![false; net.operators.len()], sizes: vec![false; net.tensors.len()] };
    let mut moved = vec![false; net.tensors.len()];
    for (index, operator) in net.operators.iter().enumerate() {
        let &[to] = &operator.outputs[..] else { continue };
        let tensors = &mut net.tensors;
        // What leaves the graph, or stays from run to run, is computed even where it is known.
        let folds = !kept[to] && !tensors[to].variable;
        if let Some(constant) = expanded(tensors, operator, to).filter(|_| folds) {
            let name = std::mem::take(&mut tensors[to].name);
            tensors[to] = Tensor { name, ..constant };
            settled.folded[index] = true;
        } else if let Some(numbers) = numbers(tensors, operator).filter(|n| folds && n.fit(&tensors[to])) {
            tensors[to].data = Some(Cow::Owned(numbers.bytes(tensors[to].kind)));
            tensors[to].shape = numbers.shape;
            settled.folded[index] = true;
            let read = operator.inputs.iter().flatten().any(|&i| settled.sizes[i]);
            settled.sizes[to] = read || operator.name == "SHAPE";
        } else if let Some(shape) = shape(tensors, operator, &moved)
            && shape != tensors[to].shape
        {
            tensors[to].shape = shape;
            moved[to] = true;
        }
    }
    settled
}

/// A constant that is only expanded, widened or dequantised: it stays the constant that it is.
fn expanded<'a>(tensors: &[Tensor<'a>], operator: &Operator<'_>, to: usize) -> Option<Tensor<'a>> {
    let &[Some(from)] = &operator.inputs[..] else { return None };
    let (constant, result) = (&tensors[from], &tensors[to]);
    let kind = match operator.name.as_str() {
        "DEQUANTIZE" => ElementType::F32,
        // Its operand was expanded when the file was read.
        "DENSIFY" => constant.kind,
        _ => return None,
    };
    let same = constant.data.is_some() && constant.shape == result.shape && result.kind == kind;
    same.then(|| constant.clone())
}

/// Integers that follow from constants and from the shapes of tensors.
fn numbers(tensors: &[Tensor<'_>], operator: &Operator<'_>) -> Option<Numbers> {
    let node = Node { operator };
    let input = |place: usize| Some(&tensors[node.optional(place)?]);
    let row = |place: usize| input(place).filter(|t| t.shape.len() <= 1 && t.len() <= MAX_SIZES)?.integers();
    let only = |place: usize| row(place).filter(|values| values.len() == 1).map(|values| values[0]);
    let axis_of_row = || axis(axis_option(operator).ok()?, 1).ok();
    match operator.name.as_str() {
        "SHAPE" => Some(Numbers::row(input(0)?.shape.iter().map(|&d| d as i64).collect())),
        "GATHER" => {
            let (values, places) = (row(0)?, input(1)?);
            axis_of_row().filter(|_| input(0).is_some_and(|t| t.shape.len() == 1))?;
            let take = |place: i64| values.get(usize::try_from(place).ok()?).copied();
            let taken = places.integers().filter(|at| at.len() <= MAX_SIZES)?.into_iter().map(take);
            Some(Numbers { values: taken.collect::<Option<_>>()?, shape: places.shape.clone() })
        }
        "REDUCE_PROD" | "SUM" | "REDUCE_MAX" | "REDUCE_MIN" => {
            let values = row(0).filter(|_| matches!(row(1).as_deref(), Some([0 | -1])))?;
            let value = match operator.name.as_str() {
                "REDUCE_PROD" => values.iter().try_fold(1i64, |all, &v| all.checked_mul(v))?,
                "SUM" => values.iter().try_fold(0i64, |all, &v| all.checked_add(v))?,
                "REDUCE_MAX" => *values.iter().max()?,
                _ => *values.iter().min()?,
            };
            let keep = node.option(false, |o| o.flag(0)).ok()?;
            Some(if keep { Numbers::row(vec![value]) } else { Numbers::one(value) })
        }
        "PACK" => {
            let parts = (0..operator.inputs.len())
                .map(|place| only(place).filter(|_| input(place).is_some_and(|t| t.shape.is_empty())));
            Some(Numbers::row(parts.collect::<Option<Vec<_>>>().filter(|v| v.len() <= MAX_SIZES)?))
        }
        "CONCATENATION" => {
            axis_of_row()?;
            let parts: Option<Vec<Vec<i64>>> = (0..operator.inputs.len()).map(row).collect();
            Some(parts?.concat()).filter(|all| all.len() <= MAX_SIZES).map(Numbers::row)
        }
        "STRIDED_SLICE" | "SLICE" => {
            let values = row(0).filter(|_| input(0).is_some_and(|t| t.shape.len() == 1))?;
            let limits = [row(1)?, row(2)?, row(3).unwrap_or_default()];
            let (places, single) = slices::of_row(node, values.len() as i64, limits)?;
            let take = |at: i64| values.get(usize::try_from(at).ok()?).copied();
            let taken: Vec<i64> = places.into_iter().map(take).collect::<Option<_>>()?;
            Some(if single { Numbers::one(*taken.first()?) } else { Numbers::row(taken) })
        }
        "CAST" => Some(Numbers { values: row(0)?, shape: input(0)?.shape.clone() }),
        "SQUEEZE" | "EXPAND_DIMS" | "RESHAPE" => {
            let values = row(0)?;
            match (operator.name.as_str(), row(1).unwrap_or_default().as_slice()) {
                ("SQUEEZE", _) | ("RESHAPE", []) => (values.len() == 1).then(|| Numbers::one(values[0])),
                ("RESHAPE", [1]) if values.len() == 1 => Some(Numbers::row(values)),
                ("RESHAPE", [-1]) => Some(Numbers::row(values)),
                ("EXPAND_DIMS", [0 | -1]) if input(0)?.shape.is_empty() => Some(Numbers::row(values)),
                _ => None,
            }
        }
        "ADD" | "SUB" | "MUL" | "MAXIMUM" | "MINIMUM" | "FLOOR_DIV" | "DIV" => {
            let (a, b) = (row(0)?, row(1)?);
            let shape = broadcast(&input(0)?.shape, &input(1)?.shape)?;
            let plain = !matches!(operator.name.as_str(), "ADD" | "SUB" | "MUL" | "DIV");
            if !plain && node.option(0, |o| o.u8(0)).ok()? != 0 {
                return None;
            }
            let pick = |values: &[i64], at: usize| if values.len() == 1 { values[0] } else { values[at] };
            let value = |at: usize| {
                let (a, b) = (pick(&a, at), pick(&b, at));
                match operator.name.as_str() {
                    "ADD" => a.checked_add(b),
                    "SUB" => a.checked_sub(b),
                    "MUL" => a.checked_mul(b),
                    "MAXIMUM" => Some(a.max(b)),
                    "MINIMUM" => Some(a.min(b)),
                    "FLOOR_DIV" => (b > 0).then(|| a.div_euclid(b)),
                    _ => (b != 0).then(|| a.checked_div(b)).flatten(),
                }
            };
            let count = shape.iter().product();
            Some(Numbers { values: (0..count).map(value).collect::<Option<_>>()?, shape })
        }
        _ => None,
    }
}

/// The shape of a result where the file's cannot be believed: behind a computed shape, or behind an operand whose shape was put right.
fn shape(tensors: &[Tensor<'_>], operator: &Operator<'_>, moved: &[bool]) -> Option<Vec<usize>> {
    let node = Node { operator };
    let input = |place: usize| Some(&tensors[node.optional(place)?]);
    let of = |place: usize| Some(&input(place)?.shape);
    let sizes = |place: usize| -> Option<Vec<usize>> {
        let values = input(place).filter(|t| t.len() <= MAX_SIZES)?.integers()?;
        values.into_iter().map(|v| usize::try_from(v).ok()).collect()
    };
    match operator.name.as_str() {
        "RESHAPE" => return reshaped(input(0)?.len(), &input(1)?.integers()?),
        "FILL" => return sizes(0),
        "BROADCAST_TO" => return sizes(1),
        // These make batches of windows, also of one item.
        "SPACE_TO_BATCH_ND" | "BATCH_TO_SPACE_ND" => {
            return blocks(of(0)?, &sizes(1)?, &sizes(2)?, operator.name == "SPACE_TO_BATCH_ND");
        }
        _ if !operator.inputs.iter().flatten().any(|&i| moved[i]) => return None,
        _ => {}
    }
    match operator.name.as_str() {
        name if is_elementwise(name) => of(0).cloned(),
        "SOFTMAX" | "LOG_SOFTMAX" | "L2_NORMALIZATION" | "FAKE_QUANT" | "LOGICAL_NOT" | "ZEROS_LIKE" | "CUMSUM"
        | "REVERSE_V2" => of(0).cloned(),
        "ADD" | "SUB" | "MUL" | "DIV" | "MAXIMUM" | "MINIMUM" | "POW" | "SQUARED_DIFFERENCE" | "FLOOR_DIV"
        | "FLOOR_MOD" | "EQUAL" | "NOT_EQUAL" | "LESS" | "LESS_EQUAL" | "GREATER" | "GREATER_EQUAL" | "LOGICAL_AND"
        | "LOGICAL_OR" => broadcast(of(0)?, of(1)?),
        "CONV_2D" => windowed(node, of(0)?, of(1)?.get(1..3)?, Some([4, 5]), *of(1)?.first()?),
        "DEPTHWISE_CONV_2D" => windowed(node, of(0)?, of(1)?.get(1..3)?, Some([5, 6]), *of(1)?.last()?),
        "AVERAGE_POOL_2D" | "MAX_POOL_2D" | "L2_POOL_2D" => {
            let side = |id| usize::try_from(node.option(0, |o| o.i32(id, 0)).ok()?).ok();
            windowed(node, of(0)?, &[side(4)?, side(3)?], None, *of(0)?.last()?)
        }
        "PAD" | "PADV2" | "MIRROR_PAD" => moves::padded(of(0)?, &input(1)?.integers()?),
        "RESIZE_BILINEAR" | "RESIZE_NEAREST_NEIGHBOR" => match (&of(0)?[..], &sizes(1)?[..]) {
            (&[n, _, _, c], &[h, w]) => Some(vec![n, h, w, c]),
            _ => None,
        },
        "STRIDED_SLICE" => {
            let limits = [input(1)?.integers()?, input(2)?.integers()?, input(3)?.integers()?];
            slices::shape_of(node, of(0)?, &limits)
        }
        "EXPAND_DIMS" => {
            let (mut made, at) = (of(0)?.clone(), input(1)?.integers()?);
            made.insert(axis(*at.first()?, made.len() + 1).ok()?, 1);
            Some(made)
        }
        "SELECT_V2" => broadcast(&broadcast(of(0)?, of(1)?)?, of(2)?),
        "FULLY_CONNECTED" => {
            let &[units, inner] = &of(1)?[..] else { return None };
            let keeps = node.option(false, |o| o.flag(2)).ok()?;
            let (last, around) = of(0)?.split_last()?;
            match keeps && *last == inner {
                true => Some([around, &[units]].concat()),
                false => Some(vec![input(0)?.len().checked_div(inner)?, units]),
            }
        }
        "BATCH_MATMUL" => {
            let operand = |place: usize| {
                let mut shape = of(place)?.clone();
                let rank = shape.len();
                if node.option(false, |o| o.flag(place)).ok()? && rank > 1 {
                    shape.swap(rank - 1, rank - 2);
                }
                Some(shape)
            };
            matmul::product(&operand(0)?, &operand(1)?)
        }
        "TRANSPOSE" => sizes(1)?.into_iter().map(|axis| of(0)?.get(axis).copied()).collect(),
        "MEAN" | "SUM" | "REDUCE_MAX" | "REDUCE_MIN" | "REDUCE_PROD" => {
            let rank = of(0)?.len();
            let axes: Option<Vec<usize>> = input(1)?.integers()?.into_iter().map(|a| axis(a, rank).ok()).collect();
            let (axes, keep) = (axes?, node.option(false, |o| o.flag(0)).ok()?);
            Some(reduce::remaining(of(0)?, &axes, keep))
        }
        "CONCATENATION" => {
            let mut made = of(0)?.clone();
            let along = axis(axis_option(operator).ok()?, made.len()).ok()?;
            for place in 1..operator.inputs.len() {
                made[along] = made[along].checked_add(*of(place)?.get(along)?)?;
            }
            Some(made)
        }
        _ => None,
    }
}

/// The shape that `dims`, of which one may be −1, ask for.
fn reshaped(len: usize, dims: &[i64]) -> Option<Vec<usize>> {
    let known =
        dims.iter().filter(|&&d| d != -1).try_fold(1usize, |all, &d| all.checked_mul(usize::try_from(d).ok()?))?;
    let shape: Vec<usize> = dims
        .iter()
        .map(|&d| if d == -1 { len.checked_div(known) } else { usize::try_from(d).ok() })
        .collect::<Option<_>>()?;
    let count = shape.iter().try_fold(1usize, |all, &d| all.checked_mul(d))?;
    (count == len).then_some(shape)
}

/// The shape in which each window of `blocks` of a padded tensor is an item of the batch, or the way back from there, cut.
fn blocks(shape: &[usize], blocks: &[usize], edges: &[usize], apart: bool) -> Option<Vec<usize>> {
    let (&batch, rest) = shape.split_first()?;
    let (edges, _) = edges.as_chunks::<2>();
    if rest.len() < blocks.len() || edges.len() != blocks.len() {
        return None;
    }
    let windows = blocks.iter().try_fold(1usize, |all, &b| all.checked_mul(b)).filter(|&w| w > 0)?;
    let mut made = vec![if apart { batch.checked_mul(windows)? } else { batch / windows }];
    for (place, &dim) in rest.iter().enumerate() {
        let [before, after] = edges.get(place).copied().unwrap_or_default();
        made.push(match (blocks.get(place), apart) {
            (Some(&block), true) => dim.checked_add(before)?.checked_add(after)? / block,
            (Some(&block), false) => dim.checked_mul(block)?.checked_sub(before)?.checked_sub(after)?,
            (None, _) => dim,
        });
    }
    Some(made)
}

/// The shape of windows of `kernel` over a picture; `dilations`, of columns and rows, are their places among the options.
fn windowed(
    node: Node<'_, '_>,
    shape: &[usize],
    kernel: &[usize],
    dilations: Option<[usize; 2]>,
    channels: usize,
) -> Option<Vec<usize>> {
    let &[n, h, w, _] = shape else { return None };
    let number = |id: usize, default: i32| usize::try_from(node.option(default, |o| o.i32(id, default)).ok()?).ok();
    let [across, down] = match dilations {
        Some([across, down]) => [number(across, 1)?, number(down, 1)?],
        None => [1, 1],
    };
    let same = node.option(0, |o| o.i8(0)).ok()? == 0;
    let side = |dim: usize, kernel: usize, stride: usize, dilation: usize| {
        window::places(dim, window::reach(kernel, dilation), Some(stride).filter(|s| *s > 0)?, same)
    };
    let rows = side(h, kernel[0], number(2, 0)?, down)?;
    let columns = side(w, kernel[1], number(1, 0)?, across)?;
    Some(vec![n, rows, columns, channels])
}
