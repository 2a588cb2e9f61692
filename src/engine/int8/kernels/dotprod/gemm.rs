//! Dense convolutions and fully connected layers: tiles of up to six rows by sixteen channels, 24 of the 32 vector registers
//! being sums. Sixteen input bytes of a row are loaded once and used four at a time by lane; weights come two vectors to
//! an instruction.
//!
//! A block of sixteen channels (the last one of eight, if that is enough): starting sums, then for each segment its groups of
//! four bytes, `[channel][4]` each and the last one filled up with zeros, then scales.

use std::arch::aarch64::*;
use std::arch::asm;
use std::ops::Range;

use super::super::neon::results::{Floats, LANES, less_zeros, row_sum};
use super::super::{AlignedBytes, Finish, GemmCall, GemmWeights, PackedGemm, Terms};
use super::instructions::load;
use super::requant::{ANY, Output, QUICK, TAME, Way, store, store_half};

/// The body of [`pair`], one piece of assembler: the largest tile leaves no register over, and whatever the compiler loaded
/// earlier than here would make it spill sums. For each row: its number and those of its three operands.
macro_rules! products {
    ($acc:ident, $x:ident, $w:ident, $(($row:literal $a:literal $b:literal $c:literal))+) => {
        asm!(
            "ldp {w0:q}, {w1:q}, [{w}, #{offset}]",
            $(concat!("sdot {", $a, ":v}.4s, {w0:v}.16b, {", $c, ":v}.4b[{lane}]"),)+
            $(concat!("sdot {", $b, ":v}.4s, {w1:v}.16b, {", $c, ":v}.4b[{lane}]"),)+
            $(inout(vreg) $acc[$row][AT], inout(vreg) $acc[$row][AT + 1], in(vreg) $x[$row],)+
            w = in(reg) $w, w0 = out(vreg) _, w1 = out(vreg) _,
            lane = const LANE, offset = const 16 * (LANE * V + AT),
            options(readonly, nostack, preserves_flags),
        )
    };
}

/// Channels of a block.
pub(super) const BLOCK: usize = 16;

/// Input bytes of a group: what `sdot` takes in.
pub(super) const GROUP: usize = 4;

/// Channels of block `first / BLOCK` that are computed.
pub(super) fn width(n: usize, first: usize) -> usize {
    if n - first > BLOCK / 2 { BLOCK } else { BLOCK / 2 }
}

/// Rows of the largest tile, for layers whose only block has eight channels and for the others.
const TILES: [usize; 2] = [8, 6];

/// See [`super::Kernels::gemm_rows`]: two tiles, so that a call costs less than what it does even for few channels.
pub(super) fn rows(packed: &PackedGemm) -> usize {
    2 * most(packed)
}

/// Rows of the largest tile.
fn most(packed: &PackedGemm) -> usize {
    TILES[usize::from(packed.n > BLOCK / 2)]
}

/// See [`super::Kernels::pack_gemm`].
pub(super) fn pack(weights: &GemmWeights) -> PackedGemm {
    let GemmWeights { n, segments, segment, .. } = *weights;
    let groups = segment.div_ceil(GROUP);
    let block_bytes = BLOCK * (8 + segments * groups * GROUP);
    let mut data = AlignedBytes::zeroed(n.div_ceil(BLOCK) * block_bytes);
    for first in (0..n).step_by(BLOCK) {
        let width = width(n, first);
        let channels = first..n.min(first + width);
        let block = first / BLOCK * block_bytes;
        data.put_i32(block, channels.clone().map(|c| weights.start(c, weights.x_zero)));
        for (lane, channel) in channels.clone().enumerate() {
            for s in 0..segments {
                let bytes = &weights.data[(channel * segments + s) * segment..][..segment];
                for (g, group) in bytes.chunks(GROUP).enumerate() {
                    let at = block + 4 * width + ((s * groups + g) * width + lane) * GROUP;
                    data.put_i8(at, group.iter().copied());
                }
            }
        }
        data.put_f32(block + 4 * width * (1 + segments * groups), weights.scale[channels].iter().copied());
    }
    let terms = Terms::of_gemm(weights, n.next_multiple_of(BLOCK), |channel| channel, weights.zeros);
    PackedGemm { n, segments, segment, block: BLOCK, block_bytes, data, terms, variant: u8::from(weights.are_tame()) }
}

