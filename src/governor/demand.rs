//! Demand of the work on the processor, now and on other rungs.

use std::time::Duration;

use crate::ladder::{Cost, OperatingPoint, PipelineLadder};
use crate::reading::{Load, Reading};

/// Loads are smoothed over this long.
const SMOOTHING_S: f64 = 4.0;
/// The load of others is averaged over this long; a burst is this share of the machine more.
const MEAN_S: f64 = 180.0;
const BURST: f64 = 0.1;
/// Time constant in s of learning the ratio of measured to expected load.
const RATIO_S: f64 = 10.0;
/// Time constant in s of learning the time of an inference at full clock.
const SLOWNESS_S: f64 = 30.0;
/// Power of the clock that the power of a processor goes with, between its lowest and highest clock.
const POWER_OF_CLOCK: f64 = 2.2;
/// Less work than this many cores says nothing about the ratio.
const TELLING_CORES: f64 = 0.02;

/// CPU use of ours and of others, smoothed.
#[derive(Clone, Debug)]
pub struct Demand {
    /// Cores of the board.
    pub cores: f64,
    /// Share of all cores that others use, 0 to 1.
    pub others: f64,
    /// Share of all cores that we use.
    pub own: f64,
    /// Load of others in the last reading, and over minutes.
    others_now: f64,
    others_mean: f64,
    /// The clock as a share of the highest, where a flag says that it is held down; else 1.
    pub clock: f64,
    /// Measured ÷ expected load of ours: what the calibration did not see.
    ratio: f64,
    /// Share of all cores that we use while there is nothing to look at: the work never costs less.
    idle: f64,
    /// Measured ÷ expected time of an inference at full clock.
    slowness: f64,
    known: bool,
}

impl Default for Demand {
    fn default() -> Self {
        Demand {
            cores: 4.0,
            others: 0.0,
            own: 0.0,
            others_now: 0.0,
            others_mean: 0.0,
            clock: 1.0,
            ratio: 1.0,
            idle: 0.0,
            slowness: 1.0,
            known: false,
        }
    }
}

impl Demand {
    /// Takes a reading after `dt`; `expected` is what the present rungs cost in cores by calibration, `None` while that says
    /// nothing (a source is idle, a rung has just changed).
    pub fn take(&mut self, r: &Reading, expected: Option<f64>, dt: Duration) {
        let percent = |v: Option<f32>| v.map(f64::from).filter(|v| (0.0..=100.5).contains(v)).map(|v| v / 100.0);
        if !r.core_percent.is_empty() {
            self.cores = r.core_percent.len() as f64;
        }
        let (Some(all), own) = (percent(r.cpu_percent), percent(r.own_cpu_percent)) else { return };
        let own = own.unwrap_or(0.0).min(all);
        let dt_s = dt.as_secs_f64();
        let gain = if self.known { 1.0 - (-dt_s / SMOOTHING_S).exp() } else { 1.0 };
        self.known = true;
        self.others_now = all - own;
        self.others_mean += (self.others_now - self.others_mean) * (1.0 - (-dt_s / MEAN_S).exp());
        self.others += (all - own - self.others) * gain;
        self.own += (own - self.own) * gain;
        if let Some(expected) = expected.filter(|e| *e >= TELLING_CORES) {
            let ratio = (own * self.cores / expected).clamp(0.25, 4.0);
            self.ratio += (ratio - self.ratio) * (1.0 - (-dt_s / RATIO_S).exp());
        } else if expected == Some(0.0) {
            self.idle += (own - self.idle) * (1.0 - (-dt_s / RATIO_S).exp());
        }
    }

    /// Others use clearly more at the moment than they do on average.
    pub fn others_burst(&self) -> bool {
        self.others - self.others_mean > BURST
    }

    /// The same with others at their worst, lately or just now.
    pub fn at_worst(&self) -> Demand {
        Demand { others: self.others.max(self.others_now), ..self.clone() }
    }

    /// Infers the clock: a Raspberry Pi does not show what its firmware takes away, but inferences take longer. `slowness` is
    /// how much longer than calibrated they take, crowding by others apart; `held` that a flag says so.
    pub fn watch_clock(&mut self, held: bool, slowness: Option<f64>, dt: Duration) {
        if !held {
            self.clock = 1.0;
            if let Some(slowness) = slowness {
                let gain = 1.0 - (-dt.as_secs_f64() / SLOWNESS_S).exp();
                self.slowness += (slowness - self.slowness) * gain;
            }
        } else if let Some(slowness) = slowness {
            self.clock = (self.slowness / slowness.max(1e-3)).clamp(0.3, 1.0);
        }
    }

    /// Cores that others leave.
    fn free_cores(&self) -> f64 {
        self.cores * (1.0 - self.others)
    }

