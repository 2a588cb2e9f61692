//! Statuses, outputs and a daemon for tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::backend::{Backend, Layout, Photo, Reference};
use crate::draw::Canvas;
use crate::frame::status::{
    About, Board, Counts, Forecast, Governor, Node, NodeStatus, Percentiles, Pipeline, Publisher, Rung, Source, Subject,
};
use crate::frame::{Event, Frame, FramePool, NodeName, Outcome, Output, PipelineName, SourceName, Stamp, Timing};

pub fn name(text: &str) -> PipelineName {
    PipelineName::new(text).unwrap()
}

/// A daemon whose pipeline `meter` gives grey pictures.
pub struct Fake;

impl Backend for Fake {
    fn status(&self, status: &NodeStatus, fps: &BTreeMap<PipelineName, f32>) -> Value {
        json!({ "health": { "uptime_s": status.node.uptime.as_secs() }, "fps": fps.len() })
    }

    fn result(&self, output: &Output) -> Value {
        json!({ "seq": output.stamp.seq })
    }

    fn event(&self, _: &PipelineName, event: &Event) -> Value {
        json!({ "id": event.id })
    }

    fn picture(&self, _: &Output) -> Result<(Canvas, [u32; 2]), String> {
        Ok((Canvas::new([1920, 1080], vec![99; 1920 * 1080 * 3]), [1920, 1080]))
    }

    fn layout(&self, pipeline: &str) -> Option<Layout> {
        (pipeline == "meter").then(|| Layout { pictures: true, ..Layout::default() })
    }

    fn models(&self) -> Value {
        Value::Null
    }

    fn findings(&self) -> Result<Value, String> {
        Err("none".into())
    }

    fn configuration(&self) -> Value {
        Value::Null
    }

    fn log(&self) -> Vec<String> {
        Vec::new()
    }

    fn drawings(&self) -> Value {
        Value::Null
    }

    fn look_now(&self, _: &str) {}

    fn photo_of(&self, _: &Output) -> Result<Photo, String> {
        Err("none".into())
    }

    fn photo(&self, _: Vec<u8>) -> Result<Photo, String> {
        Err("none".into())
    }

    fn reference(&self, _: &str) -> Result<Vec<u8>, String> {
        Err("none".into())
    }

    fn read(&self, _: &Photo, _: Value) -> Result<Value, String> {
        Err("none".into())
    }

    fn propose(&self, _: &Photo) -> Result<Value, String> {
        Err("none".into())
    }

    fn difference(&self, _: Vec<(String, Value)>, _: Option<Reference<'_>>) -> Result<Value, String> {
        Err("none".into())
    }

    fn change(
        &self,
        _: Vec<(String, Value)>,
        _: Option<Reference<'_>>,
    ) -> Result<oneshot::Receiver<Result<Value, String>>, String> {
        Err("none".into())
    }
}

/// A status of the pipeline `meter` after `inferences`, made at `at`.
pub fn status(inferences: u64, at: Instant) -> Arc<NodeStatus> {
    let pipeline = Pipeline {
        name: name("meter"),
        counts: Counts { frames: 100, inferences, dropped: 3, steps_down: 2, ..Counts::default() },
        latency_ms: Percentiles { p50: 10.0, p95: 20.0, p99: 30.0 },
        infer_ms: Percentiles::default(),
        recent_p95_ms: Some(21.0),
        rung: Rung {
            rung: 1,
            of: 4,
            reason: "76.9 °C".into(),
            since: SystemTime::UNIX_EPOCH,
            interval: Duration::from_millis(200),
            capture: None,
            resolution: None,
            batch: 1,
            model: "digits".into(),
            threads: 1,
            paused: false,
        },
        idle: None,
        motion: None,
        paused: false,
        about: Arc::new(About::plain(Subject::Class)),
    };
    Arc::new(NodeStatus {
        at,
        every: Duration::from_millis(500),
        node: Node {
            name: NodeName::new("attic").unwrap(),
            version: "0.1.0",
            board: "a \"board\"".into(),
            config_digest: "".into(),
            revision: 1,
            uptime: Duration::from_secs(61),
        },
        board: Board { rss_bytes: 50_000_000, soc_celsius: Some(61.5), throttled: Some(false), ..Board::default() },
        governor: Governor {
            mode: "auto".into(),
            state: "reduced".into(),
            forecast: Some(Forecast {
                soc_celsius: 61.0,
                in_30s_celsius: 62.0,
                steady_celsius: 70.0,
                limit_celsius: 75.0,
            }),
            ..Governor::default()
        },
        sources: [(SourceName::new("meter").unwrap(), Source { frames: 100, decoded: 90, readers: 1 })].into(),
        pipelines: vec![pipeline],
        models: Arc::new([]),
        publisher: Publisher { connected: true, ..Publisher::default() },
        faults: Vec::new(),
        fleet: None,
        totals: None,
    })
}

/// A result of `pipeline` that reads 42, with its frame where `framed`.
pub fn output(pipeline: &str, seq: u64, framed: bool) -> Arc<Output> {
    let stamp = Stamp {
        seq,
        captured: Instant::now(),
        time: SystemTime::UNIX_EPOCH,
        truth: None,
        origin: String::new(),
        parent: None,
    };
    let outcome = Outcome::Classify { label: "00042".into(), score: 0.5, top: Vec::new(), unreadable: None };
    let events = vec![Event::begin(format!("{pipeline}-{seq}"), "00042", 0.75, SystemTime::UNIX_EPOCH)];
    let frame = framed.then(|| Arc::new(FramePool::default()).share(Frame::empty(), true));
    Arc::new(Output { pipeline: name(pipeline), stamp, frame, outcome, events, timing: Timing::default() })
}
