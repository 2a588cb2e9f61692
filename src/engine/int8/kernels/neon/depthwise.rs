//! Depthwise kernels: sixteen channels at a time, one block of channels over all pixels before the next, so that the
//! weights of a 3×3 stay in registers.
//!
//! Products are added in 16 bits as far as they surely fit: in pairs (which always do, but for −128 twice), and in
//! threes where packing finds taps whose weights are small enough in all 16 channels. Any taps may go together, so a
//! block says in which order it takes them.

use core::arch::aarch64::*;
use core::arch::asm;

use super::super::tame::Group;
use super::super::{AlignedBytes, DepthwiseCall, DepthwiseWeights, Finish, PackedDepthwise, Terms};
use super::block::{BLOCK, MAX_TAPS, store};
use super::results::Results;
use super::variant::TAME;
use super::wide;

/// Offsets of a block's parts: starting sums at 0, then scales, the number of threes and pairs of taps, the order of
/// the taps, their weights.
const SCALES: usize = 4 * BLOCK;
const COUNTS: usize = 8 * BLOCK;
const ORDER: usize = COUNTS + 2;

/// Offset of the weights in a block.
fn weights_at(taps: usize) -> usize {
    (ORDER + taps).next_multiple_of(16)
}

/// Packs at most [`MAX_TAPS`] taps; blocks that have weights which, less their zero points, do not fit bytes as [`wide`] does.
pub(super) fn pack(weights: &DepthwiseWeights) -> PackedDepthwise {
    let DepthwiseWeights { channels, kh, kw, .. } = *weights;
    let taps = kh * kw;
    let passes = weights.passes(BLOCK, 1, |_| [0; 2]);
    let wide_bytes = if passes.most() == 1 { 0 } else { wide::block_bytes(taps) };
    let block_bytes = wide_bytes.max(weights_at(taps) + taps * BLOCK);
    // Two pixels of 8 channels can be taken for one of 16 where nothing lies between them.
    let twice = channels == BLOCK / 2;
    let mut data = AlignedBytes::zeroed(channels.div_ceil(BLOCK) * block_bytes);
    for first in (0..channels).step_by(BLOCK) {
        let at = first / BLOCK * block_bytes;
        if passes.are_many(first / BLOCK) {
            wide::pack(weights, first, &mut data, at);
            continue;
        }
        let lanes = if twice { BLOCK } else { BLOCK.min(channels - first) };
        let channel = |lane: usize| if twice { lane % channels } else { first + lane };
        data.put_i32(at, (0..lanes).map(|lane| weights.start(channel(lane), weights.x_zero)));
        data.put_f32(at + SCALES, (0..lanes).map(|lane| weights.scale[channel(lane)]));
        let rows: Vec<[i8; BLOCK]> = (0..taps)
            .map(|tap| {
                std::array::from_fn(|lane| if lane < lanes { weights.weight(channel(lane), tap) as i8 } else { 0 })
            })
            .collect();
        let (threes, pairs, order) = arrange(&rows);
        data.put_i8(at + COUNTS, [threes as i8, pairs as i8]);
        data.put_i8(at + ORDER, order.iter().map(|&tap| tap as i8));
        for (i, &tap) in order.iter().enumerate() {
            data.put_i8(at + weights_at(taps) + i * BLOCK, rows[tap]);
        }
    }
    let variant = if weights.are_tame() { TAME } else { 0 };
    let terms = Terms::of_depthwise(weights, channels.next_multiple_of(BLOCK), |c| (c < channels).then_some(c));
    PackedDepthwise { channels, kh, kw, block: BLOCK, block_bytes, data, terms, passes, variant }
}

