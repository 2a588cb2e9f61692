//! One pipeline on its ladder.

use std::time::Duration;

use crate::ladder::{OperatingPoint, PipelineLadder};
use crate::reading::Load;
use crate::setpoint::Setpoint;

/// A pipeline with its place on the ladder.
#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    pub(super) ladder: PipelineLadder,
    /// Index of the rung; one beyond the last is paused.
    pub(super) level: usize,
    pub(super) since: Duration,
    /// Since when it has had something to look at.
    pub(super) busy_since: Duration,
    pub(super) reason: String,
}

impl Pipeline {
    /// At full work, from `now` on.
    pub(super) fn new(ladder: PipelineLadder, now: Duration) -> Self {
        Pipeline { ladder, level: 0, since: now, busy_since: now, reason: "full work".into() }
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
        Some(Setpoint { paused: level >= self.ladder.rungs.len(), ..rung.setpoint.clone() })
    }

    pub(super) fn deadline_ms(&self) -> Option<f64> {
        Some(self.ladder.deadline.as_secs_f64() * 1e3).filter(|ms| *ms > 0.0)
    }

    /// The reason to call the deadline missed, if it is.
    pub(super) fn lateness(&self, load: &Load, now: Duration) -> Option<String> {
        let deadline_ms = self.deadline_ms().filter(|_| !load.idle && !self.paused())?;
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
