//! One run of a scenario: governed, or on a fixed rung.

use std::time::Duration;

use super::board::Parameters;
use super::machine::{Machine, PIPELINE, STEP_S};
use super::objects::EventTally;
use super::scenario::{RungSpec, Scenario, Workload};
use super::work::Spread;
use crate::{Board, Change, Config, Cost, Governor, OperatingPoint, PipelineLadder, Setpoint, State, undominated};

/// Changes are counted in any window of this length.
const CHANGES_WINDOW_S: f64 = 600.0;

/// Control of the rung.
pub enum Control {
    /// The real governor.
    Governor(Box<Governor>),
    /// This rung throughout.
    Fixed(usize),
}

/// One simulated second.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Seconds since the start, at the end of this second.
    pub t_s: u32,
    /// Air.
    pub ambient_celsius: f64,
    /// Die, as it really is.
    pub soc_celsius: f64,
    /// Clock, as it really is.
    pub clock_mhz: f64,
    /// Held down because of heat.
    pub throttled: bool,
    /// Use of all cores by all.
    pub cpu_percent: f64,
    /// Index of the rung in the scenario.
    pub rung: usize,
    /// Its interval; `NaN` while paused.
    pub interval_ms: f64,
    /// Its resolution.
    pub resolution: u32,
    /// Its batch.
    pub batch: u32,
    /// Frames that got an answer in this second.
    pub inferences: u64,
    /// Of the answers of the last 10 s; `NaN` without any.
    pub p95_ms: f64,
    /// Share of this second's answers that were in time; `NaN` without any.
    pub deadline_met: f64,
    /// Objects in front of the camera.
    pub objects: usize,
    /// The motion gate is open, or there is none.
    pub open: bool,
    /// State of the governor, or `fixed`.
    pub state: &'static str,
    /// The reason of the last change.
    pub reason: String,
}

/// Outcome of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Hottest moment of the die after `settle_s`.
    pub max_celsius: f64,
    /// Seconds in which the firmware held the clock down because of heat.
    pub throttled_s: f64,
    /// Seconds at the soft limit of a 3B+.
    pub soft_limited_s: f64,
    /// Answers.
    pub inferences: u64,
    /// Share of them that were in time; 1 without any.
    pub deadline_met: f64,
    /// Answers that were late.
    pub missed: u64,
    /// Sum of accuracy over the answers in time.
    pub useful: f64,
    /// Times of the changes of the rung.
    pub changes_s: Vec<f64>,
    /// From the last disturbance until the first rung that the board can keep in time applied; infinite if it never did.
    pub recover_s: f64,
    /// Objects and events.
    pub events: EventTally,
    /// Latencies.
    pub spread: Spread,
    /// Second by second, if asked for.
    pub rows: Vec<Row>,
}

impl Outcome {
    /// Most changes in any ten minutes of the last half of a run of `duration_s`.
    pub fn changes_per_10min(&self, duration_s: f64) -> usize {
        let late: Vec<f64> = self.changes_s.iter().copied().filter(|t| *t >= duration_s / 2.0).collect();
        let from = |t: f64| late.iter().filter(|u| (t..t + CHANGES_WINDOW_S).contains(*u)).count();
        late.iter().map(|t| from(*t)).max().unwrap_or(0)
    }
}

/// The ladder that a calibration on this board gives the governor: the scenario's rungs without those that cost more and are worth
/// less than another.
pub fn ladder(scenario: &Scenario, board: &Parameters) -> PipelineLadder {
    let of = scenario.workload.rungs.len();
    let rung = |(rung, spec): (usize, &RungSpec)| {
        let cores = f64::from(spec.threads).min(board.cores);
        let infer_ms = infer_ms(spec, board);
        OperatingPoint {
            setpoint: Setpoint {
                rung,
                of,
                interval: Duration::from_secs_f64(spec.interval_ms / 1e3),
                resolution: Some(spec.resolution),
                batch: spec.batch as usize,
                threads: spec.threads as usize,
                ..Setpoint::full()
            },
            cost: Cost {
                infer_ms: infer_ms as f32,
                cpu_ms: (infer_ms * cores) as f32,
                accuracy: Some(spec.accuracy as f32),
            },
        }
    };
    let mut ladder = PipelineLadder {
        name: PIPELINE.into(),
        weight: 1.0,
        frame_interval: Duration::ZERO,
        deadline: Duration::from_secs_f64(scenario.workload.deadline_ms / 1e3),
        rungs: scenario.workload.rungs.iter().enumerate().map(rung).collect(),
        provisional: false,
    };
    undominated(&mut ladder);
    ladder
}

