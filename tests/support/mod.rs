//! Tools of the tests that need nothing of the program: any test or benchmark takes them with `#[path]`.

#![allow(dead_code, unused_imports, reason = "each user takes what it needs")]

mod fault_proxy;
mod faults;

pub use fault_proxy::FaultProxy;
pub use faults::{Action, Direction, Faults, Step, random};
