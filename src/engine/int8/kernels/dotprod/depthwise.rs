//! Depthwise convolutions: `sdot` wants the four bytes of a product sum side by side, so table look-ups weave the same channels
//! of up to four input pixels into `[channel][tap]`. In 3×3 kernels these are the pixels of a column, which then serves
//! every output column that it is a tap of; other kernels take four taps at a time.
//!
//! A block of sixteen channels (the last one of eight, if that is enough): starting sums, then groups of four taps,
//! `[channel][4]` each and the last one filled up with zeros, then scales. Taps run down the columns; a column of three is
//! filled up to four. Where weights take several bytes, a group is there once for each of these.

use std::arch::aarch64::*;

use super::super::neon::results::{Floats, LANES};
use super::super::passes::bytes_of;
use super::super::reference::Reference;
use super::super::{AlignedBytes, DepthwiseCall, DepthwiseWeights, Finish, Kernels, PackedDepthwise, Terms};
use super::instructions::{load, load_pair, sdot};
use super::requant::{ANY, FLOATS, Output, QUICK, TAME, Way, store, store_half};

/// Channels of a block.
const BLOCK: usize = 16;

/// Output pixels of a band: a 64-byte line for each input pixel of theirs, up to four, about fills the first-level cache.
const BAND: usize = 256;

/// Most taps of a kernel, filled up, that these kernels take; larger ones are [`Reference`]'s.
const MOST_TAPS: usize = 128;

/// Variant of weights that [`Reference`] packed.
const PLAIN: u8 = 2;

/// Taps of a group: what `sdot` takes in.
const GROUP: usize = 4;

/// Channels that are computed of the block that starts at `first`.
fn width(channels: usize, first: usize) -> usize {
    if channels - first > BLOCK / 2 { BLOCK } else { BLOCK / 2 }
}

/// Taps of a column, filled up.
fn column(kh: usize) -> usize {
    if kh == 3 { GROUP } else { kh }
}

/// See [`super::Kernels::pack_depthwise`].
pub fn pack(weights: &DepthwiseWeights) -> PackedDepthwise {
    let DepthwiseWeights { channels, kh, kw, .. } = *weights;
    if column(kh) * kw > MOST_TAPS {
        return PackedDepthwise { variant: PLAIN, ..Reference.pack_depthwise(weights) };
    }
    let groups = (column(kh) * kw).div_ceil(GROUP);
    let place = |kx: usize, ky: usize| kx * column(kh) + ky;
    let passes = weights.passes(BLOCK, groups, |tap| [place(tap % kw, tap / kw) / GROUP; 2]);
    let most = passes.most();
    let block_bytes = BLOCK * (8 + groups * most * GROUP);
    let mut data = AlignedBytes::zeroed(channels.div_ceil(BLOCK) * block_bytes);
    for first in (0..channels).step_by(BLOCK) {
        let width = width(channels, first);
        let covered = first..channels.min(first + width);
        let block = first / BLOCK * block_bytes;
        data.put_i32(block, covered.clone().map(|c| weights.start(c, weights.x_zero)));
        for (kx, ky) in (0..kw).flat_map(|kx| (0..kh).map(move |ky| (kx, ky))) {
            let tap = place(kx, ky);
            let group = block + 4 * width + tap / GROUP * most * width * GROUP + tap % GROUP;
            for (lane, channel) in covered.clone().enumerate() {
                let bytes = bytes_of(weights.weight(channel, ky * kw + kx));
                for (pass, byte) in bytes[..most].iter().enumerate() {
                    data.put_i8(group + (pass * width + lane) * GROUP, [*byte]);
                }
            }
        }
        data.put_f32(block + 4 * width * (1 + groups * most), weights.scale[covered].iter().copied());
    }
    let terms = Terms::of_depthwise(weights, channels.next_multiple_of(BLOCK), |c| (c < channels).then_some(c));
    let variant = u8::from(weights.are_tame());
    PackedDepthwise { channels, kh, kw, block: BLOCK, block_bytes, data, terms, passes, variant }
}

