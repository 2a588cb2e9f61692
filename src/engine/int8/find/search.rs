//! State of the search while nodes are visited one after the other: quantised tensors, the names that stand for them in the
//! file, and the integer operators found so far.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::DatumType;

use super::net::{FactGraph, Try};
use super::params::{self, Params, Stored};
use crate::int8::graph::{Constant, Element, Node, Op, Quant, Tensor, TensorId};
use crate::onnx::{node, operators};

/// Most values of constants that are taken in, over all operators that read them.
const MAX_VALUES: usize = 1 << 30;

/// A function of one byte, as a real for each of the 256.
pub(super) type Table = Arc<[f32; 256]>;

/// Meaning of a tensor name in the file.
#[derive(Clone)]
pub(super) enum View {
    /// The bytes of a tensor, with 128 added where they are unsigned.
    Bytes { tensor: TensorId, unsigned: bool },
    /// The reals that the bytes stand for.
    Real { tensor: TensorId },
    /// A function of them, element by element.
    Function { tensor: TensorId, table: Table },
    /// The floats of a tensor of floats.
    Floats { tensor: TensorId },
}

impl View {
    /// The tensor behind it.
    pub fn tensor(&self) -> TensorId {
        match self {
            View::Bytes { tensor, .. }
            | View::Real { tensor }
            | View::Function { tensor, .. }
            | View::Floats { tensor } => *tensor,
        }
    }
}

/// Origin of a tensor's bytes.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    /// An item.
    Item(usize),
    /// Bytes that exist outside under a name.
    Outside { name: &'a str, unsigned: bool },
    /// Floats from outside that node `node` quantises to `bytes`.
    Quantised { floats: &'a str, node: usize, bytes: &'a str, unsigned: bool },
    /// Floats from outside, quantised on the way in where the tensor is of bytes.
    Floats { name: &'a str },
    /// A constant.
    Constant,
}

/// A tensor of a partition.
pub(super) struct Flowing<'a> {
    pub tensor: Tensor,
    pub origin: Origin<'a>,
    /// The name in the file under which its item makes it.
    pub name: Option<&'a str>,
    /// The tensor that its bytes are looked up from, itself not looked up, and the table.
    pub base: Option<(TensorId, Arc<[i8; 256]>)>,
}

/// A few nodes of the file as a few integer operators.
pub(super) struct Item {
    /// The node of the file at which all operands are there.
    pub head: usize,
    pub steps: Vec<Node>,
    /// True if it does more than move bytes or look them up.
    pub computes: bool,
}

/// Outcome for a node of the file.
pub(super) enum Role {
    /// Computed at load.
    Folded,
    /// Stays, and why.
    Float(String),
    /// Part of an item.
    Item(usize),
    /// Gives another name to a tensor, or to a function of it; dropped unless the name is needed outside.
    View,
}

/// The state of the search.
pub(super) struct Search<'a> {
    pub net: FactGraph<'a>,
    pub tensors: Vec<Flowing<'a>>,
    pub views: HashMap<&'a str, View>,
    pub items: Vec<Item>,
    pub roles: Vec<Option<Role>>,
    /// Constants that are operands, each taken in once.
    constants: HashMap<&'a str, TensorId>,
    /// The same as floats, and tensors of bytes as floats, by the name of these.
    pub floats: HashMap<&'a str, TensorId>,
    /// Values of constants that may still be taken in.
    allowance: usize,
}

