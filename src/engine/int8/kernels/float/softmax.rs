//! Softmax along lines.

use super::calls::Lines;
use super::math::{exp, log};
use super::reduce::{self, Highest, Sum};
use super::simd::{Simd, fold_lanes, load, store, vectors};

/// Lines side by side that are computed together, in vectors.
const WIDE: usize = 4;

/// See [`FloatKernels::softmax`](super::FloatKernels::softmax).
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn softmax<S: Simd>(is_log: bool, x: &Lines, out: *mut f32, out_steps: [usize; 2]) {
    // SAFETY: the caller's promise is the callee's.
    unsafe {
        if x.step == 1 && out_steps[0] == 1 {
            for line in 0..x.lines {
                row::<S>(is_log, x.x.add(line * x.line_step), out.add(line * out_steps[1]), x.len);
            }
            return;
        }
        let mut line = 0;
        if x.line_step == 1 && out_steps[1] == 1 {
            while x.lines - line >= WIDE * S::LANES {
                columns::<S, WIDE>(is_log, x, line, S::LANES, out, out_steps);
                line += WIDE * S::LANES;
            }
            while line < x.lines {
                let count = (x.lines - line).min(S::LANES);
                columns::<S, 1>(is_log, x, line, count, out, out_steps);
                line += count;
            }
        }
        for line in line..x.lines {
            columns::<S, 1>(is_log, x, line, 1, out, out_steps);
        }
    }
}

/// # Safety
/// Both rows have `len` elements.
#[inline(always)]
unsafe fn row<S: Simd>(is_log: bool, x: *const f32, out: *mut f32, len: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let most = S::splat(reduce::row::<S, _>(x, len, Highest));
        let zero = S::splat(0.0);
        let mut sum = zero;
        vectors!(S, len, |i, count| {
            let distance = load::<S>(x.add(i), count) - most;
            let share = exp(distance);
            sum = sum + if count == S::LANES { share } else { share.first(count, zero) };
            store(if is_log { distance } else { share }, out.add(i), count);
        });
        if is_log {
            let sum = log(S::splat(fold_lanes(sum, Sum)));
            vectors!(S, len, |i, count| store(load::<S>(out.add(i), count) - sum, out.add(i), count));
        } else {
            let inverse = S::splat(1.0 / fold_lanes(sum, Sum));
            vectors!(S, len, |i, count| store(load::<S>(out.add(i), count) * inverse, out.add(i), count));
        }
    }
}

/// `V` vectors of lines that lie side by side, `count` lines each.
///
/// # Safety
/// As [`softmax`]; there are such lines from `line` on.
#[inline(always)]
unsafe fn columns<S: Simd, const V: usize>(
    is_log: bool,
    x: &Lines,
    line: usize,
    count: usize,
    out: *mut f32,
    [step, line_step]: [usize; 2],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let (from, to) = (x.x.add(line * x.line_step), out.add(line * line_step));
        let at = |i: usize, v: usize| load::<S>(from.add(i * x.step + v * S::LANES), count);
        let mut most: [S; V] = std::array::from_fn(|v| at(0, v));
        for i in 1..x.len {
            for (v, most) in most.iter_mut().enumerate() {
                *most = most.max(at(i, v));
            }
        }
        let mut sums = [S::splat(0.0); V];
        for i in 0..x.len {
            for (v, sum) in sums.iter_mut().enumerate() {
                let distance = at(i, v) - most[v];
                let share = exp(distance);
                *sum = *sum + share;
                store(if is_log { distance } else { share }, to.add(i * step + v * S::LANES), count);
            }
        }
        for sum in &mut sums {
            *sum = if is_log { log(*sum) } else { S::splat(1.0) / *sum };
        }
        for i in 0..x.len {
            for (v, &sum) in sums.iter().enumerate() {
                let to = to.add(i * step + v * S::LANES);
                let value = load::<S>(to, count);
                store(if is_log { value - sum } else { value * sum }, to, count);
            }
        }
    }
}
