//! The state of the governor, its pipelines and its answers; the decisions are in [`step`](super::step).

use std::sync::Arc;
use std::time::Duration;

use super::pipeline::Pipeline;
use crate::config::{Config, Mode};
use crate::demand::Demand;
use crate::heat::Heat;
use crate::ladder::PipelineLadder;
use crate::overrides::{Order, Overrides};
use crate::sensor::{Flag, Sensor};
use crate::setpoint::{Assignment, Change, Setpoint};

/// The reason of an ordered rung.
pub(super) const FIXED_BY_REQUEST: &str = "fixed by request";

/// A state is called known after this time.
const CALIBRATING: Duration = Duration::from_secs(10);

/// Decides on readings and moves along the ladders of all pipelines.
///
/// ```text
///                 known after 10 s        lowered                 nothing left to lower          even that is too hot
///   Calibrating ───────────────────▶ Normal ─────────▶ Reduced ──────────────────────▶ Critical ─────────────────────▶ Paused
///                           (all on rung 0) ◀───────── (some lower) ◀─────────────── (all on the last) ◀───────────── (some paused)
///                                      the next rung is expected to stay within every limit, for dwell_up × back-off
/// ```
///
/// * *Heat*: a model of the board, estimated while it runs, gives the temperature in 30 s and the one that any rung settles at. The
///   work is lowered when the one in 30 s crosses `limit − margin`, to the first rung that settles below it; raised to a rung only
///   if that settles below it.
/// * *Deadlines*: lowered at once when p95 is beyond the deadline, to the first rung that is expected to keep it under the present
///   load of others; raised to a rung only if that is expected to keep it well.
/// * *Throttling, supply*: lowered at once. *Memory, CPU of others, the broker's queue*: lowered when it lasts.
///
/// The pipeline with the lowest weight steps down first and up last; among equals the one with the most work left. A pipeline is
/// known by its name.
#[derive(Clone, Debug)]
pub struct Governor {
    pub(super) config: Config,
    pub(super) overrides: Overrides,
    pub(super) pipelines: Vec<Pipeline>,
    pub(super) heat: Heat,
    pub(super) cpu: Sensor,
    pub(super) memory_pressure: Sensor,
    pub(super) throttled: Flag,
    pub(super) under_voltage: Flag,
    pub(super) demand: Demand,
    /// A soft limit that was seen: its temperature in °C, and the share of the clock that it leaves.
    pub(super) soft: Option<(f64, f64)>,
    pub(super) soft_active: bool,
    /// Since when memory, CPU and broker, in this order, have been pressing.
    pub(super) pressing: [Option<Duration>; 3],
    pub(super) pressed: bool,
    pub(super) supply_steps: u32,
    pub(super) supply_at: Option<Duration>,
    pub(super) last_down: Option<Duration>,
    pub(super) last_up: Option<Duration>,
    pub(super) last_change: Option<Duration>,
    /// Since when a step up has been possible.
    pub(super) better_since: Option<Duration>,
    pub(super) backoff: u32,
    /// Load of others when a step up was taken back.
    pub(super) others_then: f64,
    pub(super) too_hot: Option<TooHot>,
    pub(super) started: Option<Duration>,
    pub(super) now: Duration,
}

/// Work that was too hot.
#[derive(Clone, Copy, Debug)]
pub(super) struct TooHot {
    /// Its load, as a share of all cores.
    pub(super) share: f64,
    /// The temperature that it was expected to settle at.
    pub(super) celsius: f64,
    /// The board has to be expected this many °C cooler before it is tried again.
    pub(super) cooler: f64,
    pub(super) at: Duration,
}

/// State of all pipelines together; see the diagram at [`Governor`].
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
    /// Some pipeline rests until the board has cooled.
    Paused,
}

