//! The second operand of a product in the layout of [`short`](super::short), by transposition in registers.

use std::arch::aarch64::*;

use super::super::{AlignedBytes, Matrix, PackedGemm, Terms};
use super::columns::{BYTES, columns, mask};
use super::short::{BLOCK, MAX_STEPS, SEGMENT_HEAD, STEP, width};
use super::variant::{SHORT, TAME};

/// Pairs of terms of a step.
const PAIRS: usize = STEP / 2;

/// Packs, or returns `None` where the set's own packing has to look: neither terms nor columns are adjacent, there are too many terms, or
/// two products may overflow 16 bits.
///
/// # Safety
/// As [`Kernels::pack_matrix`](super::super::Kernels::pack_matrix).
#[target_feature(enable = "neon")]
pub(super) unsafe fn pack(matrix: &Matrix) -> Option<PackedGemm> {
    let Matrix { k, n, steps, .. } = *matrix;
    let padded = k.next_multiple_of(STEP / 2);
    if padded / STEP > MAX_STEPS || !steps.contains(&1) {
        return None;
    }
    let block_bytes = BLOCK * 8 + SEGMENT_HEAD + BLOCK * padded;
    let mut data = AlignedBytes::zeroed(n.div_ceil(BLOCK) * block_bytes);
    for first in (0..n).step_by(BLOCK) {
        let (block, width) = (first / BLOCK * block_bytes, width(n - first));
        let head = block + 8 * width;
        let mut filling = Filling {
            vectors: width / 8,
            sums: [vdupq_n_s32(0); 4],
            twice: vdupq_n_u8(0),
            bits: 1 << (63 - padded / STEP),
        };
        // SAFETY: the block has room for its steps.
        unsafe {
            let to = data.as_mut_ptr().add(head + SEGMENT_HEAD).cast();
            if steps[1] == 1 { rows(matrix, first, to, &mut filling) } else { lines(matrix, first, to, &mut filling) }
        }
        // Two products of −128 by −128 are the only ones too many.
        if vmaxvq_u8(filling.twice) >= 128 {
            return None;
        }
        let mut lanes = [0i32; BLOCK];
        for (lanes, sums) in lanes.chunks_exact_mut(4).zip(filling.sums) {
            // SAFETY: there are four of them.
            unsafe { vst1q_s32(lanes.as_mut_ptr(), sums) };
        }
        data.put_i32(block, lanes[..width.min(n - first)].iter().map(|&sum| matrix.start(sum)));
        data.put_f32(block + 4 * width, std::iter::repeat_n(matrix.scale, width));
        let rest = u64::from(!padded.is_multiple_of(STEP));
        data.as_mut_slice()[head..head + 8].copy_from_slice(&filling.bits.to_le_bytes());
        data.as_mut_slice()[head + 8..head + 16].copy_from_slice(&rest.to_le_bytes());
    }
    let terms = Terms::of_zero(matrix.zeros[1], n.next_multiple_of(BLOCK));
    let variant = if matrix.is_tame() { SHORT | TAME } else { SHORT };
    Some(PackedGemm { n, segments: 1, segment: k, block: BLOCK, block_bytes, data, terms, variant })
}

/// A block on its way.
struct Filling {
    /// Vectors of a pair of terms: eight columns each.
    vectors: usize,
    /// Sums of its columns.
    sums: [int32x4_t; 4],
    /// Bit 7 where two terms of a step that are added in 16 bits are both −128.
    twice: uint8x16_t,
    /// The segment's word of bits.
    bits: u64,
}

impl Filling {
    /// Takes in the pairs of terms of step `step`, of eight columns from `8 · vector`; true if four products fit 16 bits.
    #[inline]
    #[target_feature(enable = "neon")]
    fn step(&mut self, vector: usize, pairs: [int8x16_t; PAIRS]) -> bool {
        let mut sum = vpaddlq_s8(pairs[0]);
        for pair in &pairs[1..] {
            sum = vpadalq_s8(sum, *pair);
        }
        self.sums[2 * vector] = vaddw_s16(self.sums[2 * vector], vget_low_s16(sum));
        self.sums[2 * vector + 1] = vaddw_high_s16(self.sums[2 * vector + 1], sum);
        let [a, b, c, d] = pairs.map(|pair| vreinterpretq_u8_s8(vabsq_s8(pair)));
        self.twice = vorrq_u8(self.twice, vorrq_u8(vandq_u8(a, b), vandq_u8(c, d)));
        // Magnitudes of at most 255 together make a product of at most 255 · 128. More than that saturates, and 255 itself counts as more.
        vmaxvq_u8(vqaddq_u8(vqaddq_u8(a, b), vqaddq_u8(c, d))) < 255
    }

