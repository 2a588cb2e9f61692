//! Failure to plan a graph.

/// A graph that cannot be planned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("node {node:?}: {reason}")]
pub struct PlanError {
    /// The ONNX node.
    pub node: String,
    /// Reason.
    pub reason: String,
}

impl PlanError {
    pub(super) fn new(node: &str, reason: impl Into<String>) -> Self {
        PlanError { node: node.into(), reason: reason.into() }
    }
}
