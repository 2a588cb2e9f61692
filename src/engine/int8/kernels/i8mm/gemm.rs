//! Dense convolutions and fully connected layers: tiles of up to three pairs of rows by sixteen channels, 24 of the 32 vector
//! registers being sums, each of two rows by two channels. Sixteen bytes of two rows become two operands of eight bytes a
//! row; weights come two vectors to an instruction. A row without a partner is its own.
//!
//! A block of sixteen channels (the last one of eight, if that is enough): starting sums, each pair of channels twice, then
//! for each segment its groups of eight bytes, `[channel][8]` each and the last one filled up with zeros, then scales.

use std::arch::aarch64::*;
use std::arch::asm;

use super::super::dotprod::instructions::load;
use super::super::dotprod::requant::{ANY, Output, QUICK, TAME, Way, store, store_half};
use super::super::neon::results::{Floats, LANES, less_zeros, row_sum};
use super::super::{AlignedBytes, Finish, GemmCall, GemmWeights, PackedGemm, Terms};

/// The body of [`two`], one piece of assembler: the largest tile leaves no register over, and whatever the compiler loaded
/// earlier than here would make it spill sums. For each pair of rows: its number and those of its three operands.
macro_rules! matrices {
    ($acc:ident, $x:ident, $w:ident, $(($pair:literal $a:literal $b:literal $c:literal))+) => {
        asm!(
            "ldp {w0:q}, {w1:q}, [{w}, #{offset}]",
            $(concat!("smmla {", $a, ":v}.4s, {", $c, ":v}.16b, {w0:v}.16b"),)+
            $(concat!("smmla {", $b, ":v}.4s, {", $c, ":v}.16b, {w1:v}.16b"),)+
            $(inout(vreg) $acc[$pair][AT], inout(vreg) $acc[$pair][AT + 1], in(vreg) $x[$pair],)+
            w = in(reg) $w, w0 = out(vreg) _, w1 = out(vreg) _,
            offset = const 16 * AT,
            options(readonly, nostack, preserves_flags),
        )
    };
}

/// Channels of a block.
const BLOCK: usize = 16;

/// Input bytes of a group: what `smmla` takes in of a row.
const GROUP: usize = 8;

/// Channels that are computed of the block that starts at `first`.
fn width(n: usize, first: usize) -> usize {
    if n - first > BLOCK / 2 { BLOCK } else { BLOCK / 2 }
}

/// Pairs of rows of the largest tile.
fn most(packed: &PackedGemm) -> usize {
    if packed.n > BLOCK / 2 { 3 } else { 4 }
}

/// See [`super::Kernels::gemm_rows`]: two tiles, so that a call costs less than what it does even for few channels.
pub(super) fn rows(packed: &PackedGemm) -> usize {
    4 * most(packed)
}

/// See [`super::Kernels::pack_gemm`].
pub(super) fn pack(weights: &GemmWeights) -> PackedGemm {
    let GemmWeights { n, segments, segment, .. } = *weights;
    let groups = segment.div_ceil(GROUP);
    let block_bytes = BLOCK * (12 + segments * groups * GROUP);
    let mut data = AlignedBytes::zeroed(n.div_ceil(BLOCK) * block_bytes);
    for first in (0..n).step_by(BLOCK) {
        let width = width(n, first);
        let channels = first..n.min(first + width);
        let block = first / BLOCK * block_bytes;
        for (lane, channel) in channels.clone().enumerate() {
            let start = weights.start(channel, weights.x_zero);
            let at = block + lane / 2 * 16 + lane % 2 * 4;
            data.put_i32(at, [start]);
            data.put_i32(at + 8, [start]);
            for s in 0..segments {
                let bytes = &weights.data[(channel * segments + s) * segment..][..segment];
                for (g, group) in bytes.chunks(GROUP).enumerate() {
                    let at = block + 8 * width + ((s * groups + g) * width + lane) * GROUP;
                    data.put_i8(at, group.iter().copied());
                }
            }
        }
        data.put_f32(block + 8 * width * (1 + segments * groups), weights.scale[channels].iter().copied());
    }
    let terms = Terms::of_gemm(weights, n.next_multiple_of(BLOCK), |channel| channel, weights.zeros);
    PackedGemm { n, segments, segment, block: BLOCK, block_bytes, data, terms, variant: u8::from(weights.are_tame()) }
}

