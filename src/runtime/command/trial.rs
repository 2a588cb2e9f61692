//! A changed configuration on trial: kept if its pipelines do as before for a minute. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Duration of a trial.
pub(super) const TRIAL: Duration = Duration::from_secs(60);

/// A pipeline that looks at a frame less often than this need not give a result within the trial.
pub(super) const RARE: Duration = Duration::from_secs(20);

/// A pipeline before the change.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before {
    /// It ran, and its source had not failed or ended.
    pub(super) ran: bool,
    /// It gave results.
    pub(super) gave: bool,
}

/// A pipeline under the changed configuration.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// Inferences that gave a result, since the pipeline's start.
    pub(super) inferences: u64,
    /// Reason for which it does not run.
    pub(super) fault: Option<String>,
    /// It need not give results: paused, ended, or [rare](RARE).
    pub(super) excused: bool,
}

/// Decision on a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes on.
    Open,
    /// The change stays.
    Kept,
    /// The change is taken back, for this reason.
    Failed(String),
}

/// The watch over a change.
#[derive(Debug)]
pub(super) struct Watch {
    until: Instant,
    /// What was before, and the number of inferences when the change was applied.
    pipelines: BTreeMap<String, (Before, u64)>,
}

impl Watch {
    /// Begins at `now`, when the change applies; `seen` is each pipeline at this moment.
    pub(super) fn new(before: BTreeMap<String, Before>, seen: &BTreeMap<String, Seen>, now: Instant) -> Watch {
        let count = |name: &String| seen.get(name).map_or(0, |seen| seen.inferences);
        let pipelines = before.into_iter().map(|(name, before)| {
            let count = count(&name);
            (name, (before, count))
        });
        Watch { until: now + TRIAL, pipelines: pipelines.collect() }
    }

    /// End of the trial.
    pub(super) fn until(&self) -> Instant {
        self.until
    }

    /// Decides at `now`.
    pub(super) fn judge(&self, seen: &BTreeMap<String, Seen>, now: Instant) -> Verdict {
        for (name, _) in self.pipelines.iter().filter(|(_, (before, _))| before.ran) {
            match seen.get(name) {
                None => return Verdict::Failed(format!("pipeline {name:?} is gone")),
                Some(Seen { fault: Some(fault), .. }) => {
                    return Verdict::Failed(format!("pipeline {name:?}: {fault}"));
                }
                Some(_) => {}
            }
        }
        if now < self.until {
            return Verdict::Open;
        }
        for (name, (before, count)) in &self.pipelines {
            let silent = |seen: &Seen| seen.inferences == *count && !seen.excused;
            if before.gave && seen.get(name).is_some_and(silent) {
                let within = TRIAL.as_secs();
                return Verdict::Failed(format!("pipeline {name:?} gave results before, and none in {within} s"));
            }
        }
        Verdict::Kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(inferences: u64, fault: Option<&str>, excused: bool) -> Seen {
        Seen { inferences, fault: fault.map(str::to_owned), excused }
    }

    #[test]
    fn a_change_is_kept_when_pipelines_do_as_before() {
        let start = Instant::now();
        let works = Before { ran: true, gave: true };
        let silent = Before { ran: true, gave: false };
        let idle = Before { ran: false, gave: false };
        let check = |before: Before, after: Option<Seen>, early: &str, late: &str| {
            let before = BTreeMap::from([("door".to_owned(), before)]);
            let at_first = BTreeMap::from([("door".to_owned(), seen(7, None, false))]);
            let watch = Watch::new(before, &at_first, start);
            let after: BTreeMap<_, _> = after.map(|after| ("door".to_owned(), after)).into_iter().collect();
            for (at, words) in [(start + Duration::from_secs(59), early), (start + TRIAL, late)] {
                let found = match watch.judge(&after, at) {
                    Verdict::Open => "open".to_owned(),
                    Verdict::Kept => "kept".to_owned(),
                    Verdict::Failed(reason) => reason,
                };
                assert!(found.contains(words), "{words:?}: {found:?}");
            }
        };
        check(works, Some(seen(8, None, false)), "open", "kept");
        check(works, Some(seen(7, None, false)), "open", "none in 60 s");
        check(works, Some(seen(7, None, true)), "open", "kept");
        check(works, Some(seen(9, Some("no such file"), false)), "no such file", "no such file");
        check(works, None, "is gone", "is gone");
        check(silent, Some(seen(7, None, false)), "open", "kept");
        check(silent, Some(seen(7, Some("damaged"), false)), "damaged", "damaged");
        check(idle, Some(seen(0, Some("waits"), false)), "open", "kept");
    }

    #[test]
    fn a_pipeline_that_was_started_anew_counts_from_its_start() {
        let start = Instant::now();
        let before = BTreeMap::from([("door".to_owned(), Before { ran: true, gave: true })]);
        let anew = BTreeMap::from([("door".to_owned(), seen(0, None, false))]);
        let watch = Watch::new(before, &anew, start);
        assert_eq!(watch.until(), start + TRIAL);
        let one = BTreeMap::from([("door".to_owned(), seen(1, None, false))]);
        assert_eq!(watch.judge(&one, start + TRIAL), Verdict::Kept);
        assert!(matches!(watch.judge(&anew, start + TRIAL), Verdict::Failed(_)));
    }
}
