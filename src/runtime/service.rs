//! The service manager, told without letting it be a reason to stop.

use std::time::Instant;

use crate::telemetry::{Heartbeats, Notifier};

/// systemd, if it is there. That it cannot be told is worth a line in the log, and no reason to stop.
pub(super) struct Service(pub(super) Notifier);

impl Service {
    /// True where it starts the process again when that ends with an error.
    pub(super) fn restarts(&self) -> bool {
        self.0.is_managed()
    }

    /// Started (or reloaded) and at work.
    pub(super) fn ready(&self, status: &str) {
        Self::tell(self.0.ready(status));
    }

    /// A reload begins.
    pub(super) fn reloading(&self) {
        Self::tell(self.0.reloading());
    }

    /// The stop begins.
    pub(super) fn stopping(&self) {
        Self::tell(self.0.stopping("stopping"));
    }

    /// Feeds the watchdog, unless a thread is overdue.
    pub(super) fn feed(&self, heartbeats: &Heartbeats) {
        match self.0.feed(heartbeats, Instant::now()) {
            Ok(None) => {}
            Ok(Some(late)) => tracing::error!(
                thread = late.thread,
                late_by_ms = late.late_by.as_millis() as u64,
                panicked = late.panicked,
                "a thread makes no progress: the watchdog is not fed"
            ),
            Err(error) => Self::tell(Err(error)),
        }
    }

    fn tell(result: std::io::Result<()>) {
        if let Err(error) = result {
            tracing::warn!(%error, "the service manager cannot be told");
        }
    }
}
