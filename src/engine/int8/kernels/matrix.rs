//! The second operand of a product whose operands both come with the inference, on its way to where weights would be.

use super::{GemmWeights, PackedGemm};

/// `[k][n]` bytes that are multiplied as weights are.
#[derive(Clone, Copy, Debug)]
pub struct Matrix {
    /// Terms of every sum.
    pub k: usize,
    /// Columns: channels of the result.
    pub n: usize,
    /// The first term of the first column.
    pub data: *const i8,
    /// Bytes between terms, and between columns.
    pub steps: [usize; 2],
    /// Zero points of the rows that it is multiplied with, and its own; each a byte's.
    pub zeros: [i32; 2],
    /// From sums to results, finite.
    pub scale: f32,
}

impl Matrix {
    /// Starting sum of a column whose bytes add up to `sum`, as [`GemmWeights::start`].
    pub fn start(&self, sum: i32) -> i32 {
        let sum = sum.wrapping_sub((self.k as i32).wrapping_mul(self.zeros[1]));
        0i32.wrapping_sub(self.zeros[0].wrapping_mul(sum))
    }

    /// Test for results that fit 16 bits together with any zero point, whatever the bytes; never true where
    /// [`GemmWeights::are_tame`] is not, but sometimes false where that looks closer.
    #[cfg(any(target_arch = "aarch64", test))]
    pub fn is_tame(&self) -> bool {
        let [x, w] = self.zeros.map(|zero| 128 + i64::from(zero.abs()));
        let most = (x * w).saturating_mul(self.k as i64).min(1 << 31);
        most as f64 * f64::from(self.scale.abs()) < 32_000.0
    }

    /// As weights, column by column.
    ///
    /// # Safety
    /// `data` covers what is described.
    pub unsafe fn gathered(&self, pack: impl FnOnce(&GemmWeights) -> PackedGemm) -> PackedGemm {
        // Blocks of columns, so that reads along either axis stay within a few cache lines.
        const BLOCK: usize = 64;
        let Matrix { k, n, steps: [term, column], .. } = *self;
        let mut data = vec![0; n * k];
        for first in (0..n).step_by(BLOCK) {
            for at in 0..k {
                for c in first..(first + BLOCK).min(n) {
                    // SAFETY: the caller's promise.
                    data[c * k + at] = unsafe { *self.data.add(c * column + at * term) };
                }
            }
        }
        pack(&GemmWeights {
            n,
            segments: 1,
            segment: k,
            data: &data,
            zeros: &vec![self.zeros[1] as i8; n],
            bias: &vec![0; n],
            scale: &vec![self.scale; n],
            x_zero: self.zeros[0],
            floats: None,
        })
    }
}
