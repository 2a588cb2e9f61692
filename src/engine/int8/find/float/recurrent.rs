//! `LSTM` and `GRU`: the products of the sequence at once, then one step after the other.

use std::sync::Arc;

use super::super::dense::Rows;
use super::super::net::Try;
use super::super::search::{Draft, Search, View};
use crate::int8::graph::{
    Cell, Clamp, FloatMatMul, FloatOp, Hybrid, MatMul, Op, Product, Quant, Ranges, Recurrent, RecurrentWeights,
    TensorId,
};
use crate::int8::kernels::float::Epilogue;
use crate::onnx::{node, operators};

/// Sizes of a layer.
struct Sizes {
    batch: usize,
    units: usize,
    directions: usize,
}

impl<'a> Search<'a> {
    /// `LSTM` (`lstm`) or `GRU` with its usual functions and sequences of one length.
    pub fn float_recurrent(&mut self, index: usize, lstm: bool) -> Try<()> {
        let node = self.net.node(index);
        let gates = if lstm { 4 } else { 3 };
        let usual: &[&str] = if lstm { &["Sigmoid", "Tanh", "Tanh"] } else { &["Sigmoid", "Tanh"] };
        let functions = node.attribute.iter().filter(|a| a.name == "activations").flat_map(|a| &a.strings);
        if functions.zip(usual.iter().cycle()).any(|(f, usual)| f[..] != *usual.as_bytes()) {
            return Err("its functions are not the usual ones".into());
        }
        if node::int(node, "layout", 0)? != 0 || node::int(node, "input_forget", 0)? != 0 {
            return Err("its layout or coupled gates are not planned".into());
        }
        let x = self.as_floats(node::required_input(node, 0)?)?;
        let (w, r) = (node::required_input(node, 1)?, node::required_input(node, 2)?);
        let (&[steps, batch, inputs], [directions, _, _], [_, _, units]) =
            (self.shape(x), &self.net.shape(w)?[..], &self.net.shape(r)?[..])
        else {
            return Err("its operands have other dimensions".into());
        };
        let sizes = Sizes { batch, units: *units, directions: *directions };
        if let Some(lengths) = node::input(node, 4)
            && self.net.ints(lengths)?.iter().any(|&l| usize::try_from(l) != Ok(steps))
        {
            return Err("its sequences have lengths of their own".into());
        }
        let reverses: &[bool] = match (node::text(node, "direction", "forward")?, sizes.directions) {
            ("forward", 1) => &[false],
            ("reverse", 1) => &[true],
            ("bidirectional", 2) => &[false, true],
            (other, count) => return Err(format!("it has {count} directions for {other:?}")),
        };
        let clip = node::float(node, "clip", 0.0)?;
        let clip = if clip > 0.0 { clip } else { f32::INFINITY };
        let width = gates * sizes.units;
        let rounded = match node::flag(node, operators::ROUNDS_OPERAND)? && lstm && sizes.directions == 1 {
            true => Some((self.byte_weights(w, [width, inputs])?, self.byte_weights(r, [width, sizes.units])?)),
            false => None,
        };
        let (w, r) = match rounded {
            Some(_) => (Vec::new(), Vec::new()),
            None => (
                self.parts(Some(w), &sizes, width * inputs)?.ok_or("it has no weights")?,
                self.parts(Some(r), &sizes, width * sizes.units)?.ok_or("it has no recurrent weights")?,
            ),
        };
        let bias = self.parts(node::input(node, 3), &sizes, 2 * width)?;
        let peepholes = if lstm { self.parts(node::input(node, 7), &sizes, 3 * sizes.units)? } else { None };
        let linear = node::int(node, "linear_before_reset", 0)? != 0;
        let mut states = Vec::new();
        for at in [5, 6].into_iter().take(if lstm { 2 } else { 1 }) {
            states.push(node::input(node, at).map(|name| self.as_floats(name)).transpose()?);
        }
        let mut draft = self.draft(index);
        let mut made = Vec::new();
        for (direction, &reverse) in reverses.iter().enumerate() {
            let (mut outer, mut inner) = (vec![0.0; width], vec![0.0; width]);
            if let Some(bias) = &bias {
                outer.copy_from_slice(&bias[direction][..width]);
                inner.copy_from_slice(&bias[direction][width..]);
            }
            let cell = match lstm {
                true => Cell::Lstm { peepholes: peepholes.as_ref().map(|p| Arc::new(p[direction].clone())) },
                false => Cell::Gru { linear },
            };
            let (product, weights) = match &rounded {
                Some((w, r)) => {
                    let (low, high) = (f32::NEG_INFINITY, f32::INFINITY);
                    let product = Product::MatMul(w.clone());
                    let hybrid = Hybrid { product, ranges: Ranges::Whole, bias: outer, low, high };
                    (FloatOp::Hybrid(Box::new(hybrid)), RecurrentWeights::Bytes(r.clone()))
                }
                None => {
                    let weights = w[direction].clone().into();
                    let matmul = FloatMatMul { weights, bias: outer, epilogue: Epilogue::NONE };
                    (FloatOp::MatMul(matmul), RecurrentWeights::Floats(r[direction].clone().into()))
                }
            };
            let product = self.float_step(&mut draft, product, vec![x], vec![steps, batch, width]);
            let mut operands = vec![product];
            operands.extend(self.states(&mut draft, &states, &sizes, direction)?);
            let layer = FloatOp::Recurrent(Recurrent { cell, weights, bias: inner, clip, reverse });
            let rows = if lstm { steps + 1 } else { steps };
            made.push(self.float_step(&mut draft, layer, operands, vec![rows, batch, sizes.units]));
        }
        let all: Vec<Vec<usize>> = reverses.iter().map(|_| (0..steps).collect()).collect();
        let last: Vec<Vec<usize>> = reverses.iter().map(|&r| vec![if r { 0 } else { steps - 1 }]).collect();
        let cells: Vec<Vec<usize>> = reverses.iter().map(|_| vec![steps]).collect();
        let wanted = [(all, true), (last, false), (cells, false)];
        let mut outputs = Vec::new();
        for (name, (rows, whole)) in node.output.iter().zip(wanted) {
            if name.is_empty() {
                continue;
            }
            let mut parts = Vec::new();
            for (&y, rows) in made.iter().zip(rows) {
                let count = rows.len();
                let part = self.take(&mut draft, y, 0, rows)?;
                let shape = match whole {
                    true => vec![count, 1, batch, sizes.units],
                    false => vec![1, batch, sizes.units],
                };
                parts.push(self.reshape(&mut draft, part, shape));
            }
            let mut y = parts[0];
            if parts.len() > 1 {
                let axis = usize::from(whole);
                let mut shape = self.shape(y).to_vec();
                shape[axis] = parts.len();
                y = self.step(&mut draft, Op::Concat { axis }, parts, shape, Quant::UNIT);
            }
            outputs.push((name.as_str(), y));
        }
        for (name, tensor) in outputs {
            self.name(name, View::Floats { tensor })?;
        }
        self.close(draft, &[], true);
        Ok(())
    }

