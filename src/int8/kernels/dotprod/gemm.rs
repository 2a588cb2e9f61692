//! Dense convolutions and fully connected layers: tiles of up to six rows by sixteen channels, 24 of the 32 vector registers
//! being sums. Sixteen input bytes of a row are loaded once and used four at a time by lane; weights come two vectors to
//! an instruction.
//!
//! A block of sixteen channels (the last one of eight, if that is enough): starting sums, then for each segment its groups of
//! four bytes, `[channel][4]` each and the last one filled up with zeros, then scales.

use std::arch::aarch64::*;
use std::arch::asm;

use super::super::{AlignedBytes, GemmCall, GemmWeights, PackedGemm};
use super::load_pair;
use super::requant::{Output, store, store_half};

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
const BLOCK: usize = 16;

/// Input bytes of a group: what `sdot` takes in.
const GROUP: usize = 4;

/// Channels of block `first / BLOCK` that are computed.
fn width(n: usize, first: usize) -> usize {
    if n - first > BLOCK / 2 { BLOCK } else { BLOCK / 2 }
}

/// See [`super::Kernels::gemm_rows`].
pub(super) fn rows(packed: &PackedGemm) -> usize {
    if packed.n <= BLOCK / 2 { 8 } else { 6 }
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
    PackedGemm { n, segments, segment, block: BLOCK, block_bytes, data, variant: 0 }
}

/// See [`super::Kernels::gemm`].
///
/// # Safety
/// As [`super::Kernels::gemm`].
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn gemm(call: &GemmCall) {
    // SAFETY: the caller's promise is the callee's.
    unsafe {
        match call.rows.len() {
            1 => blocks::<1>(call),
            2 => blocks::<2>(call),
            3 => blocks::<3>(call),
            4 => blocks::<4>(call),
            5 => blocks::<5>(call),
            6 => blocks::<6>(call),
            7 => narrow::<7>(call),
            _ => narrow::<8>(call),
        }
    }
}

/// All blocks of a call with `M` rows.
///
/// # Safety
/// As [`gemm`].
#[target_feature(enable = "neon,dotprod")]
unsafe fn blocks<const M: usize>(call: &GemmCall) {
    let packed = call.packed;
    for block in call.first_block..call.first_block + call.blocks {
        let first = block * BLOCK;
        // SAFETY: the block lies in the packed bytes.
        let data = unsafe { packed.data.as_ptr().add(block * packed.block_bytes) };
        // SAFETY: rows and outputs are as the caller says.
        unsafe {
            if width(packed.n, first) == BLOCK {
                tile::<M, 4>(call, data, first);
            } else {
                tile::<M, 2>(call, data, first);
            }
        }
    }
}

/// The only block of a layer with few channels, with `M` rows.
///
/// # Safety
/// As [`gemm`].
#[target_feature(enable = "neon,dotprod")]
unsafe fn narrow<const M: usize>(call: &GemmCall) {
    // SAFETY: rows and outputs are as the caller says.
    unsafe { tile::<M, 2>(call, call.packed.data.as_ptr(), 0) };
}

/// `M` rows by `4 V` channels.
///
/// # Safety
/// As [`gemm`]; `data` is the block that starts with channel `first`.
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn tile<const M: usize, const V: usize>(call: &GemmCall, data: *const u8, first: usize) {
    // SAFETY: there are `M` rows.
    let rows: [*const i8; M] = unsafe { *call.rows.as_ptr().cast() };
    let mut w = data;
    // Not loaded once and copied for the other rows: loads have nothing else to do here.
    let mut acc = [[vdupq_n_s32(0); V]; M];
    for acc in &mut acc {
        // SAFETY: the block starts with its starting sums.
        let starts: [int8x16_t; V] = unsafe { load(data) };
        *acc = starts.map(|v| vreinterpretq_s32_s8(v));
    }
    // SAFETY: as above.
    w = unsafe { w.add(16 * V) };
    let segment = call.packed.segment;
    let rest = segment.div_ceil(GROUP) % 4;
    for &offset in call.offsets {
        let mut at = offset;
        let end = offset + (segment + GROUP - 1) / 16 * 16;
        // SAFETY: every row has its segments and `SLACK` bytes more, the block has weights for each group.
        unsafe {
            while at < end {
                let x = rows.map(|row| vld1q_s8(row.add(at)));
                group::<M, V, 0>(&mut acc, &x, w);
                group::<M, V, 1>(&mut acc, &x, w);
                group::<M, V, 2>(&mut acc, &x, w);
                group::<M, V, 3>(&mut acc, &x, w);
                w = w.add(64 * V);
                at += 16;
            }
            if rest > 0 {
                let x = rows.map(|row| vld1q_s8(row.add(at)));
                group::<M, V, 0>(&mut acc, &x, w);
                if rest > 1 {
                    group::<M, V, 1>(&mut acc, &x, w);
                    if rest > 2 {
                        group::<M, V, 2>(&mut acc, &x, w);
                    }
                }
                w = w.add(16 * V * rest);
            }
        }
    }
    let full = call.requant.low == i8::MIN && call.requant.high == i8::MAX;
    // SAFETY: the scales follow the weights; outputs are as the caller says.
    unsafe {
        if call.packed.n - first < 4 * V {
            finish::<M, V, true, false>(call, acc, w, first);
        } else if full {
            finish::<M, V, false, true>(call, acc, w, first);
        } else {
            finish::<M, V, true, true>(call, acc, w, first);
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

/// `V` (2 or 4) vectors.
///
/// # Safety
/// `p` has them.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn load<const V: usize>(p: *const u8) -> [int8x16_t; V] {
    let mut all = [vdupq_n_s8(0); V];
    // SAFETY: the caller's promise.
    unsafe {
        (all[0], all[1]) = load_pair(p);
        if V == 4 {
            (all[2], all[3]) = load_pair(p.add(32));
        }
    }
    all
}

/// Requantises and stores a tile; `WHOLE` if none of its channels is past the last one.
///
/// # Safety
/// `scales` has `4 V` of them; outputs as for [`gemm`].
#[inline]
#[target_feature(enable = "neon,dotprod")]
unsafe fn finish<const M: usize, const V: usize, const CLAMP: bool, const WHOLE: bool>(
    call: &GemmCall,
    acc: [[int32x4_t; V]; M],
    scales: *const u8,
    first: usize,
) {
    // SAFETY: the caller's promise.
    let scale = unsafe { load::<V>(scales) }.map(|v| vreinterpretq_f32_s8(v));
    // Made for each tile: kept in registers it would cost three of those that sums need.
    let output = Output::new(&call.requant);
    for (row, acc) in acc.iter().enumerate() {
        // SAFETY: there are `M` outputs, with the channels from `first`.
        unsafe {
            let out = call.outs.get_unchecked(row).add(first);
            let len = if WHOLE { 4 * V } else { call.packed.n - first };
            if V == 4 {
                let all = |i: usize| (acc[i % V], scale[i % V]);
                let bytes = output.bytes::<CLAMP>([all(0), all(1), all(2), all(3)]);
                store(out, bytes, len);
            } else {
                let bytes = output.half::<CLAMP>([(acc[0], scale[0]), (acc[1], scale[1])]);
                store_half(out, bytes, len);
            }
        }
    }
}
