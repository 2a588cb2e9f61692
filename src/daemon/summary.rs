//! The retained `state` of a pipeline: the latest summary, said again only when it changed and not too often.

use std::time::{Duration, Instant};

use crate::frame::Outcome;
use crate::publish::payload::Summary;

/// Summaries that differ only in their figures are published at most this often.
const FIGURES_EVERY: Duration = Duration::from_secs(10);

/// What was said last.
#[derive(Default)]
pub(super) struct Said {
    last: Option<(Summary, Instant)>,
}

impl Said {
    /// The summary to publish: when it says something else than the last one, or when its figures are old.
    pub(super) fn update(&mut self, outcome: &Outcome, now: Instant) -> Option<Summary> {
        let summary = Summary::of(outcome);
        if let Some((last, at)) = &self.last
            && !summary.differs(last)
            && now.saturating_duration_since(*at) < FIGURES_EVERY
        {
            return None;
        }
        self.last = Some((summary.clone(), now));
        Some(summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classify(label: &str, score: f32) -> Outcome {
        Outcome::Classify { label: label.into(), score, top: Vec::new(), regions: Vec::new(), held: None }
    }

    #[test]
    fn said_on_change_and_now_and_then() {
        let start = Instant::now();
        let mut said = Said::default();
        let mut at = |s: u64, outcome: &Outcome| said.update(outcome, start + Duration::from_secs(s));
        assert!(at(0, &classify("a", 0.5)).is_some(), "the first");
        assert!(at(1, &classify("a", 0.6)).is_none(), "only the score changed");
        assert_eq!(at(2, &classify("b", 0.25)), Some(Summary::Classify { label: "b".into(), score: 0.25 }));
        assert!(at(11, &classify("b", 0.6)).is_none());
        assert!(at(12, &classify("b", 0.6)).is_some(), "figures are said again after ten seconds");
    }
}
