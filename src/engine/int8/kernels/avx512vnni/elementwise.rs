//! Kernels without weights: sums and products of tensors, table look-ups, maxima.

use std::arch::x86_64::*;

use super::super::bytes::{ByteKernels, Lines, MulParams, Pair, SoftmaxParams, byte_kernels};
use super::super::plain::each_row;
use super::super::transpose::transpose;
use super::super::{AddParams, Requant, plain};

/// All of them, for a processor without VBMI: Cascade Lake, Cooper Lake.
pub const BYTES: ByteKernels = byte_kernels! {
    "avx512f,avx512bw,avx512vl,avx512vnni";
    add: add, mul: mul, lut: super::super::avx2::elementwise::BYTES.lut, max: max, pick: pick, softmax: softmax, transpose: transpose
};

/// All of them, for a processor with VBMI.
pub const BYTES_VBMI: ByteKernels = ByteKernels { lut: lut_vbmi, ..BYTES };

/// Bytes in a vector.
const LEN: usize = 64;

/// Calls `body` with the offsets of every vector of every row, and a bit for each of its bytes that there is.
#[inline(always)]
fn each_vector<const N: usize>(rows: usize, len: usize, pitches: [usize; N], mut body: impl FnMut([usize; N], u64)) {
    each_row(rows, pitches, |offsets| {
        let whole = len - len % LEN;
        for at in (0..whole).step_by(LEN) {
            body(offsets.map(|offset| offset + at), u64::MAX);
        }
        if whole < len {
            body(offsets.map(|offset| offset + whole), u64::MAX >> (LEN - (len - whole)));
        }
    });
}

/// Bytes as words: those of the lower and those of the upper half of each 128 bits.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn words(bytes: __m512i) -> [__m512i; 2] {
    [
        _mm512_srai_epi16::<8>(_mm512_unpacklo_epi8(bytes, bytes)),
        _mm512_srai_epi16::<8>(_mm512_unpackhi_epi8(bytes, bytes)),
    ]
}

/// See [`ByteKernels::add`].
///
/// # Safety
/// As there.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn add(params: &AddParams, pair: &Pair) {
    // Factors are too wide for 16 bits: their upper and lower parts are multiplied one after the other.
    const LOWER_BITS: u32 = 11;
    const LOWER_MASK: i32 = (1 << LOWER_BITS) - 1;
    let factors = |a: i32, b: i32| _mm512_set1_epi32((a & 0xffff) | (b << 16));
    let upper = factors(params.a_factor >> LOWER_BITS, params.b_factor >> LOWER_BITS);
    let lower = factors(params.a_factor & LOWER_MASK, params.b_factor & LOWER_MASK);
    let offset = _mm512_set1_epi32(params.offset);
    let shift = _mm_cvtsi32_si128(params.shift as i32);
    let (low, high) = (_mm512_set1_epi8(params.low), _mm512_set1_epi8(params.high));
    let sums = |pairs: __m512i| {
        let above = _mm512_slli_epi32::<LOWER_BITS>(_mm512_madd_epi16(pairs, upper));
        _mm512_sra_epi32(_mm512_dpwssd_epi32(_mm512_add_epi32(above, offset), pairs, lower), shift)
    };
    // In the order in which the packing puts them in their places again.
    let half = |a, b| _mm512_packs_epi32(sums(_mm512_unpacklo_epi16(a, b)), sums(_mm512_unpackhi_epi16(a, b)));
    let pair = pair.joined();
    each_vector(pair.rows, pair.len, pair.pitches, |[a, b, out], mask| {
        // SAFETY: the operands cover the bytes that the mask selects; so does the result.
        unsafe {
            let a = words(_mm512_maskz_loadu_epi8(mask, pair.a.add(a)));
            let b = words(_mm512_maskz_loadu_epi8(mask, pair.b.add(b)));
            let bytes = _mm512_packs_epi16(half(a[0], b[0]), half(a[1], b[1]));
            let bytes = _mm512_min_epi8(_mm512_max_epi8(bytes, low), high);
            _mm512_mask_storeu_epi8(pair.out.add(out), mask, bytes);
        }
    });
}

/// See [`ByteKernels::mul`].
///
/// # Safety
/// As there.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn mul(params: &MulParams, pair: &Pair) {
    let zeros = params.zeros.map(|zero| _mm512_set1_epi16(zero as i16));
    // From here on every product but 0 is beyond all bytes, and none is beyond 32 bits.
    let scale = _mm512_set1_ps(params.scale.min(32768.0));
    let zero_point = _mm512_set1_epi16(params.requant.zero_point as i16);
    let (low, high) = (_mm512_set1_epi8(params.requant.low), _mm512_set1_epi8(params.requant.high));
    let rounded = |product| _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_cvtepi32_ps(product), scale));
    let half = |a, b| {
        let (a, b) = (_mm512_sub_epi16(a, zeros[0]), _mm512_sub_epi16(b, zeros[1]));
        let (lower, upper) = (_mm512_mullo_epi16(a, b), _mm512_mulhi_epi16(a, b));
        let first = rounded(_mm512_unpacklo_epi16(lower, upper));
        let second = rounded(_mm512_unpackhi_epi16(lower, upper));
        _mm512_adds_epi16(_mm512_packs_epi32(first, second), zero_point)
    };
    let pair = pair.joined();
    each_vector(pair.rows, pair.len, pair.pitches, |[a, b, out], mask| {
        // SAFETY: the operands cover the bytes that the mask selects; so does the result.
        unsafe {
            let a = words(_mm512_maskz_loadu_epi8(mask, pair.a.add(a)));
            let b = words(_mm512_maskz_loadu_epi8(mask, pair.b.add(b)));
            let bytes = _mm512_packs_epi16(half(a[0], b[0]), half(a[1], b[1]));
            let bytes = _mm512_min_epi8(_mm512_max_epi8(bytes, low), high);
            _mm512_mask_storeu_epi8(pair.out.add(out), mask, bytes);
        }
    });
}

