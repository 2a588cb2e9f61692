//! From outputs to events: who is who over frames, where they are, and what is worth telling. Pure: time is an argument.
//!
//! ```text
//!   detections ─▶ tracker ─▶ objects: zones, lines, rest ─▶ life ─▶ new, update, end
//!   best label, anomaly ──────────────────────────────────▶ life ─▶ new, end
//! ```
//!
//! [`Events`] is the last stage of a pipeline. A [`Follower`] is its part for detectors.

mod assign;
mod condition;
mod config;
mod follow;
mod geometry;
mod kalman;
mod life;
mod lines;
mod object;
mod settings;
mod silence;
mod stage;
mod stationary;
pub mod tracker;
mod zones;

pub use config::{Config, Confirm, EventConfig, LineConfig, TrackConfig, ZoneConfig};
pub use follow::Follower;
pub use settings::{ObjectSettings, Settings, Subject};
pub use stage::Events;
