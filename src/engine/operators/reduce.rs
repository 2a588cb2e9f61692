//! `ReduceMax` and `ReduceMin` as the specification has them: of infinities, of truth values, and of nothing.

use tract_onnx::pb::NodeProto;
use tract_onnx::tract_hir::internal::*;

use super::kernel::{Kernel, Known, Outputs};
use super::values::{advance, axis, ints, optional, required, slice};
use crate::onnx::node;

pub(super) fn largest(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    parse(node, true)
}

pub(super) fn least(node: &NodeProto, _: i64) -> TractResult<Arc<dyn Kernel>> {
    parse(node, false)
}

fn parse(node: &NodeProto, largest: bool) -> TractResult<Arc<dyn Kernel>> {
    Ok(Arc::new(Extremum {
        largest,
        axes: node::ints(node, "axes")?.map(<[i64]>::to_vec),
        keeps: node::int(node, "keepdims", 1)? != 0,
        nothing_without_axes: node::flag(node, "noop_with_empty_axes")?,
    }))
}

#[derive(Debug)]
struct Extremum {
    largest: bool,
    /// As older versions have them; newer ones have an input.
    axes: Option<Vec<i64>>,
    keeps: bool,
    /// Without axes nothing is reduced, instead of everything.
    nothing_without_axes: bool,
}

impl Extremum {
    /// For each axis, whether it is reduced.
    fn reduced(&self, rank: usize, given: Option<Vec<i64>>) -> TractResult<Vec<bool>> {
        let axes = given.or_else(|| self.axes.clone()).unwrap_or_default();
        let mut reduced = vec![axes.is_empty() && !self.nothing_without_axes; rank];
        for along in axes {
            reduced[axis(along, rank)?] = true;
        }
        Ok(reduced)
    }

    fn shape(&self, x: &[usize], reduced: &[bool]) -> Vec<usize> {
        let dims = x.iter().zip(reduced);
        dims.filter(|(_, reduced)| self.keeps || !**reduced)
            .map(|(&dim, &reduced)| if reduced { 1 } else { dim })
            .collect()
    }

    fn fold<T: Datum + Copy>(
        &self,
        x: &Tensor,
        reduced: &[bool],
        start: T,
        better: impl Fn(T, T) -> bool,
    ) -> TractResult<Tensor> {
        let shape = self.shape(x.shape(), reduced);
        let mut made = Tensor::from_shape(&shape, &vec![start; shape.iter().product()])?;
        let mut plain = made.try_as_plain_ram_mut()?;
        let (out, values) = (plain.as_slice_mut::<T>()?, slice::<T>(x)?);
        // Strides of the output by the input's axes; the last axis is walked in one go.
        let mut strides = vec![0; reduced.len()];
        let mut stride = 1;
        for along in (0..reduced.len()).rev().filter(|&along| !reduced[along]) {
            strides[along] = stride;
            stride *= x.shape()[along];
        }
        let Some((&row, outer)) = x.shape().split_last() else {
            out.copy_from_slice(values);
            return Ok(made);
        };
        let (step, mut index) = (strides[outer.len()], vec![0; outer.len()]);
        for row in values.chunks(row.max(1)) {
            let at: usize = index.iter().zip(&strides).map(|(at, stride)| at * stride).sum();
            for (column, &value) in row.iter().enumerate() {
                let best = &mut out[at + column * step];
                if better(value, *best) {
                    *best = value;
                }
            }
            advance(&mut index, outer);
        }
        Ok(made)
    }

    fn whole<T: Datum + Copy + PartialOrd>(&self, x: &Tensor, reduced: &[bool], ends: (T, T)) -> TractResult<Tensor> {
        if self.largest {
            self.fold(x, reduced, ends.0, |value, best| value > best)
        } else {
            self.fold(x, reduced, ends.1, |value, best| value < best)
        }
    }
}

impl Kernel for Extremum {
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs> {
        let x = required(inputs, 0)?;
        let given = match optional(inputs, 1) {
            Some(Known { value: Some(axes), .. }) => Some(ints(axes)?),
            Some(_) => return Ok(None),
            None => None,
        };
        Ok(Some(vec![(x.dtype, self.shape(&x.shape, &self.reduced(x.shape.len(), given)?))]))
    }

    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>> {
        let x = *required(inputs, 0)?;
        let given = optional(inputs, 1).map(|axes| ints(axes)).transpose()?;
        let reduced = self.reduced(x.rank(), given)?;
        // A comparison with NaN is false: it is taken by itself, and stays.
        let (infinity, most) = (f32::INFINITY, self.largest);
        let made = match x.datum_type() {
            DatumType::F32 => self.fold(x, &reduced, if most { -infinity } else { infinity }, |value: f32, best| {
                value.is_nan() || if most { value > best } else { value < best }
            })?,
            DatumType::F64 => self.whole(x, &reduced, (f64::NEG_INFINITY, f64::INFINITY))?,
            DatumType::F16 => self.whole(x, &reduced, (f16::NEG_INFINITY, f16::INFINITY))?,
            DatumType::I64 => self.whole(x, &reduced, (i64::MIN, i64::MAX))?,
            DatumType::I32 => self.whole(x, &reduced, (i32::MIN, i32::MAX))?,
            DatumType::I16 => self.whole(x, &reduced, (i16::MIN, i16::MAX))?,
            DatumType::I8 => self.whole(x, &reduced, (i8::MIN, i8::MAX))?,
            DatumType::U64 => self.whole(x, &reduced, (u64::MIN, u64::MAX))?,
            DatumType::U32 => self.whole(x, &reduced, (u32::MIN, u32::MAX))?,
            DatumType::U16 => self.whole(x, &reduced, (u16::MIN, u16::MAX))?,
            DatumType::U8 => self.whole(x, &reduced, (u8::MIN, u8::MAX))?,
            DatumType::Bool => self.whole(x, &reduced, (false, true))?,
            other => bail!("type {other:?} is not supported"),
        };
        Ok(vec![made])
    }
}
