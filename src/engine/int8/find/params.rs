//! Parameters of `QuantizeLinear` and `DequantizeLinear`: scales, zero points, and constants that were stored as integers.

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::DatumType;

use super::net::{FactGraph, MAX_UNIFORM_VALUES, Try};
use crate::int8::graph::{Quant, Weights};
use crate::int8::kernels;
use crate::onnx::operators::{self, Effect};
use crate::onnx::{node, tensor};

/// Scales of activations outside are refused, so that no quotient of a few of them leaves the range of floats.
const SCALES: std::ops::RangeInclusive<f32> = 1e-12..=1e12;
/// Most nodes crossed between a constant's `DequantizeLinear` and its reader.
const MAX_HOPS: usize = 8;

/// The parameters of a `QuantizeLinear` or `DequantizeLinear`.
pub(super) struct Params {
    pub scales: Vec<f32>,
    /// As many as scales, as they stand in the file.
    pub zero_points: Vec<i32>,
    /// Axis of the scales, if there are several.
    pub axis: i64,
    /// Type of the integers.
    pub dtype: DatumType,
}

impl Params {
    /// Reads those of a node that quantises to bytes, or dequantises them or biases.
    pub fn of(net: &FactGraph, node: &NodeProto) -> Try<Params> {
        let params = Self::of_any(net, node)?;
        match params.dtype {
            DatumType::I8 | DatumType::U8 | DatumType::I32 => Ok(params),
            _ => Err("it quantises to another type than 8-bit integers".into()),
        }
    }

    /// Reads those of a node, of any type of integers that quantises.
    pub fn of_any(net: &FactGraph, node: &NodeProto) -> Try<Params> {
        if node::int(node, "block_size", 0)? != 0 {
            return Err("it quantises in blocks".into());
        }
        let name = node::required_input(node, 1)?;
        if net.dtype(name) != Some(DatumType::F32) {
            return Err("its scale is not a float".into());
        }
        let scales = net.floats(name).map_err(|why| format!("its scale: {why}"))?;
        if let Some(scale) = scales.iter().find(|s| !s.is_normal() || **s < 0.0) {
            return Err(format!("its scale {scale:e} cannot be"));
        }
        let zero_point = node::input(node, 2);
        let zero_type = zero_point.and_then(|name| net.dtype(name));
        let dtype = match (node.op_type.as_str(), zero_type) {
            ("DequantizeLinear", _) => net.dtype(node::required_input(node, 0)?),
            (_, Some(dtype)) => Some(dtype),
            _ => match node::int(node, "output_dtype", 0)? {
                0 | 2 => Some(DatumType::U8),
                3 => Some(DatumType::I8),
                4 => Some(DatumType::U16),
                5 => Some(DatumType::I16),
                _ => None,
            },
        };
        let known = [DatumType::I8, DatumType::U8, DatumType::I16, DatumType::U16, DatumType::I32];
        let dtype = dtype.filter(|d| known.contains(d)).ok_or("it quantises to another type than integers")?;
        let zero_points = match zero_point {
            Some(name) => net.ints(name).map_err(|why| format!("its zero point: {why}"))?,
            None => vec![0; scales.len()],
        };
        if zero_point.is_some() && zero_type != Some(dtype) {
            return Err("its zero point is of another type than its integers".into());
        }
        if zero_points.len() != scales.len() || scales.is_empty() {
            return Err(format!("it has {} scales and {} zero points", scales.len(), zero_points.len()));
        }
        let zero_points = zero_points.into_iter().map(|z| z as i32).collect();
        Ok(Params { scales, zero_points, axis: node::int(node, "axis", 1)?, dtype })
    }

    /// As one scale and zero point for a whole tensor of bytes, and whether these are unsigned.
    pub fn per_tensor(&self) -> Try<(Quant, bool)> {
        let unsigned = match self.dtype {
            DatumType::I8 => false,
            DatumType::U8 => true,
            _ => return Err("its integers are not bytes".into()),
        };
        match (&self.scales[..], &self.zero_points[..]) {
            (&[scale], &[zero_point]) => {
                if !SCALES.contains(&scale) {
                    return Err(format!("its scale {scale:e} is out of range"));
                }
                Ok((Quant { scale, zero_point: if unsigned { zero_point - 128 } else { zero_point } }, unsigned))
            }
            _ => Err("an activation has a scale for each channel".into()),
        }
    }
}

