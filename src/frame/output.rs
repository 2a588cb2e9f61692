//! Emissions: results, events and the node's status as values, free of topics and formats.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::status::NodeStatus;
use super::{Event, Frame, NodeName, Outcome, Parent, PipelineName, SharedFrame};

/// Time and place of capture of an [`Output`]'s frame.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// The frame's number in its source, from 1.
    pub seq: u64,
    /// Capture time on the monotonic clock; latencies are measured from here.
    pub captured: Instant,
    /// Capture time on the wall clock; this one is published.
    pub time: SystemTime,
    /// The right answer, where the source knows it.
    pub truth: Option<String>,
    /// File, device or topic.
    pub origin: String,
    /// The detection that the picture was cut around, where it was.
    pub parent: Option<Parent>,
}

impl Stamp {
    /// The stamp of `frame`.
    pub fn of(frame: &Frame) -> Stamp {
        Stamp {
            seq: frame.seq,
            captured: frame.captured,
            time: frame.time,
            truth: frame.truth.clone(),
            origin: frame.origin.clone(),
            parent: frame.parent.clone(),
        }
    }
}

/// Cost and rung of an inference.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Timing {
    /// Time in the model alone; of a run that pipelines share, this one's part.
    pub infer: Duration,
    /// The rung it ran on, 0 = full work.
    pub rung: usize,
    /// The node that computed it; `None` = this one.
    pub computed_by: Option<NodeName>,
}

/// One result of one pipeline.
#[derive(Clone, Debug)]
pub struct Output {
    /// The pipeline's name.
    pub pipeline: PipelineName,
    /// The frame's stamp.
    pub stamp: Stamp,
    /// The frame itself, where a sink [wants](Sink::wants_frames) it. Its buffers are recycled once the last holder drops it.
    pub frame: Option<Arc<SharedFrame>>,
    /// The task's reading of the model's output.
    pub outcome: Outcome,
    /// Changes that begin or end with this frame.
    pub events: Vec<Event>,
    /// Cost and rung.
    pub timing: Timing,
}

/// A value on the bus to the sinks.
#[derive(Clone, Debug)]
pub enum Emission {
    /// A result.
    Output(Arc<Output>),
    /// Events that end without a frame: nothing has been seen for long, or the pipeline stops.
    Events {
        /// The pipeline's name.
        pipeline: PipelineName,
        /// The events, never empty.
        events: Vec<Event>,
    },
    /// A pipeline that is gone from the configuration: sinks forget it.
    Removed(PipelineName),
    /// The state of the node, once on each turn of its control loop.
    Status(Arc<NodeStatus>),
    /// The last state of the node, after every pipeline and the connection have stopped. Others follow only where a change of the
    /// connection starts everything again.
    Stopped(Arc<NodeStatus>),
}

/// Takes emissions: the broker, a terminal, a page, another pipeline.
///
/// [`Sink::take`] is called on the thread that made the emission. It must return at once: a sink that cannot keep up drops by a
/// rule of its own and counts what it drops.
pub trait Sink: Send + Sync {
    /// Takes one emission, or ignores it.
    fn take(&self, emission: &Emission);

    /// True where outputs of `pipeline` are to carry their frame. A sink that holds a frame for long costs one more buffer.
    fn wants_frames(&self, pipeline: &str) -> bool {
        let _ = pipeline;
        false
    }
}

/// Every sink of a process, in the order in which they were added.
#[derive(Clone, Default)]
pub struct Bus {
    sinks: Arc<[Arc<dyn Sink>]>,
}

impl Bus {
    /// A bus to `sinks`.
    pub fn new(sinks: Vec<Arc<dyn Sink>>) -> Bus {
        Bus { sinks: sinks.into() }
    }

    /// Hands `emission` to every sink.
    pub fn emit(&self, emission: &Emission) {
        self.sinks.iter().for_each(|sink| sink.take(emission));
    }

    /// True where a sink wants the frames of `pipeline`.
    pub fn wants_frames(&self, pipeline: &str) -> bool {
        self.sinks.iter().any(|sink| sink.wants_frames(pipeline))
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bus({} sinks)", self.sinks.len())
    }
}
