//! Index of the greatest or least element of a line.

use super::calls::Lines;
use super::reduce::{Highest, Lowest};
use super::simd::{MOST_LANES, Simd, fold_lanes, lanes, load, vectors};

/// Longest line whose indices are exact as floats.
const MOST: usize = 1 << 24;

/// The index of every lane.
const INDICES: [f32; MOST_LANES] =
    [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0];

/// See [`FloatKernels::arg`](super::FloatKernels::arg).
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn arg<S: Simd>(least: bool, last: bool, x: &Lines, out: *mut i32, out_step: usize) {
    // SAFETY: the caller's promise is the callee's.
    unsafe {
        match (least, last) {
            (false, false) => lines::<S, false, false>(x, out, out_step),
            (false, true) => lines::<S, false, true>(x, out, out_step),
            (true, false) => lines::<S, true, false>(x, out, out_step),
            (true, true) => lines::<S, true, true>(x, out, out_step),
        }
    }
}

/// # Safety
/// As [`arg`].
#[inline(always)]
unsafe fn lines<S: Simd, const LEAST: bool, const LAST: bool>(x: &Lines, out: *mut i32, out_step: usize) {
    let mut line = 0;
    while line < x.lines {
        // SAFETY: the caller's promise.
        unsafe {
            let from = x.x.add(line * x.line_step);
            if x.step == 1 && x.len < MOST {
                *out.add(line * out_step) = row::<S, LEAST, LAST>(from, x.len);
                line += 1;
                continue;
            }
            let count = if x.line_step == 1 && x.len < MOST { (x.lines - line).min(S::LANES) } else { 1 };
            let indices = if x.len < MOST {
                columns::<S, LEAST, LAST>(from, x.step, x.len, count)
            } else {
                [one::<LEAST, LAST>(from, x.step, x.len); MOST_LANES]
            };
            for (i, index) in indices.into_iter().enumerate().take(count) {
                *out.add((line + i) * out_step) = index;
            }
            line += count;
        }
    }
}

/// Key whose greatest is sought: the element or its negative, NaN above everything.
#[inline(always)]
fn key<S: Simd, const LEAST: bool>(x: S) -> S {
    S::select(x.is_nan(), x.like(f32::INFINITY), if LEAST { -x } else { x })
}

/// Indices in `count` lines side by side.
///
/// # Safety
/// There are that many, of `len` elements each.
#[inline(always)]
unsafe fn columns<S: Simd, const LEAST: bool, const LAST: bool>(
    x: *const f32,
    step: usize,
    len: usize,
    count: usize,
) -> [i32; MOST_LANES] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut most = key::<S, LEAST>(load::<S>(x, count));
        let mut index = S::splat(0.0);
        for i in 1..len {
            let next = key::<S, LEAST>(load::<S>(x.add(i * step), count));
            (most, index) = better::<S, LAST>((most, index), (next, S::splat(i as f32)));
        }
        lanes(index).map(|index| index as i32)
    }
}

/// The better of two, of which the second comes later.
#[inline(always)]
fn better<S: Simd, const LAST: bool>((most, index): (S, S), (x, at): (S, S)) -> (S, S) {
    let mask = if LAST { x.lt(most) } else { most.lt(x) };
    match LAST {
        true => (S::select(mask, most, x), S::select(mask, index, at)),
        false => (S::select(mask, x, most), S::select(mask, at, index)),
    }
}

/// Index in a row of adjacent elements: lanes apart, then the best of them.
///
/// # Safety
/// The row has `len` elements, at least 1.
#[inline(always)]
unsafe fn row<S: Simd, const LEAST: bool, const LAST: bool>(x: *const f32, len: usize) -> i32 {
    // What a lane without elements holds, which loses against every index.
    let none = if LAST { -1.0 } else { MOST as f32 };
    // SAFETY: the caller's promise.
    unsafe {
        let own = S::load(INDICES.as_ptr());
        let mut best = (S::splat(f32::NEG_INFINITY), S::splat(none));
        if len >= S::LANES {
            best = (key::<S, LEAST>(S::load(x)), own);
        }
        vectors!(S, len, |i, count| {
            let next = (key::<S, LEAST>(load::<S>(x.add(i), count)), own + S::splat(i as f32));
            let better = better::<S, LAST>(best, next);
            best =
                if count == S::LANES { better } else { (better.0.first(count, best.0), better.1.first(count, best.1)) };
        });
        let (most, index) = best;
        let greatest = S::splat(fold_lanes(most, Highest));
        let index = S::select(most.lt(greatest), S::splat(none), index);
        // A row of infinities that are below everything is one of equal elements, too.
        let found = if LAST { fold_lanes(index, Highest) } else { fold_lanes(index, Lowest) };
        if found == MOST as f32 { 0 } else { found as i32 }
    }
}

/// Index in a line that is longer than floats can count.
///
/// # Safety
/// The line has `len` elements, at least 1.
unsafe fn one<const LEAST: bool, const LAST: bool>(x: *const f32, step: usize, len: usize) -> i32 {
    let key = |i: usize| {
        // SAFETY: the caller's promise.
        let x = unsafe { *x.add(i * step) };
        if x.is_nan() {
            f32::INFINITY
        } else if LEAST {
            -x
        } else {
            x
        }
    };
    let better = |best: usize, i: usize| key(i) > key(best) || LAST && key(i) == key(best);
    (1..len).fold(0, |best, i| if better(best, i) { i } else { best }) as i32
}
