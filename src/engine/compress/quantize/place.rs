//! Which nodes of a graph compute on bytes, and which tensors between them are rounded to bytes.
//!
//! A node is quantised where a layer with weights is still to come behind it, so that what follows the last layer (boxes decoded,
//! distributions read out, scores) stays in floats. Element-wise nodes that together are a function of one tensor (`x·σ(x)`, a
//! `HardSwish` in pieces) form one region: only what goes into it and what leaves it is rounded.

use std::collections::{HashMap, HashSet};

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::DatumType;

use super::super::run::TensorFact;
use super::weights::axis_of;
use crate::onnx::{GraphView, node};

/// Work of a node, as far as it matters for rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A product with constant weights.
    Layer,
    /// A product of two activations.
    Product,
    /// A function of single elements of one or two tensors.
    Elementwise,
    /// The same elements elsewhere, or the greatest of several.
    Move,
    /// A mean, a mixture, a distribution, several tensors joined.
    Mixture,
    /// Anything else: floats.
    Other,
}

/// Places of bytes in a graph.
#[derive(Clone, Debug, Default)]
pub struct Placement {
    /// Role of each node that computes on bytes; [`Role::Other`] for those in floats.
    pub roles: Vec<Role>,
    /// Tensors that are rounded to bytes, in the order in which they are computed.
    pub rounded: Vec<String>,
    /// Tensor whose elements a rounded tensor's are, where both share one range.
    pub same_as: HashMap<String, String>,
    /// Input of a region by each tensor that is computed in it.
    pub roots: HashMap<String, String>,
    /// Reasons why a layer stays in floats, by node name.
    pub floats: HashMap<String, String>,
}

impl Placement {
    /// Indices of the layers that compute on bytes, in the order of the graph.
    pub fn layers(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.roles.len()).filter(|&index| self.roles[index] == Role::Layer)
    }

    /// The tensor whose range a rounded tensor has.
    pub fn range_of<'n>(&'n self, name: &'n str) -> &'n str {
        let mut name = name;
        while let Some(next) = self.same_as.get(name) {
            name = next;
        }
        name
    }

    /// Outputs of the region that begins at `root`, of those that are rounded.
    pub fn functions_of(&self, root: &str) -> Vec<String> {
        (self.rounded.iter()).filter(|name| self.roots.get(*name).is_some_and(|r| r == root)).cloned().collect()
    }
}

/// Decides which nodes compute on bytes. `keep_float` names nodes that do not.
pub fn place(view: &GraphView<'_>, facts: &HashMap<String, TensorFact>, keep_float: &HashSet<String>) -> Placement {
    let order = view.order();
    let mut search = Search { view, facts, placement: Placement::default() };
    search.placement.roles = vec![Role::Other; view.graph().node.len()];
    let ahead = search.ahead(&order);
    for &index in &order {
        let node = view.node(index);
        let mut role = search.role(node);
        if role == Role::Layer && keep_float.contains(&node.name) {
            search.placement.floats.insert(node.name.clone(), "kept in floats".into());
            role = Role::Other;
        }
        let wanted = role != Role::Other && ahead[index] && !keep_float.contains(&node.name);
        if wanted && search.fits(node, role) {
            search.placement.roles[index] = role;
        }
        search.root(index);
    }
    search.prune_moves(&order);
    search.rounded(&order);
    search.placement
}

struct Search<'v> {
    view: &'v GraphView<'v>,
    facts: &'v HashMap<String, TensorFact>,
    placement: Placement,
}

