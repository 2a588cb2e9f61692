//! What is added to sums of products behind the inner loops.

use super::{AlignedBytes, DepthwiseWeights, GemmWeights};

/// A value for each output channel and term, in the order in which a set's sums lie; a block's may be read as whole vectors.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// `−zero[c]`, i32: times the sum of a row's inputs. Empty where no weight has a zero point, or the set's weights hold
    /// it.
    pub zeros: AlignedBytes,
    /// `−Σ (w[c] − zero[c])`, i32: times the input's zero point. Empty where results are bytes.
    pub sums: AlignedBytes,
    /// f32. Empty where results are bytes.
    pub bias: AlignedBytes,
}

impl Terms {
    /// Of dense weights; channel `c` is value `place(c)` of `len`. `zeros` is false if the set's weights hold their zero
    /// points.
    pub fn of_gemm(weights: &GemmWeights, len: usize, place: impl Fn(usize) -> usize, zeros: bool) -> Self {
        let mut terms = Terms::default();
        if zeros && weights.zeros.iter().any(|&z| z != 0) {
            terms.zeros = table(weights.n, len, &place, |c| -i32::from(weights.zero(c)));
        }
        if let Some(bias) = weights.floats {
            terms.sums = table(weights.n, len, &place, |c| weights.sum(c).wrapping_neg());
            terms.bias = table(weights.n, len, &place, |c| bias[c].to_bits() as i32);
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
