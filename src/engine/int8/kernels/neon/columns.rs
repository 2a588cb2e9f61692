//! Columns of a matrix, loaded to be transposed.

use std::arch::aarch64::*;

use super::super::Matrix;

/// Bytes of a vector.
pub const BYTES: usize = 16;

/// Ones in the bits of the first `count` bytes.
#[inline]
#[target_feature(enable = "neon")]
pub fn mask(count: usize) -> int8x16_t {
    const INDEX: [u8; BYTES] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
    // SAFETY: the constant has 16 bytes.
    vreinterpretq_s8_u8(vcltq_u8(unsafe { vld1q_u8(INDEX.as_ptr()) }, vdupq_n_u8(count.min(BYTES) as u8)))
}

/// Sixteen terms from `term` of the columns from `first`, as far as the mask goes, zeros behind; the last column for those that are not there.
///
/// # Safety
/// The matrix has the terms or [`SLACK`](super::super::SLACK) behind it; its terms are adjacent.
#[inline]
#[target_feature(enable = "neon")]
pub unsafe fn columns<const N: usize>(matrix: &Matrix, first: usize, term: usize, mask: int8x16_t) -> [int8x16_t; N] {
    std::array::from_fn(|i| {
        let column = (first + i).min(matrix.n - 1);
        // SAFETY: the caller's promise.
        vandq_s8(unsafe { vld1q_s8(matrix.data.add(column * matrix.steps[1] + term)) }, mask)
    })
}
