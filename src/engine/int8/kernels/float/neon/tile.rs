//! The tile of dense products with inputs by lane: four inputs of a row are loaded once and multiplied one after another, so
//! that eight rows of eight channels load 16 vectors for 64 products.

use std::arch::aarch64::*;

use super::super::gemm::{Tile, write};
use super::quad::Quad;

/// Inputs that are loaded at once.
const STEP: usize = 4;

/// `R` rows by `V` vectors; `S` is the set's vector.
///
/// # Safety
/// As the generic one's.
#[inline(always)]
#[expect(clippy::extra_unused_type_parameters, reason = "tiles of every set have it")]
pub unsafe fn tile<S, const R: usize, const V: usize>(tile: &Tile) {
    let call = tile.call;
    // SAFETY: the block has `V` vectors of biases and `V` for every input of the reduction; rows cover their segments.
    unsafe {
        let mut weights = tile.weights;
        let bias: [float32x4_t; V] = std::array::from_fn(|v| vld1q_f32(weights.add(v * 4)));
        let mut sums = [bias; R];
        weights = weights.add(V * 4);
        let rows = call.rows.as_ptr().add(tile.row);
        let whole = call.shape.segment / STEP * STEP;
        for &offset in call.offsets {
            let mut rows: [*const f32; R] = std::array::from_fn(|r| (*rows.add(r)).add(offset));
            for _ in 0..whole / STEP {
                let x: [float32x4_t; R] = std::array::from_fn(|r| vld1q_f32(rows[r]));
                for row in &mut rows {
                    *row = row.add(STEP);
                }
                lane::<R, V, 0>(&mut sums, &x, weights);
                lane::<R, V, 1>(&mut sums, &x, weights);
                lane::<R, V, 2>(&mut sums, &x, weights);
                lane::<R, V, 3>(&mut sums, &x, weights);
                weights = weights.add(STEP * V * 4);
            }
            for k in 0..call.shape.segment - whole {
                let x: [float32x4_t; R] = std::array::from_fn(|r| vld1q_dup_f32(rows[r].add(k)));
                lane::<R, V, 0>(&mut sums, &x, weights);
                weights = weights.add(V * 4);
            }
        }
        write(tile, sums.map(|sums| sums.map(Quad)));
    }
}

/// Products of the inputs in lane `LANE`, whose weights are the `LANE`th from `weights` on.
///
/// # Safety
/// The weights are there.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "a column of the sums")]
unsafe fn lane<const R: usize, const V: usize, const LANE: i32>(
    sums: &mut [[float32x4_t; V]; R],
    x: &[float32x4_t; R],
    weights: *const f32,
) {
    // SAFETY: the caller's promise.
    unsafe {
        for v in 0..V {
            let w = vld1q_f32(weights.add((LANE as usize * V + v) * 4));
            for r in 0..R {
                sums[r][v] = vfmaq_laneq_f32::<LANE>(sums[r][v], w, x[r]);
            }
        }
    }
}
