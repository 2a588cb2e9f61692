//! Attempts after one that failed: the time to the next one, and what is said of it.

use std::time::Duration;

use super::error::FleetError;

/// Time to the next attempt, first and longest.
const AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];
/// A session that lasted as long was a good one.
const LASTED: Duration = Duration::from_secs(60);

/// Attempts to do something with the group.
pub(super) struct Retries {
    /// Words for the failure.
    what: &'static str,
    wait: Duration,
    said: String,
}

impl Retries {
    /// `what` is what is said when an attempt failed.
    pub(super) fn new(what: &'static str) -> Retries {
        Retries { what, wait: AGAIN[0], said: String::new() }
    }

    /// Logs an attempt that failed after `lasted`; gives the time to the next one, doubled each time, and the reason in words.
    pub(super) fn failed(&mut self, error: &FleetError, lasted: Duration) -> (Duration, String) {
        let (error, what) = (error.to_string(), self.what);
        if lasted > LASTED {
            self.wait = AGAIN[0];
            self.said.clear();
        }
        let wait = self.wait;
        // The same words every half minute would hide all others.
        if self.said == error {
            tracing::debug!(error, "{what}");
        } else {
            tracing::warn!(error, again_in_s = wait.as_secs(), "{what}");
        }
        self.said.clone_from(&error);
        self.wait = (wait * 2).min(AGAIN[1]);
        (wait, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_come_later_each_time_until_one_lasts() {
        let error = FleetError::NoVersion("x".into());
        let mut retries = Retries::new("nothing works");
        let mut waits = |lasted: u64| retries.failed(&error, Duration::from_secs(lasted)).0.as_secs();
        assert_eq!([waits(0), waits(0), waits(0), waits(0), waits(0), waits(0), waits(0)], [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!([waits(61), waits(0)], [1, 2]);
    }
}
