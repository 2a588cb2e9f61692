//! ONNX graphs as they stand in a file: an index over tensors and nodes, readers, builders, and the list of operators.
//!
//! Everything that recognises or rewrites parts of a graph works on this: [`GraphView`] answers which node produces a tensor
//! and which ones consume it, [`node`] reads inputs and attributes, [`tensor`] reads and writes constants, [`build`] makes
//! nodes, and [`operators`] says of every operator what it does to values.

pub mod build;
mod error;
pub mod node;
pub mod operators;
pub mod state;
pub mod tensor;
mod view;

pub use error::OnnxError;
pub use view::{GraphView, captured_names, execution_order, opset};
