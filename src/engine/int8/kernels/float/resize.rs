//! Linear interpolation, a row of pixels at a time.

use super::calls::ResizeCall;
use super::simd::{Simd, load, store, vectors};

/// See [`FloatKernels::resize`](super::FloatKernels::resize).
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn resize<S: Simd>(call: &ResizeCall) {
    for (i, &(left, right, across)) in call.cols.iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe {
            let (down, across) = (S::splat(call.down), S::splat(across));
            let between = |a: S, b: S, share: S| (b - a).mul_add(share, a);
            let out = call.out.add(i * call.out_col);
            vectors!(S, call.channels, |c, count| {
                let at = |row: *const f32, col: usize| load::<S>(row.add(col + c), count);
                let top = between(at(call.top, left), at(call.top, right), across);
                let bottom = between(at(call.bottom, left), at(call.bottom, right), across);
                store(between(top, bottom, down), out.add(c), count);
            });
        }
    }
}
