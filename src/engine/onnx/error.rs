//! Errors of reading a node or a constant.

/// Part of a node or constant that is missing or of another form than the ONNX specification says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OnnxError {
    /// An attribute of another type.
    #[error("its attribute {name:?} is of another type than expected")]
    AttributeType {
        /// Name of the attribute.
        name: String,
    },
    /// A string attribute that is not UTF-8.
    #[error("its attribute {name:?} is not text")]
    NotText {
        /// Name of the attribute.
        name: String,
    },
    /// A list of another length than expected, or with a number out of range.
    #[error("its {name} {values:?} do not fit")]
    Values {
        /// Name of the attribute.
        name: String,
        /// Values in the file.
        values: Vec<i64>,
    },
    /// A required input that is left out.
    #[error("its input {index} is missing")]
    MissingInput {
        /// Index of the input.
        index: usize,
    },
    /// No output, or more than one.
    #[error("it has not exactly one output")]
    Outputs,
    /// An axis outside of the tensor's rank.
    #[error("axis {axis} does not fit {rank} dimensions")]
    Axis {
        /// Axis in the file; negative ones count from the end.
        axis: i64,
        /// Number of dimensions.
        rank: usize,
    },
    /// A permutation that does not name every axis once.
    #[error("its order of axes {order:?} cannot be")]
    Permutation {
        /// Axes in the file.
        order: Vec<i64>,
    },
    /// A constant whose elements are no numbers of the expected type.
    #[error("{reason}")]
    Elements {
        /// Message of the conversion.
        reason: String,
    },
}

/// Rewrites record the reason why a node is left as it is as text.
impl From<OnnxError> for String {
    fn from(error: OnnxError) -> String {
        error.to_string()
    }
}
