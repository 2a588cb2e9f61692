//! TensorFlow Lite models as ONNX models, so that the one engine runs both.
//!
//! [`reader`] finds its way through the bytes and believes none of them, [`schema`] knows what the numbers of the format
//! mean, [`graph`] holds a model as it stands in the file (with zeros that it leaves out put back by [`sparse`]), [`ops`] says for each operator which ones of ONNX compute the
//! same, and [`write`](mod@write) names each tensor there, with its [`operands`] and [`constants`].
//!
//! Quantised tensors become QDQ patterns (`DequantizeLinear → operator → QuantizeLinear`) with the file's own integers, scales
//! and zero points; inputs and outputs keep their element types and their channels-last layout. In between, pictures lie
//! channels first, as ONNX's convolutions want them: each tensor is transposed where an operator first asks for the
//! other layout, so that a net of convolutions has transpositions at its ends only.
//!
//! Format: `schema.fbs` of TensorFlow Lite, version 3 (file identifier `TFL3`); FlatBuffers' binary format.

mod constants;
mod error;
mod flex;
mod graph;
mod keep;
mod layout;
mod names;
mod nested;
mod operands;
mod ops;
mod reader;
mod schema;
mod sparse;
mod state;
mod write;

use prost::Message;
use tract_onnx::pb::ModelProto;

pub use error::TfliteError;
pub use schema::is_tflite;

/// The ONNX model (operator set 15, QDQ form where quantised) that computes what the TensorFlow Lite model in `bytes` does.
///
/// Inputs and outputs keep names, order, element types and shapes (`[N, H, W, C]` for pictures). The batch is left open
/// where the file leaves it open and nothing in the graph holds on to it. The same bytes always give the same model.
///
/// # Errors
/// [`TfliteError`]; never a panic, and memory in proportion to the file, whatever the bytes.
pub fn convert(bytes: &[u8]) -> Result<Vec<u8>, TfliteError> {
    Ok(convert_to_model(bytes)?.encode_to_vec())
}

/// [`convert`] to the decoded form.
///
/// # Errors
/// The same.
pub fn convert_to_model(bytes: &[u8]) -> Result<ModelProto, TfliteError> {
    ops::convert(graph::read(bytes)?, bytes.len())
}
