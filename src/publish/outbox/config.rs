//! `[mqtt.outbox]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[mqtt.outbox]`: events kept on disk while the broker is away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OutboxConfig {
    /// Keep events on disk, where there is a directory for it; else in memory only.
    pub enabled: bool,
    /// Directory of the events; empty = `outbox` in the state directory.
    pub dir: PathBuf,
    /// Space on disk at most in bytes; the oldest events give way.
    #[schemars(range(min = 4_194_304, max = 17_179_869_184_u64))]
    pub max_bytes: u64,
    /// Age at which an event is given up, in s.
    #[schemars(range(min = 60, max = 31_536_000))]
    pub ttl_s: u64,
    /// Bytes written to disk in a day at most; the commit interval grows as they are used up.
    #[schemars(range(min = 1_048_576, max = 1_099_511_627_776_u64))]
    pub write_bytes_per_day: u64,
    /// Age of an unacknowledged event at which events are written to disk, in s.
    #[schemars(range(min = 1, max = 300))]
    pub commit_interval_s: u64,
    /// Events in memory at which they are written earlier, while the broker is away; half of `mqtt.queue` if that is less.
    #[schemars(range(min = 1, max = 100_000))]
    pub commit_records: usize,
}

impl Default for OutboxConfig {
    fn default() -> Self {
        OutboxConfig {
            enabled: true,
            dir: PathBuf::new(),
            max_bytes: 64 << 20,
            ttl_s: 7 * 86_400,
            write_bytes_per_day: 64_000_000,
            commit_interval_s: 5,
            commit_records: 256,
        }
    }
}
