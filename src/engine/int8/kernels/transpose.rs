//! Transposing bytes, sixteen by sixteen, with the vectors that every x86-64 and every aarch64 has.

use super::bytes::Lines;

#[cfg(target_arch = "aarch64")]
use arm::*;
#[cfg(target_arch = "x86_64")]
use x86::*;

/// Bytes of a vector.
const LANES: usize = 16;

/// Rows of the result that are done for all columns before the next ones: their operands' cache lines are used up meanwhile.
const BAND: usize = 64;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    pub type Bytes = __m128i;

    #[target_feature(enable = "avx2")]
    #[inline]
    pub fn zeros() -> Bytes {
        _mm_setzero_si128()
    }

    /// # Safety
    /// 16 bytes can be read.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub unsafe fn load(from: *const i8) -> Bytes {
        // SAFETY: the caller's promise.
        unsafe { _mm_loadu_si128(from.cast()) }
    }

    /// # Safety
    /// 16 bytes can be written.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub unsafe fn store(to: *mut i8, bytes: Bytes) {
        // SAFETY: the caller's promise.
        unsafe { _mm_storeu_si128(to.cast(), bytes) }
    }

    /// Bytes of both, taken in turns: first the lower halves, then the upper ones.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub fn zip(a: Bytes, b: Bytes) -> [Bytes; 2] {
        [_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b)]
    }

    /// The first three of every four bytes, then four zeros.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub fn three_of_four(a: Bytes) -> Bytes {
        _mm_shuffle_epi8(a, _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1))
    }

    /// Halves changed over.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub fn upper(a: Bytes) -> Bytes {
        _mm_unpackhi_epi64(a, a)
    }

    /// The lowest eight bytes.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub fn low64(a: Bytes) -> u64 {
        _mm_cvtsi128_si64(a) as u64
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use core::arch::aarch64::*;

    pub type Bytes = int8x16_t;

    #[target_feature(enable = "neon")]
    #[inline]
    pub fn zeros() -> Bytes {
        vdupq_n_s8(0)
    }

    /// # Safety
    /// 16 bytes can be read.
    #[target_feature(enable = "neon")]
    #[inline]
    pub unsafe fn load(from: *const i8) -> Bytes {
        // SAFETY: the caller's promise.
        unsafe { vld1q_s8(from) }
    }

    /// # Safety
    /// 16 bytes can be written.
    #[target_feature(enable = "neon")]
    #[inline]
    pub unsafe fn store(to: *mut i8, bytes: Bytes) {
        // SAFETY: the caller's promise.
        unsafe { vst1q_s8(to, bytes) }
    }

    /// Bytes of both, taken in turns: first the lower halves, then the upper ones.
    #[target_feature(enable = "neon")]
    #[inline]
    pub fn zip(a: Bytes, b: Bytes) -> [Bytes; 2] {
        [vzip1q_s8(a, b), vzip2q_s8(a, b)]
    }

    /// The first three of every four bytes, then four zeros.
    #[target_feature(enable = "neon")]
    #[inline]
    pub fn three_of_four(a: Bytes) -> Bytes {
        const INDEX: [u8; 16] = [0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 255, 255, 255, 255];
        // SAFETY: the constant has 16 bytes.
        vqtbl1q_s8(a, unsafe { vld1q_u8(INDEX.as_ptr()) })
    }

    /// Halves changed over.
    #[target_feature(enable = "neon")]
    #[inline]
    pub fn upper(a: Bytes) -> Bytes {
        vextq_s8::<8>(a, a)
    }

    /// The lowest eight bytes.
    #[target_feature(enable = "neon")]
    #[inline]
    pub fn low64(a: Bytes) -> u64 {
        vgetq_lane_u64::<0>(vreinterpretq_u64_s8(a))
    }
}

/// Writes the first `count` (1 to 16) bytes.
///
/// # Safety
/// They can be written.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
#[inline]
unsafe fn store_first(to: *mut i8, bytes: Bytes, count: usize) {
    // SAFETY: each store is one of the powers of two that `count` is the sum of.
    unsafe {
        if count == LANES {
            return store(to, bytes);
        }
        let (mut to, mut left) = (to, low64(bytes));
        if count & 8 != 0 {
            to.cast::<u64>().write_unaligned(left);
            (to, left) = (to.add(8), low64(upper(bytes)));
        }
        if count & 4 != 0 {
            to.cast::<u32>().write_unaligned(left as u32);
            (to, left) = (to.add(4), left >> 32);
        }
        if count & 2 != 0 {
            to.cast::<u16>().write_unaligned(left as u16);
            (to, left) = (to.add(2), left >> 16);
        }
        if count & 1 != 0 {
            *to = left as i8;
        }
    }
}

