//! Bounds on sums of products, known from the weights alone.

use super::{DepthwiseWeights, GemmWeights};

/// Weights whose products are to be added.
#[derive(Clone, Copy, Default)]
pub(super) struct Group {
    positive: i64,
    negative: i64,
}

impl Group {
    /// A group of these weights.
    pub(super) fn of<W: Into<i64>>(weights: impl IntoIterator<Item = W>) -> Self {
        weights.into_iter().map(W::into).fold(Group::default(), |group, weight| Group {
            positive: group.positive + weight.max(0),
            negative: group.negative - weight.min(0),
        })
    }

    /// The least and the most that the sum of the products can be, whatever the inputs.
    pub(super) fn range(self) -> (i64, i64) {
        (-128 * self.positive - 127 * self.negative, 127 * self.positive + 128 * self.negative)
    }

    /// Test for a sum of products that fits 16 bits, whatever the inputs.
    pub(super) fn fits(self) -> bool {
        let (least, most) = self.range();
        least >= i64::from(i16::MIN) && most <= i64::from(i16::MAX)
    }
}

/// Test for a channel whose results, before they become bytes, fit 16 bits together with any zero point, whatever the inputs.
fn is_tame(start: i32, weights: impl IntoIterator<Item = i16>, scale: f32) -> bool {
    let (least, most) = Group::of(weights).range();
    let start = i64::from(start);
    // A sum that wraps is no larger than 2^31 either.
    let most = (start + most).abs().max((start + least).abs()).min(1 << 31);
    most as f64 * f64::from(scale.abs()) < 32_000.0
}

impl GemmWeights<'_> {
    /// Test for weights all channels of which are tame: their results fit 16 bits together with any zero point.
    pub(super) fn are_tame(&self) -> bool {
        let k = self.segments * self.segment;
        let row = |c: usize| (0..k).map(move |i| self.weight(c, i));
        (0..self.n).all(|c| is_tame(self.start(c, self.x_zero), row(c), self.scale[c]))
    }
}

impl DepthwiseWeights<'_> {
    /// As [`GemmWeights::are_tame`].
    pub(super) fn are_tame(&self) -> bool {
        let taps = |c: usize| (0..self.kh * self.kw).map(move |tap| self.weight(c, tap));
        (0..self.channels).all(|c| is_tame(self.start(c, self.x_zero), taps(c), self.scale[c]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_reached_and_not_exceeded() {
        let weights = [3i8, -128, 127, 0, -1];
        let extreme = |high: bool| -> i64 {
            let best = |&w: &i8| if (w > 0) == high { 127 * i64::from(w) } else { -128 * i64::from(w) };
            weights.iter().map(best).sum()
        };
        assert_eq!(Group::of(weights).range(), (extreme(false), extreme(true)));
        assert!(Group::of([127, 127]).fits() && !Group::of([127, 127, 4]).fits());
    }

    #[test]
    fn tame_channels_fit_16_bits() {
        let gemm = |data: &[i8], bias: i32, scale: f32| {
            let (bias, scale) = ([bias], [scale]);
            let dims = GemmWeights { n: 1, segments: 1, segment: data.len(), ..GemmWeights::default() };
            GemmWeights { data, bias: &bias, scale: &scale, ..dims }.are_tame()
        };
        assert!(gemm(&[1], 0, 249.0) && !gemm(&[1], 0, 250.1), "128 · 250 is 32,000");
        assert!(gemm(&[0], 31_999, 1.0) && !gemm(&[0], -32_000, 1.0));
        assert!(gemm(&[127; 1000], i32::MAX, 1e-5), "a sum that wraps is below 2^31");
        assert!(!gemm(&[127; 1000], i32::MAX, 2e-5));
        assert!(!gemm(&[1], 0, f32::INFINITY) && !gemm(&[1], 0, f32::NAN));
    }

    #[test]
    fn one_wild_channel_makes_depthwise_weights_wild() {
        let depthwise = |scale: &[f32]| {
            let data = [1i8, 2, 3, 4];
            let dims = DepthwiseWeights { channels: 2, kh: 2, kw: 1, ..DepthwiseWeights::default() };
            DepthwiseWeights { data: &data, bias: &[0, 0], scale, x_zero: 5, ..dims }.are_tame()
        };
        assert!(depthwise(&[1.0, 1.0]) && !depthwise(&[1.0, 100.0]));
    }
}
