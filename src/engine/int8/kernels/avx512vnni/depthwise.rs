//! Depthwise convolutions with `vpdpbusd`.
//!
//! The four products that `vpdpbusd` sums belong to four taps below each other. A column of four input rows is loaded
//! as four vectors and interleaved, byte by byte, into four vectors that hold four taps of each channel. With a stride
//! of 1, those four rows serve two output rows: the second one's weights are moved down by one tap.
//!
//! A vector of bytes holds 64 channels of one pixel, 32 of two or 16 of four, so that narrow layers and last blocks do
//! not waste it.

use std::arch::x86_64::*;

use super::super::passes::bytes_of;
use super::super::{AlignedBytes, DepthwiseCall, DepthwiseWeights, PackedDepthwise, Terms};
use super::output::{LANES, Pixels, Results, may_overflow, sign_bits};

/// Channels in a block.
const BLOCK: usize = 64;

/// Bytes in a vector.
const BYTES: usize = 64;

/// Vectors of sums for a vector of bytes.
const VECTORS: usize = 4;

/// Taps in a lane.
const TAPS: usize = 4;

/// Starting sums and scales before a block's weights.
const HEAD: usize = 2 * VECTORS;

/// Pixels in a vector of bytes, where `channels` are left.
fn pixels(channels: usize) -> usize {
    match channels {
        0..=16 => 4,
        17..=32 => 2,
        _ => 1,
    }
}

/// Quadruples of rows that two rows of outputs need.
fn quads(kh: usize) -> usize {
    (kh + 1).div_ceil(TAPS)
}

/// The channel of a value, vector by vector and lane by lane: interleaving bytes leaves runs of 4 channels of every 16 in a
/// vector, and narrow blocks have the same channels in several places.
fn channel_of(channels: usize, value: usize) -> Option<usize> {
    let first = value / BLOCK * BLOCK;
    let runs = 4 / pixels(channels - first);
    let (vector, lane) = (value % BLOCK / LANES, value % LANES);
    let channel = first + lane / 4 % runs * 16 + vector * 4 + lane % 4;
    (channel < channels).then_some(channel)
}

/// Packs depthwise weights: for a block its starting sums, its scales, and, for both of two output rows and every
/// column of every quadruple of rows, its weights: once, or, where weights take several bytes, once for each of these.
pub fn pack(weights: &DepthwiseWeights) -> PackedDepthwise {
    let DepthwiseWeights { channels, kh, kw, .. } = *weights;
    let columns = quads(kh) * kw;
    let column = |ky: usize, kx: usize, below: usize| (ky + below) / TAPS * kw + kx;
    let passes = weights.passes(BLOCK, columns, |tap| [0, 1].map(|below| column(tap / kw, tap % kw, below)));
    let most = passes.most();
    let block_bytes = (HEAD + 2 * columns * most * VECTORS) * BYTES;
    let mut data = AlignedBytes::zeroed(channels.div_ceil(BLOCK) * block_bytes);
    let mut variant = 0;
    for block in 0..channels.div_ceil(BLOCK) {
        for value in 0..BLOCK {
            let Some(channel) = channel_of(channels, block * BLOCK + value) else { continue };
            let (vector, lane) = (value / LANES, value % LANES);
            let at = |row: usize| block * block_bytes + (row * VECTORS + vector) * BYTES + lane * 4;
            let start = weights.start(channel, weights.x_zero + 128);
            data.put_i32(at(0), [start]);
            data.put_f32(at(1), [weights.scale[channel]]);
            for below in 0..2 {
                for (ky, kx) in (0..kh).flat_map(|ky| (0..kw).map(move |kx| (ky, kx))) {
                    let byte = (ky + below) % TAPS;
                    let row = 2 + below * columns + column(ky, kx, below);
                    for (pass, part) in bytes_of(weights.weight(channel, ky * kw + kx))[..most].iter().enumerate() {
                        data.put_i8(at(row + pass * 2 * columns) + byte, [*part]);
                    }
                }
            }
            let sum = (0..kh * kw).map(|tap| u64::from(weights.weight(channel, tap).unsigned_abs())).sum();
            variant |= u8::from(may_overflow(start, sum, weights.scale[channel]));
        }
    }
    let terms = Terms::of_depthwise(weights, channels.next_multiple_of(BLOCK), |value| channel_of(channels, value));
    PackedDepthwise { channels, kh, kw, block: BLOCK, block_bytes, data, terms, passes, variant }
}

