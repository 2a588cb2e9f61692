//! From sums to bytes, sixteen channels at a time.

use std::arch::aarch64::*;

use super::super::Requant;

/// A [`Requant`] in registers.
#[derive(Clone, Copy)]
pub(super) struct Output {
    zero_point: int16x8_t,
    low: int8x16_t,
    high: int8x16_t,
}

impl Output {
    /// Spreads the fields over vectors.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(super) fn new(requant: &Requant) -> Self {
        Output {
            zero_point: vdupq_n_s16(requant.zero_point as i16),
            low: vdupq_n_s8(requant.low),
            high: vdupq_n_s8(requant.high),
        }
    }

    /// Every step saturates, so that clamping the bytes at the end is the same as clamping the real number.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(super) fn bytes<const CLAMP: bool>(&self, sums: [(int32x4_t, float32x4_t); 4]) -> int8x16_t {
        let halves =
            |a: usize| vqaddq_s16(vqmovn_high_s32(vqmovn_s32(round(sums[a])), round(sums[a + 1])), self.zero_point);
        let bytes = vqmovn_high_s16(vqmovn_s16(halves(0)), halves(2));
        if CLAMP { vminq_s8(vmaxq_s8(bytes, self.low), self.high) } else { bytes }
    }

    /// The same for eight channels.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(super) fn half<const CLAMP: bool>(&self, sums: [(int32x4_t, float32x4_t); 2]) -> int8x8_t {
        let sums = vqaddq_s16(vqmovn_high_s32(vqmovn_s32(round(sums[0])), round(sums[1])), self.zero_point);
        let bytes = vqmovn_s16(sums);
        if CLAMP { vmin_s8(vmax_s8(bytes, vget_low_s8(self.low)), vget_low_s8(self.high)) } else { bytes }
    }
}

/// The product of sums and scales, to the nearest integer.
#[inline]
#[target_feature(enable = "neon")]
fn round((acc, scale): (int32x4_t, float32x4_t)) -> int32x4_t {
    vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(acc), scale))
}

/// Writes the first `len` bytes (at most 8).
///
/// # Safety
/// `out` has `len` bytes.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn store_half(out: *mut i8, bytes: int8x8_t, len: usize) {
    if len >= 8 {
        // SAFETY: there are 8 bytes.
        return unsafe { vst1_s8(out, bytes) };
    }
    let mut rest = vget_lane_u64::<0>(vreinterpret_u64_s8(bytes));
    let mut at = out;
    // SAFETY: the parts add up to `len`.
    unsafe {
        if len & 4 != 0 {
            at.cast::<u32>().write_unaligned(rest as u32);
            rest >>= 32;
            at = at.add(4);
        }
        if len & 2 != 0 {
            at.cast::<u16>().write_unaligned(rest as u16);
            rest >>= 16;
            at = at.add(2);
        }
        if len & 1 != 0 {
            at.write(rest as i8);
        }
    }
}

/// Writes the first `len` bytes (at most 16).
///
/// # Safety
/// `out` has `len` bytes.
#[inline]
#[target_feature(enable = "neon")]
pub(super) unsafe fn store(out: *mut i8, bytes: int8x16_t, len: usize) {
    // SAFETY: the parts add up to `len`.
    unsafe {
        if len >= 16 {
            vst1q_s8(out, bytes);
        } else if len >= 8 {
            vst1_s8(out, vget_low_s8(bytes));
            store_half(out.add(8), vget_high_s8(bytes), len - 8);
        } else {
            store_half(out, vget_low_s8(bytes), len);
        }
    }
}
