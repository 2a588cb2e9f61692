//! Dense kernels for short reductions: a lane belongs to a channel, inputs are spread over the lanes.
//!
//! `smull` and `smlal` add as many products in 16 bits as surely fit, `sadalp` adds pairs of lanes to 32-bit sums, one
//! for each channel: nothing to add up across lanes at the end. As in [`long`](super::long), two products fit (or
//! [`pack`] refuses), and a bit for each step says whether four do.
//!
//! A block has 16 channels, but 8 if at most 8 are left for the last one: starting sums, scales, then the segments. A
//! segment has a word of bits (from the top: whether four products of a step fit; then a one; then zeros), a word that
//! is not zero if half a step follows the steps, and the weights, `[pairs of inputs][channels][2]`, four pairs a step.

use core::arch::aarch64::*;

use super::super::tame::Group;
use super::super::{AlignedBytes, GemmCall, GemmWeights, MAX_ROWS, PackedGemm, Terms};
use super::elementwise::store_partial;
use super::results::{LANES, Results, less_zeros, row_sum};
use super::short_tile::{Input, full1, full2, full3, full4, half1, half2, half3, half4};
use super::variant::{SHORT, TAME};

/// Output channels of a block.
pub(super) const BLOCK: usize = 16;

/// Output channels of a last block that is at most half full.
const HALF: usize = 8;

/// Inputs of a step.
pub(super) const STEP: usize = 8;

/// Bytes before a segment's weights.
pub(super) const SEGMENT_HEAD: usize = 16;

/// Steps of a segment, one less than the bits of a word.
pub(super) const MAX_STEPS: usize = 63;

/// Channels of a block when `left` remain.
pub(super) fn width(left: usize) -> usize {
    if left > HALF { BLOCK } else { HALF }
}

/// Packs, or returns `None` if a pair of products may overflow 16 bits or a segment is too long.
pub(super) fn pack(weights: &GemmWeights) -> Option<PackedGemm> {
    let GemmWeights { n, segments, segment, .. } = *weights;
    let padded = segment.next_multiple_of(STEP / 2);
    if padded / STEP > MAX_STEPS {
        return None;
    }
    let block_bytes = BLOCK * 8 + segments * (SEGMENT_HEAD + BLOCK * padded);
    let mut data = AlignedBytes::zeroed(n.div_ceil(BLOCK) * block_bytes);
    for first in (0..n).step_by(BLOCK) {
        let mut at = first / BLOCK * block_bytes;
        let channels = first..n.min(first + BLOCK);
        let width = width(n - first);
        data.put_i32(at, channels.clone().map(|c| weights.start(c, weights.x_zero)));
        data.put_f32(at + 4 * width, weights.scale[channels.clone()].iter().copied());
        at += 8 * width;
        for s in 0..segments {
            let weight = |lane: usize, input: usize| match channels.start + lane {
                c if c < channels.end && input < segment => weights.data[(c * segments + s) * segment + input],
                _ => 0,
            };
            let mut bits = 1u64 << (63 - padded / STEP);
            for step in 0..padded.div_ceil(STEP) {
                let mut four = true;
                for lane in 0..width {
                    for i in 0..2 {
                        let [a, b, c, d] = std::array::from_fn(|pair| weight(lane, step * STEP + 2 * pair + i));
                        if !(Group::of([a, b]).fits() && Group::of([c, d]).fits()) {
                            return None;
                        }
                        four &= Group::of([a, b, c, d]).fits();
                    }
                }
                if four && step < padded / STEP {
                    bits |= 1 << (63 - step);
                }
            }
            let rest = u64::from(!padded.is_multiple_of(STEP));
            data.as_mut_slice()[at..at + 8].copy_from_slice(&bits.to_le_bytes());
            data.as_mut_slice()[at + 8..at + 16].copy_from_slice(&rest.to_le_bytes());
            at += SEGMENT_HEAD;
            for input in (0..padded).step_by(2) {
                data.put_i8(at, (0..width).flat_map(|lane| [weight(lane, input), weight(lane, input + 1)]));
                at += 2 * width;
            }
        }
    }
    let terms = Terms::of_gemm(weights, n.next_multiple_of(BLOCK), |channel| channel, weights.zeros);
    Some(PackedGemm { n, segments, segment, block: BLOCK, block_bytes, data, terms, variant: SHORT })
}

/// Instructions for four rows, about.
pub(super) fn cost(weights: &GemmWeights) -> usize {
    let segment = weights.segment.div_ceil(STEP / 2);
    let (steps, halves) = (weights.segments * (segment / 2), weights.segments * (segment % 2));
    let overhead = 110 + 12 * weights.segments;
    let blocks = weights.n.div_ceil(BLOCK);
    let half = usize::from(width(weights.n - (blocks - 1) * BLOCK) == HALF);
    (108 * steps + 54 * halves + overhead) * (blocks - half) + (60 * steps + 30 * halves + overhead / 2) * half
}

