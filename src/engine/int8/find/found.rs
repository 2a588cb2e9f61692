//! Facts that a search starts from, and what it finds.

use std::sync::Arc;

use tract_onnx::pb::TensorProto;
use tract_onnx::prelude::{DatumType, Tensor};

use crate::int8::graph::Graph;

/// What is known of a tensor of the graph before anything runs.
#[derive(Clone, Debug)]
pub struct Fact {
    /// Element type.
    pub dtype: DatumType,
    /// Shape.
    pub shape: Vec<usize>,
    /// Value, if it is a constant.
    pub value: Option<Arc<Tensor>>,
}

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// None of them depends on itself through the rest of the graph.
    pub partitions: Vec<Partition>,
    /// One for each ONNX node.
    pub verdicts: Vec<Verdict>,
}

/// A part of the graph in integers.
#[derive(Clone, Debug, Default)]
pub struct Partition {
    /// What it computes.
    pub graph: Graph,
    /// Indices of the ONNX nodes that it replaces.
    pub nodes: Vec<usize>,
    /// Indices of ONNX nodes that asked for shapes only, which `constants` replace.
    pub asking: Vec<usize>,
    /// What those found.
    pub constants: Vec<TensorProto>,
}

/// Where an ONNX node is computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// In integers.
    Integer {
        /// Index of the partition that it is part of.
        partition: usize,
    },
    /// In tract.
    Float {
        /// Why.
        why: String,
    },
    /// Once, at load.
    Folded,
}
