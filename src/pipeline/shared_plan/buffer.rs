//! The values of one tensor outside of any plan.

use crate::frame::{DType, Elements, ElementsMut, TensorSpec, TensorView, TensorViewMut};

/// As many values as a [`TensorSpec`] says.
#[derive(Debug)]
pub(crate) enum Buffer {
    F32(Vec<f32>),
    I8(Vec<i8>),
    U8(Vec<u8>),
    I32(Vec<i32>),
    I64(Vec<i64>),
}

impl Buffer {
    /// Zeros.
    pub(crate) fn of(spec: &TensorSpec) -> Buffer {
        let len = spec.shape.iter().product();
        match spec.dtype {
            DType::F32 => Buffer::F32(vec![0.0; len]),
            DType::I8 => Buffer::I8(vec![0; len]),
            DType::U8 => Buffer::U8(vec![0; len]),
            DType::I32 => Buffer::I32(vec![0; len]),
            DType::I64 => Buffer::I64(vec![0; len]),
        }
    }

    pub(crate) fn view<'a>(&'a self, spec: &'a TensorSpec) -> TensorView<'a> {
        let data = match self {
            Buffer::F32(v) => Elements::F32(v),
            Buffer::I8(v) => Elements::I8(v),
            Buffer::U8(v) => Elements::U8(v),
            Buffer::I32(v) => Elements::I32(v),
            Buffer::I64(v) => Elements::I64(v),
        };
        TensorView { spec, data }
    }

    pub(crate) fn view_mut<'a>(&'a mut self, spec: &'a TensorSpec) -> TensorViewMut<'a> {
        let data = match self {
            Buffer::F32(v) => ElementsMut::F32(v),
            Buffer::I8(v) => ElementsMut::I8(v),
            Buffer::U8(v) => ElementsMut::U8(v),
            Buffer::I32(v) => ElementsMut::I32(v),
            Buffer::I64(v) => ElementsMut::I64(v),
        };
        TensorViewMut { spec, data }
    }

    /// Writes the values to part `place` of a tensor that is made of several of this size.
    pub(crate) fn write_to(&self, whole: TensorViewMut<'_>, place: usize) {
        match (self, whole.data) {
            (Buffer::F32(from), ElementsMut::F32(to)) => part(from, to, place),
            (Buffer::I8(from), ElementsMut::I8(to)) => part(from, to, place),
            (Buffer::U8(from), ElementsMut::U8(to)) => part(from, to, place),
            (Buffer::I32(from), ElementsMut::I32(to)) => part(from, to, place),
            (Buffer::I64(from), ElementsMut::I64(to)) => part(from, to, place),
            // `stacks` has compared the types.
            _ => {}
        }
    }

    /// Reads the values from part `place` of a tensor that is made of several of this size.
    pub(crate) fn read_from(&mut self, whole: TensorView<'_>, place: usize) {
        match (self, whole.data) {
            (Buffer::F32(to), Elements::F32(from)) => whole_part(from, to, place),
            (Buffer::I8(to), Elements::I8(from)) => whole_part(from, to, place),
            (Buffer::U8(to), Elements::U8(from)) => whole_part(from, to, place),
            (Buffer::I32(to), Elements::I32(from)) => whole_part(from, to, place),
            (Buffer::I64(to), Elements::I64(from)) => whole_part(from, to, place),
            _ => {}
        }
    }
}

/// Each tensor of `whole` is made of `parts` tensors of `one`, one behind the other.
pub(crate) fn stacks(one: &[TensorSpec], whole: &[TensorSpec], parts: usize) -> bool {
    let fits = |(one, whole): (&TensorSpec, &TensorSpec)| {
        let (Some((first, rest)), Some((all, others))) = (one.shape.split_first(), whole.shape.split_first()) else {
            return false;
        };
        one.dtype == whole.dtype && one.quant == whole.quant && *all == first * parts && rest == others
    };
    one.len() == whole.len() && one.iter().zip(whole).all(fits)
}

fn part<T: Copy>(from: &[T], to: &mut [T], place: usize) {
    if let Some(to) = to.get_mut(place * from.len()..(place + 1) * from.len()) {
        to.copy_from_slice(from);
    }
}

fn whole_part<T: Copy>(from: &[T], to: &mut [T], place: usize) {
    if let Some(from) = from.get(place * to.len()..(place + 1) * to.len()) {
        to.copy_from_slice(from);
    }
}
