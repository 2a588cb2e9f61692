//! Dense products with `vpdpbusd`.
//!
//! Output channels come in blocks of 64, four vectors of 16; the last block has as many vectors as it needs. A block is
//! its starting sums, its scales, and then, for every step of 4 input bytes, 4 weights of each of its channels, so that
//! a tile reads its weights as one stream. A tile keeps all its sums in registers: 6 rows × 4 vectors, or 8 rows × 2.
//!
//! `vpdpbusd` multiplies unsigned by signed bytes: rows are read as `x + 128`, and the starting sums make up for it.

use std::arch::x86_64::*;

use super::super::split::Split;
use super::super::{AlignedBytes, GemmCall, GemmWeights, MAX_ROWS, PackedGemm, STEPS_AT_ONCE, Terms};
use super::output::{LANES, Results, flipped, may_overflow, row_sum, sign_bits, store_floats};

/// Vectors in a block.
pub const VECTORS: usize = 4;

/// Bytes in a vector.
const BYTES: usize = 64;

/// Channels in a block.
pub const BLOCK: usize = VECTORS * LANES;

/// Input bytes in a step.
const STEP: usize = 4;

/// Most rows of a tile of `vectors` vectors: as many as leave registers for the weights.
fn tile_rows(vectors: usize) -> usize {
    if vectors <= 2 { 8 } else { 6 }
}

/// Most rows of a call: two tiles, to share what a call costs.
pub fn rows(packed: &PackedGemm) -> usize {
    2 * tile_rows(vectors(packed.n, 0))
}

/// Vectors of the block whose first channel is `first`.
pub fn vectors(n: usize, first: usize) -> usize {
    (n - first).div_ceil(LANES).min(VECTORS)
}

/// Place of a channel in a block of `vectors` vectors: its vector, and its lane there.
///
/// Packing four vectors of sums to bytes alternates between their runs of four lanes; full blocks are laid out so that
/// this puts the channels in order. Floats are in order as they are.
pub fn place(channel: usize, vectors: usize, floats: bool) -> (usize, usize) {
    match vectors {
        VECTORS if !floats => (channel / 4 % 4, channel / 16 * 4 + channel % 4),
        _ => (channel / LANES, channel % LANES),
    }
}

/// Packs dense weights.
pub fn pack(weights: &GemmWeights) -> PackedGemm {
    let GemmWeights { n, segments, segment, .. } = *weights;
    let steps = segment.div_ceil(STEP);
    let rows = 2 + segments * steps;
    let block_bytes = n.div_ceil(LANES).min(VECTORS) * rows * BYTES;
    let mut data = AlignedBytes::zeroed(n.div_ceil(BLOCK) * block_bytes);
    let mut variant = 0;
    let value = |channel: usize| value(weights, channel);
    let Split { data: bytes, zeros, excess } = Split::of(weights, BLOCK, value);
    for first in (0..n).step_by(BLOCK) {
        let (channels, vectors) = (first..n.min(first + BLOCK), vectors(n, first));
        let pitch = vectors * BYTES;
        let starts: Vec<usize> = channels
            .clone()
            .map(|channel| {
                let (vector, lane) = place(channel - first, vectors, weights.floats.is_some());
                first / BLOCK * block_bytes + vector * BYTES + lane * 4
            })
            .collect();
        for (channel, &at) in channels.clone().zip(&starts) {
            let start = weights.start(channel, weights.x_zero + 128);
            data.put_i32(at, [start]);
            data.put_f32(at + pitch, [weights.scale[channel]]);
            variant |= u8::from(may_overflow(start, weights.magnitudes(channel), weights.scale[channel]));
        }
        for (s, from) in (0..segments).flat_map(|s| (0..steps).step_by(STEPS_AT_ONCE).map(move |from| (s, from))) {
            for (channel, &start) in channels.clone().zip(&starts) {
                let run = &bytes[(channel * segments + s) * segment..][..segment];
                let run = &run[from * STEP..segment.min((from + STEPS_AT_ONCE) * STEP)];
                let (fours, rest) = run.as_chunks::<STEP>();
                let mut at = start + (2 + s * steps + from) * pitch;
                for four in fours {
                    data.put_i32(at, [i32::from_le_bytes(four.map(|w| w as u8))]);
                    at += pitch;
                }
                if !rest.is_empty() {
                    data.put_i8(at, rest.iter().copied());
                }
            }
        }
    }
    let mut packed = packed(weights, &zeros, block_bytes, data, variant);
    packed.terms.excess = excess;
    packed
}

