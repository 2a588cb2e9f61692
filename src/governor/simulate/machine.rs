//! A board with its surroundings and its work, in virtual time; the governor's second [`Board`].

use std::collections::BTreeMap;

use super::board::{Firmware, Heat, Parameters};
use super::scenario::{FaultKind, Scenario};
use super::work::{Cores, Work};
use crate::{Board, Link, Load, Reading};

/// Name of the one pipeline.
pub(super) const PIPELINE: &str = "work";

/// Step of the simulation in s; the quickest thing in it, a die, has a time constant above 3 s.
pub const STEP_S: f64 = 0.1;

/// A thermometer is read in steps of this.
const RESOLUTION_CELSIUS: f64 = 0.5;

/// The simulated board.
pub struct Machine<'a> {
    parameters: Parameters,
    scenario: &'a Scenario,
    heat: Heat,
    firmware: Firmware,
    /// The work on it.
    pub work: Work<'a>,
    steps: u64,
    /// Core seconds of all and of our own since the last reading.
    used: Used,
    /// The same since the last second began.
    second: Used,
    pressure_percent: f64,
    /// The last value of the thermometer before it stood still.
    stuck: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Used {
    all: f64,
    own: f64,
    seconds: f64,
}

impl Used {
    fn add(&mut self, all: f64, own: f64) {
        self.all += all;
        self.own += own;
        self.seconds += STEP_S;
    }

    fn percent(&self, cores: f64) -> [f64; 2] {
        let whole = (self.seconds * cores).max(1e-9);
        [self.all / whole * 100.0, self.own / whole * 100.0]
    }
}

impl<'a> Machine<'a> {
    /// A board on which leptond starts after it has been idle for long.
    pub fn new(parameters: Parameters, scenario: &'a Scenario) -> Self {
        let busy = step(&scenario.background_cpu, 0.0);
        Machine {
            heat: Heat::settled(&parameters, line(&scenario.ambient_celsius, 0.0), busy),
            firmware: Firmware::new(&parameters),
            work: Work::new(&scenario.workload, f64::from(scenario.duration_s)),
            scenario,
            parameters,
            steps: 0,
            used: Used::default(),
            second: Used::default(),
            pressure_percent: 0.0,
            stuck: None,
        }
    }

    /// Virtual time in s.
    pub fn now_s(&self) -> f64 {
        self.steps as f64 * STEP_S
    }

    /// One step of [`STEP_S`].
    pub fn advance(&mut self) {
        let p = self.parameters;
        let now = self.now_s();
        let background = step(&self.scenario.background_cpu, now).min(1.0);
        let cores =
            Cores { free: p.cores * (1.0 - background), clock: self.firmware.clock_mhz(&p) / p.max_mhz, law: p.speed };
        let own = self.work.advance(now, now + STEP_S, cores, !self.fault(FaultKind::SourceLost, now));
        let all = own + background * p.cores * STEP_S;
        let busy = (all / (p.cores * STEP_S)).min(1.0);
        let power = p.power_w(busy, self.firmware.clock_mhz(&p));
        self.heat.advance(&p, self.ambient(), power, !self.fault(FaultKind::FanStop, now), STEP_S);
        self.used.add(all, own);
        self.second.add(all, own);
        let waits = self.work.running().is_some_and(|threads| f64::from(threads) > cores.free);
        self.pressure_percent += (f64::from(u8::from(waits)) * 100.0 - self.pressure_percent) * STEP_S / 10.0;
        self.steps += 1;
        if self.steps.is_multiple_of((1.0 / STEP_S) as u64) {
            self.firmware.second(&p, self.heat.die, self.fault(FaultKind::SupplySag, self.now_s()));
        }
    }

    /// Temperature of the air.
    pub fn ambient(&self) -> f64 {
        line(&self.scenario.ambient_celsius, self.now_s())
    }

    /// Temperature of the die, as it really is.
    pub fn die_celsius(&self) -> f64 {
        self.heat.die
    }

    /// The clock, as it really is.
    pub fn clock_mhz(&self) -> f64 {
        self.firmware.clock_mhz(&self.parameters)
    }

    /// The clock is held down because of heat.
    pub fn throttled(&self) -> bool {
        self.firmware.throttled(&self.parameters)
    }

