//! Runs of one value, and times without any: how long they usually are.

use serde::{Deserialize, Serialize};

/// A run or gap this many times the longest usual one is none of these.
const TIMES: f64 = 5.0;

/// Runs that must have been seen before a longest one means anything: a channel that hardly varies is not stuck when it does not.
const LEAST_RUNS: f64 = 20.0;

/// Readings of one value that are always usual, and rows without a value.
const LEAST_READINGS: f64 = 15.0;
const LEAST_ROWS: u32 = 3;

/// A fault makes longer runs usual, but by this factor at most: what comes again and again is learnt in the end.
const GROWTH: f64 = 1.5;

/// Readings of the same value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Runs {
    value: f32,
    length: f64,
    longest: f64,
    count: f64,
}

impl Runs {
    /// Takes a value; with `learns` a run that ends is a usual one.
    pub(super) fn add(&mut self, value: f32) {
        if self.length > 0.0 && value == self.value {
            self.length += 1.0;
            return;
        }
        if self.length > 0.0 {
            let most = if self.is_known() { GROWTH * self.limit() } else { f64::INFINITY };
            self.longest = self.longest.max(self.length.min(most));
            self.count += 1.0;
        }
        (self.value, self.length) = (value, 1.0);
    }

    /// The present run is far longer than usual.
    pub(super) fn is_stuck(&self) -> bool {
        self.is_known() && self.length > self.limit()
    }

    /// Length of the present run in longest usual ones.
    pub(super) fn excess(&self) -> f64 {
        self.length / self.longest.max(1.0)
    }

    /// Begins a new run: nothing is known of what was in between.
    pub(super) fn interrupt(&mut self) {
        self.length = 0.0;
    }

    fn is_known(&self) -> bool {
        self.count >= LEAST_RUNS
    }

    fn limit(&self) -> f64 {
        LEAST_READINGS.max(TIMES * self.longest)
    }
}

/// Times between values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Gaps {
    /// Time of the last value, in s; not over a restart.
    #[serde(skip)]
    last: Option<f64>,
    /// Rows without a value since.
    #[serde(skip)]
    rows: u32,
    longest: f64,
    usual: f64,
    count: f64,
}

impl Gaps {
    /// Takes the time of a value, in s; gives the time since the one before.
    pub(super) fn value(&mut self, time: f64) -> Option<f64> {
        self.rows = 0;
        let since = time - self.last.replace(time)?;
        if since <= 0.0 {
            // The clock was set back, or has no finer steps.
            return Some(self.usual);
        }
        let most = if self.is_known() { GROWTH * self.limit() } else { f64::INFINITY };
        self.longest = self.longest.max(since.min(most));
        self.count = (self.count + 1.0).min(500.0);
        // The median, by steps in its logarithm.
        self.usual = if self.count <= 1.0 {
            since
        } else {
            self.usual * (2.0 / self.count).min(0.7).copysign(since - self.usual).exp()
        };
        if (since - self.usual).abs() < 0.02 * since {
            self.usual = since;
        }
        Some(since)
    }

    /// A row at `time` without a value.
    pub(super) fn nothing(&mut self) {
        self.rows = self.rows.saturating_add(1);
    }

    /// No value has come for far longer than usual; judged by the rows.
    pub(super) fn is_dead(&self, time: f64) -> bool {
        self.rows >= LEAST_ROWS && self.is_overdue(time)
    }

    /// The same, without any row.
    pub(super) fn is_overdue(&self, time: f64) -> bool {
        self.is_known() && self.last.is_some_and(|last| time - last > self.limit())
    }

    /// Time since the last value in longest usual times.
    pub(super) fn excess(&self, time: f64) -> f64 {
        self.last.map_or(0.0, |last| (time - last) / self.longest.max(f64::MIN_POSITIVE))
    }

    /// Usual time between two values, in s; 0 = not known.
    pub(super) fn usual(&self) -> f64 {
        self.usual
    }

    fn is_known(&self) -> bool {
        self.count >= LEAST_RUNS
    }

    fn limit(&self) -> f64 {
        TIMES * self.longest
    }
}
