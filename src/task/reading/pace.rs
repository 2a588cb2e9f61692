//! Limits of a counter's advance since it was last read.

use std::time::Duration;

/// Factor over the fastest pace seen at which a counter may run undoubted: several taps at once.
const HEADROOM: f64 = 4.0;

/// A pace is measured over at least this time, so that two drums which move at once do not look like a rate.
const SHORTEST: Duration = Duration::from_secs(1);

/// The largest step that is believed at once.
///
/// | set | largest step, in counts of the last digit |
/// |---|---|
/// | `max_rate` | what that gives in the time since the last good reading, and 1 |
/// | `max_step` | that one, however long ago the last good reading was |
/// | both | the smaller of the two |
/// | neither | four times the fastest pace seen so far in that time, and 1 |
///
/// Steps are counted modulo the range, so that a long time must not make everything plausible: a learnt pace allows a hundredth of the
/// range at most, `max_rate` a tenth, `max_step` half of it. Where the time is not known (the clock is behind that of the last good
/// reading), `max_step` alone counts, and without it nothing beyond 1.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    /// Counts per hour.
    pub max_rate: Option<f64>,
    /// Counts.
    pub max_step: Option<u64>,
}

impl Limits {
    /// True if there is a limit that was not learnt.
    pub fn are_set(&self) -> bool {
        self.max_rate.is_some() || self.max_step.is_some()
    }

    /// The largest step of a counter with this range, `elapsed` after its last good reading.
    pub fn largest_step(&self, range: u64, elapsed: Option<Duration>, pace: &Pace) -> u64 {
        // Rounded down, and up to the largest integer.
        let within = |per_s: f64| elapsed.map(|e| ((per_s * e.as_secs_f64()) as u64).saturating_add(1));
        let step = self.max_step.map(|step| step.min(range / 2));
        let largest = match (self.max_rate, step) {
            (None, None) => within(pace.fastest_per_s * HEADROOM).map_or(1, |l| l.min(range / 100)),
            (None, Some(step)) => step,
            (Some(per_hour), step) => match within(per_hour / 3600.0).map(|l| l.min(range / 10)) {
                Some(by_rate) => by_rate.min(step.unwrap_or(u64::MAX)),
                None => step.unwrap_or(1),
            },
        };
        largest.max(1)
    }
}

/// The fastest pace at which a counter was seen to run.
///
/// Between the last look before one advance and the first look after the next one, the counter came at least as far as the second
/// advance, wherever in between the drums moved. So the pace is a lower bound, however seldom or often it is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Pace {
    /// Counts per second.
    pub fastest_per_s: f64,
    /// The last look before the latest advance.
    before_advance: Option<Duration>,
}

impl Pace {
    /// As remembered from an earlier run, in counts per hour.
    pub fn remembered(fastest_per_hour: f64) -> Self {
        Pace { fastest_per_s: fastest_per_hour / 3600.0, before_advance: None }
    }

    /// Learns from an advance by `step`, seen at `now`; the last look before it was at `before`.
    pub fn advance(&mut self, step: u64, before: Duration, now: Duration) {
        if let Some(since) = self.before_advance.replace(before) {
            self.seen(step, now.saturating_sub(since));
        }
    }

    /// Learns that the counter came this far, at least, in `time`.
    pub fn seen(&mut self, counts: u64, time: Duration) {
        self.fastest_per_s = self.fastest_per_s.max(counts as f64 / time.max(SHORTEST).as_secs_f64());
    }

    /// The next advance is not one from the latest: another line of readings is believed.
    pub fn interrupt(&mut self) {
        self.before_advance = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: u64 = 100_000;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_largest_step() {
        let none = Limits::default();
        let rate = |per_hour| Limits { max_rate: Some(per_hour), max_step: None };
        let step = |counts| Limits { max_rate: None, max_step: Some(counts) };
        let both = |max_rate, max_step| Limits { max_rate: Some(max_rate), max_step: Some(max_step) };
        let pace = |fastest_per_s| Pace { fastest_per_s, before_advance: None };
        for (limits, elapsed, fastest_per_s, range, largest) in [
            (none, Some(s(1)), 0.0, RANGE, 1),
            (none, Some(s(1)), 0.5, RANGE, 3),
            (none, Some(s(300)), 0.5, RANGE, 601),
            (none, Some(s(86_400)), 0.5, RANGE, 1000),
            (none, Some(s(86_400)), 0.5, 10, 1),
            (none, None, 0.5, RANGE, 1),
            (rate(100.0), Some(s(1)), 9.0, RANGE, 1),
            (rate(100.0), Some(s(36)), 0.0, RANGE, 2),
            (rate(100.0), Some(s(86_400)), 0.0, RANGE, 2401),
            (rate(1e12), Some(Duration::MAX), 0.0, RANGE, 10_000),
            (rate(100.0), None, 9.0, RANGE, 1),
            (step(5), Some(s(1)), 0.0, RANGE, 5),
            (step(5), None, 0.0, RANGE, 5),
            (step(u64::MAX), Some(s(1)), 0.0, RANGE, 50_000),
            (both(3600.0, 5), Some(s(2)), 0.0, RANGE, 3),
            (both(3600.0, 5), Some(s(60)), 0.0, RANGE, 5),
            (both(3600.0, 5), None, 0.0, RANGE, 5),
        ] {
            let found = limits.largest_step(range, elapsed, &pace(fastest_per_s));
            assert_eq!(found, largest, "{limits:?} {elapsed:?} {fastest_per_s} {range}");
        }
    }

    #[test]
    fn a_pace_is_learnt_from_two_advances_and_never_too_high() {
        let mut pace = Pace::default();
        // One count every 3 s, looked at 15 times a second: the first advance says nothing.
        let look = Duration::from_millis(66);
        pace.advance(1, s(3) - look, s(3));
        assert_eq!(pace.fastest_per_s, 0.0);
        pace.advance(1, s(6) - look, s(6));
        assert!((0.3..=1.0 / 3.0).contains(&pace.fastest_per_s), "{pace:?}");
        // Two drums at once are no rate of 15 a second.
        pace.advance(1, s(6), s(6) + look);
        assert!(pace.fastest_per_s <= 1.0, "{pace:?}");
        // 40 counts in each 5 min, of which it is known that they took no more than 10.
        let mut pace = Pace::default();
        pace.advance(40, s(0), s(300));
        pace.advance(40, s(300), s(600));
        assert!((pace.fastest_per_s - 40.0 / 600.0).abs() < 1e-9);
        // After another line was believed, an advance is measured anew.
        pace.interrupt();
        pace.advance(9000, s(600), s(601));
        assert!(pace.fastest_per_s < 0.1);
    }
}
