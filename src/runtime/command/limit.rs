//! Bound on the requests that are looked at. Pure.

use std::time::{Duration, Instant};

/// Requests in one second, over a longer time.
const PER_SECOND: f64 = 5.0;

/// Requests at once, after a pause.
const BURST: f64 = 20.0;

/// Refusals are answered at most this often.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// A token bucket for the requests of one node, whoever sends them: MQTT does not tell clients apart.
#[derive(Debug)]
pub(super) struct Budget {
    tokens: f64,
    filled: Instant,
    told: Option<Instant>,
}

/// Decision on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is looked at.
    Admitted,
    /// It is answered with a refusal.
    Refused,
    /// It is dropped without an answer, since a refusal was answered a moment ago.
    Dropped,
}

impl Budget {
    /// A full bucket.
    pub(super) fn new(now: Instant) -> Budget {
        Budget { tokens: BURST, filled: now, told: None }
    }

    /// Decides on a request that came at `now`.
    pub(super) fn admit(&mut self, now: Instant) -> Admission {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed * PER_SECOND).min(BURST);
        self.filled = self.filled.max(now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Admission::Admitted;
        }
        if self.told.is_some_and(|told| now.saturating_duration_since(told) < TELL_EVERY) {
            return Admission::Dropped;
        }
        self.told = Some(now);
        Admission::Refused
    }
}

/// The words of a refusal.
pub(super) fn refusal() -> String {
    format!("too many requests: this node takes {PER_SECOND} in a second, and {BURST} at once")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_and_a_flood_is_not() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let mut counts = [0; 3];
        // 1000 in a second for ten seconds.
        for n in 0..10_000 {
            counts[budget.admit(start + Duration::from_millis(n)) as usize] += 1;
        }
        let [admitted, refused, dropped] = counts;
        assert!((68..=71).contains(&admitted), "{admitted}: the burst and five a second");
        assert_eq!(refused, 10, "one answer a second");
        assert_eq!(admitted + refused + dropped, 10_000);
        let later = start + Duration::from_secs(20);
        assert!((0..20).all(|_| budget.admit(later) == Admission::Admitted), "full again");
        assert_eq!(budget.admit(later), Admission::Refused);
        assert_eq!(budget.admit(start), Admission::Dropped, "a clock that stands still gives nothing");
    }
}
