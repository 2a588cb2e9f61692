//! Tensors of an ONNX file: element types, sizes and values.

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{NodeProto, TensorProto};
use tract_onnx::prelude::{Datum, DatumType, Tensor, TractResult};

use super::{OnnxError, node};

/// The element type that an ONNX type number stands for, of those that can run here.
pub fn datum_type(onnx: i32) -> Option<DatumType> {
    Some(match DataType::try_from(onnx).ok()? {
        DataType::Float => DatumType::F32,
        DataType::Double => DatumType::F64,
        DataType::Float16 => DatumType::F16,
        DataType::Int8 => DatumType::I8,
        DataType::Int16 => DatumType::I16,
        DataType::Int32 => DatumType::I32,
        DataType::Int64 => DatumType::I64,
        DataType::Uint8 => DatumType::U8,
        DataType::Uint16 => DatumType::U16,
        DataType::Uint32 => DatumType::U32,
        DataType::Uint64 => DatumType::U64,
        DataType::Bool => DatumType::Bool,
        _ => return None,
    })
}

/// ONNX's type of elements that are numbers or truths; `None` for others.
pub fn data_type(dtype: DatumType) -> Option<DataType> {
    use DataType::{Bool, Double, Float, Float16, Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64};
    let all = [Float, Double, Float16, Int8, Int16, Int32, Int64, Uint8, Uint16, Uint32, Uint64, Bool];
    all.into_iter().find(|&kind| datum_type(kind as i32) == Some(dtype))
}

/// ONNX's name of a type number.
pub fn type_name(onnx: i32) -> String {
    DataType::try_from(onnx).map_or_else(|_| format!("type {onnx}"), |t| t.as_str_name().to_lowercase())
}

/// Number of elements; `None` for a negative dimension or a product out of range.
pub fn elements(tensor: &TensorProto) -> Option<usize> {
    tensor.dims.iter().try_fold(1usize, |acc, &d| acc.checked_mul(usize::try_from(d).ok()?))
}

/// Bytes that a tensor's shape and type ask for; `None` if they cannot be.
pub fn declared_bytes(tensor: &TensorProto) -> Option<usize> {
    elements(tensor)?.checked_mul(datum_type(tensor.data_type)?.size_of())
}

/// Number of values in the typed field that holds elements of type `dtype` where there are no raw bytes.
pub fn listed_values(tensor: &TensorProto, dtype: DatumType) -> usize {
    match dtype {
        DatumType::F32 => tensor.float_data.len(),
        DatumType::F64 => tensor.double_data.len(),
        DatumType::I64 => tensor.int64_data.len(),
        DatumType::U32 | DatumType::U64 => tensor.uint64_data.len(),
        _ => tensor.int32_data.len(),
    }
}

/// Shape and values of a constant; `None` where they do not fit each other, and for half precision and text.
pub fn read(proto: &TensorProto) -> Option<Tensor> {
    let shape = proto.dims.iter().map(|&d| usize::try_from(d).ok()).collect::<Option<Vec<usize>>>()?;
    let (ints, longs) = (|| proto.int32_data.iter(), || proto.uint64_data.iter());
    match datum_type(proto.data_type)? {
        DatumType::F32 => whole(proto, &shape, f32::from_le_bytes, || proto.float_data.clone()),
        DatumType::F64 => whole(proto, &shape, f64::from_le_bytes, || proto.double_data.clone()),
        DatumType::I64 => whole(proto, &shape, i64::from_le_bytes, || proto.int64_data.clone()),
        DatumType::U64 => whole(proto, &shape, u64::from_le_bytes, || proto.uint64_data.clone()),
        DatumType::U32 => whole(proto, &shape, u32::from_le_bytes, || longs().map(|&v| v as u32).collect()),
        DatumType::I32 => whole(proto, &shape, i32::from_le_bytes, || proto.int32_data.clone()),
        DatumType::I16 => whole(proto, &shape, i16::from_le_bytes, || ints().map(|&v| v as i16).collect()),
        DatumType::U16 => whole(proto, &shape, u16::from_le_bytes, || ints().map(|&v| v as u16).collect()),
        DatumType::I8 => whole(proto, &shape, i8::from_le_bytes, || ints().map(|&v| v as i8).collect()),
        DatumType::U8 => whole(proto, &shape, u8::from_le_bytes, || ints().map(|&v| v as u8).collect()),
        DatumType::Bool => whole(proto, &shape, |[byte]| byte != 0, || ints().map(|&v| v != 0).collect()),
        _ => None,
    }
}

