//! Dense products.
//!
//! Output channels come in blocks of 32, four vectors of 8; the last block has as many vectors as it needs. A block is
//! its starting sums, its scales, and then, for every step of 4 input bytes, 4 weights of each of its channels.

use std::arch::x86_64::*;

use super::super::split::Split;
use super::super::{AlignedBytes, GemmCall, GemmWeights, PackedGemm, STEPS_AT_ONCE, Terms};
use super::dot::Dot;
use super::output::{LANES, Results, VECTORS, row_sum, store, store_floats};

/// Bytes in a vector.
const BYTES: usize = 32;

/// Channels in a block.
const BLOCK: usize = VECTORS * LANES;

/// Input bytes in a step.
const STEP: usize = 4;

/// Most rows of a tile: as many as 16 registers allow.
const TILE: usize = 3;

/// Most rows of a call: two tiles, to share what a call costs.
pub const ROWS: usize = 2 * TILE;

/// Vectors of the block whose first channel is `first`.
fn vectors(n: usize, first: usize) -> usize {
    (n - first).div_ceil(LANES).min(VECTORS)
}

/// Place of a channel in a block of `vectors` vectors: its vector, and its lane there.
///
/// Packing sums to bytes alternates between the vectors' runs of four lanes: channels are laid out so that this puts them in
/// order. Floats are in order as they are.
fn place(channel: usize, vectors: usize, floats: bool) -> (usize, usize) {
    if floats {
        return (channel / LANES, channel % LANES);
    }
    (channel / 4 % vectors, channel / 4 / vectors * 4 + channel % 4)
}

/// Packs dense weights.
pub fn pack<D: Dot>(weights: &GemmWeights) -> PackedGemm {
    let GemmWeights { n, segments, segment, .. } = *weights;
    let steps = segment.div_ceil(STEP);
    let block_bytes = vectors(n, 0) * (2 + segments * steps * D::PARTS) * BYTES;
    let mut data = AlignedBytes::zeroed(n.div_ceil(BLOCK) * block_bytes);
    let value = |channel: usize| {
        let first = channel / BLOCK * BLOCK;
        let (vector, lane) = place(channel - first, vectors(n, first), weights.floats.is_some());
        first + vector * LANES + lane
    };
    let split = if D::WIDE { Split::none(weights) } else { Split::of(weights, BLOCK, value) };
    for first in (0..n).step_by(BLOCK) {
        let (channels, vectors) = (first..n.min(first + BLOCK), vectors(n, first));
        let pitch = vectors * BYTES;
        let places: Vec<(usize, usize)> =
            channels.clone().map(|channel| place(channel - first, vectors, weights.floats.is_some())).collect();
        let start = first / BLOCK * block_bytes;
        for (channel, &(vector, lane)) in channels.clone().zip(&places) {
            let at = start + vector * BYTES + lane * 4;
            data.put_i32(at, [weights.start(channel, weights.x_zero + D::OFFSET)]);
            data.put_f32(at + pitch, [weights.scale[channel]]);
        }
        for (s, from) in (0..segments).flat_map(|s| (0..steps).step_by(STEPS_AT_ONCE).map(move |from| (s, from))) {
            for (channel, &(vector, lane)) in channels.clone().zip(&places) {
                let zero = if D::WIDE { i16::from(weights.zero(channel)) } else { 0 };
                let run = &split.data[(channel * segments + s) * segment..][..segment];
                let run = &run[from * STEP..segment.min((from + STEPS_AT_ONCE) * STEP)];
                let mut at = start + (2 + (s * steps + from) * D::PARTS) * pitch + vector * D::PARTS * BYTES + lane * 4;
                for four in run.chunks(STEP) {
                    let four = std::array::from_fn(|i| four.get(i).map_or(0, |&w| i16::from(w) - zero));
                    for (part, bytes) in D::spread(four).into_iter().take(D::PARTS).enumerate() {
                        data.put_i32(at + part * BYTES, [i32::from_le_bytes(bytes.map(|b| b as u8))]);
                    }
                    at += D::PARTS * pitch;
                }
            }
        }
    }
    let mut terms = Terms::of_gemm(weights, n.next_multiple_of(BLOCK), value, if D::WIDE { &[] } else { &split.zeros });
    terms.excess = split.excess;
    PackedGemm { n, segments, segment, block: BLOCK, block_bytes, data, terms, variant: 0 }
}

