//! Failures to convert a model.

use super::reader::Broken;

/// Failure to convert a TensorFlow Lite model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TfliteError {
    /// The bytes are something else, or cut short, or damaged: fetch the file again.
    #[error("not a complete TensorFlow Lite model: {reason}")]
    Broken {
        /// Unexpected content and its place.
        reason: String,
    },
    /// An operator that has no form here: use another model, or leave this part out where the model is exported.
    #[error("operator {index} ({operator}), which computes tensor {tensor:?}: {reason}")]
    Unsupported {
        /// The format's name of the operator; for a custom one, its own.
        operator: String,
        /// Its place in the file, from 0.
        index: usize,
        /// Its first output.
        tensor: String,
        /// Part that has no ONNX form here.
        reason: String,
    },
    /// An input or output of the model that cannot be.
    #[error("tensor {tensor:?}: {reason}")]
    Tensor {
        /// Its name.
        tensor: String,
        /// Cause.
        reason: String,
    },
}

impl From<Broken> for TfliteError {
    fn from(broken: Broken) -> Self {
        TfliteError::Broken { reason: broken.to_string() }
    }
}
