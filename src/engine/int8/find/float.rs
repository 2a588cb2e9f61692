//! Operators on floats: what has no form in integers, but can be planned.
//!
//! A tensor of floats that a node of the file reads is one that a partition computes, one that bytes stand for ([`Search::as_floats`]), a
//! constant, or one from outside.

mod dense;
mod elementwise;
mod named;
mod norm;
mod recurrent;
mod reduce;
mod rounded;
mod tail;
mod transposed;

use std::sync::Arc;

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::DatumType;

use super::moves::PadDomain;
use super::net::Try;
use super::search::{Draft, Flowing, Item, Origin, Role, Search, View};
use crate::int8::graph::{Constant, Element, FloatOp, Op, Quant, Tensor, TensorId, Weights};
use crate::int8::kernels::float::Binary;
use crate::onnx::{node, operators};

/// Finds the form on floats of one node and of what belongs to it.
pub(super) fn look_at(search: &mut Search, index: usize) -> Try<()> {
    let node = search.net.node(index);
    if !matches!(node.domain.as_str(), "" | "ai.onnx" | "com.microsoft") {
        return Err(format!("operators of {:?} are not planned", node.domain));
    }
    let output = node::outputs(node).next().unwrap_or_default();
    if search.net.dtype(output) != Some(DatumType::F32) {
        return Err("its result is not of floats".into());
    }
    if search.rounded(index).is_ok() {
        return Ok(());
    }
    match node.op_type.as_str() {
        "Conv" | "FusedConv" => search.float_conv(index),
        "LSTM" => search.float_recurrent(index, true),
        "GRU" => search.float_recurrent(index, false),
        "ConvTranspose" => search.float_conv_transposed(index),
        "MatMul" => search.float_matmul(index),
        "Gemm" => search.float_gemm(index),
        "BatchNormalization" => search.float_normalization(index),
        "Concat" => search.float_concat(index),
        "AveragePool" => search.float_pool(index, true),
        "MaxPool" => search.float_pool(index, false),
        "GlobalAveragePool" | "GlobalMaxPool" | "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin"
        | "ReduceProd" | "ReduceSumSquare" | "ReduceL1" | "ReduceL2" | "ReduceLogSum" | "ReduceLogSumExp" => {
            search.float_reduce(index)
        }
        "Softmax" => search.float_softmax(index, false),
        "LogSoftmax" => search.float_softmax(index, true),
        "LayerNormalization" => search.layer_norm(index),
        "Resize" | "Upsample" if !operators::is_nearest(node) => search.float_resize(index),
        "Add" | "Sum" => search.float_binary(index, Binary::Add),
        "Sub" => search.float_binary(index, Binary::Sub),
        "Mul" => search.float_binary(index, Binary::Mul),
        "Div" => search.float_binary(index, Binary::Div),
        "Min" => search.float_binary(index, Binary::Min),
        "Max" => search.float_binary(index, Binary::Max),
        "Pow" => search.float_binary(index, Binary::Pow),
        "PRelu" => search.float_binary(index, Binary::PRelu),
        _ if operators::moves(node) => search.float_movement(index),
        _ => search.float_unary(index),
    }
}

impl<'a> Search<'a> {
    /// The tensor of floats that a name stands for, or that its bytes become.
    pub fn as_floats(&mut self, name: &'a str) -> Try<TensorId> {
        if let Some(&known) = self.floats.get(name) {
            return Ok(known);
        }
        if self.net.is_constant(name) {
            let (shape, values) = (self.net.shape(name)?, self.constant_floats(name)?);
            let tensor = self.constant_of_floats(name, shape, values)?;
            self.floats.insert(name, tensor);
            return Ok(tensor);
        }
        if self.net.dtype(name) != Some(DatumType::F32) {
            return Err(format!("its operand {name:?} is not of floats"));
        }
        let (op, bytes) = match self.view(name) {
            Some(View::Floats { tensor }) => return Ok(tensor),
            Some(View::Real { tensor }) => (FloatOp::Dequantize, tensor),
            Some(View::Function { tensor, table }) => (FloatOp::Lookup(table), tensor),
            Some(View::Bytes { .. }) => return Err(format!("its operand {name:?} is of bytes")),
            None => {
                let tensor = self.float_tensor(name, self.net.shape(name)?, None, Origin::Floats { name });
                self.views.insert(name, View::Floats { tensor });
                return Ok(tensor);
            }
        };
        // An item of its own, which all readers share; the nodes in front of it stay names for bytes.
        let head = self.net.producer(name).ok_or_else(|| format!("nothing makes {name:?}"))?;
        let mut draft = self.draft(head);
        let shape = self.shape(bytes).to_vec();
        let tensor = self.step(&mut draft, Op::Float(op), vec![bytes], shape, Quant::UNIT);
        let item = self.items.len();
        let flowing = &mut self.tensors[tensor];
        (flowing.origin, flowing.name) = (Origin::Item(item), Some(name));
        self.items.push(Item { head, steps: draft.steps, computes: false });
        self.floats.insert(name, tensor);
        Ok(tensor)
    }

    /// The values of a constant of floats, also of one that is yet to be dequantised; those of the file itself where it has them.
    pub fn float_weights(&mut self, name: &str) -> Try<Weights<f32>> {
        // A float takes the room of four bytes.
        (0..4).try_for_each(|_| self.spend(name))?;
        let Some(value) = self.net.fact(name).ok().and_then(|fact| fact.value.clone()) else {
            return Ok(self.reals(name)?.into_iter().map(|v| v as f32).collect::<Vec<_>>().into());
        };
        match Weights::shared(value) {
            Some(shared) => Ok(shared),
            None => Ok(self.net.floats(name)?.into()),
        }
    }