/// The byte for a real, as `QuantizeLinear` defines it.
pub(super) fn quantise(quant: Quant, real: f32) -> i8 {
    let mut byte = [0];
    kernels::quantize(&[real], (quant.scale, quant.zero_point), &mut byte);
    byte[0]
}

/// The real that a byte stands for.
pub(super) fn dequantise(quant: Quant, byte: i8) -> f32 {
    (i32::from(byte) - quant.zero_point) as f32 * quant.scale
}

/// The byte for a real that has one exactly.
pub(super) fn exactly(quant: Quant, real: f32) -> Option<i8> {
    let byte = quantise(quant, real);
    (dequantise(quant, byte) == real).then_some(byte)
}

/// Integers of a constant.
#[derive(Clone)]
pub(super) enum Values {
    /// Bytes; of unsigned ones 128 is taken.
    Bytes(Weights<i8>),
    /// Those of biases.
    Ints(Vec<i32>),
}

impl Values {
    /// Number of them.
    pub fn len(&self) -> usize {
        match self {
            Values::Bytes(bytes) => bytes.len(),
            Values::Ints(ints) => ints.len(),
        }
    }

    fn get(&self, index: usize) -> i64 {
        match self {
            Values::Bytes(bytes) => bytes[index].into(),
            Values::Ints(ints) => ints[index].into(),
        }
    }
}

/// A constant that the file holds as integers.
#[derive(Clone)]
pub(super) struct Stored {
    /// The integers, row-major.
    pub values: Values,
    pub shape: Vec<usize>,
    /// One, or as many as dimension `axis` has.
    pub scales: Vec<f32>,
    /// One, or as many as dimension `axis` has; less 128 for unsigned bytes.
    pub zero_points: Vec<i32>,
    pub axis: usize,
}

impl Stored {
    /// Follows a float constant back to the integers that it is made of.
    pub fn find(net: &FactGraph, name: &str) -> Try<Self> {
        Self::find_within(net, name, MAX_HOPS)
    }

    fn find_within(net: &FactGraph, name: &str, hops: usize) -> Try<Self> {
        let floats = || format!("constant {name:?} is not quantised");
        let node = net.node(net.producer(name).ok_or_else(floats)?);
        if hops == 0 || !net.is_constant(name) {
            return Err(floats());
        }
        match (operators::effect(&node.op_type), node.op_type.as_str()) {
            (Effect::Dequantize, _) => Self::dequantised(net, node),
            (_, "Transpose") => {
                let stored = Self::find_within(net, node::required_input(node, 0)?, hops - 1)?;
                let perm = node::permutation(node, stored.shape.len())?;
                Ok(stored.transposed(&perm))
            }
            (Effect::Reshape, _) => {
                let stored = Self::find_within(net, node::required_input(node, 0)?, hops - 1)?;
                stored.reshaped(net.shape(name)?)
            }
            _ => Err(floats()),
        }
    }

    fn dequantised(net: &FactGraph, node: &NodeProto) -> Try<Self> {
        let params = Params::of(net, node)?;
        let name = node::required_input(node, 0)?;
        let shape = net.shape(name)?;
        let values = match Self::integers(net, name) {
            Ok(values) => values,
            Err(why) => Self::quantised(net, name).ok_or(why)?,
        };
        let axis = if params.scales.len() > 1 { node::axis(params.axis, shape.len())? } else { 0 };
        if params.scales.len() > 1 && params.scales.len() != shape[axis] {
            return Err(format!("it has {} scales for a dimension of {}", params.scales.len(), shape[axis]));
        }
        if values.len() != shape.iter().product::<usize>() {
            return Err(format!("constant {name:?} does not fill its shape"));
        }
        let shift = if params.dtype == DatumType::U8 { 128 } else { 0 };
        let zero_points = params.zero_points.iter().map(|z| z.wrapping_sub(shift)).collect();
        Ok(Stored { values, shape, scales: params.scales, zero_points, axis })
    }

