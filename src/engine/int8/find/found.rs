//! Facts that a search starts from, and what it finds.

use std::sync::Arc;

use tract_onnx::pb::TensorProto;
use tract_onnx::prelude::{DatumType, Tensor};

use crate::int8::graph::Graph;

/// Type, shape and value of a tensor, known before anything runs.
#[derive(Clone, Debug)]
pub struct Fact {
    /// Element type.
    pub dtype: DatumType,
    /// Shape.
    pub shape: Vec<usize>,
    /// Value, if it is a constant.
    pub value: Option<Arc<Tensor>>,
}

/// Result of a search.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// None of them depends on itself through the rest of the graph.
    pub partitions: Vec<Partition>,
    /// One for each ONNX node.
    pub verdicts: Vec<Verdict>,
}

/// A part of the graph that is planned.
#[derive(Clone, Debug, Default)]
pub struct Partition {
    /// Computation.
    pub graph: Graph,
    /// Indices of the ONNX nodes that it replaces.
    pub nodes: Vec<usize>,
    /// Indices of ONNX nodes that asked for shapes only, which `constants` replace.
    pub asking: Vec<usize>,
    /// Results of `asking`.
    pub constants: Vec<TensorProto>,
}

/// Place of computation of an ONNX node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// In integers.
    Integer {
        /// Index of the partition that it is part of.
        partition: usize,
    },
    /// In floats, planned.
    Planned {
        /// Index of the partition that it is part of.
        partition: usize,
    },
    /// In tract.
    Float {
        /// Reason.
        why: String,
    },
    /// Once, at load.
    Folded,
}
