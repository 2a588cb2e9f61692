//! The control law of the governor.

mod choice;
mod outlook;
mod pipeline;
mod reasons;

use std::time::Duration;

use self::pipeline::Pipeline;
use self::reasons::Push;
use super::demand::{Demand, heating, slowness};
use super::heat::Heat;
use super::heat::Sight;
use super::overrides::Overrides;
use super::sensor::{Belief, Flag, Sensor};
use super::{Assignment, Change, Config, Mode, Order, PipelineLadder, Reading, Setpoint};

/// How far the temperature is foreseen.
const AHEAD: Duration = Duration::from_secs(30);
/// … to a rung that settles this far below it; the work is raised to such a rung only.
const BELOW_CELSIUS: f64 = 0.25;
/// A rung that was too hot is tried again when the board has become this much cooler, …
const COOLER_CELSIUS: f64 = 1.0;

/// Another rung is worth a change when it gives this much more.
const CLEARLY_MORE: f64 = 1.02;

/// … which is doubled up to this with each time that it was too hot again …
const MOST_COOLER_CELSIUS: f64 = 8.0;
/// … and forgotten after this time.
const HEAT_FORGOTTEN: Duration = Duration::from_secs(7200);

/// A step up that is taken back within this time was a mistake: the wait before the next one is doubled.
const TAKEN_BACK_WITHIN: Duration = Duration::from_secs(300);
/// The wait before a step up is doubled up to this factor.
const MAX_BACKOFF: u32 = 16;
/// What others use has fallen by this share of the machine: earlier mistakes count no more.
const RELIEF: f64 = 0.15;

/// Others use the CPU in earnest above this share of the machine.
const OTHERS_WORK: f64 = 0.1;
/// Between two steps down that no forecast guides.
const BLIND_DWELL: Duration = Duration::from_secs(5);
/// A step up must have been possible for this long.
const BETTER_FOR: Duration = Duration::from_secs(10);
/// A soft limit leaves this share of the clock: 1200 of 1400 MHz on a Pi 3B+, the only board that has one.
const SOFT_CLOCK: f64 = 1200.0 / 1400.0;
/// A state is called known after this time.
const CALIBRATING: Duration = Duration::from_secs(10);

/// The governor: foresees, and moves along the ladders of all pipelines.
///
/// ```text
///                 known after 10 s        lowered                 nothing left to lower          even that is too hot
///   Calibrating ───────────────────▶ Normal ─────────▶ Reduced ──────────────────────▶ Critical ─────────────────────▶ Paused
///                           (all on rung 0) ◀───────── (some lower) ◀─────────────── (all on the last) ◀───────────── (some paused)
///                                      what the next rung leads to is within every limit, for dwell_up × back-off
/// ```
///
/// * *Heat*: a model of the board, estimated while it runs (`thermal`), gives the temperature in 30 s and the one that
///   any rung settles at. The work is lowered when the one in 30 s crosses `limit − margin`, to the first rung that settles below
///   it; raised to a rung only if that settles below it.
/// * *Deadlines*: lowered at once when p95 is beyond the deadline, to the first rung that is expected to keep it under the present
///   load of others; raised to a rung only if that is expected to keep it well.
/// * *Throttling, supply*: lowered at once. *Memory, CPU of others, the broker's queue*: lowered when it lasts.
///
/// The pipeline with the lowest weight steps down first and up last; among equals the one with the most work left.
#[derive(Clone, Debug)]
pub struct Governor {
    config: Config,
    overrides: Overrides,
    pipelines: Vec<Pipeline>,
    heat: Heat,
    cpu: Sensor,
    memory_pressure: Sensor,
    throttled: Flag,
    under_voltage: Flag,
    demand: Demand,
    /// A soft limit that was seen: at which temperature, and to which share of the clock.
    soft: Option<(f64, f64)>,
    soft_active: bool,
    /// Since when memory, CPU and broker, in this order, have been pressing.
    pressing: [Option<Duration>; 3],
    pressed: bool,
    supply_steps: u32,
    supply_at: Option<Duration>,
    last_down: Option<Duration>,
    last_up: Option<Duration>,
    last_change: Option<Duration>,
    /// Since when a step up has been possible.
    better_since: Option<Duration>,
    backoff: u32,
    /// What others used when a step up was taken back.
    others_then: f64,
    too_hot: Option<TooHot>,
    started: Option<Duration>,
    now: Duration,
}

