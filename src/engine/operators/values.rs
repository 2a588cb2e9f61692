//! Elements of tensors as numbers, and numbers as elements of tensors.

use std::borrow::Cow;

use tract_onnx::tract_hir::internal::*;

/// An input that must be there.
pub(super) fn required<T>(inputs: &[Option<T>], index: usize) -> TractResult<&T> {
    inputs.get(index).and_then(Option::as_ref).with_context(|| format!("its input {index} is missing"))
}

/// An input that may be left out.
pub(super) fn optional<T>(inputs: &[Option<T>], index: usize) -> Option<&T> {
    inputs.get(index).and_then(Option::as_ref)
}

/// Elements of exactly that type.
pub(super) fn slice<T: Datum>(tensor: &Tensor) -> TractResult<&[T]> {
    tensor.try_as_plain_ram()?.as_slice::<T>()
}

/// Elements as floats.
pub(super) fn floats(tensor: &Tensor) -> TractResult<Vec<f32>> {
    cast(tensor)
}

/// Elements as doubles. Integers beyond 2⁵³ lose digits.
pub(super) fn doubles(tensor: &Tensor) -> TractResult<Vec<f64>> {
    cast(tensor)
}

/// Elements as integers; floats are cut off.
pub(super) fn ints(tensor: &Tensor) -> TractResult<Vec<i64>> {
    cast(tensor)
}

fn cast<T: Datum + Copy>(tensor: &Tensor) -> TractResult<Vec<T>> {
    let cast: Cow<Tensor> = tensor.cast_to::<T>()?;
    Ok(slice::<T>(&cast)?.to_vec())
}

/// The only element as an integer.
pub(super) fn scalar(tensor: &Tensor) -> TractResult<i64> {
    ensure!(tensor.len() == 1, "expected is one element, found shape {:?}", tensor.shape());
    ints(tensor)?.first().copied().context("it has no element")
}

/// A tensor of floats.
pub(super) fn of_floats(shape: &[usize], values: &[f32]) -> TractResult<Tensor> {
    Tensor::from_shape(shape, values)
}

/// A tensor of floats in any float type.
pub(super) fn of_doubles(dtype: DatumType, shape: &[usize], values: &[f64]) -> TractResult<Tensor> {
    match dtype {
        DatumType::F16 => Tensor::from_shape(shape, &values.iter().map(|&v| f16::from_f64(v)).collect::<Vec<_>>()),
        DatumType::F32 => Tensor::from_shape(shape, &values.iter().map(|&v| v as f32).collect::<Vec<_>>()),
        DatumType::F64 => Tensor::from_shape(shape, values),
        other => {
            let doubles = Tensor::from_shape(shape, values)?;
            let Ok(cast) = doubles.cast_to_dt(other) else { bail!("type {other:?} is not supported") };
            Ok(cast.into_owned())
        }
    }
}

/// Holds a shape that follows from values against the most that an output may have.
pub(super) fn check_size(dtype: DatumType, shape: &[usize]) -> TractResult<()> {
    const MAX_BYTES: usize = 1 << 30;
    let bytes = shape.iter().try_fold(dtype.size_of(), |bytes, dim| bytes.checked_mul(*dim));
    ensure!(bytes.is_some_and(|bytes| bytes <= MAX_BYTES), "its shape {shape:?} is too large");
    Ok(())
}

/// A tensor of zeros, of a shape that follows from values.
pub(super) fn zeros(dtype: DatumType, shape: &[usize]) -> TractResult<Tensor> {
    check_size(dtype, shape)?;
    Tensor::zero_dt(dtype, shape)
}

/// Axis of a tensor of that rank; negative ones count from the end.
pub(super) fn axis(axis: i64, rank: usize) -> TractResult<usize> {
    crate::onnx::node::axis(axis, rank).map_err(|error| format_err!("{error}"))
}

/// Row-major strides, in elements.
pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}

/// Products of the dimensions in front of an axis, the axis itself, and those behind it.
pub(super) fn around(shape: &[usize], axis: usize) -> (usize, usize, usize) {
    (shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product())
}

/// The next index of a shape in row-major order; false at the end.
pub(super) fn advance(index: &mut [usize], shape: &[usize]) -> bool {
    for axis in (0..shape.len()).rev() {
        index[axis] += 1;
        if index[axis] < shape[axis] {
            return true;
        }
        index[axis] = 0;
    }
    false
}
