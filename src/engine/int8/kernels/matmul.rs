//! Products of two tensors that both depend on the input, as attention has them: the second operand is packed as weights are, then
//! the set's own dense kernel runs over the rows of the first.

use super::behind::Behind;
use super::step::{MatMul, Step, Work};
use super::walk::Part;
use super::{Finish, GemmCall, Kernels, MAX_ROWS, Matrix};

/// A thread's part of a batch of products: some of them, or some rows of each where there are fewer than threads.
///
/// # Safety
/// As [`run`](super::run::run).
pub unsafe fn run(step: &Step, kernels: &dyn Kernels, arena: *mut i8, part: Part) {
    let Work::MatMul(matmul) = &step.work else { return };
    let count = matmul.batches.axes.iter().map(|axis| axis.0).product::<usize>();
    let (batches, rows) =
        if count < part.count { (0..count, part.range(matmul.m)) } else { (part.range(count), 0..matmul.m) };
    if rows.is_empty() {
        return;
    }
    for batch in batches {
        let mut starts = matmul.places.map(|place| place.offset);
        let mut rest = batch;
        for (len, steps) in matmul.batches.axes.iter().rev() {
            let index = rest % len;
            rest /= len;
            starts.iter_mut().zip(steps).for_each(|(start, step)| *start += index * step);
        }
        // SAFETY: the plan laid both operands and the result out inside the arena, apart from one another.
        unsafe {
            let places = (arena.add(starts[0]).cast_const(), arena.add(starts[1]).cast_const(), arena.add(starts[2]));
            product(matmul, step.table.as_deref(), kernels, places, rows.clone());
        }
    }
}

/// One product of the batch.
///
/// # Safety
/// The places cover the operands and the result.
unsafe fn product(
    matmul: &MatMul,
    table: Option<&[i8; 256]>,
    kernels: &dyn Kernels,
    (a, b, out): (*const i8, *const i8, *mut i8),
    rows: std::ops::Range<usize>,
) {
    let MatMul { k, n, b_steps: steps, zeros, scale, .. } = *matmul;
    // SAFETY: the caller's promise.
    let packed = unsafe { kernels.pack_matrix(&Matrix { k, n, data: b, steps, zeros, scale }) };
    let most = kernels.gemm_rows(&packed).clamp(1, MAX_ROWS);
    let mut behind = table.map(|table| Behind::new(table, kernels.bytes()));
    let tiles = rows.len().div_ceil(most);
    for tile in 0..tiles {
        let first = rows.start + rows.len() * tile / tiles;
        let count = rows.start + rows.len() * (tile + 1) / tiles - first;
        // Rows beyond `count` are not read.
        let x: [*const i8; MAX_ROWS] =
            std::array::from_fn(|row| a.wrapping_add((first + row.min(count - 1)) * matmul.a_row));
        let y: [*mut i8; MAX_ROWS] =
            std::array::from_fn(|row| out.wrapping_add((first + row.min(count - 1)) * matmul.out_row));
        let call = GemmCall {
            packed: &packed,
            finish: Finish::Bytes(matmul.requant),
            offsets: &[0],
            first_block: 0,
            blocks: packed.blocks(),
            rows: &x[..count],
            outs: &y[..count],
        };
        // SAFETY: rows and results lie inside the operands, which do not overlap.
        unsafe { kernels.gemm(&call) };
        if let Some(behind) = &mut behind {
            // SAFETY: these rows have just been written.
            y[..count].iter().for_each(|y| unsafe { behind.push(*y, n) });
        }
    }
    if let Some(mut behind) = behind {
        // SAFETY: as above.
        unsafe { behind.flush() };
    }
}
