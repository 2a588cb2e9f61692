//! The integer engine: quantised parts of a model computed on bytes.
//!
//! [`find`] recognises `DequantizeLinear → operator → QuantizeLinear` patterns (QDQ) in an ONNX graph and gathers them into
//! partitions, each an integer [`graph::Graph`]; a [`PartitionPlan`] settles where every tensor lies and which kernel does what;
//! [`rewrite`] puts one operator per partition in their place, which [`op`] makes tract run. [`kernels`] has the arithmetic.

mod decompose;
pub mod find;
pub mod graph;
pub mod kernels;
pub mod op;
mod plan;
mod rewrite;

pub use decompose::decompose;
pub use plan::{PartitionPlan, PlanError};
pub use rewrite::{Rewritten, concrete_shape, facts, rewrite, search};
