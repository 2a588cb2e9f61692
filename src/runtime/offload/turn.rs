//! The frame of a pipeline whose turn it is, wherever it was looked at.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::frame::{NodeName, SharedFrame, Stamp};
use crate::task::TaskOutput;

/// A frame that has been looked at.
pub(in crate::runtime) struct Looked {
    /// Time and place of its capture.
    pub(in crate::runtime) stamp: Stamp,
    /// The frame itself, where a sink wants it.
    pub(in crate::runtime) frame: Option<Arc<SharedFrame>>,
    /// All that it shows by itself.
    pub(in crate::runtime) output: TaskOutput,
    /// Time in the model.
    pub(in crate::runtime) infer: Duration,
    /// The node that looked; `None` = this one.
    pub(in crate::runtime) node: Option<NodeName>,
    /// It counts for the load of the present setpoint.
    pub(in crate::runtime) counts: bool,
}

/// The frame whose turn it is.
#[cfg_attr(not(feature = "fleet"), expect(dead_code, reason = "nothing is given away in this build"))]
pub(in crate::runtime) enum Next {
    /// It has been looked at.
    Looked(Box<Looked>),
    /// Nothing has moved since the one before; it was captured then.
    Still(Instant, SystemTime),
    /// No answer came in time: it is to be looked at here; `true` where a sink wants the frame.
    Here(Arc<SharedFrame>, bool),
    /// No answer came in time, and it is too old by now.
    Lost,
    /// Nothing before this time; `None` = there is no frame.
    Wait(Option<Instant>),
}