/// See [`super::Kernels::gemm`].
///
/// # Safety
/// As [`super::Kernels::gemm`].
#[target_feature(enable = "neon,i8mm")]
pub(super) unsafe fn gemm(call: &GemmCall) {
    let most = 2 * most(call.packed);
    let mut at = 0;
    while at < call.rows.len() {
        let left = call.rows.len() - at;
        // Rather two tiles alike than a large one and a small one.
        let m = if left <= most || left >= 2 * most { left.min(most) } else { left.div_ceil(4) * 2 };
        // SAFETY: the caller's promise is the callee's; there are `m` rows from `at`.
        unsafe {
            match m.div_ceil(2) {
                1 => blocks::<1>(call, at, m),
                2 => blocks::<2>(call, at, m),
                3 => blocks::<3>(call, at, m),
                _ => narrow::<4>(call, at, m),
            }
        }
        at += m;
    }
}

/// `m` rows from row `at`, which make `P` pairs, by all blocks of a call. Not inlined: in one function with all its like the compiler
/// keeps much of what it needs on the stack.
///
/// # Safety
/// As [`gemm`]; there are `m` rows from `at`.
#[inline(never)]
#[target_feature(enable = "neon,i8mm")]
unsafe fn blocks<const P: usize>(call: &GemmCall, at: usize, m: usize) {
    let packed = call.packed;
    // SAFETY: there are `m` rows; the blocks lie in the packed bytes.
    unsafe {
        let tile = Tile::<P>::new(call, at, m);
        let mut data = packed.data.as_ptr().add(call.first_block * packed.block_bytes);
        let mut first = call.first_block * BLOCK;
        let end = first + call.blocks * BLOCK;
        while first < end {
            data = if packed.n - first > BLOCK / 2 { tile.run::<8>(data, first) } else { tile.run::<4>(data, first) };
            first += BLOCK;
        }
    }
}

/// `m` rows from row `at`, which make `P` pairs, by the only block of a layer with few channels.
///
/// # Safety
/// As [`blocks`].
#[inline(never)]
#[target_feature(enable = "neon,i8mm")]
unsafe fn narrow<const P: usize>(call: &GemmCall, at: usize, m: usize) {
    // SAFETY: the caller's promise.
    unsafe { Tile::<P>::new(call, at, m).run::<4>(call.packed.data.as_ptr(), 0) };
}

/// State shared by the tiles of some rows.
struct Tile<'a, const P: usize> {
    call: &'a GemmCall<'a>,
    rows: [[*const i8; 2]; P],
    outs: [[*mut i8; 2]; P],
    /// Of the rows' inputs, if the weights have zero points.
    row_sums: [[i32; 2]; P],
    way: Way,
    /// Of a segment, the bytes that are taken sixteen at a time.
    whole: usize,
    /// True if a group is left behind those.
    rest: bool,
}

impl<'a, const P: usize> Tile<'a, P> {
    /// `m` rows of a call.
    ///
    /// # Safety
    /// There are `m` rows from `at`, `2 P` or one less.
    #[inline]
    #[target_feature(enable = "neon,i8mm")]
    unsafe fn new(call: &'a GemmCall<'a>, at: usize, m: usize) -> Self {
        let groups = call.packed.segment.div_ceil(GROUP);
        let (mut rows, mut outs) = ([[std::ptr::null(); 2]; P], [[std::ptr::null_mut(); 2]; P]);
        for i in 0..2 * P {
            // Only the last row can be without a partner.
            let row = if i == 2 * P - 1 { at + m - 1 } else { at + i };
            // SAFETY: the caller's promise.
            unsafe {
                rows[i / 2][i % 2] = *call.rows.get_unchecked(row);
                outs[i / 2][i % 2] = *call.outs.get_unchecked(row);
            }
        }
        let way = Way::new(&call.finish, call.packed.variant != 0);
        let mut row_sums = [[0; 2]; P];
        if !call.packed.terms.zeros.is_empty() {
            // SAFETY: the caller's promise.
            row_sums = rows.map(|pair| pair.map(|row| unsafe { row_sum(row, call.offsets, call.packed.segment) }));
        }
        Tile { call, rows, outs, row_sums, way, whole: groups / 2 * 16, rest: groups % 2 == 1 }
    }

