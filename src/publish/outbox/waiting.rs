//! An event that waits, and the clocks by which it ages.

use std::sync::Arc;
use std::time::Instant;

/// The time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Monotonic.
    pub now: Instant,
    /// Seconds since 1970; 0 = the clock was not set.
    pub unix_s: u64,
}

/// An event that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Position in the order of events: 1 for the first of this run, 0 and less for those of earlier runs.
    pub id: i64,
    /// Topic.
    pub topic: Arc<str>,
    /// Payload.
    pub payload: Arc<[u8]>,
    /// Time since which it waits; of one that was read from disk, the time of the reading.
    pub since: Instant,
    /// Time at which it is given up.
    pub(super) expires: Option<Instant>,
}

impl Waiting {
    /// A message that is no event: never stored, never given up for its age.
    pub fn outside(topic: String, payload: Vec<u8>, since: Instant) -> Waiting {
        Waiting { id: 0, topic: topic.into(), payload: payload.into(), since, expires: None }
    }

    /// It comes from an earlier run, and may have been sent then.
    pub fn is_recovered(&self) -> bool {
        self.id <= 0
    }
}
