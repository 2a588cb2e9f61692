//! tract's parser with our operators in place.

use leptond_engine::int8;
use tract_onnx::model::Onnx;

use super::{bounded, dynamic};

/// A parser whose operators, tract's and ours, are under guard, and that knows the partitions of the integer engine.
pub(super) fn onnx() -> Onnx {
    let mut onnx = tract_onnx::onnx();
    bounded::register(&mut onnx);
    int8::op::register(&mut onnx);
    dynamic::op::register(&mut onnx);
    onnx
}
