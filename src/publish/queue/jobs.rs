//! The queue's side of the disk: events that were sent and are not acknowledged count as much as those that wait.

use std::time::{Duration, Instant};

use super::Queue;
use super::entries::{Event, InFlightMessage, Submitted};
use crate::publish::outbox::{Clock, Job, Notice, Outcome, Waiting};

impl Queue {
    /// The next job for the disk, if one is due. Its outcome goes to [`Queue::job_done`].
    pub fn next_job(&mut self, clock: Clock) -> Option<Job> {
        let Queue { retry, submitted, in_flight, events, stats, .. } = self;
        let outstanding: Vec<&Waiting> = outstanding(retry, submitted, in_flight).collect();
        events.next_job(&outstanding, stats.connected, clock)
    }

    /// Takes in what came of a job, for which `written_bytes` were written.
    pub fn job_done(&mut self, outcome: Outcome, written_bytes: u64, clock: Clock) {
        self.events.done(outcome, written_bytes, clock);
    }

    /// Notices about the disk for the log since the last call.
    pub fn notices(&mut self, now: Instant) -> Vec<Notice> {
        self.events.notices(now)
    }

    /// Time until a job may be due without anything happening.
    pub fn job_pause(&self, now: Instant) -> Duration {
        self.events.pause(now)
    }

    /// Asks for everything that was not acknowledged to be written to disk.
    pub fn keep(&mut self) {
        self.events.finish();
    }

    /// `true` when everything was written after [`Queue::keep`], or cannot be.
    pub fn is_kept(&self) -> bool {
        self.events.is_finished()
    }

    /// Events that are not acknowledged and in memory only.
    pub fn unstored_events(&self) -> usize {
        self.events.unstored() + self.outstanding().filter(|event| !self.events.is_stored(event)).count()
    }

    /// Events that were sent, or given to the client library, and are not acknowledged.
    pub(super) fn outstanding(&self) -> impl Iterator<Item = &Waiting> {
        outstanding(&self.retry, &self.submitted, &self.in_flight)
    }
}

fn outstanding<'a>(
    retry: &'a std::collections::VecDeque<Event>,
    submitted: &'a std::collections::VecDeque<Submitted>,
    in_flight: &'a std::collections::VecDeque<super::entries::InFlight>,
) -> impl Iterator<Item = &'a Waiting> {
    let in_flight = in_flight.iter().filter_map(|one| match &one.message {
        InFlightMessage::Event(event) => Some(event),
        InFlightMessage::State { .. } => None,
    });
    let submitted = submitted.iter().filter_map(|one| match one {
        Submitted::Event(event) => Some(event),
        _ => None,
    });
    in_flight.chain(submitted).chain(retry).filter(|event| !event.is_response).map(|event| &event.item)
}
