//! Pictures that were asked for by `snapshot`, from the request to the answer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::response::Ticket;
use crate::frame::rfc3339;
use crate::pipeline::Feed;
use crate::publish::topics::Topics;
use crate::publish::{Class, Message, Publisher};
use crate::runtime::running::Running;
use crate::runtime::set::PipelineSet;
use crate::runtime::snapshot_requests::{Picture, SnapshotRequests, Taken};
use crate::source::Frames;

/// Requests that wait for their picture; more are refused.
const MOST: usize = 8;

/// A frame is waited for as long as this, and two of the pipeline's intervals.
const WITHIN: Duration = Duration::from_secs(10);

/// Bytes of a packet beside topic and payload.
const PACKET_BYTES: usize = 16;

/// Requests that wait for their picture.
pub(super) struct Pictures {
    requests: SnapshotRequests,
    waiting: Vec<Waiting>,
}

struct Waiting {
    ticket: Ticket,
    pipeline: Arc<str>,
    until: Instant,
}

impl Pictures {
    /// Pictures that `requests` takes.
    pub(super) fn new(requests: SnapshotRequests) -> Pictures {
        Pictures { requests, waiting: Vec::new() }
    }

    /// The sink that takes them.
    pub(super) fn sink(&self) -> SnapshotRequests {
        self.requests.clone()
    }

    /// Asks for the next picture of `pipeline`.
    pub(super) fn ask(
        &mut self,
        set: &PipelineSet,
        pipeline: &Arc<str>,
        ticket: &Ticket,
        now: Instant,
    ) -> Result<(), String> {
        let running = set.iter().find(|running| running.config.name == **pipeline);
        let running = running.ok_or_else(|| format!("pipeline {pipeline:?} does not run now"))?;
        if !gives_pictures(running) {
            return Err(format!("pipeline {pipeline:?} reads numbers, not pictures"));
        }
        if running.shared.paused() {
            return Err(format!("pipeline {pipeline:?} is paused: no picture comes"));
        }
        if self.waiting.len() >= MOST {
            return Err(format!("{MOST} pictures are waited for already"));
        }
        let assignment = running.shared.assignment();
        let interval = assignment.setpoint.interval.max(assignment.frame_interval);
        self.requests.ask(pipeline, running.config.preprocess.regions.iter().map(|region| region.corners()).collect());
        let until = now + WITHIN + 2 * interval;
        self.waiting.push(Waiting { ticket: ticket.clone(), pipeline: pipeline.clone(), until });
        Ok(())
    }

    /// Publishes the pictures that are there; the requests that are over, each with its result.
    pub(super) fn settle(
        &mut self,
        topics: &Topics,
        publisher: &dyn Publisher,
        most_bytes: usize,
        now: Instant,
    ) -> Vec<(Ticket, Result<Value, String>)> {
        if self.waiting.is_empty() {
            return Vec::new();
        }
        let publish = |(pipeline, taken): (String, Taken)| {
            let topic = topics.snapshot(&pipeline);
            (
                pipeline,
                taken.map_err(|error| error.to_string()).and_then(|picture| put(picture, topic, publisher, most_bytes)),
            )
        };
        let taken: BTreeMap<String, Result<Value, String>> = self.requests.take().into_iter().map(publish).collect();
        let (mut over, mut waiting) = (Vec::new(), Vec::new());
        for one in std::mem::take(&mut self.waiting) {
            match taken.get(&*one.pipeline) {
                Some(result) => over.push((one.ticket, result.clone())),
                None if now >= one.until => {
                    self.requests.forget(&one.pipeline);
                    over.push((one.ticket, Err(format!("no result of pipeline {:?} came in time", one.pipeline))));
                }
                None => waiting.push(one),
            }
        }
        self.waiting = waiting;
        over
    }
}

/// Publishes a picture; the data of its answer.
fn put(picture: Picture, topic: String, publisher: &dyn Publisher, most_bytes: usize) -> Result<Value, String> {
    let Picture { jpeg, seq, time, size: [width, height] } = picture;
    let bytes = jpeg.len();
    if bytes + topic.len() + PACKET_BYTES > most_bytes {
        return Err(format!(
            "the picture has {bytes} bytes, more than a packet (mqtt.max_packet_bytes = {most_bytes})"
        ));
    }
    let data = json!({
        "topic": topic, "bytes": bytes, "width": width, "height": height, "seq": seq, "time": rfc3339(time),
    });
    publisher.publish(Message { topic, payload: jpeg, class: Class::Picture, timing: None });
    Ok(data)
}

fn gives_pictures(running: &Running) -> bool {
    match &running.feed {
        Feed::Crops { .. } => true,
        Feed::Source { source, .. } => matches!(source.kind().frames(), Frames::Pictures { .. }),
    }
}
