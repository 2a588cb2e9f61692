//! `ai.onnx.ml`: models of scikit-learn and its kin. Tensors of text are refused; class names that are text become their indices.

pub(super) mod encode;
pub(super) mod linear;
pub(super) mod scale;
pub(super) mod scores;
pub(super) mod svm;
pub(super) mod trees;
pub(super) mod words;
