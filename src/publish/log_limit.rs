//! Limits how often equal messages are logged.

use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(60);

/// Admits each kind of message once a minute and counts those held back. Kinds are literals, so their number is bounded.
#[derive(Default)]
pub(super) struct LogLimit {
    /// Kind, time of the last message logged, messages held back since.
    logged: Vec<(&'static str, Instant, u64)>,
}

impl LogLimit {
    /// `Some` with the number of messages held back since the last one when this one is to be logged.
    pub(super) fn admit(&mut self, kind: &'static str, now: Instant) -> Option<u64> {
        match self.logged.iter_mut().find(|(known, ..)| *known == kind) {
            Some((_, at, held_back)) if now.saturating_duration_since(*at) < EVERY => {
                *held_back += 1;
                None
            }
            Some((_, at, held_back)) => {
                *at = now;
                Some(std::mem::take(held_back))
            }
            None => {
                self.logged.push((kind, now, 0));
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_logged_once_a_minute_with_the_number_held_back() {
        let (mut limit, now) = (LogLimit::default(), Instant::now());
        assert_eq!(limit.admit("a", now), Some(0));
        for _ in 0..500 {
            assert_eq!(limit.admit("a", now + EVERY / 2), None);
        }
        assert_eq!(limit.admit("b", now), Some(0));
        assert_eq!(limit.admit("a", now + EVERY), Some(500));
    }
}
