//! A block of channels of the depthwise kernels, of whichever width its weights are.

use core::arch::aarch64::*;

use super::super::Terms;
use super::elementwise::store_partial;
use super::results::{LANES, Results};

/// Channels of a block.
pub(super) const BLOCK: usize = 16;

/// Most taps that get a place in the order; kernels with more (more than 8×8) are for the reference.
pub(super) const MAX_TAPS: usize = 64;

/// Stores one pixel's results of the block whose first channel is `first`, at most `channels` of them; channel 0 goes to `out`.
///
/// # Safety
/// `out` takes them behind those of the blocks before.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn store(
    results: &Results,
    terms: &Terms,
    (sums, scales): ([int32x4_t; 4], [float32x4_t; 4]),
    out: *mut i8,
    first: usize,
    channels: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        match results {
            Results::Bytes(epilogue) => {
                let [bytes] = epilogue.apply([sums], scales);
                if channels >= BLOCK {
                    vst1q_s8(out.add(first), bytes);
                } else {
                    store_partial(out.add(first), bytes, channels);
                }
            }
            Results::Floats(floats) => {
                for (i, sums) in sums.into_iter().enumerate().take(channels.div_ceil(LANES)) {
                    let channel = first + LANES * i;
                    let out = out.cast::<f32>().add(channel);
                    floats.store(sums, &floats.channels(scales[i], terms, channel), out, channels - LANES * i);
                }
            }
        }
    }
}
