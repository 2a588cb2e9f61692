//! tract's parser with our operators in place.

use leptond_engine::{int8, operators};
use tract_onnx::model::Onnx;

use super::{bounded, dynamic, equal, quant};

/// A parser whose operators are under guard, and that knows the partitions of the integer engine.
pub(super) fn onnx() -> Onnx {
    let mut onnx = tract_onnx::onnx();
    quant::register(&mut onnx);
    equal::register(&mut onnx);
    operators::register(&mut onnx);
    bounded::register(&mut onnx);
    int8::op::register(&mut onnx);
    dynamic::op::register(&mut onnx);
    onnx
}
