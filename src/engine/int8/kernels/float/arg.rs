//! Where the greatest or least element of a line is.

use super::calls::Lines;
use super::simd::{MOST_LANES, Simd, lanes, load};

/// Longest line whose indices are exact as floats.
const MOST: usize = 1 << 24;

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

/// What the greatest is looked for of: the element or its negative, NaN as what is above everything.
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
    // SAFETY: the caller's promise.
    unsafe {
        let width = len.min(S::LANES);
        let mut own = [0.0; MOST_LANES];
        for (i, own) in own.iter_mut().enumerate() {
            *own = i as f32;
        }
        let own = S::load(own.as_ptr());
        let mut most = key::<S, LEAST>(load::<S>(x, width));
        let mut index = own;
        let mut at = S::LANES;
        while at + S::LANES <= len {
            let next = key::<S, LEAST>(S::load(x.add(at)));
            (most, index) = better::<S, LAST>((most, index), (next, own + S::splat(at as f32)));
            at += S::LANES;
        }
        let (most, index) = (lanes(most), lanes(index));
        let mut best = (most[0], index[0]);
        let mut take = |key: f32, index: f32| {
            if key > best.0 || key == best.0 && (index > best.1) == LAST {
                best = (key, index);
            }
        };
        for i in 1..width {
            take(most[i], index[i]);
        }
        for i in at..len {
            let x = *x.add(i);
            let key = if x.is_nan() {
                f32::INFINITY
            } else if LEAST {
                -x
            } else {
                x
            };
            take(key, i as f32);
        }
        best.1 as i32
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