impl Search<'_> {
    /// For each node: a layer with weights is itself or can be reached from it.
    fn ahead(&self, order: &[usize]) -> Vec<bool> {
        let mut ahead = vec![false; order.len().max(self.view.graph().node.len())];
        for &index in order.iter().rev() {
            let node = self.view.node(index);
            let behind = node::outputs(node).any(|name| self.view.consumers(name).iter().any(|&next| ahead[next]));
            ahead[index] = behind || (self.role(node) == Role::Layer && !self.reads_out(node));
        }
        ahead
    }

    /// Test for a layer that reads a distribution out: the expected value of a softmax, as decoders of boxes have it.
    fn reads_out(&self, node: &NodeProto) -> bool {
        let outputs = self.facts.get(node.output.first().map_or("", String::as_str));
        let one = |shape: &Vec<usize>| shape.get(1) == Some(&1);
        let Some(mut name) = node::input(node, 0) else { return false };
        if !outputs.and_then(|fact| fact.shape.as_ref()).is_some_and(one) {
            return false;
        }
        while let Some(producer) = self.view.producer(name) {
            let maker = self.view.node(producer);
            match (maker.op_type.as_str(), self.role(maker), node::input(maker, 0)) {
                ("Softmax", ..) => return true,
                (_, Role::Move, Some(from)) => name = from,
                _ => return false,
            }
        }
        false
    }

    fn role(&self, node: &NodeProto) -> Role {
        if !(node.domain.is_empty() || node.domain == "ai.onnx") || node.attribute.iter().any(|a| a.g.is_some()) {
            return Role::Other;
        }
        match node.op_type.as_str() {
            "Conv" if self.has_constant(node, 1) => Role::Layer,
            // Outputs of several groups share the rows of their weights.
            "ConvTranspose" if node::int(node, "group", 1) == Ok(1) && self.has_constant(node, 1) => Role::Layer,
            "Gemm" if self.has_constant(node, 1) && super::super::fold::output_axis(node).is_some() => Role::Layer,
            "MatMul" if self.has_constant(node, 1) && self.rank(&node.input[1]) == Some(2) => Role::Layer,
            "MatMul" if node::inputs(node).all(|name| !self.is_constant(name)) => Role::Product,
            "Add" | "Sub" | "Mul" | "Min" | "Max" if node.input.len() == 2 => Role::Elementwise,
            "Div" if node.input.len() == 2 && self.is_constant(&node.input[1]) => Role::Elementwise,
            "Clip" if node::inputs(node).skip(1).all(|name| self.is_constant(name)) => Role::Elementwise,
            "Relu" | "Sigmoid" | "HardSigmoid" | "HardSwish" | "Tanh" | "LeakyRelu" | "Elu" | "Selu" | "Celu"
            | "Gelu" | "Mish" | "Softplus" | "Softsign" | "Erf" | "Abs" | "Neg" | "Swish" => Role::Elementwise,
            "PRelu" => Role::Mixture,
            "Reshape" | "Flatten" | "Transpose" | "Squeeze" | "Unsqueeze" | "Slice" | "Split" | "Gather" | "Expand"
            | "DepthToSpace" | "SpaceToDepth" | "MaxPool" | "GlobalMaxPool" | "Tile" => Role::Move,
            "Pad" if node::text(node, "mode", "constant") == Ok("constant") => match node::input(node, 2) {
                Some(value) if self.view.scalar(value) != Some(0.0) => Role::Other,
                _ => Role::Move,
            },
            "Pad" => Role::Move,
            "Resize" | "Upsample" if node::text(node, "mode", "nearest") == Ok("nearest") => Role::Move,
            "Resize" | "Upsample" | "Concat" | "AveragePool" | "GlobalAveragePool" | "Softmax" => Role::Mixture,
            "ReduceMean" if self.is_picture(node) && !self.feeds_difference(node) => Role::Mixture,
            _ => Role::Other,
        }
    }

    fn has_constant(&self, node: &NodeProto, index: usize) -> bool {
        let float = |name: &str| self.view.initializer(name).is_some_and(|t| t.data_type == 1);
        let weights = node::input(node, index).filter(|name| float(name)).and_then(|name| self.view.initializer(name));
        let Some(outputs) = weights.and_then(|weights| weights.dims.get(axis_of(node)).copied()) else { return false };
        // One for each output, or one for all; a Gemm may have others.
        let is_bias = |name: &str| {
            let dims = self.view.initializer(name).map_or(&[][..], |tensor| &tensor.dims[..]);
            let count: i64 = dims.iter().product();
            float(name) && (count == 1 || (count == outputs && dims.last() == Some(&outputs)))
        };
        node::input(node, 0).is_some_and(|x| !self.is_constant(x)) && node::input(node, 2).is_none_or(is_bias)
    }

    fn is_constant(&self, name: &str) -> bool {
        self.view.initializer(name).is_some()
    }

    fn rank(&self, name: &str) -> Option<usize> {
        let known = self.view.initializer(name).map(|tensor| tensor.dims.len());
        known.or_else(|| Some(self.facts.get(name)?.shape.as_ref()?.len()))
    }

    fn is_picture(&self, node: &NodeProto) -> bool {
        node::input(node, 0).and_then(|name| self.rank(name)) == Some(4)
    }

    /// Test for the mean of a normalisation: somebody subtracts it.
    fn feeds_difference(&self, node: &NodeProto) -> bool {
        let readers = node::outputs(node).flat_map(|name| self.view.consumers(name));
        readers.into_iter().any(|&reader| matches!(self.view.node(reader).op_type.as_str(), "Sub" | "Pow"))
    }

    fn is_float(&self, name: &str) -> bool {
        self.facts.get(name).is_some_and(|fact| fact.dtype == Some(DatumType::F32) && fact.shape.is_some())
    }

    /// Activations among the inputs that a node of this role computes on.
    fn operands<'n>(&self, node: &'n NodeProto, role: Role) -> Vec<&'n str> {
        let count = match role {
            Role::Layer | Role::Move => 1,
            Role::Mixture if node.op_type != "Concat" => 1,
            _ => usize::MAX,
        };
        let clip = node.op_type == "Clip";
        let inputs = node::inputs(node).take(if clip { 1 } else { count });
        inputs.filter(|name| !self.is_constant(name)).collect()
    }

    /// Test for a node whose operands come as bytes, or can.
    fn fits(&self, node: &NodeProto, role: Role) -> bool {
        let operands = self.operands(node, role);
        let typed = !operands.is_empty()
            && operands.iter().all(|name| self.is_float(name))
            && node.output.first().is_some_and(|name| self.is_float(name));
        let outputs = role == Role::Move || node::outputs(node).count() == 1;
        typed && outputs && (role == Role::Layer || operands.iter().all(|name| self.comes_as_bytes(name, role)))
    }

    fn comes_as_bytes(&self, name: &str, role: Role) -> bool {
        match self.view.producer(name) {
            Some(producer) => self.placement.roles[producer] != Role::Other,
            None => role == Role::Move,
        }
    }

    /// Writes down the region that a node belongs to.
    fn root(&mut self, index: usize) {
        let node = self.view.node(index);
        if self.placement.roles[index] != Role::Elementwise {
            return;
        }
        // What a product takes over is its own result.
        if self.operands(node, Role::Elementwise).into_iter().any(|name| self.is_taken_over(name)) {
            return;
        }
        let single = |name: &str| self.view.initializer(name).is_none_or(|t| t.dims.iter().product::<i64>() == 1);
        let root = |name: &str| self.placement.roots.get(name).map_or(name, String::as_str).to_owned();
        let roots: HashSet<String> = self.operands(node, Role::Elementwise).into_iter().map(root).collect();
        if roots.len() == 1 && node::inputs(node).all(single) {
            self.placement.roots.extend(roots.into_iter().map(|root| (node.output[0].clone(), root)));
        }
    }

    /// Puts moves back in floats that no quantised node reads: they would only round.
    fn prune_moves(&mut self, order: &[usize]) {
        for &index in order.iter().rev() {
            if self.placement.roles[index] != Role::Move {
                continue;
            }
            let readers = node::outputs(self.view.node(index)).flat_map(|name| self.view.consumers(name));
            if !readers.into_iter().any(|&reader| self.placement.roles[reader] != Role::Other) {
                self.placement.roles[index] = Role::Other;
            }
        }
    }

    /// Lists the tensors that quantised nodes read, but for those inside of a region and those that a node takes over unrounded.
    fn rounded(&mut self, order: &[usize]) {
        let mut wanted: HashSet<&str> = HashSet::new();
        for &index in order {
            let (node, role) = (self.view.node(index), self.placement.roles[index]);
            if role == Role::Other {
                continue;
            }
            for name in self.operands(node, role) {
                let inside = node.output.first().is_some_and(|output| {
                    let root = self.placement.roots.get(output);
                    root.is_some() && root == self.placement.roots.get(name)
                });
                if !inside && !self.is_taken_over(name) {
                    wanted.insert(name);
                }
            }
        }
        let inputs = self.view.graph().input.iter().map(|port| port.name.as_str());
        let made = order.iter().flat_map(|&index| node::outputs(self.view.node(index)));
        self.placement.rounded = inputs.chain(made).filter(|name| wanted.contains(name)).map(str::to_owned).collect();
        for &index in order {
            if self.placement.roles[index] != Role::Move {
                continue;
            }
            let node = self.view.node(index);
            for output in node::outputs(node) {
                self.placement.same_as.insert(output.to_owned(), node.input[0].clone());
            }
        }
    }

    /// Test for a tensor whose only reader is part of the node that makes it: the bound of a product or a sum, the bias behind a matrix
    /// product.
    fn is_taken_over(&self, name: &str) -> bool {
        let (Some(producer), [reader]) = (self.view.producer(name), self.view.consumers(name)) else { return false };
        if self.view.is_kept(name) || self.placement.roles[*reader] != Role::Elementwise {
            return false;
        }
        let (maker, reader) = (self.view.node(producer), self.view.node(*reader));
        let product = matches!(self.placement.roles[producer], Role::Layer | Role::Product);
        let sum = self.placement.roles[producer] == Role::Elementwise && !self.placement.roots.contains_key(name);
        match reader.op_type.as_str() {
            "Relu" | "Clip" => product || (sum && matches!(maker.op_type.as_str(), "Add" | "Sub")),
            "Add" => maker.op_type == "MatMul" && product && node::inputs(reader).any(|name| self.is_constant(name)),
            _ => false,
        }
    }
}
