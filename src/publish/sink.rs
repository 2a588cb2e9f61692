//! The sink that makes messages of what pipelines emit: results, states, events.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::payload::{self, InferenceResult, PipelineState};
use super::throttle::SummaryThrottle;
use super::topics::Topics;
use super::{Class, Message, Publisher, Timing};
use crate::frame::{Emission, Event, Output, PipelineName, Sink, rfc3339};

/// Publishes emissions under the topics of one node. Never blocks: the [`Publisher`] drops by its own rules and counts.
pub struct MqttSink {
    publisher: Arc<dyn Publisher>,
    topics: Topics,
    /// Publish each inference; states and events are published anyway.
    results: bool,
    pipelines: Mutex<HashMap<PipelineName, Pipeline>>,
}

/// A pipeline's topics, rendered once, and its last state.
struct Pipeline {
    result: String,
    event: String,
    state: String,
    throttle: SummaryThrottle,
}

impl MqttSink {
    /// A sink that publishes under `topics`; with `results` each inference too.
    pub fn new(publisher: Arc<dyn Publisher>, topics: Topics, results: bool) -> MqttSink {
        MqttSink { publisher, topics, results, pipelines: Mutex::default() }
    }

    fn output(&self, output: &Output) {
        let now = Instant::now();
        self.with(&output.pipeline, |pipeline| {
            self.events(pipeline, &output.events);
            if let Some(summary) = pipeline.throttle.update(&output.outcome, now) {
                let state = PipelineState { seq: output.stamp.seq, time: rfc3339(output.stamp.time), summary };
                self.send(&pipeline.state, payload::json(&state), Class::State, None);
            }
            if self.results {
                let timing = Timing { captured: output.stamp.captured, infer: output.timing.infer };
                let result = payload::json(&InferenceResult::of(output, now));
                self.send(&pipeline.result, result, Class::Result, Some(timing));
            }
        });
    }

    fn events(&self, pipeline: &Pipeline, events: &[Event]) {
        for event in events {
            self.send(&pipeline.event, payload::event(event), Class::Event, None);
        }
    }

    fn with(&self, name: &PipelineName, tell: impl FnOnce(&mut Pipeline)) {
        let mut pipelines = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        if !pipelines.contains_key(name) {
            let pipeline = Pipeline {
                result: self.topics.result(name),
                event: self.topics.event(name),
                state: self.topics.pipeline_state(name),
                throttle: SummaryThrottle::default(),
            };
            pipelines.insert(name.clone(), pipeline);
        }
        if let Some(pipeline) = pipelines.get_mut(name) {
            tell(pipeline);
        }
    }

    fn send(&self, topic: &str, payload: Vec<u8>, class: Class, timing: Option<Timing>) {
        self.publisher.publish(Message { topic: topic.into(), payload, class, timing });
    }
}

impl Sink for MqttSink {
    fn take(&self, emission: &Emission) {
        match emission {
            Emission::Output(output) => self.output(output),
            Emission::Events { pipeline, events } => self.with(pipeline, |pipeline| self.events(pipeline, events)),
            Emission::Removed(pipeline) => {
                self.pipelines.lock().unwrap_or_else(PoisonError::into_inner).remove(pipeline);
                // An empty retained message takes the state away from the broker.
                self.send(&self.topics.pipeline_state(pipeline), Vec::new(), Class::State, None);
            }
        }
    }
}