/// Numbers of threes and pairs of taps to add in 16 bits, and the order of the taps: threes, pairs, the rest alone.
fn arrange(rows: &[[i8; BLOCK]]) -> (usize, usize, Vec<usize>) {
    let fits = |taps: &[usize]| (0..BLOCK).all(|lane| Group::of(taps.iter().map(|&tap| rows[tap][lane])).fits());
    let heaviest = |tap: &usize| rows[*tap].iter().map(|w| w.unsigned_abs()).max();
    let mut left: Vec<usize> = (0..rows.len()).collect();
    left.sort_by_key(|tap| std::cmp::Reverse(heaviest(tap)));
    let mut threes = Vec::new();
    let mut others = Vec::new();
    while let Some(tap) = left.first().copied() {
        left.remove(0);
        let two = (0..left.len()).flat_map(|i| (i + 1..left.len()).map(move |j| (i, j)));
        match two.into_iter().find(|&(i, j)| fits(&[tap, left[i], left[j]])) {
            Some((i, j)) => {
                threes.extend([tap, left[i], left[j]]);
                left.remove(j);
                left.remove(i);
            }
            None => others.push(tap),
        }
    }
    // The kernels for 9 taps take no threes, one, or three; with two of them there are as many groups as with one.
    let count = if rows.len() == 9 && threes.len() == 6 { 1 } else { threes.len() / 3 };
    let order = [threes, others].concat();
    let pairs = (rows.len() - 3 * count) / 2;
    if order[3 * count..].chunks(2).all(fits) { (count, pairs, order) } else { (0, 0, (0..rows.len()).collect()) }
}

/// See [`Kernels::depthwise`](super::super::Kernels::depthwise).
///
/// # Safety
/// As there; packed by [`pack`].
#[target_feature(enable = "neon")]
pub(super) unsafe fn depthwise(call: &DepthwiseCall) {
    let packed = call.packed;
    let taps = packed.kh * packed.kw;
    let results = Results::new(&call.finish, packed.variant & TAME != 0);
    let near = call.step_col == packed.channels && call.out_col == packed.channels;
    let twice = matches!(call.finish, Finish::Bytes(_)) && packed.channels == BLOCK / 2 && near;
    for first in (0..packed.channels).step_by(BLOCK) {
        if packed.passes.are_many(first / BLOCK) {
            // SAFETY: the caller's promise; the block is packed so.
            unsafe { wide::depthwise(call, first) };
            continue;
        }
        // SAFETY: the block lies in the packed data, its channels in the call's tensors.
        unsafe {
            let data = packed.data.as_ptr().add(first / BLOCK * packed.block_bytes);
            let mut offsets = [0; MAX_TAPS];
            for (i, offset) in offsets[..taps].iter_mut().enumerate() {
                let tap = usize::from(data.add(ORDER + i).read());
                *offset = tap / packed.kw * call.tap_row + tap % packed.kw * call.tap_col;
            }
            let block = Block {
                starts: std::array::from_fn(|i| vld1q_s32(data.cast::<i32>().add(4 * i))),
                scales: std::array::from_fn(|i| vld1q_f32(data.add(SCALES).cast::<f32>().add(4 * i))),
                threes: data.add(COUNTS).read().into(),
                pairs: data.add(COUNTS + 1).read().into(),
                weights: data.add(weights_at(taps)).cast(),
                offsets: &offsets[..taps],
                results,
                terms: &packed.terms,
                first,
            };
            let area = Area {
                input: call.input.add(first),
                out: call.out,
                channels: BLOCK.min(packed.channels - first),
                step_col: call.step_col,
                out_col: call.out_col,
                cols: call.cols,
            };
            if twice {
                let last = call.cols & !1;
                let (input, out) = (area.input.add(last * area.step_col), area.out.add(last * area.out_col));
                let pairs = Area { channels: BLOCK, step_col: BLOCK, out_col: BLOCK, cols: call.cols / 2, ..area };
                rectangle(&block, &pairs, call);
                rectangle(&block, &Area { input, out, cols: call.cols % 2, ..area }, call);
            } else {
                rectangle(&block, &area, call);
            }
        }
    }
}

