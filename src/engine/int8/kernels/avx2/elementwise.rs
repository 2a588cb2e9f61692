//! Kernels without weights: sums and products of tensors, table look-ups, maxima.

use std::arch::x86_64::*;

use super::super::bytes::{ByteKernels, Lines, MulParams, Pair, SoftmaxParams, byte_kernels};
use super::super::plain::each_row;
use super::super::transpose::transpose;
use super::super::{AddParams, Requant, plain};
use super::output::store;

/// All of them.
pub const BYTES: ByteKernels = byte_kernels! { "avx2"; add: add, mul: mul, lut: lut, max: max, pick: pick, softmax: softmax, transpose: transpose };

/// Bytes in a vector.
const BYTES_LEN: usize = 32;

/// Calls `vector` with the offsets of every vector of every row, and stores what it gives.
///
/// # Safety
/// The rows can be written; `vector` may be called with every multiple of 32 below the length.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn each_vector(pair: &Pair, vector: impl Fn(*const i8, *const i8) -> __m256i) {
    each_row(pair.rows, pair.pitches, |[a, b, out]| {
        for at in (0..pair.len).step_by(BYTES_LEN) {
            // SAFETY: the caller's promise.
            unsafe {
                let bytes = vector(pair.a.add(a + at), pair.b.add(b + at));
                store(bytes, pair.out.add(out + at), pair.len - at);
            }
        }
    });
}

/// Bytes as words: those of the lower and those of the upper half of each 128 bits.
#[target_feature(enable = "avx2")]
#[inline]
fn words(bytes: __m256i) -> [__m256i; 2] {
    [
        _mm256_srai_epi16::<8>(_mm256_unpacklo_epi8(bytes, bytes)),
        _mm256_srai_epi16::<8>(_mm256_unpackhi_epi8(bytes, bytes)),
    ]
}

/// See [`ByteKernels::add`].
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2")]
unsafe fn add(params: &AddParams, pair: &Pair) {
    // Factors are too wide for 16 bits: their upper and lower parts are multiplied one after the other.
    const LOWER_BITS: i32 = 11;
    const LOWER_MASK: i32 = (1 << LOWER_BITS) - 1;
    let factors = |a: i32, b: i32| _mm256_set1_epi32((a & 0xffff) | (b << 16));
    let upper = factors(params.a_factor >> LOWER_BITS, params.b_factor >> LOWER_BITS);
    let lower = factors(params.a_factor & LOWER_MASK, params.b_factor & LOWER_MASK);
    let offset = _mm256_set1_epi32(params.offset);
    let shift = _mm_cvtsi32_si128(params.shift as i32);
    let (low, high) = (_mm256_set1_epi8(params.low), _mm256_set1_epi8(params.high));
    let sums = |pairs: __m256i| {
        let above = _mm256_slli_epi32::<LOWER_BITS>(_mm256_madd_epi16(pairs, upper));
        let all = _mm256_add_epi32(_mm256_add_epi32(above, offset), _mm256_madd_epi16(pairs, lower));
        _mm256_sra_epi32(all, shift)
    };
    let half = |a, b| _mm256_packs_epi32(sums(_mm256_unpacklo_epi16(a, b)), sums(_mm256_unpackhi_epi16(a, b)));
    // SAFETY: the caller's promise; operands have a vector's bytes behind their end.
    unsafe {
        each_vector(&pair.joined(), |a, b| {
            let [a, b] = [a, b].map(|x| words(_mm256_loadu_si256(x.cast())));
            let bytes = _mm256_packs_epi16(half(a[0], b[0]), half(a[1], b[1]));
            _mm256_min_epi8(_mm256_max_epi8(bytes, low), high)
        });
    }
}

