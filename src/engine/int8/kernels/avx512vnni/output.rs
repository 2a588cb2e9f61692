//! From 32-bit sums to bytes or floats, and the constants that kernels share.

use std::arch::x86_64::*;

use super::super::{Dequant, Finish, Requant, Terms};

/// Sums, and floats, in a vector.
pub const LANES: usize = 16;

/// 128 in every byte: `x ^ 128` as an unsigned byte is `x + 128`.
///
/// Hidden from the optimiser, which would otherwise flip four bytes in a scalar register and then broadcast them: two
/// instructions more than `vpxord` with a broadcast operand.
#[target_feature(enable = "avx512f")]
#[inline]
pub fn sign_bits() -> __m512i {
    let mut bits = _mm512_set1_epi8(-128);
    // SAFETY: there is no instruction.
    unsafe { std::arch::asm!("/* {0} */", inout(zmm_reg) bits, options(pure, nomem, nostack, preserves_flags)) };
    bits
}

/// Four bytes, flipped, in every lane.
#[target_feature(enable = "avx512f")]
#[inline]
pub fn flipped(four: i32, sign_bits: __m512i) -> __m512i {
    _mm512_xor_si512(_mm512_set1_epi32(four), sign_bits)
}

/// True if a sum times its scale may leave the range of 32-bit integers, where `vcvtps2dq` does not saturate.
pub fn may_overflow(start: i32, magnitudes: u64, scale: f32) -> bool {
    let most = 255.0 * magnitudes as f64 + f64::from(start).abs();
    most.min(2f64.powi(31)) * f64::from(scale).abs() >= 2f64.powi(31) - 256.0
}

/// `Σ (x + 128)` over `segment` bytes at each of `offsets`.
///
/// # Safety
/// They may be read, and SLACK behind them.
#[target_feature(enable = "avx512f,avx512bw")]
pub unsafe fn row_sum(row: *const i8, offsets: &[usize], segment: usize) -> i32 {
    const BYTES: usize = 64;
    let flip = sign_bits();
    let mut sums = _mm512_setzero_si512();
    for &offset in offsets {
        for k in (0..segment).step_by(BYTES) {
            let mask = u64::MAX >> BYTES.saturating_sub(segment - k);
            // SAFETY: the caller's promise.
            let x = unsafe { _mm512_loadu_si512(row.add(offset + k).cast()) };
            let x = _mm512_maskz_mov_epi8(mask, _mm512_xor_si512(x, flip));
            sums = _mm512_add_epi64(sums, _mm512_sad_epu8(x, _mm512_setzero_si512()));
        }
    }
    _mm512_reduce_add_epi64(sums) as i32
}

/// A [`Finish`] in vectors.
pub enum Results {
    Bytes(Output),
    Floats(Floats),
}

impl Results {
    /// `may_overflow`: what the function of that name says of any of the channels.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub fn new(finish: &Finish, may_overflow: bool) -> Self {
        match finish {
            Finish::Bytes(requant) => Results::Bytes(Output::new(requant, may_overflow)),
            Finish::Floats(dequant) => Results::Floats(Floats::new(dequant)),
        }
    }
}

/// A [`Dequant`] in vectors.
pub struct Floats {
    x_scale: __m512,
    x_zero: __m512i,
    low: __m512,
    high: __m512,
}

impl Floats {
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn new(dequant: &Dequant) -> Self {
        Floats {
            x_scale: _mm512_set1_ps(dequant.x_scale),
            x_zero: _mm512_set1_epi32(dequant.x_zero),
            low: _mm512_set1_ps(dequant.low),
            high: _mm512_set1_ps(dequant.high),
        }
    }

    /// Results of a vector of sums, the values of whose channels begin at `at` in the terms.
    ///
    /// # Safety
    /// The terms are there, of results in floats.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub unsafe fn real(&self, sums: __m512i, scale: __m512, terms: &Terms, at: usize) -> __m512 {
        // SAFETY: the caller's promise.
        let (sum, bias) = unsafe {
            (
                *terms.sums.as_ptr().cast::<__m512i>().add(at / LANES),
                *terms.bias.as_ptr().cast::<__m512>().add(at / LANES),
            )
        };
        let sums = _mm512_add_epi32(sums, _mm512_mullo_epi32(self.x_zero, sum));
        let real = _mm512_mul_ps(_mm512_cvtepi32_ps(sums), _mm512_mul_ps(self.x_scale, scale));
        // In this order of operands, what is no number stays none.
        _mm512_min_ps(self.high, _mm512_max_ps(self.low, _mm512_add_ps(real, bias)))
    }
}

/// Stores the first `count` floats, at least one.
///
/// # Safety
/// They may be written.
#[target_feature(enable = "avx512f")]
#[inline]
pub unsafe fn store_floats(floats: __m512, out: *mut f32, count: usize) {
    let mask = u16::MAX >> LANES.saturating_sub(count);
    // SAFETY: the caller's promise.
    unsafe { _mm512_mask_storeu_ps(out, mask, floats) };
}

