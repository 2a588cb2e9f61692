//! AVX-512 (F, VL, BW, DQ): servers since 2017, some desktops.

use std::arch::x86_64::*;
use std::ops::{Add, Div, Mul, Neg, Sub};

use super::generic::float_kernels;
use super::simd::Simd;

/// Sixteen floats.
#[derive(Clone, Copy, Debug)]
pub struct Zmm(__m512);

/// Tests that this processor can run the set.
pub fn available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
}

/// The mask of the first `count` lanes.
#[inline(always)]
fn first_lanes(count: usize) -> __mmask16 {
    ((1u32 << count) - 1) as __mmask16
}

/// An expression of instructions on values that exist.
macro_rules! with {
    ($expression:expr) => {{
        // SAFETY: a vector exists only where the processor has the instructions.
        unsafe { $expression }
    }};
}

macro_rules! operator {
    ($trait:ident, $method:ident, $instruction:ident) => {
        impl $trait for Zmm {
            type Output = Zmm;

            #[inline(always)]
            fn $method(self, other: Zmm) -> Zmm {
                with!(Zmm($instruction(self.0, other.0)))
            }
        }
    };
}

operator!(Add, add, _mm512_add_ps);
operator!(Sub, sub, _mm512_sub_ps);
operator!(Mul, mul, _mm512_mul_ps);
operator!(Div, div, _mm512_div_ps);

impl Neg for Zmm {
    type Output = Zmm;

    #[inline(always)]
    fn neg(self) -> Zmm {
        with!(Zmm(_mm512_xor_ps(self.0, _mm512_set1_ps(-0.0))))
    }
}

impl Simd for Zmm {
    const LANES: usize = 16;

    type Mask = __mmask16;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Zmm(_mm512_set1_ps(value)) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Zmm(_mm512_loadu_ps(from)) }
    }

    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> Self {
        // SAFETY: the caller's promise; lanes that the mask leaves out are not read.
        unsafe { Zmm(_mm512_maskz_loadu_ps(first_lanes(count), from)) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, count: usize) {
        // SAFETY: the caller's promise; lanes that the mask leaves out are not written.
        unsafe { _mm512_mask_storeu_ps(to, first_lanes(count), self.0) }
    }

    #[inline(always)]
    fn prefetch(at: *const f32) {
        // SAFETY: a hint, which every x86-64 takes.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        with!(Zmm(_mm512_fmadd_ps(self.0, factor.0, addend.0)))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // Of NaN and another, the second operand is what comes out.
        with!(Zmm(_mm512_max_ps(other.0, self.0)))
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        with!(Zmm(_mm512_min_ps(other.0, self.0)))
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        with!(Zmm(_mm512_sqrt_ps(self.0)))
    }

    #[inline(always)]
    fn quick_reciprocal(self) -> Self {
        // 14 bits, doubled by one step of Newton's.
        with!({
            let guess = _mm512_rcp14_ps(self.0);
            let rest = _mm512_fnmadd_ps(self.0, guess, _mm512_set1_ps(1.0));
            Zmm(_mm512_fmadd_ps(guess, rest, guess))
        })
    }

    #[inline(always)]
    fn abs(self) -> Self {
        with!(Zmm(_mm512_abs_ps(self.0)))
    }

    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        with!({
            let (size, sign) = (_mm512_castps_si512(self.0), _mm512_castps_si512(sign.0));
            // The second where the first has its sign bit, else the third.
            let mask = _mm512_set1_epi32(i32::MIN);
            Zmm(_mm512_castsi512_ps(_mm512_ternarylogic_epi32::<0xCA>(mask, sign, size)))
        })
    }

    #[inline(always)]
    fn round(self) -> Self {
        with!(Zmm(_mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0)))
    }

    #[inline(always)]
    fn floor(self) -> Self {
        with!(Zmm(_mm512_roundscale_ps::<{ _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC }>(self.0)))
    }

    #[inline(always)]
    fn scale(self, exponent: Self) -> Self {
        with!(Zmm(_mm512_scalef_ps(self.0, exponent.0)))
    }

    #[inline(always)]
    fn split(self) -> (Self, Self) {
        with!({
            // From ¾ to 1½, which the interval that is asked for nearly is; the exponent is what is left.
            let mantissa = _mm512_getmant_ps::<_MM_MANT_NORM_P75_1P5, _MM_MANT_SIGN_SRC>(self.0);
            let exponent = _mm512_sub_ps(_mm512_getexp_ps(self.0), _mm512_getexp_ps(mantissa));
            (Zmm(mantissa), Zmm(exponent))
        })
    }

    #[inline(always)]
    fn lt(self, other: Self) -> Self::Mask {
        with!(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, other.0))
    }

    #[inline(always)]
    fn is_nan(self) -> Self::Mask {
        with!(_mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self.0, self.0))
    }

    #[inline(always)]
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self {
        with!(Zmm(_mm512_mask_blend_ps(mask, no.0, yes.0)))
    }

    #[inline(always)]
    fn first(self, count: usize, rest: Self) -> Self {
        with!(Zmm(_mm512_mask_blend_ps(first_lanes(count), rest.0, self.0)))
    }

    #[inline(always)]
    fn swap<const DISTANCE: usize>(self) -> Self {
        with!(Zmm(match DISTANCE {
            8 => _mm512_shuffle_f32x4::<0b01_00_11_10>(self.0, self.0),
            4 => _mm512_shuffle_f32x4::<0b10_11_00_01>(self.0, self.0),
            2 => _mm512_permute_ps::<0b01_00_11_10>(self.0),
            _ => _mm512_permute_ps::<0b10_11_00_01>(self.0),
        }))
    }

    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut i8, count: usize) {
        // SAFETY: the caller's promise; lanes that the mask leaves out are not written.
        unsafe { _mm512_mask_cvtepi32_storeu_epi8(to, first_lanes(count), _mm512_cvtps_epi32(self.0)) }
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const i8, count: usize) -> Self {
        // SAFETY: the caller's promise; bytes that the mask leaves out are not read.
        unsafe { Zmm(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(first_lanes(count), from)))) }
    }
}

float_kernels! {
    /// The set.
    Avx512, "avx512", 60_000, Zmm, ["avx512f,avx512vl,avx512bw,avx512dq,avx2,fma"], super::gemm::tile, [512 << 10, 512 << 10], {
        2,
        2: 1 2 3 4 5 6 7 8 9 10 11 12 => 12;
        1: 1 2 3 4 5 6 7 8 9 10 11 12 => 12;
    }
}
