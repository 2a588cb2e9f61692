//! From capture to the broker's socket: percentiles over the latest results. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Timing;
use super::payload::ms;
use crate::frame::status::Percentiles;

/// Results that percentiles are taken over.
const WINDOW: usize = 2048;

/// Times of the latest results.
#[derive(Debug, Default)]
pub struct Latency {
    /// Total time and time in the model.
    samples: VecDeque<(Duration, Duration)>,
}

/// Time from a captured frame to its result on the broker's socket.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize)]
pub struct Overhead {
    /// Results looked at (the latest 2048 at most).
    pub samples: usize,
    /// Everything, the model included.
    pub total_ms: Percentiles,
    /// Without the time in the model itself: decoding, resizing, waiting, rendering, handing over.
    pub overhead_ms: Percentiles,
}

impl Latency {
    /// A result was written to the socket at `now`.
    pub fn record(&mut self, timing: Timing, now: Instant) {
        if self.samples.len() == WINDOW {
            self.samples.pop_front();
        }
        self.samples.push_back((now.saturating_duration_since(timing.captured), timing.infer));
    }

    /// Percentiles of the window (zeros while it is empty).
    pub fn overhead(&self) -> Overhead {
        Overhead {
            samples: self.samples.len(),
            total_ms: percentiles(self.samples.iter().map(|(total, _)| *total)),
            overhead_ms: percentiles(self.samples.iter().map(|(total, infer)| total.saturating_sub(*infer))),
        }
    }
}

/// Percentiles by the nearest rank, in ms.
fn percentiles(samples: impl Iterator<Item = Duration>) -> Percentiles {
    let mut sorted: Vec<Duration> = samples.collect();
    sorted.sort_unstable();
    let rank = |percent: usize| {
        let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(at).copied().map_or(0.0, ms)
    };
    Percentiles { p50: rank(50), p95: rank(95), p99: rank(99) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks_and_the_window_is_bounded() {
        let mut latency = Latency::default();
        assert_eq!(latency.overhead(), Overhead::default());
        let began = Instant::now();
        let record = |latency: &mut Latency, total: u64| {
            let timing = Timing { captured: began, infer: Duration::from_millis(1) };
            latency.record(timing, began + Duration::from_millis(total));
        };
        for total in 1..=100 {
            record(&mut latency, total);
        }
        let overhead = latency.overhead();
        assert_eq!(overhead.samples, 100);
        assert_eq!(overhead.total_ms, Percentiles { p50: 50.0, p95: 95.0, p99: 99.0 });
        assert_eq!(overhead.overhead_ms, Percentiles { p50: 49.0, p95: 94.0, p99: 98.0 });
        for _ in 0..WINDOW {
            record(&mut latency, 7);
        }
        let overhead = latency.overhead();
        assert_eq!((overhead.samples, overhead.total_ms.p99), (WINDOW, 7.0));
    }

    #[test]
    fn an_inference_longer_than_the_whole_counts_as_no_overhead() {
        let mut latency = Latency::default();
        let now = Instant::now();
        latency.record(Timing { captured: now, infer: Duration::from_secs(1) }, now);
        assert_eq!(latency.overhead().overhead_ms, Percentiles::default());
    }
}
