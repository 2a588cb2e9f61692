//! The only wiring room: threads, channels, restart, shutdown, watchdog.
//!
//! [`run`] starts the publisher and one [`pipeline`] per configured source, then stays in the [`control`] loop: signals,
//! board readings, governor, health, watchdog. [`stages`] is what a frame goes through.

mod answers;
mod aside;
pub mod calibrate;
mod calibrator;
mod capture;
mod captures;
mod control;
mod gather;
mod node;
pub mod offline;
pub mod pipeline;
mod plans;
mod pool;
pub mod prepare;
pub mod readings;
mod reload;
mod report;
mod request;
mod sample;
pub mod sandbox;
mod service;
pub mod set;
mod shared_plan;
pub mod slot;
pub mod stages;
pub mod status;
mod summary;
pub mod trial;
pub mod turn;
mod waiting;
mod worker;

pub use control::{Options, Reload, run};
pub use report::{PipelineReport, Report};

/// Why the daemon did not start or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The configuration (or a model that it names) cannot be used: exit code 78.
    #[error("{0}")]
    Config(String),
    /// Something outside of the configuration is not there, or not as it should be, and may be later: exit code 1, unless it is
    /// waited for.
    #[error("{0}")]
    NotNow(String),
    /// It failed while running: exit code 1.
    #[error("{0}")]
    Failed(String),
}
