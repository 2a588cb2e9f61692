//! Being watched: logs, counters, and progress that systemd's watchdog can trust.
//!
//! | part | what it is for |
//! |---|---|
//! | [`init`], [`LogHandle`], [`RateLimited`] | the log on standard error, its level changed at run time, floods held back |
//! | [`PipelineCounters`], [`Latency`], [`Recent`], [`Share`], [`Rate`] | what `health` and the demo's summary count, in fixed memory |
//! | [`Heartbeats`], [`Heart`] | what each thread has promised, and which one has overrun its promise |
//! | [`mark`] | what a start goes through, for `leptond bench --startup` |
//! | [`Notifier`] | the service manager: `READY=1`, `STATUS=`, `WATCHDOG=1` only while nothing is overdue |
//!
//! Nothing here reads a clock to decide something: `now` is an argument.

mod config;
mod counters;
mod error;
mod heartbeat;
mod limit;
mod log;
mod marks;
mod notify;

pub use config::{Config, Format};
pub use counters::{Counts, Latency, Percentiles, PipelineCounters, Rate, Recent, Share};
pub use error::TelemetryError;
pub use heartbeat::{Heart, Heartbeats, Overdue, ThreadState};
pub use limit::RateLimited;
pub use log::{LogHandle, check_level, init};
pub use marks::{VARIABLE as MARKS_VARIABLE, mark, mark_of, monotonic_ns, open_marks};
pub use notify::Notifier;
