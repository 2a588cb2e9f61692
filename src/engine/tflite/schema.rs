//! Codes of the format: `tensorflow/lite/schema/schema.fbs`, version 3.

use super::names::{OPERATORS, TYPES};

/// Bytes 4 to 7 of every file.
pub const IDENTIFIER: &[u8] = b"TFL3";

/// True if bytes have the file identifier of a TensorFlow Lite model.
pub fn is_tflite(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(IDENTIFIER)
}

/// Most dimensions of a tensor that is read.
pub const MAX_RANK: usize = 8;

/// Fields of the tables, by their place in the schema.
pub mod field {
    pub const MODEL_VERSION: usize = 0;
    pub const MODEL_CODES: usize = 1;
    pub const MODEL_SUBGRAPHS: usize = 2;
    pub const MODEL_BUFFERS: usize = 4;
    pub const CODE_OLD: usize = 0;
    pub const CODE_CUSTOM: usize = 1;
    pub const CODE_BUILTIN: usize = 3;
    pub const GRAPH_TENSORS: usize = 0;
    pub const GRAPH_INPUTS: usize = 1;
    pub const GRAPH_OUTPUTS: usize = 2;
    pub const GRAPH_OPERATORS: usize = 3;
    pub const TENSOR_SHAPE: usize = 0;
    pub const TENSOR_TYPE: usize = 1;
    pub const TENSOR_BUFFER: usize = 2;
    pub const TENSOR_NAME: usize = 3;
    pub const TENSOR_QUANT: usize = 4;
    pub const TENSOR_VARIABLE: usize = 5;
    pub const TENSOR_SPARSITY: usize = 6;
    pub const TENSOR_SIGNATURE: usize = 7;
    pub const SPARSITY_ORDER: usize = 0;
    pub const SPARSITY_BLOCKS: usize = 1;
    pub const SPARSITY_LEVELS: usize = 2;
    pub const LEVEL_FORMAT: usize = 0;
    pub const LEVEL_SIZE: usize = 1;
    /// Type of the union; the vector stands in the field behind it, here and in the next one.
    pub const LEVEL_SEGMENTS: usize = 2;
    pub const LEVEL_INDICES: usize = 4;
    pub const QUANT_SCALE: usize = 2;
    pub const QUANT_ZERO_POINT: usize = 3;
    pub const QUANT_AXIS: usize = 6;
    pub const BUFFER_DATA: usize = 0;
    pub const BUFFER_OFFSET: usize = 1;
    pub const BUFFER_SIZE: usize = 2;
    pub const OPERATOR_CODE: usize = 0;
    pub const OPERATOR_INPUTS: usize = 1;
    pub const OPERATOR_OUTPUTS: usize = 2;
    pub const OPERATOR_OPTIONS: usize = 4;
    pub const OPERATOR_CUSTOM_OPTIONS: usize = 5;
    /// Options of the operators that came last into the format.
    pub const OPERATOR_OPTIONS_2: usize = 12;
}

/// The name of a built-in operator.
pub fn operator_name(code: i32) -> String {
    let known = usize::try_from(code).ok().and_then(|code| OPERATORS.get(code));
    known.map_or_else(|| format!("built-in operator {code}"), |name| (*name).to_owned())
}

/// Element types that can be part of a model here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    F32,
    /// Constants only.
    F16,
    F64,
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    Bool,
    /// Pairs of floats, kept as a last axis of two.
    Complex64,
    /// A handle of a variable.
    Resource,
    /// Any other type, by its number.
    Other(i8),
}

impl ElementType {
    /// The type with a number.
    pub fn of(number: i8) -> ElementType {
        match number {
            0 => ElementType::F32,
            1 => ElementType::F16,
            2 => ElementType::I32,
            3 => ElementType::U8,
            4 => ElementType::I64,
            6 => ElementType::Bool,
            7 => ElementType::I16,
            8 => ElementType::Complex64,
            9 => ElementType::I8,
            10 => ElementType::F64,
            12 => ElementType::U64,
            13 => ElementType::Resource,
            15 => ElementType::U32,
            16 => ElementType::U16,
            other => ElementType::Other(other),
        }
    }

    /// Size of an element, in bytes.
    pub fn size_bytes(self) -> Option<usize> {
        match self {
            ElementType::I8 | ElementType::U8 | ElementType::Bool => Some(1),
            ElementType::F16 | ElementType::I16 | ElementType::U16 => Some(2),
            ElementType::F32 | ElementType::I32 | ElementType::U32 => Some(4),
            ElementType::F64 | ElementType::I64 | ElementType::U64 => Some(8),
            ElementType::Complex64 | ElementType::Resource | ElementType::Other(_) => None,
        }
    }

    /// Test for a type whose integers stand for reals where the tensor has a scale.
    pub fn is_quantised(self) -> bool {
        self.range().is_some()
    }

    /// Least and greatest integer of a type whose integers can stand for reals.
    pub fn range(self) -> Option<(i64, i64)> {
        match self {
            ElementType::I8 => Some((-128, 127)),
            ElementType::U8 => Some((0, 255)),
            ElementType::I16 => Some((-32_768, 32_767)),
            _ => None,
        }
    }

    /// The format's name of it.
    pub fn name(self) -> String {
        let number = match self {
            ElementType::F32 => 0,
            ElementType::F16 => 1,
            ElementType::I32 => 2,
            ElementType::U8 => 3,
            ElementType::I64 => 4,
            ElementType::Bool => 6,
            ElementType::I16 => 7,
            ElementType::Complex64 => 8,
            ElementType::I8 => 9,
            ElementType::F64 => 10,
            ElementType::U64 => 12,
            ElementType::Resource => 13,
            ElementType::U32 => 15,
            ElementType::U16 => 16,
            ElementType::Other(number) => number,
        };
        let known = usize::try_from(number).ok().and_then(|n| TYPES.get(n));
        known.map_or_else(|| format!("type {number}"), |name| (*name).to_owned())
    }
}

/// Activation fused into an operator, before its result is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    None,
    Relu,
    ReluN1To1,
    Relu6,
    Relu0To1,
    Tanh,
}

impl Activation {
    /// The one with a number.
    pub fn of(number: u8) -> Result<Activation, String> {
        Ok(match number {
            0 => Activation::None,
            1 => Activation::Relu,
            2 => Activation::ReluN1To1,
            3 => Activation::Relu6,
            4 => Activation::Tanh,
            other => return Err(format!("its fused activation {other} has no form here")),
        })
    }

    /// Least and greatest value that it lets pass, if that is all it does.
    pub fn limits(self) -> Option<(f32, f32)> {
        match self {
            Activation::None => Some((f32::NEG_INFINITY, f32::INFINITY)),
            Activation::Relu => Some((0.0, f32::INFINITY)),
            Activation::ReluN1To1 => Some((-1.0, 1.0)),
            Activation::Relu6 => Some((0.0, 6.0)),
            Activation::Relu0To1 => Some((0.0, 1.0)),
            Activation::Tanh => None,
        }
    }
}
