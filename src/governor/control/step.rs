//! The control law: one step from a reading to changes.

use std::time::Duration;

use super::governor::{FIXED_BY_REQUEST, Governor, TooHot};
use super::outlook::COOLER_CELSIUS;
use super::pipeline::Pipeline;
use super::reasons::Reason;
use crate::config::Mode;
use crate::demand::{heating, slowness};
use crate::heat::Thermometer;
use crate::reading::{Load, Reading};
use crate::sensor::Filtered;
use crate::setpoint::Change;

/// Demanded cooling of a rung that was too hot again is doubled up to this …
const MOST_COOLER_CELSIUS: f64 = 8.0;
/// … and forgotten after this time.
const HEAT_FORGOTTEN: Duration = Duration::from_secs(7200);

/// A step up that is taken back within this time was a mistake: the wait before the next one is doubled.
const TAKEN_BACK_WITHIN: Duration = Duration::from_secs(300);
/// The wait before a step up is doubled up to this factor.
const MAX_BACKOFF: u32 = 16;
/// The load of others has fallen by this share of the machine: earlier mistakes count no more.
const RELIEF: f64 = 0.15;
/// A step up must have been possible for this long.
const BETTER_FOR: Duration = Duration::from_secs(10);
/// A soft limit leaves this share of the clock: 1200 of 1400 MHz on a Pi 3B+, the only board that has one.
const SOFT_CLOCK: f64 = 1200.0 / 1400.0;

/// A step to more work here.
enum Up {
    /// To these levels.
    To(Vec<usize>),
    /// The work of this pipeline, which others do, comes home.
    Home(usize),
}

impl Governor {
    /// Decides on a reading taken at `now` (any monotonic clock). Each pipeline changes at most once.
    pub fn step(&mut self, reading: &Reading, now: Duration) -> Vec<Change> {
        let dt = now.saturating_sub(self.now.max(self.started.unwrap_or(now)));
        self.now = self.now.max(now);
        self.started.get_or_insert(self.now);
        self.overrides.expire(self.now);
        self.look(reading, dt);
        let mut changes = self.fixed();
        let home = self.come_home(reading);
        self.look_at_group(reading);
        let reasons = self.reasons(reading);
        self.pressed = !reasons.is_empty();
        changes.extend(if home.is_empty() { self.moved(reasons, reading) } else { home });
        changes
    }

    /// The move that readings lead to: less work here, given to others or lowered, or more.
    fn moved(&mut self, reasons: Vec<Reason>, reading: &Reading) -> Vec<Change> {
        let changes = match reasons.into_iter().find(|reason| self.lowers(&reason.levels)) {
            Some(reason) => {
                let left = self.leave(&reason, reading);
                if left.is_empty() { self.down(&reason) } else { left }
            }
            None if !self.pressed => self.up(reading),
            None => Vec::new(),
        };
        if changes.is_empty() { self.leave_for_more(reading) } else { changes }
    }

    /// Rungs that an order or the configuration fixes.
    fn fixed(&mut self) -> Vec<Change> {
        let mut levels = self.levels();
        let configured = (self.mode() == Mode::Manual).then_some(self.config.rung as usize);
        for (level, pipeline) in levels.iter_mut().zip(&self.pipelines) {
            if let Some(rung) = self.overrides.fixed(&pipeline.ladder.name).or(configured) {
                *level = rung.min(pipeline.last());
            }
        }
        let is_fixed = |index: &usize| self.mode() == Mode::Manual || !self.is_free(*index);
        let fixed: Vec<usize> = (0..levels.len()).filter(is_fixed).collect();
        let recalled: Vec<usize> = fixed.into_iter().filter(|index| self.recall(*index)).collect();
        let reason = if self.mode() == Mode::Manual { "fixed by mode manual" } else { FIXED_BY_REQUEST };
        let mut changes = self.move_to(&levels, reason);
        // The rung may be the one that it had while others computed.
        let told = |index: &usize| changes.iter().any(|change| change.pipeline == self.pipelines[*index].ladder.name);
        let stayed: Vec<usize> = recalled.into_iter().filter(|index| !told(index)).collect();
        changes.extend(stayed.into_iter().filter_map(|index| self.place(index, levels[index], reason)));
        changes
    }