/// See [`ByteKernels::mul`].
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2")]
unsafe fn mul(params: &MulParams, pair: &Pair) {
    let zeros = params.zeros.map(|zero| _mm256_set1_epi16(zero as i16));
    // From here on every product but 0 is beyond all bytes, and none is beyond 32 bits.
    let scale = _mm256_set1_ps(params.scale.min(32768.0));
    let zero_point = _mm256_set1_epi16(params.requant.zero_point as i16);
    let (low, high) = (_mm256_set1_epi8(params.requant.low), _mm256_set1_epi8(params.requant.high));
    let rounded = |product| _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(product), scale));
    let half = |a, b| {
        let (a, b) = (_mm256_sub_epi16(a, zeros[0]), _mm256_sub_epi16(b, zeros[1]));
        let (lower, upper) = (_mm256_mullo_epi16(a, b), _mm256_mulhi_epi16(a, b));
        let first = rounded(_mm256_unpacklo_epi16(lower, upper));
        let second = rounded(_mm256_unpackhi_epi16(lower, upper));
        _mm256_adds_epi16(_mm256_packs_epi32(first, second), zero_point)
    };
    // SAFETY: as in `add`.
    unsafe {
        each_vector(&pair.joined(), |a, b| {
            let [a, b] = [a, b].map(|x| words(_mm256_loadu_si256(x.cast())));
            let bytes = _mm256_packs_epi16(half(a[0], b[0]), half(a[1], b[1]));
            _mm256_min_epi8(_mm256_max_epi8(bytes, low), high)
        });
    }
}

/// Sixteen entries of a table in a vector.
const PARTS: usize = 16;

/// From how many bytes on a table in vectors pays.
const WORTH: usize = 192;

/// See [`ByteKernels::lut`].
///
/// `vpshufb` gives 0 for an index with its highest bit set and looks at the lower four bits else. The index goes down by 16 from part
/// to part, so that a byte sees every part up to its own (one of the upper half: the seven before its own and its own), and parts
/// are stored as differences (exclusive or) to what those before add up to.
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2")]
unsafe fn lut(table: &[i8; 256], lines: &Lines) {
    let lines = &lines.joined();
    if lines.rows * lines.len < WORTH {
        // SAFETY: the caller's promise is the callee's.
        return unsafe { plain::lut(table, lines) };
    }
    let mut parts = [_mm256_setzero_si256(); PARTS];
    for part in 0..PARTS {
        // SAFETY: 16 entries of the table.
        let entries = unsafe { _mm_loadu_si128(table.as_ptr().add(16 * part).cast()) };
        let before = &parts[part.saturating_sub(7)..part];
        parts[part] = before.iter().fold(_mm256_broadcastsi128_si256(entries), |sum, p| _mm256_xor_si256(sum, *p));
    }
    let step = _mm256_set1_epi8(16);
    each_row(lines.rows, lines.pitches, |[x, out]| {
        for at in (0..lines.len).step_by(BYTES_LEN) {
            // SAFETY: the operand has a vector's bytes behind its end.
            let mut index = unsafe { _mm256_loadu_si256(lines.x.add(x + at).cast()) };
            let mut bytes = _mm256_shuffle_epi8(parts[0], index);
            for (part, entries) in parts.iter().enumerate().skip(1) {
                // From the ninth on an index of the lower half has gone down to −128, where it stays.
                index = if part <= 8 { _mm256_sub_epi8(index, step) } else { _mm256_subs_epi8(index, step) };
                bytes = _mm256_xor_si256(bytes, _mm256_shuffle_epi8(*entries, index));
            }
            // SAFETY: the caller's promise.
            unsafe { store(bytes, lines.out.add(out + at), lines.len - at) };
        }
    });
}

/// See [`ByteKernels::max`].
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2")]
unsafe fn max([count, step]: [usize; 2], lines: &Lines) {
    let lines = &lines.joined();
    each_row(lines.rows, lines.pitches, |[x, out]| {
        for at in (0..lines.len).step_by(BYTES_LEN) {
            // SAFETY: the operand has a vector's bytes behind its end; the result is the caller's.
            unsafe {
                let x = lines.x.add(x + at);
                let least = _mm256_set1_epi8(i8::MIN);
                let most = (0..count)
                    .fold(least, |most, row| _mm256_max_epi8(most, _mm256_loadu_si256(x.add(row * step).cast())));
                store(most, lines.out.add(out + at), lines.len - at);
            }
        }
    });
}

