//! Residuals of one kind: their level, spread, largest values and scales.

use serde::{Deserialize, Serialize};

use super::cusum::{Change, Cusum};
use super::scales::{Scales, Working};
use super::spread::{LARGEST, Spread};
use super::tail::Tail;

/// Alarms of one track that are taken for granted, in a week: what the far tail is reckoned for.
const RATE_PER_WEEK: f64 = 0.01;
const WEEK: f64 = 7.0 * super::daily::DAY;

/// Readings that are taken for dependent at least, and most.
const CLUSTER: (usize, usize) = (8, 4096);

/// A residual moves the level by no more than this many spreads.
const CLIP: f64 = 2.0;

/// Blocks weigh no more than this many spreads on the scales, so that one outlier says nothing of them.
const SCALE_CLIP: f64 = 5.0;

/// Least deviations of block means that count at all: so many times the least spread, half a step of the sensor.
const STEPS: f64 = 3.0;

/// The smallest scale for changes of the level: a burst of some readings is none.
const SMALLEST: usize = 3;

/// Residuals that are held back at most.
const MOST_HELD: usize = 512;

/// Readings over which the mean deviation is taken at least.
const LEAST_BEHIND: f64 = 1000.0;

/// Margin of a spread that so few independent residuals gave: this over the root of their number.
const FEW: f64 = 3.0;

/// Deviations of the wandering level that are within the range.
const WANDERS: f64 = 4.0;

/// Weight of a reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shares {
    /// In the level.
    pub(super) level: f64,
    /// In all else, at least: a reading that is not one of the first.
    pub(super) memory: f64,
}

/// Deviations from a slow level.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Track {
    /// The slow level.
    pub(super) level: f64,
    /// Mean deviation from it: a level that follows a slow trend is always behind.
    behind: f64,
    /// Residuals seen.
    count: f64,
    spread: Spread,
    tail: Tail,
    scales: Scales,
    cusum: Cusum,
    /// Residuals of what may be the beginning of a change: they are learnt from once it was none.
    held: Vec<f32>,
}

impl Track {
    /// Begins with a sample.
    pub(super) fn of(values: &[f64]) -> Track {
        let level = super::spread::median(&mut values.to_vec());
        let mut residuals: Vec<f64> = values.iter().map(|value| value - level).collect();
        Track { level, spread: Spread::of(&mut residuals), ..Track::default() }
    }

    /// Robust spread, never below `floor`.
    pub(super) fn sigma(&self, floor: f64) -> f64 {
        self.spread.sigma().max(floor)
    }

    /// Deviation of a value from what is usual.
    pub(super) fn residual(&self, value: f64) -> f64 {
        value - self.level - self.behind
    }

    /// Counts a usual value in. Nothing is learnt from what may be the beginning of a change.
    pub(super) fn learn(&mut self, value: f64, floor: f64, shares: &Shares) {
        let residual = self.residual(value);
        if self.cusum.is_suspicious() {
            if self.held.len() < MOST_HELD {
                self.held.push(residual.clamp(-LARGEST, LARGEST) as f32);
            }
            return;
        }
        // It was none: what was held back is as usual as the rest.
        for held in std::mem::take(&mut self.held) {
            self.count_in(held.into(), floor, shares);
        }
        let clipped = self.count_in(residual, floor, shares);
        let sigma = self.sigma(floor);
        let moved = shares.level * (residual + self.behind).clamp(-CLIP * sigma, CLIP * sigma);
        self.level += moved;
        let share = shares.memory.max(1.0 / self.count.max(LEAST_BEHIND)).min(1.0);
        self.behind += share * clipped.clamp(-CLIP * sigma, CLIP * sigma);
    }

    /// Counts a residual in, but for the level; gives what it weighs on the scales.
    fn count_in(&mut self, residual: f64, floor: f64, shares: &Shares) -> f64 {
        let sigma = self.sigma(floor);
        let cluster = self.cluster();
        self.count += 1.0;
        self.spread.add(residual, shares.memory);
        self.tail.add(residual, cluster);
        let clipped = residual.clamp(-SCALE_CLIP * sigma, SCALE_CLIP * sigma);
        self.scales.add(clipped, shares.memory);
        clipped
    }

    /// The level is so much higher from now on.
    pub(super) fn shift(&mut self, change: f64) {
        self.level += change;
    }

    /// A residual that was no usual one: what comes again and again is learnt in the end.
    pub(super) fn remember(&mut self, residual: f64, limit: f64) {
        let cluster = self.cluster();
        self.tail.add(residual.abs().min(1.5 * limit), cluster);
    }

    /// The scale at which its blocks are independent, and long enough for a change of the level.
    pub(super) fn working(&self) -> Option<Working> {
        self.scales.working(SMALLEST)
    }

    /// True once something can be said of the range.
    pub(super) fn is_known(&self) -> bool {
        self.scales.working(0).is_some()
    }

    /// Size that no usual residual reaches, of readings that are `interval` s apart: at least `spreads` spreads. `None` where too little
    /// is known of the level.
    pub(super) fn range(&self, spreads: f64, floor: f64, interval: f64) -> Option<f64> {
        let working = self.scales.working(0)?;
        let independent = self.count / (1 << working.scale) as f64 / working.dependence.powi(2);
        let core = spreads * self.sigma(floor) * (1.0 + FEW / independent.max(1.0).sqrt());
        Some(core.max(self.far(interval)).max(WANDERS * working.wander))
    }

    /// The same of steps from reading to reading, which depend on each other little.
    pub(super) fn step_range(&self, spreads: f64, floor: f64, interval: f64) -> f64 {
        let core = spreads * self.sigma(floor) * (1.0 + FEW / self.count.max(1.0).sqrt());
        core.max(self.far(interval))
    }

    /// Sums the residual up; gives the change of the level that it completes.
    pub(super) fn change(&mut self, residual: f64, working: &Working, floor: f64) -> Option<Change> {
        let most = SCALE_CLIP * self.sigma(floor);
        let residual = residual.clamp(-most, most);
        // A level that is one step of the sensor higher has not changed.
        let working = Working { sigma: working.sigma.max(STEPS * floor), ..*working };
        self.cusum.add(residual, &working)
    }

    /// Begins to sum anew, after a change that is over or accepted.
    pub(super) fn settle(&mut self) {
        self.cusum.reset();
        self.held.clear();
        self.scales.widen(self.working().map_or(0, |working| working.scale));
    }

    fn far(&self, interval: f64) -> f64 {
        let clusters = WEEK / (interval.max(1e-3) * f64::from(self.cluster()));
        self.tail.level((RATE_PER_WEEK / clusters).clamp(1e-12, 0.02))
    }

    fn cluster(&self) -> u32 {
        let readings = self.scales.working(0).map_or(0, |working| 1 << working.scale);
        readings.clamp(CLUSTER.0, CLUSTER.1) as u32
    }
}
