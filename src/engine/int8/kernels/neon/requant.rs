//! From sums to bytes, sixteen at a time.

use core::arch::aarch64::*;

use super::super::requant::{ROUNDER, Requant};

/// A [`Requant`] in registers.
#[derive(Clone, Copy)]
pub(super) struct Epilogue {
    zero_point: int16x8_t,
    low: int8x16_t,
    high: int8x16_t,
    rounder: float32x4_t,
    tame: bool,
    quick: bool,
}

impl Epilogue {
    /// `tame` if all channels are.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(super) fn new(requant: &Requant, tame: bool) -> Self {
        let full = (requant.low, requant.high) == (i8::MIN, i8::MAX);
        Epilogue {
            zero_point: vdupq_n_s16(requant.zero_point as i16),
            low: vdupq_n_s8(requant.low),
            high: vdupq_n_s8(requant.high),
            rounder: vdupq_n_f32(ROUNDER + requant.zero_point as f32),
            tame,
            // An odd zero point would round halves to odd.
            quick: tame && full && requant.zero_point % 2 == 0,
        }
    }

    /// Rows of sixteen bytes.
    #[inline]
    #[target_feature(enable = "neon")]
    pub(super) fn apply<const R: usize>(&self, sums: [[int32x4_t; 4]; R], scale: [float32x4_t; 4]) -> [int8x16_t; R] {
        let mut rows = [self.low; R];
        if self.quick {
            for (bytes, sums) in rows.iter_mut().zip(sums) {
                let integer = |i: usize| {
                    let real = vmulq_f32(vcvtq_f32_s32(sums[i]), scale[i]);
                    vreinterpretq_s16_f32(vaddq_f32(real, self.rounder))
                };
                let half = |i: usize| vuzp1q_s16(integer(i), integer(i + 1));
                *bytes = vqmovn_high_s16(vqmovn_s16(half(0)), half(2));
            }
            return rows;
        }
        for (bytes, sums) in rows.iter_mut().zip(sums) {
            let integer = |i: usize| vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(sums[i]), scale[i]));
            // Every step that narrows a value that is not tame saturates, which is all the clamping in float that the
            // definition asks for.
            let half = |i: usize| {
                let narrow = if self.tame {
                    vuzp1q_s16(vreinterpretq_s16_s32(integer(i)), vreinterpretq_s16_s32(integer(i + 1)))
                } else {
                    vqmovn_high_s32(vqmovn_s32(integer(i)), integer(i + 1))
                };
                vqaddq_s16(narrow, self.zero_point)
            };
            let all = vqmovn_high_s16(vqmovn_s16(half(0)), half(2));
            *bytes = vminq_s8(vmaxq_s8(all, self.low), self.high);
        }
        rows
    }
}
