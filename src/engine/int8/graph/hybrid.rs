//! Products of floats, quantised as they come, by weights that were quantised before.

use super::dense::{Conv, MatMul};

/// A product in integers between floats. One scale and zero point for the whole operand are found in every run, as ONNX's
/// `DynamicQuantizeLinear` defines them.
///
/// ```text
/// out[c] = clamp(Σ (x − x_zero) · (w − zero[c]) · (x_scale · scale[c]) + bias[c], low, high)
/// ```
#[derive(Clone, Debug)]
pub struct Hybrid {
    /// The product; its bias is empty and its clamp lets everything pass.
    pub product: Product,
    /// `[out channels]`.
    pub bias: Vec<f32>,
    /// Least result.
    pub low: f32,
    /// Greatest.
    pub high: f32,
}

/// A product with constant weights.
#[derive(Clone, Debug)]
pub enum Product {
    /// Operand: `[N, C, H, W]`.
    Conv(Conv),
    /// Operand: `[…, K]`; result: `[…, N]`.
    MatMul(MatMul),
}
