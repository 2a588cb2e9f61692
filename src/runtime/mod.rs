//! The only wiring room: threads, channels, restart, shutdown, watchdog.
//!
//! [`run`] starts the publisher and one [`pipeline`](crate::pipeline) per configured source, then stays in the [`control`] loop: signals,
//! board readings, governor, health, watchdog. [`Stages`](crate::pipeline::Stages) is what a frame goes through.

mod aside;
mod assisting;
mod calibrator;
mod capture;
pub mod cascade;
pub mod command;
mod config_file;
pub mod context;
mod control;
mod crops;
mod gate;
mod hub;
mod learnt;
mod light;
mod node;
mod node_status;
mod offload;
mod options;
mod pace;
mod page;
pub mod prepare;
pub mod readings;
mod reload;
mod report;
pub mod running;
pub mod sandbox;
mod service;
mod session;
pub mod set;
pub mod slot;
mod snapshot_requests;
mod snapshots;
pub mod sources;
pub mod state;
pub mod status;
mod waiting;
mod worker;

#[cfg(feature = "fleet")]
pub use assisting::{content_of, opener};
pub use config_file::ConfigFile;
pub use control::run;
pub use offload::Offloading;
#[cfg(feature = "fleet")]
pub use offload::smaller;
pub use options::{Options, Reload};
pub use page::OnPage;
pub use report::{PipelineReport, Report};

/// The reasons for which the daemon does not start or does not go on.
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
