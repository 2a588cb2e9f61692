//! The nodes behind a computing node that become part of it: factors and terms for each channel, functions, sums with another tensor.

use std::collections::HashSet;

use super::super::epilogue::Affine;
use super::super::function;
use super::super::net::Try;
use super::super::search::{Search, View};
use super::{named, only_reader};
use crate::int8::graph::TensorId;
use crate::int8::kernels::float::{Epilogue, Function};
use crate::onnx::node;

/// Most nodes that are looked at for one function.
const MAX_NODES: usize = 12;

/// The nodes behind a product.
pub(super) struct Tail<'a> {
    /// Channel by channel, before everything else.
    pub affine: Option<Affine>,
    pub epilogue: Epilogue,
    /// A tensor that is added, of the result's shape.
    pub residual: Option<TensorId>,
    pub nodes: Vec<usize>,
    /// The name of the result.
    pub output: &'a str,
}

/// Nodes that compute a function of one tensor.
pub(super) struct Region<'a> {
    pub function: Function,
    pub nodes: Vec<usize>,
    pub output: &'a str,
}

/// A tensor whose every element is a function of that of another.
struct Made<'a> {
    name: &'a str,
    /// Its values at [`named::points`].
    values: Vec<f32>,
    /// The nodes that it takes to make it.
    nodes: HashSet<usize>,
}

