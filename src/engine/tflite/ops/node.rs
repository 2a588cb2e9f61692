//! One operator of the file, with checked ways to its parts, and the moves that many operators are.

use std::collections::HashSet;

use tract_onnx::pb::tensor_proto::DataType;

use super::super::graph::Operator;
use super::super::layout::Layout;
use super::super::reader::{Read, Table};
use super::super::schema::Activation;
use super::super::write::{Try, Writer};
use crate::onnx::build::NodeBuilder;

/// Number of the type of 64-bit integers, for casts.
pub const INT64: i64 = DataType::Int64 as i64;

/// An operator with checked ways to its parts.
#[derive(Clone, Copy)]
pub struct Node<'o, 'a> {
    pub operator: &'o Operator<'a>,
}

impl<'o, 'a> Node<'o, 'a> {
    /// An operand that must be there.
    pub fn input(&self, place: usize) -> Try<usize> {
        self.optional(place).ok_or_else(|| format!("its operand {place} is missing"))
    }

    /// An operand that may be left out.
    pub fn optional(&self, place: usize) -> Option<usize> {
        self.operator.inputs.get(place).copied().flatten()
    }

    /// The only result.
    pub fn output(&self) -> Try<usize> {
        match self.operator.outputs[..] {
            [output] => Ok(output),
            _ => Err(format!("it has {} results, expected was one", self.operator.outputs.len())),
        }
    }

    /// Something from its options; `default` where it has none.
    pub fn option<T>(&self, default: T, read: impl FnOnce(Table<'a>) -> Read<T>) -> Try<T> {
        self.operator.options.map_or(Ok(default), read).map_err(|broken| format!("its options: {broken}"))
    }

    /// The activation in field `id` of its options.
    pub fn activation(&self, id: usize) -> Try<Activation> {
        Activation::of(self.option(0, |o| o.u8(id))?)
    }
}

/// True if bytes of one tensor mean the same in the other, so that they can be moved as they are.
pub fn same_bytes(w: &Writer<'_, '_>, from: usize, to: usize) -> bool {
    let (from, to) = (w.tensor(from), w.tensor(to));
    from.kind == to.kind && (!from.kind.is_quantised() || from.quant == to.quant)
}

/// Moves `from` to `to` by the nodes that `steps` makes of a name: as it is stored where both mean the same, else as reals.
pub fn moved(
    w: &mut Writer<'_, '_>,
    from: usize,
    to: usize,
    layout: Layout,
    steps: impl FnOnce(&str) -> Vec<NodeBuilder>,
) -> Try<()> {
    if same_bytes(w, from, to) {
        let name = w.stored(from, layout)?;
        return w.row(to, layout, steps(&name));
    }
    let name = w.real(from, layout)?;
    w.compute(to, layout, steps(&name))
}

/// True for an operator that is a function of each element of its first operand.
pub fn is_elementwise(name: &str) -> bool {
    matches!(
        name,
        "RELU"
            | "RELU6"
            | "RELU_N1_TO_1"
            | "RELU_0_TO_1"
            | "LOGISTIC"
            | "TANH"
            | "HARD_SWISH"
            | "EXP"
            | "LOG"
            | "SQRT"
            | "RSQRT"
            | "SIN"
            | "COS"
            | "ELU"
            | "FLOOR"
            | "CEIL"
            | "ROUND"
            | "ABS"
            | "NEG"
            | "SIGN"
            | "SQUARE"
            | "GELU"
            | "LEAKY_RELU"
            | "PRELU"
            | "QUANTIZE"
            | "DEQUANTIZE"
            | "CAST"
    )
}

/// The operands of an operator that it computes from; others only repeat shapes that the file tells.
pub fn reads<'o>(operator: &'o Operator<'_>) -> &'o [Option<usize>] {
    match operator.name.as_str() {
        "RESHAPE"
        | "SQUEEZE"
        | "EXPAND_DIMS"
        | "RESIZE_BILINEAR"
        | "RESIZE_NEAREST_NEIGHBOR"
        | "BROADCAST_TO"
        | "TILE"
        | "TOPK_V2" => operator.inputs.get(..1).unwrap_or_default(),
        "FILL" | "TRANSPOSE_CONV" => operator.inputs.get(1..).unwrap_or_default(),
        "SHAPE" | "RANK" | "ZEROS_LIKE" => &[],
        _ => &operator.inputs,
    }
}

/// Fails where operand `place`, a shape that the file tells of the result too, is computed from what a model is given: the file then
/// tells only what it was once.
pub fn told(w: &Writer<'_, '_>, node: Node<'_, '_>, place: usize) -> Try<()> {
    let mut left: Vec<usize> = node.optional(place).into_iter().collect();
    let mut seen = HashSet::new();
    while let Some(index) = left.pop() {
        if w.tensor(index).data.is_some() || !seen.insert(index) {
            continue;
        }
        let Some(maker) = w.net.operators.iter().find(|o| o.outputs.contains(&index)) else {
            return Err(format!("its operand {place} depends on the values of {:?}", w.tensor(index).name));
        };
        if !matches!(maker.name.as_str(), "SHAPE" | "RANK") {
            left.extend(maker.inputs.iter().flatten());
        }
    }
    Ok(())
}