    /// [`Search::float_weights`] in a list of their own.
    pub fn constant_floats(&mut self, name: &str) -> Try<Vec<f32>> {
        Ok(self.float_weights(name)?.into_vec())
    }

    fn constant_of_floats(&mut self, name: &'a str, shape: Vec<usize>, values: Vec<f32>) -> Try<TensorId> {
        if values.len() != shape.iter().product::<usize>() {
            return Err(format!("constant {name:?} does not fill its shape"));
        }
        Ok(self.float_tensor(name, shape, Some(values), Origin::Constant))
    }

    /// A tensor of floats that no item makes.
    pub fn float_tensor(
        &mut self,
        name: &str,
        shape: Vec<usize>,
        values: Option<Vec<f32>>,
        origin: Origin<'a>,
    ) -> TensorId {
        let constant = values.map(|values| Constant::Floats(Arc::new(values)));
        let tensor = Tensor { name: name.to_owned(), shape, element: Element::Float, quant: Quant::UNIT, constant };
        self.tensors.push(Flowing { tensor, origin, name: None, base: None });
        self.tensors.len() - 1
    }

    /// Adds an operator on floats to an item.
    pub fn float_step(&mut self, draft: &mut Draft, op: FloatOp, inputs: Vec<TensorId>, shape: Vec<usize>) -> TensorId {
        self.step(draft, Op::Float(op), inputs, shape, Quant::UNIT)
    }

    /// Ends an item of floats whose result is `output`; `nodes` are those of the file that it stands for besides its head.
    pub fn float_finish(
        &mut self,
        draft: Draft<'a>,
        x: TensorId,
        output: &'a str,
        nodes: &[usize],
        computes: bool,
    ) -> Try<()> {
        self.name(output, View::Floats { tensor: x })?;
        if draft.steps.is_empty() {
            self.roles[draft.head] = Some(Role::View);
        } else {
            self.close(draft, nodes, computes);
        }
        Ok(())
    }

    /// A `QuantizeLinear` of floats that a partition computes.
    pub fn quantize_floats(&mut self, index: usize, tensor: TensorId, quant: Quant, unsigned: bool) -> Try<()> {
        let output = node::only_output(self.net.node(index))?;
        let mut draft = self.draft(index);
        let shape = self.shape(tensor).to_vec();
        let bytes = self.step(&mut draft, Op::Float(FloatOp::Quantize), vec![tensor], shape, quant);
        self.name(output, View::Bytes { tensor: bytes, unsigned })?;
        self.close(draft, &[], false);
        Ok(())
    }

    /// Test for an item whose results are floats.
    pub fn is_of_floats(&self, item: usize) -> bool {
        self.items[item].steps.last().is_some_and(|step| self.element(step.output) == Element::Float)
    }

    /// Test for an item with a product of integers between floats.
    pub fn is_hybrid(&self, item: usize) -> bool {
        self.items[item].steps.iter().any(|step| matches!(step.op, Op::Float(FloatOp::Hybrid(_))))
    }

    /// A node that moves floats.
    fn float_movement(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let x = self.as_floats(node::required_input(node, 0)?)?;
        let mut draft = self.draft(index);
        let outputs = self.apply(&mut draft, node, x, PadDomain::Real)?;
        self.finish_moved(draft, node, &outputs, &View::Floats { tensor: x })
    }

    fn float_concat(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let output = node::only_output(node)?;
        let shape = self.net.shape(output)?;
        let axis = node::axis(node::int(node, "axis", 1)?, shape.len())?;
        let mut parts = Vec::with_capacity(node.input.len());
        let mut sum = 0;
        for name in &node.input {
            let part = self.as_floats(name)?;
            let own = self.shape(part);
            let fits = own.len() == shape.len() && (0..own.len()).all(|a| a == axis || own[a] == shape[a]);
            sum += if fits { own[axis] } else { return Err("its operands do not fit".into()) };
            parts.push(part);
        }
        if sum != shape[axis] {
            return Err("its operands do not fit its result".into());
        }
        let mut draft = self.draft(index);
        let y = self.step(&mut draft, Op::Concat { axis }, parts, shape, Quant::UNIT);
        self.float_finish(draft, y, output, &[], false)
    }

    fn float_resize(&mut self, index: usize) -> Try<()> {
        let node = self.net.node(index);
        let output = node::only_output(node)?;
        let out = self.net.shape(output)?;
        let x = self.as_floats(node::required_input(node, 0)?)?;
        let mut draft = self.draft(index);
        let y = self.linear(&mut draft, node, x, &out, Quant::UNIT)?;
        self.same_shape(y, &out)?;
        self.float_finish(draft, y, output, &[], true)
    }

    /// Fails where a tensor has not the shape that is known of a result.
    fn same_shape(&self, y: TensorId, out: &[usize]) -> Try<()> {
        if self.shape(y) != out {
            return Err(format!("its result has shape {out:?}, expected was {:?}", self.shape(y)));
        }
        Ok(())
    }
}

/// The one node that reads `name`, if `name` is not read elsewhere.
fn only_reader<'a>(search: &Search<'a>, name: &str) -> Option<(usize, &'a NodeProto)> {
    let &[reader] = search.net.consumers(name) else { return None };
    let free = search.roles[reader].is_none() && !search.net.is_kept(name);
    free.then(|| (reader, search.net.node(reader)))
}
