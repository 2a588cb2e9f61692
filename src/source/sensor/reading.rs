//! A sensor that is asked.

use std::time::{Duration, Instant};

use crate::source::contract::SourceError;

/// Longest sleep inside `next`, so that its thread can be stopped.
pub(super) const NAP: Duration = Duration::from_millis(200);

/// A sensor that can be read at any time.
pub(super) trait Reading: Send {
    /// The names of its channels; fixed once a row was read.
    fn channels(&self) -> &[String];

    /// Reads all channels at `now` over `row`.
    ///
    /// # Errors
    /// As [`Source::next`](crate::source::Source::next).
    fn read(&mut self, now: Instant, row: &mut Vec<f32>) -> Result<Read, SourceError>;
}

/// Result of [`Reading::read`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// The row was filled.
    Row,
    /// There is nothing to read, and why.
    Idle(String),
}
