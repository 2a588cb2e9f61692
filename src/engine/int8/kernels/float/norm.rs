//! Normalisation of rows.

use super::calls::NormCall;
use super::reduce::{Deviation, Sum, row};
use super::simd::{Simd, load, store, vectors};

/// See [`FloatKernels::normalize`](super::FloatKernels::normalize).
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn normalize<S: Simd>(call: &NormCall) {
    let len = call.len as f32;
    for line in 0..call.rows {
        // SAFETY: the caller's promise.
        unsafe {
            let (x, out) = (call.x.add(line * call.x_row), call.out.add(line * call.out_row));
            let mean = if call.centre { row::<S, _>(x, call.len, Sum) / len } else { 0.0 };
            let variance = row::<S, _>(x, call.len, Deviation(mean)) / len;
            let mean = S::splat(mean);
            let factor = S::splat(1.0 / (variance + call.epsilon).sqrt());
            vectors!(S, call.len, |i, count| {
                let mut value = (load::<S>(x.add(i), count) - mean) * factor;
                if !call.scale.is_null() {
                    value = value * load::<S>(call.scale.add(i), count);
                }
                if !call.bias.is_null() {
                    value = value + load::<S>(call.bias.add(i), count);
                }
                store(value, out.add(i), count);
            });
        }
    }
}
