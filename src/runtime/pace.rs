//! The interval between two frames of one reader.

use std::time::{Duration, Instant};

/// Lets frames through no faster than an interval, without drifting: a frame up to a tenth of the interval early counts as
/// due, so that a camera at exactly the interval loses nothing to jitter.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Time at which the next frame is due; `None` = at once.
    pub(super) due: Option<Instant>,
}

impl Pace {
    /// True if a frame that was captured at `captured` is let through.
    pub(super) fn admits(&mut self, captured: Instant, interval: Duration) -> bool {
        if interval.is_zero() {
            return true;
        }
        match self.due {
            Some(due) if captured + interval / 10 < due => return false,
            // On time: the next is due one interval after this one *was*. Late by more than that: start afresh.
            Some(due) if captured < due + interval => self.due = Some(due + interval),
            _ => self.due = Some(captured + interval),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames admitted out of `count` that come every `every_ms`, at `interval_ms`.
    fn admitted(count: u64, every_ms: f64, interval_ms: u64) -> usize {
        let start = Instant::now();
        let mut pace = Pace::default();
        (0..count)
            .filter(|i| {
                let at = start + Duration::from_secs_f64(*i as f64 * every_ms / 1e3);
                pace.admits(at, Duration::from_millis(interval_ms))
            })
            .count()
    }

    #[test]
    fn keeps_to_the_interval_on_average() {
        assert_eq!(admitted(150, 66.67, 0), 150, "no interval: everything");
        assert_eq!(admitted(150, 66.67, 66), 150, "an interval of the camera's own period loses nothing");
        let tenth = admitted(1500, 66.67, 1000);
        assert!((98..=102).contains(&tenth), "100 s at one a second gave {tenth}");
        let third = admitted(1500, 66.67, 200);
        assert!((495..=505).contains(&third), "100 s at five a second gave {third}");
    }

    #[test]
    fn a_pause_of_the_source_is_not_made_up_for() {
        let start = Instant::now();
        let mut pace = Pace::default();
        let interval = Duration::from_millis(100);
        assert!(pace.admits(start, interval));
        let later = start + Duration::from_secs(60);
        assert!(pace.admits(later, interval));
        assert!(!pace.admits(later + Duration::from_millis(10), interval), "no burst after a pause");
    }
}
