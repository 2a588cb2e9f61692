//! Nodes that move data without computing on it: what they do to quantised bytes.

use tract_onnx::pb::NodeProto;

use super::net::Try;
use super::params;
use super::search::{Draft, Search};
use crate::int8::graph::{Element, FloatOp, Op, Quant, TensorId};
use crate::onnx::node;

/// The domain in which the value of a `Pad` is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PadDomain {
    /// A real with a byte of its own.
    Real,
    /// A real that is rounded to a byte, since its result is quantised right behind.
    Rounded,
    /// A byte.
    Bytes { unsigned: bool },
}

/// Largest amount of a `Pad` that is accepted.
const MAX_PAD: i64 = 1 << 24;

impl<'a> Search<'a> {
    /// Does to `x` what a node of the file does to its first input; one tensor for each output.
    pub(super) fn apply(
        &mut self,
        draft: &mut Draft,
        node: &NodeProto,
        x: TensorId,
        domain: PadDomain,
    ) -> Try<Vec<TensorId>> {
        self.net.check_parameters(node)?;
        if node.op_type == "Split" {
            return self.split(draft, node, x);
        }
        let outputs: Vec<&str> = node.output.iter().map(String::as_str).filter(|o| !o.is_empty()).collect();
        let [output, rest @ ..] = &outputs[..] else { return Err("it makes nothing".into()) };
        // The second output of Dropout and MaxPool is a mask or indices.
        if rest.iter().any(|name| self.net.is_kept(name) || !self.net.consumers(name).is_empty()) {
            return Err("its second output is read".into());
        }
        let out = self.net.shape(output)?;
        let y = match node.op_type.as_str() {
            "Identity" => x,
            "Dropout" => self.dropout(node, x)?,
            "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" => self.same_elements(draft, x, &out)?,
            "Transpose" => {
                let perm = node::permutation(node, self.shape(x).len())?;
                self.transpose(draft, x, perm)
            }
            "Slice" => self.slice(draft, node, x, &out)?,
            "Gather" => self.gather(draft, node, x, &out)?,
            "Pad" => self.pad(draft, node, x, domain, &out)?,
            "Expand" | "Tile" => self.repeat(draft, x, &out)?,
            "DepthToSpace" => self.depth_to_space(draft, node, x, &out)?,
            "SpaceToDepth" => self.space_to_depth(draft, node, x, &out)?,
            "MaxPool" => self.max_pool(draft, node, x, &out)?,
            "GlobalMaxPool" => self.global_max(draft, x, &out)?,
            "ReduceMax" => self.reduce_max(draft, node, x, &out)?,
            "Resize" | "Upsample" => self.nearest(draft, node, x, &out)?,
            other => return Err(format!("{other} has no integer form here")),
        };
        if self.shape(y) != out {
            return Err(format!("its result has shape {out:?}, expected was {:?}", self.shape(y)));
        }
        Ok(vec![y])
    }
    fn dropout(&self, node: &NodeProto, x: TensorId) -> Try<TensorId> {
        let training = node::input(node, 2).is_some_and(|name| self.net.uniform(name) != Some(0.0));
        if training { Err("it is in training mode".into()) } else { Ok(x) }
    }
    fn split(&mut self, draft: &mut Draft, node: &NodeProto, x: TensorId) -> Try<Vec<TensorId>> {
        let shape = self.shape(x).to_vec();
        let axis = node::axis(node::int(node, "axis", 0)?, shape.len())?;
        let mut start: usize = 0;
        let mut parts = Vec::new();
        for output in &node.output {
            let out = self.net.shape(output)?;
            let size = *out.get(axis).ok_or("its parts have other dimensions")?;
            let end = start.checked_add(size).ok_or("its parts are too large")?;
            parts.push(self.take_range(draft, x, axis, start, end)?);
            let whole = parts.last().is_some_and(|&part| self.shape(part) == out);
            if !whole {
                return Err("its parts do not fit".into());
            }
            start = end;
        }
        if shape[axis] == start { Ok(parts) } else { Err("its parts do not make the whole".into()) }
    }
    fn take_range(&mut self, draft: &mut Draft, x: TensorId, axis: usize, start: usize, end: usize) -> Try<TensorId> {
        if self.shape(x).get(axis).is_none_or(|&dim| end > dim) {
            return Err("its parts do not fit".into());
        }
        self.take(draft, x, axis, (start..end).collect())
    }
    fn slice(&mut self, draft: &mut Draft, node: &NodeProto, x: TensorId, out: &[usize]) -> Try<TensorId> {
        let rank = self.shape(x).len();
        let list = |index: usize, attribute: &str| self.net.ints_at(node, index, attribute);
        let starts = list(1, "starts")?.ok_or("it says no start")?;
        let axes = list(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = list(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
        if axes.len() != starts.len() || steps.len() != starts.len() || out.len() != rank {
            return Err("its starts, axes and steps do not fit".into());
        }
        let mut y = x;
        for ((start, step), axis) in starts.iter().zip(&steps).zip(&axes) {
            let axis = node::axis(*axis, rank)?;
            let dim = self.shape(y)[axis] as i64;
            let start = if *start < 0 { start.saturating_add(dim) } else { *start };
            let start = if *step < 0 { start.clamp(0, dim - 1) } else { start.clamp(0, dim) };
            let indices: Option<Vec<usize>> = (0..out[axis] as i64)
                .map(|k| usize::try_from(start.checked_add(k.checked_mul(*step)?)?).ok())
                .collect();
            y = self.take(draft, y, axis, indices.ok_or("its steps leave the tensor")?)?;
        }
        Ok(y)
    }
    fn gather(&mut self, draft: &mut Draft, node: &NodeProto, x: TensorId, out: &[usize]) -> Try<TensorId> {
        let shape = self.shape(x);
        let axis = node::axis(node::int(node, "axis", 0)?, shape.len())?;
        let dim = shape[axis] as i64;
        let indices = self.net.ints(node::required_input(node, 1)?)?;
        let indices: Option<Vec<usize>> =
            indices.into_iter().map(|i| usize::try_from(if i < 0 { i.checked_add(dim)? } else { i }).ok()).collect();
        let y = self.take(draft, x, axis, indices.ok_or("an index does not fit")?)?;
        self.same_elements(draft, y, out)
    }
    fn pad(
        &mut self,
        draft: &mut Draft,
        node: &NodeProto,
        mut x: TensorId,
        domain: PadDomain,
        out: &[usize],
    ) -> Try<TensorId> {
        let shape = self.shape(x).to_vec();
        let rank = shape.len();
        let amounts = self.net.ints_at(node, 1, "pads")?.ok_or("it has no pads")?;
        let axes: Vec<i64> = match node::input(node, 3) {
            Some(name) => self.net.ints(name)?,
            None => (0..rank as i64).collect(),
        };
        if amounts.len() != 2 * axes.len() {
            return Err("its amounts do not fit its axes".into());
        }
        let (mut before, mut after) = (vec![0usize; rank], vec![0usize; rank]);
        for (k, &axis) in axes.iter().enumerate() {
            let axis = node::axis(axis, rank)?;
            let (first, last) = (amounts[k], amounts[k + axes.len()]);
            let believed = -MAX_PAD..MAX_PAD;
            if !believed.contains(&first) || !believed.contains(&last) {
                return Err(format!("its amounts {first} and {last} are too large"));
            }
            // What is below zero is cut off.
            let cut = |amount: i64| (-amount).max(0) as usize;
            if cut(first) + cut(last) > 0 {
                let end = shape[axis].checked_sub(cut(last)).filter(|end| *end > cut(first));
                let end = end.ok_or("it takes everything away")?;
                x = self.take(draft, x, axis, (cut(first)..end).collect())?;
            }
            (before[axis], after[axis]) = (first.max(0) as usize, last.max(0) as usize);
        }
        let shape = self.shape(x).to_vec();
        let padded: Vec<usize> = shape.iter().zip(before.iter().zip(&after)).map(|(d, (b, a))| d + b + a).collect();
        if padded != out {
            return Err(format!("its amounts make {padded:?}, expected was {out:?}"));
        }
        let mode = node::text(node, "mode", "constant")?;
        if mode == "constant" && self.element(x) == Element::Float {
            let value = self.pad_constant(node)?;
            let op = match value == 0.0 {
                // A border that convolutions may want as well.
                true => Op::Pad { before, after, value: 0 },
                false => Op::Float(FloatOp::Pad { before, after, value }),
            };
            return Ok(self.step(draft, op, vec![x], padded, Quant::UNIT));
        }
        if mode == "constant" {
            let value = self.pad_value(node, x, domain)?;
            let quant = self.quant(x);
            return Ok(self.step(draft, Op::Pad { before, after, value }, vec![x], padded, quant));
        }
        let mut y = x;
        for axis in 0..rank {
            let (dim, first) = (shape[axis] as i64, before[axis] as i64);
            let index = |at: usize| {
                let at = at as i64 - first;
                let inside = match mode {
                    "edge" => at.clamp(0, dim - 1),
                    "wrap" => at.rem_euclid(dim),
                    _ => {
                        let at = at.rem_euclid((2 * (dim - 1)).max(1));
                        if at < dim { at } else { 2 * (dim - 1) - at }
                    }
                };
                inside as usize
            };
            if !matches!(mode, "edge" | "wrap" | "reflect") {
                return Err(format!("its mode {mode:?} is not known"));
            }
            y = self.take(draft, y, axis, (0..shape[axis] + before[axis] + after[axis]).map(index).collect())?;
        }
        Ok(y)
    }
    /// The number that a `Pad` puts around.
    fn pad_constant(&self, node: &NodeProto) -> Try<f32> {
        match node::input(node, 2) {
            Some(name) => self.net.uniform(name).ok_or_else(|| "its value is not one number".into()),
            None => Ok(node::float(node, "value", 0.0)?),
        }
    }
    /// The byte that a `Pad` puts around.
    fn pad_value(&self, node: &NodeProto, x: TensorId, domain: PadDomain) -> Try<i8> {
        let value = self.pad_constant(node)?;
        let byte = match domain {
            PadDomain::Real => params::exactly(self.quant(x), value),
            PadDomain::Rounded => Some(params::quantise(self.quant(x), value)),
            PadDomain::Bytes { unsigned } => {
                let byte = value - if unsigned { 128.0 } else { 0.0 };
                (byte.fract() == 0.0 && (-128.0..=127.0).contains(&byte)).then_some(byte as i8)
            }
        };
        byte.ok_or_else(|| format!("its value {value} has no byte"))
    }
    /// `Expand` and `Tile`: elements again and again along axes.
    fn repeat(&mut self, draft: &mut Draft, x: TensorId, out: &[usize]) -> Try<TensorId> {
        let mut shape = self.shape(x).to_vec();
        let more = out.len().checked_sub(shape.len()).ok_or("it loses dimensions")?;
        shape.splice(0..0, std::iter::repeat_n(1, more));
        let mut y = self.reshape(draft, x, shape.clone());
        for (axis, (&dim, &want)) in shape.iter().zip(out).enumerate() {
            if want % dim != 0 {
                return Err("its result is no multiple of its input".into());
            }
            y = self.take(draft, y, axis, (0..want).map(|i| i % dim).collect())?;
        }
        Ok(y)
    }
    fn depth_to_space(&mut self, draft: &mut Draft, node: &NodeProto, x: TensorId, out: &[usize]) -> Try<TensorId> {
        let ([n, c, h, w], b) = blocks(node, self.shape(x))?;
        if c % (b * b) != 0 {
            return Err("its block size does not divide the channels".into());
        }
        let d = c / (b * b);
        let (split, perm) = match node::text(node, "mode", "DCR")? {
            "CRD" => (vec![n, d, b, b, h, w], vec![0, 1, 4, 2, 5, 3]),
            _ => (vec![n, b, b, d, h, w], vec![0, 3, 4, 1, 5, 2]),
        };
        let y = self.reshape(draft, x, split);
        let y = self.transpose(draft, y, perm);
        self.same_elements(draft, y, out)
    }
    fn space_to_depth(&mut self, draft: &mut Draft, node: &NodeProto, x: TensorId, out: &[usize]) -> Try<TensorId> {
        let ([n, c, h, w], b) = blocks(node, self.shape(x))?;
        if h % b != 0 || w % b != 0 {
            return Err("its block size does not divide the picture".into());
        }
        let y = self.reshape(draft, x, vec![n, c, h / b, b, w / b, b]);
        let y = self.transpose(draft, y, vec![0, 3, 5, 1, 2, 4]);
        self.same_elements(draft, y, out)
    }
}

/// Batch, channels, rows and columns, and the size of a block that divides what it must.
fn blocks(node: &NodeProto, shape: &[usize]) -> Try<([usize; 4], usize)> {
    let shape: [usize; 4] = shape.try_into().map_err(|_| "it is not of pictures")?;
    let block = usize::try_from(node::int(node, "blocksize", 0)?).ok().filter(|b| (1..=1 << 16).contains(b));
    Ok((shape, block.ok_or("its block size cannot be")?))
}
