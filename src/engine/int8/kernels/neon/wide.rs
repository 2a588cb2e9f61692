//! Depthwise kernels for weights that, less their zero points, do not fit bytes: products of words into 32-bit sums.
//!
//! A block of sixteen channels: starting sums, scales, then for every tap its weights in 16 bits.

use core::arch::aarch64::*;

use super::super::{AlignedBytes, DepthwiseCall, DepthwiseWeights};
use super::block::{BLOCK, MAX_TAPS, store};
use super::results::Results;

/// Offset of the scales in a block.
const SCALES: usize = 4 * BLOCK;

/// Offset of the weights.
const WEIGHTS: usize = 8 * BLOCK;

/// Bytes of a block.
pub(super) fn block_bytes(taps: usize) -> usize {
    WEIGHTS + taps * 2 * BLOCK
}

/// Packs the block whose first channel is `first` to `at` in `data`.
pub(super) fn pack(weights: &DepthwiseWeights, first: usize, data: &mut AlignedBytes, at: usize) {
    let here = || first..weights.channels.min(first + BLOCK);
    data.put_i32(at, here().map(|c| weights.start(c, weights.x_zero)));
    data.put_f32(at + SCALES, here().map(|c| weights.scale[c]));
    for tap in 0..weights.kh * weights.kw {
        data.put_i16(at + WEIGHTS + tap * 2 * BLOCK, here().map(|c| weights.weight(c, tap)));
    }
}

/// The outputs of the block whose first channel is `first`.
///
/// # Safety
/// As [`Kernels::depthwise`](super::super::Kernels::depthwise); packed by [`pack`].
#[target_feature(enable = "neon")]
pub(super) unsafe fn depthwise(call: &DepthwiseCall, first: usize) {
    let packed = call.packed;
    let results = Results::new(&call.finish, false);
    let mut offsets = [0; MAX_TAPS];
    for (tap, offset) in offsets.iter_mut().enumerate().take(packed.kh * packed.kw) {
        *offset = tap / packed.kw * call.tap_row + tap % packed.kw * call.tap_col;
    }
    let offsets = &offsets[..packed.kh * packed.kw];
    for row in 0..call.rows {
        let mut col = 0;
        while col < call.cols {
            // SAFETY: the block lies in the packed data; taps and outputs are in the call, with slack behind the input.
            unsafe {
                let data = packed.data.as_ptr().add(first / BLOCK * packed.block_bytes);
                let x = call.input.add(row * call.step_row + col * call.step_col + first);
                let out = call.out.add(row * call.out_row + col * call.out_col);
                let scales = std::array::from_fn(|i| vld1q_f32(data.add(SCALES).cast::<f32>().add(4 * i)));
                if col + 2 <= call.cols {
                    let [a, b] = sums([x, x.add(call.step_col)], offsets, data);
                    store(&results, &packed.terms, (a, scales), out, first, packed.channels - first);
                    let out = out.add(call.out_col);
                    store(&results, &packed.terms, (b, scales), out, first, packed.channels - first);
                    col += 2;
                } else {
                    let [a] = sums([x], offsets, data);
                    store(&results, &packed.terms, (a, scales), out, first, packed.channels - first);
                    col += 1;
                }
            }
        }
    }
}

/// Sums of `P` pixels.
///
/// # Safety
/// Every pixel has a vector at each offset; `data` is the block.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn sums<const P: usize>(pixels: [*const i8; P], offsets: &[usize], data: *const u8) -> [[int32x4_t; 4]; P] {
    // SAFETY: the caller's promise: a block starts with sums, and has weights for every offset.
    unsafe {
        let mut sums = [std::array::from_fn(|i| vld1q_s32(data.cast::<i32>().add(4 * i))); P];
        let mut weights = data.add(WEIGHTS).cast::<i16>();
        for &offset in offsets {
            let (low, high) = (vld1q_s16(weights), vld1q_s16(weights.add(BLOCK / 2)));
            weights = weights.add(BLOCK);
            for (sums, pixel) in sums.iter_mut().zip(pixels) {
                let x = vld1q_s8(pixel.add(offset));
                let (a, b) = (vmovl_s8(vget_low_s8(x)), vmovl_high_s8(x));
                sums[0] = vmlal_s16(sums[0], vget_low_s16(a), vget_low_s16(low));
                sums[1] = vmlal_high_s16(sums[1], a, low);
                sums[2] = vmlal_s16(sums[2], vget_low_s16(b), vget_low_s16(high));
                sums[3] = vmlal_high_s16(sums[3], b, high);
            }
        }
        sums
    }
}
