//! Models and configurations put in place: a model proved on this computer, answers written into a configuration.
//!
//! Nothing here asks or prints; whoever calls shows progress and errors.

pub mod answers;
pub mod backup;
pub mod edit;
pub mod names;
pub mod prove;
pub mod reach;
