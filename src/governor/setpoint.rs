//! The governor's output: setpoints, assignments and the changes between them.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

/// The most that one pipeline may ask of the board; decided by the governor, applied by the caller at a frame boundary.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setpoint {
    /// Position on the ladder, 0 = full work.
    pub rung: usize,
    /// Number of rungs.
    pub of: usize,
    /// Least time between two frames that are worked on.
    pub interval: Duration,
    /// Size of the captured picture in pixels of the longer side; `None` = as configured.
    pub capture: Option<u32>,
    /// Model input size in pixels of the longer side; `None` = the model's own.
    pub resolution: Option<u32>,
    /// Items gathered for one inference.
    pub batch: usize,
    /// Index of the model's variant; 0 = the main one.
    pub variant: usize,
    /// Threads of one inference.
    pub threads: usize,
    /// No frame is worked on: even the last rung would be too hot.
    pub paused: bool,
    /// Frames are given to other nodes, and computed here only where those do not take them.
    pub offload: bool,
}

impl Setpoint {
    /// Full work on a ladder of one rung: every frame, the model's own size, one at a time, one thread.
    pub fn full() -> Self {
        Setpoint {
            rung: 0,
            of: 1,
            interval: Duration::ZERO,
            capture: None,
            resolution: None,
            batch: 1,
            variant: 0,
            threads: 1,
            paused: false,
            offload: false,
        }
    }
}

/// The present operating point of one pipeline with the figures that it is judged by. Replaced whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// The operating point.
    pub setpoint: Setpoint,
    /// A result later than this after its frame was captured is late; zero = there is no deadline.
    pub deadline: Duration,
    /// Time between two frames of the source; zero = unknown.
    pub frame_interval: Duration,
    /// Time of one inference that was measured for this rung.
    pub infer: Duration,
    /// The ladder waits for its measurements: latency says nothing yet.
    pub provisional: bool,
}

/// A step on the ladder, with its reason.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Name of the pipeline.
    pub pipeline: Arc<str>,
    /// The setpoint that applies from now on.
    pub setpoint: Setpoint,
    /// For people: `76.9 °C, 78.4 °C in 30 s: above 78.0 °C`.
    pub reason: String,
}
