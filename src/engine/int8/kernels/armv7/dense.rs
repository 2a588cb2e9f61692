//! Dense products: blocks of 8 channels by tiles of 4 rows.
//!
//! A block is its starting sums, its scales, and then, for every byte of every segment, a weight of each of its channels; segments
//! are filled up with zeros to a multiple of 4 bytes.

use super::super::{AlignedBytes, GemmCall, GemmWeights, PackedGemm, Terms};
use super::loops::{Dense, leptond_armv7_dense_1, leptond_armv7_dense_4};
use super::results::{BLOCK, HEAD, MAX_PIXELS, finish, put_head};

/// Rows of a call: tiles of 4 whose sums become results together.
pub const ROWS: usize = MAX_PIXELS;

/// Rows in a tile.
const TILE: usize = 4;

/// Bytes of a segment that are multiplied at a time at least.
const STEP: usize = 4;

/// Packs dense weights.
pub fn pack(weights: &GemmWeights) -> PackedGemm {
    let GemmWeights { n, segments, segment, .. } = *weights;
    let filled = segment.next_multiple_of(STEP);
    let block_bytes = HEAD + 2 * BLOCK * segments * filled;
    let mut data = AlignedBytes::zeroed(n.div_ceil(BLOCK) * block_bytes);
    for channel in 0..n {
        let head = (weights.start(channel, weights.x_zero), weights.scale[channel]);
        let (at, lane) = put_head(&mut data, block_bytes, channel, head);
        for index in 0..segments * segment {
            let byte = index / segment * filled + index % segment;
            data.put_i16(at + HEAD + 2 * (BLOCK * byte + lane), [weights.weight(channel, index)]);
        }
    }
    let terms = Terms::of_gemm(weights, n, |channel| channel, &[]);
    PackedGemm { n, segments, segment, block: BLOCK, block_bytes, data, terms, variant: 0 }
}

/// See [`Kernels::gemm`](super::super::Kernels::gemm).
///
/// # Safety
/// As there.
pub unsafe fn gemm(call: &GemmCall) {
    let packed = call.packed;
    for block in call.first_block..call.first_block + call.blocks {
        let mut sums = [[0; BLOCK]; MAX_PIXELS];
        // SAFETY: the caller's promise; the block is in `data`, rows that there are not repeat the tile's last one, and a tile's sums are within
        // `sums`. What is read behind a segment is within SLACK.
        unsafe {
            let data = packed.data.as_ptr().add(block * packed.block_bytes);
            for (rows, sums) in call.rows.chunks(TILE).zip(sums.chunks_mut(TILE)) {
                let tile = Dense {
                    start: data.cast(),
                    weights: data.add(HEAD).cast(),
                    offsets: call.offsets.as_ptr(),
                    segments: call.offsets.len(),
                    segment: packed.segment.next_multiple_of(STEP),
                    sums: sums.as_mut_ptr().cast(),
                    rows: std::array::from_fn(|r| rows[r.min(rows.len() - 1)]),
                };
                match rows.len() {
                    1 => leptond_armv7_dense_1(&tile),
                    _ => leptond_armv7_dense_4(&tile),
                }
            }
            let first = block * BLOCK;
            finish((&call.finish, &packed.terms), data, [first, (packed.n - first).min(BLOCK)], &sums, call.outs);
        }
    }
}
