//! Operators with floats among their operands or as their result.

use super::{Element, Hybrid, Product};

/// Computation of a node on 32-bit floats. Unless said otherwise, operands and result are of floats.
#[derive(Clone, Debug)]
pub enum FloatOp {
    /// Bytes, rounded to the result's [`Quant`](super::Quant).
    Quantize,
    /// The floats that bytes stand for.
    Dequantize,
    /// A product in integers between floats.
    Hybrid(Box<Hybrid>),
}

impl FloatOp {
    /// Its name in profiles: ONNX's operator type.
    pub fn name(&self) -> &'static str {
        match self {
            FloatOp::Quantize => "QuantizeLinear",
            FloatOp::Dequantize => "DequantizeLinear",
            FloatOp::Hybrid(hybrid) => match hybrid.product {
                Product::Conv(_) => "ConvInteger",
                Product::MatMul(_) => "MatMulInteger",
            },
        }
    }

    /// Type of the result's elements.
    pub fn element(&self) -> Element {
        match self {
            FloatOp::Quantize => Element::Byte,
            FloatOp::Dequantize | FloatOp::Hybrid(_) => Element::Float,
        }
    }
}