/// A block of channels.
struct Block<'a> {
    starts: [int32x4_t; 4],
    scales: [float32x4_t; 4],
    threes: usize,
    pairs: usize,
    weights: *const i8,
    offsets: &'a [usize],
    results: Results,
    terms: &'a Terms,
    /// Its first channel.
    first: usize,
}

impl Block<'_> {
    /// Stores `channels` results of one pixel, whose channel 0 goes to `out`.
    ///
    /// # Safety
    /// `out` takes them behind those of the blocks before.
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn store(&self, sums: [int32x4_t; 4], out: *mut i8, channels: usize) {
        // SAFETY: the caller's promise.
        unsafe { store(&self.results, self.terms, (sums, self.scales), out, self.first, channels) }
    }
}

/// A block's outputs; rows as in the call.
#[derive(Clone, Copy)]
struct Area {
    input: *const i8,
    out: *mut i8,
    channels: usize,
    step_col: usize,
    out_col: usize,
    cols: usize,
}

/// All pixels of a block.
///
/// # Safety
/// The area covers every tap of every pixel, with slack, and its outputs.
#[target_feature(enable = "neon")]
unsafe fn rectangle(block: &Block, area: &Area, call: &DepthwiseCall) {
    // SAFETY: the caller's promise; the number of taps and of threes says which kernel fits.
    unsafe {
        if let Ok(offsets) = <[usize; 9]>::try_from(block.offsets)
            && block.threes + block.pairs > 0
        {
            let weights = std::array::from_fn(|i| vld1q_s8(block.weights.add(BLOCK * i)));
            match block.threes {
                0 => nine(block, area, call, |x| pairs9(x, &offsets, &weights, &block.starts)),
                1 => nine(block, area, call, |x| three9(x, &offsets, &weights, &block.starts)),
                _ => nine(block, area, call, |x| threes9(x, &offsets, &weights, &block.starts)),
            }
        } else {
            any(block, area, call);
        }
    }
}

/// All pixels of a kernel with 9 taps; `sums` computes one.
///
/// # Safety
/// As [`rectangle`].
#[inline]
#[target_feature(enable = "neon")]
unsafe fn nine(block: &Block, area: &Area, call: &DepthwiseCall, sums: impl Fn(*const i8) -> [int32x4_t; 4]) {
    for row in 0..call.rows {
        let mut input = area.input.wrapping_add(row * call.step_row);
        let mut out = area.out.wrapping_add(row * call.out_row);
        for _ in 0..area.cols {
            // SAFETY: the caller's promise.
            unsafe { block.store(sums(input), out, area.channels) };
            input = input.wrapping_add(area.step_col);
            out = out.wrapping_add(area.out_col);
        }
    }
}

