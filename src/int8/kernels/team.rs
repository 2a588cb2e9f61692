//! The threads that share the steps of one plan.
//!
//! They are woken once for an inference and then go through the same list of steps, each doing its own part of the large ones;
//! a barrier stands around every step that is shared. What a part computes does not depend on how many parts there are.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Turns of waiting before a thread lets others run: some microseconds.
const SPINS: usize = 4_000;

/// Where the members of a team meet.
#[derive(Debug)]
pub struct Meeting {
    members: usize,
    arrived: AtomicUsize,
    round: AtomicUsize,
    /// A member panicked and will never arrive.
    broken: AtomicBool,
    /// The inference that is being worked on, counted from 0, and whether the team is to end.
    call: Mutex<(usize, bool)>,
    called: Condvar,
    /// A copy of the count in `call` that can be watched without the lock.
    count: AtomicUsize,
}

impl Meeting {
    pub(super) fn new(members: usize) -> Arc<Self> {
        Arc::new(Meeting {
            members,
            arrived: AtomicUsize::new(0),
            round: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            call: Mutex::new((0, false)),
            called: Condvar::new(),
            count: AtomicUsize::new(0),
        })
    }

    /// Waits until every member is here; `false` if one never will be.
    pub(super) fn wait(&self) -> bool {
        let round = self.round.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.members {
            self.arrived.store(0, Ordering::Relaxed);
            self.round.store(round.wrapping_add(1), Ordering::Release);
            return !self.is_broken();
        }
        let mut spins = 0;
        while self.round.load(Ordering::Acquire) == round {
            if self.is_broken() {
                return false;
            }
            pause(&mut spins);
        }
        !self.is_broken()
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// Breaks the meeting when it is dropped while its thread panics.
    pub(super) fn guard(&self) -> Guard<'_> {
        Guard(self)
    }

    /// Calls the other members to the next inference.
    pub(super) fn call(&self) {
        let mut call = self.call.lock().unwrap_or_else(PoisonError::into_inner);
        call.0 = call.0.wrapping_add(1);
        self.count.store(call.0, Ordering::Release);
        self.called.notify_all();
    }

    /// Sends the other members home.
    pub(super) fn end(&self) {
        let mut call = self.call.lock().unwrap_or_else(PoisonError::into_inner);
        call.1 = true;
        self.count.fetch_add(1, Ordering::Release);
        self.called.notify_all();
    }

    /// Waits for the call after `seen`; its number, or `None` at the end. First watches for a moment, since the next
    /// inference often follows at once, then sleeps.
    pub(super) fn next(&self, seen: usize) -> Option<usize> {
        let mut spins = 0;
        while self.count.load(Ordering::Acquire) == seen && spins < SPINS {
            pause(&mut spins);
        }
        let mut call = self.call.lock().unwrap_or_else(PoisonError::into_inner);
        while call.0 == seen && !call.1 {
            call = self.called.wait(call).unwrap_or_else(PoisonError::into_inner);
        }
        (!call.1).then_some(call.0)
    }
}

fn pause(spins: &mut usize) {
    if *spins < SPINS {
        *spins += 1;
        std::hint::spin_loop();
    } else {
        // The one that is waited for may have been pushed off its core.
        std::thread::yield_now();
    }
}

/// See [`Meeting::guard`].
pub(super) struct Guard<'a>(&'a Meeting);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.broken.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_leaves_before_everybody_came() {
        let meeting = Meeting::new(3);
        let count = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for round in 1..=200 {
                        count.fetch_add(1, Ordering::Relaxed);
                        assert!(meeting.wait());
                        assert!(count.load(Ordering::Relaxed) >= round * 3);
                        assert!(meeting.wait());
                    }
                });
            }
        });
        assert_eq!(count.into_inner(), 600);
    }

    #[test]
    fn a_member_that_panics_holds_nobody_up() {
        let meeting = Meeting::new(2);
        let other = meeting.clone();
        let lost = std::thread::spawn(move || {
            let _guard = other.guard();
            std::panic::resume_unwind(Box::new("lost"));
        });
        assert!(!meeting.wait());
        assert!(lost.join().is_err());
    }

    #[test]
    fn calls_and_the_end_arrive() {
        let meeting = Meeting::new(2);
        let other = meeting.clone();
        let member = std::thread::spawn(move || {
            let (mut seen, mut calls) = (0, 0);
            while let Some(call) = other.next(seen) {
                (seen, calls) = (call, calls + 1);
                other.wait();
            }
            calls
        });
        for _ in 0..50 {
            meeting.call();
            meeting.wait();
        }
        meeting.end();
        assert_eq!(member.join().unwrap_or(0), 50);
    }
}
