//! Limits on slow servers, including those that send a few bytes before each timeout.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use super::limits::Limits;

/// Least average rate over each span of [`Limits::silence`]: a third of GPRS, the slowest usable link.
pub(super) const LEAST_BYTES_PER_S: u64 = 1024;

/// The transfer is too slow.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub(super) enum TooSlow {
    /// Too few bytes in the latest span.
    #[error("only {bytes} bytes came in {}: the least accepted rate is {LEAST_BYTES_PER_S} bytes/s", seconds(*.span))]
    Drip {
        /// Bytes received.
        bytes: u64,
        /// Length of the span.
        span: Duration,
    },
    /// The transfer exceeds its total time.
    #[error("not complete after {} h", .0.as_secs() / 3600)]
    Endless(Duration),
}

/// A body whose reads fail when it arrives too slowly.
pub(super) struct Paced<R> {
    body: R,
    limits: Limits,
    pace: Pace,
}

impl<R: Read> Paced<R> {
    pub(super) fn new(body: R, limits: Limits) -> Self {
        Paced { body, limits, pace: Pace::new(Instant::now()) }
    }
}

impl<R: Read> Read for Paced<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.body.read(buffer)?;
        if n > 0 {
            let judged = self.pace.came(n as u64, self.limits, Instant::now());
            judged.map_err(|slow| io::Error::new(io::ErrorKind::TimedOut, slow))?;
        }
        Ok(n)
    }
}

/// Bytes received in the present span.
struct Pace {
    begun: Instant,
    since: Instant,
    bytes: u64,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Pace { begun: now, since: now, bytes: 0 }
    }

    /// Counts bytes received at `now`.
    fn came(&mut self, bytes: u64, limits: Limits, now: Instant) -> Result<(), TooSlow> {
        self.bytes += bytes;
        let span = now.saturating_duration_since(self.since);
        if now.saturating_duration_since(self.begun) > limits.total {
            return Err(TooSlow::Endless(limits.total));
        }
        if span >= limits.silence {
            if (self.bytes as f64) < LEAST_BYTES_PER_S as f64 * span.as_secs_f64() {
                return Err(TooSlow::Drip { bytes: self.bytes, span });
            }
            (self.since, self.bytes) = (now, 0);
        }
        Ok(())
    }
}

fn seconds(span: Duration) -> String {
    format!("{:.1} s", span.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { silence: Duration::from_secs(30), retries: 0, total: Duration::from_secs(12 * 3600) };

    /// `bytes` every `every_ms` for `seconds`. Returns the time and cause of the failure.
    fn run(bytes: u64, every_ms: u64, seconds: u64) -> Option<(u64, TooSlow)> {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        (1..=seconds * 1000 / every_ms).find_map(|i| {
            let passed = Duration::from_millis(i * every_ms);
            pace.came(bytes, LIMITS, start + passed).err().map(|slow| (passed.as_secs(), slow))
        })
    }

    #[test]
    fn a_drip_is_given_up_and_a_slow_line_is_not() {
        let (after, slow) = run(1, 1000, 600).unwrap();
        assert_eq!((after, slow), (30, TooSlow::Drip { bytes: 30, span: Duration::from_secs(30) }));
        assert!(slow.to_string().starts_with("only 30 bytes came in 30.0 s"), "{slow}");
        assert!(
            run(1, 60_000, 600).is_some_and(|(after, _)| after == 60),
            "one byte a minute, whoever allows such a silence"
        );
        assert_eq!(run(1460, 1000, 7200), None, "a line of 12 kbit/s");
        assert_eq!(run(65_536, 40_000, 7200), None, "all of it at once, now and then");
    }

    #[test]
    fn what_slows_down_is_given_up_whatever_came_before() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        pace.came(10_000_000, LIMITS, start + Duration::from_secs(10)).unwrap();
        pace.came(1, LIMITS, start + Duration::from_secs(31)).unwrap();
        assert!(pace.came(1, LIMITS, start + Duration::from_secs(62)).is_err());
    }

    #[test]
    fn nothing_takes_longer_than_half_a_day() {
        let (after, slow) = run(40_000, 20_000, 24 * 3600).unwrap();
        assert_eq!(slow, TooSlow::Endless(LIMITS.total));
        assert_eq!(after / 3600, 12);
    }
}
