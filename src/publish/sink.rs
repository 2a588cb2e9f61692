//! The sink that makes messages of emissions: results, states, events, and the node's own topics.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::payload::{self, EventMessage, Governor, Health, InferenceResult, Info, PipelineState};
use super::throttle::{StatusThrottle, SummaryThrottle};
use super::topics::Topics;
use super::{Class, Message, Publisher, Timing};
use crate::frame::status::NodeStatus;
use crate::frame::{Emission, Event, Output, PipelineName, Sink, rfc3339};

/// Publishes emissions under the topics of one node. Never blocks: the [`Publisher`] drops by its own rules and counts.
pub struct MqttSink {
    publisher: Arc<dyn Publisher>,
    topics: Topics,
    settings: Settings,
    pipelines: Mutex<HashMap<PipelineName, Pipeline>>,
    /// Events of pipelines that were removed, by name: one of the same name goes on counting. As many as the configuration ever named.
    removed: Mutex<HashMap<PipelineName, u64>>,
    /// Differs for each sink.
    run: String,
    node: Mutex<StatusThrottle>,
}

/// Settings of an [`MqttSink`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// Publish each inference; states and events are published anyway.
    pub results: bool,
    /// Time between two `health` messages without a change.
    pub health_every: Duration,
}

/// A pipeline's topics, rendered once, and its last state.
struct Pipeline {
    result: String,
    event: String,
    state: String,
    /// Event messages so far.
    events: u64,
    throttle: SummaryThrottle,
}

impl MqttSink {
    /// A sink that publishes under `topics`.
    pub fn new(publisher: Arc<dyn Publisher>, topics: Topics, settings: Settings) -> MqttSink {
        let node = Mutex::new(StatusThrottle::new(settings.health_every));
        let run = run_id();
        MqttSink { publisher, topics, settings, pipelines: Mutex::default(), removed: Mutex::default(), run, node }
    }

    /// Changes the time between two `health` messages without a change.
    pub fn set_health_interval(&self, every: Duration) {
        self.node.lock().unwrap_or_else(PoisonError::into_inner).set_interval(every);
    }

    fn output(&self, output: &Output) {
        let now = Instant::now();
        self.with(&output.pipeline, |pipeline| {
            self.events(pipeline, &output.events);
            if let Some(summary) = pipeline.throttle.update(&output.outcome, now) {
                let state = PipelineState { seq: output.stamp.seq, time: rfc3339(output.stamp.time), summary };
                self.send(&pipeline.state, payload::json(&state), Class::State, None);
            }
            if self.settings.results {
                let timing = Timing { captured: output.stamp.captured, infer: output.timing.infer };
                let result = payload::json(&InferenceResult::of(output, now));
                self.send(&pipeline.result, result, Class::Result, Some(timing));
            }
        });
    }

    fn events(&self, pipeline: &mut Pipeline, events: &[Event]) {
        for event in events {
            pipeline.events += 1;
            let message = EventMessage { event, seq: pipeline.events, run: &self.run };
            self.send(&pipeline.event, payload::json(&message), Class::Event, None);
        }
    }

    fn with(&self, name: &PipelineName, tell: impl FnOnce(&mut Pipeline)) {
        let mut pipelines = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        if !pipelines.contains_key(name) {
            let pipeline = Pipeline {
                result: self.topics.result(name),
                event: self.topics.event(name),
                state: self.topics.pipeline_state(name),
                events: self.removed.lock().unwrap_or_else(PoisonError::into_inner).remove(name).unwrap_or(0),
                throttle: SummaryThrottle::default(),
            };
            pipelines.insert(name.clone(), pipeline);
        }
        if let Some(pipeline) = pipelines.get_mut(name) {
            tell(pipeline);
        }
    }

    fn status(&self, status: &Arc<NodeStatus>) {
        let due = self.node.lock().unwrap_or_else(PoisonError::into_inner).update(status);
        let state = |topic: String, payload| self.send(&topic, payload, Class::State, None);
        if due.info {
            state(self.topics.info(), payload::json(&Info::of(status)));
        }
        if due.governor
            && let Some(governor) = Governor::of(status, status.governor.changed.as_ref())
        {
            state(self.topics.governor(), payload::json(&governor));
        }
        if let Some(fps) = due.health {
            state(self.topics.health(), payload::json(&Health::of(status, &fps)));
        }
    }

    fn send(&self, topic: &str, payload: Vec<u8>, class: Class, timing: Option<Timing>) {
        self.publisher.publish(Message { topic: topic.into(), payload, class, timing });
    }
}

/// Eight random letters and digits: a run's own among all runs of a node.
fn run_id() -> String {
    // Its keys are random for each process and differ from call to call.
    let hash = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id());
    format!("{:08x}", hash as u32)
}

impl Sink for MqttSink {
    fn take(&self, emission: &Emission) {
        match emission {
            Emission::Output(output) => self.output(output),
            Emission::Events { pipeline, events } => self.with(pipeline, |pipeline| self.events(pipeline, events)),
            Emission::Status(status) => self.status(status),
            // The connection has ended by then, and said `offline`.
            Emission::Stopped(_) => {}
            Emission::Removed(pipeline) => {
                let removed = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner).remove(pipeline);
                if let Some(removed) = removed {
                    let mut counts = self.removed.lock().unwrap_or_else(PoisonError::into_inner);
                    counts.insert(pipeline.clone(), removed.events);
                }
                // An empty retained message takes the state away from the broker.
                self.send(&self.topics.pipeline_state(pipeline), Vec::new(), Class::State, None);
            }
        }
    }
}
