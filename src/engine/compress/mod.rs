//! Models made small: float graphs quantised to bytes, measured on inputs like those that they will run on.
//!
//! Everything here reads and writes ONNX graphs. What it has to know of a model's values it learns by running it: over [`Samples`], by
//! an [`Executor`] that whoever uses this room provides.

mod floats;
pub mod fold;
pub mod gram;
mod opset;
pub mod prune;
pub mod quantize;
pub mod run;
#[cfg(test)]
mod testing;
pub mod unroll;

pub use run::{CompressError, Executor, Plan, Samples, TensorFact};
