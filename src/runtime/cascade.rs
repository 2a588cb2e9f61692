//! Pipelines that read another pipeline: its detections on their way there, and what comes back about them.
//!
//! [`Cascades`] is a sink: for each output of a pipeline that others read it leaves a [`Job`] in the [`JobQueue`] of each of them, over
//! one that was not taken (newest wins, and the crops that are lost are counted). A pipeline is never held up by those that read
//! it, except where its own source can wait and loses nothing. Results about a detection are kept as [`Attribute`]s of the object that is
//! followed, for every event about it until it ends.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::state::lock;
use crate::frame::{
    Attribute, Emission, Event, EventKind, Label, Outcome, Output, Parent, PipelineName, SharedFrame, Sink,
};

/// A reader that takes nothing for this long is not waited for until it takes something again.
const STALLED_AFTER: Duration = Duration::from_secs(2);

/// The time between two looks of whoever waits.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Detections of one frame that a pipeline is to look at.
pub(super) struct Job {
    /// The frame that they were found in.
    pub(super) frame: Arc<SharedFrame>,
    /// Size of the picture that their boxes are given in, `[width, height]` in pixels.
    pub(super) full: [u32; 2],
    /// The detections, most confident first: where each comes from, and its box `[x1, y1, x2, y2]`.
    pub(super) crops: Vec<(Parent, [f32; 4])>,
}

/// Outcome of [`JobQueue::take`].
pub(super) enum Taken {
    /// The newest job.
    Job(Job),
    /// Nothing came in time.
    Nothing,
    /// The pipeline above has ended.
    Closed,
}

/// The way from one pipeline to one that reads it: a slot of one job.
pub(super) struct JobQueue {
    /// Labels that are looked at; empty = all.
    labels: Vec<String>,
    /// Crops of one frame at most.
    max: usize,
    state: Mutex<State>,
    changed: Condvar,
    /// Crops that a newer frame replaced before they were cut.
    replaced: AtomicU64,
    stalled: AtomicBool,
}

#[derive(Default)]
struct State {
    job: Option<Job>,
    closed: bool,
}

impl JobQueue {
    fn new(labels: &[String], max: usize) -> JobQueue {
        JobQueue {
            labels: labels.to_vec(),
            max,
            state: Mutex::default(),
            changed: Condvar::new(),
            replaced: AtomicU64::new(0),
            stalled: AtomicBool::new(false),
        }
    }

    /// Crops that a newer frame replaced before they were cut, since the last call.
    pub(super) fn take_replaced(&self) -> u64 {
        self.replaced.swap(0, Relaxed)
    }

