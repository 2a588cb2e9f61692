//! From 32-bit sums to bytes.

use std::arch::x86_64::*;

use super::super::Requant;

/// Vectors of sums that make a vector of bytes.
pub const VECTORS: usize = 4;

/// A [`Requant`] in vectors.
pub struct Output {
    zero_point: __m256i,
    low: __m256i,
    high: __m256i,
    /// Above every byte, below what overflows.
    limit: __m256,
}

impl Output {
    #[target_feature(enable = "avx2")]
    #[inline]
    pub fn new(requant: &Requant) -> Self {
        Output {
            zero_point: _mm256_set1_epi16(requant.zero_point as i16),
            low: _mm256_set1_epi8(requant.low),
            high: _mm256_set1_epi8(requant.high),
            limit: _mm256_set1_ps(32768.0),
        }
    }

    /// Four vectors of sums to bytes: each 128-bit half has 4 bytes of the same half of each vector.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub fn bytes(&self, sums: [__m256i; VECTORS], scales: [__m256; VECTORS]) -> __m256i {
        let [a, b, c, d] = std::array::from_fn(|v| {
            let real = _mm256_mul_ps(_mm256_cvtepi32_ps(sums[v]), scales[v]);
            // Beyond the range of integers the conversion gives the lowest one: keep what is too high away from it.
            _mm256_cvtps_epi32(_mm256_min_ps(real, self.limit))
        });
        let ab = _mm256_adds_epi16(_mm256_packs_epi32(a, b), self.zero_point);
        let cd = _mm256_adds_epi16(_mm256_packs_epi32(c, d), self.zero_point);
        _mm256_min_epi8(_mm256_max_epi8(_mm256_packs_epi16(ab, cd), self.low), self.high)
    }
}

/// Stores the first `count` bytes.
///
/// # Safety
/// They may be written.
#[target_feature(enable = "avx2")]
#[inline]
pub unsafe fn store(bytes: __m256i, out: *mut i8, count: usize) {
    // SAFETY: the caller's promise; each store is one of the powers of two that `count` is the sum of.
    unsafe {
        if count >= 32 {
            return _mm256_storeu_si256(out.cast(), bytes);
        }
        let (mut left, mut to) = (_mm256_castsi256_si128(bytes), out);
        if count & 16 != 0 {
            _mm_storeu_si128(to.cast(), left);
            (left, to) = (_mm256_extracti128_si256::<1>(bytes), to.add(16));
        }
        if count & 8 != 0 {
            _mm_storel_epi64(to.cast(), left);
            (left, to) = (_mm_unpackhi_epi64(left, left), to.add(8));
        }
        if count & 4 != 0 {
            to.cast::<i32>().write_unaligned(_mm_cvtsi128_si32(left));
            (left, to) = (_mm_srli_si128::<4>(left), to.add(4));
        }
        if count & 2 != 0 {
            to.cast::<i16>().write_unaligned(_mm_cvtsi128_si32(left) as i16);
            (left, to) = (_mm_srli_si128::<2>(left), to.add(2));
        }
        if count & 1 != 0 {
            *to = _mm_cvtsi128_si32(left) as i8;
        }
    }
}
