//! Lines to one number each.

use super::calls::{Lines, Reduction};
use super::math::{exp, log};
use super::simd::{Simd, fold_lanes, lanes, load, vectors};

/// Lines side by side that are reduced together, in vectors.
const WIDE: usize = 4;

/// See [`FloatKernels::reduce`](super::FloatKernels::reduce).
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn reduce<S: Simd>(reduction: Reduction, x: &Lines, out: *mut f32, out_step: usize) {
    macro_rules! run {
        ($start:expr, $fold:expr, $merge:expr, $finish:expr) => {{
            // SAFETY: the caller's promise is the callee's.
            unsafe { fold::<S>(x, out, out_step, $start, $fold, $merge, $finish) }
        }};
    }
    let len = x.len as f32;
    let add = |a: S, b: S| a + b;
    match reduction {
        Reduction::Sum => run!(0.0, add, add, |sum| sum),
        Reduction::Mean => run!(0.0, add, add, |sum: f32| sum / len),
        Reduction::Max => run!(f32::NEG_INFINITY, greater, greater, |most| most),
        Reduction::Min => run!(f32::INFINITY, less, less, |least| least),
        Reduction::Product => run!(1.0, |p: S, x: S| p * x, |a: S, b: S| a * b, |product| product),
        Reduction::SumSquare => run!(0.0, |sum: S, x: S| x.mul_add(x, sum), add, |sum| sum),
        Reduction::L1 => run!(0.0, |sum: S, x: S| sum + x.abs(), add, |sum| sum),
        Reduction::L2 => run!(0.0, |sum: S, x: S| x.mul_add(x, sum), add, f32::sqrt),
        Reduction::LogSum => run!(0.0, add, add, f32::ln),
        // SAFETY: the caller's promise is the callee's.
        Reduction::LogSumExp => unsafe { log_sum_exp::<S>(x, out, out_step) },
    }
}

/// The greater, NaN if either is.
#[inline(always)]
pub fn greater<S: Simd>(a: S, b: S) -> S {
    S::select(b.is_nan(), b, a.max(b))
}

/// The less, NaN if either is.
#[inline(always)]
pub fn less<S: Simd>(a: S, b: S) -> S {
    S::select(b.is_nan(), b, a.min(b))
}

/// Folds every line from `start` on; `merge` joins what was folded apart.
///
/// # Safety
/// As [`reduce`].
#[inline(always)]
unsafe fn fold<S: Simd>(
    x: &Lines,
    out: *mut f32,
    out_step: usize,
    start: f32,
    fold: impl Fn(S, S) -> S,
    merge: impl Fn(S, S) -> S,
    finish: impl Fn(f32) -> f32,
) {
    // SAFETY: the caller's promise.
    unsafe {
        if x.step == 1 {
            for line in 0..x.lines {
                let from = x.x.add(line * x.line_step);
                *out.add(line * out_step) = finish(row::<S>(from, x.len, start, &fold, &merge));
            }
            return;
        }
        let write = |line: usize, count: usize, sum: S| {
            for (i, sum) in lanes(sum).into_iter().enumerate().take(count) {
                *out.add((line + i) * out_step) = finish(sum);
            }
        };
        let mut line = 0;
        if x.line_step == 1 {
            while x.lines - line >= WIDE * S::LANES {
                let mut sums = [S::splat(start); WIDE];
                for i in 0..x.len {
                    for (v, sum) in sums.iter_mut().enumerate() {
                        *sum = fold(*sum, S::load(x.x.add(line + i * x.step + v * S::LANES)));
                    }
                }
                for sum in sums {
                    write(line, S::LANES, sum);
                    line += S::LANES;
                }
            }
        }
        while line < x.lines {
            let count = if x.line_step == 1 { (x.lines - line).min(S::LANES) } else { 1 };
            let from = x.x.add(line * x.line_step);
            let mut sum = S::splat(start);
            for i in 0..x.len {
                sum = fold(sum, load::<S>(from.add(i * x.step), count));
            }
            write(line, count, sum);
            line += count;
        }
    }
}

/// Folds a row of adjacent elements, four vectors apart from one another.
///
/// # Safety
/// The row has `len` elements.
#[inline(always)]
pub unsafe fn row<S: Simd>(
    x: *const f32,
    len: usize,
    start: f32,
    fold: impl Fn(S, S) -> S,
    merge: impl Fn(S, S) -> S,
) -> f32 {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [S::splat(start); 4];
        let whole = len - len % (4 * S::LANES);
        for i in (0..whole).step_by(4 * S::LANES) {
            for (v, sum) in sums.iter_mut().enumerate() {
                *sum = fold(*sum, S::load(x.add(i + v * S::LANES)));
            }
        }
        let mut sum = merge(merge(sums[0], sums[1]), merge(sums[2], sums[3]));
        vectors::<S>(len - whole, |i, count| {
            sum = fold(sum, load::<S>(x.add(whole + i), count)).first(count, sum);
        });
        fold_lanes(sum, merge)
    }
}

/// # Safety
/// As [`reduce`].
#[inline(always)]
unsafe fn log_sum_exp<S: Simd>(x: &Lines, out: *mut f32, out_step: usize) {
    for line in 0..x.lines {
        // SAFETY: the caller's promise.
        unsafe {
            let from = x.x.add(line * x.line_step);
            let one = Lines { lines: 1, x: from, ..*x };
            let mut most = [0.0; 1];
            fold::<S>(&one, most.as_mut_ptr(), 1, f32::NEG_INFINITY, greater, greater, |most| most);
            // An infinite line has no distances to it.
            let base = if most[0].is_finite() { most[0] } else { 0.0 };
            let sum = |sum: S, x: S| sum + exp(x - S::splat(base));
            let finish = |sum: f32| lanes(log(S::splat(sum)))[0] + base;
            fold::<S>(&one, out.add(line * out_step), 1, 0.0, sum, |a, b| a + b, finish);
        }
    }
}
