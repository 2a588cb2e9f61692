//! Products of floats, quantised as they come, by weights that were quantised before.

use super::dense::{Conv, MatMul};

/// A product in integers between floats. Scales and zero points of the operand are found in every run, as ONNX's
/// `DynamicQuantizeLinear` defines them.
///
/// ```text
/// out[c] = clamp(Σ (x − x_zero) · (w − zero[c]) · (x_scale · scale[c]) + bias[c], low, high)
/// ```
#[derive(Clone, Debug)]
pub struct Hybrid {
    /// The product; its bias is empty and its clamp lets everything pass.
    pub product: Product,
    /// Parts of a tensor that have a scale and a zero point of their own.
    pub ranges: Ranges,
    /// `[out channels]`.
    pub bias: Vec<f32>,
    /// Least result.
    pub low: f32,
    /// Greatest.
    pub high: f32,
}

/// Parts of an operand that are quantised each by its own range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ranges {
    /// All of it: one range.
    Whole,
    /// Each `[C, H, W]` of a convolution's, each `[K]` of a matrix product's.
    Items,
}

/// A product with constant weights.
#[derive(Clone, Debug)]
pub enum Product {
    /// Operand: `[N, C, H, W]`.
    Conv(Conv),
    /// Operand: `[…, K]`; result: `[…, N]`.
    MatMul(MatMul),
}
