//! The control law of the governor.

use std::time::Duration;

use super::sensor::{Belief, Fault, FreezeWatch, Sensor};
use super::{Change, Config, Mode, Order, PipelineLadder, Reading, Setpoint};

/// A step up that is taken back within this time was a mistake: the wait before the next one is doubled.
const TAKEN_BACK_WITHIN: Duration = Duration::from_secs(300);
/// The wait before a step up is doubled up to this factor.
const MAX_BACKOFF: u32 = 16;
/// A step up that the load estimate advises against is tried all the same after this many times the wait, since the
/// estimate does not know which pipeline the load comes from.
const AGAINST_ESTIMATE: u32 = 4;
/// Time in which some task waited for memory, percent (`/proc/pressure/memory` some avg10), above which work is lowered.
const MAX_MEMORY_PRESSURE_PERCENT: f32 = 20.0;
/// Steps up need the CPU use and the memory pressure this many percent below their limits.
const CALM_PERCENT: f32 = 10.0;
/// Steps up need the temperature this much below the point of stepping down.
const HYSTERESIS_CELSIUS: f32 = 4.0;
/// Steps up need the worst latency below this share of its deadline.
const CALM_DEADLINE_RATIO: f32 = 0.8;

/// The governor's first form: one step at a time on the ladders of all pipelines.
///
/// ```text
///              pressed for dwell_down, or urgent at once               … and no rung is left
///   Normal ─────────────────────────────────────────────▶ Reduced ────────────────────────▶ Critical
///  (all on rung 0) ◀───────────────────────────────────── (some lower) ◀──────────────────  (all on their last rung)
///              calm for dwell_up × back-off                        calm for dwell_up × back-off
/// ```
///
/// * *Pressed*: SoC temperature above `limit − margin`, CPU use above `max_cpu_percent`, memory pressure above 20 %, or one
///   of these sensors failed after it had worked.
/// * *Urgent*: the firmware throttles, the supply sags, the temperature is at the limit, or the p95 latency is beyond its
///   deadline. The first step is taken at once; between two steps down there is always `dwell_down`.
/// * *Calm*: every one of these clearly below its limit (`hysteresis_celsius`, 10 %, 0.8 of the deadline). The time needed
///   doubles (up to 16 times) with each step up that had to be taken back within five minutes, and is reset when there was
///   no step down for ten.
///
/// The pipeline with the lowest weight steps down first and up last; among equals the one with the most work left.
#[derive(Clone, Debug)]
pub struct Governor {
    config: Config,
    pipelines: Vec<Pipeline>,
    soc: Sensor,
    soc_watch: FreezeWatch,
    cpu: Sensor,
    memory_pressure: Sensor,
    flags: [Flag; 2],
    /// Since when a slow reason has been pressing.
    pressed_since: Option<Duration>,
    calm_since: Option<Duration>,
    last_down: Option<Duration>,
    last_up: Option<Duration>,
    backoff: u32,
    now: Duration,
}

#[derive(Clone, Debug)]
struct Pipeline {
    ladder: PipelineLadder,
    rung: usize,
    since: Duration,
    reason: String,
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
    /// Nothing is looked at, until the board has cooled.
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
}

/// What a reading asks for.
enum Verdict {
    /// Step down, at once.
    Urgent(String),
    /// Step down when it has lasted for `dwell_down`.
    Pressed(String),
    /// Neither.
    Between,
    /// Step up when it has lasted long enough; the numbers, for the reason.
    Calm(String),
}

/// A warning of the firmware, which is believed at once, and its failure.
#[derive(Clone, Debug, Default)]
struct Flag {
    seen: bool,
    missing: u32,
}

