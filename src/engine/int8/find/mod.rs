//! The search for partitions: parts of an ONNX graph that can be computed in integers from end to end.
//!
//! Nodes are looked at in the order in which they can be computed. Quantised tensors are followed through
//! `DequantizeLinear` ([`search`]): a float tensor that was dequantised stands for its bytes, nodes that move data move the
//! bytes, a function of one number becomes a table. A node that computes needs a `QuantizeLinear` behind it ([`epilogue`]),
//! which says how its result is rounded. What was found is then cut into [`Partition`]s that tract can run as one node each.

mod dense;
mod draw;
mod dynamic;
mod elementwise;
mod epilogue;
mod float;
mod found;
mod function;
mod matmul;
mod moves;
mod net;
mod normalize;
mod params;
mod partition;
mod pool;
mod quantize;
mod resize;
mod search;
mod splice;
#[cfg(test)]
mod tests;
mod transposed;
mod wide;

use std::collections::HashMap;

use tract_onnx::pb::GraphProto;

use self::net::{FactGraph, Try};
use self::partition::{Cut, Idle};
use self::search::{Role, Search};
use crate::onnx::{GraphView, operators};

pub use found::{Fact, Found, Partition, Verdict};
pub use splice::{PARTITION_DOMAIN, PARTITION_INDEX, PARTITION_OPERATOR, splice, spliced};

/// Most rounds of cutting before the rest is taken as it is.
const MAX_ROUNDS: usize = 64;

/// Looks for partitions in a graph whose operator set is `opset`.
///
/// `facts` tell type and shape of every tensor, and the value of constants; nodes with tensors that it does not know stay
/// in tract.
pub fn find(graph: &GraphProto, opset: i64, facts: &HashMap<String, Fact>) -> Found {
    find_as(graph, opset, facts, Idle::Drop, true)
}

/// [`find`] for integers alone, with a say in what becomes of partitions that compute nothing.
#[cfg(test)]
pub(in crate::int8) fn find_with(graph: &GraphProto, opset: i64, facts: &HashMap<String, Fact>, idle: Idle) -> Found {
    find_as(graph, opset, facts, idle, false)
}

/// [`find`], with a say in what becomes of partitions that compute nothing, and of floats.
fn find_as(graph: &GraphProto, opset: i64, facts: &HashMap<String, Fact>, idle: Idle, floats: bool) -> Found {
    let mut search = Search::new(FactGraph::new(GraphView::new(graph), opset, facts));
    for index in search.net.order.clone() {
        if search.roles[index].is_some() {
            continue;
        }
        if search.net.is_folded(index) {
            search.roles[index] = Some(Role::Folded);
        } else if let Err(why) = look_at(&mut search, index) {
            let planned = if floats { float::look_at(&mut search, index) } else { Err(String::new()) };
            match planned {
                Ok(()) => {}
                Err(float) if float.is_empty() => search.roles[index] = Some(Role::Float(why)),
                Err(float) => search.roles[index] = Some(Role::Float(format!("{why}; in floats: {float}"))),
            }
        }
    }
    cut_until_worth_it(&search, idle)
}

/// Cuts, and cuts again without the partitions that are not worth their copies, until all are.
fn cut_until_worth_it(search: &Search, idle: Idle) -> Found {
    let mut dropped = vec![false; search.items.len()];
    for round in 1.. {
        let cut = Cut::new(search, &dropped);
        let not_worth_it = cut.idle(idle);
        if not_worth_it.is_empty() || round == MAX_ROUNDS {
            return draw::found(&cut);
        }
        not_worth_it.into_iter().for_each(|item| dropped[item] = true);
    }
    Found::default()
}

/// Finds the integer form of one node and of what belongs to it.
fn look_at(search: &mut Search, index: usize) -> Try<()> {
    let node = search.net.node(index);
    if !matches!(node.domain.as_str(), "" | "ai.onnx" | "com.microsoft") {
        return Err(format!("operators of {:?} have no integer form here", node.domain));
    }
    match node.op_type.as_str() {
        "DequantizeLinear" => search.dequantize(index),
        "QuantizeLinear" => search.quantize(index).or_else(|why| search.wide(index).map_err(|_| why)),
        "DynamicQuantizeLinear" => search.dynamic(index),
        "Conv" => search.conv(index),
        "ConvTranspose" => search.conv_transpose(index),
        "MatMul" => search.matmul(index),
        "Gemm" => search.gemm(index),
        "LayerNormalization" => search.row_norm(index),
        "Concat" => search.concat(index),
        "AveragePool" => search.average_pool(index),
        "GlobalAveragePool" => search.global_average(index),
        "ReduceMean" => search.reduce_mean(index),
        "Softmax" => search.softmax(index),
        "BatchNormalization" => search.affine(index),
        "Clip" => search.clip(index),
        "Resize" | "Upsample" if !operators::is_nearest(node) => search.resize_linear(index),
        _ if operators::moves(node) => search.movement(index),
        op => match (function::unary(node)?, function::binary(op)) {
            (Some(function), _) => search.unary(index, &*function),
            (None, Some(function)) => search.binary(index, function),
            (None, None) => Err(format!("{op} has no integer form here")),
        },
    }
}
