//! The usual course of a day, in bins of half an hour.

use serde::{Deserialize, Serialize};

/// Length of a day, in s.
pub(super) const DAY: f64 = 86_400.0;

/// Bins of a day.
const BINS: usize = 48;

/// Days that a bin is a mean over; older ones fade.
const MEMORY: f64 = 7.0;

/// Days after which a bin is known.
const LEAST_DAYS: f64 = 3.0;

/// Bins on each side that stand in for one that is not known.
const NEIGHBOURS: usize = 3;

/// Levels by the time of day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Daily {
    bins: Vec<Bin>,
    /// The bin that fills: its number since the beginning of time, the sum of its values, and how many.
    filling: Option<(f64, f64, f64)>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Bin {
    level: f64,
    days: f64,
}

impl Default for Daily {
    fn default() -> Self {
        Daily { bins: vec![Bin::default(); BINS], filling: None }
    }
}

impl Daily {
    /// Counts a value in that was read at `time`, in s. It changes what is expected from the next day on.
    pub(super) fn add(&mut self, time: f64, value: f64) {
        let number = (time / DAY * BINS as f64).floor();
        let (filling, sum, count) = self.filling.unwrap_or((number, 0.0, 0.0));
        if number == filling {
            self.filling = Some((number, sum + value, count + 1.0));
            return;
        }
        self.filling = Some((number, value, 1.0));
        if let Some(bin) = self.bins.get_mut(filling.rem_euclid(BINS as f64) as usize) {
            bin.days = (bin.days + 1.0).min(MEMORY);
            bin.level += (sum / count.max(1.0) - bin.level) / bin.days;
        }
    }

    /// The level at `time`, in s; `None` before enough days have been seen at that time of day.
    pub(super) fn at(&self, time: f64) -> Option<f64> {
        let place = (time / DAY * BINS as f64 - 0.5).rem_euclid(BINS as f64);
        let (left, share) = (place.floor(), place.fract());
        let left = left as usize % BINS;
        let (low, high) = (self.bin(left)?, self.bin((left + 1) % BINS)?);
        Some(low + share * (high - low))
    }

    /// The level of a bin, or of those on both sides where it has none.
    fn bin(&self, place: usize) -> Option<f64> {
        let known = |offset: usize| {
            let bin = self.bins.get(offset % BINS)?;
            (bin.days >= LEAST_DAYS).then_some(bin.level)
        };
        known(place).or_else(|| {
            let side = |step: usize| (1..=NEIGHBOURS).find_map(|i| known(place + step * i));
            Some(0.5 * (side(1)? + side(BINS - 1)?))
        })
    }
}