/// See [`ByteKernels::transpose`](super::bytes::ByteKernels::transpose).
///
/// # Safety
/// As there.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
pub unsafe fn transpose(lines: &Lines) {
    let Lines { x, out, pitches: [x_pitch, out_pitch], rows, len } = *lines;
    // SAFETY: the caller's promise is the callee's.
    unsafe {
        if len <= 4 && out_pitch == len && rows >= LANES {
            return interleave(lines);
        }
        for band in (0..rows).step_by(BAND) {
            let end = rows.min(band + BAND);
            // The last block lies over the one before where rows or columns are no multiple of 16.
            for col in (0..len).step_by(LANES) {
                let col = if len < LANES { 0 } else { col.min(len - LANES) };
                for row in (band..end).step_by(LANES) {
                    let row = if rows < LANES { 0 } else { row.min(rows - LANES) };
                    let (x, out) = (x.add(col * x_pitch + row), out.add(row * out_pitch + col));
                    block(x, x_pitch, out, out_pitch, [rows.min(LANES), len.min(LANES)]);
                }
            }
        }
    }
}

/// At most 16 × 16 bytes.
///
/// # Safety
/// As [`transpose`], for `[rows, columns]` of the result.
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
#[inline]
unsafe fn block(x: *const i8, x_pitch: usize, out: *mut i8, out_pitch: usize, [rows, cols]: [usize; 2]) {
    let mut lines = [zeros(); LANES];
    // SAFETY: rows of the operand may be read beyond their end by less than the slack; the result is written as described.
    unsafe {
        if cols == LANES {
            for (i, line) in lines.iter_mut().enumerate() {
                *line = load(x.add(i * x_pitch));
            }
        } else {
            for (i, line) in lines.iter_mut().enumerate().take(cols) {
                *line = load(x.add(i * x_pitch));
            }
        }
        // Four perfect shuffles bring every byte to its place.
        for _ in 0..4 {
            let mut next = [zeros(); LANES];
            for i in 0..LANES / 2 {
                [next[2 * i], next[2 * i + 1]] = zip(lines[i], lines[i + LANES / 2]);
            }
            lines = next;
        }
        if rows == LANES && cols == LANES {
            for (i, line) in lines.into_iter().enumerate() {
                store(out.add(i * out_pitch), line);
            }
        } else {
            for (i, line) in lines.into_iter().enumerate().take(rows) {
                store_first(out.add(i * out_pitch), line, cols);
            }
        }
    }
}

/// Up to four planes, at least 16 bytes each, to pixels without gaps.
///
/// # Safety
/// As [`transpose`].
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2"))]
#[cfg_attr(target_arch = "aarch64", target_feature(enable = "neon"))]
unsafe fn interleave(lines: &Lines) {
    let Lines { x, out, pitches: [x_pitch, _], rows, len } = *lines;
    for row in (0..rows).step_by(LANES) {
        let row = row.min(rows - LANES);
        // SAFETY: 16 bytes of every plane, and as many pixels.
        unsafe {
            let plane = |i: usize| load(x.add(i * x_pitch + row));
            let to = out.add(row * len);
            let four = |d| {
                let ([a, b], [c, d]) = (zip(plane(0), plane(2)), zip(plane(1), d));
                let ([a, b], [c, d]) = (zip(a, c), zip(b, d));
                [a, b, c, d]
            };
            match len {
                1 => store(to, plane(0)),
                2 => {
                    let [a, b] = zip(plane(0), plane(1));
                    store(to, a);
                    store(to.add(LANES), b);
                }
                3 => {
                    // Each vector but the last writes four bytes too many, where the next one writes.
                    let [a, b, c, d] = four(zeros());
                    for (i, pixels) in [a, b, c].into_iter().enumerate() {
                        store(to.add(12 * i), three_of_four(pixels));
                    }
                    store_first(to.add(36), three_of_four(d), 12);
                }
                _ => {
                    for (i, pixels) in four(plane(3)).into_iter().enumerate() {
                        store(to.add(LANES * i), pixels);
                    }
                }
            }
        }
    }
}
