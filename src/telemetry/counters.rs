//! Counters and histograms in fixed memory.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

/// Buckets per power of two: a percentile is at most 1/32 (3.1 %) above the truth.
const SUB: u64 = 32;
/// From 0 µs to 2^36 µs (19 hours); longer durations count as the longest.
const BUCKETS: usize = 32 * 32;

/// A histogram of durations with logarithmic buckets (the HDR scheme: exact below 32 µs, then 32 buckets for each power of two),
/// 4 KiB. Lock-free; any thread may record.
pub struct Latency {
    buckets: Box<[AtomicU32; BUCKETS]>,
    max_us: AtomicU64,
}

/// Percentiles of a [`Latency`] or [`Recent`]; `None` without a recorded duration.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize)]
pub struct Percentiles {
    /// Durations recorded.
    pub count: u64,
    /// Median in ms.
    pub p50_ms: Option<f64>,
    /// 95th percentile in ms.
    pub p95_ms: Option<f64>,
    /// 99th percentile in ms.
    pub p99_ms: Option<f64>,
    /// The longest, in ms.
    pub max_ms: Option<f64>,
}

impl Default for Latency {
    fn default() -> Self {
        Latency { buckets: Box::new([const { AtomicU32::new(0) }; BUCKETS]), max_us: AtomicU64::new(0) }
    }
}

impl Latency {
    /// Counts one duration.
    pub fn record(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(bucket_of(us)) {
            bucket.fetch_add(1, Relaxed);
        }
        self.max_us.fetch_max(us, Relaxed);
    }

    /// Percentiles of everything recorded so far.
    pub fn percentiles(&self) -> Percentiles {
        self.collect(|bucket| bucket.load(Relaxed), self.max_us.load(Relaxed))
    }

    /// Percentiles of everything recorded since the last `take`; then resets.
    pub fn take(&self) -> Percentiles {
        self.collect(|bucket| bucket.swap(0, Relaxed), self.max_us.swap(0, Relaxed))
    }

    fn collect(&self, read: impl Fn(&AtomicU32) -> u32, max_us: u64) -> Percentiles {
        let counts: Vec<u32> = self.buckets.iter().map(read).collect();
        let count: u64 = counts.iter().map(|&c| u64::from(c)).sum();
        if count == 0 {
            return Percentiles::default();
        }
        let at = |quantile: f64| {
            let rank = (quantile * count as f64).ceil().max(1.0) as u64;
            let mut seen = 0;
            let bucket = counts.iter().position(|&c| {
                seen += u64::from(c);
                seen >= rank
            });
            bucket.map(|b| upper_us(b).min(max_us) as f64 / 1e3)
        };
        let max_ms = Some(max_us as f64 / 1e3);
        Percentiles { count, p50_ms: at(0.50), p95_ms: at(0.95), p99_ms: at(0.99), max_ms }
    }
}

impl std::fmt::Debug for Latency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.percentiles().fmt(f)
    }
}

/// Bucket of a duration: exact below [`SUB`], then by exponent and the five bits after the leading one.
fn bucket_of(us: u64) -> usize {
    if us < SUB {
        return us as usize;
    }
    let exponent = u64::from(us.ilog2()) - 5;
    let bucket = (exponent + 1) * SUB + ((us >> exponent) - SUB);
    (bucket as usize).min(BUCKETS - 1)
}

/// Longest duration of a bucket, in µs.
fn upper_us(bucket: usize) -> u64 {
    let (octave, sub) = (bucket as u64 / SUB, bucket as u64 % SUB);
    if octave == 0 { sub } else { ((SUB + sub + 1) << (octave - 1)) - 1 }
}

/// The newest durations with their times, for a control loop, which must forget.
#[derive(Debug, Default)]
pub struct Recent {
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    /// At most [`Recent::CAPACITY`] entries; `next` is the oldest, overwritten next.
    samples: Vec<(Instant, Duration)>,
    next: usize,
    /// Durations that began earlier do not count.
    since: Option<Instant>,
}

impl Recent {
    /// Durations held at most; the oldest gives way.
    pub const CAPACITY: usize = 128;

