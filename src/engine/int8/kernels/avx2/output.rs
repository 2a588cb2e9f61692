//! From 32-bit sums to bytes or floats.

use std::arch::x86_64::*;

use super::super::{Dequant, Finish, Requant, Terms};

/// Vectors of sums that make a vector of bytes.
pub const VECTORS: usize = 4;

/// Sums, and floats, in a vector.
pub const LANES: usize = 8;

/// A [`Finish`] in vectors.
pub enum Results {
    Bytes(Output),
    Floats(Floats),
}

impl Results {
    #[target_feature(enable = "avx2")]
    #[inline]
    pub fn new(finish: &Finish) -> Self {
        match finish {
            Finish::Bytes(requant) => Results::Bytes(Output::new(requant)),
            Finish::Floats(dequant) => Results::Floats(Floats::new(dequant)),
        }
    }
}

/// A [`Dequant`] in vectors.
pub struct Floats {
    x_scale: __m256,
    x_zero: __m256i,
    low: __m256,
    high: __m256,
}

impl Floats {
    #[target_feature(enable = "avx2")]
    #[inline]
    fn new(dequant: &Dequant) -> Self {
        Floats {
            x_scale: _mm256_set1_ps(dequant.x_scale),
            x_zero: _mm256_set1_epi32(dequant.x_zero),
            low: _mm256_set1_ps(dequant.low),
            high: _mm256_set1_ps(dequant.high),
        }
    }

    /// Results of a vector of sums, the values of whose channels begin at `at` in the terms.
    ///
    /// # Safety
    /// The terms are there, of results in floats.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub unsafe fn real(&self, sums: __m256i, scale: __m256, terms: &Terms, at: usize) -> __m256 {
        // SAFETY: the caller's promise.
        let (sum, bias) = unsafe {
            (
                *terms.sums.as_ptr().cast::<__m256i>().add(at / LANES),
                *terms.bias.as_ptr().cast::<__m256>().add(at / LANES),
            )
        };
        let sums = _mm256_add_epi32(sums, _mm256_mullo_epi32(self.x_zero, sum));
        let real = _mm256_mul_ps(_mm256_cvtepi32_ps(sums), _mm256_mul_ps(self.x_scale, scale));
        // In this order of operands, what is no number stays none.
        _mm256_min_ps(self.high, _mm256_max_ps(self.low, _mm256_add_ps(real, bias)))
    }
}

/// Stores the first `count` floats.
///
/// # Safety
/// They may be written.
#[target_feature(enable = "avx2")]
#[inline]
pub unsafe fn store_floats(floats: __m256, out: *mut f32, count: usize) {
    let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    // SAFETY: the caller's promise.
    unsafe {
        if count >= LANES {
            _mm256_storeu_ps(out, floats);
        } else {
            _mm256_maskstore_ps(out, _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), lanes), floats);
        }
    }
}

/// `Σ (x + 128)` over `segment` bytes at each of `offsets`.
///
/// # Safety
/// They may be read.
#[target_feature(enable = "avx2")]
pub unsafe fn row_sum(row: *const i8, offsets: &[usize], segment: usize) -> i32 {
    let flip = _mm256_set1_epi8(-128);
    let mut sums = _mm256_setzero_si256();
    let mut rest = 0;
    for &offset in offsets {
        let whole = segment - segment % 32;
        for k in (0..whole).step_by(32) {
            // SAFETY: the caller's promise.
            let x = unsafe { _mm256_loadu_si256(row.add(offset + k).cast()) };
            sums = _mm256_add_epi64(sums, _mm256_sad_epu8(_mm256_xor_si256(x, flip), _mm256_setzero_si256()));
        }
        for k in whole..segment {
            // SAFETY: as above.
            rest += i32::from(unsafe { *row.add(offset + k) }) + 128;
        }
    }
    let halves = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
    _mm_cvtsi128_si32(_mm_add_epi64(halves, _mm_unpackhi_epi64(halves, halves))).wrapping_add(rest)
}

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
