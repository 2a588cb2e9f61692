//! Names of the constants that are written, and their element types and order of elements.

use std::collections::HashMap;

use tract_onnx::pb::tensor_proto::DataType;

use super::schema::ElementType;

/// A result, or the part of an operator that has no form here.
pub type Try<T> = Result<T, String>;

/// Names of constants by their contents.
#[derive(Default)]
pub struct Constants {
    /// Names of small ones by type, shape and bytes.
    pub small: HashMap<(i32, Vec<i64>, Vec<u8>), String>,
    /// Names of those of the file by tensor, shape and order of axes.
    pub large: HashMap<(usize, Vec<usize>, Vec<usize>), String>,
}

/// The element type in ONNX.
pub fn onnx_type(kind: ElementType) -> Try<DataType> {
    Ok(match kind {
        ElementType::F32 => DataType::Float,
        ElementType::I8 => DataType::Int8,
        ElementType::U8 => DataType::Uint8,
        ElementType::I32 => DataType::Int32,
        ElementType::I64 => DataType::Int64,
        ElementType::F64 => DataType::Double,
        ElementType::I16 => DataType::Int16,
        ElementType::U16 => DataType::Uint16,
        ElementType::U32 => DataType::Uint32,
        ElementType::U64 => DataType::Uint64,
        ElementType::Bool => DataType::Bool,
        other => return Err(format!("it is of type {}, which has no form here", other.name())),
    })
}

/// Elements of `width` bytes of a tensor of shape `shape`, with axes in another order.
pub fn permuted(values: &[u8], shape: &[usize], order: &[usize], width: usize) -> Vec<u8> {
    if order.iter().copied().eq(0..shape.len()) {
        return values.to_vec();
    }
    let mut strides = vec![width; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    let (dims, strides): (Vec<usize>, Vec<usize>) = order.iter().map(|&axis| (shape[axis], strides[axis])).unzip();
    let mut out = Vec::with_capacity(values.len());
    let mut at = vec![0usize; dims.len()];
    while out.len() < values.len() {
        let start: usize = at.iter().zip(&strides).map(|(a, s)| a * s).sum();
        out.extend_from_slice(&values[start..start + width]);
        for axis in (0..dims.len()).rev() {
            at[axis] += 1;
            if at[axis] < dims[axis] {
                break;
            }
            at[axis] = 0;
        }
    }
    out
}