    /// The rows by the `2 V` channels from `first`; returns where the next block is.
    ///
    /// # Safety
    /// As [`gemm`]; `data` is the block that starts with channel `first`.
    #[inline]
    #[target_feature(enable = "neon,i8mm")]
    unsafe fn run<const V: usize>(&self, data: *const u8, first: usize) -> *const u8 {
        let mut acc = [[vdupq_n_s32(0); V]; P];
        // SAFETY: every row has its segments and `SLACK` bytes more; the block has starting sums and weights for each group.
        unsafe {
            for acc in &mut acc {
                for v in (0..V).step_by(2) {
                    let pair: [int8x16_t; 2] = load(data.add(16 * v));
                    acc[v] = vreinterpretq_s32_s8(pair[0]);
                    acc[v + 1] = vreinterpretq_s32_s8(pair[1]);
                }
            }
            let mut w = data.add(16 * V);
            for &offset in self.call.offsets {
                let mut at = offset;
                let end = offset + self.whole;
                while at < end {
                    let [low, high] = self.operands(at);
                    w = products(&mut acc, &low, w);
                    w = products(&mut acc, &high, w);
                    at += 16;
                }
                if self.rest {
                    w = products(&mut acc, &self.operands(at)[0], w);
                }
            }
            if let Finish::Floats(dequant) = &self.call.finish {
                self.floats(&Floats::new(dequant), acc, w, first);
            } else if self.call.packed.n - first < 2 * V {
                self.finish::<V, ANY, false>(acc, w, first);
            } else {
                match self.way {
                    Way::Quick => self.finish::<V, QUICK, true>(acc, w, first),
                    Way::Tame => self.finish::<V, TAME, true>(acc, w, first),
                    Way::Any | Way::Floats => self.finish::<V, ANY, true>(acc, w, first),
                }
            }
            w.add(8 * V)
        }
    }

    /// Sixteen bytes of every row, as operands of `smmla`: the first eight of each pair of rows, and the others. In assembler, so
    /// that the rows are not kept beside them.
    ///
    /// # Safety
    /// They may be read.
    #[inline]
    #[target_feature(enable = "neon,i8mm")]
    unsafe fn operands(&self, at: usize) -> [[int8x16_t; P]; 2] {
        let mut x = [[vdupq_n_s8(0); P]; 2];
        for (pair, rows) in self.rows.iter().enumerate() {
            // SAFETY: the caller's promise; the assembler touches no more than the registers named.
            unsafe {
                let first = vld1q_s8(rows[0].add(at));
                x[1][pair] = vld1q_s8(rows[1].add(at));
                asm!("zip1 {0:v}.2d, {1:v}.2d, {2:v}.2d", "zip2 {2:v}.2d, {1:v}.2d, {2:v}.2d",
                    out(vreg) x[0][pair], in(vreg) first, inout(vreg) x[1][pair],
                    options(nomem, nostack, preserves_flags));
            }
        }
        x
    }

    /// Requantises and stores a tile; `WHOLE` if none of its channels is past the last one.
    ///
    /// # Safety
    /// `scales` has `2 V` of them; outputs as for [`gemm`].
    #[inline]
    #[target_feature(enable = "neon,i8mm")]
    unsafe fn finish<const V: usize, const WAY: usize, const WHOLE: bool>(
        &self,
        acc: [[int32x4_t; V]; P],
        scales: *const u8,
        first: usize,
    ) {
        // SAFETY: the caller's promise.
        let scale: [[int8x16_t; 2]; 2] = unsafe { [load(scales), load(scales.add(if V == 8 { 32 } else { 0 }))] };
        let output = Output::new(&self.call.finish);
        let len = if WHOLE { 2 * V } else { self.call.packed.n - first };
        for (pair, (acc, outs)) in acc.iter().zip(self.outs).enumerate() {
            for (row, out) in outs.into_iter().enumerate() {
                let all = |i: usize| {
                    // SAFETY: the terms have the channels of every block.
                    let sums = unsafe { self.row(acc, row, i % (V / 2), first, self.row_sums[pair][row]) };
                    (sums, vreinterpretq_f32_s8(scale[i / 2][i % 2]))
                };
                // SAFETY: the output has the channels from `first`.
                unsafe {
                    if V == 8 {
                        store(out.add(first), output.bytes::<WAY>([all(0), all(1), all(2), all(3)]), len);
                    } else {
                        store_half(out.add(first), output.half::<WAY>([all(0), all(1)]), len);
                    }
                }
            }
        }
    }

