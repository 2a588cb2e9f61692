//! The model around a graph that is computed node by node.

use tract_onnx::model::Onnx;
use tract_onnx::pb::ModelProto;
use tract_onnx::tract_hir::internal::*;

/// State that all bodies of a model share.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    pub onnx: Arc<Parser>,
    /// Operator sets of the model, without its graph.
    pub model: Arc<ModelProto>,
    /// Size of the model's file: what a node may cost grows with it.
    pub file_bytes: usize,
}

/// tract's parser, which has no notation for debugging.
#[derive(Clone)]
pub(super) struct Parser(pub Onnx);

impl std::fmt::Debug for Parser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Parser")
    }
}
