//! Depthwise convolutions: a vector of channels at a time, its weights kept for a row of pixels.

use super::super::AlignedBytes;
use super::calls::{FloatDepthwiseCall, FloatDepthwiseWeights, PackedFloatDepthwise};
use super::function::Function;
use super::gemm::Apply;
use super::simd::{Simd, store};

/// Packs depthwise weights: for every vector of channels its biases and its weights, tap by tap.
pub fn pack<S: Simd>(weights: &FloatDepthwiseWeights) -> PackedFloatDepthwise {
    let FloatDepthwiseWeights { channels, kh, kw, .. } = *weights;
    let taps = kh * kw;
    let mut data = AlignedBytes::zeroed(4 * channels.next_multiple_of(S::LANES) * (1 + taps));
    for channel in 0..channels {
        let lane = channel / S::LANES * S::LANES * (1 + taps) + channel % S::LANES;
        data.put_f32(4 * lane, [weights.bias[channel]]);
        for tap in 0..taps {
            data.put_f32(4 * (lane + (1 + tap) * S::LANES), [weights.data[tap * channels + channel]]);
        }
    }
    PackedFloatDepthwise { channels, kh, kw, data }
}

/// See [`FloatKernels::depthwise`](super::FloatKernels::depthwise).
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn depthwise<S: Simd>(call: &FloatDepthwiseCall, apply: Apply) {
    let packed = call.packed;
    let (clip, function) = match call.function {
        Function::Clip(low, high) => ((low, high), Function::Identity),
        function => ((f32::NEG_INFINITY, f32::INFINITY), function),
    };
    for row in 0..call.rows {
        // SAFETY: the caller's promise.
        unsafe {
            let (x, out) = (call.input.add(row * call.step_row), call.out.add(row * call.out_row));
            for channel in (0..packed.channels).step_by(S::LANES) {
                let count = (packed.channels - channel).min(S::LANES);
                let weights = packed.data.as_ptr().cast::<f32>().add(channel * (1 + packed.kh * packed.kw));
                let (x, out) = (x.add(channel), out.add(channel));
                for col in 0..call.cols {
                    let sum = pixel::<S>(call, weights, x.add(col * call.step_col), count);
                    store(sum.max(S::splat(clip.0)).min(S::splat(clip.1)), out.add(col * call.out_col), count);
                }
            }
            if function != Function::Identity {
                for col in 0..call.cols {
                    apply(&function, out.add(col * call.out_col), packed.channels);
                }
            }
        }
    }
}

/// One vector of one pixel.
///
/// # Safety
/// As [`depthwise`]; the pixel has `count` channels there.
#[inline(always)]
unsafe fn pixel<S: Simd>(call: &FloatDepthwiseCall, weights: *const f32, x: *const f32, count: usize) -> S {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sum = S::load(weights);
        let mut weights = weights;
        for ky in 0..call.packed.kh {
            for kx in 0..call.packed.kw {
                weights = weights.add(S::LANES);
                let x = super::simd::load::<S>(x.add(ky * call.tap_row + kx * call.tap_col), count);
                sum = x.mul_add(S::load(weights), sum);
            }
        }
        sum
    }
}
