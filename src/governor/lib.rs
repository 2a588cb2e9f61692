//! A governor for ARM boards: less work before the firmware takes the clock away. Pure: `(Reading, now) → Vec<Change>`.
//!
//! [`ladder`](ladder()) makes the rungs of a pipeline once, out of the measured cost of its variants; [`Governor::step`] is then called
//! every `tick_ms` with a [`Reading`] of the [`Board`] and answers with the [`Change`]s to apply at the next frame boundary.
//! [`Governor::order`] takes a request of a person. [`simulate`] runs the same governor on simulated boards in virtual time.

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
pub use reading::{Board, Link, Load, Reading};
pub use setpoint::{Assignment, Change, Setpoint};