/// Work that was too hot.
#[derive(Clone, Copy, Debug)]
struct TooHot {
    /// What it used, share of all cores.
    share: f64,
    /// What it was expected to settle at.
    celsius: f64,
    /// How much cooler it has to be before it is tried again.
    cooler: f64,
    at: Duration,
}

/// Where the governor stands; see the diagram at [`Governor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The board is not known yet.
    Calibrating,
    /// Every pipeline does its full work.
    Normal,
    /// Some pipeline is lowered.
    Reduced,
    /// Nothing is left to lower.
    Critical,
    /// Some pipeline looks at nothing until the board has cooled.
    Paused,
}

/// What one pipeline is held to, and why: the content of the `governor` topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The pipeline's name.
    pub pipeline: String,
    /// What applies.
    pub setpoint: Setpoint,
    /// Why it was chosen.
    pub reason: String,
    /// When, on the clock given to [`Governor::step`].
    pub since: Duration,
    /// How the governor decides.
    pub mode: Mode,
    /// Until when a person's wish applies, on the same clock.
    pub until: Option<Duration>,
}

/// What the governor expects of the board, for people and for `leptond probe --watch`.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Forecast {
    /// Temperature now, cleaned of spikes.
    pub soc_celsius: f32,
    /// Temperature in 30 s on the present rungs.
    pub in_30s_celsius: f32,
    /// Temperature that the present rungs lead to in the end.
    pub steady_celsius: f32,
    /// Temperature that is kept to.
    pub limit_celsius: f32,
    /// How slowly the board warms and cools, estimated, in s.
    pub time_constant_s: f32,
}

impl Governor {
    /// A governor with every pipeline on its first rung; a fixed rung takes effect at the first step. A ladder without rungs is
    /// left alone.
    pub fn new(config: Config, ladders: Vec<PipelineLadder>) -> Self {
        Governor {
            config,
            overrides: Overrides::default(),
            pipelines: ladders.into_iter().map(|ladder| Pipeline::new(ladder, Duration::ZERO)).collect(),
            heat: Heat::default(),
            cpu: Sensor::new(0.0, 100.5),
            memory_pressure: Sensor::new(0.0, 100.5),
            throttled: Flag::default(),
            under_voltage: Flag::default(),
            demand: Demand::default(),
            soft: None,
            soft_active: false,
            pressing: [None; 3],
            pressed: false,
            supply_steps: 0,
            supply_at: None,
            last_down: None,
            last_up: None,
            last_change: None,
            better_since: None,
            backoff: 1,
            others_then: 0.0,
            too_hot: None,
            started: None,
            now: Duration::ZERO,
        }
    }

    /// Goes on with other settings and with the pipelines of `names` in this order: those of `ladders` begin with full work unless
    /// their ladder is the same as before, the others stay on their rung. A name without a ladder is left out. What is known of
    /// the board stays; overrides end, since pipelines may have changed their places.
    pub fn reload(&mut self, config: Config, names: &[&str], ladders: Vec<PipelineLadder>) {
        let mut before = std::mem::take(&mut self.pipelines);
        let mut new: Vec<Pipeline> = ladders.into_iter().map(|ladder| Pipeline::new(ladder, self.now)).collect();
        let goes_on = |name: &&str| {
            let new = new.iter().position(|p| p.ladder.name == **name).map(|at| new.swap_remove(at));
            let old = before.iter().position(|p| p.ladder.name == **name).map(|at| before.swap_remove(at));
            match (new, old) {
                (Some(new), Some(old)) if new.ladder == old.ladder => Some(old),
                (new, old) => new.or(old),
            }
        };
        self.pipelines = names.iter().filter_map(goes_on).collect();
        (self.config, self.overrides) = (config, Overrides::default());
    }

    /// What pipeline `index` does now.
    pub fn assignment(&self, index: usize) -> Option<Assignment> {
        let pipeline = self.pipelines.get(index)?;
        Some(pipeline.ladder.assignment(pipeline.setpoint(pipeline.level)?))
    }

