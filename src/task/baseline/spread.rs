//! Robust spread of a stream of residuals, in constant memory.

use serde::{Deserialize, Serialize};

/// Standard deviations in a median absolute deviation of a normal distribution.
pub(super) const SIGMA_PER_MAD: f64 = 1.4826;

/// A larger residual counts as this one: what is kept is held in single precision.
pub(super) const LARGEST: f64 = 1e30;

/// Absolute residuals beyond this many mean ones count as that many.
const CLIP: f64 = 6.0;

/// Median of absolute residuals, followed one by one: a step up or down, the smaller the more has
/// been seen. Half of the residuals
/// may be anything without moving it far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Spread {
    median: f64,
    mean: f64,
    count: f64,
}

impl Spread {
    /// Of a sample, as a beginning.
    pub(super) fn of(residuals: &mut [f64]) -> Spread {
        residuals.iter_mut().for_each(|r| *r = r.abs());
        residuals.sort_by(f64::total_cmp);
        let median = quantile(residuals, 0.5);
        let most = CLIP * quantile(residuals, 0.75).max(median);
        let mean = residuals.iter().map(|r| if most > 0.0 { r.min(most) } else { *r }).sum::<f64>();
        Spread { median, mean: mean / residuals.len().max(1) as f64, count: residuals.len() as f64 }
    }

    /// Counts a residual in, which weighs `share` at least.
    pub(super) fn add(&mut self, residual: f64, share: f64) {
        let size = residual.abs();
        self.count += 1.0;
        let share = share.max(1.0 / self.count).min(1.0);
        let most = CLIP * self.mean;
        let clipped = if self.mean > 0.0 { size.min(most) } else { size };
        self.mean += share * (clipped - self.mean);
        let step = 2.0 * self.mean * share;
        self.median = (self.median + if size > self.median { step } else { -step }).max(0.0);
    }

    /// In standard deviations of a normal distribution with this median; 0 where more than half of the residuals are 0.
    pub(super) fn sigma(&self) -> f64 {
        SIGMA_PER_MAD * self.median
    }
}

/// The `q` quantile of sorted values; 0 of none.
pub(super) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let index = (sorted.len().saturating_sub(1) as f64 * q).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}

/// The median of values, which are sorted for it; 0 of none.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    quantile(values, 0.5)
}