    /// The values of a constant of integers: signed bytes as they lie in the file, others copied.
    pub fn integers(net: &FactGraph, name: &str) -> Try<Values> {
        let tensor = net.fact(name)?.value.clone().ok_or_else(|| format!("tensor {name:?} is not a constant"))?;
        match tensor.datum_type() {
            DatumType::I8 => {
                Weights::shared(tensor).map(Values::Bytes).ok_or_else(|| "its integers are not read".into())
            }
            DatumType::U8 => {
                let unsigned = Weights::<u8>::shared(tensor).ok_or("its integers are not read")?;
                Ok(Values::Bytes(unsigned.iter().map(|v| (v ^ 0x80) as i8).collect::<Vec<_>>().into()))
            }
            _ => Ok(Values::Ints(tensor::integers(&tensor)?)),
        }
    }

    /// Bytes of a float constant behind a `QuantizeLinear` that is not computed yet.
    fn quantised(net: &FactGraph, name: &str) -> Option<Values> {
        let node = net.node(net.producer(name)?);
        if node.op_type != "QuantizeLinear" {
            return None;
        }
        let params = Params::of(net, node).ok()?;
        let values = net.floats(node::input(node, 0)?).ok()?;
        let shape = net.shape(name).ok()?;
        let axis = if params.scales.len() > 1 { node::axis(params.axis, shape.len()).ok()? } else { 0 };
        let inner: usize = shape.get(axis + 1..).unwrap_or_default().iter().product();
        let shift = match params.dtype {
            DatumType::I8 => 0,
            DatumType::U8 => 128,
            _ => return None,
        };
        let count = params.scales.len();
        let byte = |(index, &real): (usize, &f32)| {
            let slice = (index / inner.max(1)) % count;
            let quant = Quant { scale: params.scales[slice], zero_point: params.zero_points[slice] - shift };
            quantise(quant, real)
        };
        Some(Values::Bytes(values.iter().enumerate().map(byte).collect::<Vec<_>>().into()))
    }

    /// Number of slices along [`Stored::axis`] that have parameters of their own.
    pub fn slices(&self) -> usize {
        self.scales.len().max(self.zero_points.len())
    }

    /// Elements of one slice that follow one another.
    fn inner(&self) -> usize {
        self.shape.get(self.axis + 1..).unwrap_or_default().iter().product::<usize>().max(1)
    }

    /// An integer less its zero point.
    fn step(&self, index: usize) -> i64 {
        let slice = index / self.inner() % self.zero_points.len();
        self.values.get(index) - i64::from(self.zero_points[slice])
    }

    /// The reals that they stand for.
    pub fn reals(&self) -> Vec<f64> {
        let (inner, count) = (self.inner(), self.scales.len());
        let scale = |index: usize| f64::from(self.scales[index / inner % count]);
        (0..self.values.len()).map(|index| self.step(index) as f64 * scale(index)).collect()
    }

    /// With axes in another order.
    pub fn transposed(mut self, perm: &[usize]) -> Self {
        let mut strides = vec![1usize; self.shape.len()];
        for axis in (1..self.shape.len()).rev() {
            strides[axis - 1] = strides[axis] * self.shape[axis];
        }
        let shape: Vec<usize> = perm.iter().map(|&p| self.shape[p]).collect();
        let strides: Vec<usize> = perm.iter().map(|&p| strides[p]).collect();
        let keeps_order = perm.iter().filter(|&&p| self.shape[p] != 1).is_sorted();
        self.values = match self.values {
            same if keeps_order => same,
            Values::Bytes(bytes) => Values::Bytes(permuted(&bytes, &shape, &strides).into()),
            Values::Ints(ints) => Values::Ints(permuted(&ints, &shape, &strides)),
        };
        self.axis = perm.iter().position(|&p| p == self.axis).unwrap_or(0);
        self.shape = shape;
        self
    }

    /// Under another shape, in which the axis of the scales must be found again.
    pub fn reshaped(mut self, shape: Vec<usize>) -> Try<Self> {
        if shape.iter().product::<usize>() != self.values.len() {
            return Err("a constant is reshaped to another size".into());
        }
        let slices = self.slices();
        if slices > 1 {
            let before: usize = self.shape[..self.axis].iter().product();
            let same = |a: &usize| shape[..*a].iter().product::<usize>() == before && shape[*a] == slices;
            self.axis = (0..shape.len()).find(same).ok_or("a constant's scales do not survive its Reshape")?;
        }
        self.shape = shape;
        Ok(self)
    }