    /// One more pipeline, behind those that there are, at full work. Everything else goes on as it is, wishes included.
    pub fn add(&mut self, ladder: PipelineLadder) {
        self.pipelines.push(Pipeline::new(ladder, self.now));
    }

    /// Pipeline `index` has been measured: it goes on where it costs no more than on its present rung, which is full work for one
    /// that was at full work. Overrides stay.
    pub fn learn(&mut self, index: usize, ladder: PipelineLadder) {
        let Some(pipeline) = self.pipelines.get_mut(index) else { return };
        let level = match pipeline.level {
            0 => 0,
            _ if pipeline.paused() => ladder.rungs.len(),
            level => {
                let cores = pipeline.ladder.cores(pipeline.at(level));
                let cheaper = ladder.rungs.iter().position(|rung| ladder.cores(rung) <= cores);
                cheaper.unwrap_or(ladder.rungs.len().saturating_sub(1))
            }
        };
        (pipeline.ladder, pipeline.level, pipeline.since, pipeline.busy_since) = (ladder, level, self.now, self.now);
    }

    /// Takes a person's wish; it lasts for `for_` from `now` on, or until the next one.
    pub fn order(&mut self, order: &Order, for_: Option<Duration>, now: Duration) {
        self.overrides.take(order, for_.map(|d| now + d), self.pipelines.len());
    }

    /// Decides on a reading taken at `now` (any monotonic clock). Each pipeline changes at most once.
    pub fn step(&mut self, reading: &Reading, now: Duration) -> Vec<Change> {
        let dt = now.saturating_sub(self.now.max(self.started.unwrap_or(now)));
        self.now = self.now.max(now);
        self.started.get_or_insert(self.now);
        self.overrides.expire(self.now);
        self.look(reading, dt);
        let mut changes = self.wished();
        let pushes = self.pushes(reading);
        self.pressed = !pushes.is_empty();
        match pushes.into_iter().find(|push| self.lowers(&push.levels)) {
            Some(push) => changes.extend(self.down(&push)),
            None if !self.pressed => changes.extend(self.up(reading)),
            None => {}
        }
        changes
    }

    /// What applies to pipeline `index` now.
    pub fn status(&self, index: usize) -> Option<Status> {
        let p = self.pipelines.get(index)?;
        Some(Status {
            pipeline: p.ladder.name.clone(),
            setpoint: p.setpoint(p.level)?,
            reason: p.reason.clone(),
            since: p.since,
            mode: self.mode(),
            until: self.overrides.until(),
        })
    }

    /// How it is decided at the moment.
    pub fn mode(&self) -> Mode {
        self.overrides.mode().unwrap_or(self.config.mode)
    }

    /// What is expected of the board; `None` while nothing is known of its temperature.
    pub fn forecast(&self) -> Option<Forecast> {
        let load = self.heating();
        Some(Forecast {
            soc_celsius: self.heat.now()?.celsius as f32,
            in_30s_celsius: self.heat.after(AHEAD, load)?.celsius as f32,
            steady_celsius: self.heat.steady(load)?.celsius as f32,
            limit_celsius: self.kept_celsius() as f32,
            time_constant_s: self.heat.board_s()? as f32,
        })
    }

    /// Where the governor stands.
    pub fn state(&self) -> State {
        let measured = self.pipelines.iter().all(|p| !p.ladder.provisional);
        let known = measured && self.started.is_some_and(|at| self.now.saturating_sub(at) >= CALIBRATING);
        if self.pipelines.iter().any(Pipeline::paused) {
            State::Paused
        } else if self.pipelines.iter().all(|p| p.level == 0) {
            if known { State::Normal } else { State::Calibrating }
        } else if self.pressed && self.pipelines.iter().all(|p| p.level >= p.last()) {
            State::Critical
        } else {
            State::Reduced
        }
    }

