//! One source and its readers: the frames it gives, the pace and size that each reader asks for.
//!
//! The readers are a value that is replaced whole: the capture thread takes it once for each frame, so a reload never holds it up.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::pace::Pace;
use super::state::{PipelineStatus, Shared};
use crate::frame::{Frame, FramePool, SourceCounts};

/// A source that is captured once for any number of readers.
pub(super) struct Hub {
    /// Name of the source, or of the only pipeline that may read it.
    pub(super) name: String,
    /// Shared by pipelines under its name; otherwise it belongs to one of them.
    pub(super) named: bool,
    /// Buffers of its frames.
    pub(super) pool: Arc<FramePool>,
    frames: AtomicU64,
    state: Mutex<State>,
    stop: AtomicBool,
}

struct State {
    readers: Arc<[Arc<Reader>]>,
    /// Status at its end, once it has ended.
    end: Option<PipelineStatus>,
}

/// One pipeline that reads a source, at its own pace.
pub(super) struct Reader {
    pub(super) shared: Arc<Shared>,
    pace: Mutex<Pace>,
}

impl Hub {
    /// A hub without readers.
    pub(super) fn new(name: &str, named: bool) -> Arc<Hub> {
        Arc::new(Hub {
            name: name.to_owned(),
            named,
            pool: Arc::default(),
            frames: AtomicU64::new(0),
            state: Mutex::new(State { readers: Arc::new([]), end: None }),
            stop: AtomicBool::new(false),
        })
    }

    /// Adds a reader, which gets the next frame. A source that has ended ends it at once.
    pub(super) fn attach(&self, shared: &Arc<Shared>) {
        let mut state = self.lock();
        if let Some(end) = state.end.clone() {
            drop(state);
            shared.set_status(end);
            shared.slot.close();
            return;
        }
        let reader = Arc::new(Reader { shared: shared.clone(), pace: Mutex::default() });
        state.readers = state.readers.iter().cloned().chain([reader]).collect();
    }

    /// Takes a reader away; what is in its slot it may still take. A hub that nobody reads any more stops.
    pub(super) fn detach(&self, shared: &Arc<Shared>) {
        let mut state = self.lock();
        state.readers = state.readers.iter().filter(|one| !Arc::ptr_eq(&one.shared, shared)).cloned().collect();
        drop(state);
        shared.set_stopped();
        shared.slot.close();
    }

    /// The readers at this moment.
    pub(super) fn readers(&self) -> Arc<[Arc<Reader>]> {
        self.lock().readers.clone()
    }

    /// True once it gives no frames any more.
    pub(super) fn over(&self) -> bool {
        self.stopping() || self.lock().end.is_some()
    }

    /// Tells the capture thread to stop; returns at once.
    pub(super) fn request_stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    pub(super) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// The source gives no more: its readers finish what they have.
    pub(super) fn end(&self, status: PipelineStatus) {
        let mut state = self.lock();
        state.end = Some(status.clone());
        let readers = state.readers.clone();
        drop(state);
        for reader in readers.iter() {
            reader.shared.set_status(status.clone());
            reader.shared.slot.close();
        }
    }

    /// Sets the status of every reader.
    pub(super) fn set_status(&self, status: &PipelineStatus) {
        self.readers().iter().for_each(|reader| reader.shared.set_status(status.clone()));
    }

    /// Counts a frame that the source gave.
    pub(super) fn count(&self) {
        self.frames.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts since it was opened.
    pub(super) fn counts(&self) -> SourceCounts {
        SourceCounts {
            frames: self.frames.load(Ordering::Relaxed),
            decoded: self.pool.decoded(),
            readers: self.readers().len(),
        }
    }

    /// Longer side in pixels of the pictures that the most demanding reader asks for; inner `None` = as configured. A paused reader
    /// asks for nothing; `None` when all are paused.
    pub(super) fn wanted_capture(readers: &[Arc<Reader>]) -> Option<Option<u32>> {
        let wanted = readers.iter().filter(|reader| !reader.shared.paused());
        let sides = wanted.map(|reader| reader.shared.assignment().setpoint.capture);
        sides.reduce(|a, b| a.zip(b).map(|(a, b)| a.max(b)))
    }

    /// True if nothing moves for any reader that is not paused, and there is one.
    pub(super) fn is_idle(readers: &[Arc<Reader>]) -> bool {
        let awake = || readers.iter().filter(|reader| !reader.shared.paused());
        awake().next().is_some() && awake().all(|reader| reader.shared.is_gated())
    }

    /// Hands `frame` to `readers`, each of which takes it. Gives a frame to fill next.
    pub(super) fn hand(&self, frame: Frame, readers: &[Arc<Reader>]) -> Frame {
        if readers.is_empty() {
            return frame;
        }
        let colour = readers.iter().any(|reader| reader.shared.colour.load(Ordering::Relaxed));
        let frame = self.pool.share(frame, colour);
        for reader in readers {
            let counters = &reader.shared.counters;
            let overwritten = reader.shared.slot.put(frame.clone());
            counters.overwritten.record(overwritten);
            if overwritten {
                counters.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        drop(frame);
        self.pool.take()
    }

    /// A panic elsewhere leaves the state whole: each part is replaced in one step.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    /// True if the interval is over for a frame that was captured at `captured`, which then starts the next interval.
    pub(super) fn admits(&self, captured: Instant) -> bool {
        let interval = self.shared.assignment().setpoint.interval;
        if let Some(light) = self.shared.light.get() {
            return light.admits(captured, interval);
        }
        if self.shared.take_wish() {
            self.pace.lock().unwrap_or_else(PoisonError::into_inner).due = None;
        }
        self.pace.lock().unwrap_or_else(PoisonError::into_inner).admits(captured, interval)
    }

    /// Time from `now` until its interval is over.
    pub(super) fn due_in(&self, now: Instant) -> Duration {
        if self.shared.light.get().is_some() {
            return Duration::ZERO;
        }
        let due = self.pace.lock().unwrap_or_else(PoisonError::into_inner).due;
        due.map_or(Duration::ZERO, |due| due.saturating_duration_since(now))
    }
}
