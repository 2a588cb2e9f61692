//! State of a model from one run to the next: an input and an output of the ONNX graph for each part of it, the output of one run
//! being the input of the next one.
//!
//! The pairs stand in the metadata of the file, as [`crate::onnx::state`] reads them.

use std::collections::HashMap;

use tract_onnx::pb::tensor_proto::DataType;

use super::schema::ElementType;

/// The variables of a model.
#[derive(Default)]
pub struct States {
    /// Name of the variable that each handle stands for, by tensor.
    pub handles: HashMap<usize, String>,
    /// Values of variables before the first run, by name: little-endian.
    pub initial: HashMap<String, (ElementType, Vec<usize>, Vec<u8>)>,
    /// Places in `kept`, by name.
    pub places: HashMap<String, usize>,
    /// In order.
    pub kept: Vec<Kept>,
}

/// One tensor that is kept.
pub struct Kept {
    /// Input of the graph.
    pub input: String,
    /// Tensor that holds the value now.
    pub now: String,
    pub kind: DataType,
    pub shape: Vec<usize>,
    /// Constant with the value before the first run; zeros where there is none.
    pub initial: Option<String>,
}
