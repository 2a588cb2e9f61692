//! The motion gate: a pipeline looks only while something moves in its picture, so that an idle scene costs no inference.
//!
//! ```text
//!   coarse picture ─▶ background: what differs, beyond light and noise ─▶ area: the largest part of it ─▶ gate: open or closed
//! ```
//!
//! Pure: the caller decodes and gives the time. In doubt the gate is open.

mod area;
mod background;
mod config;
mod gate;
mod light;
mod mask;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use gate::{Gate, MotionGate, Reason};
