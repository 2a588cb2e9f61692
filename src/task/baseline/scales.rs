//! Means over 1, 2, 4, 8, … readings: how much they vary, and how much one depends on the one before.
//!
//! Readings that follow each other closely depend on each other, and a chart that takes them for independent alarms all the time.
//! Means over long enough blocks do not. Until enough such blocks were seen, nothing can be said of the level.

use serde::{Deserialize, Serialize};

/// Blocks of up to 2^15 readings.
const SCALES: usize = 16;

/// Blocks that make a scale known, for the working scale and for what bounds it.
const LEAST_BLOCKS: f64 = 24.0;
const LEAST_BOUND: f64 = 8.0;

/// Blocks with a smaller correlation from one to the next are taken for independent.
const INDEPENDENT: f64 = 0.25;

/// Blocks with a larger one follow each other wherever they go.
const HOPELESS: f64 = 0.92;

/// Variance by which a scale grows after a deviation that was none of a fault, or was accepted.
const WIDER: f64 = 1.3;

/// Blocks this many scales above the working one say how much the level itself wanders.
const WANDER: usize = 5;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Scale {
    /// The first half of the next block of the scale above.
    half: Option<f64>,
    last: f64,
    count: f64,
    square: f64,
    product: f64,
}

/// Block means of residuals over all scales.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Scales {
    scales: Vec<Scale>,
}

/// The scale at which blocks are independent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Working {
    /// Readings of a block are 2 to this power.
    pub(super) scale: usize,
    /// Standard deviation of its block means, with a margin for how few were seen and for how much they depend on each other.
    pub(super) sigma: f64,
    /// The margin for their dependence, from 1.
    pub(super) dependence: f64,
    /// Standard deviation of the means over much longer blocks: the level's own.
    pub(super) wander: f64,
}

impl Default for Scales {
    fn default() -> Self {
        Scales { scales: vec![Scale::default(); SCALES] }
    }
}

impl Scales {
    /// Counts a residual in, which weighs `share` at least.
    pub(super) fn add(&mut self, residual: f64, share: f64) {
        let (mut block, mut share) = (residual, share);
        for scale in &mut self.scales {
            scale.count += 1.0;
            scale.square += (block * block - scale.square) * share.max(1.0 / scale.count).min(1.0);
            if scale.count > 1.0 {
                scale.product += (block * scale.last - scale.product) * share.max(1.0 / (scale.count - 1.0)).min(1.0);
            }
            share *= 2.0;
            scale.last = block;
            match scale.half.take() {
                Some(first) => block = 0.5 * (first + block),
                None => {
                    scale.half = Some(block);
                    return;
                }
            }
        }
    }

    /// The smallest scale whose blocks are independent of each other, else the largest that is known, with its dependence reckoned
    /// with; `None` where too few blocks were seen, or none is independent in any way.
    ///
    /// No smaller than `smallest`.
    pub(super) fn working(&self, smallest: usize) -> Option<Working> {
        let known = self.scales.iter().take_while(|scale| scale.count >= LEAST_BLOCKS).count();
        let largest = known.checked_sub(1)?;
        let scale = (smallest..known)
            .find(|&i| self.correlation(i) < INDEPENDENT)
            .or((largest >= smallest).then_some(largest))?;
        let correlation = self.correlation(scale);
        (correlation < HOPELESS).then(|| self.at(scale, correlation))
    }

    /// Correlation of a block of a scale with the next one.
    fn correlation(&self, scale: usize) -> f64 {
        self.scales.get(scale).map_or(0.0, |s| if s.square > 0.0 { s.product / s.square } else { 0.0 })
    }

    /// After a deviation that was none of this: the level varies by more than was known.
    pub(super) fn widen(&mut self, from: usize) {
        for scale in self.scales.iter_mut().skip(from) {
            scale.square *= WIDER;
            scale.product *= WIDER;
        }
    }

    fn at(&self, scale: usize, correlation: f64) -> Working {
        // The standard deviation of a sum of dependent blocks, as far as a first order describes it.
        let dependence =
            if correlation < INDEPENDENT { 1.0 } else { ((1.0 + correlation) / (1.0 - correlation)).sqrt() };
        let sigma = |s: &Scale| s.square.sqrt() * (1.0 + 2.0 / s.count.sqrt());
        let bounds = self.scales.iter().skip(scale + WANDER).filter(|s| s.count >= LEAST_BOUND);
        let wander = bounds.map(sigma).fold(0.0, f64::max);
        Working { scale, sigma: dependence * self.scales.get(scale).map_or(0.0, sigma), dependence, wander }
    }
}
