//! The governor: less work before the firmware takes the clock away. Pure: `(Reading, now) → Vec<Change>`.
//!
//! [`ladder`] builds the rungs of a pipeline once; [`Governor::step`] is then called every `tick_ms` with a [`Reading`] of
//! the [`Board`] and answers with the steps to take, which `daemon` applies at a frame boundary.

mod control;
mod ladder;
mod sensor;
#[cfg(test)]
mod tests;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use control::{Governor, State, Status};
pub use ladder::{PipelineLadder, ladder};

/// `[governor]`: when to work less.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `auto` keeps below the limits; `manual` stays on the rung given by `rung`.
    pub mode: Mode,
    /// For `manual`: the rung, 0 = full work.
    #[schemars(range(min = 0, max = 100))]
    pub rung: u32,
    /// Time between two readings of the board in ms.
    #[schemars(range(min = 200, max = 60_000))]
    pub tick_ms: u64,
    /// The temperature in °C that the work is kept below (Raspberry Pi firmware lowers the clock from 80).
    #[schemars(range(min = 30.0, max = 105.0))]
    pub limit_celsius: f32,
    /// Step down this many °C before the limit.
    #[schemars(range(min = 0.0, max = 30.0))]
    pub margin_celsius: f32,
    /// Step up only when the temperature is this many °C below the point of stepping down.
    #[schemars(range(min = 0.5, max = 30.0))]
    pub hysteresis_celsius: f32,
    /// CPU use of the whole machine in percent above which the work is lowered.
    #[schemars(range(min = 10.0, max = 100.0))]
    pub max_cpu_percent: f32,
    /// Least time between two steps down in s.
    #[schemars(range(min = 0.5, max = 600.0))]
    pub dwell_down_s: f32,
    /// Least time before a step up in s; doubled after each step up that had to be taken back.
    #[schemars(range(min = 1.0, max = 3600.0))]
    pub dwell_up_s: f32,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            mode: Mode::Auto,
            rung: 0,
            tick_ms: 500,
            limit_celsius: 80.0,
            margin_celsius: 5.0,
            hysteresis_celsius: 4.0,
            max_cpu_percent: 85.0,
            dwell_down_s: 2.0,
            dwell_up_s: 30.0,
        }
    }
}

/// How the governor decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// By readings.
    #[default]
    Auto,
    /// A fixed rung.
    Manual,
}

/// `[pipeline.governor]`: how far one pipeline may be lowered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PipelineConfig {
    /// Time between two inferences in ms at full work; 0 = every frame.
    #[schemars(range(min = 0, max = 3_600_000))]
    pub interval_ms: u64,
    /// An inference later than this after its frame is a missed deadline, in ms; 0 = none.
    #[schemars(range(min = 0, max = 3_600_000))]
    pub deadline_ms: u64,
    /// Never fewer inferences per second than this.
    #[schemars(range(min = 0.0, max = 240.0))]
    pub min_fps: f32,
    /// Never a smaller model input than this, in pixels of the longer side; 0 = as small as the bundle offers.
    #[schemars(range(min = 0, max = 8192))]
    pub min_resolution: u32,
    /// Sensor windows (or frames) gathered for one inference when the work is lowered.
    #[schemars(range(min = 1, max = 64))]
    pub max_batch: u32,
    /// Share in the work: the lowest weight steps down first.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub weight: f32,
}

impl Default for PipelineConfig {
    fn default() -> Self {
        PipelineConfig { interval_ms: 0, deadline_ms: 0, min_fps: 0.2, min_resolution: 0, max_batch: 1, weight: 1.0 }
    }
}

/// The board as the governor needs it; implemented by `board` over `/proc` and `/sys`, and by tests as a script.
pub trait Board: Send {
    /// Takes a reading. Blocks for a few ms at most; what cannot be read is `None`.
    fn read(&mut self) -> Reading;
}

/// One look at the board. A value that the board does not have, or whose sensor failed, is `None`.
#[derive(Clone, Debug, PartialEq, Default, Serialize)]
pub struct Reading {
    /// SoC temperature in °C.
    pub soc_celsius: Option<f32>,
    /// CPU use of the whole machine, 0 to 100.
    pub cpu_percent: Option<f32>,
    /// CPU use of this process, 0 to 100 of the whole machine.
    pub own_cpu_percent: Option<f32>,
    /// `/proc/pressure/cpu` some avg10, percent.
    pub cpu_pressure_percent: Option<f32>,
    /// `/proc/pressure/memory` some avg10, percent.
    pub memory_pressure_percent: Option<f32>,
    /// Memory that can be had without swapping.
    pub available_bytes: Option<u64>,
    /// The firmware is lowering the clock right now.
    pub throttled: Option<bool>,
    /// The supply is too low right now.
    pub under_voltage: Option<bool>,
    /// Current clock in MHz.
    pub clock_mhz: Option<f32>,
    /// Worst p95 latency ÷ deadline over the pipelines that have a deadline.
    pub deadline_ratio: Option<f32>,
}

/// What one pipeline may ask of the board at most; decided by the governor, applied by `daemon` at a frame boundary.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setpoint {
    /// Position on the ladder, 0 = full work.
    pub rung: usize,
    /// Number of rungs.
    pub of: usize,
    /// Least time between two inferences.
    pub interval: Duration,
    /// Model input size in pixels of the longer side; `None` = the model's own.
    pub resolution: Option<u32>,
    /// Items gathered for one inference.
    pub batch: usize,
}

impl Setpoint {
    /// Full work on a ladder of one rung: every frame, the model's own size, one at a time.
    pub fn full() -> Self {
        Setpoint { rung: 0, of: 1, interval: Duration::ZERO, resolution: None, batch: 1 }
    }
}

/// A step on the ladder, with its reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Index of the pipeline.
    pub pipeline: usize,
    /// What applies from now on.
    pub setpoint: Setpoint,
    /// For people: `74.8 °C, stepping down at 75.0 °C`.
    pub reason: String,
}
