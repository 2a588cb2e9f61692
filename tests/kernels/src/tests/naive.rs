//! What kernels compute, once more and in another way: integers only. The rounding of IEEE arithmetic is done by hand here, so
//! neither a mistake in the reference nor one in the floating-point unit can hide.

use crate::kernels::{DepthwiseWeights, GemmWeights, Requant};

use super::Results;

/// A positive number `mantissa · 2^exponent`, the mantissa below 2^24.
#[derive(Clone, Copy)]
struct Real {
    mantissa: u64,
    exponent: i32,
}

/// `value >> bits`, a half going to the even neighbour.
fn shift_half_even(value: u64, bits: u32) -> u64 {
    match bits {
        0 => value,
        1..=63 => {
            let (whole, rest, half) = (value >> bits, value & ((1 << bits) - 1), 1 << (bits - 1));
            whole + u64::from(rest > half || (rest == half && whole & 1 == 1))
        }
        // Below half of anything: the values here have at most 48 bits.
        _ => 0,
    }
}

impl Real {
    /// The 24 leading bits of `value · 2^exponent`, rounded.
    fn round(value: u64, exponent: i32) -> Self {
        let excess = (64 - value.leading_zeros()).saturating_sub(24);
        Real { mantissa: shift_half_even(value, excess), exponent: exponent + excess as i32 }
    }

    /// A finite float's magnitude.
    fn of(float: f32) -> Self {
        let (fraction, biased) = (float.to_bits() & 0x7F_FFFF, float.to_bits() >> 23 & 0xFF);
        assert!(biased < 255, "not finite");
        if biased == 0 {
            Real { mantissa: fraction.into(), exponent: -149 }
        } else {
            Real { mantissa: u64::from(fraction | 0x80_0000), exponent: biased as i32 - 150 }
        }
    }

    /// The nearest integer, halves to even, at most 2^32.
    fn nearest(self) -> i64 {
        const MANY: i64 = 1 << 32;
        if self.mantissa == 0 {
            0
        } else if self.exponent > 8 {
            MANY
        } else if self.exponent >= 0 {
            ((self.mantissa << self.exponent) as i64).min(MANY)
        } else {
            shift_half_even(self.mantissa, self.exponent.unsigned_abs()) as i64
        }
    }
}

/// [`Requant::apply`]. Products too small for a normal float are not rounded twice as IEEE would: both ways they end as 0.
pub fn requantise(requant: &Requant, acc: i32, scale: f32) -> i8 {
    let negative = (acc < 0) != scale.is_sign_negative();
    let acc = Real::round(u64::from(acc.unsigned_abs()), 0);
    let scale = Real::of(scale);
    let product = Real::round(acc.mantissa * scale.mantissa, acc.exponent + scale.exponent);
    let nearest = if negative { -product.nearest() } else { product.nearest() };
    let value = nearest + i64::from(requant.zero_point);
    value.clamp(requant.low.into(), requant.high.into()) as i8
}

/// A sum as a result: a byte, or the four of a float.
fn finish(results: &Results, acc: i64, scale: f32, bias: Option<f32>) -> Vec<i8> {
    match (results, bias) {
        (Results::Bytes(requant), _) => vec![requantise(requant, acc as i32, scale)],
        (&Results::Floats { x_scale, bounds: (low, high) }, bias) => {
            let real = acc as i32 as f32 * (x_scale * scale) + bias.expect("a bias in floats");
            let real = if real.is_nan() { real } else { real.clamp(low, high) };
            real.to_le_bytes().map(|byte| byte as i8).to_vec()
        }
    }
}

/// One output of a dense layer: `segments` are the inputs under the weights, `x_zero` their zero point.
pub fn gemm(weights: &GemmWeights, results: &Results, x_zero: i32, channel: usize, segments: &[&[i8]]) -> Vec<i8> {
    let mut acc = i64::from(weights.bias.get(channel).copied().unwrap_or(0));
    let zero = i64::from(weights.zeros.get(channel).copied().unwrap_or(0));
    for (s, x) in segments.iter().enumerate() {
        for (i, &x) in x.iter().enumerate() {
            let w = weights.data[(channel * weights.segments + s) * weights.segment + i];
            acc += (i64::from(x) - i64::from(x_zero)) * (i64::from(w) - zero);
        }
    }
    finish(results, acc, weights.scale[channel], weights.floats.map(|bias| bias[channel]))
}

/// One output of a depthwise layer: `taps` are the inputs under the kernel, row by row.
pub fn depthwise(weights: &DepthwiseWeights, results: &Results, x_zero: i32, channel: usize, taps: &[i8]) -> Vec<i8> {
    let zero = i64::from(weights.zeros.get(channel).copied().unwrap_or(0));
    let products = taps.iter().enumerate().map(|(tap, &x)| {
        (i64::from(x) - i64::from(x_zero)) * (i64::from(weights.data[tap * weights.channels + channel]) - zero)
    });
    let bias = i64::from(weights.bias.get(channel).copied().unwrap_or(0));
    finish(results, bias + products.sum::<i64>(), weights.scale[channel], weights.floats.map(|bias| bias[channel]))
}

#[test]
fn rounding_by_hand() {
    let plain = Requant { zero_point: 0, low: -128, high: 127 };
    for (acc, scale, want) in [
        (1, 0.5, 0),
        (3, 0.5, 2),
        (5, 0.5, 2),
        (-1, 0.5, 0),
        (-3, 0.5, -2),
        (3, -0.5, -2),
        (i32::MIN, 1.0, -128),
        (i32::MIN, -1.0, 127),
        (i32::MAX, f32::MAX, 127),
        (0, f32::MAX, 0),
        (i32::MAX, f32::from_bits(1), 0),
        // 2^24 + 1 is no float: it becomes 2^24 first, and 2^24 / 2^25 is a half, which goes to 0.
        ((1 << 24) + 1, 2f32.powi(-25), 0),
        ((1 << 24) + 2, 2f32.powi(-25), 1),
        (25, 0.1, 2), // 0.1 is a little more than a tenth, but the product rounds to 2.5
    ] {
        assert_eq!(requantise(&plain, acc, scale), want, "{acc} · {scale}");
        assert_eq!(plain.apply(acc, scale), want, "{acc} · {scale}");
    }
}