/// See [`super::Kernels::depthwise`].
///
/// # Safety
/// As [`super::Kernels::depthwise`].
#[target_feature(enable = "neon,dotprod")]
pub unsafe fn depthwise(call: &DepthwiseCall) {
    // SAFETY: the caller's promise is the callee's.
    unsafe {
        if call.packed.variant == PLAIN {
            return Reference.depthwise(call);
        }
        match Way::new(&call.finish, call.packed.variant != 0) {
            Way::Floats => rectangle::<FLOATS>(call),
            Way::Quick => rectangle::<QUICK>(call),
            Way::Tame => rectangle::<TAME>(call),
            Way::Any => rectangle::<ANY>(call),
        }
    }
}

/// Block by block, so that a block's weights stay in registers; but only some rows at a time, because each block touches every
/// cache line of the input that its neighbours need too.
///
/// # Safety
/// As [`depthwise`].
#[target_feature(enable = "neon,dotprod")]
unsafe fn rectangle<const WAY: usize>(call: &DepthwiseCall) {
    let packed = call.packed;
    if call.cols == 0 {
        return;
    }
    let band = (BAND / call.cols).max(1);
    for row in (0..call.rows).step_by(band) {
        let rows = band.min(call.rows - row);
        for first in (0..packed.channels).step_by(BLOCK) {
            // SAFETY: every row and block lies in what the caller describes.
            unsafe {
                let run = Run {
                    call,
                    input: call.input.add(row * call.step_row + first),
                    out: call.out.add(row * call.out_row),
                    first,
                    block: packed.data.as_ptr().add(first / BLOCK * packed.block_bytes),
                    rows,
                    len: packed.channels - first,
                };
                match (packed.passes.are_many(first / BLOCK), WAY) {
                    (false, _) => run.whole_or_part::<WAY, false>(),
                    (true, FLOATS) => run.whole_or_part::<FLOATS, true>(),
                    (true, _) => run.whole_or_part::<ANY, true>(),
                }
            }
        }
    }
}

/// Rows of outputs, one block of channels.
struct Run<'a> {
    call: &'a DepthwiseCall<'a>,
    input: *const i8,
    /// Output of channel 0.
    out: *mut i8,
    /// The block's first channel.
    first: usize,
    block: *const u8,
    rows: usize,
    /// Channels from the block's first one to the last one of all.
    len: usize,
}