/// Elements whose exponentials are summed side by side: two vectors of floats.
const FLOATS: usize = 16;

/// Most times [`FLOATS`] of a row that stay at hand between their sum and their results.
const HELD: usize = 8;

/// See [`ByteKernels::softmax`].
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2")]
unsafe fn softmax(params: &SoftmaxParams, lines: &Lines) {
    if !lines.len.is_multiple_of(FLOATS) || lines.len > HELD * FLOATS {
        // SAFETY: the caller's promise is the callee's.
        return unsafe { plain::softmax(params, lines) };
    }
    let Requant { zero_point, low, high } = params.requant;
    let limit = |byte: i8| _mm256_set1_ps((i32::from(byte) - zero_point) as f32);
    let (low, high, zero_point) = (limit(low), limit(high), _mm256_set1_epi32(zero_point));
    let chunks = lines.len / FLOATS;
    each_row(lines.rows, lines.pitches, |[x, out]| {
        // SAFETY: the caller's promise: rows are whole chunks.
        unsafe {
            // How far below 127, unsigned, so that the least of eight words is one instruction.
            let below = |chunk: usize| {
                let bytes = _mm_loadu_si128(lines.x.add(x + chunk * FLOATS).cast());
                _mm_xor_si128(bytes, _mm_set1_epi8(i8::MAX))
            };
            let least = (0..chunks).fold(_mm_set1_epi8(-1), |least, chunk| _mm_min_epu8(least, below(chunk)));
            let least = _mm_minpos_epu16(_mm_min_epu8(least, _mm_srli_epi16::<8>(least)));
            let least = _mm_broadcastb_epi8(least);
            let mut shares = [[_mm256_setzero_ps(); 2]; HELD];
            let mut sums = [_mm256_setzero_ps(); 2];
            for (chunk, shares) in shares.iter_mut().enumerate().take(chunks) {
                let distance = _mm_sub_epi8(below(chunk), least);
                let halves = [distance, _mm_unpackhi_epi64(distance, distance)];
                for half in 0..2 {
                    let index = _mm256_cvtepu8_epi32(halves[half]);
                    shares[half] = _mm256_i32gather_ps::<4>(params.table.as_ptr(), index);
                    sums[half] = _mm256_add_ps(sums[half], shares[half]);
                }
            }
            let sums = _mm256_add_ps(sums[0], sums[1]);
            let sums = _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps::<1>(sums));
            let sums = _mm_add_ps(sums, _mm_movehl_ps(sums, sums));
            let sum = _mm_cvtss_f32(_mm_add_ss(sums, _mm_movehdup_ps(sums)));
            let scale = _mm256_set1_ps(params.inverse / sum);
            for (chunk, shares) in shares.iter().enumerate().take(chunks) {
                let [a, b] = shares.map(|share| {
                    let real = _mm256_min_ps(_mm256_max_ps(_mm256_mul_ps(share, scale), low), high);
                    _mm256_add_epi32(_mm256_cvtps_epi32(real), zero_point)
                });
                // Halves of 128 bits: a0 b0 a1 b1 as words, then a0 a1 b0 b1.
                let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(a, b));
                let bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
                _mm_storeu_si128(lines.out.add(out + chunk * FLOATS).cast(), bytes);
            }
        }
    });
}

/// See [`ByteKernels::pick`].
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2")]
unsafe fn pick(step: usize, x: *const i8, out: *mut i8, len: usize) {
    // SAFETY: the caller's promise is the callee's; the loops are some that the compiler vectorises.
    unsafe { plain::pick(step, x, out, len) }
}
