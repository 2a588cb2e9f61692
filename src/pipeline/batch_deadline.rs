//! The time at which a batch runs although it is not full.

use std::time::{Duration, Instant};

/// Time for the threads to wake up and for the message to be made; a tenth of the deadline where that is less.
const MARGIN: Duration = Duration::from_millis(5);

/// Time to gather a batch where neither a deadline nor the pace of the source bounds it.
const UNPACED: Duration = Duration::from_secs(1);

/// Bounds of the time that frames wait for the rest of their batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchDeadline {
    /// A result later than this after its frame was captured is missed; zero = there is no deadline.
    pub(crate) deadline: Duration,
    /// Expected time of the inference and its preprocessing.
    pub(crate) infer: Duration,
    /// Time between two frames; zero = not known.
    pub(crate) interval: Duration,
    /// Frames of a full batch.
    pub(crate) batch: usize,
}

impl BatchDeadline {
    /// The latest start of a batch whose oldest frame was captured at `oldest`: this frame keeps its deadline; without a deadline,
    /// twice the time in which the batch should have filled.
    pub(crate) fn until(&self, oldest: Instant) -> Instant {
        let batch = u32::try_from(self.batch).unwrap_or(u32::MAX);
        let wait = match (self.deadline.is_zero(), self.interval.is_zero()) {
            (false, _) => self.deadline.saturating_sub(self.infer + MARGIN.min(self.deadline / 10)),
            (true, false) => self.interval.saturating_mul(batch).saturating_mul(2),
            (true, true) => UNPACED,
        };
        // A time that no clock reaches is the same as a day.
        oldest.checked_add(wait).unwrap_or(oldest + Duration::from_secs(86_400))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(deadline_ms: u64, infer_ms: u64, interval_ms: u64, batch: usize, wait_ms: u64) {
        let [deadline, infer, interval] = [deadline_ms, infer_ms, interval_ms].map(Duration::from_millis);
        let oldest = Instant::now();
        let until = BatchDeadline { deadline, infer, interval, batch }.until(oldest);
        assert_eq!(until - oldest, Duration::from_millis(wait_ms), "{deadline_ms} {infer_ms} {interval_ms} {batch}");
    }

    #[test]
    fn a_batch_runs_before_its_oldest_frame_misses_its_deadline() {
        check(250, 45, 100, 4, 200);
        check(20, 10, 5, 4, 8);
        // It is late whatever happens: at once.
        check(100, 120, 10, 4, 0);
    }

    #[test]
    fn without_a_deadline_a_source_that_stopped_does_not_hold_the_last_frames_for_ever() {
        check(0, 45, 100, 4, 800);
        check(0, 45, 0, 4, 1000);
        let oldest = Instant::now();
        let endless =
            BatchDeadline { deadline: Duration::ZERO, infer: Duration::ZERO, interval: Duration::MAX, batch: 64 };
        assert!(endless.until(oldest) > oldest);
    }
}
