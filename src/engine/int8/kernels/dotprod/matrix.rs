//! The second operand of a product in the layout of [`gemm`](super::gemm), by transposition in registers.

use std::arch::aarch64::*;

use super::super::neon::columns::{BYTES, columns, mask};
use super::super::{AlignedBytes, Matrix, PackedGemm, Terms};
use super::gemm::{self, BLOCK, GROUP, width};
use super::instructions::sdot;

/// See [`Kernels::pack_matrix`](super::super::Kernels::pack_matrix).
///
/// # Safety
/// As there.
pub(super) unsafe fn pack(matrix: &Matrix) -> PackedGemm {
    // SAFETY: the caller's promise; the processor has the set's instructions.
    unsafe {
        match matrix.steps {
            [_, 1] => filled(matrix, |to, first| rows(matrix, to, first)),
            [1, _] => filled(matrix, |to, first| lines(matrix, to, first)),
            _ => matrix.gathered(gemm::pack),
        }
    }
}

/// Every block: `fill` writes the groups of the one that begins with a column, and returns the sums of its columns.
///
/// # Safety
/// The processor has the instructions.
#[target_feature(enable = "neon,dotprod")]
unsafe fn filled(matrix: &Matrix, fill: impl Fn(*mut i8, usize) -> [int32x4_t; 4]) -> PackedGemm {
    let Matrix { k, n, .. } = *matrix;
    let groups = k.div_ceil(GROUP);
    let block_bytes = BLOCK * (8 + groups * GROUP);
    let mut data = AlignedBytes::zeroed(n.div_ceil(BLOCK) * block_bytes);
    for first in (0..n).step_by(BLOCK) {
        let (block, width) = (first / BLOCK * block_bytes, width(n, first));
        // SAFETY: the block has room for its groups.
        let sums = fill(unsafe { data.as_mut_ptr().add(block + 4 * width).cast() }, first);
        let mut lanes = [0i32; BLOCK];
        for (lanes, sums) in lanes.as_chunks_mut().0.iter_mut().zip(sums) {
            let _: &mut [i32; 4] = lanes;
            // SAFETY: there are four of them.
            unsafe { vst1q_s32(lanes.as_mut_ptr(), sums) };
        }
        data.put_i32(block, lanes[..width.min(n - first)].iter().map(|&sum| matrix.start(sum)));
        data.put_f32(block + 4 * width * (1 + groups), std::iter::repeat_n(matrix.scale, width));
    }
    let terms = Terms::of_zero(matrix.zeros[1], n.next_multiple_of(BLOCK));
    PackedGemm {
        n,
        segments: 1,
        segment: k,
        block: BLOCK,
        block_bytes,
        data,
        terms,
        variant: u8::from(matrix.is_tame()),
    }
}

/// The block from column `first` of a matrix whose columns are adjacent.
///
/// # Safety
/// As [`pack`]; `to` takes its groups.
#[target_feature(enable = "neon,dotprod")]
unsafe fn rows(matrix: &Matrix, to: *mut i8, first: usize) -> [int32x4_t; 4] {
    let vectors = width(matrix.n, first) / 4;
    let ones = vdupq_n_s8(1);
    let mut sums = [vdupq_n_s32(0); 4];
    let mut to = to;
    for term in (0..matrix.k).step_by(GROUP) {
        // SAFETY: rows may be read a vector's length past their last column; `to` has room.
        unsafe {
            let row = |i: usize| match term + i < matrix.k {
                true => vld1q_s8(matrix.data.add((term + i) * matrix.steps[0] + first)),
                false => vdupq_n_s8(0),
            };
            let (a, b, c, d) = (row(0), row(1), row(2), row(3));
            let (even, odd) = ([vzip1q_s8(a, c), vzip2q_s8(a, c)], [vzip1q_s8(b, d), vzip2q_s8(b, d)]);
            let all: [int8x16_t; 4] = std::array::from_fn(|i| match i % 2 {
                0 => vzip1q_s8(even[i / 2], odd[i / 2]),
                _ => vzip2q_s8(even[i / 2], odd[i / 2]),
            });
            for (v, (sum, group)) in sums.iter_mut().zip(all).enumerate().take(vectors) {
                *sum = sdot(*sum, group, ones);
                vst1q_s8(to.add(BYTES * v), group);
            }
            to = to.add(BYTES * vectors);
        }
    }
    sums
}

/// The block from column `first` of a matrix whose columns lie each by itself.
///
/// # Safety
/// As [`rows`].
#[target_feature(enable = "neon,dotprod")]
unsafe fn lines(matrix: &Matrix, to: *mut i8, first: usize) -> [int32x4_t; 4] {
    let vectors = width(matrix.n, first) / 4;
    let ones = vdupq_n_s8(1);
    let mut sums = [vdupq_n_s32(0); 4];
    for term in (0..matrix.k).step_by(BYTES) {
        let groups = (matrix.k - term).min(BYTES).div_ceil(GROUP);
        let mask = mask(matrix.k - term);
        for (v, sum) in sums.iter_mut().enumerate().take(vectors) {
            // SAFETY: columns may be read a vector's length past their last term; `to` has room for as many groups.
            unsafe {
                let columns = columns::<4>(matrix, first + 4 * v, term, mask);
                let [a, b, c, d] = columns.map(|column| vreinterpretq_s32_s8(column));
                let (low, high) = ([vtrn1q_s32(a, b), vtrn2q_s32(a, b)], [vtrn1q_s32(c, d), vtrn2q_s32(c, d)]);
                let pair = |i: usize| (vreinterpretq_s64_s32(low[i % 2]), vreinterpretq_s64_s32(high[i % 2]));
                for i in 0..groups {
                    let (low, high) = pair(i);
                    let group = vreinterpretq_s8_s64(if i < 2 { vtrn1q_s64(low, high) } else { vtrn2q_s64(low, high) });
                    *sum = sdot(*sum, group, ones);
                    vst1q_s8(to.add(((term / GROUP + i) * vectors + v) * BYTES), group);
                }
            }
        }
    }
    sums
}