/// A [`Requant`] in vectors.
pub struct Output {
    zero_point: __m512i,
    low: __m512i,
    high: __m512i,
    /// Above every byte, below what overflows.
    limit: __m512,
    /// True if `low`, `high` and `limit` make a difference.
    clamp: bool,
}

impl Output {
    /// `may_overflow`: what the function of that name says of any of the channels.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub fn new(requant: &Requant, may_overflow: bool) -> Self {
        Output {
            zero_point: _mm512_set1_epi16(requant.zero_point as i16),
            low: _mm512_set1_epi8(requant.low),
            high: _mm512_set1_epi8(requant.high),
            limit: _mm512_set1_ps(32768.0),
            clamp: may_overflow || requant.low > i8::MIN || requant.high < i8::MAX,
        }
    }

    /// `real`, rounded to even.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn round<const CLAMP: bool>(&self, sums: __m512i, scale: __m512) -> __m512i {
        let real = _mm512_mul_ps(_mm512_cvtepi32_ps(sums), scale);
        _mm512_cvtps_epi32(if CLAMP { _mm512_min_ps(real, self.limit) } else { real })
    }

    /// Four vectors of sums to bytes: each 128-bit lane has 4 bytes of the same lane of each vector.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    fn bytes<const CLAMP: bool>(&self, sums: [__m512i; 4], scales: [__m512; 4]) -> __m512i {
        let [a, b, c, d] = std::array::from_fn(|v| self.round::<CLAMP>(sums[v], scales[v]));
        let ab = _mm512_adds_epi16(_mm512_packs_epi32(a, b), self.zero_point);
        let cd = _mm512_adds_epi16(_mm512_packs_epi32(c, d), self.zero_point);
        let bytes = _mm512_packs_epi16(ab, cd);
        if CLAMP { _mm512_min_epi8(_mm512_max_epi8(bytes, self.low), self.high) } else { bytes }
    }

    /// `R` rows of `V` vectors of sums to memory: to each of `outs` the bytes that have a bit in `mask`.
    ///
    /// # Safety
    /// The bytes may be written.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    pub unsafe fn store<const R: usize, const V: usize>(
        &self,
        sums: &[[__m512i; V]; R],
        scales: &[__m512; V],
        outs: &[*mut i8; R],
        mask: u64,
    ) {
        // SAFETY: the caller's promise is the callee's.
        unsafe {
            if self.clamp {
                self.store_rows::<R, V, true>(sums, scales, outs, mask);
            } else {
                self.store_rows::<R, V, false>(sums, scales, outs, mask);
            }
        }
    }

    /// See [`Output::store`].
    ///
    /// # Safety
    /// As there.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    unsafe fn store_rows<const R: usize, const V: usize, const CLAMP: bool>(
        &self,
        sums: &[[__m512i; V]; R],
        scales: &[__m512; V],
        outs: &[*mut i8; R],
        mask: u64,
    ) {
        // Rows that share a vector of bytes, and what brings the runs of 4 bytes of each vector of sums together again.
        // (The channels of four vectors are laid out so that they come in order.)
        let together = match V {
            1 => 4,
            2 => 2,
            _ => 1,
        };
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        for_rows!(first in R {
            if first.is_multiple_of(together) {
                // Rows and vectors that there are not repeat the last.
                let sums = std::array::from_fn(|i| match V {
                    3 => sums[first][i.min(2)],
                    _ => sums[(first + i / V).min(R - 1)][i % V],
                });
                let scales = std::array::from_fn(|i| if V == 3 { scales[i.min(2)] } else { scales[i % V] });
                let mut bytes = self.bytes::<CLAMP>(sums, scales);
                if V < 4 {
                    bytes = _mm512_permutexvar_epi32(order, bytes);
                }
                // SAFETY: the caller's promise.
                unsafe {
                    match V {
                        1 => {
                            let mask = mask as u16;
                            _mm_mask_storeu_epi8(outs[first], mask, _mm512_castsi512_si128(bytes));
                            if first + 1 < R {
                                _mm_mask_storeu_epi8(outs[first + 1], mask, _mm512_extracti32x4_epi32::<1>(bytes));
                            }
                            if first + 2 < R {
                                _mm_mask_storeu_epi8(outs[first + 2], mask, _mm512_extracti32x4_epi32::<2>(bytes));
                            }
                            if first + 3 < R {
                                _mm_mask_storeu_epi8(outs[first + 3], mask, _mm512_extracti32x4_epi32::<3>(bytes));
                            }
                        }
                        2 => {
                            let mask = mask as u32;
                            _mm256_mask_storeu_epi8(outs[first], mask, _mm512_castsi512_si256(bytes));
                            if first + 1 < R {
                                _mm256_mask_storeu_epi8(outs[first + 1], mask, _mm512_extracti64x4_epi64::<1>(bytes));
                            }
                        }
                        _ => _mm512_mask_storeu_epi8(outs[first], mask, bytes),
                    }
                }
            }
        });
    }

    /// One vector of bytes to `G` pixels, the first `channels` bytes of each 64 ÷ `G`.
    ///
    /// # Safety
    /// The bytes may be written.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    unsafe fn store_pixels<const G: usize>(
        &self,
        sums: [__m512i; 4],
        scales: [__m512; 4],
        outs: [*mut i8; G],
        channels: usize,
    ) {
        let bytes = if self.clamp { self.bytes::<true>(sums, scales) } else { self.bytes::<false>(sums, scales) };
        let mask = u64::MAX >> (64 - channels.min(64 / G));
        // SAFETY: the caller's promise.
        unsafe {
            match G {
                1 => _mm512_mask_storeu_epi8(outs[0], mask, bytes),
                2 => {
                    let mask = mask as u32;
                    _mm256_mask_storeu_epi8(outs[0], mask, _mm512_castsi512_si256(bytes));
                    _mm256_mask_storeu_epi8(outs[G - 1], mask, _mm512_extracti64x4_epi64::<1>(bytes));
                }
                _ => {
                    let mask = mask as u16;
                    _mm_mask_storeu_epi8(outs[0], mask, _mm512_castsi512_si128(bytes));
                    _mm_mask_storeu_epi8(outs[G / 4], mask, _mm512_extracti32x4_epi32::<1>(bytes));
                    _mm_mask_storeu_epi8(outs[G / 2], mask, _mm512_extracti32x4_epi32::<2>(bytes));
                    _mm_mask_storeu_epi8(outs[G - 1], mask, _mm512_extracti32x4_epi32::<3>(bytes));
                }
            }
        }
    }
}

