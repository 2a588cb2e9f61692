//! The one thing in which the sets with 256-bit vectors differ: how they sum products of four bytes.

use std::arch::x86_64::*;

/// Sums products of four neighbouring bytes into 32-bit lanes.
///
/// The methods are inlined into functions that have the instructions: nothing else may call them.
pub trait Dot {
    /// Term added to activations before they are multiplied.
    const OFFSET: i32;
    /// Vectors that four weights for each of 8 channels take.
    const PARTS: usize;
    /// True if weights of 16 bits may be multiplied, false if they must be bytes.
    const WIDE: bool;
    /// Four activations for each of 8 lanes, ready to be multiplied.
    type Bytes: Copy;

    /// The four weights of a lane as its bytes in each of the parts.
    fn spread(weights: [i16; 4]) -> [[i8; 4]; 2];

    /// Four signed bytes a lane, made ready.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn ready(bytes: __m256i) -> Self::Bytes;

    /// Adds four products to each lane.
    ///
    /// # Safety
    /// The processor has the instructions; `weights` points to [`Dot::PARTS`] aligned vectors.
    unsafe fn dot(sums: __m256i, bytes: Self::Bytes, weights: *const __m256i) -> __m256i;
}

/// `vpmaddwd` on bytes that were widened to words, even and odd ones apart: exact whatever the bytes are, and weights may be
/// words.
#[derive(Debug)]
pub struct Words;

impl Dot for Words {
    const OFFSET: i32 = 0;
    const PARTS: usize = 2;
    const WIDE: bool = true;
    type Bytes = (__m256i, __m256i);

    fn spread([a, b, c, d]: [i16; 4]) -> [[i8; 4]; 2] {
        let upper = |w: i16| (w >> 8) as i8;
        [[a as i8, upper(a), c as i8, upper(c)], [b as i8, upper(b), d as i8, upper(d)]]
    }

    #[inline(always)]
    unsafe fn ready(bytes: __m256i) -> (__m256i, __m256i) {
        // SAFETY: the caller's promise.
        unsafe { (_mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(bytes)), _mm256_srai_epi16::<8>(bytes)) }
    }

    #[inline(always)]
    unsafe fn dot(sums: __m256i, (even, odd): (__m256i, __m256i), weights: *const __m256i) -> __m256i {
        // SAFETY: the caller's promise.
        unsafe {
            let even = _mm256_madd_epi16(even, *weights);
            let odd = _mm256_madd_epi16(odd, *weights.add(1));
            _mm256_add_epi32(sums, _mm256_add_epi32(even, odd))
        }
    }
}
