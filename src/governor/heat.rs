//! The thermometer held against the thermal model: the temperature now and later, and faults of the thermometer.

use std::time::Duration;

use crate::thermal::{Estimate, Thermal};

/// A temperature outside of this is none of a running processor.
const PLAUSIBLE_CELSIUS: std::ops::RangeInclusive<f32> = -30.0..=125.0;

/// A reading further than this from the model, or than five standard deviations up to the second figure, cannot be: no die
/// changes that fast.
const JUMP_CELSIUS: [f64; 2] = [6.0, 10.0];

/// A reading that stands still for this long is held against the model …
const FROZEN_AFTER: Duration = Duration::from_secs(20);
/// … and is frozen when the model has moved this far away meanwhile, and one standard deviation more.
const FROZEN_CELSIUS: f64 = 1.0;

/// Another thermometer (a renamed zone) is believed once it has moved plausibly for this long.
const ADOPT_AFTER: Duration = Duration::from_secs(60);

/// Without a thermometer the model goes on by itself for this long, …
const BLIND: Duration = Duration::from_secs(30);
/// … then the worst is assumed: a patch of sun (+15 °C in 5 min), as far as it gets before the day turns.
const SUN_CELSIUS_PER_S: f64 = 15.0 / 300.0;
const SUN_CELSIUS: f64 = 8.0;

/// This many good readings end a failure.
const GOOD_READINGS: u32 = 3;

/// State of the thermometer.
#[derive(Clone, Debug, PartialEq)]
pub enum Thermometer {
    /// There is none: the board is governed by load and deadlines.
    Absent,
    /// It works.
    Working,
    /// A bad reading or two, or too few readings yet: nothing moves because of it, up or down.
    Unsure,
    /// It worked and then failed: the worst plausible is assumed.
    Failed(&'static str),
}

/// The temperature, as far as it can be trusted.
#[derive(Clone, Debug, Default)]
pub struct Heat {
    model: Option<Thermal>,
    /// First plausible readings, of which the median starts the model.
    first: Vec<f32>,
    at: Duration,
    bad: Option<Bad>,
    good: u32,
    /// Last reading, since when it stands, and whether it ever moved.
    last: Option<f32>,
    still_since: Duration,
    moved: bool,
    /// The model as it was when the reading last moved, since then without readings.
    shadow: Option<Thermal>,
    constant: bool,
}

#[derive(Clone, Copy, Debug)]
struct Bad {
    since: Duration,
    why: &'static str,
    /// Plausible readings of what may be another thermometer: since when, how often it moved, and the last.
    stranger: Option<(Duration, u32, f32)>,
}

impl Heat {
    /// Takes a reading at `now` after a time with this load (share of all cores).
    pub fn take(&mut self, reading: Option<f32>, load: f64, now: Duration) {
        let dt = now.saturating_sub(self.at);
        self.at = now;
        let plausible = reading.filter(|v| PLAUSIBLE_CELSIUS.contains(v));
        let Some(model) = &mut self.model else {
            self.first.extend(plausible);
            if self.first.len() >= 3 {
                self.first.sort_by(f32::total_cmp);
                let median = f64::from(self.first[1]);
                (self.model, self.shadow) = (Some(Thermal::new(median, load)), Some(Thermal::new(median, load)));
                (self.last, self.still_since) = (plausible, now);
            }
            return;
        };
        model.advance(load, dt);
        if let Some(shadow) = &mut self.shadow {
            shadow.advance(load, dt);
        }
        let Some(value) = plausible else {
            let why = if reading.is_none() { "is gone" } else { "reads what cannot be" };
            return self.fail(why, None, now);
        };
        let here = model.now();
        if (f64::from(value) - here.celsius).abs() > (5.0 * here.sd).clamp(JUMP_CELSIUS[0], JUMP_CELSIUS[1]) {
            return self.fail("jumped", Some(value), now);
        }
        if self.last == Some(value) {
            if self.frozen(value, now) {
                if self.moved {
                    // The readings since it froze have misled the model.
                    self.model.clone_from(&self.shadow);
                    self.fail("is frozen", None, now);
                } else {
                    self.constant = true;
                }
                return;
            }
        } else {
            self.moved |= self.last.is_some();
            self.constant = false;
            (self.last, self.still_since) = (Some(value), now);
            self.shadow = None;
        }
        if self.bad.is_some() {
            self.good += 1;
            if self.good < GOOD_READINGS {
                return;
            }
            self.bad = None;
        }
        if let Some(model) = &mut self.model {
            model.observe(f64::from(value), dt);
        }
        if self.shadow.is_none() {
            self.shadow.clone_from(&self.model);
        }
    }

