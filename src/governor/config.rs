//! The governor's configuration: limits of the board, and floors of each pipeline.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[governor]`: the limits that the work is kept within.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The policy of the decisions.
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

/// Policy of the governor.
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

    /// The name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Auto => "auto",
            Mode::Performance => "performance",
            Mode::Quiet => "quiet",
            Mode::Manual => "manual",
        }
    }
}

/// `[pipeline.governor]`: the floors of one pipeline.
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
