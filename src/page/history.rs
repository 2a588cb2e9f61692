//! Measurements of the last hours and days, in memory that is bounded. Pure: time is given.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

/// Time between two points of the last hours.
const FINE_EVERY: Duration = Duration::from_secs(10);
/// Points of the last hours: 3 h.
const FINE_KEPT: usize = 1080;
/// Fine points for each one of the last days: 2 min.
const FINE_PER_COARSE: usize = 12;
/// Points of the last days: 3 days.
const COARSE_KEPT: usize = 2160;
/// Series at most; further ones are left out. 64 of them take 64 × 3240 × 4 bytes.
const MOST_SERIES: usize = 64;

/// Points by which a series grows.
const GROWN_BY: usize = 120;

/// The span that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Three hours, a point each 10 s.
    Hours,
    /// Three days, a point each 2 min.
    Days,
}

/// A value that a series gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// The value.
    pub value: f64,
    /// Unit, for people; empty = none.
    pub unit: &'static str,
    /// Of several values the last one counts, and not their mean.
    pub is_reading: bool,
}

/// All series, by name.
#[derive(Debug, Default)]
pub struct History {
    series: BTreeMap<String, Series>,
    /// Time of the next fine point.
    due: Option<Instant>,
    /// Wall-clock time of the last fine point.
    last: Option<SystemTime>,
    /// Fine points so far, in a round of [`FINE_PER_COARSE`].
    turn: usize,
    /// Points so far, for each span.
    taken: [usize; 2],
    left_out: usize,
}

#[derive(Debug)]
struct Series {
    unit: &'static str,
    is_reading: bool,
    /// The first value: points are kept as their distance from it, so that large counters keep their last digits.
    base: f64,
    fine: Ring,
    coarse: Ring,
    /// Fine points since the last coarse one: how many, their sum, the last.
    sum: (u32, f64, f64),
}

/// The newest points; NaN where there was none.
#[derive(Debug)]
struct Ring {
    points: Vec<f32>,
    next: usize,
    kept: usize,
}

impl Ring {
    fn new(kept: usize) -> Ring {
        Ring { points: Vec::new(), next: 0, kept }
    }

    fn push(&mut self, point: f32) {
        if self.points.len() < self.kept {
            if self.points.len() == self.points.capacity() {
                // As much as is needed in the end, and not twice as much.
                self.points.reserve_exact((self.kept - self.points.len()).min(GROWN_BY));
            }
            self.points.push(point);
        } else if let Some(oldest) = self.points.get_mut(self.next) {
            *oldest = point;
        }
        self.next = (self.next + 1) % self.kept;
    }

    /// Oldest first.
    fn iter(&self) -> impl Iterator<Item = f32> + '_ {
        let (new, old) = self.points.split_at(if self.points.len() < self.kept { 0 } else { self.next });
        old.iter().chain(new).copied()
    }
}

/// One answer.
#[derive(Debug, Serialize)]
pub struct Answer {
    /// Wall-clock time of the last point, in ms since 1970; the points before it are `every_s` apart.
    end_ms: u64,
    /// Time between two points.
    every_s: u64,
    /// The series by name.
    series: BTreeMap<String, Points>,
    /// Series that were not kept because there are too many.
    left_out: usize,
}

/// The points of one series, oldest first.
#[derive(Debug, Serialize)]
struct Points {
    unit: &'static str,
    /// `None` where nothing was measured.
    values: Vec<Option<f64>>,
}

