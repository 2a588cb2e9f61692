//! Rate limiting of equal log lines, with a count of those held back.

use std::time::{Duration, Instant};

/// Selects which of many equal messages are logged: the first, then at most one per `every` for each key, with the number held
/// back in between.
///
/// ```
/// # use std::time::{Duration, Instant};
/// # let now = Instant::now();
/// let mut limit = leptond::telemetry::RateLimited::new(Duration::from_secs(10));
/// if let Some(suppressed) = limit.admit("decode", now) {
///     tracing::warn!(suppressed, "cannot decode the frame");
/// }
/// ```
#[derive(Debug)]
pub struct RateLimited {
    every: Duration,
    /// At most [`RateLimited::MAX_KEYS`]; when full, the key logged longest ago is dropped.
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    key: String,
    logged: Instant,
    suppressed: u64,
}

impl RateLimited {
    /// Bound on keys, so that keys made from bad input cannot exhaust the memory.
    pub const MAX_KEYS: usize = 64;

    /// Logs each key at most once per `every`.
    pub fn new(every: Duration) -> Self {
        RateLimited { every, entries: Vec::new() }
    }

    /// `Some` with the number held back since the last message when this one is to be logged, else `None`.
    pub fn admit(&mut self, key: &str, now: Instant) -> Option<u64> {
        if let Some(entry) = self.entries.iter_mut().find(|e| e.key == key) {
            if now.saturating_duration_since(entry.logged) < self.every {
                entry.suppressed += 1;
                return None;
            }
            entry.logged = now;
            return Some(std::mem::take(&mut entry.suppressed));
        }
        if self.entries.len() >= Self::MAX_KEYS {
            let oldest = self.entries.iter().enumerate().min_by_key(|(_, e)| e.logged).map(|(i, _)| i);
            oldest.map(|i| self.entries.swap_remove(i));
        }
        self.entries.push(Entry { key: key.to_owned(), logged: now, suppressed: 0 });
        Some(0)
    }

    /// Keys that fell silent with messages held back, each with their number. Called at intervals, so that the last messages of a
    /// flood are logged too.
    pub fn settle(&mut self, now: Instant) -> Vec<(String, u64)> {
        let every = self.every;
        let quiet = |e: &&mut Entry| e.suppressed > 0 && now.saturating_duration_since(e.logged) >= every;
        self.entries.iter_mut().filter(quiet).map(|e| (e.key.clone(), std::mem::take(&mut e.suppressed))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_logged_then_one_per_period_and_none_is_lost() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut limit = RateLimited::new(Duration::from_secs(10));
        assert_eq!(limit.admit("decode", at(0)), Some(0));
        assert!((1..=498).all(|ms| limit.admit("decode", at(ms)).is_none()));
        assert_eq!(limit.admit("size", at(499)), Some(0), "another key has its own turn");
        assert_eq!(limit.admit("decode", at(10_000)), Some(498));
        assert_eq!(limit.admit("decode", at(10_001)), None);
        assert_eq!(limit.settle(at(19_000)), []);
        assert_eq!(limit.settle(at(20_000)), [("decode".to_owned(), 1)]);
        assert_eq!(limit.settle(at(40_000)), []);
    }

    #[test]
    fn keys_are_bounded() {
        let now = Instant::now();
        let mut limit = RateLimited::new(Duration::from_secs(1));
        for i in 0..1000 {
            assert_eq!(limit.admit(&format!("file {i}"), now + Duration::from_millis(i)), Some(0));
        }
        assert_eq!(limit.entries.len(), RateLimited::MAX_KEYS);
        assert_eq!(limit.admit("file 999", now + Duration::from_millis(1000)), None, "the newest are kept");
    }
}
