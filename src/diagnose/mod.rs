//! Findings about the computer, the configuration and everything that it names, as values with what was measured.
//!
//! Each area gathers its facts (`gather`), then judges them (`judge`), which is pure. The words and the commands that mend a finding are
//! the command line's.

pub mod board;
pub mod broker;
pub mod camera;
pub mod clock;
pub mod configuration;
pub mod configured;
#[cfg(feature = "fleet")]
pub mod fleet;
pub mod holder;
pub mod look;
pub mod machine;
pub mod model;
pub mod sensor;
pub mod service;
pub mod storage;
pub mod survey;

mod level;

pub use level::Level;
