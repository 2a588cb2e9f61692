//! Time limits and retries of a download.

use std::time::Duration;

/// Time limits and retries of a download.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest silence, and the span over which the transfer rate is judged.
    pub silence: Duration,
    /// Attempts after the first one; progress resets the count.
    pub retries: u32,
    /// Longest time of one attempt.
    pub total: Duration,
}
