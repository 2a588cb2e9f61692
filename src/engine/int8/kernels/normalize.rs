//! Normalisation of rows: less their mean, over their standard deviation.

use super::requant::ROUNDER;
use super::step::Normalize;

/// One row. Mean and variance are of integers, whose sums are exact.
///
/// # Safety
/// Both places have `len` bytes.
pub unsafe fn row(norm: &Normalize, x: *const i8, out: *mut i8) {
    let (scale, zero) = norm.from;
    // SAFETY: the caller's promise.
    let bytes = unsafe { std::slice::from_raw_parts(x, norm.len) };
    let (mut sum, mut squares) = (0i64, 0i64);
    // As many as 32 bits hold the squares of.
    for block in bytes.chunks(1 << 14) {
        let (mut block_sum, mut block_squares) = (0i32, 0i32);
        for &byte in block {
            let step = i32::from(byte) - zero;
            block_sum += step;
            block_squares += step * step;
        }
        sum += i64::from(block_sum);
        squares += i64::from(block_squares);
    }
    let count = norm.len as f64;
    let mean = if norm.centre { sum as f64 / count } else { 0.0 };
    let variance = (squares as f64 / count - mean * mean).max(0.0) * f64::from(scale) * f64::from(scale);
    let factor = (f64::from(scale) / (variance + f64::from(norm.epsilon)).sqrt()) as f32;
    let middle = (f64::from(zero) + mean) as f32;
    let low = (i32::from(norm.requant.low) - norm.requant.zero_point) as f32;
    let high = (i32::from(norm.requant.high) - norm.requant.zero_point) as f32;
    for (index, (scale, term)) in norm.factors.iter().zip(norm.terms.iter()).enumerate() {
        // SAFETY: the caller's promise; operand and result may be the same bytes, each is read before it is written.
        unsafe {
            let real = (f32::from(*x.add(index)) - middle) * factor * scale + term;
            let real = if real > low { real } else { low };
            let real = if real < high { real } else { high };
            let rounded = (real + ROUNDER).to_bits() as i32 - ROUNDER.to_bits() as i32;
            *out.add(index) = (rounded + norm.requant.zero_point) as i8;
        }
    }
}
