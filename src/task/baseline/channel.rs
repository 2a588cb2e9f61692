//! One channel: what is usual of it, and what is the matter when a value is not.

use serde::{Deserialize, Serialize};

use super::daily::{DAY, Daily};
use super::runs::{Gaps, Runs};
use super::track::{Shares, Track};
use crate::frame::Trouble;

/// Readings that make a beginning.
const FIRST: usize = 32;

/// Readings beyond that turn a spike into a new level, and usual ones that end what was none.
const LASTING: u32 = 8;
const CALM: u32 = 3;

/// A track by the time of day is relied on once its spread is this share of the plain one's, or less.
const DAILY_PAYS: f64 = 0.8;

/// Time in which the level follows at the fastest and at most, as a share of what was seen, and in s.
const FOLLOWS: f64 = 0.5;
const SLOWEST: f64 = 3.0 * DAY;

/// Time after which what was seen has faded, in s.
const MEMORY: f64 = 14.0 * DAY;

/// Readings that a level which is accepted is the mean of.
const LATEST: u32 = 256;

/// Growth of a change that makes it a drift.
const DRIFTS: f64 = 1.6;

/// Share of a value that stands in for the spread of a channel that has never varied.
const UNVARIED: f64 = 0.01;

/// The largest distance that is told.
const FARTHEST: f64 = 1e9;

/// Share of the first deviation within which a value is back.
const BACK: f64 = 0.5;

/// Time of a reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// In s, going on evenly from reading to reading.
    pub(super) time: f64,
    /// In s since some midnight: the time of day.
    pub(super) clock: f64,
}

/// Settings that hold for every channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Least deviation, in robust spreads.
    pub(super) spreads: f64,
    /// Time for which nothing is told, in s.
    pub(super) learn: f64,
    /// Time after which a lasting deviation is the new level, in s; infinite = never.
    pub(super) accept: f64,
}

/// State of a channel, all that is kept of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Channel {
    /// The first readings: time in s and value.
    first: Vec<(f64, f32)>,
    /// Values seen, and the time that they span, in s.
    count: f64,
    span: f64,
    /// Smallest difference of two values that was ever seen; 0 = none.
    quantum: f64,
    plain: Track,
    daily: Track,
    days: Daily,
    steps: Track,
    runs: Runs,
    gaps: Gaps,
    /// The last usual value, and its time.
    #[serde(skip)]
    good: Option<(f64, f64)>,
    fault: Option<Fault>,
    /// Distance of the last value, in robust spreads.
    #[serde(skip)]
    pub(super) distance: f64,
}

/// A fault that goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Fault {
    /// Kind of the fault.
    pub(super) kind: Trouble,
    /// Distance in robust spreads; of what is stuck or dead, in longest usual times.
    pub(super) distance: f64,
    /// The usual value at this time.
    pub(super) usual: f64,
    /// Value now.
    #[serde(skip)]
    pub(super) value: f64,
    /// Time since it began, in s.
    lasting: f64,
    beyond: u32,
    calm: u32,
    /// Value before, and deviation at the beginning.
    before: f64,
    size: f64,
    /// Mean deviations from the level and from the course of the day over the latest readings.
    mean: (f64, f64),
    /// Of what came slowly: the smoothed deviation, the weight of a reading in it, and the deviation at which it is back.
    smooth: Option<(f64, f64, f64)>,
}

impl Channel {
    /// The present fault.
    pub(super) fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// Enough has been seen to tell.
    pub(super) fn is_ready(&self, rules: &Rules) -> bool {
        self.first.is_empty() && self.count >= FIRST as f64 && self.span >= rules.learn
    }

    /// Takes what came at a time; NaN = nothing.
    pub(super) fn take(&mut self, at: Moment, value: f32, rules: &Rules) {
        let time = at.time;
        if !value.is_finite() {
            self.nothing(time, rules);
            return;
        }
        let late = self.gaps.is_overdue(time) && self.is_ready(rules);
        let excess = self.gaps.excess(time);
        let since = self.gaps.value(time);
        let x = f64::from(value);
        if self.is(Trouble::Dead) {
            if let Some(fault) = &mut self.fault {
                fault.calm += 1;
                fault.value = x;
            }
            if self.fault.as_ref().is_some_and(|fault| fault.calm >= CALM) {
                self.fault = None;
            }
            // What it shows first may be anything; it is compared with before once it is back.
            return;
        }
        if late && self.fault.is_none() {
            self.begin(Trouble::Dead, excess, self.plain.level, x);
            self.runs.interrupt();
            return;
        }
        self.count += 1.0;
        self.span += since.unwrap_or(0.0).max(0.0);
        self.runs.add(value);
        if !self.first.is_empty() || self.count <= 1.0 {
            self.first.push((at.clock, value));
            if self.first.len() >= FIRST {
                self.set_out(time, rules);
            }
            return;
        }
        self.judge(at, x, since.unwrap_or(0.0), rules);
    }