/// Sums of one pixel of a kernel with 9 taps. v0 to v8 are the weights, v9 to v12 starting sums, v13 to v16 sums, v17
/// to v20 inputs, v21 to v24 products.
macro_rules! nine_taps {
    ($(#[$doc:meta])* $name:ident $groups:literal) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// There is a vector at each offset from `input`.
        #[inline]
        #[target_feature(enable = "neon")]
        unsafe fn $name(
            input: *const i8,
            offsets: &[usize; 9],
            weights: &[int8x16_t; 9],
            starts: &[int32x4_t; 4],
        ) -> [int32x4_t; 4] {
            let (s0, s1, s2, s3);
            // SAFETY: reads what the caller promised; writes no memory.
            unsafe {
                asm!(
                    r"
                    .macro load x, offset
                        ldr q\x, [{input}, \offset]
                    .endm
                    .macro products op, p, q, x, w
                        \op v\p\().8h, v\x\().8b, v\w\().8b
                        \op\()2 v\q\().8h, v\x\().16b, v\w\().16b
                    .endm
                    .macro widen p, q, s0, s1, s2, s3
                        saddw v13.4s, v\s0\().4s, v\p\().4h
                        saddw2 v14.4s, v\s1\().4s, v\p\().8h
                        saddw v15.4s, v\s2\().4s, v\q\().4h
                        saddw2 v16.4s, v\s3\().4s, v\q\().8h
                    .endm",
                    $groups,
                    ".purgem load",
                    ".purgem products",
                    ".purgem widen",
                    input = in(reg) input,
                    o0 = in(reg) offsets[0],
                    o1 = in(reg) offsets[1],
                    o2 = in(reg) offsets[2],
                    o3 = in(reg) offsets[3],
                    o4 = in(reg) offsets[4],
                    o5 = in(reg) offsets[5],
                    o6 = in(reg) offsets[6],
                    o7 = in(reg) offsets[7],
                    o8 = in(reg) offsets[8],
                    in("v0") weights[0], in("v1") weights[1], in("v2") weights[2], in("v3") weights[3],
                    in("v4") weights[4], in("v5") weights[5], in("v6") weights[6], in("v7") weights[7],
                    in("v8") weights[8], in("v9") starts[0], in("v10") starts[1], in("v11") starts[2],
                    in("v12") starts[3], out("v13") s0, out("v14") s1, out("v15") s2, out("v16") s3,
                    out("v17") _, out("v18") _, out("v19") _, out("v20") _,
                    out("v21") _, out("v22") _, out("v23") _, out("v24") _,
                    options(nostack, readonly, pure, preserves_flags),
                );
            }
            [s0, s1, s2, s3]
        }
    };
}

nine_taps! {
    /// Four pairs and one.
    pairs9
    r"
    load 17, {o0}
    load 18, {o1}
    load 19, {o2}
    load 20, {o3}
    products smull, 21, 22, 17, 0
    products smull, 23, 24, 19, 2
    load 17, {o4}
    products smlal, 21, 22, 18, 1
    load 18, {o5}
    products smlal, 23, 24, 20, 3
    load 19, {o6}
    widen 21, 22, 9, 10, 11, 12
    load 20, {o7}
    widen 23, 24, 13, 14, 15, 16
    products smull, 21, 22, 17, 4
    load 17, {o8}
    products smull, 23, 24, 19, 6
    products smlal, 21, 22, 18, 5
    products smlal, 23, 24, 20, 7
    widen 21, 22, 13, 14, 15, 16
    products smull, 21, 22, 17, 8
    widen 23, 24, 13, 14, 15, 16
    widen 21, 22, 13, 14, 15, 16"
}

nine_taps! {
    /// A three and three pairs.
    three9
    r"
    load 17, {o0}
    load 18, {o3}
    load 19, {o1}
    load 20, {o4}
    products smull, 21, 22, 17, 0
    load 17, {o2}
    products smull, 23, 24, 18, 3
    load 18, {o5}
    products smlal, 21, 22, 19, 1
    load 19, {o7}
    products smlal, 23, 24, 20, 4
    load 20, {o6}
    products smlal, 21, 22, 17, 2
    load 17, {o8}
    widen 23, 24, 9, 10, 11, 12
    products smull, 23, 24, 18, 5
    widen 21, 22, 13, 14, 15, 16
    products smull, 21, 22, 19, 7
    products smlal, 23, 24, 20, 6
    products smlal, 21, 22, 17, 8
    widen 23, 24, 13, 14, 15, 16
    widen 21, 22, 13, 14, 15, 16"
}

nine_taps! {
    /// Three threes.
    threes9
    r"
    load 17, {o0}
    load 18, {o3}
    load 19, {o1}
    load 20, {o4}
    products smull, 21, 22, 17, 0
    load 17, {o2}
    products smull, 23, 24, 18, 3
    load 18, {o5}
    products smlal, 21, 22, 19, 1
    load 19, {o6}
    products smlal, 23, 24, 20, 4
    load 20, {o7}
    products smlal, 21, 22, 17, 2
    load 17, {o8}
    products smlal, 23, 24, 18, 5
    widen 21, 22, 9, 10, 11, 12
    products smull, 21, 22, 19, 6
    widen 23, 24, 13, 14, 15, 16
    products smlal, 21, 22, 20, 7
    products smlal, 21, 22, 17, 8
    widen 21, 22, 13, 14, 15, 16"
}

/// All pixels of any kernel, two at once while there are two.
///
/// # Safety
/// As [`rectangle`].
#[target_feature(enable = "neon")]
unsafe fn any(block: &Block, area: &Area, call: &DepthwiseCall) {
    for row in 0..call.rows {
        let input = area.input.wrapping_add(row * call.step_row);
        let out = area.out.wrapping_add(row * call.out_row);
        let (input, out) = (|col| input.wrapping_add(col * area.step_col), |col| out.wrapping_add(col * area.out_col));
        let paired = area.cols & !1;
        // SAFETY: the caller's promise.
        unsafe {
            for col in (0..paired).step_by(2) {
                let [first, second] = sums(block, [input(col), input(col + 1)]);
                block.store(first, out(col), area.channels);
                block.store(second, out(col + 1), area.channels);
            }
            if paired < area.cols {
                let [last] = sums(block, [input(paired)]);
                block.store(last, out(paired), area.channels);
            }
        }
    }
}

/// Sums of `P` pixels.
///
/// # Safety
/// Every pixel has a vector at each of the block's offsets.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn sums<const P: usize>(block: &Block, pixels: [*const i8; P]) -> [[int32x4_t; 4]; P] {
    let mut sums = [block.starts; P];
    let (mut offsets, mut weights) = (block.offsets.as_ptr(), block.weights);
    // SAFETY: there are as many weights as offsets, and as many of both as the counts say.
    unsafe {
        for _ in 0..block.threes {
            group::<P, 3>(&mut sums, &pixels, offsets, weights);
            (offsets, weights) = (offsets.add(3), weights.add(3 * BLOCK));
        }
        for _ in 0..block.pairs {
            group::<P, 2>(&mut sums, &pixels, offsets, weights);
            (offsets, weights) = (offsets.add(2), weights.add(2 * BLOCK));
        }
        for _ in 3 * block.threes + 2 * block.pairs..block.offsets.len() {
            group::<P, 1>(&mut sums, &pixels, offsets, weights);
            (offsets, weights) = (offsets.add(1), weights.add(BLOCK));
        }
    }
    sums
}

