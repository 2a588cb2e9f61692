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
    /// Four activations for each of 8 lanes, ready to be multiplied.
    type Bytes: Copy;

    /// Offsets of the four weights of a lane, from the lane's four bytes in the first part, as bytes.
    fn spread(weights: [i8; 4]) -> [[i8; 4]; 2];

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

/// `vpmaddwd` on bytes that were widened to words, even and odd ones apart: exact whatever the bytes are.
#[derive(Debug)]
pub struct Words;

impl Dot for Words {
    const OFFSET: i32 = 0;
    const PARTS: usize = 2;
    type Bytes = (__m256i, __m256i);

    fn spread([a, b, c, d]: [i8; 4]) -> [[i8; 4]; 2] {
        let sign = |w: i8| if w < 0 { -1 } else { 0 };
        [[a, sign(a), c, sign(c)], [b, sign(b), d, sign(d)]]
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