/// See [`Kernels::depthwise`](super::super::Kernels::depthwise).
///
/// # Safety
/// As there.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub unsafe fn depthwise(call: &DepthwiseCall) {
    let results = Results::new(&call.finish, call.packed.variant != 0);
    // SAFETY: the caller's promise is the callee's.
    unsafe {
        match &results {
            Results::Bytes(output) => lines(call, output),
            Results::Floats(floats) => lines(call, floats),
        }
    }
}

/// All lines of a call.
///
/// # Safety
/// As [`depthwise`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn lines<W: Pixels>(call: &DepthwiseCall, results: &W) {
    let packed = call.packed;
    let together = if call.step_row == call.tap_row { 2 } else { 1 };
    for row in (0..call.rows).step_by(together) {
        for block in 0..packed.channels.div_ceil(BLOCK) {
            let two = together == 2 && row + 1 < call.rows;
            // SAFETY: the row and the block are in the call; the caller's promise is the callee's.
            unsafe {
                let line = Line::new(call, row, block, results);
                if packed.passes.are_many(block) { line.run::<true>(two) } else { line.run::<false>(two) }
            }
        }
    }
}

/// A block of channels of one row of outputs, or of two.
struct Line<'a, W> {
    call: &'a DepthwiseCall<'a>,
    results: &'a W,
    block: usize,
    /// The block's weights.
    data: *const __m512i,
    /// First tap of the first pixel.
    input: *const i8,
    /// The first pixel's output, channel 0.
    out: *mut i8,
    /// Channels that there are.
    channels: usize,
}

