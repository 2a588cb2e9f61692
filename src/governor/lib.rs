//! The governor: less work before the firmware takes the clock away. Pure: `(Reading, now) → Vec<Change>`.
//!
//! [`ladder`] makes the rungs of a pipeline once, out of what was measured of its variants; [`Governor::step`] is then called
//! every `tick_ms` with a [`Reading`] of the [`Board`] and answers with the steps to take, which `daemon` applies at a frame
//! boundary. [`Governor::order`] takes a person's wish.

mod control;
mod demand;
mod heat;
mod ladder;
mod overrides;
mod sensor;
pub mod simulate;
#[cfg(test)]
mod tests;
mod thermal;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use control::{Forecast, Governor, State, Status};
pub use ladder::{Candidate, Cost, OperatingPoint, PipelineLadder, ladder, undominated};

/// `[governor]`: when to work less.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How it is decided.
    pub mode: Mode,
    /// For `manual`: the rung, 0 = full work.
    #[schemars(range(min = 0, max = 100))]
    pub rung: u32,
    /// Time between two readings of the board in ms.
    #[schemars(range(min = 200, max = 60_000))]
    pub tick_ms: u64,
    /// The temperature in °C that must not be reached (Raspberry Pi firmware lowers the clock from 80).
    #[schemars(range(min = 30.0, max = 105.0))]
    pub limit_celsius: f32,
    /// The temperature is kept this many °C below the limit.
    #[schemars(range(min = 0.0, max = 30.0))]
    pub margin_celsius: f32,
    /// CPU use of the whole machine in percent above which the work of pipelines without `deadline_ms` is lowered while
    /// other programs want the CPU.
    #[schemars(range(min = 10.0, max = 100.0))]
    pub max_cpu_percent: f32,
    /// For `quiet`: the temperature in °C that is kept.
    #[schemars(range(min = 30.0, max = 105.0))]
    pub quiet_celsius: f32,
    /// For `quiet`: CPU use of the pipelines in percent of the machine.
    #[schemars(range(min = 1.0, max = 100.0))]
    pub quiet_cpu_percent: f32,
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
            margin_celsius: 2.0,
            max_cpu_percent: 90.0,
            quiet_celsius: 65.0,
            quiet_cpu_percent: 25.0,
            dwell_down_s: 2.0,
            dwell_up_s: 30.0,
        }
    }
}

/// How the governor decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// By readings: as much work as temperature, deadlines and memory allow.
    #[default]
    Auto,
    /// As `auto`, up to the limit itself and without regard to what other programs want.
    Performance,
    /// Cool and unobtrusive: `quiet_celsius` and `quiet_cpu_percent`.
    Quiet,
    /// A fixed rung.
    Manual,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Mode; 4] = [Mode::Auto, Mode::Performance, Mode::Quiet, Mode::Manual];

    /// As it is written in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Auto => "auto",
            Mode::Performance => "performance",
            Mode::Quiet => "quiet",
            Mode::Manual => "manual",
        }
    }
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
    /// Never a variant of the model that is known to be less accurate than this, in the bundle's own measure; 0 = any.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_accuracy: f32,
    /// Sensor windows (or frames) gathered for one inference when the work is lowered.
    #[schemars(range(min = 1, max = 64))]
    pub max_batch: u32,
    /// Share in the work: the lowest weight steps down first.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub weight: f32,
}

impl Default for PipelineConfig {
    fn default() -> Self {
        PipelineConfig {
            interval_ms: 0,
            deadline_ms: 0,
            min_fps: 0.2,
            min_resolution: 0,
            min_accuracy: 0.0,
            max_batch: 1,
            weight: 1.0,
        }
    }
}

/// The board as the governor needs it; implemented by `board` over `/proc` and `/sys`, and by `simulate`.
pub trait Board: Send {
    /// Takes a reading. Blocks for a few ms at most; what cannot be read is `None`. What the board does not know (the link,
    /// the pipelines) is filled in by whoever runs the governor.
    fn read(&mut self) -> Reading;
}

