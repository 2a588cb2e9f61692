//! The inference thread of one pipeline: newest frame → preprocess → model → task → message.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};

use super::capture::LOG_EVERY;
use super::pipeline::Shared;
use super::slot::Taken;
use super::stages::Stages;
use super::summary::Said;
use crate::frame::{Frame, Outcome, rfc3339};
use crate::publish::payload::{self, InferenceResult, PipelineState};
use crate::publish::topics::Topics;
use crate::publish::{Class, Message, Origin, Publisher};
use crate::task::TaskOutput;
use crate::telemetry::{Heart, RateLimited};

/// One frame through preprocess, model and task takes no longer than this on the slowest board with the largest model;
/// beyond it the thread is taken for hung.
pub(super) const FRAME_WITHIN: Duration = Duration::from_secs(30);

/// How often an idle worker looks whether it has been told to stop.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A worker with its stages and its way out.
pub(super) struct Worker {
    shared: Arc<Shared>,
    stages: Stages,
    publisher: Arc<dyn Publisher>,
    topics: WorkerTopics,
    results: bool,
    said: Said,
    log: RateLimited,
    started: Instant,
    /// What is known of the frames that are gathered in the model's input.
    gathered: Vec<Meta>,
}

/// The pipeline's topics, rendered once.
struct WorkerTopics {
    result: String,
    event: String,
    state: String,
}

/// What a message says about its frame.
struct Meta {
    seq: u64,
    captured: Instant,
    time: SystemTime,
    truth: Option<String>,
    origin: String,
}

impl Worker {
    pub(super) fn new(
        shared: Arc<Shared>,
        stages: Stages,
        publisher: Arc<dyn Publisher>,
        topics: &Topics,
        results: bool,
    ) -> Self {
        let topics = WorkerTopics {
            result: topics.result(&shared.name),
            event: topics.event(&shared.name),
            state: topics.pipeline_state(&shared.name),
        };
        Worker {
            shared,
            stages,
            publisher,
            topics,
            results,
            said: Said::default(),
            log: RateLimited::new(LOG_EVERY),
            started: Instant::now(),
            gathered: Vec::new(),
        }
    }

    /// Runs until the slot is closed and empty.
    pub(super) fn run(mut self, heart: &Heart) {
        let mut frame = Frame::empty();
        loop {
            heart.idle("waiting for a frame");
            match self.shared.slot.take(frame, LOOK_EVERY) {
                Taken::Closed => break,
                Taken::Nothing(unused) => frame = unused,
                Taken::Frame(taken) => {
                    frame = taken;
                    heart.beat(FRAME_WITHIN, Instant::now());
                    self.swap_stages();
                    self.work(&mut frame);
                }
            }
            if self.shared.stopping() {
                break;
            }
            for (kind, suppressed) in self.log.settle(Instant::now()) {
                tracing::warn!(pipeline = self.shared.name, kind, suppressed, "more of the same");
            }
        }
        if !self.gathered.is_empty() && !self.shared.stopping() {
            self.infer();
        }
    }

    /// A frame boundary: a plan that was compiled for a new setpoint takes over. What was gathered for the old one is run
    /// first, so that no window is lost.
    fn swap_stages(&mut self) {
        if let Some(stages) = self.shared.take_next_stages() {
            if !self.gathered.is_empty() {
                self.infer();
            }
            self.stages.replace_with(stages);
        }
    }

    /// One frame: into the model's input, and once the batch is full through the model.
    fn work(&mut self, frame: &mut Frame) {
        if let Err(error) = self.stages.prepare(frame, self.gathered.len()) {
            self.fail("preprocess", &frame.origin, frame.seq, &error);
            return;
        }
        self.gathered.push(Meta {
            seq: frame.seq,
            captured: frame.captured,
            time: frame.time,
            truth: frame.truth.take(),
            origin: frame.origin.clone(),
        });
        if self.gathered.len() >= self.stages.frames() {
            self.infer();
        }
    }

    /// Runs the model over what was gathered and publishes one result for each frame.
    fn infer(&mut self) {
        let start = Instant::now();
        let ran = self.stages.infer();
        let infer = start.elapsed();
        let gathered = std::mem::take(&mut self.gathered);
        if let Err(error) = ran {
            if let Some(first) = gathered.first() {
                self.fail("model", &first.origin, first.seq, &error);
            }
        } else {
            self.shared.counters.infer.record(infer);
            for (index, meta) in gathered.iter().enumerate() {
                match self.stages.interpret(index, meta.captured.saturating_duration_since(self.started), meta.time) {
                    Ok(output) => self.tell(meta, output, infer),
                    Err(error) => self.fail("task", &meta.origin, meta.seq, &error),
                }
            }
        }
        self.gathered = gathered;
        self.gathered.clear();
    }

    /// Counts and logs what went wrong with one frame; the pipeline goes on.
    fn fail(&mut self, stage: &str, origin: &str, seq: u64, error: &dyn std::fmt::Display) {
        self.shared.counters.errors.fetch_add(1, Relaxed);
        if let Some(suppressed) = self.log.admit(stage, Instant::now()) {
            tracing::warn!(
                pipeline = self.shared.name, stage, origin, seq, %error, suppressed, "no result for this frame"
            );
        }
    }

    /// Publishes the result, its events, and the pipeline's state when it changed.
    fn tell(&mut self, meta: &Meta, output: TaskOutput, infer: Duration) {
        let counters = &self.shared.counters;
        counters.inferences.fetch_add(1, Relaxed);
        if let Some(truth) = &meta.truth {
            self.shared.truth.count(truth, &output.outcome);
        }
        for event in &output.events {
            tracing::debug!(pipeline = self.shared.name, kind = ?event.kind, label = event.label, "event");
            self.send(&self.topics.event, payload::event(event), Class::Event, None);
        }
        let now = Instant::now();
        if let Some(summary) = self.said.update(&output.outcome, now) {
            let state = PipelineState { seq: meta.seq, time: rfc3339(meta.time), summary };
            self.send(&self.topics.state, payload::json(&state), Class::State, None);
        }
        if self.results {
            self.publish_result(meta, &output.outcome, infer, now);
        }
        let handed = Instant::now();
        let latency = handed.saturating_duration_since(meta.captured);
        counters.latency.record(latency);
        counters.recent.record(latency, handed);
    }

    fn publish_result(&self, meta: &Meta, outcome: &Outcome, infer: Duration, now: Instant) {
        let result = InferenceResult {
            seq: meta.seq,
            time: rfc3339(meta.time),
            frame_age_ms: payload::ms(now.saturating_duration_since(meta.captured)),
            infer_ms: payload::ms(infer),
            rung: self.shared.setpoint().rung,
            outcome,
            truth: meta.truth.as_deref(),
            origin: &meta.origin,
        };
        let origin = Origin { captured: meta.captured, infer };
        self.send(&self.topics.result, payload::json(&result), Class::Result, Some(origin));
    }

    fn send(&self, topic: &str, payload: Vec<u8>, class: Class, origin: Option<Origin>) {
        self.publisher.publish(Message { topic: topic.into(), payload, class, origin });
    }
}