    /// Takes that no row has come for so many longest usual times.
    pub(super) fn silence(&mut self, excess: f64, rules: &Rules) {
        if self.is_ready(rules) && !self.is(Trouble::Dead) {
            self.begin(Trouble::Dead, excess, self.plain.level, f64::NAN);
        }
    }

    fn nothing(&mut self, time: f64, rules: &Rules) {
        self.gaps.nothing();
        self.runs.interrupt();
        let excess = self.gaps.excess(time);
        if self.is(Trouble::Dead) {
            if let Some(fault) = &mut self.fault {
                (fault.distance, fault.value, fault.calm) = (fault.distance.max(excess).min(FARTHEST), f64::NAN, 0);
            }
        } else if self.is_ready(rules) && self.gaps.is_dead(time) {
            self.begin(Trouble::Dead, excess, self.plain.level, f64::NAN);
        }
    }

    /// Begins with the first readings, as if they came again.
    fn set_out(&mut self, time: f64, rules: &Rules) {
        let first = std::mem::take(&mut self.first);
        let values: Vec<f64> = first.iter().map(|(_, value)| f64::from(*value)).collect();
        for (a, b) in values.iter().zip(values.iter().skip(1)) {
            self.note_quantum(*a, *b);
        }
        let steps: Vec<f64> = values.iter().zip(values.iter().skip(1)).map(|(a, b)| b - a).collect();
        (self.plain, self.steps) = (Track::of(&values), Track::of(&steps));
        for (clock, value) in &first {
            let (x, at) = (f64::from(*value), Moment { time, clock: *clock });
            self.learn(at, x, self.gaps.usual(), self.span, rules);
            self.good = Some((x, time));
        }
    }

    fn note_quantum(&mut self, a: f64, b: f64) {
        let difference = (a - b).abs();
        if difference > 1e-6 * a.abs().max(b.abs()) && (self.quantum <= 0.0 || difference < self.quantum) {
            self.quantum = difference;
        }
    }

    /// Least spread: a sensor tells no less than half of its steps. Of one that never varied, a share of its value.
    fn floor(&self) -> f64 {
        match self.quantum {
            quantum if quantum > 0.0 => (0.5 * quantum).max(1e-6 * self.plain.level.abs()),
            _ if self.plain.level != 0.0 => UNVARIED * self.plain.level.abs(),
            _ => f64::INFINITY,
        }
    }

    /// Deviation from what is usual at this time of day, where that is known and says more than the level alone.
    fn by_day(&self, clock: f64, x: f64, floor: f64) -> Option<f64> {
        let pattern = self.days.at(clock)?;
        let pays = self.daily.sigma(floor) < DAILY_PAYS * self.plain.sigma(floor) && self.daily.is_known();
        pays.then_some(self.daily.residual(x - pattern))
    }

    fn judge(&mut self, at: Moment, x: f64, since: f64, rules: &Rules) {
        let time = at.time;
        let floor = self.floor();
        let by_day = self.by_day(at.clock, x, floor);
        let off = by_day.unwrap_or_else(|| self.plain.residual(x));
        let track = if by_day.is_some() { &self.daily } else { &self.plain };
        let interval = self.gaps.usual();
        let range = track.range(rules.spreads, floor, interval);
        let working = track.working();
        let sigma = track.sigma(floor);
        let usual = x - off;
        // A step over a gap may be as much larger as the gap is longer.
        let step = self.good.map(|(good, then)| {
            let times = if interval > 0.0 { ((time - then) / interval).max(1.0) } else { 1.0 };
            let trend = (good - self.steps.residual(good)) * times;
            (x - good - trend, times * self.steps.step_range(rules.spreads, floor, interval), good)
        });
        let step_sigma = self.steps.sigma(floor);
        self.distance = match range {
            Some(_) => off.abs() / sigma,
            None => step.map_or(0.0, |(step, ..)| step.abs() / step_sigma),
        };
        if self.fault.is_some() {
            self.go_on(at, x, off, since, range, sigma, rules);
            return;
        }
        if self.is_ready(rules) {
            let out = range.filter(|range| off.abs() > *range);
            let jump = step.filter(|(step, limit, _)| step.abs() > *limit);
            if out.is_some() || jump.is_some() {
                let distance = match range {
                    Some(_) if out.is_some() => off.abs() / sigma,
                    _ => jump.map_or(0.0, |(step, ..)| step.abs() / step_sigma),
                };
                self.begin(Trouble::Spike, distance, usual, x);
                let before = jump.map_or(usual, |(.., good)| good);
                if let Some(fault) = &mut self.fault {
                    (fault.before, fault.size, fault.beyond) = (before, x - before, 1);
                    if range.is_none() {
                        fault.usual = before;
                    }
                }
                if let Some((step, limit, _)) = jump {
                    self.steps.remember(step, limit);
                }
                if let Some(range) = out {
                    let track = if by_day.is_some() { &mut self.daily } else { &mut self.plain };
                    track.remember(off, range);
                }
                return;
            }
            if self.runs.is_stuck() {
                self.begin(Trouble::Stuck, self.runs.excess(), usual, x);
                return;
            }
            let track = if by_day.is_some() { &mut self.daily } else { &mut self.plain };
            if let Some(working) = working
                && let Some(change) = track.change(off, &working, floor)
            {
                let kind = if change.gradual { Trouble::Drift } else { Trouble::Level };
                self.begin(kind, change.mean.abs().max(off.abs()) / sigma, usual, x);
                if let Some(fault) = &mut self.fault {
                    fault.before = usual;
                    fault.size = change.mean;
                    let weight = 0.25 / f64::from(1 << working.scale);
                    fault.smooth = Some((change.mean, weight, working.sigma.max(3.0 * working.wander)));
                }
                return;
            }
        }
        self.learn(at, x, since, self.span, rules);
        self.good = Some((x, time));
    }