    /// Brings everything that is believed of the board up to date.
    fn look(&mut self, r: &Reading, dt: Duration) {
        let settled = self.pipelines.iter().all(|p| self.now.saturating_sub(p.since) >= Duration::from_secs(5));
        let idle = (0..self.pipelines.len()).any(|i| r.pipelines.get(i).is_none_or(|l| l.idle));
        let expected = (settled && !idle).then(|| self.cores(&self.levels()));
        self.demand.take(r, expected, dt);
        let load = match self.cpu.take(r.cpu_percent) {
            // The reading itself, which is the mean since the last one: what was heated with.
            Belief::Known(_) | Belief::Unsure => {
                r.cpu_percent.filter(|v| (0.0..=100.5).contains(v)).map(|v| f64::from(v) / 100.0)
            }
            Belief::Absent | Belief::Failed => None,
        };
        self.watch_clock(r, dt);
        for (index, p) in self.pipelines.iter_mut().enumerate() {
            if p.paused() || r.pipelines.get(index).is_none_or(|load| load.idle) {
                p.busy_since = self.now;
            }
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
        let busiest = self.pipelines.iter().zip(&r.pipelines).filter(|(p, load)| !p.paused() && !load.idle);
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

    /// Whether a pipeline is moved by readings: it has rungs, and no person has fixed it.
    fn governed(&self, index: usize) -> bool {
        !self.pipelines[index].ladder.rungs.is_empty() && self.overrides.fixed(index).is_none()
    }

    fn lowers(&self, levels: &[usize]) -> bool {
        self.due(self.last_down, self.dwell_down()) && levels.iter().zip(&self.pipelines).any(|(l, p)| *l > p.level)
    }

    fn down(&mut self, push: &Push) -> Vec<Change> {
        let taken_back = self.last_up.take().is_some_and(|at| self.now.saturating_sub(at) < TAKEN_BACK_WITHIN);
        if push.heat {
            self.remember_heat(taken_back);
        } else if taken_back {
            self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
            self.others_then = self.demand.others;
        }
        self.last_down = Some(self.now);
        self.move_to(&push.levels, &push.reason)
    }

    /// The present work was too hot. Mistaken steps up do not lengthen the wait but ask for a board that is cooler each time: when
    /// the cause goes away (a fan comes back) that is seen at once.
    fn remember_heat(&mut self, taken_back: bool) {
        let levels = self.levels();
        let share = self.demand.share(self.cores(&levels));
        let Some(steady) = self.settles(&levels).filter(|_| self.heat.sight() == Sight::Known) else { return };
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
        let Some((levels, reason)) = calm.then(|| self.higher_levels(r)).flatten() else {
            self.better_since = None;
            return Vec::new();
        };
        let since = *self.better_since.get_or_insert(self.now);
        if self.now.saturating_sub(since) < BETTER_FOR {
            return Vec::new();
        }
        (self.last_up, self.better_since) = (Some(self.now), None);
        self.move_to(&levels, &reason)
    }

    /// Rungs that a person has fixed.
    fn wished(&mut self) -> Vec<Change> {
        let mut levels = self.levels();
        for (index, level) in levels.iter_mut().enumerate() {
            let configured = (self.mode() == Mode::Manual).then_some(self.config.rung as usize);
            if let Some(rung) = self.overrides.fixed(index).or(configured) {
                *level = rung.min(self.pipelines[index].last());
            }
        }
        let reason = if self.mode() == Mode::Manual { "fixed by mode manual" } else { "fixed by request" };
        self.move_to(&levels, reason)
    }

    fn move_to(&mut self, levels: &[usize], reason: &str) -> Vec<Change> {
        let mut changes = Vec::new();
        for (index, (pipeline, level)) in self.pipelines.iter_mut().zip(levels).enumerate() {
            if pipeline.level == *level {
                continue;
            }
            let Some(setpoint) = pipeline.setpoint(*level) else { continue };
            (pipeline.level, pipeline.since) = (*level, self.now);
            pipeline.reason = reason.to_owned();
            self.last_change = Some(self.now);
            changes.push(Change { pipeline: index, setpoint, reason: reason.to_owned() });
        }
        changes
    }

    fn levels(&self) -> Vec<usize> {
        self.pipelines.iter().map(|p| p.level).collect()
    }

    fn dwell_down(&self) -> Duration {
        self.config_seconds(self.config.dwell_down_s)
    }

    fn config_seconds(&self, value: f32) -> Duration {
        Duration::try_from_secs_f32(value).unwrap_or(Duration::from_secs(3600))
    }

    /// Whether `wait` is over since `at`.
    fn due(&self, at: Option<Duration>, wait: Duration) -> bool {
        at.is_none_or(|at| self.now.saturating_sub(at) >= wait)
    }
}