/// See [`Kernels::gemm`](super::super::Kernels::gemm). To be inlined into a function that has the instructions.
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn gemm<D: Dot>(call: &GemmCall) {
    // SAFETY: the caller's promise; the tiles have the rows and vectors that are left.
    unsafe {
        let results = Results::new(&call.finish);
        let mut row_sums = [0; ROWS];
        if !call.packed.terms.zeros.is_empty() {
            for (sum, &row) in row_sums.iter_mut().zip(call.rows) {
                *sum = row_sum(row, call.offsets, call.packed.segment);
            }
        }
        for block in call.first_block..call.first_block + call.blocks {
            let vectors = vectors(call.packed.n, block * BLOCK);
            let tiles = call.rows.len().div_ceil(TILE);
            let mut first = 0;
            for left in (1..=tiles).rev() {
                let rows = (call.rows.len() - first).div_ceil(left);
                match (vectors, rows) {
                    (4, 1) => tile::<D, 1, 4>(call, block, first, &row_sums, &results),
                    (4, 2) => tile::<D, 2, 4>(call, block, first, &row_sums, &results),
                    (4, _) => tile::<D, 3, 4>(call, block, first, &row_sums, &results),
                    (3, 1) => tile::<D, 1, 3>(call, block, first, &row_sums, &results),
                    (3, 2) => tile::<D, 2, 3>(call, block, first, &row_sums, &results),
                    (3, _) => tile::<D, 3, 3>(call, block, first, &row_sums, &results),
                    (2, 1) => tile::<D, 1, 2>(call, block, first, &row_sums, &results),
                    (2, 2) => tile::<D, 2, 2>(call, block, first, &row_sums, &results),
                    (2, _) => tile::<D, 3, 2>(call, block, first, &row_sums, &results),
                    (_, 1) => tile::<D, 1, 1>(call, block, first, &row_sums, &results),
                    (_, 2) => tile::<D, 2, 1>(call, block, first, &row_sums, &results),
                    (_, _) => tile::<D, 3, 1>(call, block, first, &row_sums, &results),
                }
                first += rows;
            }
        }
    }
}

/// `R` rows by the `V` vectors of a block.
///
/// # Safety
/// As [`gemm`]; the call has the rows and the block has the vectors.
#[inline(always)]
unsafe fn tile<D: Dot, const R: usize, const V: usize>(
    call: &GemmCall,
    block: usize,
    first: usize,
    row_sums: &[i32; ROWS],
    results: &Results,
) {
    let packed = call.packed;
    // SAFETY: the block is in `data`, whose parts are whole vectors; the call has the rows, each of which covers every
    // segment, and what a step reads behind a segment is within SLACK; outputs have room for the block's channels.
    unsafe {
        // Of `R` each, as the compiler must know: a loop of unknown length over sums puts them into memory.
        let (inputs, outs) = (&call.rows[first..first + R], &call.outs[first..first + R]);
        let row_sums = &row_sums[first..first + R];
        let data: *const __m256i = packed.data.as_ptr().add(block * packed.block_bytes).cast();
        let mut sums = [std::array::from_fn::<_, V, _>(|v| *data.add(v)); R];
        let mut weights = data.add(2 * V);
        for &offset in call.offsets {
            let rows: [_; R] = std::array::from_fn(|r| inputs[r].add(offset));
            for k in (0..packed.segment).step_by(STEP) {
                let x = rows.map(|row| D::ready(_mm256_set1_epi32(row.add(k).cast::<i32>().read_unaligned())));
                for v in 0..V {
                    for (sums, &x) in sums.iter_mut().zip(&x) {
                        sums[v] = D::dot(sums[v], x, weights.add(v * D::PARTS));
                    }
                }
                weights = weights.add(V * D::PARTS);
            }
        }
        if !D::WIDE {
            for step in packed.terms.excess.of(block) {
                let (segment, byte) = packed.terms.excess.place(step);
                let weights: *const __m256i = packed.terms.excess.weights(step, BLOCK).cast();
                for r in 0..R {
                    let x = inputs[r].add(call.offsets[segment] + byte).cast::<i32>().read_unaligned();
                    let x = D::ready(_mm256_set1_epi32(x));
                    for (v, sum) in sums[r].iter_mut().enumerate() {
                        *sum = D::dot(*sum, x, weights.add(v));
                    }
                }
            }
        }
        if !D::WIDE && !packed.terms.zeros.is_empty() {
            let zeros: *const __m256i = packed.terms.zeros.as_ptr().add(4 * block * BLOCK).cast();
            for r in 0..R {
                let row_sum = _mm256_set1_epi32(row_sums[r]);
                for (v, sum) in sums[r].iter_mut().enumerate() {
                    *sum = _mm256_add_epi32(*sum, _mm256_mullo_epi32(*zeros.add(v), row_sum));
                }
            }
        }
        let scales: [_; VECTORS] = std::array::from_fn(|v| *data.add(V + v.min(V - 1)).cast::<__m256>());
        let count = (packed.n - block * BLOCK).min(BLOCK);
        let output = match results {
            Results::Bytes(output) => output,
            Results::Floats(floats) => {
                for_rows!(r in R {
                    let out = outs[r].cast::<f32>();
                    for (v, &sum) in sums[r].iter().enumerate() {
                        let at = block * BLOCK + v * LANES;
                        let real = floats.real(sum, scales[v], &packed.terms, at);
                        store_floats(real, out.add(at), count - v * LANES);
                    }
                });
                return;
            }
        };
        for_rows!(r in R {
            // Vectors that there are not repeat the last; their bytes are left behind.
            let bytes = output.bytes(std::array::from_fn(|v| sums[r][v.min(V - 1)]), scales);
            let bytes = match V {
                4 => bytes,
                3 => _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 3)),
                2 => _mm256_permute4x64_epi64::<0b1000>(bytes),
                _ => _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 2, 3, 5, 6, 7)),
            };
            store(bytes, outs[r].add(block * BLOCK), count);
        });
    }
}
