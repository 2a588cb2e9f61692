//! Tensors inside an ONNX file: their type, whether they are whole, their values, and quantisation found through them.

use std::collections::HashMap;

use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::{GraphProto, NodeProto, TensorProto};
use tract_onnx::prelude::DatumType;

use super::external::REMEDY;
use super::graph::MAX_TENSOR_BYTES;
use crate::frame::Quant;

/// How many nodes are crossed in search of a quantisation, from an input or output of the graph.
const MAX_HOPS: usize = 8;

/// Operators that move values without changing them: a quantisation holds on both sides.
const MOVERS: [&str; 8] = ["Identity", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "MaxPool", "Slice"];

/// The element type that an ONNX type number stands for, if it can run here.
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

/// ONNX's name of a type number.
pub fn type_name(onnx: i32) -> String {
    DataType::try_from(onnx).map_or_else(|_| format!("type {onnx}"), |t| t.as_str_name().to_lowercase())
}

/// Bytes that a tensor's shape and type ask for; `None` if they cannot be.
pub fn declared_bytes(tensor: &TensorProto) -> Option<usize> {
    elements(tensor)?.checked_mul(datum_type(tensor.data_type)?.size_of())
}

/// Whether a tensor is whole: a known type, sane dimensions, as many values as they say, all inside the file.
pub fn check(tensor: &TensorProto) -> Result<(), String> {
    if tensor.data_location == Some(DataLocation::External as i32) || !tensor.external_data.is_empty() {
        let location = tensor.external_data.iter().find(|e| e.key == "location");
        let location = location.map(|e| e.value.clone()).unwrap_or_default();
        return Err(format!(
            "its values lie in another file ({location:?}), which is read beside a single .onnx file only; {REMEDY}"
        ));
    }
    let Some(dtype) = datum_type(tensor.data_type) else {
        return Err(format!("its element type ({}) is not supported", type_name(tensor.data_type)));
    };
    let Some(count) = elements(tensor) else {
        return Err(format!("its shape {:?} cannot be", tensor.dims));
    };
    match declared_bytes(tensor) {
        Some(bytes) if bytes <= MAX_TENSOR_BYTES => {}
        _ => return Err(format!("its shape {:?} asks for more than {} MiB", tensor.dims, MAX_TENSOR_BYTES >> 20)),
    }
    if tensor.segment.is_some() {
        return Err("segmented tensors are not supported".into());
    }
    let (found, want) = if tensor.raw_data.is_empty() {
        let found = match dtype {
            DatumType::F32 => tensor.float_data.len(),
            DatumType::F64 => tensor.double_data.len(),
            DatumType::I64 => tensor.int64_data.len(),
            DatumType::U32 | DatumType::U64 => tensor.uint64_data.len(),
            _ => tensor.int32_data.len(),
        };
        (found, count)
    } else {
        (tensor.raw_data.len(), count * dtype.size_of())
    };
    if found != want {
        let unit = if tensor.raw_data.is_empty() { "values" } else { "bytes" };
        return Err(format!("it holds {found} {unit}, its shape {:?} asks for {want}", tensor.dims));
    }
    Ok(())
}

fn elements(tensor: &TensorProto) -> Option<usize> {
    tensor.dims.iter().try_fold(1usize, |acc, &d| acc.checked_mul(usize::try_from(d).ok()?))
}

/// The constant values of a graph by name: initialisers and `Constant` nodes.
pub struct Values<'a> {
    initialisers: HashMap<&'a str, &'a TensorProto>,
    constants: HashMap<&'a str, &'a TensorProto>,
}

impl<'a> Values<'a> {
    /// Collects them.
    pub fn of(graph: &'a GraphProto) -> Self {
        let constants = graph.node.iter().filter(|n| n.op_type == "Constant").filter_map(|n| {
            let tensor = n.attribute.iter().find(|a| a.name == "value")?.t.as_ref()?;
            Some((n.output.first()?.as_str(), tensor))
        });
        Values {
            initialisers: graph.initializer.iter().map(|t| (t.name.as_str(), t)).collect(),
            constants: constants.collect(),
        }
    }

    /// Whether `name` is an initialiser.
    pub fn is_initialiser(&self, name: &str) -> bool {
        self.initialisers.contains_key(name)
    }

