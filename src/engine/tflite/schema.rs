//! Codes of the format: `tensorflow/lite/schema/schema.fbs`, version 3.

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
}

/// Names of the built-in operators; the index is the operator's number.
const OPERATORS: &[&str] = &[
    "ADD",
    "AVERAGE_POOL_2D",
    "CONCATENATION",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "DEPTH_TO_SPACE",
    "DEQUANTIZE",
    "EMBEDDING_LOOKUP",
    "FLOOR",
    "FULLY_CONNECTED",
    "HASHTABLE_LOOKUP",
    "L2_NORMALIZATION",
    "L2_POOL_2D",
    "LOCAL_RESPONSE_NORMALIZATION",
    "LOGISTIC",
    "LSH_PROJECTION",
    "LSTM",
    "MAX_POOL_2D",
    "MUL",
    "RELU",
    "RELU_N1_TO_1",
    "RELU6",
    "RESHAPE",
    "RESIZE_BILINEAR",
    "RNN",
    "SOFTMAX",
    "SPACE_TO_DEPTH",
    "SVDF",
    "TANH",
    "CONCAT_EMBEDDINGS",
    "SKIP_GRAM",
    "CALL",
    "CUSTOM",
    "EMBEDDING_LOOKUP_SPARSE",
    "PAD",
    "UNIDIRECTIONAL_SEQUENCE_RNN",
    "GATHER",
    "BATCH_TO_SPACE_ND",
    "SPACE_TO_BATCH_ND",
    "TRANSPOSE",
    "MEAN",
    "SUB",
    "DIV",
    "SQUEEZE",
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "STRIDED_SLICE",
    "BIDIRECTIONAL_SEQUENCE_RNN",
    "EXP",
    "TOPK_V2",
    "SPLIT",
    "LOG_SOFTMAX",
    "DELEGATE",
    "BIDIRECTIONAL_SEQUENCE_LSTM",
    "CAST",
    "PRELU",
    "MAXIMUM",
    "ARG_MAX",
    "MINIMUM",
    "LESS",
    "NEG",
    "PADV2",
    "GREATER",
    "GREATER_EQUAL",
    "LESS_EQUAL",
    "SELECT",
    "SLICE",
    "SIN",
    "TRANSPOSE_CONV",
    "SPARSE_TO_DENSE",
    "TILE",
    "EXPAND_DIMS",
    "EQUAL",
    "NOT_EQUAL",
    "LOG",
    "SUM",
    "SQRT",
    "RSQRT",
    "SHAPE",
    "POW",
    "ARG_MIN",
    "FAKE_QUANT",
    "REDUCE_PROD",
    "REDUCE_MAX",
    "PACK",
    "LOGICAL_OR",
    "ONE_HOT",
    "LOGICAL_AND",
    "LOGICAL_NOT",
    "UNPACK",
    "REDUCE_MIN",
    "FLOOR_DIV",
    "REDUCE_ANY",
    "SQUARE",
    "ZEROS_LIKE",
    "FILL",
    "FLOOR_MOD",
    "RANGE",
    "RESIZE_NEAREST_NEIGHBOR",
    "LEAKY_RELU",
    "SQUARED_DIFFERENCE",
    "MIRROR_PAD",
    "ABS",
    "SPLIT_V",
    "UNIQUE",
    "CEIL",
    "REVERSE_V2",
    "ADD_N",
    "GATHER_ND",
    "COS",
    "WHERE",
    "RANK",
    "ELU",
    "REVERSE_SEQUENCE",
    "MATRIX_DIAG",
    "QUANTIZE",
    "MATRIX_SET_DIAG",
    "ROUND",
    "HARD_SWISH",
    "IF",
    "WHILE",
    "NON_MAX_SUPPRESSION_V4",
    "NON_MAX_SUPPRESSION_V5",
    "SCATTER_ND",
    "SELECT_V2",
    "DENSIFY",
    "SEGMENT_SUM",
    "BATCH_MATMUL",
    "PLACEHOLDER_FOR_GREATER_OP_CODES",
    "CUMSUM",
    "CALL_ONCE",
    "BROADCAST_TO",
    "RFFT2D",
    "CONV_3D",
    "IMAG",
    "REAL",
    "COMPLEX_ABS",
    "HASHTABLE",
    "HASHTABLE_FIND",
    "HASHTABLE_IMPORT",
    "HASHTABLE_SIZE",
    "REDUCE_ALL",
    "CONV_3D_TRANSPOSE",
    "VAR_HANDLE",
    "READ_VARIABLE",
    "ASSIGN_VARIABLE",
    "BROADCAST_ARGS",
    "RANDOM_STANDARD_NORMAL",
    "BUCKETIZE",
    "RANDOM_UNIFORM",
    "MULTINOMIAL",
    "GELU",
    "DYNAMIC_UPDATE_SLICE",
    "RELU_0_TO_1",
];

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
    I8,
    U8,
    I32,
    I64,
    /// Any other type, by its number.
    Other(i8),
}

/// Names of the types; the index is the type's number.
const TYPES: &[&str] = &[
    "FLOAT32",
    "FLOAT16",
    "INT32",
    "UINT8",
    "INT64",
    "STRING",
    "BOOL",
    "INT16",
    "COMPLEX64",
    "INT8",
    "FLOAT64",
    "COMPLEX128",
    "UINT64",
    "RESOURCE",
    "VARIANT",
    "UINT32",
    "UINT16",
    "INT4",
    "BFLOAT16",
];

impl ElementType {
    /// The type with a number.
    pub fn of(number: i8) -> ElementType {
        match number {
            0 => ElementType::F32,
            1 => ElementType::F16,
            2 => ElementType::I32,
            3 => ElementType::U8,
            4 => ElementType::I64,
            9 => ElementType::I8,
            other => ElementType::Other(other),
        }
    }

    /// Size of an element, in bytes.
    pub fn size_bytes(self) -> Option<usize> {
        match self {
            ElementType::I8 | ElementType::U8 => Some(1),
            ElementType::F16 => Some(2),
            ElementType::F32 | ElementType::I32 => Some(4),
            ElementType::I64 => Some(8),
            ElementType::Other(_) => None,
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
            ElementType::I8 => 9,
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
            Activation::Tanh => None,
        }
    }
}
