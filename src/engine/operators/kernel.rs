//! The trait of an operator in plain Rust.

use std::fmt::Debug;

use tract_onnx::tract_hir::internal::*;

/// Type and shape of each output; `None` where they follow from the inputs' values.
pub type Outputs = Option<Vec<(DatumType, Vec<usize>)>>;

/// An input as it is known before a run.
#[derive(Clone, Debug)]
pub struct Known {
    /// Element type.
    pub dtype: DatumType,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its value, where it is a constant.
    pub value: Option<std::sync::Arc<Tensor>>,
}

/// An operator in plain Rust.
pub trait Kernel: Debug + Send + Sync {
    /// Types and shapes of the outputs, in the order of the specification; more than the node has may be given.
    ///
    /// # Errors
    /// Inputs that do not fit.
    fn outputs(&self, inputs: &[Option<Known>]) -> TractResult<Outputs>;

    /// Outputs of a run, in the order of the specification. An input that is left out is `None`.
    ///
    /// # Errors
    /// Inputs that do not fit, or values that the operator is not defined for.
    fn run(&self, inputs: &[Option<&Tensor>]) -> TractResult<Vec<Tensor>>;
}