impl Run<'_> {
    /// The rows by what there is of the block; `MANY` if its weights take several passes.
    ///
    /// # Safety
    /// As [`depthwise`].
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn whole_or_part<const WAY: usize, const MANY: bool>(&self) {
        // SAFETY: the caller's promise.
        unsafe {
            match (width(self.call.packed.channels, self.first), self.len) {
                (BLOCK, BLOCK..) => self.some_rows::<4, WAY, true, MANY>(),
                (BLOCK, _) if WAY == FLOATS => self.some_rows::<4, FLOATS, false, MANY>(),
                (BLOCK, _) => self.some_rows::<4, ANY, false, MANY>(),
                (_, 8) => self.some_rows::<2, WAY, true, MANY>(),
                _ if WAY == FLOATS => self.some_rows::<2, FLOATS, false, MANY>(),
                _ => self.some_rows::<2, ANY, false, MANY>(),
            }
        }
    }

    /// The rows by the way that suits kernel and stride; `WHOLE` if none of the block's channels is past the last one,
    /// `MANY` if weights take several passes.
    ///
    /// # Safety
    /// As [`depthwise`]; so for the other methods.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn some_rows<const V: usize, const WAY: usize, const WHOLE: bool, const MANY: bool>(&self) {
        let three = self.call.packed.kh == 3 && self.call.packed.kw == 3;
        // SAFETY: the caller's promise.
        unsafe {
            if three && self.call.step_col == self.call.tap_col {
                self.adjacent::<V, WAY, WHOLE, MANY>()
            } else if three && self.call.step_col == 2 * self.call.tap_col {
                self.alternate::<V, WAY, WHOLE, MANY>()
            } else {
                self.any::<V, WAY, WHOLE, MANY>()
            }
        }
    }

    /// 3×3 where neighbours are one tap apart: a column of inputs is woven once for three outputs.
    ///
    /// # Safety
    /// As [`Run::some_rows`].
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn adjacent<const V: usize, const WAY: usize, const WHOLE: bool, const MANY: bool>(&self) {
        let weave = weave::<V>();
        // SAFETY: the block's layout; the input covers every tap of every output, the output every pixel.
        unsafe {
            let w: [[int8x16_t; V]; 3] = std::array::from_fn(|kx| load(self.weights::<V>(kx)));
            let dot = |acc: int32x4_t, x: int8x16_t, kx: usize, v: usize| {
                if MANY { self.passes::<V>(acc, x, kx, v) } else { sdot(acc, x, w[kx][v]) }
            };
            let output = Output::new(&self.call.finish);
            for row in 0..self.rows {
                let mut x = self.input.add(row * self.call.step_row);
                let mut out = self.out.add(row * self.call.out_row);
                let mut next = || {
                    let rows = self.column(x);
                    x = x.add(self.call.tap_col);
                    rows
                };
                let rows = next();
                let mut a = self.starts::<V>();
                for v in 0..V {
                    a[v] = dot(a[v], vqtbl3q_s8(rows, weave[v]), 0, v);
                }
                let rows = next();
                let mut b = self.starts::<V>();
                for v in 0..V {
                    let x = vqtbl3q_s8(rows, weave[v]);
                    a[v] = dot(a[v], x, 1, v);
                    b[v] = dot(b[v], x, 0, v);
                }
                let mut c = [vdupq_n_s32(0); V];
                let mut left = self.call.cols;
                let mut step = |a: &mut [int32x4_t; V], b: &mut [int32x4_t; V], c: &mut [int32x4_t; V]| {
                    let rows = next();
                    for v in 0..V {
                        if v % 2 == 0 {
                            let pair = load_pair(self.block.add(16 * v));
                            c[v] = vreinterpretq_s32_s8(pair.0);
                            c[v + 1] = vreinterpretq_s32_s8(pair.1);
                        }
                        let x = vqtbl3q_s8(rows, weave[v]);
                        a[v] = dot(a[v], x, 2, v);
                        b[v] = dot(b[v], x, 1, v);
                        c[v] = dot(c[v], x, 0, v);
                    }
                    self.finish::<V, WAY, WHOLE>(&output, *a, 3, out);
                    out = out.add(self.call.out_col);
                    left -= 1;
                    left > 0
                };
                while step(&mut a, &mut b, &mut c) && step(&mut b, &mut c, &mut a) && step(&mut c, &mut a, &mut b) {}
            }
        }
    }

    /// 3×3 where neighbours are two taps apart and share a column.
    ///
    /// # Safety
    /// As [`Run::some_rows`].
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn alternate<const V: usize, const WAY: usize, const WHOLE: bool, const MANY: bool>(&self) {
        let weave = weave::<V>();
        // SAFETY: as in `adjacent`.
        unsafe {
            let w: [[int8x16_t; V]; 3] = std::array::from_fn(|kx| load(self.weights::<V>(kx)));
            let dot = |acc: int32x4_t, x: int8x16_t, kx: usize, v: usize| {
                if MANY { self.passes::<V>(acc, x, kx, v) } else { sdot(acc, x, w[kx][v]) }
            };
            let output = Output::new(&self.call.finish);
            for row in 0..self.rows {
                let mut x = self.input.add(row * self.call.step_row);
                let mut out = self.out.add(row * self.call.out_row);
                let rows = self.column(x);
                let mut shared = weave.map(|weave| vqtbl3q_s8(rows, weave));
                for _ in 0..self.call.cols {
                    let mut acc = self.starts::<V>();
                    x = x.add(self.call.tap_col);
                    let rows = self.column(x);
                    for v in 0..V {
                        acc[v] = dot(acc[v], shared[v], 0, v);
                        acc[v] = dot(acc[v], vqtbl3q_s8(rows, weave[v]), 1, v);
                    }
                    x = x.add(self.call.tap_col);
                    let rows = self.column(x);
                    for v in 0..V {
                        shared[v] = vqtbl3q_s8(rows, weave[v]);
                        acc[v] = dot(acc[v], shared[v], 2, v);
                    }
                    self.finish::<V, WAY, WHOLE>(&output, acc, 3, out);
                    out = out.add(self.call.out_col);
                }
            }
        }
    }

    /// Any kernel and stride: four taps at a time, for four outputs where a row has them.
    ///
    /// # Safety
    /// As [`Run::some_rows`].
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn any<const V: usize, const WAY: usize, const WHOLE: bool, const MANY: bool>(&self) {
        let DepthwiseCall { packed, tap_row, tap_col, cols, .. } = *self.call;
        let column = column(packed.kh);
        let groups = (column * packed.kw).div_ceil(GROUP);
        // Taps that only fill a group up are read where there is a real one.
        let mut taps = [[0; GROUP]; MOST_TAPS / GROUP];
        let (mut kx, mut ky) = (0, 0);
        for tap in taps[..groups].as_flattened_mut() {
            *tap = ky.min(packed.kh - 1) * tap_row + kx * tap_col;
            ky += 1;
            if ky == column && kx + 1 < packed.kw {
                (kx, ky) = (kx + 1, 0);
            }
        }
        for row in 0..self.rows {
            // SAFETY: the columns lie in the row.
            unsafe {
                if cols >= 4 {
                    for col in (0..cols).step_by(4) {
                        // The last four may begin among those before.
                        self.pixels::<V, 4, WAY, WHOLE, MANY>(&taps[..groups], row, col.min(cols - 4));
                    }
                } else {
                    for col in 0..cols {
                        self.pixels::<V, 1, WAY, WHOLE, MANY>(&taps[..groups], row, col);
                    }
                }
            }
        }
    }

    /// `P` outputs of any kernel and stride.
    ///
    /// # Safety
    /// As [`Run::some_rows`]; there are `P` columns from `col` in `row`, and `taps` is where a pixel's taps lie.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn pixels<const V: usize, const P: usize, const WAY: usize, const WHOLE: bool, const MANY: bool>(
        &self,
        taps: &[[usize; GROUP]],
        row: usize,
        col: usize,
    ) {
        let DepthwiseCall { step_row, step_col, out_row, out_col, .. } = *self.call;
        let weave = weave::<V>();
        // SAFETY: as in `adjacent`.
        unsafe {
            let input = self.input.add(row * step_row + col * step_col);
            let mut acc: [[int32x4_t; V]; P] = std::array::from_fn(|_| self.starts());
            for (group, taps) in taps.iter().enumerate() {
                let w: [int8x16_t; V] = load(self.weights::<V>(group));
                for (p, acc) in acc.iter_mut().enumerate() {
                    let x = taps.map(|tap| vld1q_s8(input.add(p * step_col + tap)));
                    let x = int8x16x4_t(x[0], x[1], x[2], x[3]);
                    for v in 0..V {
                        let x = vqtbl4q_s8(x, weave[v]);
                        acc[v] = if MANY { self.passes::<V>(acc[v], x, group, v) } else { sdot(acc[v], x, w[v]) };
                    }
                }
            }
            let output = Output::new(&self.call.finish);
            for (p, acc) in acc.into_iter().enumerate() {
                let out = self.out.add(row * out_row + (col + p) * out_col);
                self.finish::<V, WAY, WHOLE>(&output, acc, taps.len(), out);
            }
        }
    }

    /// The weights of a group, of the first pass.
    #[inline]
    fn weights<const V: usize>(&self, group: usize) -> *const u8 {
        self.block.wrapping_add(16 * V * (1 + group * self.call.packed.passes.most()))
    }

    /// Adds the products of every pass of a group to a vector of sums.
    ///
    /// # Safety
    /// The block has the group, of `V` vectors.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn passes<const V: usize>(&self, acc: int32x4_t, x: int8x16_t, group: usize, v: usize) -> int32x4_t {
        let weights = self.weights::<V>(group);
        (0..self.call.packed.passes.count(self.first / BLOCK, group)).fold(acc, |acc, pass| {
            // SAFETY: the caller's promise.
            unsafe { sdot(acc, x, vld1q_s8(weights.add(16 * (V * pass + v)).cast())) }
        })
    }

    /// Three pixels below each other.
    ///
    /// # Safety
    /// They may be read.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn column(&self, x: *const i8) -> int8x16x3_t {
        let row = self.call.tap_row;
        // SAFETY: the caller's promise.
        unsafe { int8x16x3_t(vld1q_s8(x), vld1q_s8(x.add(row)), vld1q_s8(x.add(2 * row))) }
    }

    /// The block's starting sums.
    ///
    /// # Safety
    /// The block has `4 V` channels.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn starts<const V: usize>(&self) -> [int32x4_t; V] {
        // SAFETY: the caller's promise.
        unsafe { load::<V>(self.block) }.map(|v| vreinterpretq_s32_s8(v))
    }

    /// Makes results of a pixel's sums and stores them; channel 0 goes to `out`.
    ///
    /// # Safety
    /// The block has `4 V` channels and `groups` groups; `out` takes `len` results or as many as the block has channels.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn finish<const V: usize, const WAY: usize, const WHOLE: bool>(
        &self,
        output: &Output,
        acc: [int32x4_t; V],
        groups: usize,
        out: *mut i8,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            let scale = load::<V>(self.block.add(16 * V * (1 + groups * self.call.packed.passes.most())));
            let len = if WHOLE { 4 * V } else { self.len };
            if let (FLOATS, Finish::Floats(dequant)) = (WAY, &self.call.finish) {
                let floats = Floats::new(dequant);
                for v in 0..V.min(len.div_ceil(LANES)) {
                    let channel = self.first + LANES * v;
                    let scale = vreinterpretq_f32_s8(scale[v]);
                    let channels = floats.channels(scale, &self.call.packed.terms, channel);
                    floats.store(acc[v], &channels, out.cast::<f32>().add(channel), len - LANES * v);
                }
                return;
            }
            let out = out.add(self.first);
            let all = |i: usize| (acc[i % V], vreinterpretq_f32_s8(scale[i % V]));
            if V == 4 {
                store(out, output.bytes::<WAY>([all(0), all(1), all(2), all(3)]), len);
            } else {
                store_half(out, output.half::<WAY>([all(0), all(1)]), len);
            }
        }
    }
}

/// Indices that turn four vectors of channels into `V` vectors of `[channel][4]`; an index past the vectors there are gives zero.
#[inline]
#[target_feature(enable = "neon")]
fn weave<const V: usize>() -> [uint8x16_t; V] {
    const INDICES: [[u8; 16]; 4] = {
        let mut all = [[0; 16]; 4];
        let mut i = 0;
        while i < 64 {
            all[i / 16][i % 16] = (i / 4 + i % 4 * 16) as u8;
            i += 1;
        }
        all
    };
    // SAFETY: sixteen bytes each.
    std::array::from_fn(|v| unsafe { vld1q_u8(INDICES[v].as_ptr()) })
}
