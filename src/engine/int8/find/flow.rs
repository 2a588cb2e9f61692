//! What is known while nodes are looked at one after the other: quantised tensors, the names that stand for them in the
//! file, and the integer operators found so far.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::DatumType;

use super::moves;
use super::net::{self, Net, Try};
use super::params::{self, Params, Stored};
use super::tail::Tail;
use crate::int8::graph::{Node, Op, Quant, Tensor, TensorId};

/// Most values of constants that are taken in, over all operators that read them.
const MAX_VALUES: usize = 1 << 30;

/// A function of one byte, as a real for each of the 256.
pub(super) type Table = Arc<[f32; 256]>;

/// What a name in the file stands for.
#[derive(Clone)]
pub(super) enum View {
    /// The bytes of a tensor, with 128 added where they are unsigned.
    Bytes { tensor: TensorId, unsigned: bool },
    /// The reals that the bytes stand for.
    Real { tensor: TensorId },
    /// A function of them, element by element.
    Function { tensor: TensorId, table: Table },
}

impl View {
    /// The tensor behind it.
    pub fn tensor(&self) -> TensorId {
        match self {
            View::Bytes { tensor, .. } | View::Real { tensor } | View::Function { tensor, .. } => *tensor,
        }
    }
}

/// Where a tensor's bytes come from.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    /// An item.
    Item(usize),
    /// Bytes that exist outside under a name.
    Outside { name: &'a str, unsigned: bool },
    /// Floats from outside that node `node` quantises to `bytes`.
    Quantised { floats: &'a str, node: usize, bytes: &'a str, unsigned: bool },
    /// Floats from outside, quantised on the way in.
    Floats { name: &'a str },
    /// A constant.
    Constant,
}

/// A quantised tensor.
pub(super) struct Flowing<'a> {
    pub tensor: Tensor,
    pub origin: Origin<'a>,
    /// The name in the file under which its item makes it.
    pub name: Option<&'a str>,
}

/// A few nodes of the file as a few integer operators.
pub(super) struct Item {
    /// The node of the file at which all operands are there.
    pub head: usize,
    pub steps: Vec<Node>,
    /// Whether it does more than move bytes or look them up.
    pub computes: bool,
}

/// What becomes of a node of the file.
pub(super) enum Role {
    /// Computed at load.
    Folded,
    /// Stays, and why.
    Float(String),
    /// Part of an item.
    Item(usize),
    /// Gives another name to a tensor, or to a function of it; goes if nobody outside needs the name.
    View,
}

/// The state of the search.
pub(super) struct Search<'a> {
    pub net: Net<'a>,
    pub tensors: Vec<Flowing<'a>>,
    pub views: HashMap<&'a str, View>,
    pub items: Vec<Item>,
    pub roles: Vec<Option<Role>>,
    /// Constants that are operands, each taken in once.
    constants: HashMap<&'a str, TensorId>,
    /// Values of constants that may still be taken in.
    allowance: usize,
}

/// What is collected for one item.
pub(super) struct Draft<'n> {
    /// Index of its head.
    pub head: usize,
    /// Name of the node that it stands for.
    pub name: &'n str,
    /// Operators so far.
    pub steps: Vec<Node>,
}

impl<'a> Search<'a> {
    /// Nothing found yet.
    pub fn new(net: Net<'a>) -> Self {
        let roles = net.graph.node.iter().map(|_| None).collect();
        Search {
            net,
            tensors: Vec::new(),
            views: HashMap::new(),
            items: Vec::new(),
            roles,
            constants: HashMap::new(),
            allowance: MAX_VALUES,
        }
    }

    /// Counts the values of a constant before they are taken in: many nodes of a file may share a large one.
    pub fn spend(&mut self, name: &str) -> Try<()> {
        let count = self.net.shape(name)?.iter().product::<usize>();
        self.allowance = self.allowance.checked_sub(count).ok_or("the model has too many weights")?;
        Ok(())
    }

    pub fn shape(&self, id: TensorId) -> &[usize] {
        &self.tensors[id].tensor.shape
    }

    pub fn quant(&self, id: TensorId) -> Quant {
        self.tensors[id].tensor.quant
    }