impl<'a, W: Pixels> Line<'a, W> {
    /// # Safety
    /// The row and the block are in the call.
    unsafe fn new(call: &'a DepthwiseCall, row: usize, block: usize, results: &'a W) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            Line {
                call,
                results,
                block,
                data: call.packed.data.as_ptr().add(block * call.packed.block_bytes).cast(),
                input: call.input.add(row * call.step_row + block * BLOCK),
                out: call.out.add(row * call.out_row),
                channels: call.packed.channels - block * BLOCK,
            }
        }
    }

    /// The line by the way that suits kernel and stride: two rows of outputs, or one. `MANY` if weights take several passes.
    ///
    /// # Safety
    /// As [`depthwise`]; there are two rows.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn run<const MANY: bool>(&self, two: bool) {
        let DepthwiseCall { packed, step_col, tap_col, cols, .. } = *self.call;
        let pixels = pixels(self.channels);
        let three = packed.kw == 3 && packed.kh == 3 && cols >= pixels;
        let near = three && step_col == tap_col;
        let apart = three && step_col == 2 * tap_col;
        // SAFETY: the caller's promise.
        unsafe {
            match (pixels, two) {
                (1, true) if near => self.sliding::<2, 1, MANY>(),
                (1, false) if near => self.sliding::<1, 1, MANY>(),
                (1, false) if apart => self.sliding::<1, 2, MANY>(),
                (2, true) if near => self.shifting::<2, 2, 1, MANY>(),
                (2, false) if near => self.shifting::<1, 2, 1, MANY>(),
                (2, false) if apart => self.shifting::<1, 2, 2, MANY>(),
                (4, true) if near => self.shifting::<2, 4, 1, MANY>(),
                (4, false) if near => self.shifting::<1, 4, 1, MANY>(),
                (4, false) if apart => self.shifting::<1, 4, 2, MANY>(),
                (1, true) => self.any::<2, 1, MANY>(),
                (1, false) => self.any::<1, 1, MANY>(),
                (2, true) => self.any::<2, 2, MANY>(),
                (2, false) => self.any::<1, 2, MANY>(),
                (_, true) => self.any::<2, 4, MANY>(),
                (_, false) => self.any::<1, 4, MANY>(),
            }
        }
    }

    /// Four vectors of the block's data: row 0 starting sums, row 1 scales, then weights.
    ///
    /// # Safety
    /// The block has the row.
    #[target_feature(enable = "avx512f")]
    #[inline]
    unsafe fn vectors(&self, row: usize) -> [__m512i; VECTORS] {
        // SAFETY: the caller's promise.
        std::array::from_fn(|v| unsafe { *self.data.add(row * VECTORS + v) })
    }

    /// Passes of the three columns of a kernel.
    fn passes(&self) -> [usize; 3] {
        [0, 1, 2].map(|kx| self.call.packed.passes.count(self.block, kx))
    }

    /// Four rows of the taps at `at`, interleaved; `rows` are there.
    ///
    /// # Safety
    /// The rows are there, at each of `at`.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    #[inline]
    unsafe fn taps<const G: usize>(&self, at: [*const i8; G], rows: usize) -> [__m512i; VECTORS] {
        let flip = sign_bits();
        let [a, b, c, d] = std::array::from_fn(|row| {
            // Weights of rows that there are not are zero.
            let below = row.min(rows - 1) * self.call.tap_row;
            // SAFETY: the caller's promise, and SLACK.
            _mm512_xor_si512(unsafe { load(at.map(|at| at.add(below))) }, flip)
        });
        let (ab, cd) = (_mm512_unpacklo_epi8(a, b), _mm512_unpacklo_epi8(c, d));
        let (low, mid_low) = (_mm512_unpacklo_epi16(ab, cd), _mm512_unpackhi_epi16(ab, cd));
        let (ab, cd) = (_mm512_unpackhi_epi8(a, b), _mm512_unpackhi_epi8(c, d));
        let (mid_high, high) = (_mm512_unpacklo_epi16(ab, cd), _mm512_unpackhi_epi16(ab, cd));
        [low, mid_low, mid_high, high]
    }

    /// Adds what the taps of a column contribute to `R` rows of outputs, in so many passes.
    ///
    /// # Safety
    /// `kx` and `quad` are in the kernel.
    #[target_feature(enable = "avx512f,avx512vnni")]
    #[inline]
    unsafe fn accumulate<const R: usize, const MANY: bool>(
        &self,
        sums: &mut [[__m512i; VECTORS]; R],
        taps: [__m512i; VECTORS],
        (quad, kx): (usize, usize),
        passes: usize,
    ) {
        let packed = self.call.packed;
        let (column, columns) = (quad * packed.kw + kx, quads(packed.kh) * packed.kw);
        // Sums stay in registers where neither loop over them depends on what is known at run time alone.
        let mut add = |pass: usize| {
            for (below, sums) in sums.iter_mut().enumerate() {
                // SAFETY: the caller's promise.
                let weights = unsafe { self.vectors(2 + (2 * pass + below) * columns + column) };
                for v in 0..VECTORS {
                    sums[v] = _mm512_dpbusd_epi32(sums[v], taps[v], weights[v]);
                }
            }
        };
        add(0);
        if MANY && passes > 1 {
            add(1);
            if passes > 2 {
                add(2);
            }
        }
    }

    /// Stores `G` pixels of `R` rows. To be inlined, as [`Pixels::pixels`].
    ///
    /// # Safety
    /// They are in the line; the processor has the instructions.
    #[inline(always)]
    unsafe fn store<const R: usize, const G: usize>(&self, sums: [[__m512i; VECTORS]; R], cols: [usize; G]) {
        let terms = &self.call.packed.terms;
        // SAFETY: the caller's promise; the block has scales.
        unsafe {
            let scales = self.vectors(1).map(|v| _mm512_castsi512_ps(v));
            for (row, sums) in sums.into_iter().enumerate() {
                let outs = cols.map(|col| self.out.add(row * self.call.out_row + col * self.call.out_col));
                self.results.pixels(sums, scales, outs, terms, self.block * BLOCK, self.channels);
            }
        }
    }

    /// Any kernel: `R` rows of outputs, `G` pixels at once.
    ///
    /// # Safety
    /// As [`depthwise`]; there are `R` rows.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn any<const R: usize, const G: usize, const MANY: bool>(&self) {
        let call = self.call;
        let rows = call.packed.kh + R - 1;
        for first in (0..call.cols).step_by(G) {
            // Pixels behind the last one repeat it.
            let cols: [_; G] = std::array::from_fn(|g| (first + g).min(call.cols - 1));
            // SAFETY: taps and pixels are in the call.
            unsafe {
                let mut sums = [self.vectors(0); R];
                for quad in 0..rows.div_ceil(TAPS) {
                    for kx in 0..call.packed.kw {
                        let tap = quad * TAPS * call.tap_row + kx * call.tap_col;
                        let passes = call.packed.passes.count(self.block, quad * call.packed.kw + kx);
                        let at = cols.map(|col| self.input.add(col * call.step_col + tap));
                        self.accumulate::<R, MANY>(&mut sums, self.taps(at, rows - quad * TAPS), (quad, kx), passes);
                    }
                }
                self.store(sums, cols);
            }
        }
    }

    /// Kernels of 3 × 3 taps, `STEP` taps from pixel to pixel, one pixel at once: columns that the next pixel needs too
    /// stay interleaved.
    ///
    /// # Safety
    /// As [`depthwise`]; there are `R` rows.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn sliding<const R: usize, const STEP: usize, const MANY: bool>(&self) {
        let call = self.call;
        let rows = 2 + R;
        // SAFETY: taps and pixels are in the call.
        unsafe {
            let start = self.vectors(0);
            let passes = self.passes();
            let mut left = self.taps([self.input], rows);
            let mut middle = left;
            if STEP == 1 {
                middle = self.taps([self.input.add(call.tap_col)], rows);
            }
            for col in 0..call.cols {
                let at = self.input.add(col * call.step_col);
                if STEP == 2 {
                    middle = self.taps([at.add(call.tap_col)], rows);
                }
                let right = self.taps([at.add(2 * call.tap_col)], rows);
                let mut sums = [start; R];
                self.accumulate::<R, MANY>(&mut sums, left, (0, 0), passes[0]);
                self.accumulate::<R, MANY>(&mut sums, middle, (0, 1), passes[1]);
                self.accumulate::<R, MANY>(&mut sums, right, (0, 2), passes[2]);
                self.store(sums, [col]);
                left = if STEP == 1 { middle } else { right };
                middle = right;
            }
        }
    }

    /// As [`Line::sliding`], `G` pixels at once: shifting two groups of pixels gives the taps between them.
    ///
    /// # Safety
    /// As [`depthwise`]; there are `R` rows and `G` columns.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
    unsafe fn shifting<const R: usize, const G: usize, const STEP: usize, const MANY: bool>(&self) {
        let call = self.call;
        let rows = 2 + R;
        // SAFETY: taps and pixels are in the call; pixels behind the last one's taps repeat the last.
        unsafe {
            let group = |first: usize| {
                let cols: [_; G] = std::array::from_fn(|g| (first + g).min(call.cols - 1 + 2 / STEP));
                self.taps(cols.map(|col| self.input.add(col * call.step_col)), rows)
            };
            let start = self.vectors(0);
            let passes = self.passes();
            let mut here = group(0);
            for first in (0..call.cols).step_by(G) {
                let last = call.cols - G;
                let first = if first > last {
                    here = group(last);
                    last
                } else {
                    first
                };
                let cols: [_; G] = std::array::from_fn(|g| first + g);
                let next = group(first + G);
                let shifted = shift::<G>(here, next);
                let mut sums = [start; R];
                self.accumulate::<R, MANY>(&mut sums, here, (0, 0), passes[0]);
                if STEP == 1 {
                    self.accumulate::<R, MANY>(&mut sums, shifted, (0, 1), passes[1]);
                    self.accumulate::<R, MANY>(
                        &mut sums,
                        if G == 2 { next } else { shift::<2>(here, next) },
                        (0, 2),
                        passes[2],
                    );
                } else {
                    let at = cols.map(|col| self.input.add(col * call.step_col + call.tap_col));
                    self.accumulate::<R, MANY>(&mut sums, self.taps(at, rows), (0, 1), passes[1]);
                    self.accumulate::<R, MANY>(&mut sums, shifted, (0, 2), passes[2]);
                }
                self.store(sums, cols);
                here = next;
            }
        }
    }
}

