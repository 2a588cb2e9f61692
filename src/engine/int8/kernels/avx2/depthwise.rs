//! Depthwise convolutions.
//!
//! Four taps below each other are loaded for 32 channels and interleaved, byte by byte, into four vectors with four
//! taps of each of 8 channels. With a stride of 1, four rows serve two output rows: the second one's weights are moved
//! down by one tap.

use std::arch::x86_64::*;

use super::super::passes::bytes_of;
use super::super::{AlignedBytes, DepthwiseCall, DepthwiseWeights, PackedDepthwise, Terms};
use super::dot::Dot;
use super::output::{LANES, Results, VECTORS, store, store_floats};

/// Channels in a block: the bytes of a vector.
const BLOCK: usize = 32;

/// Taps in a lane.
const TAPS: usize = 4;

/// Quadruples of rows that two rows of outputs need.
fn quads(kh: usize) -> usize {
    (kh + 1).div_ceil(TAPS)
}

/// Vector and lane of a channel: interleaving bytes leaves runs of 4 channels of every 16 in a vector.
fn place(channel: usize) -> (usize, usize) {
    (channel / 4 % VECTORS, channel / 16 * 4 + channel % 4)
}

/// Packs depthwise weights: for a block its starting sums, its scales, and, for both of two output rows and every
/// column of every quadruple of rows, its weights: once, or, where weights take several bytes, once for each of these.
pub fn pack<D: Dot>(weights: &DepthwiseWeights) -> PackedDepthwise {
    let DepthwiseWeights { channels, kh, kw, .. } = *weights;
    // Words need one pass, whatever their zero points.
    let several = if D::WIDE { &[][..] } else { weights.zeros };
    let passes = DepthwiseWeights { zeros: several, ..*weights }
        .passes(BLOCK, quads(kh) * kw, |tap| [0, 1].map(|below| (tap / kw + below) / TAPS * kw + tap % kw));
    let most = passes.most();
    let block_bytes = (2 + 2 * quads(kh) * kw * most * D::PARTS) * VECTORS * BLOCK;
    let mut data = AlignedBytes::zeroed(channels.div_ceil(BLOCK) * block_bytes);
    for channel in 0..channels {
        let (block, within) = (channel / BLOCK, channel % BLOCK);
        let (vector, lane) = place(within);
        let at = |vectors: usize| block * block_bytes + vectors * BLOCK + lane * 4;
        data.put_i32(at(vector), [weights.start(channel, weights.x_zero + D::OFFSET)]);
        data.put_f32(at(VECTORS + vector), [weights.scale[channel]]);
        for below in 0..2 {
            for (quad, kx) in (0..quads(kh)).flat_map(|quad| (0..kw).map(move |kx| (quad, kx))) {
                let four: [i16; TAPS] = std::array::from_fn(|i| {
                    let ky = (quad * TAPS + i).checked_sub(below).filter(|&ky| ky < kh);
                    ky.map_or(0, |ky| weights.weight(channel, ky * kw + kx))
                });
                for pass in 0..most {
                    let four = if D::WIDE { four } else { four.map(|w| bytes_of(w)[pass].into()) };
                    let column = ((below * quads(kh) + quad) * kw + kx) * most + pass;
                    for (part, bytes) in D::spread(four).into_iter().take(D::PARTS).enumerate() {
                        data.put_i8(at(2 * VECTORS + (column * VECTORS + vector) * D::PARTS + part), bytes);
                    }
                }
            }
        }
    }
    let len = channels.next_multiple_of(BLOCK);
    let channel = |value: usize| {
        let (vector, lane) = (value % BLOCK / LANES, value % LANES);
        let channel = value / BLOCK * BLOCK + lane / 4 * 16 + vector * 4 + lane % 4;
        (channel < channels).then_some(channel)
    };
    let terms = Terms::of_depthwise(weights, len, channel);
    PackedDepthwise { channels, kh, kw, block: BLOCK, block_bytes, data, terms, passes, variant: 0 }
}

/// See [`Kernels::depthwise`](super::super::Kernels::depthwise). To be inlined into a function that has the
/// instructions.
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn depthwise<D: Dot>(call: &DepthwiseCall) {
    // SAFETY: the caller's promise; rows and blocks are in the call.
    unsafe {
        let results = Results::new(&call.finish);
        let together = if call.step_row == call.tap_row { 2 } else { 1 };
        for row in (0..call.rows).step_by(together) {
            for block in 0..call.packed.channels.div_ceil(BLOCK) {
                let two = row + together <= call.rows && together == 2;
                match (two, call.packed.passes.are_many(block)) {
                    (true, false) => line::<D, 2, false>(call, row, block, &results),
                    (false, false) => line::<D, 1, false>(call, row, block, &results),
                    (true, true) => line::<D, 2, true>(call, row, block, &results),
                    (false, true) => line::<D, 1, true>(call, row, block, &results),
                }
            }
        }
    }
}

