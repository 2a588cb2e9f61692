//! What the gate says in the log, each kind of complaint once a minute at most: clients may be as many and as quick as they like.

use std::cell::RefCell;
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(60);

/// When each kind of complaint was told last, and how many were not since. There are as many entries as kinds.
#[derive(Default)]
pub(super) struct Complaints {
    told: RefCell<Vec<(&'static str, Instant, u64)>>,
}

impl Complaints {
    /// Logs `text` as a warning, unless one of this kind was logged within a minute.
    pub(super) fn tell(&self, kind: &'static str, text: &str) {
        if let Some(suppressed) = self.admit(kind, Instant::now()) {
            match suppressed {
                0 => tracing::warn!("{text}"),
                more => tracing::warn!("{text} (and {more} times more since this was told last)"),
            }
        } else {
            tracing::debug!("{text}");
        }
    }

    /// How many were suppressed before this one, if it is to be told.
    fn admit(&self, kind: &'static str, now: Instant) -> Option<u64> {
        let mut told = self.told.borrow_mut();
        match told.iter_mut().find(|(known, ..)| *known == kind) {
            Some((_, at, suppressed)) if now.saturating_duration_since(*at) < EVERY => {
                *suppressed += 1;
                None
            }
            Some((_, at, suppressed)) => {
                *at = now;
                Some(std::mem::take(suppressed))
            }
            None => {
                told.push((kind, now, 0));
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_once_a_minute_with_what_was_left_out() {
        let (complaints, now) = (Complaints::default(), Instant::now());
        assert_eq!(complaints.admit("a", now), Some(0));
        for _ in 0..500 {
            assert_eq!(complaints.admit("a", now + EVERY / 2), None);
        }
        assert_eq!(complaints.admit("b", now), Some(0));
        assert_eq!(complaints.admit("a", now + EVERY), Some(500));
    }
}
