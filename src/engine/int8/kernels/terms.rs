//! Terms added to sums of products behind the inner loops.

use super::{AlignedBytes, DepthwiseWeights, GemmWeights, Terms};

impl Terms {
    /// Of dense weights; channel `c` is value `place(c)` of `len`. `zeros` are the zero points that the
    /// set's weights do not hold: `[n]`, or empty.
    pub fn of_gemm(weights: &GemmWeights, len: usize, place: impl Fn(usize) -> usize, zeros: &[i8]) -> Self {
        let mut terms = Terms::default();
        if zeros.iter().any(|&z| z != 0) {
            terms.zeros = table(weights.n, len, &place, |c| -i32::from(zeros[c]));
        }
        if let Some(bias) = weights.floats {
            terms.sums = table(weights.n, len, &place, |c| weights.sum(c).wrapping_neg());
            terms.bias = table(weights.n, len, &place, |c| bias[c].to_bits() as i32);
        }
        terms
    }

    /// Of `len` channels whose weights have one zero point.
    #[cfg(target_arch = "aarch64")]
    pub fn of_zero(zero: i32, len: usize) -> Self {
        let mut terms = Terms::default();
        if zero != 0 {
            terms.zeros = AlignedBytes::zeroed(4 * len);
            terms.zeros.put_i32(0, std::iter::repeat_n(-zero, len));
        }
        terms
    }

    /// Of depthwise weights, which always hold their zero points; every value `i` of `len` is that of channel `channel(i)`.
    pub fn of_depthwise(weights: &DepthwiseWeights, len: usize, channel: impl Fn(usize) -> Option<usize>) -> Self {
        let mut terms = Terms::default();
        if let Some(bias) = weights.floats {
            terms.sums = AlignedBytes::zeroed(4 * len);
            terms.bias = AlignedBytes::zeroed(4 * len);
            for (i, c) in (0..len).filter_map(|i| Some((i, channel(i)?))) {
                terms.sums.put_i32(4 * i, [weights.sum(c).wrapping_neg()]);
                terms.bias.put_f32(4 * i, [bias[c]]);
            }
        }
        terms
    }
}

fn table(n: usize, len: usize, place: &impl Fn(usize) -> usize, value: impl Fn(usize) -> i32) -> AlignedBytes {
    let mut all = AlignedBytes::zeroed(4 * len);
    for channel in 0..n {
        all.put_i32(4 * place(channel), [value(channel)]);
    }
    all
}
