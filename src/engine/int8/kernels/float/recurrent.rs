//! Steps of recurrent layers, behind their products.

use super::calls::{GruCall, LstmCall};
use super::math::{sigmoid, tanh};
use super::simd::{Simd, load, store, vectors};

#[inline(always)]
fn clip<S: Simd>(x: S, bound: f32) -> S {
    x.max(x.like(-bound)).min(x.like(bound))
}

/// See [`FloatKernels::lstm`](super::FloatKernels::lstm).
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn lstm<S: Simd>(call: &LstmCall) {
    // SAFETY: the caller's promise.
    vectors::<S>(call.len, |i, count| unsafe {
        let gate = |gate: usize| load::<S>(call.gates.add(gate * call.len + i), count);
        let old = load::<S>(call.cell.add(i), count);
        let peeping = |gate: S, peephole: usize, cell: S| match call.peepholes.is_null() {
            true => gate,
            false => load::<S>(call.peepholes.add(peephole * call.len + i), count).mul_add(cell, gate),
        };
        let input = sigmoid(clip(peeping(gate(0), 0, old), call.clip));
        let forget = sigmoid(clip(peeping(gate(2), 2, old), call.clip));
        let cell = forget.mul_add(old, input * tanh(clip(gate(3), call.clip)));
        let output = sigmoid(clip(peeping(gate(1), 1, cell), call.clip));
        store(cell, call.cell.add(i), count);
        store(output * tanh(cell), call.hidden.add(i), count);
    });
}

/// Update (0) or reset (1) gate.
///
/// # Safety
/// As [`gru`].
#[inline(always)]
unsafe fn gate<S: Simd>(call: &GruCall, gate: usize, i: usize, count: usize) -> S {
    // SAFETY: the caller's promise.
    unsafe {
        let at = gate * call.len + i;
        sigmoid(clip(load::<S>(call.input.add(at), count) + load::<S>(call.recurrent.add(at), count), call.clip))
    }
}

/// See [`FloatKernels::gru_reset`](super::FloatKernels::gru_reset).
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn gru_reset<S: Simd>(call: &GruCall, out: *mut f32) {
    // SAFETY: the caller's promise.
    vectors::<S>(call.len, |i, count| unsafe {
        store(gate::<S>(call, 1, i, count) * load::<S>(call.hidden.add(i), count), out.add(i), count);
    });
}

/// See [`FloatKernels::gru`](super::FloatKernels::gru).
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn gru<S: Simd>(linear: bool, call: &GruCall) {
    // SAFETY: the caller's promise.
    vectors::<S>(call.len, |i, count| unsafe {
        let update = gate::<S>(call, 0, i, count);
        let own = load::<S>(call.input.add(2 * call.len + i), count);
        let recurrent = load::<S>(call.recurrent.add(2 * call.len + i), count);
        let sum = if linear { gate::<S>(call, 1, i, count).mul_add(recurrent, own) } else { own + recurrent };
        let new = tanh(clip(sum, call.clip));
        let old = load::<S>(call.hidden.add(i), count);
        // (1 − z) · new + z · old.
        store(update.mul_add(old - new, new), call.hidden.add(i), count);
    });
}