/// Adds the products of `N` taps, which together fit 16 bits.
///
/// # Safety
/// There are `N` offsets, a vector at each of them in each pixel, and `N` vectors of weights.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn group<const P: usize, const N: usize>(
    sums: &mut [[int32x4_t; 4]; P],
    pixels: &[*const i8; P],
    offsets: *const usize,
    weights: *const i8,
) {
    // SAFETY: the caller's promise.
    let taps: [(usize, int8x16_t); N] =
        std::array::from_fn(|i| unsafe { (*offsets.add(i), vld1q_s8(weights.add(i * BLOCK))) });
    for (sums, pixel) in sums.iter_mut().zip(pixels) {
        // SAFETY: the caller's promise.
        let x: [int8x16_t; N] = taps.map(|(offset, _)| unsafe { vld1q_s8(pixel.add(offset)) });
        let mut low = vmull_s8(vget_low_s8(x[0]), vget_low_s8(taps[0].1));
        let mut high = vmull_high_s8(x[0], taps[0].1);
        for (x, (_, w)) in x.into_iter().zip(taps).skip(1) {
            low = vmlal_s8(low, vget_low_s8(x), vget_low_s8(w));
            high = vmlal_high_s8(high, x, w);
        }
        sums[0] = vaddw_s16(sums[0], vget_low_s16(low));
        sums[1] = vaddw_high_s16(sums[1], low);
        sums[2] = vaddw_s16(sums[2], vget_low_s16(high));
        sums[3] = vaddw_high_s16(sums[3], high);
    }
}
