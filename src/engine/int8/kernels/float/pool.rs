//! Pools, a row of pixels at a time.
//!
//! Windows that overlap sideways are taken apart: the columns of a row of windows are folded first, down the rows, then each
//! window folds its columns.

use super::calls::{Pool, PoolCall};
use super::reduce::greater;
use super::simd::{Simd, load, store};

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
            Pool::Max => row::<S>(call, greater, |most, _| most),
            Pool::Average(Some(divisor)) => row::<S>(call, |a, b| a + b, |sum, _| sum / sum.like(divisor)),
            Pool::Average(None) => row::<S>(call, |a, b| a + b, |sum, pixels| sum / sum.like(pixels as f32)),
        }
    }
}

/// # Safety
/// As [`pool`].
#[inline(always)]
unsafe fn row<S: Simd>(call: &PoolCall, fold: impl Fn(S, S) -> S, finish: impl Fn(S, usize) -> S) {
    let mut columns = [0.0f32; COLUMNS * super::simd::MOST_LANES];
    for channel in (0..call.channels).step_by(S::LANES) {
        let count = (call.channels - channel).min(S::LANES);
        let folded_column = |col: usize| {
            // SAFETY: the column is one of a window's.
            unsafe {
                let x = call.x.add(channel + col * call.x_col);
                let mut sum = load::<S>(x, count);
                for y in 1..call.height {
                    sum = fold(sum, load::<S>(x.add(y * call.tap_row), count));
                }
                sum
            }
        };
        // Columns `first..next` are folded, in a ring.
        let (mut first, mut next) = (0, 0);
        for (i, &(start, width)) in call.cols.iter().enumerate() {
            let end = start + (width - 1) * call.dilation + 1;
            let sum = if end - start > COLUMNS || call.dilation > 1 {
                (1..width).fold(folded_column(start), |sum, i| fold(sum, folded_column(start + i * call.dilation)))
            } else {
                if start >= next || start < first {
                    (first, next) = (start, start);
                }
                let place = |col: usize| col % COLUMNS * S::LANES;
                while next < end {
                    // SAFETY: the ring has room for a vector at each place.
                    unsafe { folded_column(next).store(columns.as_mut_ptr().add(place(next))) };
                    next += 1;
                }
                first = first.max(next.saturating_sub(COLUMNS));
                // SAFETY: the window's columns are in the ring.
                let column = |col: usize| unsafe { S::load(columns.as_ptr().add(place(col))) };
                (start + 1..end).fold(column(start), |sum, col| fold(sum, column(col)))
            };
            // SAFETY: the output has the pixel.
            unsafe { store(finish(sum, width * call.height), call.out.add(channel + i * call.out_col), count) };
        }
    }
}
