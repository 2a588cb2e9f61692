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

mod counters;
mod heartbeat;
mod limit;
mod log;
mod marks;
mod notify;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use counters::{Latency, Percentiles, PipelineCounters, Recent, Share};
pub use heartbeat::{Heart, Heartbeats, Overdue, ThreadState};
pub use limit::RateLimited;
pub use log::{LogHandle, check_level, init};
pub use marks::{VARIABLE as MARKS_VARIABLE, mark, mark_of, monotonic_ns, open_marks};
pub use notify::Notifier;

/// `[log]`: what is written to standard error (and so to the journal).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,leptond::source=debug`.
    pub level: String,
    /// `text` for people, `json` for machines.
    pub format: Format,
}

impl Default for Config {
    fn default() -> Self {
        Config { level: "info".into(), format: Format::Text }
    }
}

/// Form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Why the daemon cannot be watched as asked.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TelemetryError {
    /// `log.level` makes no sense: the configuration is wrong, what was in force stays.
    #[error("log.level: found {found:?}: {reason}")]
    Level {
        /// What was configured.
        found: String,
        /// What is wrong with it and what is allowed.
        reason: String,
    },
    /// A log was set up before in this process: a defect in the caller, the first one stays.
    #[error("the log is set up already")]
    AlreadySet,
    /// The service manager's socket cannot be used: the daemon can run, but unwatched.
    #[error("cannot notify the service manager at {address}: {reason}")]
    Notify {
        /// Value of `NOTIFY_SOCKET`.
        address: String,
        /// The system's words.
        reason: String,
    },
}
