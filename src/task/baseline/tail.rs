//! The largest residuals that were normal, and the size that hardly any will reach.
//!
//! Peaks over threshold: what is beyond a high threshold follows a generalised Pareto distribution whatever the distribution itself, so
//! that a level which is reached once in many weeks can be told from hours. Signals with heavy tails get a level far out, those
//! that never leave a band one close to it.

use serde::{Deserialize, Serialize};

use super::spread::LARGEST;

/// Largest residuals that are kept.
const KEPT: usize = 48;

/// Fewer are no distribution.
const LEAST: usize = 10;

/// Residuals of one generation; the two latest count.
const GENERATION: f64 = 40_000.0;

/// Shapes of the tail: a band that is never left; moments that hardly exist.
const SHAPES: (f64, f64) = (-0.3, 0.5);

/// Peaks that the estimated shape is weighed against, whose shape is that of an exponential distribution.
const PRIOR: f64 = 20.0;

/// The largest of a stream of peaks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tail {
    now: Generation,
    before: Generation,
    /// Largest of the cluster that has begun, and its readings so far.
    cluster: (f64, u32),
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Generation {
    /// Falling.
    largest: Vec<f32>,
    count: f64,
}

impl Tail {
    /// Counts a residual in: of each `cluster` readings, which depend on each other, the largest.
    pub(super) fn add(&mut self, residual: f64, cluster: u32) {
        let (largest, count) = &mut self.cluster;
        *largest = largest.max(residual.abs().min(LARGEST));
        *count += 1;
        if *count >= cluster {
            let peak = *largest;
            self.cluster = (0.0, 0);
            self.peak(peak);
        }
    }

    fn peak(&mut self, size: f64) {
        if self.now.count >= GENERATION {
            self.before = std::mem::take(&mut self.now);
        }
        let Generation { largest, count } = &mut self.now;
        *count += 1.0;
        let place = largest.partition_point(|kept| f64::from(*kept) > size);
        if place < KEPT {
            largest.insert(place, size as f32);
            largest.truncate(KEPT);
        }
    }

    /// Peaks that were counted.
    pub(super) fn count(&self) -> f64 {
        self.now.count + self.before.count
    }

    /// Size that a peak exceeds with `probability`.
    pub(super) fn level(&self, probability: f64) -> f64 {
        let count = self.count();
        let mut peaks: Vec<f64> =
            self.now.largest.iter().chain(&self.before.largest).map(|peak| f64::from(*peak)).collect();
        peaks.sort_by(|a, b| b.total_cmp(a));
        peaks.truncate(KEPT.min((count / 3.0) as usize));
        let (Some(&largest), Some(&threshold)) = (peaks.first(), peaks.last()) else { return 0.0 };
        if peaks.len() < LEAST {
            // Too few for a distribution: far beyond the largest of all.
            return 2.5 * largest;
        }
        let n = peaks.len() as f64;
        let mean = peaks.iter().map(|peak| peak - threshold).sum::<f64>() / n;
        if mean <= 0.0 {
            return largest;
        }
        let variance = peaks.iter().map(|peak| (peak - threshold - mean).powi(2)).sum::<f64>() / n;
        let ratio = mean * mean / variance.max(1e-3 * mean * mean);
        let shape = (0.5 * (1.0 - ratio)).clamp(SHAPES.0, SHAPES.1) * n / (n + PRIOR);
        let scale = mean * (1.0 - shape);
        let times = (n / (count * probability)).max(1.0);
        let beyond = if shape.abs() < 1e-3 { times.ln() } else { (times.powf(shape) - 1.0) / shape };
        (threshold + scale * beyond).max(largest)
    }
}
