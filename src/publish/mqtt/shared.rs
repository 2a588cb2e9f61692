//! State shared by the callers and the connection's thread.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::retained::Retained;
use crate::publish::inbox::Inbox;
use crate::publish::latency::Latency;
use crate::publish::log_limit::LogLimit;
use crate::publish::queue::{Queue, Refusal};

/// State shared by the callers and the connection's thread. The lock is never held while waiting.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Wakes waiting callers after a change.
    pub(super) changed: Condvar,
    /// Wakes the thread after a change.
    pub(super) wake: Notify,
    /// Wakes the thread of the disk.
    jobs: Condvar,
}

/// The part behind the lock.
pub(super) struct State {
    pub(super) queue: Queue,
    pub(super) latency: Latency,
    pub(super) inboxes: Vec<Inbox>,
    /// SUBSCRIBE was sent for every inbox's filter on this connection.
    pub(super) subscribed: bool,
    /// Filters whose subscription the broker granted on this connection.
    pub(super) granted: Vec<String>,
    /// Retained messages that were published.
    pub(super) retained: Retained,
    /// Deadline for the thread to end.
    pub(super) stop: Option<Instant>,
    /// The thread has ended; `true` when everything was delivered.
    pub(super) ended: Option<bool>,
    /// There is a thread of the disk.
    pub(super) keeps: bool,
    /// It has ended.
    pub(super) disk_ended: bool,
    refusals: LogLimit,
}

impl State {
    /// Logs a message that can never be sent, once a minute at most.
    pub(super) fn log_refusal(&mut self, refusal: &Refusal, now: Instant) {
        self.log_limited("refusal", &format!("message dropped: {refusal}"), now);
    }

    /// Logs a loss, once a minute at most for each `kind`.
    pub(super) fn log_limited(&mut self, kind: &'static str, words: &str, now: Instant) {
        match self.refusals.admit(kind, now) {
            Some(0) => tracing::error!("{words}"),
            Some(more) => tracing::error!("{words} (and {more} others since the last one logged)"),
            None => {}
        }
    }
}

impl Shared {
    pub(super) fn new(queue: Queue, retained: Retained) -> Self {
        Shared {
            state: Mutex::new(State {
                queue,
                latency: Latency::default(),
                inboxes: Vec::new(),
                subscribed: false,
                granted: Vec::new(),
                retained,
                stop: None,
                ended: None,
                keeps: false,
                disk_ended: false,
                refusals: LogLimit::default(),
            }),
            changed: Condvar::new(),
            wake: Notify::new(),
            jobs: Condvar::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for [`Shared::wake_disk`], for `pause` at most.
    pub(super) fn wait_job<'a>(&self, state: MutexGuard<'a, State>, pause: Duration) -> MutexGuard<'a, State> {
        self.jobs.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Wakes the thread of the disk, which looks for a job.
    pub(super) fn wake_disk(&self) {
        self.jobs.notify_one();
    }

    /// Waits until `condition` holds, or until `deadline`. Returns the condition.
    pub(super) fn wait(&self, deadline: Instant, condition: impl Fn(&State) -> bool) -> bool {
        let mut state = self.lock();
        while !condition(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}
