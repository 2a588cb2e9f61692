//! Products on bytes with constant weights.

use super::weights::Weights;

/// A convolution. Operand: `[N, C, H, W]`.
#[derive(Clone, Debug)]
pub struct Conv {
    /// `[out channels, C / groups, kh, kw]`, row-major.
    pub weights: Weights<i8>,
    /// `[out channels]` zero points of the weights; empty where all are 0.
    pub weight_zeros: Vec<i8>,
    /// Kernel height and width.
    pub kernel: [usize; 2],
    /// `[out channels]` scales of the weights (finite, not 0; a folded factor may make one negative).
    pub weight_scales: Vec<f32>,
    /// `[out channels]`, in units of input scale × weight scale.
    pub bias: Vec<i32>,
    /// Rows and columns.
    pub strides: [usize; 2],
    /// Rows and columns.
    pub dilations: [usize; 2],
    /// Top, left, bottom, right; the input's zero point stands there.
    pub pads: [usize; 4],
    /// Divides input and output channels.
    pub groups: usize,
    /// Activation folded into the rounding.
    pub clamp: Clamp,
}

/// A product with constant weights. Operand: `[…, K]`; result: `[…, N]`.
#[derive(Clone, Debug)]
pub struct MatMul {
    /// `[N][K]`.
    pub weights: Weights<i8>,
    /// `[N]` zero points of the weights; empty where all are 0.
    pub weight_zeros: Vec<i8>,
    /// `[N]`.
    pub weight_scales: Vec<f32>,
    /// `[N]`, in units of input scale × weight scale.
    pub bias: Vec<i32>,
    /// Activation folded into the rounding.
    pub clamp: Clamp,
}

/// Lowest and highest byte of an output, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clamp {
    /// Lowest.
    pub low: i8,
    /// Highest, not below `low`.
    pub high: i8,
}

impl Clamp {
    /// No limit but the type's.
    pub const NONE: Clamp = Clamp { low: -128, high: 127 };
}
