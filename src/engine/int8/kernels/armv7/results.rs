//! From 32-bit sums to bytes or floats.

use super::super::requant::ROUNDER;
use super::super::{AlignedBytes, Finish, Terms};
use super::loops::{Bytes, leptond_armv7_bytes};

/// Channels in a block: a vector of 16-bit weights.
pub const BLOCK: usize = 8;

/// Bytes of a block before its weights: starting sums and scales.
pub const HEAD: usize = 2 * 4 * BLOCK;

/// Most pixels or rows whose sums are finished in one go.
pub const MAX_PIXELS: usize = 16;

/// Sums of a block's channels.
pub type Sums = [[i32; BLOCK]; MAX_PIXELS];

/// Writes a channel's starting sum and scale into the head of its block; the place of the block, and the channel's lane there.
pub fn put_head(
    data: &mut AlignedBytes,
    block_bytes: usize,
    channel: usize,
    (start, scale): (i32, f32),
) -> (usize, usize) {
    let (at, lane) = (channel / BLOCK * block_bytes, channel % BLOCK);
    data.put_i32(at + 4 * lane, [start]);
    data.put_f32(at + HEAD / 2 + 4 * lane, [scale]);
    (at, lane)
}

/// Writes the results of a block's sums; `outs` say where channel 0 of each pixel goes.
///
/// # Safety
/// The processor has NEON; `block` is a packed block's first byte, and the outputs have room for its `channels` channels from `first` on.
pub unsafe fn finish(
    (finish, terms): (&Finish, &Terms),
    block: *const u8,
    [first, channels]: [usize; 2],
    sums: &Sums,
    outs: &[*mut i8],
) {
    // SAFETY: the caller's promise; the head of a block holds starting sums, then scales.
    unsafe {
        let scales: *const f32 = block.add(HEAD / 2).cast();
        match finish {
            Finish::Bytes(requant) => {
                let mut edge = [[0i8; BLOCK]; MAX_PIXELS];
                let mut places = [std::ptr::null_mut(); MAX_PIXELS];
                let whole = channels == BLOCK;
                for ((place, out), edge) in places.iter_mut().zip(outs).zip(&mut edge) {
                    *place = if whole { out.add(first) } else { edge.as_mut_ptr() };
                }
                leptond_armv7_bytes(&Bytes {
                    sums: sums.as_ptr().cast(),
                    scales,
                    outs: places.as_ptr(),
                    count: outs.len(),
                    low: (i32::from(requant.low) - requant.zero_point) as f32,
                    high: (i32::from(requant.high) - requant.zero_point) as f32,
                    zero_point: requant.zero_point.wrapping_sub(ROUNDER.to_bits() as i32),
                });
                if !whole {
                    for (out, edge) in outs.iter().zip(&edge) {
                        out.add(first).copy_from_nonoverlapping(edge.as_ptr(), channels);
                    }
                }
            }
            Finish::Floats(dequant) => {
                // NEON takes floats below the normal ones for zeros, so these are plain.
                for (out, sums) in outs.iter().zip(sums) {
                    for (channel, &acc) in sums.iter().enumerate().take(channels) {
                        let at = first + channel;
                        let sum = terms.sums.as_ptr().cast::<i32>().add(at).read().wrapping_neg();
                        let bias = terms.bias.as_ptr().cast::<f32>().add(at).read();
                        let real = dequant.apply(acc, sum, scales.add(channel).read(), bias);
                        out.cast::<f32>().add(at).write_unaligned(real);
                    }
                }
            }
        }
    }
}
