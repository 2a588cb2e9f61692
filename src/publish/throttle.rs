//! Holds back formats of outcomes and of the node's status that say nothing new.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::payload::{Standing, Summary, Throttled};
use crate::frame::status::{NodeStatus, OutboxFault};
use crate::frame::{Outcome, PipelineName};

/// Summaries that differ only in their figures are published at most this often.
const FIGURES_EVERY: Duration = Duration::from_secs(10);

/// Readings that differ only in their quality are published at most this often: it changes twice with every step of a counter, and a
/// picture at the limit of what can be read may change it with every frame.
const QUALITY_EVERY: Duration = Duration::from_millis(500);

/// Holds back summaries that say nothing new: the `state` of one pipeline.
#[derive(Default)]
pub(crate) struct SummaryThrottle {
    last: Option<(Summary, Instant)>,
}

impl SummaryThrottle {
    /// The summary to publish: when it says something else than the last one, when a reading is of another quality, or when the
    /// figures are old.
    pub(super) fn update(&mut self, outcome: &Outcome, now: Instant) -> Option<Summary> {
        let summary = Summary::of(outcome);
        if let Some((last, at)) = &self.last
            && !summary.differs(last)
        {
            let every = if summary.quality() == last.quality() { FIGURES_EVERY } else { QUALITY_EVERY };
            if now.saturating_duration_since(*at) < every {
                return None;
            }
        }
        self.last = Some((summary.clone(), now));
        Some(summary)
    }
}

/// Holds back formats of the node's status that say nothing new: `info`, `governor`, `health`.
pub(super) struct StatusThrottle {
    /// `health` is due after this time although nothing changed.
    every: Duration,
    /// Time of the next one.
    due: Option<Instant>,
    last: Option<Arc<NodeStatus>>,
    /// Inferences of each pipeline at the last `health`.
    inferences: BTreeMap<PipelineName, (u64, Instant)>,
}

/// The formats that are due.
#[derive(Debug, PartialEq)]
pub(super) struct Due {
    pub(super) info: bool,
    pub(super) governor: bool,
    /// Inferences per second of each pipeline since the last `health`.
    pub(super) health: Option<BTreeMap<PipelineName, f32>>,
}

/// Part of the disk's state that is published at once when it changes.
fn disk(status: &NodeStatus) -> Option<(Option<OutboxFault>, u64)> {
    status.publisher.outbox.map(|outbox| (outbox.fault, outbox.commit_interval_s))
}

impl StatusThrottle {
    /// A throttle that lets `health` through on change, and `every` so often without one.
    pub(super) fn new(every: Duration) -> StatusThrottle {
        StatusThrottle { every, due: None, last: None, inferences: BTreeMap::new() }
    }

    /// Changes the time after which `health` is due again, from the next one on.
    pub(super) fn set_interval(&mut self, every: Duration) {
        self.every = every;
    }

    /// The formats that are due by `status`.
    pub(super) fn update(&mut self, status: &Arc<NodeStatus>) -> Due {
        let last = self.last.replace(status.clone());
        let changed = |same: fn(&NodeStatus, &NodeStatus) -> bool| last.as_ref().is_none_or(|last| !same(last, status));
        let info = changed(|a, b| a.node.revision == b.node.revision);
        let governor = changed(|a, b| {
            a.governor.changes == b.governor.changes && Standing::of(&a.governor) == Standing::of(&b.governor)
        });
        let health = changed(|a, b| {
            Throttled::of(&a.board) == Throttled::of(&b.board)
                && Standing::of(&a.governor) == Standing::of(&b.governor)
                && a.pipelines.iter().map(|p| &p.idle).eq(b.pipelines.iter().map(|p| &p.idle))
                && a.faults == b.faults
                && disk(a) == disk(b)
        });
        let due = health || self.due.is_none_or(|due| status.at >= due);
        Due { info, governor, health: due.then(|| self.rates(status)) }
    }

