//! The gate's warnings, each kind once a minute at most: the number and pace of clients are unbounded.

use std::cell::RefCell;
use std::time::Instant;

use crate::publish::log_limit::LogLimit;

/// Logs the gate's warnings.
#[derive(Default)]
pub(super) struct Complaints {
    limit: RefCell<LogLimit>,
}

impl Complaints {
    /// Logs `text` as a warning, unless one of this kind was logged within a minute.
    pub(super) fn tell(&self, kind: &'static str, text: &str) {
        match self.limit.borrow_mut().admit(kind, Instant::now()) {
            Some(0) => tracing::warn!("{text}"),
            Some(more) => tracing::warn!("{text} (and {more} more since the last one logged)"),
            None => tracing::debug!("{text}"),
        }
    }
}