/// Each vector without the first of its `G` pixels, and with the first pixel of the next vector behind. (Two of four
/// pixels are one of two.)
#[target_feature(enable = "avx512f")]
#[inline]
fn shift<const G: usize>(here: [__m512i; VECTORS], next: [__m512i; VECTORS]) -> [__m512i; VECTORS] {
    std::array::from_fn(|v| match G {
        2 => _mm512_alignr_epi64::<4>(next[v], here[v]),
        _ => _mm512_alignr_epi64::<2>(next[v], here[v]),
    })
}

/// 64 ÷ `G` bytes of each of `G` pixels.
///
/// # Safety
/// They may be read.
#[target_feature(enable = "avx512f,avx512vl")]
#[inline]
unsafe fn load<const G: usize>(at: [*const i8; G]) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe {
        match G {
            1 => _mm512_loadu_si512(at[0].cast()),
            2 => {
                let low = _mm512_castsi256_si512(_mm256_loadu_si256(at[0].cast()));
                _mm512_inserti64x4::<1>(low, _mm256_loadu_si256(at[G - 1].cast()))
            }
            _ => {
                let mut all = _mm512_castsi128_si512(_mm_loadu_si128(at[0].cast()));
                for (g, mask) in [(1, 0x00f0), (2, 0x0f00), (3, 0xf000)] {
                    all = _mm512_mask_broadcast_i32x4(all, mask, _mm_loadu_si128(at[g].cast()));
                }
                all
            }
        }
    }
}