    /// Share of all cores that work of so many cores by calibration will use.
    pub fn share(&self, cores: f64) -> f64 {
        (cores * self.ratio / self.cores).max(self.idle).min((1.0 - self.others).max(0.0))
    }
}

/// Load at the highest clock that heats as much as `share` at `clock` (a share of the highest): power goes with voltage squared
/// times clock, and the voltage falls with the clock.
pub fn heating(share: f64, clock: f64) -> f64 {
    share * clock.powf(POWER_OF_CLOCK)
}

/// Speed of so many threads against one where others leave `free` cores (Amdahl-like: threads^0.85).
fn speed(threads: usize, free: f64) -> f64 {
    let cores = (threads.max(1) as f64).min(free.max(0.05));
    if cores >= 1.0 { cores.powf(0.85) } else { cores }
}

/// Expected time from capture to result on a rung whose inferences take `infer_ms`.
fn latency_ms(rung: &OperatingPoint, frame_interval: Duration, infer_ms: f64) -> f64 {
    let interval_ms = rung.setpoint.interval.max(frame_interval).as_secs_f64() * 1e3;
    let batch = rung.setpoint.batch.max(1) as f64;
    // A worker that is slower than the frames come finds one that has waited for up to an interval.
    let waits = if infer_ms > interval_ms * batch { interval_ms } else { 0.0 };
    (batch - 1.0) * interval_ms + infer_ms + waits
}

/// Time of an inference against that on the idle board at full clock, crowding by others apart; `None` without measurements.
pub fn slowness(on: &OperatingPoint, load: &Load, demand: &Demand) -> Option<f64> {
    let infer = load.infer_ms.map(f64::from).filter(|v| v.is_finite() && *v > 0.0)?;
    Some(infer / (idle_ms(on) * crowding(on, demand)))
}

fn idle_ms(rung: &OperatingPoint) -> f64 {
    f64::from(rung.cost.infer_ms).max(1e-3)
}

/// Factor by which the load of others lengthens an inference.
fn crowding(rung: &OperatingPoint, demand: &Demand) -> f64 {
    let threads = rung.setpoint.threads;
    speed(threads, demand.cores) / speed(threads, demand.free_cores())
}

/// The p95 latency in ms to expect on `to` out of calibration alone.
pub fn calibrated_p95_ms(ladder: &PipelineLadder, to: &OperatingPoint, demand: &Demand) -> f64 {
    latency_ms(to, ladder.frame_interval, calibrated_infer_ms(to, demand))
}

/// The time of an inference in ms to expect on `to` out of calibration alone.
pub fn calibrated_infer_ms(to: &OperatingPoint, demand: &Demand) -> f64 {
    idle_ms(to) * crowding(to, demand) * demand.slowness / demand.clock
}

/// Accurate answers a second to expect on `to`, out of what is measured on `from`; `None` without measurements.
pub fn expected_worth_per_s(
    ladder: &PipelineLadder,
    from: &OperatingPoint,
    to: &OperatingPoint,
    load: &Load,
    demand: &Demand,
) -> Option<f64> {
    let infer_ms = idle_ms(to) * crowding(to, demand) * slowness(from, load, demand)?;
    let slowed = OperatingPoint { cost: Cost { infer_ms: infer_ms as f32, ..to.cost }, ..to.clone() };
    Some(ladder.worth_per_s(&slowed))
}

/// The p95 latency in ms to expect on `to`, out of what is measured on `from`; `None` without measurements.
///
/// The excess over an inference's usual time has two causes. Where others leave the threads no core of their own, they share
/// one all the time, and the excess grows with the inference. Else it is disturbances now and then, which a longer inference meets
/// more of, but not all of them at once: of independent ones the spread of the sum grows with the square root. So a model of 6 ms
/// that is sometimes held up for 10 does not speak against one of 50 ms.
pub fn expected_p95_ms(
    ladder: &PipelineLadder,
    from: &OperatingPoint,
    to: &OperatingPoint,
    load: &Load,
    demand: &Demand,
) -> Option<f64> {
    let finite = |v: Option<f32>| v.map(f64::from).filter(|v| v.is_finite() && *v >= 0.0);
    let (p95, infer) = (finite(load.p95_ms)?, finite(load.infer_ms)?);
    let infer_there = idle_ms(to) * crowding(to, demand) * slowness(from, load, demand)?;
    let (here, there) =
        (latency_ms(from, ladder.frame_interval, infer), latency_ms(to, ladder.frame_interval, infer_there));
    let shared = there * (p95 / here.max(1e-3)).clamp(0.5, 3.0);
    let disturbed = there + (p95 - here) * (infer_there / infer).sqrt();
    let own_cores = demand.free_cores() >= to.setpoint.threads.max(1) as f64;
    let longer = infer_there > infer && p95 > here;
    Some(if own_cores && longer { disturbed.min(shared) } else { shared })
}