/// One look at the board. A value that the board does not have, or whose sensor failed, is `None`.
#[derive(Clone, Debug, PartialEq, Default, Serialize)]
pub struct Reading {
    /// SoC temperature in °C.
    pub soc_celsius: Option<f32>,
    /// CPU use of the whole machine, 0 to 100.
    pub cpu_percent: Option<f32>,
    /// CPU use of each core, 0 to 100.
    pub core_percent: Vec<f32>,
    /// CPU use of this process and its children, 0 to 100 of the whole machine.
    pub own_cpu_percent: Option<f32>,
    /// `/proc/pressure/cpu` some avg10, percent.
    pub cpu_pressure_percent: Option<f32>,
    /// `/proc/pressure/memory` some avg10, percent.
    pub memory_pressure_percent: Option<f32>,
    /// Memory that can be had without swapping.
    pub available_bytes: Option<u64>,
    /// All memory.
    pub memory_bytes: Option<u64>,
    /// The firmware or the kernel holds the clock down because of heat.
    pub throttled: Option<bool>,
    /// A soft temperature limit is active (60 °C on a Pi 3B+): the clock is a little lower, and that is no reason to step down.
    pub soft_limited: Option<bool>,
    /// The supply is too low right now.
    pub under_voltage: Option<bool>,
    /// Current clock in MHz. A hint only: on a Raspberry Pi it does not show what the firmware takes away.
    pub clock_mhz: Option<f32>,
    /// Highest clock in MHz.
    pub max_clock_mhz: Option<f32>,
    /// The way to the broker.
    pub link: Link,
    /// What each pipeline achieves, in the order of the governor's ladders; may be empty.
    pub pipelines: Vec<Load>,
}

impl Reading {
    /// CPU use of other processes, 0 to 100 of the whole machine.
    pub fn others_percent(&self) -> Option<f32> {
        Some((self.cpu_percent? - self.own_cpu_percent?).max(0.0))
    }
}

/// The way to the broker.
#[derive(Clone, Debug, PartialEq, Default, Serialize)]
pub struct Link {
    /// Whether the broker is there; `None` = there is none to be.
    pub connected: Option<bool>,
    /// Share of the queue of messages that is filled, 0 to 1.
    pub backlog: Option<f32>,
    /// Bytes per second sent over all network interfaces.
    pub sent_bytes_per_s: Option<f32>,
    /// Bytes per second received over all network interfaces.
    pub received_bytes_per_s: Option<f32>,
}

/// What one pipeline achieves. Everything is since its present setpoint applies, so that what another rung did is not held
/// against this one.
#[derive(Clone, Debug, PartialEq, Default, Serialize)]
pub struct Load {
    /// 95 % of the latest results came no later than this after their frame was captured, in ms; `None` before there are
    /// enough to judge by.
    pub p95_ms: Option<f32>,
    /// Time of one inference (of a whole batch) with its preprocessing, median of the latest, in ms.
    pub infer_ms: Option<f32>,
    /// Share of the latest frames that were overwritten before they could be looked at, 0 to 1.
    pub dropped: Option<f32>,
    /// Time since the newest frame that was worked on was captured, in ms.
    pub frame_age_ms: Option<f32>,
    /// The source gives nothing: camera unplugged, file at its end, pipeline paused by a person.
    pub idle: bool,
}

/// What one pipeline may ask of the board at most; decided by the governor, applied by `daemon` at a frame boundary.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setpoint {
    /// Position on the ladder, 0 = full work.
    pub rung: usize,
    /// Number of rungs.
    pub of: usize,
    /// Least time between two frames that are looked at.
    pub interval: Duration,
    /// Size of the captured picture in pixels of the longer side; `None` = as configured.
    pub capture: Option<u32>,
    /// Model input size in pixels of the longer side; `None` = the model's own.
    pub resolution: Option<u32>,
    /// Items gathered for one inference.
    pub batch: usize,
    /// Form of the model, as an index into the bundle's variants; 0 = the main one.
    pub variant: usize,
    /// Threads of one inference.
    pub threads: usize,
    /// Nothing is looked at: even the last rung would be too hot.
    pub paused: bool,
}

impl Setpoint {
    /// Full work on a ladder of one rung: every frame, the model's own size, one at a time, one thread.
    pub fn full() -> Self {
        Setpoint {
            rung: 0,
            of: 1,
            interval: Duration::ZERO,
            capture: None,
            resolution: None,
            batch: 1,
            variant: 0,
            threads: 1,
            paused: false,
        }
    }
}

/// What one pipeline does now: its place on the ladder and what that place is judged by. Replaced whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// What it may ask of the board.
    pub setpoint: Setpoint,
    /// A result later than this after its frame was captured is late; zero = there is no deadline.
    pub deadline: Duration,
    /// Time between two frames of the source; zero = unknown.
    pub frame_interval: Duration,
    /// Time of one inference that was measured for this rung.
    pub infer: Duration,
    /// The ladder waits for its measurements: latency says nothing yet.
    pub provisional: bool,
}

/// A step on the ladder, with its reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Index of the pipeline.
    pub pipeline: usize,
    /// What applies from now on.
    pub setpoint: Setpoint,
    /// For people: `76.9 °C, 78.4 °C in 30 s: above 78.0 °C`.
    pub reason: String,
}

/// What a person wishes, by `request/governor/set`.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// Another mode than the configured one.
    Mode(Mode),
    /// A fixed rung for one pipeline (by index), or for all.
    Fix {
        /// Index of the pipeline; `None` = all.
        pipeline: Option<usize>,
        /// The rung; beyond the ladder = its last one.
        rung: usize,
    },
    /// Back to what is configured.
    Release,
}
