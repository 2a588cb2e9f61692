//! Products of two tensors that both depend on the input, as attention has them: the second operand is packed as weights are, then
//! the set's own dense kernel runs over the rows of the first.

use super::behind::Behind;
use super::step::{MatMul, Step, Work};
use super::walk::Part;
use super::{Finish, GemmCall, GemmWeights, Kernels, MAX_ROWS};

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
    let mut packer = Packer::new(matmul);
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
            packer.product(step.table.as_deref(), kernels, places, rows.clone());
        }
    }
}

/// The second operand in the order of weights.
struct Packer<'a> {
    matmul: &'a MatMul,
    /// `[N][K]`.
    data: Vec<i8>,
    zeros: Vec<i8>,
    bias: Vec<i32>,
    scale: Vec<f32>,
}

impl<'a> Packer<'a> {
    fn new(matmul: &'a MatMul) -> Self {
        Packer {
            matmul,
            data: vec![0; matmul.n * matmul.k],
            zeros: vec![matmul.zeros[1] as i8; matmul.n],
            bias: vec![0; matmul.n],
            scale: vec![matmul.scale; matmul.n],
        }
    }

    /// One product of the batch.
    ///
    /// # Safety
    /// The places cover the operands and the result.
    unsafe fn product(
        &mut self,
        table: Option<&[i8; 256]>,
        kernels: &dyn Kernels,
        (a, b, out): (*const i8, *const i8, *mut i8),
        rows: std::ops::Range<usize>,
    ) {
        // SAFETY: the caller's promise.
        unsafe { self.gather(b) };
        let matmul = self.matmul;
        let packed = kernels.pack_gemm(&GemmWeights {
            n: matmul.n,
            segments: 1,
            segment: matmul.k,
            data: &self.data,
            zeros: &self.zeros,
            bias: &self.bias,
            scale: &self.scale,
            x_zero: matmul.zeros[0],
            floats: None,
        });
        let most = kernels.gemm_rows(&packed).clamp(1, MAX_ROWS);
        let mut behind = table.map(|table| Behind::new(table, kernels.bytes()));
        let tiles = rows.len().div_ceil(most);
        for tile in 0..tiles {
            let first = rows.start + rows.len() * tile / tiles;
            let count = rows.start + rows.len() * (tile + 1) / tiles - first;
            // SAFETY: the caller's promise; rows beyond `count` are not read.
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
                y[..count].iter().for_each(|y| unsafe { behind.push(*y, matmul.n) });
            }
        }
        if let Some(mut behind) = behind {
            // SAFETY: as above.
            unsafe { behind.flush() };
        }
    }

    /// Columns of the second operand, less their zero point, one behind the other.
    ///
    /// # Safety
    /// `b` covers the operand.
    unsafe fn gather(&mut self, b: *const i8) {
        let MatMul { k, n, b_steps: [term, column], .. } = *self.matmul;
        // Blocks of columns, so that reads along either axis stay within a few cache lines.
        const BLOCK: usize = 64;
        for first in (0..n).step_by(BLOCK) {
            for at in 0..k {
                for c in first..(first + BLOCK).min(n) {
                    // SAFETY: the caller's promise.
                    let byte = unsafe { *b.add(c * column + at * term) };
                    self.data[c * k + at] = byte;
                }
            }
        }
    }
}