/// A block of channels of `R` rows of outputs; `MANY` if weights take several passes.
///
/// # Safety
/// As [`depthwise`]; the rows and the block are in the call.
#[inline(always)]
unsafe fn line<D: Dot, const R: usize, const MANY: bool>(
    call: &DepthwiseCall,
    row: usize,
    block: usize,
    results: &Results,
) {
    let packed = call.packed;
    let most = packed.passes.most();
    let (rows, quads) = (packed.kh + R - 1, quads(packed.kh));
    let count = (packed.channels - block * BLOCK).min(BLOCK);
    // SAFETY: the block is in `data`, whose parts are whole vectors; taps and outputs are in the call, and what is read
    // behind a pixel's channels is within SLACK.
    unsafe {
        let data: *const __m256i = packed.data.as_ptr().add(block * packed.block_bytes).cast();
        let scales = std::array::from_fn(|v| *data.add(VECTORS + v).cast::<__m256>());
        for col in 0..call.cols {
            let at = row * call.step_row + col * call.step_col + block * BLOCK;
            let mut sums = [std::array::from_fn::<_, VECTORS, _>(|v| *data.add(v)); R];
            for quad in 0..rows.div_ceil(TAPS) {
                for kx in 0..packed.kw {
                    let taps = interleave(std::array::from_fn(|i| {
                        // Weights of rows that there are not are zero.
                        let ky = (quad * TAPS + i).min(rows - 1);
                        let from = call.input.add(at + ky * call.tap_row + kx * call.tap_col);
                        _mm256_loadu_si256(from.cast())
                    }));
                    let column = quad * packed.kw + kx;
                    let passes = if MANY { packed.passes.count(block, column) } else { 1 };
                    let weights = data.add((2 + column * most * D::PARTS) * VECTORS);
                    for v in 0..VECTORS {
                        let taps = D::ready(taps[v]);
                        for (below, sums) in sums.iter_mut().enumerate() {
                            for pass in 0..passes {
                                let column = (below * quads * packed.kw * most + pass) * VECTORS + v;
                                sums[v] = D::dot(sums[v], taps, weights.add(column * D::PARTS));
                            }
                        }
                    }
                }
            }
            for (below, sums) in sums.into_iter().enumerate() {
                let out = call.out.add((row + below) * call.out_row + col * call.out_col);
                match results {
                    Results::Bytes(output) => store(output.bytes(sums, scales), out.add(block * BLOCK), count),
                    Results::Floats(floats) => {
                        let at = |v: usize| block * BLOCK + v * LANES;
                        let reals = std::array::from_fn(|v| floats.real(sums[v], scales[v], &packed.terms, at(v)));
                        for (v, real) in in_order(reals).into_iter().enumerate().take(count.div_ceil(LANES)) {
                            store_floats(real, out.cast::<f32>().add(at(v)), count - v * LANES);
                        }
                    }
                }
            }
        }
    }
}

/// Vectors of runs of 4 channels of every 16, as vectors of channels in order.
#[target_feature(enable = "avx2")]
#[inline]
fn in_order([a, b, c, d]: [__m256; VECTORS]) -> [__m256; VECTORS] {
    [
        _mm256_permute2f128_ps::<0x20>(a, b),
        _mm256_permute2f128_ps::<0x20>(c, d),
        _mm256_permute2f128_ps::<0x31>(a, b),
        _mm256_permute2f128_ps::<0x31>(c, d),
    ]
}

/// Bytes of four rows, the four of each channel next to each other: in vector `v`, channels 4 `v` to 4 `v` + 3 of every
/// 16.
#[target_feature(enable = "avx2")]
#[inline]
fn interleave([a, b, c, d]: [__m256i; TAPS]) -> [__m256i; VECTORS] {
    let (ab, cd) = (_mm256_unpacklo_epi8(a, b), _mm256_unpacklo_epi8(c, d));
    let (low, mid_low) = (_mm256_unpacklo_epi16(ab, cd), _mm256_unpackhi_epi16(ab, cd));
    let (ab, cd) = (_mm256_unpackhi_epi8(a, b), _mm256_unpackhi_epi8(c, d));
    let (mid_high, high) = (_mm256_unpacklo_epi16(ab, cd), _mm256_unpackhi_epi16(ab, cd));
    [low, mid_low, mid_high, high]
}
