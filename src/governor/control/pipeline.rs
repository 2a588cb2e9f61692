//! One pipeline on its ladder.

use std::time::Duration;

use super::away::Away;
use crate::ladder::{OperatingPoint, PipelineLadder};
use crate::reading::Load;
use crate::setpoint::{Change, Setpoint};

/// Time constants in s over which the state of a motion gate is averaged: about that of a board, and one in which activity that
/// lasts shows.
const OPEN_S: [f64; 2] = [600.0, 60.0];

/// A pipeline with its place on the ladder.
#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    pub(super) ladder: PipelineLadder,
    /// Index of the rung; one beyond the last is paused.
    pub(super) level: usize,
    pub(super) since: Duration,
    /// Since when it has had something to look at.
    pub(super) busy_since: Duration,
    /// Share of the time in which its motion gate was open, over ten minutes and over one; 1 without a gate.
    open: [f64; 2],
    pub(super) reason: String,
    /// Place of its work.
    pub(super) away: Away,
}

impl Pipeline {
    /// At full work, from `now` on.
    pub(super) fn new(ladder: PipelineLadder, now: Duration) -> Self {
        let reason = "full work".into();
        Pipeline { ladder, level: 0, since: now, busy_since: now, open: [1.0; 2], reason, away: Away::default() }
    }

    /// Puts it on `level` from `now` on.
    pub(super) fn place(&mut self, level: usize, reason: &str, now: Duration) -> Option<Change> {
        let setpoint = self.setpoint(level)?;
        (self.level, self.since) = (level, now);
        self.reason = reason.to_owned();
        Some(Change { pipeline: self.ladder.name.clone(), setpoint, reason: self.reason.clone() })
    }

    pub(super) fn last(&self) -> usize {
        self.ladder.rungs.len().saturating_sub(1)
    }

    pub(super) fn paused(&self) -> bool {
        !self.ladder.rungs.is_empty() && self.level >= self.ladder.rungs.len()
    }

    pub(super) fn at(&self, level: usize) -> &OperatingPoint {
        &self.ladder.rungs[level.min(self.last())]
    }

    pub(super) fn setpoint(&self, level: usize) -> Option<Setpoint> {
        let rung = self.ladder.rungs.get(level.min(self.last()))?;
        let paused = level >= self.ladder.rungs.len();
        Some(Setpoint { paused, offload: self.away.is() && !paused, ..rung.setpoint.clone() })
    }

    /// CPU cores that a level costs by calibration while it looks at everything, less what others compute; 0 while paused.
    pub(super) fn cores(&self, level: usize) -> f64 {
        self.ladder.rungs.get(level).map_or(0.0, |rung| self.ladder.cores(rung)) * self.away.cost_left()
    }

    /// Takes over the state of its motion gate, which held for `dt`.
    pub(super) fn watch_gate(&mut self, open: Option<bool>, dt: Duration) {
        let now = if open == Some(false) { 0.0 } else { 1.0 };
        for (share, constant_s) in self.open.iter_mut().zip(OPEN_S) {
            *share += (now - *share) * (1.0 - (-dt.as_secs_f64() / constant_s).exp());
        }
    }

    /// Share of its work that is to be expected: what was seen over ten minutes, or lately if that is more.
    pub(super) fn duty(&self) -> f64 {
        self.open[0].max(self.open[1])
    }

    pub(super) fn deadline_ms(&self) -> Option<f64> {
        Some(self.ladder.deadline.as_secs_f64() * 1e3).filter(|ms| *ms > 0.0)
    }

    /// The reason to call the deadline missed, if it is.
    pub(super) fn lateness(&self, load: &Load, now: Duration) -> Option<String> {
        let deadline_ms = self.deadline_ms().filter(|_| !load.is_quiet() && !self.paused())?;
        let finite = |v: Option<f32>| v.map(f64::from).filter(|v| v.is_finite());
        if let Some(p95) = finite(load.p95_ms).filter(|p95| *p95 > deadline_ms) {
            return Some(format!("{}: p95 {p95:.0} ms beyond the deadline of {deadline_ms:.0} ms", self.ladder.name));
        }
        let rung = self.ladder.rungs.get(self.level)?;
        let spacing = rung.setpoint.interval.max(self.ladder.frame_interval).as_secs_f64() * 1e3;
        let allowed_ms = deadline_ms + spacing * (rung.setpoint.batch as f64 + 2.0) + 1e3;
        let waited_ms = now.saturating_sub(self.busy_since).as_secs_f64() * 1e3;
        let age = finite(load.frame_age_ms).map(|age| age.min(waited_ms)).filter(|age| *age > allowed_ms)?;
        Some(format!("{}: no result for {:.1} s", self.ladder.name, age / 1e3))
    }
}
