//! A slot of one frame between a source and its worker: the newest wins, and every frame that was overwritten unread is
//! counted. Three frames circulate (one being filled, one in the slot, one being worked on), so nothing is allocated
//! after the first three.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::frame::Frame;

/// The slot; shared by one putter and one taker.
#[derive(Default)]
pub struct Slot {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    fresh: Option<Frame>,
    spare: Option<Frame>,
    closed: bool,
}

/// What [`Slot::take`] came back with. The frame that was handed in comes back when it is not needed.
pub enum Taken {
    /// The newest frame; the one handed in will be refilled by the source.
    Frame(Frame),
    /// Nothing came in time.
    Nothing(Frame),
    /// Closed and empty: there will be no more.
    Closed,
}

impl Slot {
    /// Puts `frame` in, over an unread one if need be. Returns a frame to fill next and whether one was overwritten.
    pub fn put(&self, frame: Frame) -> (Frame, bool) {
        let mut state = self.lock();
        let old = state.fresh.replace(frame);
        let overwritten = old.is_some();
        let next = old.or_else(|| state.spare.take()).unwrap_or_else(Frame::empty);
        drop(state);
        self.changed.notify_one();
        (next, overwritten)
    }

    /// Waits up to `timeout` until a frame put now would overwrite none; whether that is so.
    pub fn wait_empty(&self, timeout: Duration) -> bool {
        let state = self.lock();
        let (state, _) = self
            .changed
            .wait_timeout_while(state, timeout, |s| s.fresh.is_some() && !s.closed)
            .unwrap_or_else(PoisonError::into_inner);
        state.fresh.is_none()
    }

    /// Waits up to `timeout` for a frame, handing in `used` for the source to refill.
    pub fn take(&self, used: Frame, timeout: Duration) -> Taken {
        let state = self.lock();
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, timeout, |s| s.fresh.is_none() && !s.closed)
            .unwrap_or_else(PoisonError::into_inner);
        match state.fresh.take() {
            Some(frame) => {
                state.spare = Some(used);
                drop(state);
                self.changed.notify_one();
                Taken::Frame(frame)
            }
            None if state.closed => Taken::Closed,
            None => Taken::Nothing(used),
        }
    }

    /// Says that no more will come; a frame still inside can be taken.
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

    fn frame(seq: u64) -> Frame {
        Frame { seq, ..Frame::empty() }
    }

    #[test]
    fn the_newest_wins_and_the_overwritten_is_reported() {
        let slot = Slot::default();
        assert!(!slot.put(frame(1)).1);
        let (back, overwritten) = slot.put(frame(2));
        assert!(overwritten);
        assert_eq!(back.seq, 1, "the overwritten frame comes back to be refilled");
        assert!(matches!(slot.take(Frame::empty(), Duration::ZERO), Taken::Frame(f) if f.seq == 2));
        assert!(matches!(slot.take(Frame::empty(), Duration::ZERO), Taken::Nothing(_)));
    }

    #[test]
    fn buffers_circulate_without_new_allocations() {
        let slot = Slot::default();
        let mut filling = Frame::empty();
        let mut working = Frame::empty();
        let mut seen = std::collections::HashSet::new();
        for _ in 0..20 {
            let data = &mut filling.image_mut().data;
            data.clear();
            data.extend_from_slice(&[7; 1000]);
            seen.insert(data.as_ptr());
            filling = slot.put(filling).0;
            match slot.take(working, Duration::ZERO) {
                Taken::Frame(f) => working = f,
                _ => panic!("a frame was put"),
            }
        }
        assert!(seen.len() <= 3, "{} buffers were allocated", seen.len());
    }

    #[test]
    fn one_who_can_wait_loses_nothing() {
        let slot = Slot::default();
        assert!(slot.wait_empty(Duration::ZERO));
        slot.put(frame(1));
        assert!(!slot.wait_empty(Duration::ZERO));
        std::thread::scope(|s| {
            s.spawn(|| assert!(matches!(slot.take(Frame::empty(), Duration::from_secs(5)), Taken::Frame(_))));
            assert!(slot.wait_empty(Duration::from_secs(5)));
        });
    }

    #[test]
    fn closing_lets_the_last_frame_out_and_wakes_the_taker() {
        let slot = Slot::default();
        slot.put(frame(9));
        slot.close();
        assert!(matches!(slot.take(Frame::empty(), Duration::from_secs(5)), Taken::Frame(f) if f.seq == 9));
        assert!(matches!(slot.take(Frame::empty(), Duration::from_secs(5)), Taken::Closed));
    }
}