impl Governor {
    /// A governor with every pipeline on its first rung; `Mode::Manual` takes effect at the first step. A ladder without
    /// rungs is left alone.
    pub fn new(config: Config, ladders: Vec<PipelineLadder>) -> Self {
        let pipeline = |ladder| Pipeline { ladder, rung: 0, since: Duration::ZERO, reason: "full work".into() };
        Governor {
            config,
            pipelines: ladders.into_iter().map(pipeline).collect(),
            soc: Sensor::new(-30.0, 125.0),
            soc_watch: FreezeWatch::default(),
            cpu: Sensor::new(0.0, 100.0),
            memory_pressure: Sensor::new(0.0, 100.0),
            flags: Default::default(),
            pressed_since: None,
            calm_since: None,
            last_down: None,
            last_up: None,
            backoff: 1,
            now: Duration::ZERO,
        }
    }

    /// Takes other limits or another mode from the next step on (SIGHUP); rungs and memory stay.
    pub fn set_config(&mut self, config: Config) {
        self.config = config;
    }

    /// Decides on a reading taken at `now` (any monotonic clock). At most one pipeline moves by one rung in `Auto`; in
    /// `Manual` all move to the configured rung at once.
    pub fn step(&mut self, reading: &Reading, now: Duration) -> Vec<Change> {
        self.now = self.now.max(now);
        let verdict = self.judge(reading);
        if self.config.mode == Mode::Manual {
            return self.manual();
        }
        self.time(&verdict);
        match verdict {
            Verdict::Urgent(reason) if self.may_step_down() => self.down(reason),
            Verdict::Pressed(reason) if self.lasted(self.pressed_since, self.dwell_down()) && self.may_step_down() => {
                self.down(format!("{reason} for {} s", whole_seconds(self.since(self.pressed_since))))
            }
            Verdict::Calm(numbers) => self.up(&numbers, reading),
            _ => Vec::new(),
        }
    }

    /// What applies to pipeline `index` now.
    pub fn status(&self, index: usize) -> Option<Status> {
        let p = self.pipelines.get(index)?;
        Some(Status {
            pipeline: p.ladder.name.clone(),
            setpoint: p.setpoint()?.clone(),
            reason: p.reason.clone(),
            since: p.since,
            mode: self.config.mode,
        })
    }

    /// What is expected of the board; `None` before enough is known of its temperature.
    pub fn forecast(&self) -> Option<Forecast> {
        None
    }

    /// Takes a person's wish; it lasts for `for_` from `now` on, or until the next one.
    pub fn order(&mut self, _order: &Order, _for: Option<Duration>, _now: Duration) {}

    /// Where the governor stands.
    pub fn state(&self) -> State {
        if self.pipelines.iter().all(|p| p.rung == 0) {
            State::Normal
        } else if self.pipelines.iter().all(|p| p.rung >= p.last()) {
            State::Critical
        } else {
            State::Reduced
        }
    }