impl History {
    /// True where a point is due; then [`History::record`] wants to be called.
    pub fn is_due(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| now >= due)
    }

    /// Adds a point to every series, and an empty one to those that `samples` has not. `every` is the usual time between two calls: points
    /// that were missed for longer stay empty.
    pub fn record(&mut self, samples: BTreeMap<String, Sample>, every: Duration, now: Instant, wall: SystemTime) {
        let late = self.due.map_or(Duration::ZERO, |due| now.saturating_duration_since(due));
        let missed = (late.as_secs() / FINE_EVERY.as_secs()) as usize;
        let is_slow = late < 2 * every + FINE_EVERY;
        for _ in 0..missed.min(FINE_PER_COARSE * COARSE_KEPT) {
            let samples = if is_slow { samples.clone() } else { BTreeMap::new() };
            self.point(samples);
        }
        self.point(samples);
        let from = self.due.unwrap_or(now);
        self.due = Some(from + FINE_EVERY * (missed as u32 + 1));
        self.last = Some(wall);
    }

    fn point(&mut self, samples: BTreeMap<String, Sample>) {
        self.turn = (self.turn + 1) % FINE_PER_COARSE;
        let is_coarse = self.turn == 0;
        for (name, sample) in samples.iter().filter(|(_, sample)| sample.value.is_finite()) {
            if self.series.contains_key(name) {
                continue;
            }
            if self.series.len() >= MOST_SERIES {
                self.left_out += 1;
                continue;
            }
            let mut series = Series {
                unit: sample.unit,
                is_reading: sample.is_reading,
                base: sample.value,
                fine: Ring::new(FINE_KEPT),
                coarse: Ring::new(COARSE_KEPT),
                sum: (0, 0.0, 0.0),
            };
            // So that the newest points of all series stand at the same place.
            (0..self.taken[0].min(FINE_KEPT)).for_each(|_| series.fine.push(f32::NAN));
            (0..self.taken[1].min(COARSE_KEPT)).for_each(|_| series.coarse.push(f32::NAN));
            self.series.insert(name.clone(), series);
        }
        for (name, series) in &mut self.series {
            series.point(samples.get(name).map(|sample| sample.value).filter(|value| value.is_finite()), is_coarse);
        }
        self.taken[0] += 1;
        self.taken[1] += usize::from(is_coarse);
    }

    /// Forgets series whose names begin with `prefix`.
    pub fn forget(&mut self, prefix: &str) {
        self.series.retain(|name, _| !name.starts_with(prefix));
    }

    /// The points of the `wanted` series, or of all where none is named.
    pub fn answer(&self, wanted: &[&str], span: Span) -> Answer {
        let is_wanted = |name: &&String| wanted.is_empty() || wanted.contains(&name.as_str());
        let points = |series: &Series| {
            let ring = if span == Span::Hours { &series.fine } else { &series.coarse };
            let value = |point: f32| point.is_finite().then(|| series.base + f64::from(point));
            Points { unit: series.unit, values: ring.iter().map(value).collect() }
        };
        let since = self.last.and_then(|last| last.duration_since(SystemTime::UNIX_EPOCH).ok()).unwrap_or_default();
        let every = if span == Span::Hours { FINE_EVERY } else { FINE_EVERY * FINE_PER_COARSE as u32 };
        Answer {
            end_ms: since.as_millis() as u64,
            every_s: every.as_secs(),
            series: self
                .series
                .iter()
                .filter(|(name, _)| is_wanted(name))
                .map(|(n, s)| (n.clone(), points(s)))
                .collect(),
            left_out: self.left_out,
        }
    }
}

