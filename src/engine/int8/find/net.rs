//! A graph with the shapes, types and constants that tract found in it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tract_onnx::pb::{NodeProto, TensorProto};
use tract_onnx::prelude::{DatumType, Tensor};

use super::found::Fact;
use crate::onnx::operators::{self, Effect};
use crate::onnx::{GraphView, node, tensor};

/// A result, or the reason why a node stays in floats.
pub(super) type Try<T> = Result<T, String>;

/// Most values of a constant that is looked at for being the same everywhere.
pub(super) const MAX_UNIFORM_VALUES: usize = 1 << 16;

/// An indexed graph with facts.
pub(super) struct FactGraph<'a> {
    /// Operator set of the file.
    pub opset: i64,
    /// Indices of nodes, producers before consumers.
    pub order: Vec<usize>,
    view: GraphView<'a>,
    facts: &'a HashMap<String, Fact>,
    /// Constants missing from `facts`, since tract keeps equal ones once.
    own: HashMap<&'a str, Fact>,
    constant: HashSet<&'a str>,
    /// Nodes with known results although their operands are not known: they ask for shapes. They count as consumers of nothing.
    asking: HashSet<usize>,
}

impl<'a> FactGraph<'a> {
    /// Indexes a graph.
    pub fn new(view: GraphView<'a>, opset: i64, facts: &'a HashMap<String, Fact>) -> Self {
        let graph = view.graph();
        let own = unknown_constants(&view, facts);
        let mut constant: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
        constant.extend(own.keys().copied());
        constant.extend(facts.iter().filter(|(_, fact)| fact.value.is_some()).map(|(name, _)| name.as_str()));
        let order = view.order();
        for &index in &order {
            let node = &graph.node[index];
            let pure = !node.input.is_empty() && operators::effect(&node.op_type) != Effect::Random;
            let known = pure && node::inputs(node).all(|input| constant.contains(input));
            if known || node.op_type == "Constant" {
                constant.extend(node::outputs(node));
            }
        }
        let mut net = FactGraph { opset, order, view, facts, own, constant, asking: HashSet::new() };
        for (index, node) in graph.node.iter().enumerate() {
            let depends = node::inputs(node).any(|input| !net.is_constant(input));
            let kept = node.output.iter().any(|output| net.is_kept(output));
            if depends && !kept && net.is_folded(index) && net.values_of(index).is_some() {
                net.asking.insert(index);
                net.view.forget_consumer(index);
            }
        }
        net
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.view.graph().node.len()
    }

