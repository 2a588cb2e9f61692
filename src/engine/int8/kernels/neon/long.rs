//! Dense kernels for long reductions: a lane belongs to an input, a vector to one row and one channel.
//!
//! `smull` and `smlal` add as many products in 16 bits as surely fit, `sadalp` adds pairs of lanes to 32-bit sums, and
//! the lanes are added up at the end. Two products always fit (but for −128 twice: [`pack`] refuses); four fit if the
//! weights are small enough, which most are: packing looks at every step and leaves a bit for it.
//!
//! A block has 4 channels: starting sums, scales, then each segment in chunks of at most 63 steps. A chunk has a word
//! of bits (from the top: whether four products of a step fit; then a one; then zeros), a word of flags for what
//! follows the steps, the steps of 32 inputs, `[4 channels][32]`, and at the end of a segment a half and a quarter of
//! a step as needed.

use core::arch::aarch64::*;

use super::super::tame::Group;
use super::super::{AlignedBytes, GemmCall, GemmWeights, PackedGemm, Terms};
use super::elementwise::store_partial;
use super::long_tile::{BLOCK, HEAD, four_rows, one_row};
use super::results::{Results, less_zeros, row_sum};
use super::variant::{LONG, TAME};

/// Inputs of a step.
const STEP: usize = 32;

/// Steps of a chunk.
const CHUNK: usize = 63;

/// Bytes before a chunk's first step.
const CHUNK_HEAD: usize = 16;

/// Flags: half a step follows, a quarter follows, then another chunk of the same segment.
const HALF: u64 = 1;
const QUARTER: u64 = 2;
const MORE: u64 = 4;

/// Packs, or returns `None` if a pair of products may overflow 16 bits.
pub(super) fn pack(weights: &GemmWeights) -> Option<PackedGemm> {
    let GemmWeights { n, segments, segment, .. } = *weights;
    let padded = segment.next_multiple_of(8);
    let block_bytes = HEAD + segments * (padded.div_ceil(CHUNK * STEP) * CHUNK_HEAD + padded * BLOCK);
    let mut data = AlignedBytes::zeroed(n.div_ceil(BLOCK) * block_bytes);
    for first in (0..n).step_by(BLOCK) {
        let mut at = first / BLOCK * block_bytes;
        let channels = first..n.min(first + BLOCK);
        data.put_i32(at, channels.clone().map(|c| weights.start(c, weights.x_zero)));
        data.put_f32(at + 4 * BLOCK, weights.scale[channels.clone()].iter().copied());
        at += HEAD;
        for s in 0..segments {
            let rows: [&[i8]; BLOCK] = std::array::from_fn(|i| match first + i {
                c if c < n => &weights.data[(c * segments + s) * segment..][..segment],
                _ => &[],
            });
            for chunk in (0..padded).step_by(CHUNK * STEP) {
                at = pack_chunk(
                    &mut data,
                    at,
                    &rows,
                    chunk,
                    (padded - chunk).min(CHUNK * STEP),
                    chunk + CHUNK * STEP < padded,
                )?;
            }
        }
    }
    let terms = Terms::of_gemm(weights, n.next_multiple_of(BLOCK), |channel| channel, weights.zeros);
    Some(PackedGemm { n, segments, segment, block: BLOCK, block_bytes, data, terms, variant: LONG })
}

/// Packs inputs `first..first + len` at byte `at`; the end, or `None` if a pair of products may overflow.
fn pack_chunk(
    data: &mut AlignedBytes,
    at: usize,
    rows: &[&[i8]; BLOCK],
    first: usize,
    len: usize,
    more: bool,
) -> Option<usize> {
    let weight = |row: usize, input: usize| rows[row].get(input).copied().unwrap_or(0);
    let mut bits = 1u64 << (63 - len / STEP);
    let flags = [(HALF, len & 16 != 0), (QUARTER, len & 8 != 0), (MORE, more)];
    let flags: u64 = flags.into_iter().filter_map(|(flag, set)| set.then_some(flag)).sum();
    let mut to = at + CHUNK_HEAD;
    let mut done = 0;
    while done < len {
        let width = [STEP, STEP / 2, STEP / 4].into_iter().find(|width| done + width <= len)?;
        let mut four = width == STEP;
        for row in 0..BLOCK {
            data.put_i8(to + row * width, (0..width).map(|i| weight(row, first + done + i)));
            for i in (first + done)..(first + done + 8) {
                let pairs = [[weight(row, i), weight(row, i + 8)], [weight(row, i + 16), weight(row, i + 24)]];
                if !pairs.into_iter().all(|pair| Group::of(pair).fits()) {
                    return None;
                }
                four &= Group::of(pairs.as_flattened().iter().copied()).fits();
            }
        }
        bits |= u64::from(four) << (63 - done / STEP);
        to += width * BLOCK;
        done += width;
    }
    data.as_mut_slice()[at..at + 8].copy_from_slice(&bits.to_le_bytes());
    data.as_mut_slice()[at + 8..at + 16].copy_from_slice(&flags.to_le_bytes());
    Some(to)
}

/// Instructions for four rows, about.
pub(super) fn cost(weights: &GemmWeights) -> usize {
    let segment = weights.segment.next_multiple_of(8);
    let segment = segment / STEP * 101 + segment / 16 % 2 * 54 + segment / 8 % 2 * 40 + 14;
    (weights.segments * segment + 40) * weights.n.div_ceil(BLOCK)
}

