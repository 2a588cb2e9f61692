//! Observability: logs, counters, and progress that systemd's watchdog can trust.
//!
//! | part | purpose |
//! |---|---|
//! | [`init`], [`LogHandle`], [`RateLimited`] | the log on standard error, its level changed at run time, floods held back |
//! | [`init_recent`], [`RecentLog`] | the latest lines of the log in memory, for a program that draws a screen |
//! | [`PipelineCounters`], [`Latency`], [`Recent`], [`Share`] | counters of `health` and the demo's summary, in fixed memory |
//! | [`Heartbeats`], [`Heart`] | promised progress of each thread, and the threads that are overdue |
//! | [`mark`] | phases of a start, for `leptond bench --startup` |
//! | [`Notifier`] | the service manager: `READY=1`, `STATUS=`, `WATCHDOG=1` only while nothing is overdue |
//!
//! No decision reads a clock: `now` is an argument.

mod config;
mod counters;
mod error;
mod heartbeat;
mod limit;
mod log;
mod marks;
mod notify;
mod recent;

pub use config::{Config, Format};
pub use counters::{Latency, Percentiles, PipelineCounters, Recent, Share};
pub use error::TelemetryError;
pub use heartbeat::{Heart, Heartbeats, Overdue, ThreadState};
pub use limit::RateLimited;
pub use log::{LogHandle, check_level, init, init_recent};
pub use marks::{VARIABLE as MARKS_VARIABLE, mark, mark_of, monotonic_ns, open_marks};
pub use notify::Notifier;
pub use recent::RecentLog;
