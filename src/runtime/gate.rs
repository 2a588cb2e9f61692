//! The motion gate of one worker: its frames on a coarse grid, its state for those who ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::frame::SharedFrame;
use crate::frame::status::Motion;
use crate::pipeline::motion::{Config, Gate, MotionGate, Reason};
use crate::preprocess::Shrinker;

/// State of a gate, which its worker writes and the capture thread and the control loop read.
#[derive(Debug, Default)]
pub(super) struct GateState {
    closed: AtomicBool,
    closed_frames: AtomicU64,
    openings: AtomicU64,
    looks: AtomicU64,
}

impl GateState {
    /// True while nothing moves.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// State and counts since the start.
    pub(super) fn status(&self) -> Motion {
        Motion {
            open: !self.is_closed(),
            closed_frames: self.closed_frames.load(Relaxed),
            openings: self.openings.load(Relaxed),
            looks: self.looks.load(Relaxed),
        }
    }
}

/// The gate of one worker.
pub(super) struct Gatekeeper {
    gate: MotionGate,
    shrinker: Shrinker,
    state: Arc<GateState>,
    name: String,
    /// The gate is open for another reason than the look that is due.
    open: bool,
}

impl Gatekeeper {
    /// A gate for the pipeline `name`, whose state others see in `state`.
    pub(super) fn new(name: &str, config: &Config, state: Arc<GateState>) -> Gatekeeper {
        Gatekeeper {
            gate: MotionGate::new(config),
            shrinker: Shrinker::default(),
            state,
            name: name.into(),
            open: true,
        }
    }

    /// True if `frame`, captured at `now`, is to be looked at. One that cannot be decoded is: whoever looks at it says why not.
    pub(super) fn admits(&mut self, frame: &SharedFrame, followed: bool, now: Duration) -> bool {
        let gate = self.gate.look(self.shrinker.shrink(frame).ok(), followed, now);
        // A look is no opening: who captures goes on as cheaply as before.
        let open = match gate {
            Gate::Open(Reason::Look) => self.open,
            Gate::Open(_) => true,
            Gate::Closed => false,
        };
        if open != std::mem::replace(&mut self.open, open) {
            tracing::debug!(pipeline = self.name, ?gate, "motion gate");
            self.state.openings.fetch_add(u64::from(open), Relaxed);
            self.state.closed.store(!open, Relaxed);
        }
        match gate {
            Gate::Closed => self.state.closed_frames.fetch_add(1, Relaxed),
            Gate::Open(Reason::Look) => self.state.looks.fetch_add(1, Relaxed),
            Gate::Open(_) => 0,
        };
        matches!(gate, Gate::Open(_))
    }
}