/// See [`super::Kernels::gemm`].
///
/// # Safety
/// As [`super::Kernels::gemm`].
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn gemm(call: &GemmCall) {
    let rows = call.rows.len();
    // SAFETY: the caller's promise is the callee's; the tiles make up the call's rows.
    unsafe {
        if rows <= most(call.packed) {
            same(call, rows, 0..rows);
        } else {
            // Two tiles as alike as can be, rather than a large one and a small one.
            let odd = if rows % 2 == 1 { rows / 2 + 1 } else { 0 };
            if odd > 0 {
                same(call, odd, 0..odd);
            }
            same(call, rows / 2, odd..rows);
        }
    }
}

/// `range` of the rows, `m` at a time.
///
/// # Safety
/// As [`gemm`]; there are such rows, a multiple of `m`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn same(call: &GemmCall, m: usize, range: Range<usize>) {
    // SAFETY: the caller's promise.
    unsafe {
        match m {
            1 => blocks::<1>(call, range),
            2 => blocks::<2>(call, range),
            3 => blocks::<3>(call, range),
            4 => blocks::<4>(call, range),
            5 => blocks::<5>(call, range),
            6 => blocks::<6>(call, range),
            7 => narrow::<7>(call, range),
            _ => narrow::<8>(call, range),
        }
    }
}

/// `range` of the rows, `M` at a time, by all blocks of a call. Not inlined: in one function with all its like the compiler
/// keeps much of what it needs on the stack.
///
/// # Safety
/// As [`same`].
#[inline(never)]
#[target_feature(enable = "neon,dotprod")]
unsafe fn blocks<const M: usize>(call: &GemmCall, range: Range<usize>) {
    let packed = call.packed;
    let mut at = range.start;
    while at < range.end {
        // SAFETY: there are `M` rows from `at`.
        let tile = unsafe { Tile::<M>::new(call, at) };
        // SAFETY: the blocks lie in the packed bytes.
        let mut data = unsafe { packed.data.as_ptr().add(call.first_block * packed.block_bytes) };
        let mut first = call.first_block * BLOCK;
        let end = first + call.blocks * BLOCK;
        while first < end {
            // SAFETY: rows and outputs are as the caller says.
            data = unsafe {
                if packed.n - first > BLOCK / 2 { tile.run::<4>(data, first) } else { tile.run::<2>(data, first) }
            };
            first += BLOCK;
        }
        at += M;
    }
}

/// `range` of the rows, `M` at a time, by the only block of a layer with few channels.
///
/// # Safety
/// As [`same`].
#[inline(never)]
#[target_feature(enable = "neon,dotprod")]
unsafe fn narrow<const M: usize>(call: &GemmCall, range: Range<usize>) {
    let mut at = range.start;
    while at < range.end {
        // SAFETY: the caller's promise.
        unsafe { Tile::<M>::new(call, at).run::<2>(call.packed.data.as_ptr(), 0) };
        at += M;
    }
}

/// State shared by the tiles of some rows. Words only: the compiler is bad at keeping smaller fields in registers.
struct Tile<'a, const M: usize> {
    call: &'a GemmCall<'a>,
    rows: [*const i8; M],
    outs: [*mut i8; M],
    /// Of the rows' inputs, if the weights have zero points.
    row_sums: [i32; M],
    way: Way,
    /// Of a segment, the bytes that are taken sixteen at a time.
    whole: usize,
    /// Groups behind those.
    rest: usize,
}

