//! AVX2 and FMA: x86-64 since 2013.

use std::arch::x86_64::*;
use std::ops::{Add, Div, Mul, Neg, Sub};

use super::generic::float_kernels;
use super::simd::Simd;

/// Eight floats.
#[derive(Clone, Copy, Debug)]
pub struct Ymm(__m256);

/// Tests that this processor can run the set.
pub fn available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// An expression of instructions on values that exist.
macro_rules! with {
    ($expression:expr) => {{
        // SAFETY: a vector exists only where the processor has the instructions.
        unsafe { $expression }
    }};
}

/// Ones in the first `count` lanes' bits.
#[inline(always)]
fn first_lanes(count: usize) -> __m256i {
    with!(_mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)))
}

macro_rules! operator {
    ($trait:ident, $method:ident, $instruction:ident) => {
        impl $trait for Ymm {
            type Output = Ymm;

            #[inline(always)]
            fn $method(self, other: Ymm) -> Ymm {
                with!(Ymm($instruction(self.0, other.0)))
            }
        }
    };
}

operator!(Add, add, _mm256_add_ps);
operator!(Sub, sub, _mm256_sub_ps);
operator!(Mul, mul, _mm256_mul_ps);
operator!(Div, div, _mm256_div_ps);

impl Neg for Ymm {
    type Output = Ymm;

    #[inline(always)]
    fn neg(self) -> Ymm {
        with!(Ymm(_mm256_xor_ps(self.0, _mm256_set1_ps(-0.0))))
    }
}

/// `2^e` for integral `e` of −126 to 127.
#[inline(always)]
fn power_of_two(e: __m256) -> __m256 {
    with!({
        let biased = _mm256_add_epi32(_mm256_cvtps_epi32(e), _mm256_set1_epi32(127));
        _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
    })
}

impl Simd for Ymm {
    const LANES: usize = 8;

