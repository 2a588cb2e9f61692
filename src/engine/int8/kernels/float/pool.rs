//! Pools, a row of pixels at a time.
//!
//! Windows that overlap sideways are taken apart: the columns of a row of windows are folded first, down the rows, then each
//! window folds its columns.

use super::calls::{Pool, PoolCall};
use super::reduce::{Greatest, Sum};
use super::simd::{Fold, MOST_LANES, Simd, load, store};

/// Columns that are folded at a time; wider windows are folded pixel by pixel.
const COLUMNS: usize = 64;

/// See [`FloatKernels::pool`](super::FloatKernels::pool).
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn pool<S: Simd>(call: &PoolCall) {
    // SAFETY: the caller's promise is the callee's.
    unsafe {
        match call.pool {
            Pool::Max => row::<S, _>(call, Greatest, |_| 1.0),
            Pool::Average(Some(divisor)) => row::<S, _>(call, Sum, |_| divisor),
            Pool::Average(None) => row::<S, _>(call, Sum, |pixels| pixels as f32),
        }
    }
}

/// # Safety
/// As [`pool`].
#[inline(always)]
unsafe fn row<S: Simd, F: Fold>(call: &PoolCall, fold: F, divisor: impl Fn(usize) -> f32) {
    let mut ring = [0.0f32; COLUMNS * MOST_LANES];
    for channel in (0..call.channels).step_by(S::LANES) {
        let count = (call.channels - channel).min(S::LANES);
        // SAFETY: the caller's promise. With a constant number of channels, nothing is left to be decided inside.
        unsafe {
            if count == S::LANES {
                line::<S, F>(call, fold, &divisor, channel, S::LANES, &mut ring);
            } else {
                line::<S, F>(call, fold, &divisor, channel, count, &mut ring);
            }
        }
    }
}

/// `count` channels of a row of pixels.
///
/// # Safety
/// As [`pool`].
#[inline(always)]
unsafe fn line<S: Simd, F: Fold>(
    call: &PoolCall,
    fold: F,
    divisor: impl Fn(usize) -> f32,
    channel: usize,
    count: usize,
    ring: &mut [f32; COLUMNS * MOST_LANES],
) {
    let place = |col: usize| col % COLUMNS * S::LANES;
    // Columns up to `next` are in the ring, as many as it holds.
    let (mut first, mut next) = (0, 0);
    for (i, &(start, width)) in call.cols.iter().enumerate() {
        // SAFETY: the windows' columns lie in the input, and the ring has a vector for each place.
        unsafe {
            let column = |col: usize| call.x.add(channel + col * call.x_col);
            let mut sum;
            if width > COLUMNS || call.dilation > 1 {
                sum = down::<S, F>(call, fold, column(start), count);
                for x in 1..width {
                    sum = fold.merge(sum, down(call, fold, column(start + x * call.dilation), count));
                }
            } else {
                if start >= next || start < first {
                    (first, next) = (start, start);
                }
                while next < start + width {
                    down::<S, F>(call, fold, column(next), count).store(ring.as_mut_ptr().add(place(next)));
                    next += 1;
                }
                first = first.max(next.saturating_sub(COLUMNS));
                sum = S::load(ring.as_ptr().add(place(start)));
                for col in start + 1..start + width {
                    sum = fold.merge(sum, S::load(ring.as_ptr().add(place(col))));
                }
            }
            let divisor = divisor(width * call.height);
            let result = if divisor == 1.0 { sum } else { sum / sum.like(divisor) };
            store(result, call.out.add(channel + i * call.out_col), count);
        }
    }
}

/// A column of a window, folded.
///
/// # Safety
/// As [`pool`]; `x` is the column's first pixel.
#[inline(always)]
unsafe fn down<S: Simd, F: Fold>(call: &PoolCall, fold: F, x: *const f32, count: usize) -> S {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sum = load::<S>(x, count);
        for y in 1..call.height {
            sum = fold.merge(sum, load::<S>(x.add(y * call.tap_row), count));
        }
        sum
    }
}