    /// The weights of one direction as bytes, each row with a scale.
    fn byte_weights(&mut self, name: &str, [rows, columns]: [usize; 2]) -> Try<MatMul> {
        let stored = self.stored_weights(name)?.reshaped(vec![rows, columns])?;
        let rows = Rows::of(stored)?;
        let weight_scales = rows.scales.iter().map(|&scale| scale as f32).collect();
        let (weights, weight_zeros) = rows.into_bytes()?;
        Ok(MatMul { weights, weight_zeros, weight_scales, bias: Vec::new(), clamp: Clamp::NONE })
    }

    /// A constant in as many parts as there are directions.
    fn parts(&mut self, name: Option<&str>, sizes: &Sizes, len: usize) -> Try<Option<Vec<Vec<f32>>>> {
        let Some(name) = name else { return Ok(None) };
        if !self.net.is_constant(name) {
            return Err(format!("its parameter {name:?} is not a constant"));
        }
        let values = self.constant_floats(name)?;
        if values.len() != sizes.directions * len || len == 0 {
            return Err(format!("its parameter {name:?} has {} values for {len} in each direction", values.len()));
        }
        Ok(Some(values.chunks(len).map(<[f32]>::to_vec).collect()))
    }

    /// The initial states of a direction: all of them, or none.
    fn states(
        &mut self,
        draft: &mut Draft<'a>,
        states: &[Option<TensorId>],
        sizes: &Sizes,
        direction: usize,
    ) -> Try<Vec<TensorId>> {
        if states.iter().all(Option::is_none) {
            return Ok(Vec::new());
        }
        let shape = vec![sizes.batch, sizes.units];
        let mut made = Vec::new();
        for state in states {
            made.push(match *state {
                Some(state) if self.shape(state) == [sizes.directions, sizes.batch, sizes.units] => {
                    let own = self.take(draft, state, 0, vec![direction])?;
                    self.reshape(draft, own, shape.clone())
                }
                Some(state) => return Err(format!("its initial state has shape {:?}", self.shape(state))),
                None => {
                    let zeros = vec![0.0; sizes.batch * sizes.units];
                    self.float_tensor("zeros", shape.clone(), Some(zeros), super::Origin::Constant)
                }
            });
        }
        Ok(made)
    }
}