    /// Stores a tile as floats.
    ///
    /// # Safety
    /// `scales` has `2 V` of them; outputs as for [`gemm`].
    #[inline]
    #[target_feature(enable = "neon,i8mm")]
    unsafe fn floats<const V: usize>(
        &self,
        floats: &Floats,
        acc: [[int32x4_t; V]; P],
        scales: *const u8,
        first: usize,
    ) {
        let left = self.call.packed.n - first;
        for (pair, (acc, outs)) in acc.iter().zip(self.outs).enumerate() {
            for (row, out) in outs.into_iter().enumerate() {
                for i in 0..(V / 2).min(left.div_ceil(LANES)) {
                    let channel = first + LANES * i;
                    // SAFETY: the output has the channels from `first`, the terms those of every block.
                    unsafe {
                        let sums = self.row(acc, row, i, first, self.row_sums[pair][row]);
                        let scale = vld1q_f32(scales.cast::<f32>().add(LANES * i));
                        let out = out.cast::<f32>().add(channel);
                        floats.store(
                            sums,
                            &floats.channels(scale, &self.call.packed.terms, channel),
                            out,
                            left - LANES * i,
                        );
                    }
                }
            }
        }
    }

    /// One row's sums of the `i`-th four channels of a block, zero points of weights taken off.
    ///
    /// # Safety
    /// The terms have the channels.
    #[inline]
    #[target_feature(enable = "neon,i8mm")]
    unsafe fn row<const V: usize>(
        &self,
        acc: &[int32x4_t; V],
        row: usize,
        i: usize,
        first: usize,
        row_sum: i32,
    ) -> int32x4_t {
        let (a, b) = (vreinterpretq_s64_s32(acc[2 * i]), vreinterpretq_s64_s32(acc[2 * i + 1]));
        let sums = vreinterpretq_s32_s64(if row == 0 { vzip1q_s64(a, b) } else { vzip2q_s64(a, b) });
        let terms = &self.call.packed.terms;
        // SAFETY: the caller's promise.
        if terms.zeros.is_empty() { sums } else { unsafe { less_zeros(sums, terms, first + LANES * i, row_sum) } }
    }
}

/// Adds a group's products; returns where the next group's weights are.
///
/// # Safety
/// `w` has the group's weights.
#[inline]
#[target_feature(enable = "neon,i8mm")]
unsafe fn products<const P: usize, const V: usize>(
    acc: &mut [[int32x4_t; V]; P],
    x: &[int8x16_t; P],
    w: *const u8,
) -> *const u8 {
    // SAFETY: the caller's promise.
    unsafe {
        two::<P, V, 0>(acc, x, w);
        two::<P, V, 2>(acc, x, w);
        if V == 8 {
            two::<P, V, 4>(acc, x, w);
            two::<P, V, 6>(acc, x, w);
        }
        w.add(16 * V)
    }
}

/// Of [`products`], what goes to vectors `AT` and `AT + 1` of the sums.
///
/// # Safety
/// As [`products`].
#[inline]
#[target_feature(enable = "neon,i8mm")]
unsafe fn two<const P: usize, const V: usize, const AT: usize>(
    acc: &mut [[int32x4_t; V]; P],
    x: &[int8x16_t; P],
    w: *const u8,
) {
    // SAFETY: each arm is for its `P`, touches no more than the registers named and reads the two vectors of weights.
    unsafe {
        match P {
            1 => matrices!(acc, x, w, (0 0 1 2)),
            2 => matrices!(acc, x, w, (0 0 1 2)(1 3 4 5)),
            3 => matrices!(acc, x, w, (0 0 1 2)(1 3 4 5)(2 6 7 8)),
            _ => matrices!(acc, x, w, (0 0 1 2)(1 3 4 5)(2 6 7 8)(3 9 10 11)),
        }
    }
}