impl Series {
    fn point(&mut self, value: Option<f64>, is_coarse: bool) {
        if let Some(value) = value {
            let (count, sum, _) = self.sum;
            self.sum = (count + 1, sum + value, value);
        }
        self.fine.push(value.map_or(f32::NAN, |value| (value - self.base) as f32));
        if is_coarse {
            let (count, sum, last) = std::mem::take(&mut self.sum);
            let mean = if self.is_reading { last } else { sum / f64::from(count) };
            self.coarse.push(if count == 0 { f32::NAN } else { (mean - self.base) as f32 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: f64) -> BTreeMap<String, Sample> {
        [(name.to_owned(), Sample { value, unit: "°C", is_reading: name == "meter" })].into()
    }

    fn values(history: &History, name: &str, span: Span) -> Vec<Option<f64>> {
        history.answer(&[name], span).series.remove(name).map(|points| points.values).unwrap_or_default()
    }

    const HALF: Duration = Duration::from_millis(500);

    #[test]
    fn memory_is_bounded_and_the_newest_stay() {
        let mut history = History::default();
        let (mut now, mut wall) = (Instant::now(), SystemTime::UNIX_EPOCH);
        for n in 0..FINE_PER_COARSE * (COARSE_KEPT + 10) {
            assert!(history.is_due(now));
            let mut samples = one("meter", n as f64);
            if n < 3 {
                let one = |i| (format!("s{i:03}"), Sample { value: 1.0, unit: "", is_reading: false });
                samples.extend((0..100).map(one));
            }
            history.record(samples, HALF, now, wall);
            (now, wall) = (now + FINE_EVERY, wall + FINE_EVERY);
            assert!(!history.is_due(now - HALF));
        }
        assert_eq!(history.series.len(), MOST_SERIES);
        let points = |series: &Series| series.fine.points.capacity() + series.coarse.points.capacity();
        let bytes: usize = history.series.values().map(|series| 4 * points(series)).sum();
        assert!(bytes <= 1 << 20, "{bytes}");
        let (fine, coarse) = (values(&history, "meter", Span::Hours), values(&history, "meter", Span::Days));
        let last = (FINE_PER_COARSE * (COARSE_KEPT + 10) - 1) as f64;
        assert_eq!((fine.len(), fine.last().copied().flatten()), (FINE_KEPT, Some(last)));
        assert_eq!(fine[0], Some(last - FINE_KEPT as f64 + 1.0));
        assert_eq!((coarse.len(), coarse.last().copied().flatten()), (COARSE_KEPT, Some(last)));
        assert_eq!(coarse[COARSE_KEPT - 2], Some(last - FINE_PER_COARSE as f64), "a reading is the last one, no mean");
        let all = history.answer(&[], Span::Days);
        assert_eq!((all.every_s, all.end_ms), (120, (last as u64) * 10_000));
        history.forget("s0");
        assert_eq!(history.answer(&[], Span::Hours).series.len(), 1, "the series of others stay");
    }

    #[test]
    fn gaps_stay_empty_and_slow_turns_do_not() {
        let mut history = History::default();
        let (mut now, wall) = (Instant::now(), SystemTime::UNIX_EPOCH);
        history.record(one("t", 50.0), HALF, now, wall);
        now += Duration::from_secs(41);
        history.record(one("t", 60.0), HALF, now, wall);
        assert_eq!(values(&history, "t", Span::Hours), [Some(50.0), None, None, None, Some(60.0)]);
        now += Duration::from_secs(20);
        history.record(one("u", f64::NAN), Duration::from_secs(20), now, wall);
        history.record(one("u", 1.0), HALF, now + FINE_EVERY, wall);
        assert_eq!(values(&history, "u", Span::Hours).len(), values(&history, "t", Span::Hours).len());
        let mut slow = History::default();
        for n in 0..3 {
            let now = now + Duration::from_secs(60 * n);
            slow.record(one("t", n as f64), Duration::from_secs(60), now, wall);
        }
        assert_eq!(values(&slow, "t", Span::Hours).len(), 13);
        assert!(values(&slow, "t", Span::Hours).iter().all(Option::is_some));
    }

    #[test]
    fn large_counters_keep_their_last_digits() {
        let mut history = History::default();
        let mut now = Instant::now();
        for n in 0..50_u32 {
            history.record(one("meter", 123_456_789_012.0 + f64::from(n)), HALF, now, SystemTime::UNIX_EPOCH);
            now += FINE_EVERY;
        }
        let last = values(&history, "meter", Span::Hours).last().copied().flatten();
        assert_eq!(last, Some(123_456_789_061.0));
    }
}
