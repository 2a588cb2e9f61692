//! The inference thread of one pipeline: newest frame → preprocess → model → task → message.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};

use super::capture::LOG_EVERY;
use super::gather::Patience;
use super::pipeline::Shared;
use super::readings::Place;
use super::slot::Taken;
use super::stages::Stages;
use super::summary::Said;
use crate::frame::{Event, Frame, Outcome, rfc3339};
use crate::publish::payload::{self, InferenceResult, PipelineState};
use crate::publish::topics::Topics;
use crate::publish::{Class, Message, Origin, Publisher};
use crate::task::TaskOutput;
use crate::telemetry::{Heart, RateLimited, mark_of};

/// One frame through preprocess, model and task takes no longer than this on the slowest board with the largest model;
/// beyond it the thread is taken for hung.
pub(super) const FRAME_WITHIN: Duration = Duration::from_secs(30);

/// How often an idle worker looks whether it has been told to stop.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The time of an inference is expected to be that of the latest, if there are this many in this time.
const LEAST_TIMES: usize = 3;
const JUDGED_BY: Duration = Duration::from_secs(60);

/// A worker with its stages and its way out.
pub(super) struct Worker {
    shared: Arc<Shared>,
    stages: Stages,
    publisher: Arc<dyn Publisher>,
    topics: WorkerTopics,
    results: bool,
    /// Where what the task knows of a meter is kept.
    place: Option<Place>,
    said: Said,
    log: RateLimited,
    started: Instant,
    /// The rung whose plan runs.
    rung: usize,
    /// What is known of the frames that are gathered in the model's input; no more than the batch, which runs when it is full.
    gathered: Vec<Meta>,
    /// What it took to put them there.
    prepared: Duration,
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
        place: Option<Place>,
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
            place,
            said: Said::default(),
            log: RateLimited::new(LOG_EVERY),
            started: Instant::now(),
            rung: 0,
            gathered: Vec::new(),
            prepared: Duration::ZERO,
        }
    }

    /// Runs until the slot is closed and empty, or until told to stop. What was gathered is finished in any case.
    pub(super) fn run(mut self, heart: &Heart) {
        let mut frame = Frame::empty();
        loop {
            heart.idle("waiting for a frame");
            let taken = self.shared.slot.take(frame, self.patience(Instant::now()));
            heart.beat(FRAME_WITHIN, Instant::now());
            match taken {
                Taken::Closed => break,
                Taken::Nothing(unused) => {
                    frame = unused;
                    self.swap_stages();
                }
                Taken::Frame(taken) => {
                    frame = taken;
                    self.swap_stages();
                    let turn = self.shared.turn.clone();
                    let _until_its_result = turn.work();
                    self.work(&mut frame);
                }
            }
            if !self.gathered.is_empty() && (self.shared.paused() || self.patience(Instant::now()).is_zero()) {
                let turn = self.shared.turn.clone();
                let _until_its_results = turn.work();
                self.infer();
            }
            // Also where frames come that give no result.
            let ended = self.stages.idle(self.started.elapsed());
            self.send_events(&ended);
            if self.shared.stopping() {
                break;
            }
            for (kind, suppressed) in self.log.settle(Instant::now()) {
                tracing::warn!(pipeline = self.shared.name, kind, suppressed, "more of the same");
            }
        }
        // Where windows are gathered none is lost, also not the one that came during the last inference.
        if self.stages.frames() > 1
            && let Taken::Frame(mut last) = self.shared.slot.take(Frame::empty(), Duration::ZERO)
        {
            self.work(&mut last);
        }
        if !self.gathered.is_empty() {
            self.infer();
        }
        // What has begun is not left open: after a restart it would begin again under another id.
        let ended = self.stages.end();
        self.send_events(&ended);
    }

    /// How long to wait for another frame from `now` on: until what is gathered has to run.
    fn patience(&self, now: Instant) -> Duration {
        let Some(oldest) = self.gathered.first() else { return LOOK_EVERY };
        let ladder = self.shared.ladder();
        let measured = self.shared.counters.recent_infer.p95(JUDGED_BY, LEAST_TIMES, now);
        let calibrated = || {
            let ms = ladder.rungs.get(self.rung).map_or(0.0, |rung| rung.cost.infer_ms);
            Duration::from_secs_f32((ms / 1e3).clamp(0.0, FRAME_WITHIN.as_secs_f32()))
        };
        let patience = Patience {
            deadline: ladder.deadline,
            infer: measured.unwrap_or_else(calibrated),
            interval: self.shared.setpoint().interval.max(ladder.frame_interval),
            batch: self.stages.frames(),
        };
        patience.until(oldest.captured).saturating_duration_since(now).min(LOOK_EVERY)
    }

    /// A frame boundary: a plan that was compiled for a new setpoint takes over. What was gathered for the old one is run
    /// first, so that no window is lost.
    fn swap_stages(&mut self) {
        if let Some(stages) = self.shared.plans.take_next() {
            if !self.gathered.is_empty() {
                self.infer();
            }
            self.shared.plans.keep(self.stages.replace_with(stages));
            self.shared.restart(Instant::now());
        }
        if self.shared.plans.settled() {
            self.rung = self.shared.setpoint().rung;
        }
    }

    /// One frame: into the model's input, and once the batch is full through the model.
    fn work(&mut self, frame: &mut Frame) {
        let start = Instant::now();
        let prepared = self.stages.prepare(frame, self.gathered.len());
        self.prepared += start.elapsed();
        if let Err(error) = prepared {
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
        let ran = self.stages.infer_captured(self.gathered.first().map_or_else(Instant::now, |oldest| oldest.captured));
        let gathered = std::mem::take(&mut self.gathered);
        let prepared = std::mem::take(&mut self.prepared);
        // Frames of a plan that is about to go say nothing of the setpoint that waits for its own.
        let counts = self.shared.plans.settled();
        match ran {
            Err(error) => {
                if let Some(first) = gathered.first() {
                    self.fail("model", &first.origin, first.seq, &error);
                }
            }
            Ok(infer) => {
                self.shared.counters.infer.record(infer);
                if counts {
                    self.shared.counters.recent_infer.record(prepared + infer, Instant::now());
                }
                for (index, meta) in gathered.iter().enumerate() {
                    let now = meta.captured.saturating_duration_since(self.started);
                    match self.stages.interpret(index, now, meta.time) {
                        Ok(output) => self.tell(meta, output, infer, counts),
                        Err(error) => self.fail("task", &meta.origin, meta.seq, &error),
                    }
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

    /// Publishes the result, its events, and the pipeline's state when it changed. `counts`: it is by the plan that is wanted.
    fn tell(&mut self, meta: &Meta, output: TaskOutput, infer: Duration, counts: bool) {
        if let Some(place) = &self.place
            && let Some(memory) = self.stages.memory()
        {
            place.keep(memory);
        }
        let counters = &self.shared.counters;
        let first = counters.inferences.fetch_add(1, Relaxed) == 0;
        if let Some(truth) = &meta.truth {
            self.shared.truth.count(truth, &output.outcome);
        }
        self.send_events(&output.events);
        let now = Instant::now();
        if let Some(summary) = self.said.update(&output.outcome, now) {
            let state = PipelineState { seq: meta.seq, time: rfc3339(meta.time), summary };
            self.send(&self.topics.state, payload::json(&state), Class::State, None);
        }
        if self.results {
            self.publish_result(meta, &output.outcome, infer, now);
        }
        if first {
            mark_of("first result", &self.shared.name);
        }
        let handed = Instant::now();
        let latency = handed.saturating_duration_since(meta.captured);
        counters.latency.record(latency);
        if counts {
            counters.recent.record(latency, handed);
            self.shared.worked_on(meta.captured);
        }
    }

    fn send_events(&self, events: &[Event]) {
        for event in events {
            tracing::debug!(pipeline = self.shared.name, kind = ?event.kind, label = event.label, "event");
            self.send(&self.topics.event, payload::event(event), Class::Event, None);
        }
    }

    fn publish_result(&self, meta: &Meta, outcome: &Outcome, infer: Duration, now: Instant) {
        let result = InferenceResult {
            seq: meta.seq,
            time: rfc3339(meta.time),
            frame_age_ms: payload::ms(now.saturating_duration_since(meta.captured)),
            infer_ms: payload::ms(infer),
            rung: self.rung,
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
