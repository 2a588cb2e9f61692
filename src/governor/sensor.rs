//! From what a sensor says to what may be believed: spikes are ignored, a failed sensor counts as the worst.

use std::time::Duration;

/// What is believed about one quantity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Belief {
    /// The sensor never gave a plausible value: the board does not have it, it is left out.
    Absent,
    /// Too few values yet to say more.
    Unsure,
    /// The value.
    Known(f32),
    /// It worked and then failed: counts as the worst plausible value.
    Failed(Fault),
}

/// How a sensor failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No value, or one that cannot be (NaN, out of range).
    Implausible,
    /// The same value for this long although the load changed.
    Frozen(Duration),
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

    /// Takes a value and says what to believe: the median of three, where an implausible value counts as the highest. So
    /// one value that is wild or missing moves nothing, and two out of three mean that the sensor failed.
    pub fn take(&mut self, value: Option<f32>) -> Belief {
        let plausible = value.filter(|v| (self.lowest..=self.highest).contains(v));
        self.seen |= plausible.is_some();
        if !self.seen {
            return Belief::Absent;
        }
        let [_, b, c] = self.last;
        self.last = [b, c, plausible.unwrap_or(f32::INFINITY)];
        self.count = self.count.saturating_add(1);
        if self.count < 3 {
            return Belief::Unsure;
        }
        let [a, b, c] = self.last;
        let median = a.min(b).max(a.max(b).min(c));
        if median.is_finite() { Belief::Known(median) } else { Belief::Failed(Fault::Implausible) }
    }
}

/// Finds a thermometer that stopped measuring: it moved before, and now gives exactly the same value although the load of
/// the machine changed by much.
///
/// A thermometer that never moved at all since start is no thermometer (some firmware answers with a constant): it is left
/// out once the load has changed, and is not held against the board.
#[derive(Clone, Debug, Default)]
pub struct FreezeWatch {
    value: Option<f32>,
    since: Duration,
    moved: bool,
    /// Smoothed CPU use, and when it was last brought up to date.
    cpu: Option<(f32, Duration)>,
    /// Lowest and highest of it since `since`.
    range: Option<(f32, f32)>,
}

impl FreezeWatch {
    /// The same value for at least this long is suspicious …
    const FOR: Duration = Duration::from_secs(60);
    /// … when the smoothed CPU use changed by this many percent of the machine meanwhile: enough for 2 °C on the boards
    /// that were measured.
    const CPU_SWING_PERCENT: f32 = 25.0;
    /// Time constant of the smoothing in s, so that a short burst, which heats nothing, is no evidence.
    const SMOOTHING_S: f32 = 20.0;

    /// Judges what is believed of a thermometer, with the CPU use at the same moment.
    pub fn judge(&mut self, belief: Belief, cpu_percent: Option<f32>, now: Duration) -> Belief {
        if let Some(cpu) = cpu_percent {
            let (smooth, at) = self.cpu.unwrap_or((cpu, now));
            let passed_s = now.saturating_sub(at).as_secs_f32();
            self.cpu = Some((smooth + (cpu - smooth) * passed_s / (passed_s + Self::SMOOTHING_S), now));
        }
        let Belief::Known(value) = belief else { return belief };
        if self.value != Some(value) {
            self.moved |= self.value.is_some();
            (self.value, self.since, self.range) = (Some(value), now, None);
        }
        if let Some((cpu, _)) = self.cpu {
            let (low, high) = self.range.unwrap_or((cpu, cpu));
            self.range = Some((low.min(cpu), high.max(cpu)));
        }
        let same_for = now.saturating_sub(self.since);
        let swung = self.range.is_some_and(|(low, high)| high - low >= Self::CPU_SWING_PERCENT);
        match (same_for >= Self::FOR && swung, self.moved) {
            (false, _) => belief,
            (true, true) => Belief::Failed(Fault::Frozen(same_for)),
            (true, false) => Belief::Absent,
        }
    }
}
