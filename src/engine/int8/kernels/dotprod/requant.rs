//! From sums to bytes, sixteen channels at a time. (To floats: [`neon::results`](super::super::neon::results).)

use std::arch::aarch64::*;

use super::super::Finish;
use super::super::requant::ROUNDER;

/// The shortest way to requantise, in the order of how much they take for granted.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(usize)]
pub enum Way {
    /// Nothing: [`ANY`].
    Any,
    /// All channels are tame (see [`GemmWeights::are_tame`](super::super::GemmWeights::are_tame)) and every byte may come out: [`TAME`].
    Tame,
    /// That, and the zero point is even: [`QUICK`].
    Quick,
    /// None: results are floats ([`FLOATS`]).
    Floats,
}

/// [`Way::Any`], as a parameter of the kernels.
pub const ANY: usize = Way::Any as usize;

/// [`Way::Tame`].
pub const TAME: usize = Way::Tame as usize;

/// [`Way::Quick`].
pub const QUICK: usize = Way::Quick as usize;

/// [`Way::Floats`].
pub const FLOATS: usize = Way::Floats as usize;

impl Way {
    /// For these bounds and zero point, and channels that are all `tame`.
    pub fn new(finish: &Finish, tame: bool) -> Self {
        let Finish::Bytes(requant) = finish else { return Way::Floats };
        if !tame || (requant.low, requant.high) != (i8::MIN, i8::MAX) {
            Way::Any
        } else if requant.zero_point % 2 == 0 {
            Way::Quick
        } else {
            Way::Tame
        }
    }
}

/// A [`Requant`](super::super::Requant) in registers.
#[derive(Clone, Copy)]
pub struct Output {
    zero_point: int16x8_t,
    low: int8x16_t,
    high: int8x16_t,
    rounder: float32x4_t,
}

impl Output {
    /// Spreads the fields over vectors.
    #[inline]
    #[target_feature(enable = "neon")]
    pub fn new(finish: &Finish) -> Self {
        let requant = finish.requant();
        Output {
            zero_point: vdupq_n_s16(requant.zero_point as i16),
            low: vdupq_n_s8(requant.low),
            high: vdupq_n_s8(requant.high),
            rounder: vdupq_n_f32(ROUNDER + requant.zero_point as f32),
        }
    }

    /// Sixteen channels' sums and scales to bytes, by a [`Way`].
    #[inline]
    #[target_feature(enable = "neon")]
    pub fn bytes<const WAY: usize>(&self, sums: [(int32x4_t, float32x4_t); 4]) -> int8x16_t {
        let low = vqmovn_s16(self.halves::<WAY>(sums[0], sums[1]));
        let bytes = vqmovn_high_s16(low, self.halves::<WAY>(sums[2], sums[3]));
        if WAY == ANY { vminq_s8(vmaxq_s8(bytes, self.low), self.high) } else { bytes }
    }

    /// The same for eight channels.
    #[inline]
    #[target_feature(enable = "neon")]
    pub fn half<const WAY: usize>(&self, sums: [(int32x4_t, float32x4_t); 2]) -> int8x8_t {
        let bytes = vqmovn_s16(self.halves::<WAY>(sums[0], sums[1]));
        if WAY == ANY { vmin_s8(vmax_s8(bytes, vget_low_s8(self.low)), vget_low_s8(self.high)) } else { bytes }
    }

    /// Eight channels' results with the zero point, as far as 16 bits hold them; saturating here and in what follows is all
    /// the clamping of the real number that the definition asks for.
    #[inline]
    #[target_feature(enable = "neon")]
    fn halves<const WAY: usize>(&self, a: (int32x4_t, float32x4_t), b: (int32x4_t, float32x4_t)) -> int16x8_t {
        let real = |(acc, scale)| vmulq_f32(vcvtq_f32_s32(acc), scale);
        if WAY == QUICK {
            let sum = |a| vreinterpretq_s16_f32(vaddq_f32(real(a), self.rounder));
            return vuzp1q_s16(sum(a), sum(b));
        }
        let (a, b) = (vcvtnq_s32_f32(real(a)), vcvtnq_s32_f32(real(b)));
        let narrow = if WAY == TAME {
            vuzp1q_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b))
        } else {
            vqmovn_high_s32(vqmovn_s32(a), b)
        };
        vqaddq_s16(narrow, self.zero_point)
    }
}

/// Writes the first `len` bytes (at most 8).
///
/// # Safety
/// `out` has `len` bytes.
#[inline]
#[target_feature(enable = "neon")]
pub unsafe fn store_half(out: *mut i8, bytes: int8x8_t, len: usize) {
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
pub unsafe fn store(out: *mut i8, bytes: int8x16_t, len: usize) {
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