impl<'a, const M: usize> Tile<'a, M> {
    /// `M` rows of a call.
    ///
    /// # Safety
    /// There are `M` rows from `at`.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn new(call: &'a GemmCall<'a>, at: usize) -> Self {
        let groups = call.packed.segment.div_ceil(GROUP);
        // SAFETY: the caller's promise.
        let (rows, outs): ([*const i8; M], _) =
            unsafe { (*call.rows.as_ptr().add(at).cast(), *call.outs.as_ptr().add(at).cast()) };
        let way = Way::new(&call.finish, call.packed.variant != 0);
        let mut row_sums = [0; M];
        if !call.packed.terms.zeros.is_empty() {
            // SAFETY: the caller's promise.
            row_sums = rows.map(|row| unsafe { row_sum(row, call.offsets, call.packed.segment) });
        }
        Tile { call, rows, outs, row_sums, way, whole: groups / 4 * 16, rest: groups % 4 }
    }

    /// The rows by the `4 V` channels from `first`; returns where the next block is.
    ///
    /// # Safety
    /// As [`gemm`]; `data` is the block that starts with channel `first`.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn run<const V: usize>(&self, data: *const u8, first: usize) -> *const u8 {
        let mut acc = [[vdupq_n_s32(0); V]; M];
        for acc in &mut acc {
            // SAFETY: the block starts with its starting sums.
            *acc = unsafe { load::<V>(data) }.map(|v| vreinterpretq_s32_s8(v));
        }
        // SAFETY: every row has its segments and `SLACK` bytes more, the block has weights for each group.
        unsafe {
            let mut w = data.add(16 * V);
            for &offset in self.call.offsets {
                let mut at = offset;
                let end = offset + self.whole;
                while M == 1 && at + 16 < end {
                    // Here the loop itself is felt.
                    w = self.sixteen(&mut acc, at, w);
                    w = self.sixteen(&mut acc, at + 16, w);
                    at += 32;
                }
                while at < end {
                    w = self.sixteen(&mut acc, at, w);
                    at += 16;
                }
                if self.rest > 0 {
                    let x = self.rows.map(|row| vld1q_s8(row.add(at)));
                    group::<M, V, 0>(&mut acc, &x, w);
                    if self.rest > 1 {
                        group::<M, V, 1>(&mut acc, &x, w);
                        if self.rest > 2 {
                            group::<M, V, 2>(&mut acc, &x, w);
                        }
                    }
                    w = w.add(16 * V * self.rest);
                }
            }
            if !self.call.packed.terms.zeros.is_empty() {
                for (acc, &row_sum) in acc.iter_mut().zip(&self.row_sums) {
                    for (v, acc) in acc.iter_mut().enumerate() {
                        *acc = less_zeros(*acc, &self.call.packed.terms, first + LANES * v, row_sum);
                    }
                }
            }
            if let Finish::Floats(dequant) = &self.call.finish {
                self.floats(&Floats::new(dequant), acc, w, first);
            } else if self.call.packed.n - first < 4 * V {
                self.finish::<V, ANY, false>(acc, w, first);
            } else {
                match self.way {
                    Way::Quick => self.finish::<V, QUICK, true>(acc, w, first),
                    Way::Tame => self.finish::<V, TAME, true>(acc, w, first),
                    Way::Any | Way::Floats => self.finish::<V, ANY, true>(acc, w, first),
                }
            }
            w.add(16 * V)
        }
    }

    /// Adds sixteen bytes of every row; returns where the weights go on.
    ///
    /// # Safety
    /// `w` has the weights of four groups.
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn sixteen<const V: usize>(&self, acc: &mut [[int32x4_t; V]; M], at: usize, w: *const u8) -> *const u8 {
        // SAFETY: the caller's promise.
        unsafe {
            let x = self.rows.map(|row| vld1q_s8(row.add(at)));
            group::<M, V, 0>(acc, &x, w);
            group::<M, V, 1>(acc, &x, w);
            group::<M, V, 2>(acc, &x, w);
            group::<M, V, 3>(acc, &x, w);
            w.add(64 * V)
        }
    }

    /// Requantises and stores a tile; `WHOLE` if none of its channels is past the last one.
    ///
    /// # Safety
    /// `scales` has `4 V` of them; outputs as for [`gemm`].
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn finish<const V: usize, const WAY: usize, const WHOLE: bool>(
        &self,
        acc: [[int32x4_t; V]; M],
        scales: *const u8,
        first: usize,
    ) {
        // SAFETY: the caller's promise.
        let scale = unsafe { load::<V>(scales) }.map(|v| vreinterpretq_f32_s8(v));
        // Made for each tile: kept in registers it would cost three of those that sums need.
        let output = Output::new(&self.call.finish);
        let len = if WHOLE { 4 * V } else { self.call.packed.n - first };
        for (acc, out) in acc.iter().zip(self.outs) {
            let all = |i: usize| (acc[i % V], scale[i % V]);
            // SAFETY: the output has the channels from `first`.
            unsafe {
                if V == 4 {
                    store(out.add(first), output.bytes::<WAY>([all(0), all(1), all(2), all(3)]), len);
                } else {
                    store_half(out.add(first), output.half::<WAY>([all(0), all(1)]), len);
                }
            }
        }
    }

    /// Stores a tile as floats.
    ///
    /// # Safety
    /// `scales` has `4 V` of them; outputs as for [`gemm`].
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn floats<const V: usize>(
        &self,
        floats: &Floats,
        acc: [[int32x4_t; V]; M],
        scales: *const u8,
        first: usize,
    ) {
        // SAFETY: the caller's promise.
        let scale = unsafe { load::<V>(scales) }.map(|v| vreinterpretq_f32_s8(v));
        let left = self.call.packed.n - first;
        for (v, &scale) in scale.iter().enumerate() {
            if LANES * v >= left {
                return;
            }
            let channel = first + LANES * v;
            // SAFETY: the output has the channels from `first`.
            unsafe {
                let channels = floats.channels(scale, &self.call.packed.terms, channel);
                for (acc, out) in acc.iter().zip(self.outs) {
                    floats.store(acc[v], &channels, out.cast::<f32>().add(channel), left - LANES * v);
                }
            }
        }
    }
}