/// Runs `scenario` on a board; with `rows` every second is kept.
pub fn run(scenario: &Scenario, parameters: Parameters, config: &Config, control: Control, rows: bool) -> Outcome {
    let mut control = control;
    let mut machine = Machine::new(parameters, scenario);
    let mut outcome = Outcome { recover_s: f64::INFINITY, max_celsius: f64::NEG_INFINITY, ..Outcome::default() };
    let mut reason = String::new();
    if let Control::Fixed(rung) = control {
        machine.work.set(rung, false, 0.0);
        reason = format!("rung {rung} throughout");
    }
    let disturbed_s = scenario.last_disturbance_s();
    let first = first_in_time(scenario, &parameters);
    let steps_per_s = (1.0 / STEP_S) as u64;
    let tick = ((config.tick_ms as f64 / 1e3 / STEP_S).round() as u64).max(1);
    let mut before = machine.work.tally.clone();
    for step in 1..=u64::from(scenario.duration_s) * steps_per_s {
        machine.advance();
        let now_s = machine.now_s();
        if now_s > scenario.expect.settle_s {
            outcome.max_celsius = outcome.max_celsius.max(machine.die_celsius());
        }
        if let Control::Governor(governor) = &mut control
            && step.is_multiple_of(tick)
        {
            let reading = machine.read();
            for change in governor.step(&reading, Duration::from_secs_f64(now_s)) {
                let Change { setpoint, reason: why, .. } = change;
                machine.work.set(setpoint.rung, setpoint.paused, now_s);
                outcome.changes_s.push(now_s);
                reason = why;
            }
        }
        if outcome.recover_s.is_infinite()
            && now_s >= disturbed_s
            && machine.work.rung() <= first
            && !machine.work.paused()
        {
            outcome.recover_s = (now_s - disturbed_s - STEP_S).max(0.0);
        }
        if step.is_multiple_of(steps_per_s) {
            outcome.throttled_s += f64::from(u8::from(machine.throttled()));
            outcome.soft_limited_s += f64::from(u8::from(machine.soft_limited()));
            if rows {
                let state = match &control {
                    Control::Governor(governor) => name(governor.state()),
                    Control::Fixed(_) => "fixed",
                };
                outcome.rows.push(row(&mut machine, scenario, &before, state, &reason));
            }
            before = machine.work.tally.clone();
        }
    }
    let tally = &machine.work.tally;
    outcome.inferences = tally.inferences;
    outcome.missed = tally.inferences - tally.met;
    outcome.deadline_met = if tally.inferences == 0 { 1.0 } else { tally.met as f64 / tally.inferences as f64 };
    outcome.useful = tally.useful;
    outcome.events = machine.work.objects.tally();
    outcome.spread = std::mem::take(&mut machine.work.spread);
    outcome
}

/// Index of the first rung whose pace and deadline the idle, cool board keeps; 0 if there is none.
fn first_in_time(scenario: &Scenario, board: &Parameters) -> usize {
    let Workload { deadline_ms, rungs, .. } = &scenario.workload;
    let in_time = |spec: &RungSpec| {
        let infer_ms = infer_ms(spec, board);
        let gathers_ms = f64::from(spec.batch - 1) * spec.interval_ms;
        infer_ms <= spec.interval_ms * f64::from(spec.batch) && gathers_ms + infer_ms <= *deadline_ms
    };
    rungs.iter().position(in_time).unwrap_or(0)
}

/// Time of one inference of a whole batch on the idle board at full clock, in ms.
fn infer_ms(spec: &RungSpec, board: &Parameters) -> f64 {
    spec.work_ms(spec.batch) / board.speed.at(f64::from(spec.threads).min(board.cores), 1.0)
}

fn row(
    machine: &mut Machine<'_>,
    scenario: &Scenario,
    before: &super::work::Tally,
    state: &'static str,
    reason: &str,
) -> Row {
    let rung = machine.work.rung();
    let spec = &scenario.workload.rungs[rung];
    let inferences = machine.work.tally.inferences - before.inferences;
    let met = machine.work.tally.met - before.met;
    Row {
        t_s: machine.now_s().round() as u32,
        ambient_celsius: machine.ambient(),
        soc_celsius: machine.die_celsius(),
        clock_mhz: machine.clock_mhz(),
        throttled: machine.throttled(),
        cpu_percent: machine.take_second_cpu_percent(),
        rung,
        interval_ms: if machine.work.paused() { f64::NAN } else { spec.interval_ms },
        resolution: spec.resolution,
        batch: spec.batch,
        inferences,
        p95_ms: machine.work.shown_p95_ms(machine.now_s()).unwrap_or(f64::NAN),
        deadline_met: if inferences == 0 { f64::NAN } else { met as f64 / inferences as f64 },
        objects: machine.work.objects.count(machine.now_s()),
        open: machine.work.is_open(machine.now_s()).unwrap_or(true),
        state,
        reason: reason.to_owned(),
    }
}

fn name(state: State) -> &'static str {
    match state {
        State::Calibrating => "calibrating",
        State::Normal => "normal",
        State::Reduced => "reduced",
        State::Critical => "critical",
        State::Paused => "paused",
    }
}
