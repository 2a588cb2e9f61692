//! Constants of an ONNX file as tensors.

use std::sync::Arc;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{NodeProto, TensorProto};
use tract_onnx::prelude::{Datum, DatumType, Tensor};

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

/// A constant of floats or integers as a file holds it.
pub(super) fn write(name: &str, fact: &Fact) -> Option<TensorProto> {
    let tensor = fact.value.as_deref()?;
    let dims = tensor.shape().iter().map(|&d| d as i64).collect();
    let mut proto = TensorProto { name: name.to_owned(), dims, ..Default::default() };
    match tensor.datum_type() {
        DatumType::F32 => {
            proto.data_type = DataType::Float as i32;
            proto.float_data = tensor.try_as_plain_ram().ok()?.as_slice::<f32>().ok()?.to_vec();
        }
        DatumType::I32 => {
            proto.data_type = DataType::Int32 as i32;
            proto.int32_data = tensor.try_as_plain_ram().ok()?.as_slice::<i32>().ok()?.to_vec();
        }
        // The type of dimensions, which has no name outside tract's own crates, is written as the integers that it holds.
        dtype if dtype == DatumType::I64 || dtype.is_tdim() => {
            let cast = tensor.cast_to::<i64>().ok()?;
            proto.data_type = DataType::Int64 as i32;
            proto.int64_data = cast.try_as_plain_ram().ok()?.as_slice::<i64>().ok()?.to_vec();
        }
        _ => return None,
    }
    Some(proto)
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
