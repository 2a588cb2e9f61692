//! Dense products with `tdpbssd`.
//!
//! Output channels come in blocks of 64, four tiles of 16; the last block has as many tiles as it needs. A block is its
//! starting sums, its scales, and then, for every step of 64 input bytes of a segment, a tile of weights for each tile of
//! channels: 16 rows of 4 weights of each channel. Two tiles of rows by two of channels are multiplied at a time.

use std::arch::x86_64::*;
use std::cell::RefCell;

use super::super::aligned::Scratch;
use super::super::avx512vnni::output::{LANES, Results, may_overflow, store_floats};
use super::super::avx512vnni::{BLOCK, VECTORS as TILES, packed, place, vectors};
use super::super::{AlignedBytes, GemmCall, GemmWeights, PackedGemm};
use super::tiles::{self, BYTES, Product, ROWS, SUMS_ROW, TILE, product};

/// Most rows of a call: two tiles of them.
pub fn rows(_: &PackedGemm) -> usize {
    2 * ROWS
}

/// Packs dense weights.
pub fn pack(weights: &GemmWeights) -> PackedGemm {
    let GemmWeights { n, segments, segment, .. } = *weights;
    let steps = segments * segment.div_ceil(BYTES);
    let block_bytes = n.div_ceil(LANES).min(TILES) * (2 * BYTES + steps * TILE);
    let mut data = AlignedBytes::zeroed(n.div_ceil(BLOCK) * block_bytes);
    let mut variant = 0;
    for channel in 0..n {
        let (block, within) = (channel / BLOCK, channel % BLOCK);
        let tiles = vectors(n, block * BLOCK);
        let (tile, lane) = place(within, tiles, weights.floats.is_some());
        let at = |row: usize| block * block_bytes + (row * tiles + tile) * BYTES + lane * 4;
        let start = weights.start(channel, weights.x_zero);
        data.put_i32(at(0), [start]);
        data.put_f32(at(1), [weights.scale[channel]]);
        let first = block * block_bytes + 2 * tiles * BYTES + tile * TILE + lane * 4;
        let taps = &weights.data[channel * segments * segment..][..segments * segment];
        let steps = taps.chunks_exact(segment).flat_map(|run| run.chunks(BYTES));
        for (step, bytes) in steps.enumerate() {
            let tile = &mut data.as_mut_slice()[first + step * tiles * TILE..];
            let (fours, rest) = bytes.as_chunks::<4>();
            for (four, to) in fours.iter().zip(tile.chunks_mut(BYTES)) {
                to[..4].copy_from_slice(&four.map(|w| w as u8));
            }
            for (w, to) in rest.iter().zip(tile.iter_mut().skip(fours.len() * BYTES)) {
                *to = *w as u8;
            }
        }
        variant |= u8::from(may_overflow(start, weights.magnitudes(channel), weights.scale[channel]));
    }
    packed(weights, weights.zeros, block_bytes, data, variant)
}

/// Sums of two tiles of rows by a block of channels.
type Sums = Scratch<{ 2 * ROWS * SUMS_ROW }>;

/// See [`Kernels::gemm`](super::super::Kernels::gemm).
///
/// # Safety
/// As there.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub unsafe fn gemm(call: &GemmCall) {
    // SAFETY: the processor has the set.
    unsafe { tiles::configure() };
    let count = call.rows.len();
    let tile = Product {
        offsets: call.offsets,
        steps: call.packed.segment.div_ceil(BYTES),
        rows: call.rows[0],
        stride: 0,
        second: 0,
        weights: std::ptr::null(),
        step_bytes: 0,
        sums: std::ptr::null_mut(),
    };
    if let Some(stride) = distance(call.rows) {
        // The second tile ends with the last row: where there are fewer than 32, it begins among those of the first.
        let tile = Product { stride, second: stride.wrapping_mul(count.saturating_sub(ROWS)), ..tile };
        let place = |row: usize| if row < ROWS { row } else { row + 2 * ROWS - count };
        // SAFETY: the caller's promise: a single row is read sixteen times, or all rows are the call's.
        unsafe { blocks(call, tile, call.packed.segment % BYTES, place) };
    } else {
        // SAFETY: as above.
        unsafe { together(call, tile) };
    }
}

