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
    unsafe { vectors!(S, call.len, |i, count| lstm_units::<S>(call, i, count)) }
}

/// `count` units from `i` on.
///
/// # Safety
/// As [`lstm`].
#[inline(always)]
unsafe fn lstm_units<S: Simd>(call: &LstmCall, i: usize, count: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let at = |vectors: *const f32, which: usize| vectors.add(which * call.len + i);
        let mut gates: [S; 4] = std::array::from_fn(|gate| load(at(call.gates, gate), count));
        let old: S = load(call.cell.add(i), count);
        let has_peepholes = !call.peepholes.is_null();
        if has_peepholes {
            gates[0] = load::<S>(at(call.peepholes, 0), count).mul_add(old, gates[0]);
            gates[2] = load::<S>(at(call.peepholes, 2), count).mul_add(old, gates[2]);
        }
        let input = sigmoid(clip(gates[0], call.clip));
        let forget = sigmoid(clip(gates[2], call.clip));
        let cell = forget.mul_add(old, input * tanh(clip(gates[3], call.clip)));
        if has_peepholes {
            gates[1] = load::<S>(at(call.peepholes, 1), count).mul_add(cell, gates[1]);
        }
        let output = sigmoid(clip(gates[1], call.clip));
        store(cell, call.cell.add(i), count);
        store(output * tanh(cell), call.hidden.add(i), count);
    }
}

/// Update (0) or reset (1) gate of `count` units from `i` on.
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
    unsafe {
        vectors!(S, call.len, |i, count| {
            store(gate::<S>(call, 1, i, count) * load::<S>(call.hidden.add(i), count), out.add(i), count);
        });
    }
}

/// See [`FloatKernels::gru`](super::FloatKernels::gru).
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn gru<S: Simd>(linear: bool, call: &GruCall) {
    // SAFETY: the caller's promise.
    unsafe { vectors!(S, call.len, |i, count| gru_units::<S>(linear, call, i, count)) }
}

/// `count` units from `i` on.
///
/// # Safety
/// As [`gru`].
#[inline(always)]
unsafe fn gru_units<S: Simd>(linear: bool, call: &GruCall, i: usize, count: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let update = gate::<S>(call, 0, i, count);
        let own = load::<S>(call.input.add(2 * call.len + i), count);
        let recurrent = load::<S>(call.recurrent.add(2 * call.len + i), count);
        let sum = if linear { gate::<S>(call, 1, i, count).mul_add(recurrent, own) } else { own + recurrent };
        let new = tanh(clip(sum, call.clip));
        let old = load::<S>(call.hidden.add(i), count);
        // (1 − z) · new + z · old.
        store(update.mul_add(old - new, new), call.hidden.add(i), count);
    }
}