impl<'a> Search<'a> {
    /// Follows the result `output` of a product as far as what is done to it can be done there; channels lie along `channel`, and `sums` says whether
    /// another tensor can be added.
    pub(super) fn tail(&mut self, output: &'a str, channel: Option<usize>, sums: bool) -> Tail<'a> {
        let mut tail = Tail { affine: None, epilogue: Epilogue::NONE, residual: None, nodes: Vec::new(), output };
        if let Some(channel) = channel {
            self.fold_channels(&mut tail, channel);
        }
        let mut function = self.absorb_function(&mut tail);
        let behind = if sums { self.sum_behind(tail.output) } else { None };
        if let Some((node, added, sum)) = behind {
            tail.nodes.push(node);
            (tail.residual, tail.output) = (Some(added), sum);
            tail.epilogue.before = std::mem::replace(&mut function, Function::Identity);
            function = self.absorb_function(&mut tail);
        }
        tail.epilogue.after = function;
        tail
    }

    fn fold_channels(&self, tail: &mut Tail<'a>, channel: usize) {
        while let Some((reader, node)) = only_reader(self, tail.output) {
            let Some(channels) = self.net.shape(tail.output).ok().and_then(|s| s.get(channel).copied()) else { return };
            let mut affine = tail.affine.clone().unwrap_or_else(|| Affine::unit(channels));
            let folded = self.fold(node, tail.output, channel, &mut affine);
            let finite = affine.factor.iter().chain(&affine.term).all(|v| v.is_finite());
            let (Ok(()), true, Ok(output)) = (folded, finite, node::only_output(node)) else { return };
            tail.affine = Some(affine);
            tail.nodes.push(reader);
            tail.output = output;
        }
    }

    fn absorb_function(&self, tail: &mut Tail<'a>) -> Function {
        let starts = self.net.consumers(tail.output);
        let region = starts.first().and_then(|&start| self.function_behind(tail.output, start, true));
        let Some(region) = region else { return Function::Identity };
        tail.nodes.extend(region.nodes);
        tail.output = region.output;
        region.function
    }

    /// A sum of `name` and another tensor of its shape that is there already.
    fn sum_behind(&mut self, name: &'a str) -> Option<(usize, TensorId, &'a str)> {
        let (reader, node) = only_reader(self, name)?;
        let [a, b] = &node.input[..] else { return None };
        let other = if a == name { b } else { a };
        let output = node::only_output(node).ok()?;
        let shape = self.net.shape(name).ok()?;
        let there = !self.net.is_constant(other) && matches!(self.views.get(other.as_str()), Some(View::Floats { .. }));
        let same = self.net.shape(other).ok()? == shape && self.net.shape(output).ok()? == shape;
        if node.op_type != "Add" || other == name || !there || !same || node::int(node, "broadcast", 0).ok()? != 0 {
            return None;
        }
        Some((reader, self.as_floats(other).ok()?, output))
    }

    /// The function of `x` that node `start` and as many nodes behind it as possible compute. `owned`: nothing else may read `x`.
    pub(super) fn function_behind(&self, x: &'a str, start: usize, owned: bool) -> Option<Region<'a>> {
        let shape = self.net.shape(x).ok()?;
        if owned && self.net.is_kept(x) {
            return None;
        }
        let mut made = vec![Made { name: x, values: named::points(), nodes: HashSet::new() }];
        let mut seen: HashSet<usize> = HashSet::new();
        let mut best = None;
        while seen.len() < MAX_NODES {
            let readers = made.iter().flat_map(|m| self.net.consumers(m.name)).copied();
            let fresh = |&reader: &usize| !seen.contains(&reader) && self.roles[reader].is_none();
            let next = readers.filter(fresh).find_map(|r| Some((r, self.evaluated(r, &made, &shape).ok()?)));
            let Some((reader, step)) = next else { break };
            seen.insert(reader);
            if step.nodes.contains(&start) && self.is_closed(&step, &made, x, owned) {
                let single = step.nodes.len() == 1;
                let function = if single { self.single(reader, x).ok().flatten() } else { None };
                if let Some(function) = function.or_else(|| named::recognised(&step.values)) {
                    let mut nodes: Vec<usize> = step.nodes.iter().copied().collect();
                    nodes.sort_unstable();
                    best = Some(Region { function, nodes, output: step.name });
                }
            }
            made.push(step);
        }
        best
    }

    /// Evaluates a node whose operands are functions already.
    fn evaluated(&self, index: usize, made: &[Made<'a>], shape: &[usize]) -> Try<Made<'a>> {
        let other = || "it is no function of one tensor".to_owned();
        let node = self.net.node(index);
        let name = node::only_output(node)?;
        if self.net.shape(name)? != shape || node::int(node, "broadcast", 0)? != 0 {
            return Err(other());
        }
        let find = |name: &str| made.iter().find(|m| m.name == name);
        let first = node::required_input(node, 0)?;
        if node.op_type == "Clip" {
            let x = find(first).ok_or_else(other)?;
            let (low, high) = self.limits(node, first)?.ok_or_else(other)?;
            let values = x.values.iter().map(|v| v.max(low).min(high)).collect();
            return Ok(Made { name, values, nodes: with(index, [x]) });
        }
        if let Some(f) = function::unary(node)? {
            let x = find(first).filter(|_| node.input.len() == 1).ok_or_else(other)?;
            return Ok(Made { name, values: x.values.iter().map(|&v| f(v)).collect(), nodes: with(index, [x]) });
        }
        let (Some(f), [a, b]) = (function::binary(&node.op_type), &node.input[..]) else { return Err(other()) };
        let uniform = |name: &str| self.net.uniform(name).filter(|_| self.net.is_constant(name));
        match (find(a), find(b)) {
            (Some(x), Some(y)) => {
                let values = x.values.iter().zip(&y.values).map(|(&x, &y)| f(x, y)).collect();
                Ok(Made { name, values, nodes: with(index, [x, y]) })
            }
            (Some(x), None) => {
                let b = uniform(b).ok_or_else(other)?;
                Ok(Made { name, values: x.values.iter().map(|&x| f(x, b)).collect(), nodes: with(index, [x]) })
            }
            (None, Some(y)) => {
                let a = uniform(a).ok_or_else(other)?;
                Ok(Made { name, values: y.values.iter().map(|&y| f(a, y)).collect(), nodes: with(index, [y]) })
            }
            (None, None) => Err(other()),
        }
    }

    /// Test for a result all of whose nodes' other results are read by these nodes alone.
    fn is_closed(&self, step: &Made<'a>, made: &[Made<'a>], x: &str, owned: bool) -> bool {
        let inside = |name: &str| {
            !self.net.is_kept(name) && self.net.consumers(name).iter().all(|reader| step.nodes.contains(reader))
        };
        let is_part = |m: &&Made| m.nodes.is_subset(&step.nodes) && m.name != x && m.name != step.name;
        made.iter().filter(is_part).all(|m| inside(m.name)) && (!owned || inside(x))
    }

    /// The function of `x` that one node computes, as its attributes and constants say.
    fn single(&self, index: usize, x: &str) -> Try<Option<Function>> {
        let node = self.net.node(index);
        if let Some(function) = named::named(node)? {
            return Ok(Some(function));
        }
        if let Some((low, high)) = self.limits(node, x)? {
            return Ok((low <= high).then_some(Function::Clip(low, high)));
        }
        let [a, b] = &node.input[..] else { return Ok(None) };
        let first = a == x;
        let Some(c) = self.net.uniform(if first { b } else { a }) else { return Ok(None) };
        Ok(match (node.op_type.as_str(), first) {
            ("Add" | "Sum", _) => Some(Function::Affine(1.0, c)),
            ("Sub", true) => Some(Function::Affine(1.0, -c)),
            ("Sub", false) => Some(Function::Affine(-1.0, c)),
            ("Mul", _) => Some(Function::Affine(c, 0.0)),
            ("Div", true) if (1.0 / c).is_normal() => Some(Function::Affine(1.0 / c, 0.0)),
            ("Pow", true) => Some(Function::power(c)),
            ("PRelu", true) => Some(Function::LeakyRelu(c)),
            _ => None,
        })
    }
}

/// The nodes that an operator on these takes.
fn with<const N: usize>(index: usize, operands: [&Made; N]) -> HashSet<usize> {
    operands.iter().flat_map(|m| &m.nodes).copied().chain([index]).collect()
}