/// Adds group `LANE` of the rows' sixteen bytes.
///
/// # Safety
/// `w` has the weights of four groups, or of those to `LANE`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn group<const M: usize, const V: usize, const LANE: usize>(
    acc: &mut [[int32x4_t; V]; M],
    x: &[int8x16_t; M],
    w: *const u8,
) {
    // SAFETY: the caller's promise.
    unsafe {
        pair::<M, V, LANE, 0>(acc, x, w);
        if V == 4 {
            pair::<M, V, LANE, 2>(acc, x, w);
        }
    }
}

/// Of [`group`], what goes to vectors `AT` and `AT + 1` of the sums.
///
/// # Safety
/// As [`group`].
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn pair<const M: usize, const V: usize, const LANE: usize, const AT: usize>(
    acc: &mut [[int32x4_t; V]; M],
    x: &[int8x16_t; M],
    w: *const u8,
) {
    // SAFETY: each arm is for its `M`, touches no more than the registers named and reads the two vectors of weights.
    unsafe {
        match M {
            1 => products!(acc, x, w, (0 0 1 2)),
            2 => products!(acc, x, w, (0 0 1 2)(1 3 4 5)),
            3 => products!(acc, x, w, (0 0 1 2)(1 3 4 5)(2 6 7 8)),
            4 => products!(acc, x, w, (0 0 1 2)(1 3 4 5)(2 6 7 8)(3 9 10 11)),
            5 => products!(acc, x, w, (0 0 1 2)(1 3 4 5)(2 6 7 8)(3 9 10 11)(4 12 13 14)),
            6 => products!(acc, x, w, (0 0 1 2)(1 3 4 5)(2 6 7 8)(3 9 10 11)(4 12 13 14)(5 15 16 17)),
            7 => products!(acc, x, w, (0 0 1 2)(1 3 4 5)(2 6 7 8)(3 9 10 11)(4 12 13 14)(5 15 16 17)(6 18 19 20)),
            _ => products!(
                acc, x, w, (0 0 1 2)(1 3 4 5)(2 6 7 8)(3 9 10 11)(4 12 13 14)(5 15 16 17)(6 18 19 20)(7 21 22 23)
            ),
        }
    }
}
