//! From sums to results: bytes or floats.

use super::Requant;

/// The last step on sums of products.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Finish {
    /// Bytes.
    Bytes(Requant),
    /// Floats.
    Floats(Dequant),
}

impl Finish {
    /// Conversion to bytes; for results in floats, one that nobody uses.
    pub fn requant(&self) -> Requant {
        match self {
            Finish::Bytes(requant) => *requant,
            Finish::Floats(_) => Requant { zero_point: 0, low: i8::MIN, high: i8::MAX },
        }
    }
}

/// Conversion of 32-bit sums to floats, for activations that were quantised as they came; weight scales, sums and biases lie
/// with the packed weights.
///
/// ```text
/// out[c] = clamp((acc[c] − x_zero · Σ (w[c] − zero[c])) as f32 · (x_scale · scale[c]) + bias[c], low, high)
/// ```
///
/// One f32 operation after the other, in this order: what ONNX's `Cast`, `Mul` and `Add` make of a `MatMulInteger`. A result
/// that is no number stays none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dequant {
    /// The input's scale.
    pub x_scale: f32,
    /// The byte that stands for 0.0 in the input.
    pub x_zero: i32,
    /// Least result.
    pub low: f32,
    /// Greatest.
    pub high: f32,
}

impl Dequant {
    /// One value, as every kernel must compute it: `acc` less nothing yet, `sum` of the channel's weights less their zero
    /// point, their scale and the bias.
    #[inline(always)]
    pub fn apply(&self, acc: i32, sum: i32, scale: f32, bias: f32) -> f32 {
        let acc = acc.wrapping_sub(self.x_zero.wrapping_mul(sum));
        let real = acc as f32 * (self.x_scale * scale) + bias;
        let real = if real < self.low { self.low } else { real };
        if real > self.high { self.high } else { real }
    }
}