/// A tensor from raw little-endian bytes, or from a list of values where there are none.
fn whole<T: Datum + Copy, const N: usize>(
    proto: &TensorProto,
    shape: &[usize],
    parse: impl Fn([u8; N]) -> T,
    listed: impl Fn() -> Vec<T>,
) -> Option<Tensor> {
    let values: Vec<T> = if proto.raw_data.is_empty() {
        listed()
    } else {
        proto.raw_data.chunks_exact(N).filter_map(|bytes| bytes.try_into().ok()).map(parse).collect()
    };
    if values.len() != elements(proto)? {
        return None;
    }
    Tensor::from_shape(shape, &values).ok()
}

/// Value of a `Constant` node; `None` for other nodes, and for constants that are lists or text in an attribute.
pub fn of_node(node: &NodeProto) -> Option<Tensor> {
    if node.op_type != "Constant" {
        return None;
    }
    if let Some(tensor) = node::attribute(node, "value") {
        return read(tensor.t.as_ref()?);
    }
    if let Some(float) = node::attribute(node, "value_float") {
        return Tensor::from_shape(&[], &[float.f]).ok();
    }
    Tensor::from_shape(&[], &[node::attribute(node, "value_int")?.i]).ok()
}

/// A constant of floats or integers as a file holds it; `None` for other types.
pub fn write(name: &str, tensor: &Tensor) -> Option<TensorProto> {
    let dims = tensor.shape().iter().map(|&d| d as i64).collect();
    let mut proto = TensorProto { name: name.to_owned(), dims, ..Default::default() };
    match tensor.datum_type() {
        DatumType::F32 => {
            proto.data_type = DataType::Float as i32;
            proto.float_data = values(tensor).ok()?;
        }
        DatumType::I32 => {
            proto.data_type = DataType::Int32 as i32;
            proto.int32_data = values(tensor).ok()?;
        }
        // The type of dimensions, which has no name outside tract's own crates, is written as the integers that it holds.
        dtype if dtype == DatumType::I64 || dtype.is_tdim() => {
            proto.data_type = DataType::Int64 as i32;
            proto.int64_data = ints(tensor).ok()?;
        }
        _ => return None,
    }
    Some(proto)
}

fn values<T: Datum + Copy>(tensor: &Tensor) -> TractResult<Vec<T>> {
    Ok(tensor.try_as_plain_ram()?.as_slice::<T>()?.to_vec())
}

fn cast<T: Datum + Copy>(tensor: &Tensor) -> Result<Vec<T>, OnnxError> {
    let cast = tensor.cast_to::<T>().and_then(|cast| values(&cast));
    cast.map_err(|error| OnnxError::Elements { reason: error.to_string() })
}

/// Elements as floats.
///
/// # Errors
/// [`OnnxError::Elements`] for text and symbols.
pub fn floats(tensor: &Tensor) -> Result<Vec<f32>, OnnxError> {
    cast(tensor)
}

/// Elements as 64-bit integers.
///
/// # Errors
/// [`OnnxError::Elements`] for text and symbols.
pub fn ints(tensor: &Tensor) -> Result<Vec<i64>, OnnxError> {
    cast(tensor)
}