    /// The tensor called `name`, if it is constant.
    pub fn get(&self, name: &str) -> Option<&'a TensorProto> {
        self.initialisers.get(name).or_else(|| self.constants.get(name)).copied()
    }

    /// The only value of a constant of one element, as a real.
    pub fn scalar(&self, name: &str) -> Option<f64> {
        let tensor = self.get(name)?;
        (elements(tensor)? == 1).then(|| reals(tensor)).flatten()?.first().copied()
    }
}

/// The values of a checked tensor as reals; `None` for types that have none.
pub fn reals(tensor: &TensorProto) -> Option<Vec<f64>> {
    fn raw<const N: usize>(bytes: &[u8], get: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        bytes.chunks_exact(N).filter_map(|c| c.try_into().ok()).map(get).collect()
    }
    let bytes = &tensor.raw_data;
    let dtype = datum_type(tensor.data_type)?;
    if bytes.is_empty() {
        return Some(match dtype {
            DatumType::F32 => tensor.float_data.iter().map(|&v| f64::from(v)).collect(),
            DatumType::F64 => tensor.double_data.clone(),
            DatumType::I64 => tensor.int64_data.iter().map(|&v| v as f64).collect(),
            DatumType::U32 | DatumType::U64 => tensor.uint64_data.iter().map(|&v| v as f64).collect(),
            DatumType::F16 => return None,
            _ => tensor.int32_data.iter().map(|&v| f64::from(v)).collect(),
        });
    }
    Some(match dtype {
        DatumType::F32 => raw(bytes, |b| f64::from(f32::from_le_bytes(b))),
        DatumType::F64 => raw(bytes, f64::from_le_bytes),
        DatumType::I8 => raw(bytes, |b| f64::from(i8::from_le_bytes(b))),
        DatumType::U8 | DatumType::Bool => raw(bytes, |b| f64::from(u8::from_le_bytes(b))),
        DatumType::I16 => raw(bytes, |b| f64::from(i16::from_le_bytes(b))),
        DatumType::U16 => raw(bytes, |b| f64::from(u16::from_le_bytes(b))),
        DatumType::I32 => raw(bytes, |b| f64::from(i32::from_le_bytes(b))),
        DatumType::U32 => raw(bytes, |b| f64::from(u32::from_le_bytes(b))),
        DatumType::I64 => raw(bytes, |b| i64::from_le_bytes(b) as f64),
        DatumType::U64 => raw(bytes, |b| u64::from_le_bytes(b) as f64),
        _ => return None,
    })
}

/// Quantisation of the integer input `name`: what its first consumer dequantises it with.
pub fn quant_of_input(graph: &GraphProto, values: &Values, name: &str) -> Option<Quant> {
    let mut name = name;
    for _ in 0..MAX_HOPS {
        let node = graph.node.iter().find(|n| n.input.first().is_some_and(|i| i == name))?;
        match node.op_type.as_str() {
            "DequantizeLinear" | "QLinearConv" | "QLinearMatMul" => return quant_at(node, values, 1),
            op if MOVERS.contains(&op) => name = node.output.first()?,
            _ => return None,
        }
    }
    None
}

/// Quantisation of the integer output `name`: what its producer quantised it with.
pub fn quant_of_output(graph: &GraphProto, values: &Values, name: &str) -> Option<Quant> {
    let mut name = name;
    for _ in 0..MAX_HOPS {
        let node = graph.node.iter().find(|n| n.output.iter().any(|o| o == name))?;
        match node.op_type.as_str() {
            "QuantizeLinear" => return quant_at(node, values, 1),
            "QLinearConv" | "QLinearMatMul" => return quant_at(node, values, 6),
            op if MOVERS.contains(&op) => name = node.input.first()?,
            _ => return None,
        }
    }
    None
}

/// Scale at input `index` of `node`, zero point right after it.
fn quant_at(node: &NodeProto, values: &Values, index: usize) -> Option<Quant> {
    let scale = values.scalar(node.input.get(index)?)? as f32;
    let zero_point = match node.input.get(index + 1) {
        Some(name) if !name.is_empty() => values.scalar(name)? as i32,
        _ => 0,
    };
    (scale.is_finite() && scale > 0.0).then_some(Quant { scale, zero_point })
}