    /// Node `index`.
    pub fn node(&self, index: usize) -> &'a NodeProto {
        self.view.node(index)
    }

    /// Test for a node whose outputs are all computed once, at load.
    pub fn is_folded(&self, index: usize) -> bool {
        let outputs = &self.node(index).output;
        !outputs.is_empty() && outputs.iter().all(|o| o.is_empty() || self.is_constant(o))
    }

    /// Test for a node with known results although its operands are not known.
    pub fn is_asking(&self, index: usize) -> bool {
        self.asking.contains(&index)
    }

    /// The outputs of a node as constants of a file, if all are known.
    pub fn values_of(&self, index: usize) -> Option<Vec<TensorProto>> {
        let outputs = node::outputs(self.node(index));
        outputs.map(|name| tensor::write(name, self.facts.get(name)?.value.as_deref()?)).collect()
    }

    /// Test for a tensor that depends on no input.
    pub fn is_constant(&self, name: &str) -> bool {
        self.constant.contains(name)
    }

    /// Test for an output of the graph or a name that a branch or loop reads.
    pub fn is_kept(&self, name: &str) -> bool {
        self.view.is_kept(name)
    }

    /// The node that computes a tensor.
    pub fn producer(&self, name: &str) -> Option<usize> {
        self.view.producer(name)
    }

    /// The nodes that read a tensor, once for every input that it is.
    pub fn consumers(&self, name: &str) -> &[usize] {
        self.view.consumers(name)
    }

    /// Type, shape and value of a tensor.
    pub fn fact(&self, name: &str) -> Try<&Fact> {
        self.own
            .get(name)
            .or_else(|| self.facts.get(name))
            .ok_or_else(|| format!("nothing is known of tensor {name:?}"))
    }

    /// Shape of a tensor, no dimension of which is 0.
    pub fn shape(&self, name: &str) -> Try<Vec<usize>> {
        let shape = &self.fact(name)?.shape;
        let count = shape.iter().try_fold(1usize, |acc, &d| acc.checked_mul(d));
        if count.is_none_or(|c| c == 0 || c > isize::MAX as usize) {
            return Err(format!("tensor {name:?} is empty or too large"));
        }
        Ok(shape.clone())
    }

    /// Element type of a tensor.
    pub fn dtype(&self, name: &str) -> Option<DatumType> {
        self.fact(name).ok().map(|f| f.dtype)
    }

    /// The value of a constant.
    pub fn value(&self, name: &str) -> Try<&Tensor> {
        let value = self.fact(name)?.value.as_deref();
        value.ok_or_else(|| format!("tensor {name:?} is not a constant"))
    }

    /// The values of a constant of floats or integers, as floats.
    pub fn floats(&self, name: &str) -> Try<Vec<f32>> {
        Ok(tensor::floats(self.value(name)?)?)
    }

    /// The values of a constant of integers.
    pub fn ints(&self, name: &str) -> Try<Vec<i64>> {
        Ok(tensor::ints(self.value(name)?)?)
    }

    /// The values of a constant of integers of up to 16 or 32 bits.
    pub fn integers<T: From<i8> + From<u8> + TryFrom<i32>>(&self, name: &str) -> Try<Vec<T>> {
        Ok(tensor::integers(self.value(name)?)?)
    }

    /// Integers that newer versions of an operator take as input `index` and older ones as an attribute.
    pub fn ints_at(&self, node: &NodeProto, index: usize, attribute: &str) -> Try<Option<Vec<i64>>> {
        match node::input(node, index) {
            Some(name) => self.ints(name).map(Some),
            None => Ok(node::ints(node, attribute)?.map(<[i64]>::to_vec)),
        }
    }

    /// Fails where an input behind the first is not a constant.
    pub fn check_parameters(&self, node: &NodeProto) -> Try<()> {
        match node.input.iter().skip(1).find(|name| !name.is_empty() && !self.is_constant(name)) {
            Some(name) => Err(format!("its input {name:?} is not a constant")),
            None => Ok(()),
        }
    }

    /// The only value of a constant that is the same everywhere.
    pub fn uniform(&self, name: &str) -> Option<f32> {
        if self.fact(name).ok()?.value.as_ref()?.len() > MAX_UNIFORM_VALUES {
            return None;
        }
        let values = self.floats(name).ok()?;
        let (first, rest) = values.split_first()?;
        rest.iter().all(|v| v == first).then_some(*first)
    }
}

/// Constants of the file whose value `facts` does not have.
fn unknown_constants<'a>(view: &GraphView<'a>, facts: &HashMap<String, Fact>) -> HashMap<&'a str, Fact> {
    let missing = |name: &str| facts.get(name).is_none_or(|f| f.value.is_none());
    let graph = view.graph();
    let initializers = graph.initializer.iter().filter(|t| missing(&t.name));
    let initializers = initializers.filter_map(|t| Some((t.name.as_str(), tensor::read(t)?)));
    let nodes = graph.node.iter().filter_map(|node| {
        let name = node.output.first().filter(|name| missing(name))?;
        Some((name.as_str(), tensor::of_node(node)?))
    });
    let fact = |(name, tensor): (&'a str, Tensor)| {
        let fact = Fact { dtype: tensor.datum_type(), shape: tensor.shape().to_vec(), value: Some(Arc::new(tensor)) };
        (name, fact)
    };
    initializers.chain(nodes).map(fact).collect()
}
