//! Vectors of four floats.

use std::arch::aarch64::*;
use std::ops::{Add, Div, Mul, Neg, Sub};

use super::super::simd::Simd;

/// Four floats.
#[derive(Clone, Copy, Debug)]
pub struct Quad(pub(super) float32x4_t);

/// An expression of instructions on values that exist.
macro_rules! with {
    ($expression:expr) => {{
        // SAFETY: a vector exists only where the processor has the instructions.
        unsafe { $expression }
    }};
}

/// Ones in the first `count` lanes' bits.
#[inline(always)]
fn first_lanes(count: usize) -> uint32x4_t {
    const INDICES: [u32; 4] = [0, 1, 2, 3];
    with!(vcltq_u32(vld1q_u32(INDICES.as_ptr()), vdupq_n_u32(count as u32)))
}

macro_rules! operator {
    ($trait:ident, $method:ident, $instruction:ident) => {
        impl $trait for Quad {
            type Output = Quad;

            #[inline(always)]
            fn $method(self, other: Quad) -> Quad {
                with!(Quad($instruction(self.0, other.0)))
            }
        }
    };
}

operator!(Add, add, vaddq_f32);
operator!(Sub, sub, vsubq_f32);
operator!(Mul, mul, vmulq_f32);
operator!(Div, div, vdivq_f32);

impl Neg for Quad {
    type Output = Quad;

    #[inline(always)]
    fn neg(self) -> Quad {
        with!(Quad(vnegq_f32(self.0)))
    }
}

/// `2^e` for integral `e` of −126 to 127.
#[inline(always)]
fn power_of_two(e: float32x4_t) -> float32x4_t {
    with!(vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(vcvtq_s32_f32(e), vdupq_n_s32(127)))))
}

impl Simd for Quad {
    const LANES: usize = 4;

    type Mask = uint32x4_t;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Quad(vdupq_n_f32(value)) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Quad(vld1q_f32(from)) }
    }

    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> Self {
        let mut lanes = [0.0; 4];
        for (i, lane) in lanes.iter_mut().enumerate().take(count) {
            // SAFETY: the caller's promise.
            *lane = unsafe { *from.add(i) };
        }
        with!(Quad(vld1q_f32(lanes.as_ptr())))
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { vst1q_f32(to, self.0) }
    }

    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, count: usize) {
        // SAFETY: each store writes as many lanes as `count` has.
        unsafe {
            let (mut at, mut pair) = (to, vget_low_f32(self.0));
            if count >= 4 {
                return vst1q_f32(to, self.0);
            }
            if count & 2 != 0 {
                vst1_f32(at, pair);
                (at, pair) = (at.add(2), vget_high_f32(self.0));
            }
            if count & 1 != 0 {
                *at = vget_lane_f32::<0>(pair);
            }
        }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        with!(Quad(vfmaq_f32(addend.0, self.0, factor.0)))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        with!(Quad(vmaxq_f32(self.0, other.0)))
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        with!(Quad(vminq_f32(self.0, other.0)))
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        with!(Quad(vsqrtq_f32(self.0)))
    }

    #[inline(always)]
    fn quick_reciprocal(self) -> Self {
        // 8 bits, doubled by each step of Newton's.
        with!({
            let guess = vrecpeq_f32(self.0);
            let guess = vmulq_f32(guess, vrecpsq_f32(self.0, guess));
            Quad(vmulq_f32(guess, vrecpsq_f32(self.0, guess)))
        })
    }

    #[inline(always)]
    fn abs(self) -> Self {
        with!(Quad(vabsq_f32(self.0)))
    }

    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        with!(Quad(vbslq_f32(vdupq_n_u32(1 << 31), sign.0, self.0)))
    }

    #[inline(always)]
    fn round(self) -> Self {
        with!(Quad(vrndnq_f32(self.0)))
    }

    #[inline(always)]
    fn floor(self) -> Self {
        with!(Quad(vrndmq_f32(self.0)))
    }

    #[inline(always)]
    fn scale(self, exponent: Self) -> Self {
        // Two steps, each within what an exponent holds.
        let half = (exponent * exponent.like(0.5)).floor();
        self * Quad(power_of_two(half.0)) * Quad(power_of_two((exponent - half).0))
    }

    #[inline(always)]
    fn scale_near(self, exponent: Self) -> Self {
        self * Quad(power_of_two(exponent.0))
    }

    #[inline(always)]
    fn split(self) -> (Self, Self) {
        with!({
            // What is denormal is brought up first.
            let is_small = vcltq_f32(self.0, vdupq_n_f32(f32::MIN_POSITIVE));
            let lifted = vmulq_n_f32(self.0, 8_388_608.0);
            let bits = vreinterpretq_s32_f32(vbslq_f32(is_small, lifted, self.0));
            let lift = vandq_s32(vreinterpretq_s32_u32(is_small), vdupq_n_s32(23));
            let base = vdupq_n_s32(std::f32::consts::FRAC_1_SQRT_2.to_bits() as i32);
            let exponent = vshrq_n_s32::<23>(vsubq_s32(bits, base));
            let mantissa = vreinterpretq_f32_s32(vsubq_s32(bits, vshlq_n_s32::<23>(exponent)));
            (Quad(mantissa), Quad(vcvtq_f32_s32(vsubq_s32(exponent, lift))))
        })
    }

    #[inline(always)]
    fn lt(self, other: Self) -> Self::Mask {
        with!(vcltq_f32(self.0, other.0))
    }

    #[inline(always)]
    fn is_nan(self) -> Self::Mask {
        with!(vmvnq_u32(vceqq_f32(self.0, self.0)))
    }

    #[inline(always)]
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self {
        with!(Quad(vbslq_f32(mask, yes.0, no.0)))
    }

    #[inline(always)]
    fn first(self, count: usize, rest: Self) -> Self {
        with!(Quad(vbslq_f32(first_lanes(count), self.0, rest.0)))
    }

    #[inline(always)]
    fn swap<const DISTANCE: usize>(self) -> Self {
        with!(Quad(match DISTANCE {
            2 => vextq_f32::<2>(self.0, self.0),
            _ => vrev64q_f32(self.0),
        }))
    }

    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut i8, count: usize) {
        // SAFETY: four bytes, of which only `count` are written.
        unsafe {
            let words = vmovn_s32(vcvtnq_s32_f32(self.0));
            let bytes = vmovn_s16(vcombine_s16(words, words));
            let bytes = vget_lane_u32::<0>(vreinterpret_u32_s8(bytes)).to_le_bytes();
            if count == 4 {
                to.cast::<[u8; 4]>().write_unaligned(bytes);
            } else {
                std::ptr::copy_nonoverlapping(bytes.as_ptr().cast(), to, count);
            }
        }
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const i8, count: usize) -> Self {
        // SAFETY: `count` bytes, at most four, are read.
        unsafe {
            let mut bytes = [0u8; 4];
            if count == 4 {
                bytes = from.cast::<[u8; 4]>().read_unaligned();
            } else {
                std::ptr::copy_nonoverlapping(from.cast(), bytes.as_mut_ptr(), count);
            }
            let bytes = vreinterpret_s8_u32(vdup_n_u32(u32::from_le_bytes(bytes)));
            Quad(vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(bytes)))))
        }
    }
}