/// See [`Kernels::gemm`](super::super::Kernels::gemm).
///
/// # Safety
/// As there; packed by [`pack`].
#[target_feature(enable = "neon")]
pub(super) unsafe fn gemm(call: &GemmCall) {
    let packed = call.packed;
    let results = Results::new(&call.finish, packed.variant & TAME != 0);
    let mut row_sums = [0; MAX_ROWS];
    if !packed.terms.zeros.is_empty() {
        for (sum, &row) in row_sums.iter_mut().zip(call.rows) {
            // SAFETY: the caller's promise.
            *sum = unsafe { row_sum(row, call.offsets, packed.segment) };
        }
    }
    let (rows, last_rows) = call.rows.as_chunks();
    let (outs, last_outs) = call.outs.as_chunks();
    let (row_sums, _) = row_sums.as_chunks();
    for block in call.first_block..call.first_block + call.blocks {
        let channel = block * BLOCK;
        // SAFETY: the block lies in the packed data.
        let data = unsafe { packed.data.as_ptr().add(block * packed.block_bytes) };
        let tile = Tile { data, results: &results, channel, left: packed.n - channel };
        // SAFETY: the caller's promise, for a part of the rows and of the channels.
        unsafe {
            for ((rows, outs), sums) in rows.iter().zip(outs).zip(row_sums) {
                tile.compute::<4>(call, rows, outs, sums, |i, b| full4(i, b), |i, b| half4(i, b));
            }
            let sums = row_sums.get(rows.len()).unwrap_or(&[0; 4]);
            match (last_rows, last_outs) {
                (&[x], &[out]) => tile.compute(call, &[x], &[out], sums, |i, b| full1(i, b), |i, b| half1(i, b)),
                (&[x0, x1], &[out0, out1]) => {
                    tile.compute(call, &[x0, x1], &[out0, out1], sums, |i, b| full2(i, b), |i, b| half2(i, b));
                }
                (&[x0, x1, x2], &[out0, out1, out2]) => {
                    let (x, out) = ([x0, x1, x2], [out0, out1, out2]);
                    tile.compute(call, &x, &out, sums, |i, b| full3(i, b), |i, b| half3(i, b));
                }
                _ => {}
            }
        }
    }
}

/// A block and where its channels go.
struct Tile<'a> {
    data: *const u8,
    results: &'a Results,
    /// First channel.
    channel: usize,
    /// Channels from there, of this block or more.
    left: usize,
}

impl Tile<'_> {
    /// `R` rows, at most four, the sums of whose inputs are `row_sums`; `full` and `half` compute sums of products.
    ///
    /// # Safety
    /// As [`gemm`].
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn compute<const R: usize>(
        &self,
        call: &GemmCall,
        rows: &[*const i8; R],
        outs: &[*mut i8; R],
        row_sums: &[i32; 4],
        full: impl Fn(&Input<R>, *const u8) -> [[int32x4_t; 4]; R],
        half: impl Fn(&Input<R>, *const u8) -> [[int32x4_t; 2]; R],
    ) {
        let Tile { data, results, channel, left } = *self;
        let terms = &call.packed.terms;
        let input = Input { rows, offsets: call.offsets };
        // SAFETY: a block starts with sums and scales, the outputs have `left` bytes from `channel`.
        unsafe {
            if left > HALF {
                let mut sums = full(&input, data);
                if !terms.zeros.is_empty() {
                    for (sums, &row_sum) in sums.iter_mut().zip(row_sums) {
                        *sums = std::array::from_fn(|i| less_zeros(sums[i], terms, channel + LANES * i, row_sum));
                    }
                }
                let scale = std::array::from_fn(|i| vld1q_f32(data.cast::<f32>().add(BLOCK + 4 * i)));
                let epilogue = match results {
                    Results::Bytes(epilogue) => epilogue,
                    Results::Floats(_) => return self.floats(terms, &sums, scale, outs),
                };
                let outs = outs.map(|out| out.add(channel));
                let bytes = epilogue.apply(sums, scale);
                if left >= BLOCK {
                    for (out, bytes) in outs.into_iter().zip(bytes) {
                        vst1q_s8(out, bytes);
                    }
                } else {
                    for (out, bytes) in outs.into_iter().zip(bytes) {
                        store_partial(out, bytes, left);
                    }
                }
                return;
            }
            let mut sums = half(&input, data);
            if !terms.zeros.is_empty() {
                for (sums, &row_sum) in sums.iter_mut().zip(row_sums) {
                    *sums = std::array::from_fn(|i| less_zeros(sums[i], terms, channel + LANES * i, row_sum));
                }
            }
            let scale = std::array::from_fn(|i| vld1q_f32(data.cast::<f32>().add(HALF + 4 * (i % 2))));
            let epilogue = match results {
                Results::Bytes(epilogue) => epilogue,
                Results::Floats(_) => return self.floats(terms, &sums, scale, outs),
            };
            let outs = outs.map(|out| out.add(channel));
            // Two rows make one vector.
            for (sums, outs) in sums.chunks(2).zip(outs.chunks(2)) {
                let [first, second] = [sums[0], sums[sums.len() - 1]];
                let [bytes] = epilogue.apply([[first[0], first[1], second[0], second[1]]], scale);
                if left == HALF {
                    vst1_s8(outs[0], vget_low_s8(bytes));
                    if let Some(&out) = outs.get(1) {
                        vst1_s8(out, vget_high_s8(bytes));
                    }
                } else {
                    store_partial(outs[0], bytes, left);
                    if let Some(&out) = outs.get(1) {
                        store_partial(out, vextq_s8::<8>(bytes, bytes), left);
                    }
                }
            }
        }
    }

    /// Stores sums as floats.
    ///
    /// # Safety
    /// As [`gemm`]; `outs` are the rows' outputs of channel 0.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn floats<const R: usize, const V: usize>(
        &self,
        terms: &Terms,
        sums: &[[int32x4_t; V]; R],
        scale: [float32x4_t; 4],
        outs: &[*mut i8; R],
    ) {
        let Results::Floats(floats) = self.results else { return };
        for (i, &scale) in scale.iter().enumerate().take(self.left.div_ceil(LANES)) {
            let channel = self.channel + LANES * i;
            // SAFETY: the caller's promise.
            unsafe {
                let channels = floats.channels(scale, terms, channel);
                for (sums, out) in sums.iter().zip(outs) {
                    floats.store(sums[i], &channels, out.cast::<f32>().add(channel), self.left - LANES * i);
                }
            }
        }
    }
}