    fn judge(&mut self, r: &Reading) -> Verdict {
        let c = &self.config;
        let cpu = self.cpu.take(r.cpu_percent);
        let cpu_value = if let Belief::Known(v) = cpu { Some(v) } else { None };
        let soc = self.soc.take(r.soc_celsius);
        let soc = self.soc_watch.judge(soc, cpu_value, self.now);
        let memory = self.memory_pressure.take(r.memory_pressure_percent);
        let [throttled, under_voltage] = &mut self.flags;
        let flags = [
            throttled.take(r.throttled, "throttle", "the clock is being lowered by the firmware or kernel"),
            under_voltage.take(r.under_voltage, "under-voltage", "the supply voltage is too low"),
        ];

        let down_celsius = c.limit_celsius - c.margin_celsius;
        if let Some(reason) = flags.into_iter().flatten().next() {
            return Verdict::Urgent(reason);
        }
        match soc {
            Belief::Known(t) if t >= c.limit_celsius => {
                return Verdict::Urgent(format!("soc {t:.1} °C at the limit of {:.1} °C", c.limit_celsius));
            }
            _ => {}
        }
        let ratios = self.pipelines.iter().zip(&r.pipelines).filter_map(|(p, load)| {
            let deadline_ms = p.ladder.deadline.as_secs_f32() * 1e3;
            load.p95_ms.filter(|_| deadline_ms > 0.0).map(|p95| p95 / deadline_ms)
        });
        let ratio = ratios.filter(|v| !v.is_nan()).max_by(f32::total_cmp);
        if let Some(ratio) = ratio.filter(|v| *v > 1.0) {
            return Verdict::Urgent(format!("p95 latency is {ratio:.2} of the deadline"));
        }

        let channels = [
            ("soc", "°C", 1, soc, down_celsius, HYSTERESIS_CELSIUS),
            ("cpu", "%", 0, cpu, c.max_cpu_percent, CALM_PERCENT),
            ("memory pressure", "%", 0, memory, MAX_MEMORY_PRESSURE_PERCENT, CALM_PERCENT),
        ];
        let mut calm = ratio.is_none_or(|v| v < CALM_DEADLINE_RATIO);
        let mut numbers = Vec::new();
        for (name, unit, digits, belief, limit, hysteresis) in channels {
            match belief {
                Belief::Known(v) if v > limit => {
                    return Verdict::Pressed(format!("{name} {v:.digits$} {unit} above {limit:.digits$} {unit}"));
                }
                Belief::Known(v) => {
                    calm &= v <= limit - hysteresis;
                    numbers.push(format!("{name} {v:.digits$} {unit}"));
                }
                Belief::Failed(Fault::Implausible) => {
                    return Verdict::Pressed(format!("{name} sensor failed, counted as the worst,"));
                }
                Belief::Failed(Fault::Frozen(t)) => {
                    let s = whole_seconds(t);
                    return Verdict::Pressed(format!("{name} sensor frozen since {s} s, counted as the worst,"));
                }
                Belief::Unsure => calm = false,
                Belief::Absent => {}
            }
        }
        if calm { Verdict::Calm(numbers.join(", ")) } else { Verdict::Between }
    }

    /// Keeps the times for which a verdict has lasted.
    fn time(&mut self, verdict: &Verdict) {
        let keep = |holds: bool, since: Option<Duration>| if holds { since.or(Some(self.now)) } else { None };
        let pressed_since = keep(matches!(verdict, Verdict::Urgent(_) | Verdict::Pressed(_)), self.pressed_since);
        let calm_since = keep(matches!(verdict, Verdict::Calm(_)), self.calm_since);
        (self.pressed_since, self.calm_since) = (pressed_since, calm_since);
        if self.last_down.is_none_or(|at| self.now.saturating_sub(at) >= 2 * TAKEN_BACK_WITHIN) {
            self.backoff = 1;
        }
    }

    fn down(&mut self, reason: String) -> Vec<Change> {
        let left = |p: &Pipeline| p.last() - p.rung.min(p.last());
        let movable = self.pipelines.iter().enumerate().filter(|(_, p)| left(p) > 0);
        let first =
            movable.min_by(|(_, a), (_, b)| a.ladder.weight.total_cmp(&b.ladder.weight).then(left(b).cmp(&left(a))));
        let Some((index, rung)) = first.map(|(i, p)| (i, p.rung + 1)) else { return Vec::new() };
        if self.last_up.take().is_some_and(|at| self.now.saturating_sub(at) < TAKEN_BACK_WITHIN) {
            self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
        }
        self.last_down = Some(self.now);
        self.move_to(index, rung, reason).into_iter().collect()
    }

    fn up(&mut self, numbers: &str, reading: &Reading) -> Vec<Change> {
        let lowered = self.pipelines.iter().enumerate().filter(|(_, p)| p.rung > 0);
        let first =
            lowered.max_by(|(_, a), (_, b)| a.ladder.weight.total_cmp(&b.ladder.weight).then(a.rung.cmp(&b.rung)));
        let Some((index, pipeline)) = first else { return Vec::new() };
        let rung = pipeline.rung - 1;
        let mut wait = self.dwell_up();
        if self.expected_cpu_percent(pipeline, reading).is_some_and(|v| v > self.config.max_cpu_percent) {
            wait *= AGAINST_ESTIMATE;
        }
        let last_change = self.last_down.max(self.last_up);
        if !self.lasted(self.calm_since, wait) || last_change.is_some_and(|at| self.now.saturating_sub(at) < wait) {
            return Vec::new();
        }
        self.last_up = Some(self.now);
        let seconds = whole_seconds(self.since(self.calm_since));
        let what = if numbers.is_empty() { "no sensor objects" } else { numbers };
        self.move_to(index, rung, format!("{what}: calm for {seconds} s")).into_iter().collect()
    }

