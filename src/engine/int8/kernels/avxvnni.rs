//! x86-64 with AVX-VNNI, `vpdpbusd` without AVX-512: Intel clients from Alder Lake, AMD from Zen 5.
//!
//! The kernels are those of [`super::avx2`] around another way to sum products. That instruction also exists in an
//! AVX-512 encoding, which computes the same: where a processor has only that one, the tests run the kernels with it.

use std::arch::x86_64::*;

use super::avx2::dot::Dot;

/// The set.
#[derive(Debug)]
pub struct AvxVnni;

/// Tests that this processor has the instructions.
pub fn available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni")
}

super::avx2::ymm_kernels!(AvxVnni, "avxvnni", Vex, "avx2,avxvnni");

/// `vpdpbusd` in its AVX-512 encoding.
#[cfg(test)]
#[derive(Debug)]
pub struct Avx512Encoded;

/// Tests that this processor has the instructions of [`Avx512Encoded`].
#[cfg(test)]
pub fn avx512_encoded_available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512vl")
}

#[cfg(test)]
super::avx2::ymm_kernels!(Avx512Encoded, "avx512vnni-256", Evex, "avx2,avx512vnni,avx512vl");

/// Implements [`Dot`] with an intrinsic that multiplies unsigned by signed bytes: activations are read as `x + 128`.
macro_rules! vpdpbusd {
    ($dot:ident, $intrinsic:ident) => {
        /// `vpdpbusd` in one of its encodings.
        #[derive(Debug)]
        pub struct $dot;

        impl Dot for $dot {
            const OFFSET: i32 = 128;
            const PARTS: usize = 1;
            const WIDE: bool = false;
            type Bytes = __m256i;

            fn spread(weights: [i16; 4]) -> [[i8; 4]; 2] {
                [weights.map(|w| w as i8); 2]
            }

            #[inline(always)]
            unsafe fn ready(bytes: __m256i) -> __m256i {
                // SAFETY: the caller's promise.
                unsafe { _mm256_xor_si256(bytes, _mm256_set1_epi8(-128)) }
            }

            #[inline(always)]
            unsafe fn dot(sums: __m256i, bytes: __m256i, weights: *const __m256i) -> __m256i {
                // SAFETY: the caller's promise.
                unsafe { $intrinsic(sums, bytes, *weights) }
            }
        }
    };
}

vpdpbusd!(Vex, _mm256_dpbusd_avx_epi32);
#[cfg(test)]
vpdpbusd!(Evex, _mm256_dpbusd_epi32);