/// Results of neighbouring pixels, made from four vectors of sums and written.
pub trait Pixels {
    /// Sums of `G` pixels, 64 ÷ `G` channels each, to the channels from `first` of each of `outs`; so many are left from
    /// there. To be inlined into functions that have the instructions: what lies in registers there would else go through
    /// memory for every pixel.
    ///
    /// # Safety
    /// The results may be written, and the processor has the instructions.
    unsafe fn pixels<const G: usize>(
        &self,
        sums: [__m512i; 4],
        scales: [__m512; 4],
        outs: [*mut i8; G],
        terms: &Terms,
        first: usize,
        channels: usize,
    );
}

impl Pixels for Output {
    #[inline(always)]
    unsafe fn pixels<const G: usize>(
        &self,
        sums: [__m512i; 4],
        scales: [__m512; 4],
        outs: [*mut i8; G],
        _terms: &Terms,
        first: usize,
        channels: usize,
    ) {
        // SAFETY: the caller's promise is the callee's.
        unsafe { self.store_pixels(sums, scales, outs.map(|out| out.add(first)), channels) };
    }
}

impl Pixels for Floats {
    #[inline(always)]
    unsafe fn pixels<const G: usize>(
        &self,
        sums: [__m512i; 4],
        scales: [__m512; 4],
        outs: [*mut i8; G],
        terms: &Terms,
        first: usize,
        channels: usize,
    ) {
        // SAFETY: the caller's promise is the callees'.
        unsafe {
            let reals = std::array::from_fn(|v| self.real(sums[v], scales[v], terms, first + v * LANES));
            store_reals(in_order(reals), outs, first, channels);
        }
    }
}

/// Vectors of runs of 4 channels of every 16, as vectors of 16 channels in order.
#[target_feature(enable = "avx512f")]
#[inline]
fn in_order([a, b, c, d]: [__m512; 4]) -> [__m512; 4] {
    let (low, high) = (_mm512_shuffle_f32x4::<0b10_00_10_00>(a, b), _mm512_shuffle_f32x4::<0b11_01_11_01>(a, b));
    let (low2, high2) = (_mm512_shuffle_f32x4::<0b10_00_10_00>(c, d), _mm512_shuffle_f32x4::<0b11_01_11_01>(c, d));
    [
        _mm512_shuffle_f32x4::<0b10_00_10_00>(low, low2),
        _mm512_shuffle_f32x4::<0b10_00_10_00>(high, high2),
        _mm512_shuffle_f32x4::<0b11_01_11_01>(low, low2),
        _mm512_shuffle_f32x4::<0b11_01_11_01>(high, high2),
    ]
}

/// Four vectors of floats to `G` pixels: the channels from `first`, of which `channels` are left.
///
/// # Safety
/// They may be written.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn store_reals<const G: usize>(reals: [__m512; 4], outs: [*mut i8; G], first: usize, channels: usize) {
    let runs = 4 / G;
    for (run, real) in reals.into_iter().enumerate() {
        let at = run % runs * LANES;
        if at < channels {
            // SAFETY: the caller's promise.
            unsafe { store_floats(real, outs[run / runs].cast::<f32>().add(first + at), channels - at) };
        }
    }
}
