//! Elements of tensors as numbers.

use std::borrow::Cow;

use tract_onnx::tract_hir::internal::*;

/// An input that must be there.
pub(super) fn required<'t, T>(inputs: &'t [Option<T>], index: usize) -> TractResult<&'t T> {
    inputs.get(index).and_then(Option::as_ref).with_context(|| format!("its input {index} is missing"))
}

/// Elements as floats.
pub(super) fn floats(tensor: &Tensor) -> TractResult<Vec<f32>> {
    let cast: Cow<Tensor> = tensor.cast_to::<f32>()?;
    Ok(cast.try_as_plain_ram()?.as_slice::<f32>()?.to_vec())
}
