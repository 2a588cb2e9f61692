//! Models and configurations put in place: a model proved on this computer, answers written into a configuration.
//!
//! Nothing here asks or prints; whoever calls shows progress and errors.

pub mod add;
pub mod answers;
pub mod backup;
pub mod bare;
pub mod describe;
pub mod edit;
pub mod error;
pub mod names;
pub mod prove;
pub mod reach;
pub mod steps;
pub mod usage;
pub mod wanted;
