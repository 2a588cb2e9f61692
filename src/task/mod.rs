//! From a model's output to its meaning. Pure: no files, no clocks (`now` is an argument).
//!
//! A pipeline's [`Config`] over the defaults of its model gives [`Settings`], tagged by the kind of task, and these make the [`Task`].
//! A new kind is a file with its configuration and task, and a line in the list of kinds in `config.rs`.

mod anomaly;
mod baseline;
mod classify;
mod config;
mod contract;
mod detect;
mod labels;
mod number;
mod output;
mod position;
mod raw;
mod reading;
mod semantic;
#[cfg(test)]
mod testing;
mod text;

pub use anomaly::AnomalyConfig;
pub use baseline::{BaselineConfig, LimitConfig, ThresholdConfig};
pub use classify::config::ClassifyConfig;
pub use config::{Config, Settings};
pub use contract::{Memory, SetupError, Task, TaskConfig, TaskError, TaskInput, TaskOutput};
pub use detect::config::DetectConfig;
pub use detect::kinds::{ObbConfig, PoseConfig, SegmentConfig};
pub use number::Number;
pub use position::PositionConfig;
pub use raw::RawConfig;
pub use semantic::SemanticConfig;
pub use text::TextConfig;
