//! Dense products: packing and tiles, for every set.
//!
//! A block of output channels is `V` vectors wide, the last one as many as it needs. It holds its biases, then for every input of the
//! reduction a weight of each of its channels, so that a tile reads it as one stream. A tile keeps its sums in registers and takes one input of every
//! row at a time, broadcast. Blocks are the outer loop and rows the inner one: a block's weights come from the cache for all but the
//! first tile.

use super::super::{AlignedBytes, STEPS_AT_ONCE};
use super::calls::{Epilogue, FloatGemmCall, FloatGemmWeights, GemmShape, MAX_ROWS, PackCall, PackedFloatGemm};
use super::function::Function;
use super::simd::{Simd, load, store, vectors};

/// Bytes of weights that a small processor's cache holds.
const MANY_WEIGHTS: usize = 256 << 10;

/// Inputs of the reduction whose weights are asked for ahead.
const AHEAD: usize = 16;

/// Vectors of the block whose first channel is `first`.
#[inline(always)]
pub fn width<S: Simd>(shape: &GemmShape, first: usize) -> usize {
    (shape.n - first).min(shape.block).div_ceil(S::LANES)
}

/// Sizes for blocks of `vectors` vectors.
pub fn shape<S: Simd>(vectors: usize, n: usize, segments: usize, segment: usize) -> GemmShape {
    let widest = n.div_ceil(S::LANES).clamp(1, vectors);
    let block = vectors * S::LANES;
    GemmShape { n, segments, segment, block, block_len: widest * S::LANES * (1 + segments * segment) }
}

/// Rows of a call for tiles of `tile` rows, of which `near` bytes may lie beside weights that the cache holds and `far` bytes beside others, which are
/// to be read as few times as can be. Segments of neighbouring rows overlap: one of them is about what a row adds.
pub fn rows(tile: usize, shape: &GemmShape, [near, far]: [usize; 2]) -> usize {
    let room = if 4 * shape.len() > MANY_WEIGHTS { far } else { near };
    let fitting = room / (4 * shape.segment.max(1)) / tile;
    tile * fitting.clamp(1, MAX_ROWS / tile)
}

/// Packs dense weights.
pub fn pack<S: Simd>(shape: GemmShape, weights: &FloatGemmWeights) -> PackedFloatGemm {
    let mut data = AlignedBytes::zeroed(4 * shape.len());
    let k = shape.depth();
    for first in (0..shape.n).step_by(shape.block) {
        let lanes = width::<S>(&shape, first) * S::LANES;
        let start = first / shape.block * shape.block_len;
        let channels = first..shape.n.min(first + shape.block);
        data.put_f32(4 * start, weights.bias[channels.clone()].iter().copied());
        for from in (0..k).step_by(STEPS_AT_ONCE) {
            for channel in channels.clone() {
                let run = &weights.data[channel * k..][from..k.min(from + STEPS_AT_ONCE)];
                let mut at = 4 * (start + channel - first + (1 + from) * lanes);
                for &weight in run {
                    data.put_f32(at, [weight]);
                    at += 4 * lanes;
                }
            }
        }
    }
    PackedFloatGemm { shape, data }
}

/// See [`FloatKernels::pack_matrix`](super::FloatKernels::pack_matrix).
///
/// # Safety
/// As there.
#[inline(always)]
pub unsafe fn pack_matrix<S: Simd>(call: &PackCall) {
    let shape = &call.shape;
    for block in call.first_block..call.first_block + call.blocks {
        let first = block * shape.block;
        let lanes = width::<S>(shape, first) * S::LANES;
        let channels = (shape.n - first).min(shape.block);
        // SAFETY: the block lies within `out`, the channels within `b`.
        unsafe {
            let out = call.out.add(block * shape.block_len);
            let b = call.b.add(first * call.n_step);
            std::ptr::write_bytes(out, 0, lanes);
            let out = out.add(lanes);
            if call.n_step == 1 {
                for k in 0..shape.depth() {
                    let (b, out) = (b.add(k * call.k_step), out.add(k * lanes));
                    for lane in (0..lanes).step_by(S::LANES) {
                        S::load_part(b.add(lane.min(channels)), channels.saturating_sub(lane).min(S::LANES))
                            .store(out.add(lane));
                    }
                }
                continue;
            }
            for k in 0..shape.depth() {
                let (b, out) = (b.add(k * call.k_step), out.add(k * lanes));
                for lane in 0..channels {
                    *out.add(lane) = *b.add(lane * call.n_step);
                }
                for lane in channels..lanes {
                    *out.add(lane) = 0.0;
                }
            }
        }
    }
}

/// A part of a call: some rows, some channels of which are computed.
pub struct Tile<'a> {
    /// The call.
    pub call: &'a FloatGemmCall<'a>,
    /// First row.
    pub row: usize,
    /// First channel.
    pub channel: usize,
    /// Biases and weights.
    pub weights: *const f32,
    /// Lowest and highest result.
    pub clip: (f32, f32),
}

/// The clip that a tile does in registers, and the functions that are left.
fn clipped(epilogue: Epilogue, residual: bool) -> ((f32, f32), Function, Function) {
    let open = (f32::NEG_INFINITY, f32::INFINITY);
    match (epilogue.before, epilogue.after) {
        (Function::Clip(low, high), after) => ((low, high), Function::Identity, after),
        (Function::Identity, Function::Clip(low, high)) if !residual => {
            ((low, high), Function::Identity, Function::Identity)
        }
        (before, after) => (open, before, after),
    }
}