    /// Counts a usual value in.
    fn learn(&mut self, at: Moment, x: f64, since: f64, span: f64, rules: &Rules) {
        if let Some((good, _)) = self.good {
            self.note_quantum(good, x);
        }
        let floor = self.floor();
        let follows = (FOLLOWS * span).clamp(FOLLOWS * rules.learn, SLOWEST.max(rules.learn)).max(f64::MIN_POSITIVE);
        let share = (since / follows).max(1.0 / self.count.max(FIRST as f64)).min(1.0);
        let shares = Shares { level: share, memory: since / MEMORY };
        let floor = if floor.is_finite() { floor } else { 0.0 };
        if let Some((good, _)) = self.good {
            self.steps.learn(x - good, floor, &shares);
        }
        if let Some(pattern) = self.days.at(at.clock) {
            self.daily.learn(x - pattern, floor, &shares);
        }
        self.plain.learn(x, floor, &shares);
        self.days.add(at.clock, x);
    }

    fn is(&self, kind: Trouble) -> bool {
        self.fault.as_ref().is_some_and(|fault| fault.kind == kind)
    }

    fn begin(&mut self, kind: Trouble, distance: f64, usual: f64, value: f64) {
        let before = usual;
        self.fault = Some(Fault {
            kind,
            distance: distance.min(FARTHEST),
            usual,
            value,
            lasting: 0.0,
            beyond: 0,
            calm: 0,
            before,
            size: 0.0,
            mean: (0.0, 0.0),
            smooth: None,
        });
    }

    /// A fault goes on, changes its kind, or ends.
    #[expect(clippy::too_many_arguments, reason = "all of it is known of the value already")]
    fn go_on(&mut self, at: Moment, x: f64, off: f64, since: f64, range: Option<f64>, sigma: f64, rules: &Rules) {
        let (stuck, excess) = (self.runs.is_stuck(), self.runs.excess());
        let from_level = self.plain.residual(x);
        let from_course = self.days.at(at.clock).map_or(0.0, |pattern| self.daily.residual(x - pattern));
        let Some(fault) = &mut self.fault else { return };
        fault.lasting += since;
        fault.value = x;
        if fault.kind == Trouble::Stuck {
            if stuck {
                fault.distance = fault.distance.max(excess).min(FARTHEST);
            } else {
                fault.calm += 1;
                if fault.calm >= CALM {
                    self.fault = None;
                    self.good = Some((x, at.time));
                }
            }
            return;
        }
        let share = 1.0 / f64::from((fault.beyond + 1).min(LATEST));
        fault.mean.0 += share * (from_level - fault.mean.0);
        fault.mean.1 += share * (from_course - fault.mean.1);
        let beyond = match &mut fault.smooth {
            Some((smooth, weight, back)) => {
                *smooth += *weight * (off - *smooth);
                fault.distance = fault.distance.max(smooth.abs() / sigma);
                if fault.kind == Trouble::Level && smooth.abs() > DRIFTS * fault.size.abs() {
                    fault.kind = Trouble::Drift;
                }
                smooth.abs() > *back
            }
            None => {
                let away = (x - fault.before).abs() > BACK * fault.size.abs();
                let out = range.is_none_or(|range| off.abs() > BACK * range);
                if away && out {
                    fault.distance = fault.distance.max(match range {
                        Some(_) => off.abs() / sigma,
                        None => fault.distance,
                    });
                }
                away && out
            }
        };
        if beyond {
            (fault.beyond, fault.calm) = (fault.beyond + 1, 0);
            if fault.kind == Trouble::Spike && fault.beyond >= LASTING {
                fault.kind = Trouble::Level;
            }
        } else {
            fault.calm += 1;
        }
        let ended = fault.calm >= CALM || (fault.smooth.is_some() && fault.calm >= 1);
        let accepted = !ended && fault.lasting >= rules.accept;
        let lasting = fault.kind != Trouble::Spike;
        if accepted {
            // What has lasted for so long is the level from now on.
            let (from_level, from_course) = fault.mean;
            self.plain.shift(from_level);
            self.daily.shift(from_course);
        }
        let of_level = fault.smooth.is_some() || accepted;
        if ended || accepted {
            self.fault = None;
            if of_level {
                self.plain.settle();
                self.daily.settle();
            }
        }
        if ended || accepted || lasting {
            self.good = Some((x, at.time));
        }
    }
}
