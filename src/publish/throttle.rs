//! The retained `state` of a pipeline: the latest summary, said again only when it changed and not too often.

use std::time::{Duration, Instant};

use super::payload::Summary;
use crate::frame::Outcome;

/// Summaries that differ only in their figures are published at most this often.
const FIGURES_EVERY: Duration = Duration::from_secs(10);

/// Readings that differ only in their quality are published at most this often: it changes twice with every step of a counter, and a
/// picture at the limit of what can be read may change it with every frame.
const QUALITY_EVERY: Duration = Duration::from_millis(500);

/// Holds summaries back that say nothing new.
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

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::frame::{LastGood, Quality, Reading};

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
}
