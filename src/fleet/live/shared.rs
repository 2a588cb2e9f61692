//! State that the seats of pipelines share with the thread of the network.

use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::super::digest::ModelDigest;
use super::super::tally::count;
use super::super::wire::Answer;
use crate::frame::status::Given;
use crate::frame::{NodeName, PipelineName};

/// Time from the last wish for work to the end of the pull that it was told with.
const PULL_ENDS: Duration = Duration::from_secs(5);

/// State that the seats and the thread share.
pub(super) struct Shared {
    /// Frames can be given.
    pub(super) open: AtomicBool,
    /// Largest picture, in bytes.
    pub(super) most_bytes: AtomicUsize,
    /// Until when the server may count this node among those that wait for work.
    own_until: Mutex<Option<Instant>>,
    seats: Mutex<Vec<Weak<SeatState>>>,
    given: Mutex<Given>,
}

impl Shared {
    /// Nothing can be given yet; pictures have up to `most_bytes`.
    pub(super) fn new(most_bytes: usize) -> Shared {
        Shared {
            open: AtomicBool::new(false),
            most_bytes: AtomicUsize::new(most_bytes),
            own_until: Mutex::default(),
            seats: Mutex::default(),
            given: Mutex::default(),
        }
    }

    /// Takes note that this node waits for work of others at `now`.
    pub(super) fn waits_too(&self, now: Instant) {
        *self.own_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(now + PULL_ENDS);
    }

    /// Adds a seat, which stays while somebody else holds it.
    pub(super) fn take_seat(&self, seat: &Arc<SeatState>) {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(seat));
    }

    /// Counts.
    pub(super) fn given(&self) -> MutexGuard<'_, Given> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nodes that the server counts among those that wait and that are this one.
    pub(super) fn own(&self, now: Instant) -> usize {
        let until = *self.own_until.lock().unwrap_or_else(PoisonError::into_inner);
        usize::from(until.is_some_and(|until| now < until))
    }

    /// Counts a result of `node` that was believed.
    pub(super) fn accepted(&self, node: &NodeName) {
        let mut given = self.given();
        given.answered += 1;
        count(&mut given.by, node);
    }

    /// The seats that are taken.
    pub(super) fn seats(&self) -> Vec<Arc<SeatState>> {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        seats.retain(|seat| seat.strong_count() > 0);
        seats.iter().filter_map(Weak::upgrade).collect()
    }
}

/// An answer to a frame.
#[derive(Debug)]
pub struct Returned {
    /// The giver's own number for it.
    pub frame: u64,
    /// The answer.
    pub answer: Answer,
}

/// State of a seat that the network's thread sees.
pub(super) struct SeatState {
    pub(super) pipeline: PipelineName,
    pub(super) model: ModelDigest,
    /// Nodes that wait for work with the model, as the server last said.
    pub(super) waiting: AtomicUsize,
    returned: Mutex<Vec<Returned>>,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl SeatState {
    pub(super) fn new(pipeline: PipelineName, model: ModelDigest, wake: Box<dyn Fn() + Send + Sync>) -> SeatState {
        SeatState { pipeline, model, waiting: AtomicUsize::new(0), returned: Mutex::default(), wake }
    }

    /// Hands an answer to whoever waits for it.
    pub(super) fn hand(&self, returned: Returned) {
        // No more than there are frames given, whose number their owner bounds.
        self.returned.lock().unwrap_or_else(PoisonError::into_inner).push(returned);
        (self.wake)();
    }

    /// The answers since the last call.
    pub(super) fn take(&self) -> Vec<Returned> {
        std::mem::take(&mut *self.returned.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
