//! Depthwise convolutions: blocks of 8 channels by 4 neighbouring pixels of a row.
//!
//! A block is its starting sums, its scales, and a weight of each of its channels for every tap.

use super::super::{AlignedBytes, DepthwiseCall, DepthwiseWeights, PackedDepthwise, Terms};
use super::loops::{Depthwise, leptond_armv7_depthwise_1, leptond_armv7_depthwise_4};
use super::results::{BLOCK, HEAD, MAX_PIXELS, finish, put_head};

/// Pixels in a tile.
const TILE: usize = 4;

/// Packs depthwise weights.
pub fn pack(weights: &DepthwiseWeights) -> PackedDepthwise {
    let DepthwiseWeights { channels, kh, kw, .. } = *weights;
    let block_bytes = HEAD + 2 * BLOCK * kh * kw;
    let mut data = AlignedBytes::zeroed(channels.div_ceil(BLOCK) * block_bytes);
    for channel in 0..channels {
        let head = (weights.start(channel, weights.x_zero), weights.scale[channel]);
        let (at, lane) = put_head(&mut data, block_bytes, channel, head);
        for tap in 0..kh * kw {
            data.put_i16(at + HEAD + 2 * (BLOCK * tap + lane), [weights.weight(channel, tap)]);
        }
    }
    let terms = Terms::of_depthwise(weights, channels, Some);
    PackedDepthwise { channels, kh, kw, block: BLOCK, block_bytes, data, terms, ..PackedDepthwise::default() }
}

/// See [`Kernels::depthwise`](super::super::Kernels::depthwise).
///
/// # Safety
/// As there.
pub unsafe fn depthwise(call: &DepthwiseCall) {
    let packed = call.packed;
    for row in 0..call.rows {
        for block in 0..packed.channels.div_ceil(BLOCK) {
            let first = block * BLOCK;
            let channels = [first, (packed.channels - first).min(BLOCK)];
            for from in (0..call.cols).step_by(MAX_PIXELS) {
                let count = MAX_PIXELS.min(call.cols - from);
                // SAFETY: the caller's promise: pixels are in the call.
                unsafe { pixels(call, block, channels, row, from..from + count) };
            }
        }
    }
}

/// A block of channels of some pixels of a row.
///
/// # Safety
/// As [`depthwise`]; the block and the pixels, at most [`MAX_PIXELS`], are in the call.
unsafe fn pixels(call: &DepthwiseCall, block: usize, channels: [usize; 2], row: usize, cols: std::ops::Range<usize>) {
    let packed = call.packed;
    let mut sums = [[0; BLOCK]; MAX_PIXELS];
    let mut outs = [std::ptr::null_mut(); MAX_PIXELS];
    let count = cols.len();
    // SAFETY: the caller's promise; the block is in `data`, pixels that there are not repeat the last one, and a tile's sums are within `sums`.
    // What is read behind a pixel's channels is within SLACK.
    unsafe {
        let data = packed.data.as_ptr().add(block * packed.block_bytes);
        for (out, col) in outs.iter_mut().zip(cols.clone()) {
            *out = call.out.add(row * call.out_row + col * call.out_col);
        }
        for (first, sums) in cols.clone().step_by(TILE).zip(sums.chunks_mut(TILE)) {
            let start = call.input.add(row * call.step_row + channels[0]);
            let tile = Depthwise {
                start: data.cast(),
                weights: data.add(HEAD).cast(),
                kh: packed.kh,
                kw: packed.kw,
                tap_col: call.tap_col,
                next_row: call.tap_row.wrapping_sub(packed.kw * call.tap_col),
                sums: sums.as_mut_ptr().cast(),
                pixels: std::array::from_fn(|i| start.add((first + i).min(cols.end - 1) * call.step_col)),
            };
            match cols.end - first {
                1 => leptond_armv7_depthwise_1(&tile),
                _ => leptond_armv7_depthwise_4(&tile),
            }
        }
        finish((&call.finish, &packed.terms), data, channels, &sums, &outs[..count]);
    }
}