    /// Notes that four products of a whole step fit.
    fn four(&mut self, step: usize) {
        self.bits |= 1 << (63 - step);
    }
}

/// The block from column `first` of a matrix whose columns are adjacent.
///
/// # Safety
/// As [`pack`]; `to` takes its steps.
#[target_feature(enable = "neon")]
unsafe fn rows(matrix: &Matrix, first: usize, to: *mut i8, filling: &mut Filling) {
    let vectors = filling.vectors;
    let mut to = to;
    for term in (0..matrix.k).step_by(STEP) {
        let count = (matrix.k - term).div_ceil(2).next_multiple_of(2).min(PAIRS);
        // SAFETY: rows may be read a vector's length past their last column; `to` has room.
        unsafe {
            let row = |i: usize| match term + i < matrix.k {
                true => vld1q_s8(matrix.data.add((term + i) * matrix.steps[0] + first)),
                false => vdupq_n_s8(0),
            };
            let rows: [int8x16_t; STEP] = std::array::from_fn(row);
            let low = std::array::from_fn(|p| vzip1q_s8(rows[2 * p], rows[2 * p + 1]));
            let mut four = filling.step(0, low);
            if vectors == 2 {
                let high: [int8x16_t; PAIRS] = std::array::from_fn(|p| vzip2q_s8(rows[2 * p], rows[2 * p + 1]));
                four &= filling.step(1, high);
                high.iter().enumerate().take(count).for_each(|(p, v)| vst1q_s8(to.add((2 * p + 1) * BYTES), *v));
            }
            low.iter().enumerate().take(count).for_each(|(p, v)| vst1q_s8(to.add(vectors * p * BYTES), *v));
            if four && count == PAIRS {
                filling.four(term / STEP);
            }
            to = to.add(vectors * count * BYTES);
        }
    }
}

/// The block from column `first` of a matrix whose columns lie each by itself.
///
/// # Safety
/// As [`rows`].
#[target_feature(enable = "neon")]
unsafe fn lines(matrix: &Matrix, first: usize, to: *mut i8, filling: &mut Filling) {
    let vectors = filling.vectors;
    for term in (0..matrix.k).step_by(BYTES) {
        let mask = mask(matrix.k - term);
        let mut fours = [true; 2];
        for vector in 0..vectors {
            // SAFETY: columns may be read a vector's length past their last term.
            let mut pairs =
                unsafe { columns::<8>(matrix, first + 8 * vector, term, mask) }.map(|c| vreinterpretq_s16_s8(c));
            // Three perfect shuffles bring every pair to its place.
            for _ in 0..3 {
                pairs = std::array::from_fn(|i| match i % 2 {
                    0 => vzip1q_s16(pairs[i / 2], pairs[i / 2 + 4]),
                    _ => vzip2q_s16(pairs[i / 2], pairs[i / 2 + 4]),
                });
            }
            let pairs = pairs.map(|pair| vreinterpretq_s8_s16(pair));
            for (half, four) in fours.iter_mut().enumerate() {
                *four &= filling.step(vector, std::array::from_fn(|p| pairs[PAIRS * half + p]));
            }
            let count = (matrix.k - term).div_ceil(2).next_multiple_of(2).min(2 * PAIRS);
            for (p, pair) in pairs.into_iter().enumerate().take(count) {
                // SAFETY: `to` has room for as many pairs.
                unsafe { vst1q_s8(to.add(((term / 2 + p) * vectors + vector) * BYTES), pair) };
            }
        }
        for (half, four) in fours.into_iter().enumerate() {
            // A step that is not whole has no bit.
            if four && (matrix.k - term).next_multiple_of(STEP / 2) >= STEP * (half + 1) {
                filling.four(term / STEP + half);
            }
        }
    }
}