    /// The soft limit of a 3B+ is active.
    pub fn soft_limited(&self) -> bool {
        self.firmware.soft_limited()
    }

    /// CPU use of all since this was asked last, in percent.
    pub fn take_second_cpu_percent(&mut self) -> f64 {
        let [all, _] = std::mem::take(&mut self.second).percent(self.parameters.cores);
        all
    }

    fn fault(&self, kind: FaultKind, now_s: f64) -> bool {
        self.scenario.faults.iter().any(|f| f.kind == kind && (f.at_s..f.at_s + f.for_s).contains(&now_s))
    }

    fn thermometer(&mut self) -> Option<f64> {
        let now = self.now_s();
        let reads = (self.heat.die / RESOLUTION_CELSIUS).round() * RESOLUTION_CELSIUS;
        let active = |f: &&super::scenario::Fault| (f.at_s..f.at_s + f.for_s).contains(&now);
        let mut said = Some(reads);
        let mut stuck = false;
        for fault in self.scenario.faults.iter().filter(active) {
            match fault.kind {
                FaultKind::SensorSpike => said = fault.value,
                FaultKind::SensorStuck => {
                    stuck = true;
                    said = Some(*self.stuck.get_or_insert(fault.value.unwrap_or(reads)));
                }
                FaultKind::SensorNan => said = Some(f64::NAN),
                FaultKind::SensorMissing => said = None,
                _ => {}
            }
        }
        if !stuck {
            self.stuck = None;
        }
        said
    }
}

impl Board for Machine<'_> {
    fn read(&mut self) -> Reading {
        let now = self.now_s();
        let p = self.parameters;
        let [all, own] = std::mem::take(&mut self.used).percent(p.cores);
        let background = step(&self.scenario.background_cpu, now).min(1.0) * 100.0;
        let per_core =
            |core: usize| (background + ((own * p.cores / 100.0) - core as f64).clamp(0.0, 1.0) * 100.0).min(100.0);
        let source = !self.fault(FaultKind::SourceLost, now);
        let single = |v: f64| v as f32;
        let load = Load {
            p95_ms: self.work.p95_ms(now).map(single),
            infer_ms: self.work.infer_ms().map(single),
            dropped: self.work.dropped().map(single),
            frame_age_ms: Some(single(self.work.frame_age_ms(now))),
            idle: !source,
            open: self.work.is_open(now),
            group: None,
        };
        Reading {
            soc_celsius: self.thermometer().map(single),
            cpu_percent: Some(single(all)),
            core_percent: (0..p.cores as usize).map(|core| single(per_core(core))).collect(),
            own_cpu_percent: Some(single(own)),
            cpu_pressure_percent: Some(single(self.pressure_percent)),
            memory_pressure_percent: Some(0.0),
            available_bytes: Some(1 << 29),
            memory_bytes: Some(1 << 30),
            throttled: Some(self.throttled()),
            soft_limited: Some(self.soft_limited()),
            under_voltage: Some(self.firmware.under_voltage()),
            // As on a real one, this does not show what the firmware takes away.
            clock_mhz: Some(single(p.max_mhz)),
            max_clock_mhz: Some(single(p.max_mhz)),
            link: Link {
                connected: Some(!self.fault(FaultKind::BrokerLost, now)),
                backlog: Some(0.0),
                ..Link::default()
            },
            pipelines: BTreeMap::from([(PIPELINE.into(), load)]),
        }
    }
}

/// A curve that is linear between its points.
fn line(points: &[[f64; 2]], at: f64) -> f64 {
    let after = points.partition_point(|[t, _]| *t <= at);
    match (after.checked_sub(1).and_then(|i| points.get(i)), points.get(after)) {
        (Some([t0, v0]), Some([t1, v1])) => v0 + (v1 - v0) * (at - t0) / (t1 - t0),
        (Some([_, v]), None) | (None, Some([_, v])) => *v,
        (None, None) => 0.0,
    }
}

/// A curve in steps; 0 before its first point.
fn step(points: &[[f64; 2]], at: f64) -> f64 {
    let after = points.partition_point(|[t, _]| *t <= at);
    after.checked_sub(1).and_then(|i| points.get(i)).map_or(0.0, |[_, v]| *v)
}
