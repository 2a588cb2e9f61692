//! The search for islands: parts of an ONNX graph that can be computed in integers from end to end.
//!
//! Nodes are looked at in the order in which they can be computed. Quantised tensors are followed through
//! `DequantizeLinear` ([`flow`]): a float tensor that was dequantised stands for its bytes, nodes that move data move the
//! bytes, a function of one number becomes a table. A node that computes needs a `QuantizeLinear` behind it ([`tail`]),
//! which says how its result is rounded. What was found is then cut into [`Island`]s that tract can run as one node each.

pub(super) mod constants;
mod cut;
mod dense;
mod draw;
mod elementwise;
mod flow;
mod function;
mod moves;
mod net;
mod params;
mod pool;
mod resize;
mod splice;
mod tail;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use tract_onnx::pb::{GraphProto, TensorProto};
use tract_onnx::prelude::{DatumType, Tensor};

use self::flow::{Role, Search};
use self::net::{Net, Try};
use super::graph::Graph;

pub use splice::{ISLAND_DOMAIN, ISLAND_INDEX, ISLAND_OPERATOR, splice, spliced};

/// What is known of a tensor of the graph before anything runs.
#[derive(Clone, Debug)]
pub struct Fact {
    /// Element type.
    pub dtype: DatumType,
    /// Shape.
    pub shape: Vec<usize>,
    /// Value, if it is a constant.
    pub value: Option<Arc<Tensor>>,
}

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// None of them depends on itself through the rest of the graph.
    pub islands: Vec<Island>,
    /// One for each ONNX node.
    pub verdicts: Vec<Verdict>,
}

/// A part of the graph in integers.
#[derive(Clone, Debug, Default)]
pub struct Island {
    /// What it computes.
    pub graph: Graph,
    /// Indices of the ONNX nodes that it replaces.
    pub nodes: Vec<usize>,
    /// Indices of ONNX nodes that asked for shapes only, which `constants` replace.
    pub asking: Vec<usize>,
    /// What those found.
    pub constants: Vec<TensorProto>,
}

/// Where an ONNX node is computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// In integers.
    Integer {
        /// Index of the island that it is part of.
        island: usize,
    },
    /// In tract.
    Float {
        /// Why.
        why: String,
    },
    /// Once, at load.
    Folded,
}

/// Looks for islands in a graph whose operator set is `opset`.
///
/// `facts` tell type and shape of every tensor, and the value of constants; nodes with tensors that it does not know stay
/// in tract.
pub fn find(graph: &GraphProto, opset: i64, facts: &HashMap<String, Fact>) -> Found {
    find_with(graph, opset, facts, Idle::Drop)
}

/// What becomes of islands that only move bytes or look them up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::int8) enum Idle {
    /// They stay in tract: not worth their copies.
    Drop,
    /// They are islands like others, so that tests can run every operator by itself.
    #[cfg(test)]
    Keep,
}

/// [`find`], with a say in what becomes of islands that compute nothing.
pub(in crate::int8) fn find_with(graph: &GraphProto, opset: i64, facts: &HashMap<String, Fact>, idle: Idle) -> Found {
    let mut search = Search::new(Net::new(graph, opset, facts));
    for index in search.net.order.clone() {
        if search.roles[index].is_some() {
            continue;
        }
        if search.net.is_folded(index) {
            search.roles[index] = Some(Role::Folded);
        } else if let Err(why) = look_at(&mut search, index) {
            search.roles[index] = Some(Role::Float(why));
        }
    }
    cut::islands(search, idle)
}

/// Finds the integer form of one node and of what belongs to it.
fn look_at(search: &mut Search, index: usize) -> Try<()> {
    let node = search.net.node(index);
    if !matches!(node.domain.as_str(), "" | "ai.onnx" | "com.microsoft") {
        return Err(format!("operators of {:?} have no integer form here", node.domain));
    }
    match node.op_type.as_str() {
        "DequantizeLinear" => search.dequantize(index),
        "QuantizeLinear" => search.quantize(index),
        "Conv" => search.conv(index),
        "MatMul" => search.matmul(index),
        "Gemm" => search.gemm(index),
        "Concat" => search.concat(index),
        "AveragePool" => search.average_pool(index),
        "GlobalAveragePool" => search.global_average(index),
        "ReduceMean" => search.reduce_mean(index),
        "Softmax" => search.softmax(index),
        "BatchNormalization" => search.affine(index),
        "Clip" => search.clip(index),
        "Resize" | "Upsample" if !resize::is_nearest(node) => search.resize_linear(index),
        op if moves::is_movement(op) => search.movement(index),
        op => match (function::unary(node)?, function::binary(op)) {
            (Some(function), _) => search.unary(index, &*function),
            (None, Some(function)) => search.binary(index, function),
            (None, None) => Err(format!("{op} has no integer form here")),
        },
    }
}