/// See [`Kernels::gemm`](super::super::Kernels::gemm).
///
/// # Safety
/// As there; packed by [`pack`].
#[target_feature(enable = "neon")]
pub(super) unsafe fn gemm(call: &GemmCall) {
    let results = Results::new(&call.finish, call.packed.variant & TAME != 0);
    let (rows, single_rows) = call.rows.as_chunks();
    let (outs, single_outs) = call.outs.as_chunks();
    // SAFETY: the caller's promise, for a part of the rows.
    unsafe {
        for (rows, outs) in rows.iter().zip(outs) {
            four(call, &results, rows, outs);
        }
        for (&row, &out) in single_rows.iter().zip(single_outs) {
            one(call, &results, row, out);
        }
    }
}

/// Four rows by all blocks.
///
/// # Safety
/// As [`gemm`].
#[inline]
#[target_feature(enable = "neon")]
unsafe fn four(call: &GemmCall, results: &Results, rows: &[*const i8; 4], outs: &[*mut i8; 4]) {
    let packed = call.packed;
    let first = call.first_block * BLOCK;
    let mut left = packed.n - first;
    // SAFETY: the blocks lie in the packed data, the outputs have `left` results; a block starts with sums and scales.
    unsafe {
        let row_sums = match packed.terms.zeros.is_empty() {
            true => [0; 4],
            false => rows.map(|row| row_sum(row, call.offsets, packed.segment)),
        };
        let mut block = packed.data.as_ptr().add(call.first_block * packed.block_bytes);
        for _ in 0..call.blocks {
            let mut sums = four_rows(rows, call.offsets, block);
            let channel = packed.n - left;
            if !packed.terms.zeros.is_empty() {
                sums = std::array::from_fn(|row| less_zeros(sums[row], &packed.terms, channel, row_sums[row]));
            }
            let scale = vld1q_f32(block.add(4 * BLOCK).cast());
            match results {
                Results::Bytes(epilogue) => {
                    let [bytes] = epilogue.apply([sums], [scale; 4]);
                    let [out0, out1, out2, out3] = outs.map(|out| out.add(channel));
                    if left >= BLOCK {
                        let words = vreinterpretq_s32_s8(bytes);
                        vst1q_lane_s32::<0>(out0.cast(), words);
                        vst1q_lane_s32::<1>(out1.cast(), words);
                        vst1q_lane_s32::<2>(out2.cast(), words);
                        vst1q_lane_s32::<3>(out3.cast(), words);
                    } else {
                        store_partial(out0, bytes, left);
                        store_partial(out1, vextq_s8::<4>(bytes, bytes), left);
                        store_partial(out2, vextq_s8::<8>(bytes, bytes), left);
                        store_partial(out3, vextq_s8::<12>(bytes, bytes), left);
                    }
                }
                Results::Floats(floats) => {
                    let channels = floats.channels(scale, &packed.terms, channel);
                    for (sums, out) in sums.into_iter().zip(outs) {
                        let out = out.cast::<f32>().add(channel);
                        floats.store(sums, &channels, out, left);
                    }
                }
            }
            block = block.add(packed.block_bytes);
            left = left.saturating_sub(BLOCK);
        }
    }
}

/// One row by all blocks, four of them at once.
///
/// # Safety
/// As [`gemm`].
#[inline]
#[target_feature(enable = "neon")]
unsafe fn one(call: &GemmCall, results: &Results, row: *const i8, out: *mut i8) {
    let packed = call.packed;
    let first = call.first_block * BLOCK;
    let mut left = (packed.n - first).min(call.blocks * BLOCK);
    let mut channel = first;
    let mut at = [0, 1, 2, 3].map(|i| i * packed.block_bytes);
    let mut data = packed.data.as_ptr().wrapping_add(call.first_block * packed.block_bytes);
    // SAFETY: the blocks lie in the packed data, the output has `left` results; a block starts with sums and scales.
    unsafe {
        let zeros = !packed.terms.zeros.is_empty();
        let row_sum = if zeros { row_sum(row, call.offsets, packed.segment) } else { 0 };
        while left > 0 {
            if left <= 3 * BLOCK {
                // The last block again for those that are not there.
                at = at.map(|at| at.min((left - 1) / BLOCK * packed.block_bytes));
            }
            let blocks = at.map(|at| data.add(at));
            let mut sums = one_row(row, call.offsets, blocks);
            let scale = blocks.map(|block| vld1q_f32(block.add(4 * BLOCK).cast()));
            let last = left.div_ceil(BLOCK).min(4) - 1;
            if zeros {
                // As above, the last block again for those that are not there.
                sums =
                    std::array::from_fn(|i| less_zeros(sums[i], &packed.terms, channel + i.min(last) * BLOCK, row_sum));
            }
            match results {
                Results::Bytes(epilogue) => {
                    let [bytes] = epilogue.apply([sums], scale);
                    if left < 4 * BLOCK {
                        store_partial(out.add(channel), bytes, left);
                    } else {
                        vst1q_s8(out.add(channel), bytes);
                    }
                }
                Results::Floats(floats) => {
                    for (i, sums) in sums.into_iter().enumerate().take(last + 1) {
                        let channel = channel + i * BLOCK;
                        let out = out.cast::<f32>().add(channel);
                        floats.store(sums, &floats.channels(scale[i], &packed.terms, channel), out, left - i * BLOCK);
                    }
                }
            }
            if left <= 4 * BLOCK {
                return;
            }
            channel += 4 * BLOCK;
            data = data.wrapping_add(4 * packed.block_bytes);
            left -= 4 * BLOCK;
        }
    }
}