/// A function on adjacent elements, in place.
pub type Apply = unsafe fn(&Function, *mut f32, usize);

/// Runs a call, tile by tile: `tile_of(vectors, rows)` computes one, of at most `most(vectors)` rows.
///
/// # Safety
/// As [`FloatKernels::gemm`](super::FloatKernels::gemm).
#[inline(always)]
pub unsafe fn gemm<S: Simd>(
    call: &FloatGemmCall,
    most: fn(usize) -> usize,
    tile_of: fn(usize, usize) -> unsafe fn(&Tile),
    apply: Apply,
) {
    let shape = &call.shape;
    let (clip, before, after) = clipped(call.epilogue, !call.residual.is_empty());
    let is_plain = call.residual.is_empty() && before == Function::Identity && after == Function::Identity;
    for block in call.first_block..call.first_block + call.blocks {
        let channel = block * shape.block;
        let vectors = width::<S>(shape, channel);
        // SAFETY: the block lies within the weights.
        let weights = unsafe { call.weights.add(block * shape.block_len) };
        // Tiles as alike as can be, rather than full ones and a small rest.
        let tiles = call.rows.len().div_ceil(most(vectors));
        let mut row = 0;
        for left in (1..=tiles).rev() {
            let rows = (call.rows.len() - row).div_ceil(left);
            // SAFETY: the call has the rows and the block the vectors; the rest is the caller's promise.
            unsafe { tile_of(vectors, rows)(&Tile { call, row, channel, weights, clip }) };
            if !is_plain {
                let len = (shape.n - channel).min(shape.block);
                // SAFETY: the tile has written these.
                unsafe { finish::<S>(call, row..row + rows, channel, len, (&before, &after), apply) };
            }
            row += rows;
        }
    }
}

/// Applies functions and a residual that registers did not hold, on results still in the nearest cache.
///
/// # Safety
/// As [`FloatKernels::gemm`](super::FloatKernels::gemm); the outputs have been written.
#[inline(always)]
unsafe fn finish<S: Simd>(
    call: &FloatGemmCall,
    rows: std::ops::Range<usize>,
    channel: usize,
    len: usize,
    (before, after): (&Function, &Function),
    apply: Apply,
) {
    for row in rows {
        // SAFETY: the outputs and residuals of a row cover every channel.
        unsafe {
            let out = call.outs[row].add(channel);
            if *before != Function::Identity {
                apply(before, out, len);
            }
            if let Some(residual) = call.residual.get(row) {
                let residual = residual.add(channel);
                vectors!(S, len, |i, count| {
                    store(load::<S>(out.add(i), count) + load::<S>(residual.add(i), count), out.add(i), count);
                });
            }
            if *after != Function::Identity {
                apply(after, out, len);
            }
        }
    }
}

/// `R` rows by `V` vectors, inputs broadcast one by one.
///
/// # Safety
/// As [`FloatKernels::gemm`](super::FloatKernels::gemm); the call has the rows and the block the vectors.
#[inline(always)]
pub unsafe fn tile<S: Simd, const R: usize, const V: usize>(tile: &Tile) {
    let call = tile.call;
    // SAFETY: the block has `V` vectors of biases and `V` for every input of the reduction; rows cover their segments.
    unsafe {
        let mut weights = tile.weights;
        let bias: [S; V] = std::array::from_fn(|v| S::load(weights.add(v * S::LANES)));
        let mut sums = [bias; R];
        weights = weights.add(V * S::LANES);
        let rows = call.rows.as_ptr().add(tile.row);
        for &offset in call.offsets {
            let rows: [*const f32; R] = std::array::from_fn(|r| (*rows.add(r)).add(offset));
            for k in 0..call.shape.segment {
                let w: [S; V] = std::array::from_fn(|v| S::load(weights.add(v * S::LANES)));
                for v in 0..V {
                    S::prefetch(weights.wrapping_add((AHEAD * V + v) * S::LANES));
                }
                weights = weights.add(V * S::LANES);
                for r in 0..R {
                    let x = S::splat(*rows[r].add(k));
                    for v in 0..V {
                        sums[r][v] = x.mul_add(w[v], sums[r][v]);
                    }
                }
            }
        }
        write(tile, sums);
    }
}

/// Writes a tile's sums, clipped.
///
/// # Safety
/// As [`tile`].
#[inline(always)]
pub unsafe fn write<S: Simd, const R: usize, const V: usize>(tile: &Tile, sums: [[S; V]; R]) {
    // SAFETY: the call has the outputs, each with room for every channel.
    unsafe {
        let left = tile.call.shape.n - tile.channel;
        let (low, high) = (S::splat(tile.clip.0), S::splat(tile.clip.1));
        for (r, sums) in sums.into_iter().enumerate() {
            let out = (*tile.call.outs.as_ptr().add(tile.row + r)).add(tile.channel);
            for (v, sum) in sums.into_iter().enumerate() {
                let count = (left - v * S::LANES).min(S::LANES);
                store(sum.max(low).min(high), out.add(v * S::LANES), count);
            }
        }
    }
}
