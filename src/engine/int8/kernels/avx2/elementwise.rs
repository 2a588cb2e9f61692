//! Kernels without weights: sums of tensors, pools.

use std::arch::x86_64::*;

use super::super::{AddParams, plain};

/// See [`Kernels::add`](super::super::Kernels::add).
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2")]
pub unsafe fn add(params: &AddParams, a: *const i8, b: *const i8, out: *mut i8, len: usize) {
    const BYTES: usize = 16;
    // Factors are too wide for 16 bits: their upper and lower parts are multiplied one after the other.
    const LOWER_BITS: i32 = 11;
    const LOWER_MASK: i32 = (1 << LOWER_BITS) - 1;
    let pair = |a: i32, b: i32| _mm256_set1_epi32((a & 0xffff) | (b << 16));
    let upper = pair(params.a_factor >> LOWER_BITS, params.b_factor >> LOWER_BITS);
    let lower = pair(params.a_factor & LOWER_MASK, params.b_factor & LOWER_MASK);
    let offset = _mm256_set1_epi32(params.offset);
    let shift = _mm_cvtsi32_si128(params.shift as i32);
    let (low, high) = (_mm_set1_epi8(params.low), _mm_set1_epi8(params.high));
    let sums = |pairs: __m256i| {
        let above = _mm256_slli_epi32::<LOWER_BITS>(_mm256_madd_epi16(pairs, upper));
        let all = _mm256_add_epi32(_mm256_add_epi32(above, offset), _mm256_madd_epi16(pairs, lower));
        _mm256_sra_epi32(all, shift)
    };
    let whole = len - len % BYTES;
    for at in (0..whole).step_by(BYTES) {
        // SAFETY: all three have `len` bytes.
        unsafe {
            let a = _mm256_cvtepi8_epi16(_mm_loadu_si128(a.add(at).cast()));
            let b = _mm256_cvtepi8_epi16(_mm_loadu_si128(b.add(at).cast()));
            let words = _mm256_packs_epi32(sums(_mm256_unpacklo_epi16(a, b)), sums(_mm256_unpackhi_epi16(a, b)));
            let bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
            _mm_storeu_si128(out.add(at).cast(), _mm_min_epi8(_mm_max_epi8(bytes, low), high));
        }
    }
    // SAFETY: the caller's promise is the callee's.
    unsafe { plain::add(params, a.add(whole), b.add(whole), out.add(whole), len - whole) };
}

/// See [`Kernels::max`](super::super::Kernels::max).
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2")]
pub unsafe fn max(x: *const i8, out: *mut i8, len: usize) {
    // SAFETY: the caller's promise is the callee's; the loop is one that the compiler vectorises.
    unsafe { plain::max(x, out, len) }
}