    type Mask = __m256;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Ymm(_mm256_set1_ps(value)) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Ymm(_mm256_loadu_ps(from)) }
    }

    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> Self {
        // SAFETY: the caller's promise; lanes that the mask leaves out are not read.
        unsafe { Ymm(_mm256_maskload_ps(from, first_lanes(count))) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { _mm256_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn store_part(self, to: *mut f32, count: usize) {
        // SAFETY: the caller's promise; lanes that the mask leaves out are not written.
        unsafe { _mm256_maskstore_ps(to, first_lanes(count), self.0) }
    }

    #[inline(always)]
    fn prefetch(at: *const f32) {
        // SAFETY: a hint, which every x86-64 takes.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        with!(Ymm(_mm256_fmadd_ps(self.0, factor.0, addend.0)))
    }

    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // Of NaN and another, the second operand is what comes out.
        with!(Ymm(_mm256_max_ps(other.0, self.0)))
    }

    #[inline(always)]
    fn min(self, other: Self) -> Self {
        with!(Ymm(_mm256_min_ps(other.0, self.0)))
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        with!(Ymm(_mm256_sqrt_ps(self.0)))
    }

    #[inline(always)]
    fn quick_reciprocal(self) -> Self {
        self.like(1.0) / self
    }

    #[inline(always)]
    fn abs(self) -> Self {
        with!(Ymm(_mm256_andnot_ps(_mm256_set1_ps(-0.0), self.0)))
    }

    #[inline(always)]
    fn copysign(self, sign: Self) -> Self {
        with!({
            let bit = _mm256_set1_ps(-0.0);
            Ymm(_mm256_or_ps(_mm256_andnot_ps(bit, self.0), _mm256_and_ps(bit, sign.0)))
        })
    }

    #[inline(always)]
    fn round(self) -> Self {
        with!(Ymm(_mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(self.0)))
    }

    #[inline(always)]
    fn floor(self) -> Self {
        with!(Ymm(_mm256_floor_ps(self.0)))
    }

    #[inline(always)]
    fn scale(self, exponent: Self) -> Self {
        // Two steps, each within what an exponent holds.
        let half = (exponent * exponent.like(0.5)).floor();
        self * Ymm(power_of_two(half.0)) * Ymm(power_of_two((exponent - half).0))
    }

    #[inline(always)]
    fn scale_near(self, exponent: Self) -> Self {
        self * Ymm(power_of_two(exponent.0))
    }

    #[inline(always)]
    fn split(self) -> (Self, Self) {
        with!({
            // What is denormal is brought up first.
            let is_small = _mm256_cmp_ps::<_CMP_LT_OQ>(self.0, _mm256_set1_ps(f32::MIN_POSITIVE));
            let lifted = _mm256_mul_ps(self.0, _mm256_set1_ps(8_388_608.0));
            let bits = _mm256_castps_si256(_mm256_blendv_ps(self.0, lifted, is_small));
            let lift = _mm256_and_ps(is_small, _mm256_set1_ps(23.0));
            let base = _mm256_set1_epi32(std::f32::consts::FRAC_1_SQRT_2.to_bits() as i32);
            let exponent = _mm256_srai_epi32::<23>(_mm256_sub_epi32(bits, base));
            let mantissa = _mm256_sub_epi32(bits, _mm256_slli_epi32::<23>(exponent));
            let exponent = _mm256_sub_ps(_mm256_cvtepi32_ps(exponent), lift);
            (Ymm(_mm256_castsi256_ps(mantissa)), Ymm(exponent))
        })
    }

    #[inline(always)]
    fn lt(self, other: Self) -> Self::Mask {
        with!(_mm256_cmp_ps::<_CMP_LT_OQ>(self.0, other.0))
    }

    #[inline(always)]
    fn is_nan(self) -> Self::Mask {
        with!(_mm256_cmp_ps::<_CMP_UNORD_Q>(self.0, self.0))
    }

    #[inline(always)]
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self {
        with!(Ymm(_mm256_blendv_ps(no.0, yes.0, mask)))
    }

    #[inline(always)]
    fn first(self, count: usize, rest: Self) -> Self {
        with!(Ymm(_mm256_blendv_ps(rest.0, self.0, _mm256_castsi256_ps(first_lanes(count)))))
    }

    #[inline(always)]
    fn swap<const DISTANCE: usize>(self) -> Self {
        with!(Ymm(match DISTANCE {
            4 => _mm256_permute2f128_ps::<1>(self.0, self.0),
            2 => _mm256_permute_ps::<0b01_00_11_10>(self.0),
            _ => _mm256_permute_ps::<0b10_11_00_01>(self.0),
        }))
    }

    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut i8, count: usize) {
        // SAFETY: eight bytes, of which only `count` are written.
        unsafe {
            let words = _mm256_cvtps_epi32(self.0);
            let low_bytes = _mm256_set1_epi64x(0x0C08_0400);
            let packed = _mm256_shuffle_epi8(words, low_bytes);
            let halves = [packed, _mm256_permute2x128_si256::<1>(packed, packed)];
            let bytes = halves.map(|half| _mm256_extract_epi32::<0>(half) as u32 as u64);
            let bytes = (bytes[0] | bytes[1] << 32).to_le_bytes();
            std::ptr::copy_nonoverlapping(bytes.as_ptr().cast(), to, count);
        }
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const i8, count: usize) -> Self {
        // SAFETY: `count` bytes, at most eight, are read.
        unsafe {
            let mut bytes = [0u8; 8];
            std::ptr::copy_nonoverlapping(from.cast(), bytes.as_mut_ptr(), count);
            let bytes = _mm_cvtsi64_si128(i64::from_le_bytes(bytes));
            Ymm(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)))
        }
    }
}

float_kernels! {
    /// The set.
    Avx2, "avx2", 30_000, Ymm, ["avx2,fma"], super::gemm::tile, [256 << 10, 256 << 10], {
        2,
        2: 1 2 3 4 5 6 => 6;
        1: 1 2 3 4 5 6 7 8 9 10 => 10;
    }
}
