//! Depthwise convolutions: a vector of channels at a time, its weights kept for a row of pixels.

use super::super::AlignedBytes;
use super::calls::{FloatDepthwiseCall, FloatDepthwiseWeights, PackedFloatDepthwise};
use super::function::Function;
use super::gemm::Apply;
use super::simd::{Simd, load, store};

/// Pixels that share a load of their weights.
const COLS: usize = 4;

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
                // With a constant number of channels, nothing is left to be decided inside.
                if count == S::LANES {
                    line::<S>(&Part { call, weights, count: S::LANES, clip }, x, out);
                } else {
                    line::<S>(&Part { call, weights, count, clip }, x, out);
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

/// A vector of channels of a call.
struct Part<'a> {
    call: &'a FloatDepthwiseCall<'a>,
    /// Its biases and weights.
    weights: *const f32,
    /// Channels of it that there are.
    count: usize,
    /// Lowest and highest result.
    clip: (f32, f32),
}

/// One vector of a row of pixels.
///
/// # Safety
/// As [`depthwise`].
#[inline(always)]
unsafe fn line<S: Simd>(part: &Part, x: *const f32, out: *mut f32) {
    let call = part.call;
    let mut col = 0;
    // SAFETY: the caller's promise.
    unsafe {
        while col + COLS <= call.cols {
            pixels::<S, COLS>(part, x.add(col * call.step_col), out.add(col * call.out_col));
            col += COLS;
        }
        while col < call.cols {
            pixels::<S, 1>(part, x.add(col * call.step_col), out.add(col * call.out_col));
            col += 1;
        }
    }
}

/// One vector of `C` pixels beside each other.
///
/// # Safety
/// As [`depthwise`]; the pixels are there.
#[inline(always)]
unsafe fn pixels<S: Simd, const C: usize>(part: &Part, x: *const f32, out: *mut f32) {
    let Part { call, count, .. } = *part;
    // SAFETY: the caller's promise.
    unsafe {
        let mut weights = part.weights;
        let mut sums = [S::load(weights); C];
        for ky in 0..call.packed.kh {
            for kx in 0..call.packed.kw {
                weights = weights.add(S::LANES);
                let w = S::load(weights);
                let x = x.add(ky * call.tap_row + kx * call.tap_col);
                for (c, sum) in sums.iter_mut().enumerate() {
                    *sum = load::<S>(x.add(c * call.step_col), count).mul_add(w, *sum);
                }
            }
        }
        for (c, sum) in sums.into_iter().enumerate() {
            let clipped = sum.max(S::splat(part.clip.0)).min(S::splat(part.clip.1));
            store(clipped, out.add(c * call.out_col), count);
        }
    }
}
