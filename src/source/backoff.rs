//! Times of the attempts to reopen a device or child that went away.

use std::time::{Duration, Instant};

/// Doubling waits, from [`Backoff::FIRST`] to [`Backoff::MOST`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    failures: u32,
    until: Option<Instant>,
}

impl Backoff {
    /// Wait after the first failure.
    pub const FIRST: Duration = Duration::from_millis(500);
    /// Longest wait.
    pub const MOST: Duration = Duration::from_secs(15);

    /// A device that worked for so long has got over its last fault: the caller calls `worked`.
    pub const HEALTHY: Duration = Duration::from_secs(30);

    /// True if another try is due at `now`.
    pub fn is_due(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until)
    }

    /// True if no try has failed since it last worked.
    pub fn is_clear(&self) -> bool {
        self.until.is_none()
    }

    /// Time to the next try; `None` = it is due.
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// A try at `now` failed: the next is due twice as much later as the last one was. Gives the time to it.
    pub fn failed(&mut self, now: Instant) -> Duration {
        let wait = Self::FIRST.saturating_mul(1 << self.failures.min(16)).min(Self::MOST);
        self.failures = self.failures.saturating_add(1);
        self.until = Some(now + wait);
        wait
    }

    /// It works again.
    pub fn worked(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_most() {
        let start = Instant::now();
        let mut backoff = Backoff::default();
        assert!(backoff.is_due(start));
        let mut waits = Vec::new();
        let mut now = start;
        for _ in 0..7 {
            let told = backoff.failed(now);
            assert_eq!(backoff.remaining(now), Some(told));
            let mut wait = Duration::ZERO;
            while !backoff.is_due(now + wait) {
                wait += Duration::from_millis(500);
            }
            waits.push(wait.as_millis());
            assert_eq!(backoff.remaining(now + wait), None);
            now += wait;
        }
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
        backoff.worked();
        assert!(backoff.is_due(start));
    }
}