/// Index of a channel's value among those of all blocks.
fn value(weights: &GemmWeights, channel: usize) -> usize {
    let first = channel / BLOCK * BLOCK;
    let (vector, lane) = place(channel - first, vectors(weights.n, first), weights.floats.is_some());
    first + vector * LANES + lane
}

/// Weights whose blocks are in `data`, with the terms of their channels; `zeros` are the zero points of those bytes.
pub fn packed(weights: &GemmWeights, zeros: &[i8], block_bytes: usize, data: AlignedBytes, variant: u8) -> PackedGemm {
    let GemmWeights { n, segments, segment, .. } = *weights;
    let terms = Terms::of_gemm(weights, n.next_multiple_of(BLOCK), |channel| value(weights, channel), zeros);
    PackedGemm { n, segments, segment, block: BLOCK, block_bytes, data, terms, variant }
}

/// See [`Kernels::gemm`](super::super::Kernels::gemm).
///
/// # Safety
/// As there.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub unsafe fn gemm(call: &GemmCall) {
    let results = Results::new(&call.finish, call.packed.variant != 0);
    let mut row_sums = [0; MAX_ROWS];
    if !call.packed.terms.zeros.is_empty() {
        for (sum, &row) in row_sums.iter_mut().zip(call.rows) {
            // SAFETY: the caller's promise.
            *sum = unsafe { row_sum(row, call.offsets, call.packed.segment) };
        }
    }
    for block in call.first_block..call.first_block + call.blocks {
        let vectors = vectors(call.packed.n, block * BLOCK);
        let tiles = call.rows.len().div_ceil(tile_rows(vectors));
        let mut first = 0;
        for left in (1..=tiles).rev() {
            let rows = (call.rows.len() - first).div_ceil(left);
            // SAFETY: the block has the vectors and the call the rows; the rest is the caller's promise.
            unsafe { tile_of(vectors, rows)(call, block, first, &row_sums, &results) };
            first += rows;
        }
    }
}

/// [`tile`] with any numbers of rows and vectors.
type Tile = unsafe fn(call: &GemmCall, block: usize, first: usize, row_sums: &[i32; MAX_ROWS], results: &Results);

/// The tile of so many vectors and rows.
fn tile_of(vectors: usize, rows: usize) -> Tile {
    macro_rules! tiles {
        ($($wide:literal)*, $($narrow:literal)*) => {
            match (vectors, rows) {
                $((4, $wide) => tile::<$wide, 4>, (3, $wide) => tile::<$wide, 3>,)*
                $((2, $narrow) => tile::<$narrow, 2>, (1, $narrow) => tile::<$narrow, 1>,)*
                _ => unreachable!("tiles have at most `tile_rows` rows"),
            }
        };
    }
    tiles!(1 2 3 4 5 6, 1 2 3 4 5 6 7 8)
}