    /// Counts one duration that ended at `now`, unless it began before the last [`Recent::restart`].
    pub fn record(&self, duration: Duration, now: Instant) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let Ring { samples, next, since } = &mut *ring;
        if since.is_some_and(|since| now.saturating_duration_since(since) < duration) {
            return;
        }
        match samples.get_mut(*next) {
            Some(slot) => *slot = (now, duration),
            None => samples.push((now, duration)),
        }
        *next = (*next + 1) % Self::CAPACITY;
    }

    /// Forgets everything, including durations that began before `now` and have not ended yet.
    pub fn restart(&self, now: Instant) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        *ring = Ring { since: Some(now), ..Ring::default() };
    }

    /// 95th percentile of the durations that ended in the last `window` before `now`; `None` with fewer than `least` of them, or
    /// none.
    pub fn p95(&self, window: Duration, least: usize, now: Instant) -> Option<Duration> {
        self.rank(95, window, least, now)
    }

    /// Median of the durations that ended in the last `window` before `now`; `None` without one.
    pub fn median(&self, window: Duration, now: Instant) -> Option<Duration> {
        self.rank(50, window, 1, now)
    }

    fn rank(&self, percent: usize, window: Duration, least: usize, now: Instant) -> Option<Duration> {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = |(at, _): &&(Instant, Duration)| now.saturating_duration_since(*at) <= window;
        let mut durations: Vec<Duration> = ring.samples.iter().filter(fresh).map(|(_, d)| *d).collect();
        drop(ring);
        if durations.len() < least {
            return None;
        }
        durations.sort_unstable();
        let rank = (durations.len() * percent).div_ceil(100);
        durations.get(rank.checked_sub(1)?).copied()
    }
}

/// Share of one kind among the newest events.
#[derive(Debug, Default)]
pub struct Share {
    /// The newest event in the lowest bit, and the number of events.
    bits: Mutex<(u64, u32)>,
}

impl Share {
    /// Events that count at most; the oldest gives way.
    pub const CAPACITY: u32 = u64::BITS;

    /// Counts one event.
    pub fn record(&self, of_the_kind: bool) {
        let mut bits = self.bits.lock().unwrap_or_else(PoisonError::into_inner);
        *bits = (bits.0 << 1 | u64::from(of_the_kind), (bits.1 + 1).min(Self::CAPACITY));
    }

    /// Forgets everything.
    pub fn restart(&self) {
        *self.bits.lock().unwrap_or_else(PoisonError::into_inner) = (0, 0);
    }

    /// The share, 0 to 1; `None` before the first event.
    pub fn get(&self) -> Option<f32> {
        let (bits, count) = *self.bits.lock().unwrap_or_else(PoisonError::into_inner);
        (count > 0).then(|| bits.count_ones() as f32 / count as f32)
    }
}

/// Counters of one pipeline since start; any thread may count.
#[derive(Debug, Default)]
pub struct PipelineCounters {
    /// Frames captured.
    pub frames: AtomicU64,
    /// Successful inferences.
    pub inferences: AtomicU64,
    /// Frames replaced in the slot by a newer one before a worker took them: the board is too slow.
    pub dropped: AtomicU64,
    /// Frames skipped on purpose: the interval of the present rung was not over.
    pub skipped: AtomicU64,
    /// Frames that were damaged, or whose inference failed.
    pub errors: AtomicU64,
    /// From capture of the frame to the hand-over to the publisher.
    pub latency: Latency,
    /// Time in the model.
    pub infer: Latency,
    /// The newest of `latency` since the present setpoint applies, for the governor's deadline.
    pub recent: Recent,
    /// Steps of the governor to more work.
    pub steps_up: AtomicU64,
    /// Steps of the governor to less work.
    pub steps_down: AtomicU64,
    /// Time on a rung other than the first, in ms.
    pub reduced_ms: AtomicU64,
    /// The newest inferences with their preprocessing, since the present setpoint applies.
    pub recent_infer: Recent,
    /// Newest frames that replaced an unread one, since the present setpoint applies.
    pub overwritten: Share,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(value: f64) -> Duration {
        Duration::from_secs_f64(value / 1e3)
    }