    /// Starts an item at node `head`.
    pub fn draft(&self, head: usize) -> Draft<'a> {
        Draft { head, name: &self.net.node(head).name, steps: Vec::new() }
    }

    /// Adds an operator to an item.
    pub fn step(
        &mut self,
        draft: &mut Draft,
        op: Op,
        inputs: Vec<TensorId>,
        shape: Vec<usize>,
        quant: Quant,
    ) -> TensorId {
        let output = self.tensors.len();
        let name = format!("{}:{}", draft.name, draft.steps.len());
        let tensor = Tensor { name, shape, quant, constant: None };
        // The right item is put in where the draft is closed: others may be made in between.
        self.tensors.push(Flowing { tensor, origin: Origin::Item(usize::MAX), name: None });
        draft.steps.push(Node { name: draft.name.to_owned(), op, inputs, output });
        output
    }

    /// The same bytes under another shape.
    pub fn reshape(&mut self, draft: &mut Draft, x: TensorId, shape: Vec<usize>) -> TensorId {
        if self.shape(x) == shape {
            return x;
        }
        let quant = self.quant(x);
        self.step(draft, Op::Reshape, vec![x], shape, quant)
    }

    /// The same bytes with axes in another order.
    pub fn transpose(&mut self, draft: &mut Draft, x: TensorId, perm: Vec<usize>) -> TensorId {
        if perm.iter().enumerate().all(|(to, from)| to == *from) {
            return x;
        }
        let shape = perm.iter().map(|&p| self.shape(x)[p]).collect();
        let quant = self.quant(x);
        self.step(draft, Op::Transpose { perm }, vec![x], shape, quant)
    }

    /// Makes `name` stand for `view`, if type and shape are what is known of it.
    fn name(&mut self, name: &'a str, view: View) -> Try<()> {
        let tensor = view.tensor();
        let dtype = match view {
            View::Bytes { unsigned: true, .. } => DatumType::U8,
            View::Bytes { unsigned: false, .. } => DatumType::I8,
            _ => DatumType::F32,
        };
        if self.net.dtype(name) != Some(dtype) || self.net.shape(name)? != self.shape(tensor) {
            return Err(format!("tensor {name:?} is not of the type and shape expected"));
        }
        let flowing = &mut self.tensors[tensor];
        if flowing.name.is_none() && matches!(flowing.origin, Origin::Item(_)) {
            flowing.name = Some(name);
            flowing.tensor.name = name.to_owned();
        }
        self.views.insert(name, view);
        Ok(())
    }

    /// Puts a draft among the items, for nodes `nodes` of the file besides its head.
    fn close(&mut self, draft: Draft, nodes: &[usize], computes: bool) {
        let item = self.items.len();
        for &node in nodes.iter().chain([&draft.head]) {
            self.roles[node] = Some(Role::Item(item));
        }
        for step in &draft.steps {
            self.tensors[step.output].origin = Origin::Item(item);
        }
        // tract resizes some pictures otherwise than ONNX says, so an island is worth it for that alone.
        let computes = computes || draft.steps.iter().any(|step| matches!(step.op, Op::Resize { .. }));
        self.items.push(Item { head: draft.head, steps: draft.steps, computes });
    }

    /// Ends an item whose result `x` is what `tail` quantises to; what `tail` moves is moved.
    pub fn finish(&mut self, mut draft: Draft<'a>, mut x: TensorId, tail: &Tail<'a>, computes: bool) -> Try<()> {
        for &index in &tail.moves {
            let node = self.net.node(index);
            let outputs = moves::apply(self, &mut draft, node, x, moves::Kind::Real)?;
            x = *outputs.first().ok_or("it makes nothing")?;
        }
        for &(name, unsigned) in &tail.outputs {
            self.name(name, View::Bytes { tensor: x, unsigned })?;
        }
        self.close(draft, &tail.nodes, computes);
        Ok(())
    }

    /// Ends an item that is one node of the file whose outputs are these tensors, seen in the way of `like`.
    pub fn finish_moved(
        &mut self,
        draft: Draft<'a>,
        node: &'a NodeProto,
        outputs: &[TensorId],
        like: &View,
    ) -> Try<()> {
        for (name, &tensor) in node.output.iter().zip(outputs).filter(|(name, _)| !name.is_empty()) {
            let view = match like {
                View::Bytes { unsigned, .. } => View::Bytes { tensor, unsigned: *unsigned },
                _ => View::Real { tensor },
            };
            self.name(name, view)?;
        }
        if draft.steps.is_empty() {
            self.roles[draft.head] = Some(Role::View);
        } else {
            self.close(draft, &[], false);
        }
        Ok(())
    }

    /// A tensor from outside the items.
    fn outside(&mut self, name: &'a str, shape: Vec<usize>, quant: Quant, origin: Origin<'a>) -> TensorId {
        let tensor = Tensor { name: name.to_owned(), shape, quant, constant: None };
        self.tensors.push(Flowing { tensor, origin, name: None });
        self.tensors.len() - 1
    }

    /// A constant tensor.
    pub fn constant(&mut self, name: &str, shape: Vec<usize>, quant: Quant, bytes: Vec<i8>) -> TensorId {
        let tensor = Tensor { name: name.to_owned(), shape, quant, constant: Some(Arc::new(bytes)) };
        self.tensors.push(Flowing { tensor, origin: Origin::Constant, name: None });
        self.tensors.len() - 1
    }

    /// What a name stands for; bytes from outside are taken in where a reader says what they mean.
    pub fn view(&mut self, name: &'a str) -> Option<View> {
        if let Some(view) = self.views.get(name) {
            return Some(view.clone());
        }
        if self.net.is_constant(name) || !matches!(self.net.dtype(name), Some(DatumType::I8 | DatumType::U8)) {
            return None;
        }
        let (quant, unsigned) = self.meaning(name)?;
        let shape = self.net.shape(name).ok()?;
        let tensor = self.outside(name, shape, quant, Origin::Outside { name, unsigned });
        self.views.insert(name, View::Bytes { tensor, unsigned });
        self.views.get(name).cloned()
    }

    /// What the bytes of a tensor mean to the first `DequantizeLinear` behind it.
    fn meaning(&self, name: &str) -> Option<(Quant, bool)> {
        const MAX_STEPS: usize = 64;
        let (mut wanted, mut seen) = (vec![name], HashSet::new());
        while let Some(name) = wanted.pop() {
            for &reader in self.net.readers(name) {
                let node = self.net.node(reader);
                if seen.len() >= MAX_STEPS || !seen.insert(reader) {
                    continue;
                }
                match node.op_type.as_str() {
                    "DequantizeLinear" if net::input(node, 0) == Some(name) => {
                        if let Ok(found) = Params::of(&self.net, node).and_then(|p| p.per_tensor()) {
                            return Some(found);
                        }
                    }
                    op if moves::is_movement(op) || op == "Concat" => {
                        wanted.extend(node.output.iter().map(String::as_str));
                    }
                    _ => {}
                }
            }
        }
        None
    }

    /// A `DequantizeLinear`: the same bytes as reals.
    pub fn dequantize(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let (quant, unsigned) = Params::of(&self.net, node)?.per_tensor()?;
        let (from, to) = (net::needs(node, 0)?, net::only_output(node)?);
        let tensor = match self.view(from) {
            Some(View::Bytes { tensor, .. }) => tensor,
            Some(_) => return Err("its input is not of bytes".into()),
            None => {
                let shape = self.net.shape(from)?;
                let tensor = self.outside(from, shape, quant, Origin::Outside { name: from, unsigned });
                self.views.insert(from, View::Bytes { tensor, unsigned });
                tensor
            }
        };
        if self.quant(tensor) == quant {
            self.name(to, View::Real { tensor })?;
            self.roles[index] = Some(Role::View);
            return Ok(());
        }
        // Read with other parameters than it was written with: the bytes stay, what they mean changes.
        let mut draft = self.draft(index);
        let shape = self.shape(tensor).to_vec();
        let same = Op::Lookup(Arc::new(std::array::from_fn(|byte| byte as u8 as i8)));
        let read = self.step(&mut draft, same, vec![tensor], shape, quant);
        self.finish_moved(draft, node, &[read], &View::Real { tensor: read })
    }

    /// A `QuantizeLinear` that is not the end of an item: of reals that are bytes already, of a function, or of floats.
    pub fn quantize(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let (quant, unsigned) = Params::of(&self.net, node)?.per_tensor()?;
        let (from, to) = (net::needs(node, 0)?, net::only_output(node)?);
        let (tensor, table) = match self.view(from) {
            Some(View::Real { tensor }) if self.quant(tensor) == quant => {
                self.name(to, View::Bytes { tensor, unsigned })?;
                self.roles[index] = Some(Role::View);
                return Ok(());
            }
            Some(View::Real { tensor }) => (tensor, table_of(self.quant(tensor))),
            Some(View::Function { tensor, table }) => (tensor, table),
            Some(View::Bytes { .. }) => return Err("it quantises bytes".into()),
            None if self.net.dtype(from) != Some(DatumType::F32) => return Err("its input is not of floats".into()),
            None if self.quantize_before(index, quant, unsigned).is_ok() => return Ok(()),
            None => {
                let shape = self.net.shape(from)?;
                let origin = Origin::Quantised { floats: from, node: index, bytes: to, unsigned };
                let tensor = self.outside(to, shape, quant, origin);
                self.name(to, View::Bytes { tensor, unsigned })?;
                self.roles[index] = Some(Role::View);
                return Ok(());
            }
        };
        // The last computing node in front of it, which is what a reader looks for, gives its name.
        let mut draft = self.draft(index);
        if let Some(maker) = self.net.maker(from).filter(|&m| self.net.node(m).op_type != "DequantizeLinear") {
            draft.name = &self.net.node(maker).name;
        }
        let shape = self.shape(tensor).to_vec();
        let lookup = Op::Lookup(Arc::new(table.map(|real| params::quantise(quant, real))));
        let looked_up = self.step(&mut draft, lookup, vec![tensor], shape, quant);
        self.finish_moved(draft, node, &[looked_up], &View::Bytes { tensor: looked_up, unsigned })
    }

    /// A `QuantizeLinear` of floats that were only given another shape or order: quantised before that instead.
    fn quantize_before(&mut self, index: usize, quant: Quant, unsigned: bool) -> Try<()> {
        const MAX_HOPS: usize = 8;
        const LAYOUTS: [&str; 6] = ["Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose"];
        let node = self.net.node(index);
        let (mut from, mut nodes) = (net::needs(node, 0)?, Vec::new());
        while let Some(maker) = self.net.maker(from)
            && nodes.len() < MAX_HOPS
            && self.net.readers(from).len() == 1
            && !self.net.is_kept(from)
            && LAYOUTS.contains(&self.net.node(maker).op_type.as_str())
        {
            nodes.push(maker);
            from = net::needs(self.net.node(maker), 0)?;
        }
        if nodes.is_empty() || self.net.dtype(from) != Some(DatumType::F32) {
            return Err("its floats are computed".into());
        }
        let shape = self.net.shape(from)?;
        let mut x = self.outside(from, shape, quant, Origin::Floats { name: from });
        let mut draft = self.draft(index);
        for &maker in nodes.iter().rev() {
            let node = self.net.node(maker);
            draft.name = &node.name;
            x = *moves::apply(self, &mut draft, node, x, moves::Kind::Real)?.first().ok_or("it makes nothing")?;
        }
        let output = net::only_output(node)?;
        if draft.steps.is_empty() {
            return Err("its floats are not moved".into());
        }
        self.name(output, View::Bytes { tensor: x, unsigned })?;
        self.close(draft, &nodes, false);
        Ok(())
    }

    /// The quantised tensor whose reals a name stands for.
    pub fn real(&mut self, name: &'a str) -> Try<TensorId> {
        match self.view(name) {
            Some(View::Real { tensor }) => Ok(tensor),
            Some(View::Function { tensor, table }) => self.exact(name, tensor, &table),
            _ if self.net.is_constant(name) => {
                if let Some(&known) = self.constants.get(name) {
                    return Ok(known);
                }
                self.spend(name)?;
                let stored = Stored::find(&self.net, name)?;
                let (quant, bytes) = stored.bytes()?;
                let constant = self.constant(name, stored.shape, quant, bytes);
                self.constants.insert(name, constant);
                Ok(constant)
            }
            _ => Err(format!("its operand {name:?} is not quantised")),
        }
    }

    /// A function whose values all have a byte in the quantisation of its operand, such as Relu, needs no other.
    fn exact(&mut self, name: &'a str, tensor: TensorId, table: &Table) -> Try<TensorId> {
        let quant = self.quant(tensor);
        let index = self.net.maker(name).ok_or("a function that no node computes")?;
        let mut bytes = [0; 256];
        for (byte, real) in bytes.iter_mut().zip(table.iter()) {
            *byte = params::exactly(quant, *real).ok_or_else(|| {
                format!("its operand {name:?} is not quantised after {}", self.net.node(index).op_type)
            })?;
        }
        let mut draft = self.draft(index);
        let shape = self.shape(tensor).to_vec();
        let looked_up = self.step(&mut draft, Op::Lookup(Arc::new(bytes)), vec![tensor], shape, quant);
        self.name(name, View::Real { tensor: looked_up })?;
        // Nodes in front of this one may have other readers: they remain views, and only this one is replaced.
        self.close(draft, &[], false);
        Ok(looked_up)
    }
}

/// The reals that bytes stand for.
pub(super) fn table_of(quant: Quant) -> Table {
    Arc::new(std::array::from_fn(|byte| params::dequantise(quant, byte as u8 as i8)))
}