    /// The state of the thermometer.
    pub fn thermometer(&self) -> Thermometer {
        match (&self.model, &self.bad) {
            _ if self.constant => Thermometer::Absent,
            (None, _) if self.first.is_empty() => Thermometer::Absent,
            (None, _) => Thermometer::Unsure,
            (Some(_), Some(bad)) if self.at.saturating_sub(bad.since) >= Duration::from_secs(2) => {
                Thermometer::Failed(bad.why)
            }
            (Some(_), Some(_)) => Thermometer::Unsure,
            (Some(_), None) => Thermometer::Working,
        }
    }

    /// Time constant of the board in s.
    pub fn board_s(&self) -> Option<f64> {
        self.usable().map(Thermal::board_s)
    }

    /// Temperature now; while the thermometer fails, the worst plausible one.
    pub fn now(&self) -> Option<Estimate> {
        self.usable().map(|m| self.worst(m.now(), SUN_CELSIUS_PER_S))
    }

    /// Temperature after `ahead` at this load; likewise.
    pub fn after(&self, ahead: Duration, load: f64) -> Option<Estimate> {
        self.usable().map(|m| self.worst(m.after(ahead, load), SUN_CELSIUS_PER_S))
    }

    /// Temperature that this load leads to in the end; while the thermometer fails, with all of the worst at once, so that one
    /// step is enough.
    pub fn steady(&self, load: f64) -> Option<Estimate> {
        self.usable().map(|m| self.worst(m.steady(load), f64::INFINITY))
    }

    fn usable(&self) -> Option<&Thermal> {
        self.model.as_ref().filter(|_| !self.constant)
    }

    fn worst(&self, estimate: Estimate, celsius_per_s: f64) -> Estimate {
        let Some(bad) = &self.bad else { return estimate };
        let blind = self.at.saturating_sub(bad.since);
        if blind <= BLIND {
            return estimate;
        }
        let warmer = ((blind - BLIND).as_secs_f64() * celsius_per_s).min(SUN_CELSIUS);
        Estimate { celsius: estimate.celsius + warmer, ..estimate }
    }

    fn frozen(&self, value: f32, now: Duration) -> bool {
        let Some(shadow) = &self.shadow else { return false };
        let there = shadow.now();
        now.saturating_sub(self.still_since) >= FROZEN_AFTER
            && (there.celsius - f64::from(value)).abs() > FROZEN_CELSIUS + there.sd
    }

    fn fail(&mut self, why: &'static str, value: Option<f32>, now: Duration) {
        self.good = 0;
        let bad = self.bad.get_or_insert(Bad { since: now, why, stranger: None });
        bad.why = why;
        let Some(value) = value else {
            bad.stranger = None;
            return;
        };
        bad.stranger = match bad.stranger {
            Some((since, moves, last)) if (value - last).abs() <= 3.0 => {
                Some((since, moves + u32::from(value != last), value))
            }
            _ => Some((now, 0, value)),
        };
        if let Some((since, moves, _)) = bad.stranger
            && moves >= 2
            && now.saturating_sub(since) >= ADOPT_AFTER
        {
            *self = Heat { at: now, ..Heat::default() };
            self.first.push(value);
        }
    }
}
