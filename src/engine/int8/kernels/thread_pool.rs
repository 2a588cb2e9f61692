//! The threads that share the steps of one plan.
//!
//! The caller's thread goes through the steps and offers each large one in chunks; every thread that is awake takes the next chunk, the
//! caller included. A helper that the system has not scheduled takes nothing and delays no other, which matters on a board
//! that is busy with something else. What a chunk computes does not depend on who computes it.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Turns of waiting before a thread lets others run: some microseconds.
const SPINS: usize = 4_000;

/// A step on offer: a count that is never repeated, the step, the next chunk, in one word, so that taking a chunk of a step that is
/// over must fail.
#[derive(Clone, Copy)]
struct Offer(u64);

impl Offer {
    /// Most steps and chunks that can be told apart.
    const MOST: usize = 1 << 16;

    fn new(count: u64, step: usize) -> Self {
        Offer(count << 32 | (step as u64) << 16)
    }

    fn step(self) -> usize {
        (self.0 >> 16) as usize % Self::MOST
    }

    fn chunk(self) -> usize {
        self.0 as usize % Self::MOST
    }
}

/// State shared by the members of a pool, besides the work itself.
#[derive(Debug)]
pub struct ThreadPool {
    /// Chunks of every step that is offered.
    chunks: usize,
    offer: AtomicU64,
    /// Chunks of the offer that have been done.
    done: AtomicUsize,
    /// A helper panicked.
    broken: AtomicBool,
    /// Phase of the pool: running flag, number of the inference, request to end.
    state: Mutex<State>,
    changed: Condvar,
    /// The number in `state`, to be watched without the lock; odd while an inference goes on.
    phase: AtomicUsize,
}

#[derive(Debug, Default)]
struct State {
    phase: usize,
    ended: bool,
}

impl ThreadPool {
    /// `None` for the offer of steps that cannot be told apart.
    pub(super) fn new(chunks: usize, steps: usize) -> Option<Arc<Self>> {
        // The last number of a step stands for no offer.
        (steps < Offer::MOST - 1 && chunks < Offer::MOST).then(|| {
            Arc::new(ThreadPool {
                chunks,
                offer: AtomicU64::new(Offer::new(0, Offer::MOST - 1).0 | chunks as u64),
                done: AtomicUsize::new(0),
                broken: AtomicBool::new(false),
                state: Mutex::new(State::default()),
                changed: Condvar::new(),
                phase: AtomicUsize::new(0),
            })
        })
    }

    /// The caller's side of a shared step: offers it, works along, returns when all of it is done. `false` if a helper failed and it
    /// never will be.
    pub(super) fn share(&self, step: usize, mut work: impl FnMut(usize)) -> bool {
        let count = (self.offer.load(Ordering::Relaxed) >> 32).wrapping_add(1);
        self.done.store(0, Ordering::Relaxed);
        // Releases what the steps before have written.
        self.offer.store(Offer::new(count, step).0, Ordering::Release);
        while let Some(offer) = self.take() {
            work(offer.chunk());
            self.done.fetch_add(1, Ordering::Release);
        }
        let mut spins = 0;
        while self.done.load(Ordering::Acquire) < self.chunks {
            if self.is_broken() {
                return false;
            }
            pause(&mut spins);
        }
        true
    }

    /// The next chunk on offer.
    fn take(&self) -> Option<Offer> {
        let mut offer = Offer(self.offer.load(Ordering::Acquire));
        while offer.chunk() < self.chunks {
            let next = self.offer.compare_exchange_weak(offer.0, offer.0 + 1, Ordering::AcqRel, Ordering::Acquire);
            match next {
                Ok(_) => return Some(offer),
                Err(now) => offer = Offer(now),
            }
        }
        None
    }

    /// A helper's life: takes chunks, `work(step, chunk)`, while an inference goes on; waits between inferences, for a moment
    /// awake, since the next one often follows at once, then asleep. Returns when the pool ends.
    pub(super) fn help(&self, mut work: impl FnMut(usize, usize)) {
        let _guard = Guard(self);
        loop {
            let phase = self.phase.load(Ordering::Acquire);
            let same = || self.phase.load(Ordering::Acquire) == phase;
            let mut spins = 0;
            if is_working(phase) {
                while same() {
                    match self.take() {
                        Some(offer) => {
                            work(offer.step(), offer.chunk());
                            self.done.fetch_add(1, Ordering::Release);
                            spins = 0;
                        }
                        None => pause(&mut spins),
                    }
                }
                continue;
            }
            while same() && spins < SPINS {
                pause(&mut spins);
            }
            let mut state = self.lock();
            while !is_working(state.phase) && !state.ended {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.ended {
                return;
            }
        }
    }

    /// Begins an inference: helpers wake up.
    pub(super) fn begin(&self) {
        self.turn(|state| state.phase |= 1);
    }

    /// Ends it: helpers may sleep.
    pub(super) fn rest(&self) {
        self.turn(|state| state.phase = (state.phase | 1).wrapping_add(1));
    }

    /// Sends the helpers home.
    pub(super) fn end(&self) {
        self.turn(|state| (state.phase, state.ended) = ((state.phase | 1).wrapping_add(1), true));
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    fn turn(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        self.phase.store(state.phase, Ordering::Release);
        drop(state);
        self.changed.notify_all();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// True if an inference goes on in this phase.
fn is_working(phase: usize) -> bool {
    phase % 2 == 1
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

/// Marks the pool as broken when a helper panics, so that no thread waits for its chunk.
struct Guard<'a>(&'a ThreadPool);

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
    fn every_chunk_is_done_once_and_before_the_next_step() {
        let pool = ThreadPool::new(7, 3).unwrap();
        let counts: Arc<[AtomicUsize; 21]> = Arc::new(std::array::from_fn(|_| AtomicUsize::new(0)));
        let helpers: Vec<_> = (0..3)
            .map(|_| {
                let (pool, counts) = (pool.clone(), counts.clone());
                std::thread::spawn(move || {
                    pool.help(|step, chunk| _ = counts[step * 7 + chunk].fetch_add(1, Ordering::Relaxed));
                })
            })
            .collect();
        for round in 1..=500 {
            pool.begin();
            for step in 0..3 {
                let own = |chunk: usize| _ = counts[step * 7 + chunk].fetch_add(1, Ordering::Relaxed);
                assert!(pool.share(step, own));
                for (index, count) in counts.iter().enumerate() {
                    let want = if index < (step + 1) * 7 { round } else { round - 1 };
                    assert_eq!(count.load(Ordering::Relaxed), want, "round {round}, step {step}, {index}");
                }
            }
            pool.rest();
        }
        pool.end();
        helpers.into_iter().for_each(|h| h.join().unwrap());
    }

    #[test]
    fn nobody_waits_for_a_helper_that_does_not_come() {
        let pool = ThreadPool::new(4, 1).unwrap();
        pool.begin();
        let mut done = Vec::new();
        assert!(pool.share(0, |chunk| done.push(chunk)));
        assert_eq!(done, [0, 1, 2, 3]);
    }

    #[test]
    fn a_helper_that_panics_is_reported() {
        let pool = ThreadPool::new(2, 1).unwrap();
        let other = pool.clone();
        let lost = std::thread::spawn(move || other.help(|_, _| std::panic::resume_unwind(Box::new("lost"))));
        pool.begin();
        // The caller leaves the second chunk to the helper.
        let caught = pool.share(0, |_| {
            while !pool.is_broken() {
                std::thread::yield_now();
            }
        });
        assert!(!caught);
        assert!(lost.join().is_err());
    }
}