    /// CPU use after a step up of `pipeline`, if all of our own load were its.
    fn expected_cpu_percent(&self, pipeline: &Pipeline, r: &Reading) -> Option<f32> {
        let (cpu, own) = (r.cpu_percent.filter(|v| v.is_finite())?, r.own_cpu_percent.filter(|v| v.is_finite())?);
        let here = pipeline.setpoint()?;
        let next = &pipeline.ladder.rungs.get(pipeline.rung.checked_sub(1)?)?.setpoint;
        let fastest_s = pipeline.ladder.frame_interval.as_secs_f32().max(0.02);
        let rate = |s: &Setpoint| 1.0 / s.interval.as_secs_f32().max(fastest_s);
        let area = |s: &Setpoint| s.resolution.map_or(1.0, |r| (r as f32).powi(2));
        let growth = rate(next) * area(next) / (rate(here) * area(here)).max(f32::MIN_POSITIVE);
        Some(cpu + own * (growth - 1.0).max(0.0))
    }

    fn manual(&mut self) -> Vec<Change> {
        let asked = usize::try_from(self.config.rung).unwrap_or(usize::MAX);
        let reason = format!("rung {} fixed by governor.mode = manual", self.config.rung);
        (self.pressed_since, self.calm_since) = (None, None);
        let target = |p: &Pipeline| asked.min(p.last());
        let moves: Vec<(usize, usize)> = self
            .pipelines
            .iter()
            .enumerate()
            .filter(|(_, p)| p.rung != target(p))
            .map(|(i, p)| (i, target(p)))
            .collect();
        moves.into_iter().filter_map(|(index, rung)| self.move_to(index, rung, reason.clone())).collect()
    }

    fn move_to(&mut self, index: usize, rung: usize, reason: String) -> Option<Change> {
        let now = self.now;
        let pipeline = self.pipelines.get_mut(index)?;
        let setpoint = pipeline.ladder.rungs.get(rung)?.setpoint.clone();
        pipeline.rung = rung;
        pipeline.since = now;
        pipeline.reason.clone_from(&reason);
        Some(Change { pipeline: index, setpoint, reason })
    }

    fn dwell_down(&self) -> Duration {
        seconds(self.config.dwell_down_s)
    }

    fn dwell_up(&self) -> Duration {
        seconds(self.config.dwell_up_s).saturating_mul(self.backoff)
    }

    fn may_step_down(&self) -> bool {
        self.last_down.is_none_or(|at| self.now.saturating_sub(at) >= self.dwell_down())
    }

    fn since(&self, start: Option<Duration>) -> Duration {
        self.now.saturating_sub(start.unwrap_or(self.now))
    }

    fn lasted(&self, start: Option<Duration>, for_: Duration) -> bool {
        start.is_some() && self.since(start) >= for_
    }
}

impl Pipeline {
    fn last(&self) -> usize {
        self.ladder.rungs.len().saturating_sub(1)
    }

    fn setpoint(&self) -> Option<&Setpoint> {
        self.ladder.rungs.get(self.rung).map(|r| &r.setpoint)
    }
}

impl Flag {
    /// Why work must be lowered: at once when it is raised, and when it could be read before and is gone for three readings.
    fn take(&mut self, value: Option<bool>, name: &str, meaning: &str) -> Option<String> {
        self.seen |= value.is_some();
        self.missing = if value.is_some() { 0 } else { self.missing.saturating_add(1) };
        match value {
            Some(raised) => raised.then(|| meaning.to_owned()),
            None if self.seen && self.missing >= 3 => Some(format!("{name} flag gone, counted as raised")),
            None => None,
        }
    }
}

fn seconds(value: f32) -> Duration {
    Duration::try_from_secs_f32(value).unwrap_or(Duration::from_secs(3600))
}

fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs_f64().round() as u64
}
