//! Constants of an ONNX file as tensors.

use std::sync::Arc;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{NodeProto, TensorProto};
use tract_onnx::prelude::{Datum, Tensor};

use super::Fact;

/// Type, shape and value of a constant that the file holds; `None` for types that no parameter or weight has here.
pub(in crate::int8) fn read(proto: &TensorProto) -> Option<Fact> {
    let shape = proto.dims.iter().map(|&d| usize::try_from(d).ok()).collect::<Option<Vec<usize>>>()?;
    let count = shape.iter().try_fold(1usize, |acc, &d| acc.checked_mul(d))?;
    let raw = &proto.raw_data;
    let small = || proto.int32_data.iter();
    let tensor = match DataType::try_from(proto.data_type).ok()? {
        DataType::Float => whole(&shape, count, raw, f32::from_le_bytes, || proto.float_data.clone()),
        DataType::Double => whole(&shape, count, raw, f64::from_le_bytes, || proto.double_data.clone()),
        DataType::Int64 => whole(&shape, count, raw, i64::from_le_bytes, || proto.int64_data.clone()),
        DataType::Int32 => whole(&shape, count, raw, i32::from_le_bytes, || proto.int32_data.clone()),
        DataType::Int8 => whole(&shape, count, raw, i8::from_le_bytes, || small().map(|&v| v as i8).collect()),
        DataType::Uint8 => whole(&shape, count, raw, u8::from_le_bytes, || small().map(|&v| v as u8).collect()),
        _ => None,
    }?;
    Some(Fact { dtype: tensor.datum_type(), shape, value: Some(Arc::new(tensor)) })
}

/// The value of a `Constant` node.
pub(in crate::int8) fn of_node(node: &NodeProto) -> Option<Fact> {
    let attribute = |name: &str| node.attribute.iter().find(|a| a.name == name);
    if node.op_type != "Constant" {
        return None;
    }
    if let Some(tensor) = attribute("value") {
        return read(tensor.t.as_ref()?);
    }
    let scalar =
        |tensor: Tensor| Some(Fact { dtype: tensor.datum_type(), shape: vec![], value: Some(Arc::new(tensor)) });
    if let Some(float) = attribute("value_float") {
        return scalar(Tensor::from_shape(&[], &[float.f]).ok()?);
    }
    let int = attribute("value_int")?;
    scalar(Tensor::from_shape(&[], &[int.i]).ok()?)
}

/// A tensor from raw little-endian bytes, or from a list of values where there are none.
fn whole<T: Datum + Copy, const N: usize>(
    shape: &[usize],
    count: usize,
    raw: &[u8],
    parse: impl Fn([u8; N]) -> T,
    listed: impl Fn() -> Vec<T>,
) -> Option<Tensor> {
    let values: Vec<T> = if raw.is_empty() {
        listed()
    } else {
        raw.chunks_exact(N).filter_map(|bytes| bytes.try_into().ok()).map(parse).collect()
    };
    if values.len() != count {
        return None;
    }
    Tensor::from_shape(shape, &values).ok()
}