/// Elements as integers of 16 or 32 bits. Weights are most of a file, so bytes are widened once, without a tensor in between.
///
/// # Errors
/// [`OnnxError::Elements`] for text and symbols, and where one does not fit.
pub fn integers<T: From<i8> + From<u8> + TryFrom<i32>>(tensor: &Tensor) -> Result<Vec<T>, OnnxError> {
    fn wide<B: Datum + Copy, T: From<B>>(tensor: &Tensor) -> TractResult<Vec<T>> {
        Ok(tensor.try_as_plain_ram()?.as_slice::<B>()?.iter().map(|&v| v.into()).collect())
    }
    let widened = match tensor.datum_type() {
        DatumType::I8 => wide::<i8, T>(tensor),
        DatumType::U8 => wide::<u8, T>(tensor),
        _ => {
            let fitting: Option<Vec<T>> = cast::<i32>(tensor)?.into_iter().map(|v| T::try_from(v).ok()).collect();
            return fitting.ok_or_else(|| OnnxError::Elements { reason: "an integer is too large for weights".into() });
        }
    };
    widened.map_err(|error| OnnxError::Elements { reason: error.to_string() })
}

/// The value of a tensor of one element, as a real.
pub fn scalar(proto: &TensorProto) -> Option<f64> {
    if elements(proto)? != 1 {
        return None;
    }
    cast::<f64>(&read(proto)?).ok()?.first().copied()
}

#[cfg(test)]
mod tests {
    use super::super::build;
    use super::*;

    #[test]
    fn values_are_read_from_bytes_and_from_lists() {
        for kind in [
            DataType::Float,
            DataType::Double,
            DataType::Int8,
            DataType::Uint8,
            DataType::Int16,
            DataType::Uint16,
            DataType::Int32,
            DataType::Uint32,
            DataType::Int64,
            DataType::Uint64,
        ] {
            let mut listed = build::tensor("t", kind, vec![2], vec![]);
            (listed.float_data, listed.double_data) = (vec![3.0, 100.0], vec![3.0, 100.0]);
            (listed.int32_data, listed.int64_data, listed.uint64_data) = (vec![3, 100], vec![3, 100], vec![3, 100]);
            let listed = read(&listed).unwrap_or_else(|| panic!("{kind:?}"));
            assert_eq!(floats(&listed), Ok(vec![3.0, 100.0]), "{kind:?}");
            let width = listed.datum_type().size_of();
            let bytes = match kind {
                DataType::Float => [3f32, 100.0].iter().flat_map(|v| v.to_le_bytes()).collect(),
                DataType::Double => [3f64, 100.0].iter().flat_map(|v| v.to_le_bytes()).collect(),
                _ => [3u64, 100].iter().flat_map(|v| v.to_le_bytes()[..width].to_vec()).collect::<Vec<u8>>(),
            };
            assert_eq!(read(&build::tensor("t", kind, vec![2], bytes.clone())), Some(listed), "{kind:?}");
            assert_eq!(read(&build::tensor("t", kind, vec![3], bytes)), None, "{kind:?}: a value is missing");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for tensor in [
            Tensor::from_shape(&[2, 1], &[0.5f32, -1.0]).unwrap(),
            Tensor::from_shape(&[], &[-7i32]).unwrap(),
            Tensor::from_shape(&[3], &[1i64, 2, i64::MIN]).unwrap(),
        ] {
            assert_eq!(read(&write("t", &tensor).unwrap()), Some(tensor));
        }
        assert!(write("t", &Tensor::from_shape(&[1], &[true]).unwrap()).is_none());
    }

    #[test]
    fn shapes_that_cannot_be_have_no_size() {
        let sized = |dims: &[i64]| elements(&build::tensor("t", DataType::Float, dims.to_vec(), vec![]));
        assert_eq!((sized(&[]), sized(&[2, 3]), sized(&[0, 4])), (Some(1), Some(6), Some(0)));
        assert_eq!((sized(&[-1]), sized(&[i64::MAX, 4])), (None, None));
    }
}
