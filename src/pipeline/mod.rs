//! A pipeline as a library: the stages from a source's frame to a task's outcome, and what they cost on this board.
//!
//! [`Planner`] opens a model with a pipeline's settings and compiles [`Stages`] for a setpoint; [`calibrate`] times them and
//! makes the governor's ladder; [`offline`] runs them over files. The runtime and the commands (`infer`, `check`, `bench`,
//! `doctor`, `model add`) use the same.

pub(crate) mod batch_deadline;
pub mod calibrate;
mod captures;
mod config;
mod error;
mod input;
mod key;
mod marks;
pub(crate) mod measure;
pub mod measurement_lock;
mod meter;
mod meter_join;
mod misfit;
pub mod motion;
pub mod offline;
pub mod photo;
mod planner;
pub(crate) mod plans;
pub(crate) mod pool;
mod propose;
mod resolved;
mod sample;
mod samples;
mod shared_plan;
pub mod size_inputs;
mod stages;
pub mod tensors;
mod tiling;
pub mod trial;

pub use config::Config;
pub use error::{PipelineError, PlanError, StageError};
pub use input::{Crops, Input};
pub use key::StagesKey;
pub use marks::check_marks;
pub use measure::{Measured, Places, Ready, Uncalibrated, measure};
pub use meter::{DialConfig, MeterConfig};
pub use meter_join::{GpioConfig, LightConfig, MarksConfig, MeterJoin};
pub use misfit::{Misfit, misfit, tiles_misfit};
pub use planner::{Planner, digest_of, open_bundle, open_of};
pub use propose::{Proposal, ProposeError, ProposedRegion, propose};
pub use resolved::{Feed, Resolved};
pub use samples::FileSamples;
pub use stages::Stages;
