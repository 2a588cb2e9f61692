//! Filters for sensors and flags: spikes are ignored, a failed sensor counts as the worst.

use std::time::Duration;

/// A filtered value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Filtered {
    /// The sensor never gave a plausible value: the board does not have it, it is left out.
    Absent,
    /// Too few values yet to say more.
    Unsure,
    /// The value.
    Valid(f32),
    /// It worked and then failed (no value, or one that cannot be): counts as the worst plausible value.
    Failed,
}

/// One sensor with the memory that judging it needs.
#[derive(Clone, Debug)]
pub struct Sensor {
    lowest: f32,
    highest: f32,
    /// The last three values, newest last; infinity stands for one that is implausible.
    last: [f32; 3],
    count: u32,
    seen: bool,
}

impl Sensor {
    /// A sensor whose values between the two (inclusive) are plausible.
    pub const fn new(lowest: f32, highest: f32) -> Self {
        Sensor { lowest, highest, last: [f32::INFINITY; 3], count: 0, seen: false }
    }

    /// Takes a value and gives the filtered one.
    pub fn take(&mut self, value: Option<f32>) -> Filtered {
        let plausible = value.filter(|v| (self.lowest..=self.highest).contains(v));
        self.seen |= plausible.is_some();
        if self.seen {
            let [_, b, c] = self.last;
            self.last = [b, c, plausible.unwrap_or(f32::INFINITY)];
            self.count = self.count.saturating_add(1);
        }
        self.filtered()
    }

    /// The median of the last three, where an implausible value counts as the highest. So one value that is
    /// wild or missing moves nothing, and two out of three mean that the sensor failed.
    pub fn filtered(&self) -> Filtered {
        if !self.seen {
            return Filtered::Absent;
        }
        if self.count < 3 {
            return Filtered::Unsure;
        }
        let [a, b, c] = self.last;
        let median = a.min(b).max(a.max(b).min(c));
        if median.is_finite() { Filtered::Valid(median) } else { Filtered::Failed }
    }
}

/// A warning of the firmware: believed at once, and counted as raised when it could be read before and is gone.
#[derive(Clone, Debug, Default)]
pub struct Flag {
    seen: bool,
    missing: u32,
    raised_at: Option<Duration>,
    /// Since when it has not been raised.
    calm_from: Option<Duration>,
}

impl Flag {
    /// Readings in a row without a word that make it gone.
    const GONE: u32 = 3;

    /// Takes a reading; gives the reason to lower the work, if there is one.
    pub fn take(&mut self, value: Option<bool>, name: &str, meaning: &str, now: Duration) -> Option<String> {
        self.seen |= value.is_some();
        self.missing = if value.is_some() { 0 } else { self.missing.saturating_add(1) };
        let reason = match value {
            Some(raised) => raised.then(|| meaning.to_owned()),
            None if self.seen && self.missing >= Self::GONE => Some(format!("{name} flag gone, counted as raised")),
            None => None,
        };
        if reason.is_some() {
            (self.raised_at, self.calm_from) = (Some(now), None);
        } else if self.raised_at.is_some() {
            self.calm_from.get_or_insert(now);
        }
        reason
    }

    /// It has not been raised for this long (or never was).
    pub fn calm_for(&self, wait: Duration, now: Duration) -> bool {
        self.raised_at.is_none() || self.calm_from.is_some_and(|from| now.saturating_sub(from) >= wait)
    }
}