    fn rates(&mut self, status: &NodeStatus) -> BTreeMap<PipelineName, f32> {
        self.due = Some(status.at + self.every);
        let started = status.at.checked_sub(status.node.uptime).unwrap_or(status.at);
        let before = std::mem::take(&mut self.inferences);
        let mut rates = BTreeMap::new();
        for pipeline in &status.pipelines {
            let (name, count) = (&pipeline.name, pipeline.counts.inferences);
            let (from, since) = before.get(name).copied().unwrap_or((0, started));
            let seconds = status.at.saturating_duration_since(since).as_secs_f64();
            // A pipeline that was started again counts from 0 again.
            let rate = if seconds > 0.0 { count.saturating_sub(from) as f64 / seconds } else { 0.0 };
            rates.insert(name.clone(), rate as f32);
            self.inferences.insert(name.clone(), if seconds > 0.0 { (count, status.at) } else { (from, since) });
        }
        rates
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::frame::{LastGood, Quality, Reading};
    use crate::publish::testing::sample_status;

    fn classify(label: &str, score: f32) -> Outcome {
        Outcome::Classify { label: label.into(), score, top: Vec::new(), unreadable: None }
    }

    fn reading(label: &str, quality: Quality, age_s: f64) -> Outcome {
        let last_good = LastGood { score: 0.9, time: SystemTime::UNIX_EPOCH, age_s: Some(age_s) };
        Outcome::Reading(Reading {
            label: Some(label.into()),
            value: label.parse().ok(),
            score: 0.9,
            quality,
            held: quality != Quality::Good,
            regions: Vec::new(),
            last_good: Some(last_good),
        })
    }

    #[test]
    fn said_on_change_and_now_and_then() {
        let start = Instant::now();
        let mut throttle = SummaryThrottle::default();
        let mut at = |s: u64, outcome: &Outcome| throttle.update(outcome, start + Duration::from_secs(s));
        assert!(at(0, &classify("a", 0.5)).is_some(), "the first");
        assert!(at(1, &classify("a", 0.6)).is_none(), "only the score changed");
        assert_eq!(at(2, &classify("b", 0.25)), Some(Summary::Classify { label: "b".into(), score: 0.25 }));
        assert!(at(11, &classify("b", 0.6)).is_none());
        assert!(at(12, &classify("b", 0.6)).is_some(), "figures are said again after ten seconds");
    }

    #[test]
    fn a_reading_s_quality_is_said_at_once_but_not_with_every_frame() {
        let start = Instant::now();
        let mut throttle = SummaryThrottle::default();
        let mut at = |ms: u64, label: &str, quality: Quality, age_s: f64| {
            throttle.update(&reading(label, quality, age_s), start + Duration::from_millis(ms)).is_some()
        };
        assert!(at(0, "00424", Quality::Good, 0.0));
        assert!(!at(100, "00424", Quality::Unreadable, 0.1), "it may be back with the next frame");
        assert!(!at(200, "00424", Quality::Good, 0.0), "and is");
        assert!(at(700, "00424", Quality::Unreadable, 0.5));
        assert!(!at(800, "00424", Quality::Unreadable, 0.6));
        assert!(at(900, "00425", Quality::Good, 0.0), "another reading is never held up");
        assert!(at(1500, "00425", Quality::Uncertain, 0.6));
        assert!(!at(11_400, "00425", Quality::Uncertain, 10.5));
        assert!(at(11_500, "00425", Quality::Uncertain, 10.6), "the age is said again after ten seconds");
    }

    #[test]
    fn health_is_said_on_change_and_every_interval_with_the_rates_since() {
        let start = Instant::now();
        let mut throttle = StatusThrottle::new(Duration::from_secs(60));
        let mut at = |s: u64, inferences: u64, change: &dyn Fn(&mut NodeStatus)| {
            let mut status = sample_status(start, Duration::from_secs(s));
            status.pipelines[0].counts.inferences = inferences;
            change(&mut status);
            let due = throttle.update(&Arc::new(status));
            (due.info, due.governor, due.health.map(|rates| rates["meter"]))
        };
        assert_eq!(at(10, 50, &|_| ()), (true, true, Some(5.0)), "the first says everything");
        assert_eq!(at(20, 60, &|s| s.publisher.published = 9), (false, false, None), "figures alone are no change");
        let idle = |s: &mut NodeStatus| s.pipelines[0].idle = Some("no camera".into());
        assert_eq!(at(30, 90, &idle), (false, false, Some(2.0)));
        assert_eq!(at(31, 90, &idle), (false, false, None));
        assert_eq!(at(50, 90, &|_| ()), (false, false, Some(0.0)), "and back");
        assert_eq!(at(109, 90, &|_| ()), (false, false, None));
        assert_eq!(at(110, 150, &|_| ()), (false, false, Some(1.0)), "a minute after the last");
        let throttled = |s: &mut NodeStatus| s.board.throttled = Some(true);
        assert_eq!(at(111, 152, &throttled), (false, false, Some(2.0)));
        let changed = |s: &mut NodeStatus| s.governor.changes = 7;
        assert_eq!(at(112, 152, &|s| (throttled(s), changed(s)).1), (false, true, None));
        assert_eq!(at(113, 152, &|s| (throttled(s), changed(s), s.node.revision = 2).2), (true, false, None));
    }
}
