//! A layer normalisation that the file spells out: `x − mean`, its square's mean, a root, a quotient, factors and terms.

use std::sync::Arc;

use tract_onnx::pb::NodeProto;

use super::super::net::Try;
use super::super::search::Search;
use crate::int8::graph::{FloatOp, Norm};
use crate::onnx::node;

/// The nodes of a normalisation while they are followed.
struct Chain<'a> {
    nodes: Vec<usize>,
    /// The last result.
    name: &'a str,
}

impl<'a> Search<'a> {
    /// The normalisation along the last axis that begins with a `ReduceMean`.
    pub(super) fn norm_behind(&mut self, index: usize) -> Try<()> {
        let other = || "it is the mean of no normalisation".to_owned();
        let mean = self.net.node(index);
        let name = node::required_input(mean, 0)?;
        let shape = self.net.shape(name)?;
        let last = shape.len().checked_sub(1).ok_or_else(other)?;
        self.is_mean(mean, last)?;
        let (sub, difference) = self.sole(node::only_output(mean)?, &["Sub"])?;
        if self.net.node(sub).input.first().map(String::as_str) != Some(name) {
            return Err(other());
        }
        // The difference is squared and divided.
        let mut readers = self.net.consumers(difference).to_vec();
        readers.dedup();
        let is = |reader: usize, ops: &[&str]| ops.contains(&self.net.node(reader).op_type.as_str());
        let square = readers.iter().copied().find(|&r| self.is_square(self.net.node(r), difference));
        let square = square.ok_or_else(other)?;
        let divide = readers.iter().copied().find(|&r| r != square && is(r, &["Div"])).ok_or_else(other)?;
        let taken = |n: usize| self.roles[n].is_some();
        if readers.len() != 2 || self.net.is_kept(difference) || taken(square) || taken(divide) {
            return Err(other());
        }
        let (variance, squares_mean) = self.sole(node::only_output(self.net.node(square))?, &["ReduceMean"])?;
        self.is_mean(self.net.node(variance), last)?;
        let (add, sum) = self.sole(squares_mean, &["Add"])?;
        let epsilon = self.net.node(add).input.iter().find(|i| *i != squares_mean);
        let epsilon = epsilon.and_then(|e| self.net.uniform(e)).ok_or_else(other)?;
        let (root, deviation) = self.sole(sum, &["Sqrt"])?;
        let (quotient, result) = self.sole(deviation, &["Div"])?;
        let operands = &self.net.node(divide).input;
        if quotient != divide || operands.len() != 2 || operands[0] != difference || operands[1] != deviation {
            return Err(other());
        }
        let mut chain = Chain { nodes: vec![sub, square, variance, add, root, divide], name: result };
        let scale = self.along(&mut chain, "Mul", &shape, last);
        let bias = self.along(&mut chain, "Add", &shape, last);
        if self.net.shape(chain.name)? != shape {
            return Err(other());
        }
        let x = self.as_floats(name)?;
        let norm = Norm { epsilon, centre: true, scale, bias };
        let mut draft = self.draft(index);
        let y = self.float_step(&mut draft, FloatOp::Norm(norm), vec![x], shape);
        self.float_finish(draft, y, chain.name, &chain.nodes, true)
    }

    /// The one node that reads `name` once, if it is of one of these types, and its result.
    fn sole(&self, name: &'a str, operators: &[&str]) -> Try<(usize, &'a str)> {
        let other = || format!("{name:?} is read otherwise");
        let (reader, node) = super::only_reader(self, name).ok_or_else(other)?;
        let output = node::only_output(node)?;
        if operators.contains(&node.op_type.as_str()) { Ok((reader, output)) } else { Err(other()) }
    }

    /// Fails for a node that is not the mean along the last axis, which stays as an axis of length 1.
    fn is_mean(&self, node: &NodeProto, last: usize) -> Try<()> {
        let axes = self.reduced_axes(node, last + 1)?;
        if axes == [last] && node::int(node, "keepdims", 1)? == 1 { Ok(()) } else { Err("it is another mean".into()) }
    }

    fn is_square(&self, node: &NodeProto, name: &str) -> bool {
        match (node.op_type.as_str(), &node.input[..]) {
            ("Pow", [x, power]) => x == name && self.net.uniform(power) == Some(2.0),
            ("Mul", [a, b]) => a == name && b == name,
            _ => false,
        }
    }

    /// A factor or term for each element of a row, if that is what comes next.
    fn along(&mut self, chain: &mut Chain<'a>, operator: &str, shape: &[usize], last: usize) -> Option<Arc<Vec<f32>>> {
        let (reader, output) = self.sole(chain.name, &[operator]).ok()?;
        let other = self.net.node(reader).input.iter().find(|i| *i != chain.name)?;
        if !self.net.is_constant(other) || self.net.shape(output).ok()? != shape {
            return None;
        }
        let values = self.per_channel(other, shape, last).ok()?;
        chain.nodes.push(reader);
        chain.name = output;
        Some(Arc::new(values.into_iter().map(|v| v as f32).collect()))
    }
}
