//! From sums to results on every aarch64 set: bytes, or floats; and what zero points of weights take from sums.

use core::arch::aarch64::*;

use super::super::{Dequant, Finish, Terms};
use super::requant::Epilogue;

/// Sums, and floats, in a vector.
pub const LANES: usize = 4;

/// A [`Finish`] in registers.
#[derive(Clone, Copy)]
pub(super) enum Results {
    Bytes(Epilogue),
    Floats(Floats),
}

impl Results {
    /// `tame` if all channels are.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(super) fn new(finish: &Finish, tame: bool) -> Self {
        match finish {
            Finish::Bytes(requant) => Results::Bytes(Epilogue::new(requant, tame)),
            Finish::Floats(dequant) => Results::Floats(Floats::new(dequant)),
        }
    }
}

/// A [`Dequant`] in registers.
#[derive(Clone, Copy)]
pub struct Floats {
    x_scale: float32x4_t,
    x_zero: int32x4_t,
    low: float32x4_t,
    high: float32x4_t,
}

impl Floats {
    /// Spreads the fields over vectors.
    #[inline]
    #[target_feature(enable = "neon")]
    pub fn new(dequant: &Dequant) -> Self {
        Floats {
            x_scale: vdupq_n_f32(dequant.x_scale),
            x_zero: vdupq_n_s32(dequant.x_zero),
            low: vdupq_n_f32(dequant.low),
            high: vdupq_n_f32(dequant.high),
        }
    }

    /// Terms of the four channels from `channel`, whose scales are given, that all rows have in common.
    ///
    /// # Safety
    /// The terms have the channels, of results in floats.
    #[inline]
    #[target_feature(enable = "neon")]
    pub unsafe fn channels(&self, scale: float32x4_t, terms: &Terms, channel: usize) -> Channels {
        // SAFETY: the caller's promise.
        let (sum, bias) = unsafe {
            (
                vld1q_s32(terms.sums.as_ptr().cast::<i32>().add(channel)),
                vld1q_f32(terms.bias.as_ptr().cast::<f32>().add(channel)),
            )
        };
        Channels { start: vmulq_s32(self.x_zero, sum), scale: vmulq_f32(self.x_scale, scale), bias }
    }

    /// Stores the results of the first `count` of four sums.
    ///
    /// # Safety
    /// `out` takes `count` floats.
    #[inline]
    #[target_feature(enable = "neon")]
    pub unsafe fn store(&self, sums: int32x4_t, channels: &Channels, out: *mut f32, count: usize) {
        let sums = vaddq_s32(sums, channels.start);
        let real = vaddq_f32(vmulq_f32(vcvtq_f32_s32(sums), channels.scale), channels.bias);
        // Chosen by comparison, not by maximum: a −0 stays one, and what is no number stays none.
        let real = vbslq_f32(vcltq_f32(real, self.low), self.low, real);
        let real = vbslq_f32(vcgtq_f32(real, self.high), self.high, real);
        // SAFETY: the caller's promise.
        unsafe {
            if count >= LANES {
                return vst1q_f32(out, real);
            }
            let pair = vget_low_f32(real);
            match count {
                1 => vst1_lane_f32::<0>(out, pair),
                2 => vst1_f32(out, pair),
                _ => {
                    vst1_f32(out, pair);
                    vst1_lane_f32::<0>(out.add(2), vget_high_f32(real));
                }
            }
        }
    }
}

/// Of four channels: what their sums start with, their scales and biases.
#[derive(Clone, Copy)]
pub struct Channels {
    start: int32x4_t,
    scale: float32x4_t,
    bias: float32x4_t,
}

/// Four sums, the first of them channel `channel`, less what their weights' zero points add to them.
///
/// # Safety
/// The terms have the channels.
#[inline]
#[target_feature(enable = "neon")]
pub unsafe fn less_zeros(sums: int32x4_t, terms: &Terms, channel: usize, row_sum: i32) -> int32x4_t {
    // SAFETY: the caller's promise.
    let zeros = unsafe { vld1q_s32(terms.zeros.as_ptr().cast::<i32>().add(channel)) };
    vmlaq_n_s32(sums, zeros, row_sum)
}

/// `Σ x` over `segment` bytes at each of `offsets`.
///
/// # Safety
/// They may be read.
#[target_feature(enable = "neon")]
pub unsafe fn row_sum(row: *const i8, offsets: &[usize], segment: usize) -> i32 {
    const BYTES: usize = 16;
    let mut sums = vdupq_n_s32(0);
    let mut rest = 0;
    for &offset in offsets {
        let whole = segment - segment % BYTES;
        for k in (0..whole).step_by(BYTES) {
            // SAFETY: the caller's promise.
            let x = unsafe { vld1q_s8(row.add(offset + k)) };
            sums = vpadalq_s16(sums, vpaddlq_s8(x));
        }
        for k in whole..segment {
            // SAFETY: as above.
            rest += i32::from(unsafe { *row.add(offset + k) });
        }
    }
    vaddvq_s32(sums).wrapping_add(rest)
}