/// The distance of rows that fill a tile and lie evenly, and of a single one from itself.
fn distance(rows: &[*const i8]) -> Option<usize> {
    let between = |pair: &[*const i8]| pair[1].addr().wrapping_sub(pair[0].addr());
    match rows {
        [_] => Some(0),
        [first, second, ..] if rows.len() >= ROWS => {
            let distance = between(&[*first, *second]);
            rows.windows(2).all(|pair| between(pair) == distance).then_some(distance)
        }
        _ => None,
    }
}

/// [`blocks`] on copies of rows that lie unevenly or do not fill a tile.
///
/// # Safety
/// As [`gemm`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn together(call: &GemmCall, tile: Product) {
    thread_local!(static COPIES: RefCell<AlignedBytes> = RefCell::default());
    COPIES.with_borrow_mut(|copies| {
        let steps = call.offsets.len() * tile.steps;
        let stride = steps * BYTES;
        if copies.len() < 2 * ROWS * stride {
            *copies = AlignedBytes::zeroed(2 * ROWS * stride);
        }
        let mut to = copies.as_mut_ptr();
        for &row in call.rows {
            for &offset in call.offsets {
                for first in (0..call.packed.segment).step_by(BYTES) {
                    let inside = u64::MAX >> BYTES.saturating_sub(call.packed.segment - first);
                    // SAFETY: the row covers the segment; the copies have the steps of all segments of each row.
                    unsafe {
                        let bytes = _mm512_maskz_loadu_epi8(inside, row.add(offset + first));
                        _mm512_store_si512(to.cast(), bytes);
                        to = to.add(BYTES);
                    }
                }
            }
        }
        // The segments of a row are one run now.
        let rows = copies.as_ptr().cast();
        let tile = Product { offsets: &[0], steps, rows, stride, second: stride * ROWS, ..tile };
        // SAFETY: the caller's promise; there are copies for two tiles.
        unsafe { blocks(call, tile, 0, |row| row) };
    });
}

/// Multiplies the rows of `tile` with every block; the sums of row `i` of the call are in row `place(i)` of the tiles. The last step
/// of a segment has `tail` bytes; 0 where it is full, or filled with zeros.
///
/// # Safety
/// As [`gemm`]; the rows of one tile may be read, or of two where the call has more rows than a tile.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
unsafe fn blocks(call: &GemmCall, tile: Product, tail: usize, place: impl Fn(usize) -> usize + Copy) {
    let packed = call.packed;
    let (mut sums, mut row_sums) = (Sums::new(), Sums::new());
    let sums = sums.as_mut_ptr().cast::<i32>();
    let row_sums = (!packed.terms.zeros.is_empty()).then(|| {
        let row_sums = row_sums.as_mut_ptr().cast::<i32>();
        // SAFETY: the caller's promise.
        unsafe { add_rows(&Product { sums: row_sums, ..tile }, call.rows.len().div_ceil(ROWS), tail) };
        row_sums.cast_const()
    });
    let results = Results::new(&call.finish, packed.variant != 0);
    for block in call.first_block..call.first_block + call.blocks {
        let tiles = vectors(packed.n, block * BLOCK);
        // SAFETY: the block is in `data`.
        let weights = unsafe { packed.data.as_ptr().add(block * packed.block_bytes + 2 * tiles * BYTES) };
        for first in (0..tiles).step_by(2) {
            // SAFETY: as above; the caller's promise for the rows.
            unsafe {
                let (weights, sums) = (weights.add(first * TILE), sums.add(first * LANES));
                let tile = Product { weights, step_bytes: tiles * TILE, sums, ..tile };
                product(&tile, call.rows.len().div_ceil(ROWS), tiles - first);
            }
        }
        // SAFETY: the tiles have just been written.
        unsafe {
            match tiles {
                1 => finish::<1>(call, block, sums, place, row_sums, &results),
                2 => finish::<2>(call, block, sums, place, row_sums, &results),
                3 => finish::<3>(call, block, sums, place, row_sums, &results),
                _ => finish::<4>(call, block, sums, place, row_sums, &results),
            }
        }
    }
}

