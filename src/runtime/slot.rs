//! A slot of one frame between a source and one of its readers: the newest wins, and every frame that was overwritten unread
//! is counted. Frames are shared with other readers; their buffers are recycled by their pool.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::frame::SharedFrame;

/// The slot; shared by one putter and one taker.
#[derive(Default)]
pub struct Slot {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    fresh: Option<Arc<SharedFrame>>,
    closed: bool,
    /// The next take returns at once.
    woken: bool,
}

/// Result of [`Slot::take`].
pub enum Taken {
    /// The newest frame.
    Frame(Arc<SharedFrame>),
    /// Nothing came in time.
    Nothing,
    /// Closed and empty: there will be no more.
    Closed,
}

impl Slot {
    /// Puts `frame` in, over an unread one if need be; whether one was overwritten. A closed slot takes nothing.
    pub fn put(&self, frame: Arc<SharedFrame>) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        let old = state.fresh.replace(frame);
        drop(state);
        self.changed.notify_one();
        // Outside the lock: the last holder of a frame recycles its buffers.
        old.is_some()
    }

    /// Waits up to `timeout` until a frame put now would overwrite none; whether that is so.
    pub fn wait_empty(&self, timeout: Duration) -> bool {
        let state = self.lock();
        let (state, _) = self
            .changed
            .wait_timeout_while(state, timeout, |s| s.fresh.is_some() && !s.closed)
            .unwrap_or_else(PoisonError::into_inner);
        state.fresh.is_none() || state.closed
    }

    /// Waits up to `timeout` for a frame.
    pub fn take(&self, timeout: Duration) -> Taken {
        let state = self.lock();
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, timeout, |s| s.fresh.is_none() && !s.closed && !s.woken)
            .unwrap_or_else(PoisonError::into_inner);
        state.woken = false;
        match state.fresh.take() {
            Some(frame) => {
                drop(state);
                self.changed.notify_one();
                Taken::Frame(frame)
            }
            None if state.closed => Taken::Closed,
            None => Taken::Nothing,
        }
    }

    /// Makes the present or next [`Slot::take`] return at once.
    pub fn wake(&self) {
        self.lock().woken = true;
        self.changed.notify_all();
    }

    /// Marks the end: no more will come; a frame still inside can be taken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Frame, FramePool};

    fn frame(seq: u64) -> Arc<SharedFrame> {
        Arc::new(FramePool::default()).share(Frame { seq, ..Frame::empty() }, false)
    }

    #[test]
    fn the_newest_wins_and_the_overwritten_is_reported() {
        let slot = Slot::default();
        assert!(!slot.put(frame(1)));
        assert!(slot.put(frame(2)));
        assert!(matches!(slot.take(Duration::ZERO), Taken::Frame(f) if f.seq == 2));
        assert!(matches!(slot.take(Duration::ZERO), Taken::Nothing));
    }

    #[test]
    fn one_who_can_wait_loses_nothing() {
        let slot = Slot::default();
        assert!(slot.wait_empty(Duration::ZERO));
        slot.put(frame(1));
        assert!(!slot.wait_empty(Duration::ZERO));
        std::thread::scope(|s| {
            s.spawn(|| assert!(matches!(slot.take(Duration::from_secs(5)), Taken::Frame(_))));
            assert!(slot.wait_empty(Duration::from_secs(5)));
        });
    }

    #[test]
    fn whoever_takes_can_be_woken_once() {
        let slot = Slot::default();
        slot.wake();
        assert!(matches!(slot.take(Duration::from_secs(60)), Taken::Nothing), "at once");
        slot.wake();
        slot.put(frame(1));
        assert!(matches!(slot.take(Duration::from_secs(60)), Taken::Frame(f) if f.seq == 1), "a frame is more");
        assert!(matches!(slot.take(Duration::ZERO), Taken::Nothing));
    }

    #[test]
    fn closing_lets_the_last_frame_out_and_wakes_the_taker() {
        let slot = Slot::default();
        slot.put(frame(9));
        slot.close();
        slot.put(frame(10));
        assert!(slot.wait_empty(Duration::ZERO), "nobody waits for a reader that has gone");
        assert!(matches!(slot.take(Duration::from_secs(5)), Taken::Frame(f) if f.seq == 9));
        assert!(matches!(slot.take(Duration::from_secs(5)), Taken::Closed));
    }
}
