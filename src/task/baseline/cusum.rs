//! Cumulative sums of block means beyond an allowance: slow drifts and small lasting changes.

use serde::{Deserialize, Serialize};

use super::scales::Working;

/// Deviation of a block, in its standard deviations, that adds nothing.
const ALLOWANCE: f64 = 0.75;

/// Sum at which the level has changed.
const DECISION: f64 = 14.0;

/// Sum from which on nothing is learnt.
const SUSPICION: f64 = 5.0;

/// A single block counts for no more: one outlier is no drift.
const MOST: f64 = 4.0;

/// Deviations of the level's own wandering that add nothing.
const WANDERS: f64 = 3.0;

/// Both sums, and how the deviation came about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Cusum {
    scale: usize,
    /// The block that has begun: sum and readings.
    block: (f64, u32),
    high: Side,
    low: Side,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Side {
    sum: f64,
    /// Sum of the means of the blocks since it was last 0, weighted by their number; and that number.
    weighted: f64,
    plain: f64,
    blocks: f64,
}

/// A level that has changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Change {
    /// Mean residual since it began, with its sign.
    pub(super) mean: f64,
    /// It grew all the time, instead of coming at once.
    pub(super) gradual: bool,
}

impl Cusum {
    /// Takes a residual; gives the change that it completes.
    pub(super) fn add(&mut self, residual: f64, working: &Working) -> Option<Change> {
        if self.scale != working.scale {
            *self = Cusum { scale: working.scale, ..Cusum::default() };
        }
        self.block.0 += residual;
        self.block.1 += 1;
        if self.block.1 < 1 << self.scale {
            return None;
        }
        let mean = self.block.0 / f64::from(self.block.1);
        self.block = (0.0, 0);
        if working.sigma <= 0.0 {
            return None;
        }
        let z = mean / working.sigma;
        let allowance = ALLOWANCE.max(WANDERS * working.wander / working.sigma);
        let found = [(&mut self.high, 1.0), (&mut self.low, -1.0)].into_iter().find_map(|(side, sign)| {
            side.add(sign * z, allowance)
                .then(|| Change { mean: sign * side.mean() * working.sigma, gradual: side.is_gradual() })
        });
        if found.is_some() {
            self.reset();
        }
        found
    }

    /// Something may be going on: what comes now is not yet what is usual.
    pub(super) fn is_suspicious(&self) -> bool {
        self.high.sum.max(self.low.sum) > SUSPICION
    }

    /// Forgets what was summed.
    pub(super) fn reset(&mut self) {
        *self = Cusum { scale: self.scale, ..Cusum::default() };
    }
}

impl Side {
    fn add(&mut self, z: f64, allowance: f64) -> bool {
        self.sum += z.min(allowance + MOST) - allowance;
        if self.sum <= 0.0 {
            *self = Side::default();
            return false;
        }
        self.blocks += 1.0;
        self.plain += z;
        self.weighted += z * self.blocks;
        self.sum >= DECISION
    }

    fn mean(&self) -> f64 {
        self.plain / self.blocks.max(1.0)
    }

    /// The slope of a line through the blocks explains most of where they are.
    fn is_gradual(&self) -> bool {
        let n = self.blocks;
        if n < 3.0 {
            return false;
        }
        let centre = 0.5 * (n + 1.0);
        let slope = (self.weighted - centre * self.plain) / (n * (n * n - 1.0) / 12.0);
        slope * (n - 1.0) > 0.7 * self.mean()
    }
}