    #[test]
    fn nothing_recorded_says_nothing() {
        assert_eq!(Latency::default().percentiles(), Percentiles::default());
        assert_eq!(Recent::default().p95(Duration::MAX, 0, Instant::now()), None);
        assert_eq!(Recent::default().median(Duration::MAX, Instant::now()), None);
        assert_eq!(Share::default().get(), None);
    }

    #[test]
    fn percentiles_of_a_known_distribution() {
        let latency = Latency::default();
        (1..=1000).for_each(|i| latency.record(ms(f64::from(i) / 10.0)));
        let p = latency.take();
        let near = |found: Option<f64>, true_ms: f64| (true_ms..=true_ms * 1.032).contains(&found.unwrap());
        assert_eq!((p.count, p.max_ms), (1000, Some(100.0)));
        assert!(near(p.p50_ms, 50.0) && near(p.p95_ms, 95.0) && near(p.p99_ms, 99.0), "{p:?}");
        assert_eq!(latency.take().count, 0, "take starts anew");
    }

    #[test]
    fn durations_beyond_the_range_count_as_the_longest() {
        let latency = Latency::default();
        latency.record(Duration::MAX);
        latency.record(Duration::ZERO);
        let p = latency.percentiles();
        assert_eq!((p.count, p.p50_ms), (2, Some(0.0)));
        assert!(p.p99_ms.unwrap() > 1e6);
    }

    #[test]
    fn the_recent_window_forgets() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let recent = Recent::default();
        (0..20).for_each(|i| recent.record(ms(10.0 + i as f64), at(i)));
        assert_eq!(recent.p95(Duration::from_secs(100), 3, at(20)), Some(ms(28.0)));
        assert_eq!(recent.median(Duration::from_secs(100), at(20)), Some(ms(19.0)));
        assert_eq!(recent.p95(Duration::from_secs(3), 3, at(20)), Some(ms(29.0)), "three samples: the longest");
        assert_eq!(recent.p95(Duration::from_secs(3), 4, at(20)), None, "too few");
        assert_eq!(recent.p95(Duration::from_secs(3), 0, at(60)), None);
        (0..1000).for_each(|i| recent.record(ms(1.0), at(100 + i)));
        assert_eq!(recent.p95(Duration::MAX, 3, at(2000)), Some(ms(1.0)), "older ones gave way");
        assert_eq!(recent.ring.lock().unwrap().samples.len(), Recent::CAPACITY);
    }

    #[test]
    fn what_began_before_a_restart_does_not_count() {
        let start = Instant::now();
        let recent = Recent::default();
        recent.record(ms(5.0), start);
        recent.restart(start + ms(100.0));
        assert_eq!(recent.median(Duration::MAX, start + ms(100.0)), None);
        recent.record(ms(50.0), start + ms(120.0));
        assert_eq!(recent.median(Duration::MAX, start + ms(120.0)), None, "it began before");
        recent.record(ms(20.0), start + ms(120.0));
        assert_eq!(recent.median(Duration::MAX, start + ms(120.0)), Some(ms(20.0)));
    }

    #[test]
    fn a_share_is_of_the_newest() {
        let share = Share::default();
        [true, false, false, true].into_iter().for_each(|kind| share.record(kind));
        assert_eq!(share.get(), Some(0.5));
        (0..Share::CAPACITY).for_each(|_| share.record(false));
        assert_eq!(share.get(), Some(0.0));
        share.restart();
        assert_eq!(share.get(), None);
    }

    proptest! {
        #[test]
        fn a_bucket_holds_its_durations_within_a_thirty_second(us in 0u64..1 << 35) {
            let bucket = bucket_of(us);
            prop_assert!(bucket < BUCKETS);
            prop_assert!(upper_us(bucket) >= us);
            prop_assert!(upper_us(bucket) - us <= us / 32);
            prop_assert!(bucket == 0 || upper_us(bucket - 1) < us);
        }
    }
}
