//! Copies and transpositions of 32-bit elements.

use super::calls::Grid;
use super::simd::Simd;

/// Side of the square that is transposed at a time: what it reads and writes stays in the nearest cache.
const SQUARE: usize = 16;

/// See [`FloatKernels::copy`](super::FloatKernels::copy).
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn copy<S: Simd>(x: *const f32, out: *mut f32, grid: &Grid<2>) {
    let Grid { rows, len, row_steps: [x_row, out_row], steps: [x_step, out_step] } = *grid;
    // SAFETY: the caller's promise.
    unsafe {
        if x_step == 1 && out_step == 1 {
            for row in 0..rows {
                std::ptr::copy_nonoverlapping(x.add(row * x_row), out.add(row * out_row), len);
            }
            return;
        }
        for row in (0..rows).step_by(SQUARE) {
            for i in (0..len).step_by(SQUARE) {
                for row in row..rows.min(row + SQUARE) {
                    for i in i..len.min(i + SQUARE) {
                        *out.add(row * out_row + i * out_step) = *x.add(row * x_row + i * x_step);
                    }
                }
            }
        }
    }
}