/// An item under construction.
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
    pub fn new(net: FactGraph<'a>) -> Self {
        let roles = (0..net.len()).map(|_| None).collect();
        Search {
            net,
            tensors: Vec::new(),
            views: HashMap::new(),
            items: Vec::new(),
            roles,
            constants: HashMap::new(),
            floats: HashMap::new(),
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

    pub fn element(&self, id: TensorId) -> Element {
        self.tensors[id].tensor.element
    }

    /// Starts an item at node `head`.
    pub fn draft(&self, head: usize) -> Draft<'a> {
        Draft { head, name: &self.net.node(head).name, steps: Vec::new() }
    }

    /// Adds an operator to an item. A table of what is looked up itself becomes one table of what lies before, so that the tensors
    /// in between need not be made unless others read them.
    pub fn step(
        &mut self,
        draft: &mut Draft,
        mut op: Op,
        mut inputs: Vec<TensorId>,
        shape: Vec<usize>,
        quant: Quant,
    ) -> TensorId {
        let output = self.tensors.len();
        let name = format!("{}:{}", draft.name, draft.steps.len());
        let mut base = None;
        if let Op::Lookup(table) = &mut op {
            let (from, whole) = self.based(inputs[0], table);
            *table = Arc::new(whole);
            inputs[0] = from;
            base = Some((from, table.clone()));
        }
        let element = op.element(inputs.first().map_or(Element::Byte, |&x| self.element(x)));
        let tensor = Tensor { name, shape, element, quant, constant: None };
        // The right item is put in where the draft is closed: others may be made in between.
        self.tensors.push(Flowing { tensor, origin: Origin::Item(usize::MAX), name: None, base });
        draft.steps.push(Node { name: draft.name.to_owned(), op, inputs, output });
        output
    }

    /// A function of the bytes of `tensor` as one of the bytes that these are looked up from, if they are.
    pub fn based<T: Copy>(&self, tensor: TensorId, table: &[T; 256]) -> (TensorId, [T; 256]) {
        match &self.tensors[tensor].base {
            Some((base, bytes)) => (*base, bytes.map(|byte| table[usize::from(byte as u8)])),
            None => (tensor, *table),
        }
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

    /// The same elements under shape `out`.
    pub fn same_elements(&mut self, draft: &mut Draft, x: TensorId, out: &[usize]) -> Try<TensorId> {
        if self.shape(x).iter().product::<usize>() != out.iter().product::<usize>() {
            return Err(format!("shape {:?} does not become {out:?}", self.shape(x)));
        }
        Ok(self.reshape(draft, x, out.to_vec()))
    }
    /// Elements by index along one axis.
    pub fn take(&mut self, draft: &mut Draft, x: TensorId, axis: usize, indices: Vec<usize>) -> Try<TensorId> {
        let mut shape = self.shape(x).to_vec();
        let dim = *shape.get(axis).ok_or("its axis does not fit")?;
        if indices.is_empty() || indices.iter().any(|&i| i >= dim) {
            return Err(format!("an index does not fit a dimension of {dim}"));
        }
        if indices.iter().copied().eq(0..dim) {
            return Ok(x);
        }
        shape[axis] = indices.len();
        let quant = self.quant(x);
        let step = indices.get(1).map_or(1, |second| second.saturating_sub(indices[0]));
        let start = indices[0];
        let even = step >= 1 && indices.iter().enumerate().all(|(k, &i)| i == start + k * step);
        let op = if even { Op::Slice { axis, start, step } } else { Op::Gather { axis, indices } };
        Ok(self.step(draft, op, vec![x], shape, quant))
    }

    /// Makes `name` stand for `view`, if type and shape are what is known of it.
    pub fn name(&mut self, name: &'a str, view: View) -> Try<()> {
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
        let bytes_or_reals = !matches!(view, View::Function { .. });
        if bytes_or_reals && flowing.name.is_none() && matches!(flowing.origin, Origin::Item(_)) {
            flowing.name = Some(name);
            flowing.tensor.name = name.to_owned();
        }
        self.views.insert(name, view);
        Ok(())
    }

    /// Puts a draft among the items, for nodes `nodes` of the file besides its head.
    pub fn close(&mut self, draft: Draft, nodes: &[usize], computes: bool) {
        let item = self.items.len();
        for &node in nodes.iter().chain([&draft.head]) {
            self.roles[node] = Some(Role::Item(item));
        }
        for step in &draft.steps {
            self.tensors[step.output].origin = Origin::Item(item);
        }
        // tract resizes some pictures otherwise than ONNX says, so a partition is worth it for that alone.
        let computes = computes || draft.steps.iter().any(|step| matches!(step.op, Op::Resize { .. }));
        self.items.push(Item { head: draft.head, steps: draft.steps, computes });
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
                View::Floats { .. } => View::Floats { tensor },
                View::Real { .. } => View::Real { tensor },
                View::Function { table, .. } => View::Function { tensor, table: table.clone() },
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

    /// A tensor of bytes from outside the items.
    pub fn outside(&mut self, name: &'a str, shape: Vec<usize>, quant: Quant, origin: Origin<'a>) -> TensorId {
        let tensor = Tensor { name: name.to_owned(), shape, element: Element::Byte, quant, constant: None };
        self.tensors.push(Flowing { tensor, origin, name: None, base: None });
        self.tensors.len() - 1
    }

    /// A constant tensor of bytes.
    pub fn constant(&mut self, name: &str, shape: Vec<usize>, quant: Quant, bytes: Vec<i8>) -> TensorId {
        let constant = Some(Constant::Bytes(Arc::new(bytes)));
        let tensor = Tensor { name: name.to_owned(), shape, element: Element::Byte, quant, constant };
        self.tensors.push(Flowing { tensor, origin: Origin::Constant, name: None, base: None });
        self.tensors.len() - 1
    }

    /// Meaning of a name; bytes from outside are taken in where a consumer dequantises them.
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

    /// Quantisation that the first `DequantizeLinear` behind a tensor of bytes gives it.
    fn meaning(&self, name: &str) -> Option<(Quant, bool)> {
        const MAX_STEPS: usize = 64;
        let (mut wanted, mut seen) = (vec![name], HashSet::new());
        while let Some(name) = wanted.pop() {
            for &reader in self.net.consumers(name) {
                let node = self.net.node(reader);
                if seen.len() >= MAX_STEPS || !seen.insert(reader) {
                    continue;
                }
                match node.op_type.as_str() {
                    "DequantizeLinear" if node::input(node, 0) == Some(name) => {
                        if let Ok(found) = Params::of(&self.net, node).and_then(|p| p.per_tensor()) {
                            return Some(found);
                        }
                    }
                    "Concat" => wanted.extend(node::outputs(node)),
                    _ if operators::moves(node) => wanted.extend(operators::moved_outputs(node)),
                    _ => {}
                }
            }
        }
        None
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
        let index = self.net.producer(name).ok_or("a function that no node computes")?;
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