    /// Brings everything that is believed of the board up to date.
    fn look(&mut self, r: &Reading, dt: Duration) {
        let settled = self.pipelines.iter().all(|p| self.now.saturating_sub(p.since) >= Duration::from_secs(5));
        let idle = self.pipelines.iter().any(|p| r.pipelines.get(&p.ladder.name).is_none_or(|l| l.idle));
        let away = self.pipelines.iter().any(|p| p.away.is());
        let expected = (settled && !idle && !away).then(|| self.cores_now(r));
        self.demand.take(r, expected, dt);
        let load = match self.cpu.take(r.cpu_percent) {
            // The reading itself, which is the mean since the last one: what was heated with.
            Filtered::Valid(_) | Filtered::Unsure => {
                r.cpu_percent.filter(|v| (0.0..=100.5).contains(v)).map(|v| f64::from(v) / 100.0)
            }
            Filtered::Absent | Filtered::Failed => None,
        };
        self.watch_clock(r, dt);
        for p in &mut self.pipelines {
            if p.paused() || r.pipelines.get(&p.ladder.name).is_none_or(Load::is_quiet) {
                p.busy_since = self.now;
            }
            p.watch_gate(r.pipelines.get(&p.ladder.name).and_then(|load| load.open), dt);
        }
        let load = load.unwrap_or(self.demand.others + self.demand.own);
        self.heat.take(r.soc_celsius, heating(load, self.demand.clock), self.now);
        if self.last_down.is_none_or(|at| self.now.saturating_sub(at) >= 2 * TAKEN_BACK_WITHIN)
            || self.demand.others < self.others_then - RELIEF
        {
            self.backoff = 1;
        }
        self.too_hot = self.too_hot.filter(|hot| self.now.saturating_sub(hot.at) < HEAT_FORGOTTEN);
    }

    fn watch_clock(&mut self, r: &Reading, dt: Duration) {
        let held = [r.soft_limited, r.throttled, r.under_voltage].contains(&Some(true));
        let loads = self.pipelines.iter().filter_map(|p| Some((p, r.pipelines.get(&p.ladder.name)?)));
        let busiest = loads.filter(|(p, load)| !p.paused() && !load.is_quiet());
        let cores = |p: &Pipeline| p.ladder.rungs.get(p.level).map_or(0.0, |rung| p.ladder.cores(rung));
        let busiest = busiest.max_by(|(a, _), (b, _)| cores(a).total_cmp(&cores(b)));
        let slowness = busiest.and_then(|(p, load)| slowness(p.ladder.rungs.get(p.level)?, load, &self.demand));
        self.demand.watch_clock(held, slowness, dt);
        let soft = r.soft_limited == Some(true);
        if soft && r.throttled != Some(true) && r.under_voltage != Some(true) {
            let at = self.soft.map(|(at, _)| at).filter(|_| self.soft_active);
            self.soft = at.or(self.heat.now().map(|e| e.celsius)).map(|at| (at, SOFT_CLOCK));
        }
        self.soft_active = soft;
    }

    /// These levels lower some pipeline, and the time for that has come.
    pub(super) fn lowers(&self, levels: &[usize]) -> bool {
        self.due(self.last_down, self.config_seconds(self.config.dwell_down_s))
            && levels.iter().zip(&self.pipelines).any(|(l, p)| *l > p.level)
    }

    fn down(&mut self, reason: &Reason) -> Vec<Change> {
        self.note_down(reason);
        self.move_to(&reason.levels, &reason.text)
    }

    /// Takes note of a step to less work here.
    pub(super) fn note_down(&mut self, reason: &Reason) {
        let taken_back = self.last_up.take().is_some_and(|at| self.now.saturating_sub(at) < TAKEN_BACK_WITHIN);
        if reason.heat {
            self.remember_heat(taken_back);
        } else if taken_back {
            self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
            self.others_then = self.demand.others;
        }
        self.last_down = Some(self.now);
    }

    /// The present work was too hot. Mistaken steps up do not lengthen the wait but ask for a board that is cooler each time: when
    /// the cause goes away (a fan comes back) that is seen at once.
    fn remember_heat(&mut self, taken_back: bool) {
        let levels = self.levels();
        let share = self.demand.share(self.cores(&levels));
        let Some(steady) = self.settles(&levels).filter(|_| self.heat.thermometer() == Thermometer::Working) else {
            return;
        };
        let cooler = match self.too_hot {
            Some(before) if taken_back => (before.cooler * 2.0).min(MOST_COOLER_CELSIUS),
            _ => COOLER_CELSIUS,
        };
        self.too_hot = Some(TooHot { share, celsius: steady.celsius.min(self.kept_celsius()), cooler, at: self.now });
    }

    /// Raises one pipeline as far as everything allows, the heaviest first, once that has been possible for a while: what was
    /// the cause takes its time to be gone, and one step further is better than two.
    fn up(&mut self, r: &Reading) -> Vec<Change> {
        let wait = self.config_seconds(self.config.dwell_up_s).saturating_mul(self.backoff);
        let calm = self.mode() != Mode::Manual && self.due(self.last_change, wait) && self.calm(r);
        let higher = || self.higher_levels(r).map(|(levels, reason)| (Up::To(levels), reason));
        let home = || self.could_come_home(r).map(|(index, reason)| (Up::Home(index), reason));
        let Some((up, reason)) = calm.then(|| higher().or_else(home)).flatten() else {
            self.better_since = None;
            return Vec::new();
        };
        let since = *self.better_since.get_or_insert(self.now);
        if self.now.saturating_sub(since) < BETTER_FOR {
            return Vec::new();
        }
        (self.last_up, self.better_since) = (Some(self.now), None);
        match up {
            Up::To(levels) => self.move_to(&levels, &reason),
            Up::Home(index) => self.take_home(index, &reason),
        }
    }
}