    /// Waits up to `timeout` for a job.
    pub(super) fn take(&self, timeout: Duration) -> Taken {
        self.stalled.store(false, Relaxed);
        let state = lock(&self.state);
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, timeout, |s| s.job.is_none() && !s.closed)
            .unwrap_or_else(PoisonError::into_inner);
        let taken = match state.job.take() {
            Some(job) => Taken::Job(job),
            None if state.closed => Taken::Closed,
            None => Taken::Nothing,
        };
        drop(state);
        self.changed.notify_all();
        taken
    }

    fn offer(&self, output: &Output) {
        let (Some(frame), Outcome::Detect { detections, source_width, source_height, .. }) =
            (&output.frame, &output.outcome)
        else {
            return;
        };
        let wanted = |label: &Label| self.labels.is_empty() || self.labels.iter().any(|l| **l == **label);
        let crops: Vec<_> = detections
            .iter()
            .enumerate()
            .filter(|(_, found)| wanted(&found.label))
            .take(self.max)
            .map(|(index, found)| {
                let (pipeline, seq, label) = (output.pipeline.clone(), output.stamp.seq, found.label.clone());
                (Parent { pipeline, seq, index, label, track_id: found.track_id }, found.bbox)
            })
            .collect();
        if crops.is_empty() {
            return;
        }
        let job = Job { frame: frame.clone(), full: [*source_width, *source_height], crops };
        let old = lock(&self.state).job.replace(job);
        if let Some(old) = old {
            self.replaced.fetch_add(old.crops.len() as u64, Relaxed);
        }
        self.changed.notify_all();
    }

    fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }

    /// Waits until the job was taken; gives up when told to `stop`, or on a reader that has stalled.
    fn settle(&self, stop: &dyn Fn() -> bool) {
        let deadline = Instant::now() + STALLED_AFTER;
        let mut state = lock(&self.state);
        while state.job.is_some() && !state.closed && !stop() && !self.stalled.load(Relaxed) {
            if Instant::now() >= deadline {
                self.stalled.store(true, Relaxed);
            }
            state = self.changed.wait_timeout(state, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Objects of one pipeline whose attributes are kept; of more, those that came first are forgotten.
const MAX_OBJECTS: usize = 256;

/// Attributes of the objects of one pipeline.
#[derive(Default)]
struct Attributes {
    /// By the object's number, and the pipeline that gave the latest one.
    known: BTreeMap<u64, BTreeMap<PipelineName, Attribute>>,
    /// Objects of which something else is known than was told.
    news: BTreeSet<u64>,
}

/// Which pipelines read which, and what came of it.
#[derive(Default)]
pub struct Cascades {
    queues: Mutex<HashMap<PipelineName, Vec<Weak<JobQueue>>>>,
    /// By pipeline above.
    attributes: Mutex<HashMap<PipelineName, Attributes>>,
}

impl Cascades {
    /// A queue of `max` detections of `parent` a frame with one of `labels` (none = any); it ends when it is dropped.
    pub(super) fn queue(&self, parent: &PipelineName, labels: &[String], max: usize) -> Arc<JobQueue> {
        let queue = Arc::new(JobQueue::new(labels, max));
        let mut queues = lock(&self.queues);
        let of_parent = queues.entry(parent.clone()).or_default();
        of_parent.retain(|queue| queue.strong_count() > 0);
        of_parent.push(Arc::downgrade(&queue));
        queue
    }

    /// Waits until the pipelines that read `parent` have taken what it gave them, so that nothing is lost where the source can wait.
    pub(super) fn settle(&self, parent: &str, stop: &dyn Fn() -> bool) {
        self.of(parent).iter().for_each(|queue| queue.settle(stop));
    }

    /// No more will come from `parent`: its source has ended or failed.
    pub(super) fn close(&self, parent: &str) {
        self.of(parent).iter().for_each(|queue| queue.close());
    }

    /// Objects of `pipeline` of which others have said something else since the last call.
    pub(super) fn take_news(&self, pipeline: &str) -> BTreeSet<u64> {
        lock(&self.attributes).get_mut(pipeline).map(|of| std::mem::take(&mut of.news)).unwrap_or_default()
    }

    /// Adds to `events` of `pipeline` what others have said of their objects.
    pub(super) fn annotate(&self, pipeline: &str, events: &mut [Event]) {
        if events.is_empty() {
            return;
        }
        let mut attributes = lock(&self.attributes);
        let Some(of_pipeline) = attributes.get_mut(pipeline) else { return };
        for event in events {
            let Some(track) = event.track_id else { continue };
            if event.kind == EventKind::End {
                event.attributes = of_pipeline.known.remove(&track).unwrap_or_default();
                of_pipeline.news.remove(&track);
            } else if let Some(known) = of_pipeline.known.get(&track) {
                event.attributes.clone_from(known);
            }
        }
    }

    fn of(&self, parent: &str) -> Vec<Arc<JobQueue>> {
        let queues = lock(&self.queues);
        queues.get(parent).into_iter().flatten().filter_map(Weak::upgrade).collect()
    }

    fn keep(&self, parent: &Parent, output: &Output) {
        let (Some(attribute), Some(track)) = (Attribute::of(output.stamp.seq, &output.outcome), parent.track_id) else {
            return;
        };
        let mut attributes = lock(&self.attributes);
        let Attributes { known, news } = attributes.entry(parent.pipeline.clone()).or_default();
        let label = attribute.label.clone();
        let before = known.entry(track).or_default().insert(output.pipeline.clone(), attribute);
        if before.is_none_or(|before| before.label != label) {
            news.insert(track);
        }
        while known.len() > MAX_OBJECTS {
            known.pop_first();
        }
        while news.len() > MAX_OBJECTS {
            news.pop_first();
        }
    }
}

impl Sink for Cascades {
    fn take(&self, emission: &Emission) {
        match emission {
            Emission::Output(output) => {
                self.of(&output.pipeline).iter().for_each(|queue| queue.offer(output));
                if let Some(parent) = &output.stamp.parent {
                    self.keep(parent, output);
                }
            }
            Emission::Removed(pipeline) => {
                lock(&self.attributes).remove(pipeline);
            }
            Emission::Events { .. } | Emission::Status(_) | Emission::Stopped(_) => {}
        }
    }

    fn wants_frames(&self, pipeline: &str) -> bool {
        lock(&self.queues).get(pipeline).is_some_and(|queues| queues.iter().any(|queue| queue.strong_count() > 0))
    }
}
