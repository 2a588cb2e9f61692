//! Faults of numbers without a model: what is usual of each channel is learnt, and what is not is told.
//!
//! ```text
//! value ─▶ step from the last one ──────────▶ far beyond all usual steps ───────────▶ spike
//!      ─▶ off its level, or its daily course ▶ far beyond the usual range ───────────▶ spike, level
//!                                            ▶ cumulative sum over independent blocks ▶ drift, level
//!      ─▶ run of the same value ────────────▶ far longer than usual ────────────────▶ stuck
//!      ─▶ time without any ─────────────────▶ far longer than usual ────────────────▶ dead
//! ```
//!
//! Each limit is learnt with what it is a limit of: of signals with heavy tails from their largest values, of those that depend on
//! their past from means over as long as it takes to be independent. Where too little is known for one, it is not judged.
//!
//! All times are given: weeks can be gone through in a second.

mod channel;
mod config;
mod cusum;
mod daily;
mod limits;
mod runs;
mod scales;
mod spread;
mod tail;
mod track;
mod watch;

pub use config::{BaselineConfig, ThresholdConfig};
pub use limits::LimitConfig;
