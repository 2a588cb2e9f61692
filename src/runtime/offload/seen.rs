//! Knowledge of the group that a pipeline's worker gathers, as the governor is told.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use leptond_governor::{Assignment, Group};

use super::window::Window;
use crate::fleet::Seat;
use crate::sys::random;

/// Time added to an inference elsewhere: a picture is taken from the queue, decoded and answered.
pub(super) const HANDLING: Duration = Duration::from_millis(5);
/// Weight of the latest inference in the mean.
const LATEST: f32 = 0.2;

/// State of the work that a pipeline gives to others.
pub(in crate::runtime) struct Seen {
    pub(super) seat: Seat,
    inner: Mutex<Inner>,
}

#[derive(Default)]
pub(super) struct Inner {
    pub(super) window: Window,
    /// Frames are given.
    pub(super) on: bool,
    /// Not before this time are the others asked again: not all nodes that came home together leave together.
    pub(super) rest_until: Option<Instant>,
    /// Mean time of an inference elsewhere.
    infer: Option<Duration>,
}

/// A random number from 0 to 1.
pub(super) fn fraction() -> f32 {
    // Without random numbers nodes come and go together, which only costs late frames.
    let word = random::word().unwrap_or_default();
    let digits = word.get(..4).and_then(|digits| u16::from_str_radix(digits, 16).ok()).unwrap_or(0);
    f32::from(digits) / f32::from(u16::MAX)
}

impl Inner {
    /// Takes note of the time of an inference elsewhere.
    pub(super) fn inferred(&mut self, infer: Duration) {
        let mean = self.infer.map_or(infer, |mean| mean.mul_f32(1.0 - LATEST) + infer.mul_f32(LATEST));
        self.infer = Some(mean);
    }
}

impl Seen {
    pub(super) fn new(seat: Seat) -> Seen {
        Seen { seat, inner: Mutex::default() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The group as the governor is told at `now`; `None` where it cannot be reached.
    pub(in crate::runtime) fn group(&self, assignment: &Assignment, now: Instant) -> Option<Group> {
        if !self.seat.is_open() {
            return None;
        }
        let mut inner = self.lock();
        let rests = inner.rest_until.is_some_and(|until| now < until);
        let each = (inner.infer.unwrap_or(assignment.infer) + HANDLING).as_secs_f32();
        let waiting = self.seat.waiting();
        let in_time = if inner.on { inner.window.told(waiting > 0, now, fraction) } else { None };
        let spare_per_s = if rests { 0.0 } else { waiting as f32 / each };
        Some(Group { spare_per_s, in_time })
    }
}