/// Sums of the bytes of each row, in the 16 lanes of the first tile of its sums: products with tiles of ones.
///
/// # Safety
/// As [`product`](fn@product), `tail` as in [`blocks`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn add_rows(tile: &Product, row_tiles: usize, tail: usize) {
    let full = tile.steps - usize::from(tail > 0);
    let weights = ones(BYTES);
    if full > 0 {
        let weights = weights.as_ptr().cast();
        // SAFETY: the caller's promise; every step has the same tile of weights.
        unsafe { product(&Product { steps: full, weights, step_bytes: 0, ..*tile }, row_tiles, 1) };
    }
    if tail > 0 {
        let weights = ones(tail);
        let mut rest = Sums::new();
        let rest = rest.as_mut_ptr().cast::<i32>();
        let sums = if full > 0 { rest } else { tile.sums };
        // SAFETY: as above.
        unsafe {
            let (rows, weights) = (tile.rows.add(full * BYTES), weights.as_ptr().cast());
            product(&Product { rows, steps: 1, weights, step_bytes: 0, sums, ..*tile }, row_tiles, 1);
        }
        if full > 0 {
            for row in 0..row_tiles * ROWS {
                // SAFETY: both have just been written.
                unsafe {
                    let (sum, rest) = (tile.sums.add(row * BLOCK).cast::<__m512i>(), rest.add(row * BLOCK).cast());
                    *sum = _mm512_add_epi32(*sum, *rest);
                }
            }
        }
    }
}

/// A tile of weights that are 1 for the first `bytes` bytes of a step, and 0 for the others.
#[target_feature(enable = "avx512f")]
#[inline]
fn ones(bytes: usize) -> [__m512i; ROWS] {
    std::array::from_fn(|row| {
        let inside = bytes.saturating_sub(4 * row).min(4);
        _mm512_set1_epi32(if inside == 0 { 0 } else { 0x0101_0101 >> (8 * (4 - inside)) })
    })
}

/// Results of a block of `V` tiles.
///
/// # Safety
/// As [`gemm`]; `sums` has the sums of row `i` in row `place(i)`, and so has `row_sums`, in 16 lanes each.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
unsafe fn finish<const V: usize>(
    call: &GemmCall,
    block: usize,
    sums: *const i32,
    place: impl Fn(usize) -> usize,
    row_sums: Option<*const i32>,
    results: &Results,
) {
    let packed = call.packed;
    // SAFETY: the block is in `data`, which starts on a cache line and begins with starting sums and scales.
    let vector = |row: usize, v: usize| unsafe {
        packed.data.as_ptr().add(block * packed.block_bytes + (row * V + v) * BYTES).cast::<__m512i>()
    };
    // SAFETY: as above.
    let starts: [_; V] = std::array::from_fn(|v| unsafe { *vector(0, v) });
    // SAFETY: as above.
    let scales: [_; V] = std::array::from_fn(|v| unsafe { *vector(1, v).cast::<__m512>() });
    // SAFETY: the caller's promise; terms have a value for every channel of every block.
    let sum = |row: usize, v: usize| unsafe {
        let sum = _mm512_load_si512(sums.add(place(row) * BLOCK + v * LANES).cast());
        let sum = _mm512_add_epi32(sum, starts[v]);
        let Some(row_sums) = row_sums else { return sum };
        let row_sum = _mm512_load_si512(row_sums.add(place(row) * BLOCK).cast());
        let zero = *packed.terms.zeros.as_ptr().cast::<__m512i>().add(block * TILES + v);
        _mm512_add_epi32(sum, _mm512_mullo_epi32(zero, row_sum))
    };
    let channels = (packed.n - block * BLOCK).min(BLOCK);
    match results {
        Results::Bytes(output) => {
            let mask = u64::MAX >> (BLOCK - channels);
            let (fours, rest) = call.outs.as_chunks::<4>();
            for (i, outs) in fours.iter().enumerate() {
                let sums: [[_; V]; 4] = std::array::from_fn(|r| std::array::from_fn(|v| sum(4 * i + r, v)));
                // SAFETY: each output has room for every channel of the block.
                unsafe { output.store::<4, V>(&sums, &scales, &outs.map(|out| out.add(block * BLOCK)), mask) };
            }
            for (i, out) in rest.iter().enumerate() {
                let sums = std::array::from_fn(|v| sum(4 * fours.len() + i, v));
                // SAFETY: as above.
                unsafe { output.store::<1, V>(&[sums], &scales, &[out.add(block * BLOCK)], mask) };
            }
        }
        Results::Floats(floats) => {
            for (row, out) in call.outs.iter().enumerate() {
                for (v, &scale) in scales.iter().enumerate() {
                    let at = block * BLOCK + v * LANES;
                    // SAFETY: as above; the weights were packed for floats.
                    unsafe {
                        let real = floats.real(sum(row, v), scale, &packed.terms, at);
                        store_floats(real, out.cast::<f32>().add(at), channels - v * LANES);
                    }
                }
            }
        }
    }
}
