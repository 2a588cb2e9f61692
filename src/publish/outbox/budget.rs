//! The budget of bytes written in a day, and the commit interval that follows from what is left of it.

use std::time::Duration;

/// Longest commit interval.
const LONGEST: Duration = Duration::from_secs(300);

/// Share of the budget that only checkpoints may use, so that acknowledged events do not come again after a crash: one in so many.
const RESERVE: u64 = 64;

/// Bytes written today.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    per_day: u64,
    interval: Duration,
    /// Day of the count, in days since 1970, or since the start without a clock.
    day: u32,
    written: u64,
}

impl Budget {
    /// A budget of `per_day` bytes, with the commit interval while at least half of it is left.
    pub(super) fn new(per_day: u64, interval: Duration) -> Budget {
        Budget { per_day, interval, day: 0, written: 0 }
    }

    /// Begins anew on a later day. A clock that goes back gives nothing.
    pub(super) fn today(&mut self, day: u32) {
        if day > self.day {
            (self.day, self.written) = (day, 0);
        }
    }

    /// Adds bytes that were written.
    pub(super) fn spend(&mut self, bytes: u64) {
        self.written = self.written.saturating_add(bytes);
    }

    /// Takes over what an earlier run wrote on `day`.
    pub(super) fn resume(&mut self, day: u32, written: u64) {
        if day >= self.day {
            (self.day, self.written) = (day, written.saturating_add(if day == self.day { self.written } else { 0 }));
        }
    }

    /// Day of the count.
    pub(super) fn day(&self) -> u32 {
        self.day
    }

    /// Bytes written today.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Number of doublings of the commit interval: once for each time that what is left was halved.
    pub(super) fn doublings(&self) -> u32 {
        let left = self.left().max(1);
        (self.per_day / left).max(1).ilog2()
    }

    /// The commit interval.
    pub(super) fn interval(&self) -> Duration {
        self.interval.saturating_mul(1 << self.doublings().min(16)).min(LONGEST.max(self.interval))
    }

    /// `true` while `bytes` of events may be written.
    pub(super) fn allows(&self, bytes: u64) -> bool {
        bytes <= self.left().saturating_sub(self.per_day / RESERVE)
    }

    /// `true` while a checkpoint of `bytes` may be written.
    pub(super) fn allows_checkpoint(&self, bytes: u64) -> bool {
        bytes <= self.left()
    }

    fn left(&self) -> u64 {
        self.per_day.saturating_sub(self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_doubles_with_each_half_of_what_is_left() {
        let mut budget = Budget::new(64_000_000, Duration::from_secs(5));
        budget.today(3);
        let mut seen = Vec::new();
        while budget.allows(4096) {
            seen.push(budget.interval().as_secs());
            budget.spend(500_000);
        }
        seen.dedup();
        assert_eq!(seen, [5, 10, 20, 40, 80, 160]);
        assert!(budget.written() <= 64_000_000);
        assert!(!budget.allows(4096) && budget.allows_checkpoint(4096), "the reserve");
        budget.spend(1 << 40);
        assert_eq!(budget.interval(), LONGEST);
        assert!(!budget.allows_checkpoint(1));
        budget.today(2);
        assert!(!budget.allows_checkpoint(1), "yesterday is no new day");
        budget.today(4);
        assert_eq!((budget.interval().as_secs(), budget.written()), (5, 0));
    }

    #[test]
    fn a_restart_goes_on_with_what_the_day_has_left() {
        let mut budget = Budget::new(1000, Duration::from_secs(5));
        budget.today(7);
        budget.spend(10);
        budget.resume(7, 600);
        assert_eq!(budget.written(), 610);
        budget.resume(6, 900);
        assert_eq!(budget.written(), 610, "another day's count");
        let mut unset = Budget::new(1000, Duration::from_secs(5));
        unset.resume(7, 600);
        assert_eq!((unset.day(), unset.written()), (7, 600));
    }
}