/// `R` rows from `first` by the `V` vectors of a block; `row_sums` are those of the call's rows. Not inlined, so that each tile has the registers to itself.
///
/// # Safety
/// As [`gemm`]; the call has the rows and the block has the vectors.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline(never)]
unsafe fn tile<const R: usize, const V: usize>(
    call: &GemmCall,
    block: usize,
    first: usize,
    row_sums: &[i32; MAX_ROWS],
    results: &Results,
) {
    let packed = call.packed;
    // SAFETY: the block is in `data`, which starts on a cache line and whose parts are whole vectors.
    let vector = |row: usize, v: usize| unsafe {
        packed.data.as_ptr().add(block * packed.block_bytes + (row * V + v) * BYTES).cast::<__m512i>()
    };
    // SAFETY: the call has the rows.
    let (rows, outs) = unsafe { (call.rows.as_ptr().add(first), call.outs.as_ptr().add(first)) };
    let flip = sign_bits();
    // SAFETY: as above.
    let mut sums = [std::array::from_fn::<_, V, _>(|v| unsafe { *vector(0, v) }); R];
    let mut weights = vector(2, 0);
    for &offset in call.offsets {
        // SAFETY: there are `R` rows, and each covers every segment.
        let rows: [_; R] = std::array::from_fn(|r| unsafe { (*rows.add(r)).add(offset) });
        for k in (0..packed.segment).step_by(STEP) {
            // SAFETY: the block has `V` vectors for every step of every segment.
            let w: [_; V] = std::array::from_fn(|v| unsafe { *weights.add(v) });
            // SAFETY: as above.
            weights = unsafe { weights.add(V) };
            for r in 0..R {
                // SAFETY: the row covers the segment, and what a step reads behind it is within SLACK.
                let x = flipped(unsafe { rows[r].add(k).cast::<i32>().read_unaligned() }, flip);
                for v in 0..V {
                    sums[r][v] = _mm512_dpbusd_epi32(sums[r][v], x, w[v]);
                }
            }
        }
    }
    for step in packed.terms.excess.of(block) {
        let (segment, byte) = packed.terms.excess.place(step);
        let weights: *const __m512i = packed.terms.excess.weights(step, BLOCK).cast();
        for (r, sums) in sums.iter_mut().enumerate() {
            // SAFETY: as in the loop above; a step has weights for every value of a block.
            unsafe {
                let x = (*rows.add(r)).add(call.offsets[segment] + byte).cast::<i32>().read_unaligned();
                let x = flipped(x, flip);
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = _mm512_dpbusd_epi32(*sum, x, *weights.add(v));
                }
            }
        }
    }
    if !packed.terms.zeros.is_empty() {
        for (r, sums) in sums.iter_mut().enumerate() {
            let row_sum = _mm512_set1_epi32(row_sums[first + r]);
            for (v, sum) in sums.iter_mut().enumerate() {
                // SAFETY: there is a value for every channel of every block.
                let zero = unsafe { *packed.terms.zeros.as_ptr().cast::<__m512i>().add(block * VECTORS + v) };
                *sum = _mm512_add_epi32(*sum, _mm512_mullo_epi32(zero, row_sum));
            }
        }
    }
    // SAFETY: as above.
    let scales: [_; V] = std::array::from_fn(|v| unsafe { *vector(1, v).cast::<__m512>() });
    let channels = (packed.n - block * BLOCK).min(BLOCK);
    match results {
        Results::Bytes(output) => {
            // SAFETY: there are `R` outputs, each with room for every channel of the block.
            let outs = std::array::from_fn(|r| unsafe { (*outs.add(r)).add(block * BLOCK) });
            // SAFETY: the mask has a bit for every channel of the block.
            unsafe { output.store::<R, V>(&sums, &scales, &outs, u64::MAX >> (BLOCK - channels)) };
        }
        Results::Floats(floats) => {
            for_rows!(r in R {
                for (v, &sum) in sums[r].iter().enumerate() {
                    let at = block * BLOCK + v * LANES;
                    // SAFETY: as above; the weights were packed for floats.
                    unsafe {
                        let real = floats.real(sum, scales[v], &packed.terms, at);
                        store_floats(real, (*outs.add(r)).cast::<f32>().add(at), channels - v * LANES);
                    }
                }
            });
        }
    }
}