/// See [`ByteKernels::lut`].
///
/// # Safety
/// As there; the processor has AVX-512 VBMI.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
unsafe fn lut_vbmi(table: &[i8; 256], lines: &Lines) {
    // SAFETY: a quarter of the table is a vector.
    let [a, b, c, d] =
        std::array::from_fn(|quarter| unsafe { _mm512_loadu_si512(table.as_ptr().add(quarter * LEN).cast()) });
    let lines = lines.joined();
    each_vector(lines.rows, lines.len, lines.pitches, |[x, out], mask| {
        // SAFETY: the operand covers the bytes that the mask selects; so does the result.
        unsafe {
            let x = _mm512_maskz_loadu_epi8(mask, lines.x.add(x));
            let lower = _mm512_permutex2var_epi8(a, x, b);
            let upper = _mm512_permutex2var_epi8(c, x, d);
            let bytes = _mm512_mask_blend_epi8(_mm512_movepi8_mask(x), lower, upper);
            _mm512_mask_storeu_epi8(lines.out.add(out), mask, bytes);
        }
    });
}

/// See [`ByteKernels::max`].
///
/// # Safety
/// As there.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn max([count, step]: [usize; 2], lines: &Lines) {
    let lines = lines.joined();
    let least = _mm512_set1_epi8(i8::MIN);
    each_vector(lines.rows, lines.len, lines.pitches, |[x, out], mask| {
        // SAFETY: the operand covers the bytes that the mask selects in every row; so does the result.
        unsafe {
            let x = lines.x.add(x);
            let load = |row: usize| _mm512_maskz_loadu_epi8(mask, x.add(row * step));
            let most = (0..count).fold(least, |most, row| _mm512_max_epi8(most, load(row)));
            _mm512_mask_storeu_epi8(lines.out.add(out), mask, most);
        }
    });
}

/// Elements of a vector of floats.
const FLOATS: usize = 16;

/// Most vectors of floats of a row that stay at hand between their sum and their results.
const HELD: usize = 8;

/// The upper eight floats.
#[target_feature(enable = "avx512f")]
#[inline]
fn upper_half(floats: __m512) -> __m256 {
    _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(floats)))
}

/// See [`ByteKernels::softmax`].
///
/// # Safety
/// As there.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn softmax(params: &SoftmaxParams, lines: &Lines) {
    if lines.len > HELD * FLOATS {
        // SAFETY: the caller's promise is the callee's.
        return unsafe { plain::softmax(params, lines) };
    }
    let Requant { zero_point, low, high } = params.requant;
    let limit = |byte: i8| _mm512_set1_ps((i32::from(byte) - zero_point) as f32);
    let (low, high, zero_point) = (limit(low), limit(high), _mm512_set1_epi32(zero_point));
    let last = u16::MAX >> ((FLOATS - lines.len % FLOATS) % FLOATS);
    let chunks = lines.len.div_ceil(FLOATS);
    let mask = |chunk: usize| if chunk + 1 == chunks { last } else { u16::MAX };
    each_row(lines.rows, lines.pitches, |[x, out]| {
        // SAFETY: the caller's promise; the masks select what there is.
        unsafe {
            // How far below 127, unsigned, so that the least of eight words is one instruction.
            let below = |chunk: usize| {
                let bytes = _mm_maskz_loadu_epi8(mask(chunk), lines.x.add(x + chunk * FLOATS));
                _mm_mask_xor_epi32(_mm_set1_epi8(-1), 15, bytes, _mm_set1_epi8(i8::MAX))
            };
            let least = (0..chunks)
                .fold(_mm_set1_epi8(-1), |least, chunk| _mm_mask_min_epu8(least, mask(chunk), least, below(chunk)));
            let least = _mm_minpos_epu16(_mm_min_epu8(least, _mm_srli_epi16::<8>(least)));
            let least = _mm_broadcastb_epi8(least);
            let mut shares = [_mm512_setzero_ps(); HELD];
            let mut sums = _mm512_setzero_ps();
            for (chunk, share) in shares.iter_mut().enumerate().take(chunks) {
                let distance = _mm512_cvtepu8_epi32(_mm_sub_epi8(below(chunk), least));
                let table = params.table.as_ptr();
                *share = _mm512_mask_i32gather_ps::<4>(*share, mask(chunk), distance, table);
                sums = _mm512_add_ps(sums, *share);
            }
            let sums = _mm256_add_ps(_mm512_castps512_ps256(sums), upper_half(sums));
            let sums = _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps::<1>(sums));
            let sums = _mm_add_ps(sums, _mm_movehl_ps(sums, sums));
            let sum = _mm_cvtss_f32(_mm_add_ss(sums, _mm_movehdup_ps(sums)));
            let scale = _mm512_set1_ps(params.inverse / sum);
            for (chunk, share) in shares.iter().enumerate().take(chunks) {
                let real = _mm512_min_ps(_mm512_max_ps(_mm512_mul_ps(*share, scale), low), high);
                let bytes = _mm512_cvtepi32_epi8(_mm512_add_epi32(_mm512_cvtps_epi32(real), zero_point));
                _mm_mask_storeu_epi8(lines.out.add(out + chunk * FLOATS), mask(chunk), bytes);
            }
        }
    });
}

/// See [`ByteKernels::pick`].
///
/// # Safety
/// As there.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
unsafe fn pick(step: usize, x: *const i8, out: *mut i8, len: usize) {
    // SAFETY: the caller's promise is the callee's; the loops are some that the compiler vectorises.
    unsafe { plain::pick(step, x, out, len) }
}