    /// The only value of a small constant that is the same everywhere.
    pub fn uniform(net: &FactGraph, name: &str) -> Option<f32> {
        if net.shape(name).ok()?.iter().product::<usize>() > MAX_UNIFORM_VALUES {
            return None;
        }
        let stored = Self::find(net, name).ok()?;
        let &[scale] = &stored.scales[..] else { return None };
        let first = stored.step(0);
        (1..stored.values.len()).all(|index| stored.step(index) == first).then_some(first as f32 * scale)
    }

    /// As bytes with one quantisation.
    pub fn bytes(&self) -> Try<(Quant, Vec<i8>)> {
        let (&[scale], &[zero_point]) = (&self.scales[..], &self.zero_points[..]) else {
            return Err("a constant operand has a scale for each channel".into());
        };
        if !SCALES.contains(&scale) {
            return Err(format!("the scale {scale:e} of a constant operand is out of range"));
        }
        let bytes = match &self.values {
            Values::Bytes(bytes) => Some(bytes.to_vec()),
            Values::Ints(ints) => ints.iter().map(|&int| i8::try_from(int).ok()).collect(),
        };
        Ok((Quant { scale, zero_point }, bytes.ok_or("a constant operand is not of bytes")?))
    }

    /// As bytes from which zero points are still to be taken.
    pub fn into_bytes(self) -> Try<(Weights<i8>, Vec<i32>)> {
        match self.values {
            Values::Bytes(bytes) => Ok((bytes, self.zero_points)),
            Values::Ints(_) => {
                let steps = (0..self.values.len()).map(|index| i8::try_from(self.step(index)).ok());
                let bytes = steps.collect::<Option<Vec<i8>>>().ok_or("an integer is too large for weights")?;
                Ok((bytes.into(), vec![0]))
            }
        }
    }
}

/// Values by another walk through them: `strides` along the axes of the new `shape`.
fn permuted<T: Copy + Default>(values: &[T], shape: &[usize], strides: &[usize]) -> Vec<T> {
    if let (&[columns, rows], &[1, _]) = (shape, strides) {
        return columns_first(values, rows, columns);
    }
    // The last axis in a tight loop, the others counted up like the digits of a number.
    let (len, stride) = shape.last().zip(strides.last()).map_or((1, 1), |(&len, &stride)| (len, stride));
    let outer = shape.len().saturating_sub(1);
    let mut at = vec![0usize; outer];
    let mut moved = Vec::with_capacity(values.len());
    while moved.len() < values.len() {
        let start: usize = at.iter().zip(strides).map(|(a, s)| a * s).sum();
        moved.extend((0..len).map(|i| values[start + i * stride]));
        for axis in (0..outer).rev() {
            at[axis] += 1;
            if at[axis] < shape[axis] {
                break;
            }
            at[axis] = 0;
        }
    }
    moved
}

/// `[rows][columns]` as `[columns][rows]`, by squares that stay in the nearest cache.
pub(super) fn columns_first<T: Copy + Default>(values: &[T], rows: usize, columns: usize) -> Vec<T> {
    const SIDE: usize = 32;
    let mut out = vec![T::default(); values.len()];
    for top in (0..rows).step_by(SIDE) {
        let height = SIDE.min(rows - top);
        for left in (0..columns).step_by(SIDE) {
            for column in left..columns.min(left + SIDE) {
                let to = &mut out[column * rows + top..][..height];
                to.iter_mut().zip(top..).for_each(|(to, row)| *to = values[row * columns + column]);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_are_turned_whatever_their_size() {
        for (rows, columns) in [(1, 1), (1, 70), (70, 1), (32, 64), (33, 65), (100, 3)] {
            let values: Vec<i32> = (0..(rows * columns) as i32).collect();
            let expected: Vec<i32> =
                (0..columns).flat_map(|c| (0..rows).map(move |r| (r * columns + c) as i32)).collect();
            assert_eq!(columns_first(&values, rows, columns), expected, "{rows} × {columns}");
            assert_eq!(permuted(&values, &[columns, rows], &[1, columns]), expected, "{rows} × {columns}");
        }
    }
}