/// Setpoint of one pipeline with its reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The pipeline's name.
    pub pipeline: Arc<str>,
    /// The setpoint in force.
    pub setpoint: Setpoint,
    /// The reason of the last change, for people.
    pub reason: String,
    /// Time of the last change, on the clock given to [`Governor::step`].
    pub since: Duration,
    /// The mode in force.
    pub mode: Mode,
    /// End of the orders in force, on the same clock.
    pub until: Option<Duration>,
}

/// Temperatures that the governor expects, for people.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Forecast {
    /// Temperature now, cleaned of spikes.
    pub soc_celsius: f32,
    /// Temperature in 30 s on the present rungs.
    pub in_30s_celsius: f32,
    /// Temperature that the present rungs lead to in the end.
    pub steady_celsius: f32,
    /// Temperature that is kept.
    pub limit_celsius: f32,
    /// Estimated time constant of the board in s.
    pub time_constant_s: f32,
}

impl Governor {
    /// A governor with every pipeline on its first rung; a fixed rung takes effect at the first step. The names of `ladders` differ;
    /// a ladder without rungs is left alone.
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

    /// Goes on with another configuration and with the pipelines of `names` in this order: those of `ladders` begin with full work
    /// (or on their ordered rung) unless their ladder is the same as before, the others stay on their rung. A name without a ladder
    /// is left out. The model of the board and the orders in force stay; see [`Governor::retain_orders`].
    pub fn reload<'a>(
        &mut self,
        config: Config,
        names: impl IntoIterator<Item = &'a str>,
        mut ladders: Vec<PipelineLadder>,
    ) {
        self.config = config;
        let mut before = std::mem::take(&mut self.pipelines);
        for name in names {
            let new = ladders.iter().position(|ladder| *ladder.name == *name).map(|at| ladders.swap_remove(at));
            let old = before.iter().position(|p| *p.ladder.name == *name).map(|at| before.swap_remove(at));
            let pipeline = match (new, old) {
                (Some(ladder), Some(old)) if ladder == old.ladder => Some(old),
                (Some(ladder), _) => Some(self.begin(ladder)),
                (None, old) => old,
            };
            self.pipelines.extend(pipeline);
        }
    }

    /// Puts the orders of an earlier governor with the same clock in force again, from `now` on.
    pub fn resume(&mut self, orders: Overrides, now: Duration) {
        (self.overrides, self.now) = (orders, now);
        self.overrides.expire(now);
        for pipeline in std::mem::take(&mut self.pipelines) {
            let pipeline = self.begin(pipeline.ladder);
            self.pipelines.push(pipeline);
        }
    }

    /// The orders in force, for [`Governor::resume`].
    pub fn orders(&self) -> &Overrides {
        &self.overrides
    }

    /// Drops the orders for pipelines that do not stay.
    pub fn retain_orders(&mut self, stays: impl Fn(&str) -> bool) {
        self.overrides.retain(stays);
    }

    /// Adds a pipeline behind the others, at full work or on its ordered rung; one of the same name gives way. Everything else
    /// goes on.
    pub fn add(&mut self, ladder: PipelineLadder) {
        self.pipelines.retain(|p| p.ladder.name != ladder.name);
        let pipeline = self.begin(ladder);
        self.pipelines.push(pipeline);
    }

    fn begin(&self, ladder: PipelineLadder) -> Pipeline {
        let mut pipeline = Pipeline::new(ladder, self.now);
        if let Some(rung) = self.overrides.fixed(&pipeline.ladder.name) {
            pipeline.level = rung.min(pipeline.last());
            pipeline.reason = FIXED_BY_REQUEST.into();
        }
        pipeline
    }

    /// Replaces the ladder of a pipeline that has been measured. It goes on where it costs no more than on its present rung, which
    /// is full work for one at full work. Orders stay; an unknown name changes nothing.
    pub fn learn(&mut self, ladder: PipelineLadder) {
        let now = self.now;
        let Some(pipeline) = self.pipelines.iter_mut().find(|p| p.ladder.name == ladder.name) else { return };
        let level = match pipeline.level {
            0 => 0,
            _ if pipeline.paused() => ladder.rungs.len(),
            level => {
                let cores = pipeline.ladder.cores(pipeline.at(level));
                let cheaper = ladder.rungs.iter().position(|rung| ladder.cores(rung) <= cores);
                cheaper.unwrap_or(ladder.rungs.len().saturating_sub(1))
            }
        };
        (pipeline.ladder, pipeline.level, pipeline.since, pipeline.busy_since) = (ladder, level, now, now);
    }

    /// Takes an order of a person; it lasts for `for_` from `now` on, or until the next one.
    pub fn order(&mut self, order: &Order, for_: Option<Duration>, now: Duration) {
        self.overrides.take(order, for_.map(|d| now + d), self.pipelines.iter().map(|p| &p.ladder.name));
    }

    /// The assignment of a pipeline; `None` for an unknown name.
    pub fn assignment(&self, name: &str) -> Option<Assignment> {
        let pipeline = self.pipeline(name)?;
        Some(pipeline.ladder.assignment(pipeline.setpoint(pipeline.level)?))
    }

    /// The status of a pipeline; `None` for an unknown name.
    pub fn status(&self, name: &str) -> Option<Status> {
        let p = self.pipeline(name)?;
        Some(Status {
            pipeline: p.ladder.name.clone(),
            setpoint: p.setpoint(p.level)?,
            reason: p.reason.clone(),
            since: p.since,
            mode: self.mode(),
            until: self.overrides.until(),
        })
    }

    /// The ladders of all pipelines.
    pub fn ladders(&self) -> impl Iterator<Item = &PipelineLadder> {
        self.pipelines.iter().map(|pipeline| &pipeline.ladder)
    }

    fn pipeline(&self, name: &str) -> Option<&Pipeline> {
        self.pipelines.iter().find(|p| *p.ladder.name == *name)
    }

    /// The mode in force, ordered or configured.
    pub fn mode(&self) -> Mode {
        self.overrides.mode().unwrap_or(self.config.mode)
    }

    /// End of the orders in force, on the clock given to [`Governor::step`]; `None` without an order or without an end.
    pub fn until(&self) -> Option<Duration> {
        self.overrides.until()
    }

    /// The state of all pipelines together; see the diagram at [`Governor`].
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

    /// The pipeline is moved by readings: it has rungs, no order fixes it, and its work is done here.
    pub(super) fn governed(&self, index: usize) -> bool {
        let Pipeline { ladder, away, .. } = &self.pipelines[index];
        !ladder.rungs.is_empty() && !away.is() && self.is_free(index)
    }

    /// True where no order fixes the rung of the pipeline.
    pub(super) fn is_free(&self, index: usize) -> bool {
        self.overrides.fixed(&self.pipelines[index].ladder.name).is_none()
    }

    /// Moves the pipelines to these levels, for this reason.
    pub(super) fn move_to(&mut self, levels: &[usize], reason: &str) -> Vec<Change> {
        let mut changes = Vec::new();
        for (pipeline, level) in self.pipelines.iter_mut().zip(levels) {
            if pipeline.level == *level {
                continue;
            }
            changes.extend(pipeline.place(*level, reason, self.now));
            self.last_change = Some(self.now);
        }
        changes
    }

    /// Puts a pipeline on `level`, which may be the one that it is on, wherever its work is done.
    pub(super) fn place(&mut self, index: usize, level: usize, reason: &str) -> Option<Change> {
        self.last_change = Some(self.now);
        self.pipelines[index].place(level, reason, self.now)
    }

    pub(super) fn levels(&self) -> Vec<usize> {
        self.pipelines.iter().map(|p| p.level).collect()
    }

    pub(super) fn config_seconds(&self, value: f32) -> Duration {
        Duration::try_from_secs_f32(value).unwrap_or(Duration::from_secs(3600))
    }

    /// `wait` is over since `at`.
    pub(super) fn due(&self, at: Option<Duration>, wait: Duration) -> bool {
        at.is_none_or(|at| self.now.saturating_sub(at) >= wait)
    }
}
