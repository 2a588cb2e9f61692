//! Mean rate of a meter over the last minutes.

use std::collections::VecDeque;
use std::time::Duration;

/// Time that a rate is the mean of, where the meter is looked at that often.
const WINDOW: Duration = Duration::from_secs(300);
/// Least time between two numbers that are kept, and over which a rate is told.
const APART: Duration = Duration::from_secs(10);
const LEAST: Duration = Duration::from_secs(60);
/// A meter that is looked at less often than this has no rate.
const RAREST: Duration = Duration::from_secs(2 * 3600);

/// Numbers of the last minutes; at most [`WINDOW`] ÷ [`APART`] and a few.
#[derive(Clone, Debug, Default)]
pub(super) struct Rate {
    seen: VecDeque<(Duration, u64)>,
    /// Counts since the first number, over the end of the range where that was the way.
    total: i64,
    latest: Option<(Duration, u64)>,
}

impl Rate {
    /// A number that is believed, of a meter whose largest count is below `range`.
    pub(super) fn seen(&mut self, counts: u64, now: Duration, range: u64) {
        if let Some((_, before)) = self.latest {
            let forward = (counts % range + range - before % range) % range;
            let step = if forward <= range / 2 { forward as i64 } else { forward as i64 - range as i64 };
            self.total = self.total.saturating_add(step);
        }
        self.latest = Some((now, counts));
        if self.seen.back().is_none_or(|(at, _)| now.saturating_sub(*at) >= APART) {
            self.seen.push_back((now, self.total.cast_unsigned()));
        }
        while self.seen.len() > 2 && self.seen.get(1).is_some_and(|(at, _)| now.saturating_sub(*at) >= WINDOW) {
            self.seen.pop_front();
        }
    }

    /// Counts per hour; `None` while too little was seen, or nothing for long.
    pub(super) fn per_hour(&self, now: Duration) -> Option<f64> {
        let (first, total) = *self.seen.front()?;
        let (last, _) = self.latest?;
        let span = last.saturating_sub(first);
        let quiet = now.saturating_sub(last);
        if span < LEAST || span > RAREST || quiet > span.max(WINDOW) {
            return None;
        }
        Some((self.total - total.cast_signed()) as f64 / span.as_secs_f64() * 3600.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_rate_is_the_mean_of_minutes_and_ends_with_them() {
        let mut rate = Rate::default();
        for second in 0..=600 {
            rate.seen((999_000 + second * 2) % 1_000_000, s(second), 1_000_000);
            assert!(rate.seen.len() < 40);
        }
        let found = rate.per_hour(s(600)).unwrap();
        assert!((found - 7200.0).abs() < 1.0, "over the end of the range: {found}");
        assert_eq!(rate.per_hour(s(2000)), None, "nothing was read for long");
        let mut rate = Rate::default();
        rate.seen(5, s(0), 1000);
        rate.seen(6, s(30), 1000);
        assert_eq!(rate.per_hour(s(30)), None, "two numbers in half a minute");
    }

    #[test]
    fn a_meter_looked_at_every_ten_minutes_has_a_rate_as_well() {
        let mut rate = Rate::default();
        (0..5).for_each(|look| rate.seen(look * 100, s(look * 600), 1_000_000));
        assert!((rate.per_hour(s(2400)).unwrap() - 600.0).abs() < 1.0);
        // A meter that feeds back.
        rate.seen(300, s(3000), 1_000_000);
        assert!(rate.per_hour(s(3000)).unwrap() < 0.0);
    }
}
