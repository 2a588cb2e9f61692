//! Between floats and bytes.

use super::calls::Rescale;
use super::reduce::{Greatest, GreatestNumber, LeastNumber, row};
use super::simd::{Simd, fold_lanes, load, store, vectors};

/// See [`FloatKernels::quantize`](super::FloatKernels::quantize).
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn quantize<S: Simd>((scale, zero): (f32, i32), x: *const f32, out: *mut i8, len: usize) {
    /// Elements after which it is looked whether their products were good enough.
    const PIECE: usize = 512;
    /// Distance from an integer below which a product by the inverse is sure to round as the quotient does: it is within 10⁻⁴ of that where both
    /// are below 512, and beyond they do not matter.
    const SURE: f32 = 0.4999;
    let inverse = 1.0 / scale;
    // SAFETY: the caller's promise.
    unsafe {
        let (low, high) = (S::splat((-128 - zero) as f32), S::splat((127 - zero) as f32));
        let (scale, zero_point, factor) = (S::splat(scale), S::splat(zero as f32), S::splat(inverse));
        // The bounds stand first: they are what is left of NaN.
        macro_rules! put {
            ($real:expr, $i:ident, $count:ident, $out:ident) => {
                let bounded = S::select($real.is_nan(), low, $real).max(low).min(high);
                (bounded.round() + zero_point).store_bytes($out.add($i), $count);
            };
        }
        for first in (0..len).step_by(PIECE) {
            let (x, out, len) = (x.add(first), out.add(first), (len - first).min(PIECE));
            if inverse.is_normal() {
                let mut worst = S::splat(0.0);
                vectors!(S, len, |i, count| {
                    let real = load::<S>(x.add(i), count) * factor;
                    worst = worst.max((real - real.round()).abs());
                    put!(real, i, count, out);
                });
                if fold_lanes(worst, Greatest) < SURE {
                    continue;
                }
            }
            vectors!(S, len, |i, count| {
                let real = load::<S>(x.add(i), count) / scale;
                put!(real, i, count, out);
            });
        }
    }
}

/// See [`FloatKernels::rescale`](super::FloatKernels::rescale).
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn rescale<S: Simd>(row: &Rescale, out: *mut f32) {
    // SAFETY: the caller's promise.
    unsafe {
        let (scale, zero) = (S::splat(row.scale), S::splat(row.zero));
        let (low, high) = (S::splat(row.limits.0), S::splat(row.limits.1));
        vectors!(S, row.sums.len().min(row.bias.len()), |i, count| {
            let sum = load::<S>(row.sums.as_ptr().add(i), count);
            let bias = load::<S>(row.bias.as_ptr().add(i), count);
            let real = (load::<S>(out.add(i), count) - zero * sum) * scale + bias;
            store(real.max(low).min(high), out.add(i), count);
        });
    }
}

/// See [`FloatKernels::dequantize`](super::FloatKernels::dequantize).
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn dequantize<S: Simd>((scale, zero): (f32, i32), x: *const i8, out: *mut f32, len: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let (scale, zero) = (S::splat(scale), S::splat(zero as f32));
        vectors!(S, len, |i, count| store((S::load_bytes(x.add(i), count) - zero) * scale, out.add(i), count));
    }
}

/// See [`FloatKernels::range`](super::FloatKernels::range).
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn range<S: Simd>(x: *const f32, len: usize) -> (f32, f32) {
    /// Floats that are still in the nearest cache when the second of two looks comes to them.
    const NEAR: usize = 2048;
    let (mut least, mut most) = (f32::INFINITY, f32::NEG_INFINITY);
    for first in (0..len).step_by(NEAR) {
        let count = (len - first).min(NEAR);
        // SAFETY: the caller's promise.
        unsafe {
            least = least.min(row::<S, _>(x.add(first), count, LeastNumber));
            most = most.max(row::<S, _>(x.add(first), count, GreatestNumber));
        }
    }
    (least, most)
}
