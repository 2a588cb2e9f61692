//! Kernels without weights: sums of tensors, table look-ups, maxima.

use std::arch::x86_64::*;

use super::super::AddParams;

/// Bytes in a vector.
const BYTES: usize = 64;

/// Bits in the lower part of a factor of a sum, so that both parts fit 16 bits.
const LOWER_BITS: u32 = 11;

/// The lower part.
const LOWER_MASK: i32 = (1 << LOWER_BITS) - 1;

/// The offset of every vector in `len` bytes, and a bit for each of its bytes that there is.
fn vectors(len: usize) -> impl Iterator<Item = (usize, u64)> {
    (0..len).step_by(BYTES).map(move |at| (at, u64::MAX >> (BYTES - (len - at).min(BYTES))))
}

/// See [`Kernels::add`](super::super::Kernels::add).
///
/// # Safety
/// As there.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub unsafe fn add(params: &AddParams, a: *const i8, b: *const i8, out: *mut i8, len: usize) {
    // Factors are too wide for 16 bits: their upper and lower parts are multiplied one after the other.
    let pair = |a: i32, b: i32| _mm512_set1_epi32((a & 0xffff) | (b << 16));
    let upper = pair(params.a_factor >> LOWER_BITS, params.b_factor >> LOWER_BITS);
    let lower = pair(params.a_factor & LOWER_MASK, params.b_factor & LOWER_MASK);
    let offset = _mm512_set1_epi32(params.offset);
    let shift = _mm_cvtsi32_si128(params.shift as i32);
    let (low, high) = (_mm512_set1_epi8(params.low), _mm512_set1_epi8(params.high));
    let sums = |pairs: __m512i| {
        let above = _mm512_slli_epi32::<LOWER_BITS>(_mm512_madd_epi16(pairs, upper));
        _mm512_sra_epi32(_mm512_dpwssd_epi32(_mm512_add_epi32(above, offset), pairs, lower), shift)
    };
    // 32 sums, in the order in which `_mm512_packs_epi16` puts them in their places again.
    let words = |a: __m512i, b: __m512i| {
        let (low, high) = (_mm512_unpacklo_epi16(a, b), _mm512_unpackhi_epi16(a, b));
        _mm512_packs_epi32(sums(low), sums(high))
    };
    for (at, mask) in vectors(len) {
        // SAFETY: the inputs cover the bytes that the mask selects; so does the output.
        unsafe {
            let a = _mm512_maskz_loadu_epi8(mask, a.add(at));
            let b = _mm512_maskz_loadu_epi8(mask, b.add(at));
            let even = words(
                _mm512_srai_epi16::<8>(_mm512_unpacklo_epi8(a, a)),
                _mm512_srai_epi16::<8>(_mm512_unpacklo_epi8(b, b)),
            );
            let odd = words(
                _mm512_srai_epi16::<8>(_mm512_unpackhi_epi8(a, a)),
                _mm512_srai_epi16::<8>(_mm512_unpackhi_epi8(b, b)),
            );
            let bytes = _mm512_packs_epi16(even, odd);
            _mm512_mask_storeu_epi8(out.add(at), mask, _mm512_min_epi8(_mm512_max_epi8(bytes, low), high));
        }
    }
}

/// See [`Kernels::lut`](super::super::Kernels::lut).
///
/// # Safety
/// As there; the processor has AVX-512 VBMI.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
pub unsafe fn lut_vbmi(table: &[i8; 256], x: *const i8, out: *mut i8, len: usize) {
    // SAFETY: a quarter of the table is a vector.
    let [a, b, c, d] =
        std::array::from_fn(|quarter| unsafe { _mm512_loadu_si512(table.as_ptr().add(quarter * BYTES).cast()) });
    for (at, mask) in vectors(len) {
        // SAFETY: the input covers the bytes that the mask selects; so does the output.
        unsafe {
            let x = _mm512_maskz_loadu_epi8(mask, x.add(at));
            let lower = _mm512_permutex2var_epi8(a, x, b);
            let upper = _mm512_permutex2var_epi8(c, x, d);
            _mm512_mask_storeu_epi8(out.add(at), mask, _mm512_mask_blend_epi8(_mm512_movepi8_mask(x), lower, upper));
        }
    }
}

/// See [`Kernels::max`](super::super::Kernels::max).
///
/// # Safety
/// As there.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub unsafe fn max(x: *const i8, out: *mut i8, len: usize) {
    for (at, mask) in vectors(len) {
        // SAFETY: both have the bytes that the mask selects.
        unsafe {
            let x = _mm512_maskz_loadu_epi8(mask, x.add(at));
            let old = _mm512_maskz_loadu_epi8(mask, out.add(at));
            _mm512_mask_storeu_epi8(out.add(at), mask, _mm512_max_epi8(x, old));
        }
    }
}
