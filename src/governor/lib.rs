//! A governor for ARM boards: less work before the firmware takes the clock away. Pure: `(Reading, now) → Vec<Change>`.
//!
//! [`ladder`](ladder()) makes the rungs of a pipeline once, out of the measured cost of its variants; [`Governor::step`] is then called
//! every `tick_ms` with a [`Reading`] of the [`Board`] and answers with the [`Change`]s to apply at the next frame boundary.
//! [`Governor::order`] takes a request of a person. [`simulate`] runs the same governor on simulated boards in virtual time.
//!
//! ```
//! use std::time::Duration;
//! use leptond_governor::{Candidate, Config, Cost, Governor, Load, PipelineConfig, PipelineLadder, Reading};
//!
//! // A model that takes 40 ms of one core, looked at ten times a second and no less than once: a ladder of intervals.
//! let cost = Cost { infer_ms: 40.0, cpu_ms: 40.0, accuracy: None };
//! let only = Candidate { capture: None, resolution: None, batch: 1, variant: 0, threads: 1, cost };
//! let floors = PipelineConfig { min_fps: 1.0, deadline_ms: 250, ..PipelineConfig::default() };
//! let ladder = PipelineLadder::new("door", &floors, Duration::from_millis(100), &[only]);
//! let mut governor = Governor::new(Config::default(), vec![ladder]);
//!
//! let late = Load { p95_ms: Some(400.0), infer_ms: Some(390.0), ..Load::default() };
//! let reading = Reading { soc_celsius: Some(55.0), pipelines: [("door".into(), late)].into(), ..Reading::default() };
//! let changes = governor.step(&reading, Duration::from_secs(1));
//! assert_eq!(&*changes[0].pipeline, "door");
//! assert!(changes[0].setpoint.rung > 0 && changes[0].reason.contains("beyond the deadline"));
//! ```

mod config;
mod control;
mod demand;
mod heat;
mod ladder;
mod overrides;
mod reading;
mod sensor;
mod setpoint;
pub mod simulate;
#[cfg(test)]
mod tests;
mod thermal;

pub use config::{Config, Mode, PipelineConfig};
pub use control::{Forecast, Governor, State, Status};
pub use ladder::{Candidate, Cost, OperatingPoint, PipelineLadder, ladder, undominated};
pub use overrides::{Order, Overrides};
pub use reading::{Board, Group, Link, Load, Reading};
pub use setpoint::{Assignment, Change, Setpoint};
