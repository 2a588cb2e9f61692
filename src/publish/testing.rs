//! Values that tests of formats share.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::frame::status::{
    About, Board, Counts, Governor, Meter, Model, Node, NodeStatus, Percentiles, Pipeline, Publisher, Rung, Subject,
};
use crate::frame::{NodeName, PipelineName};

/// A node with one pipeline, `meter`, that has been up for `uptime` since `started`.
pub(super) fn sample_status(started: Instant, uptime: Duration) -> NodeStatus {
    let name = PipelineName::new("meter").unwrap();
    let rung = Rung {
        rung: 1,
        of: 4,
        reason: "74.8 °C, stepping down at 75.0 °C".into(),
        since: SystemTime::UNIX_EPOCH,
        interval: Duration::from_millis(200),
        capture: None,
        resolution: Some(96),
        batch: 1,
        model: "digits/small".into(),
        threads: 2,
        paused: false,
    };
    let counts = Counts {
        frames: 60,
        inferences: 50,
        dropped: 2,
        steps_up: 2,
        steps_down: 3,
        reduced_ms: 7500,
        ..Counts::default()
    };
    let model = Model {
        pipeline: name.clone(),
        name: "digits".into(),
        version: "1.0.0".into(),
        sha256: "00".into(),
        digest: "11".into(),
        task: "classify".into(),
        engine: "int8",
    };
    NodeStatus {
        at: started + uptime,
        every: Duration::from_millis(500),
        node: Node {
            name: NodeName::new("attic").unwrap(),
            version: "0.1.0",
            board: "a board".into(),
            config_digest: "ff".into(),
            revision: 1,
            uptime,
        },
        board: Board { rss_bytes: 30_000_000, cpu_percent: Some(12.5), throttled: Some(false), ..Board::default() },
        governor: Governor { mode: "auto".into(), state: "reduced".into(), ..Governor::default() },
        sources: Default::default(),
        pipelines: vec![Pipeline {
            name,
            counts,
            latency_ms: Percentiles { p50: 1.0, p95: 2.0, p99: 3.5 },
            infer_ms: Percentiles::default(),
            recent_p95_ms: Some(34.4),
            rung,
            idle: None,
            motion: None,
            paused: false,
            about: Arc::new(About::plain(Subject::Reading(Meter::default()))),
        }],
        models: Arc::new([model]),
        publisher: Publisher {
            connected: true,
            queued: 1,
            published: 20,
            acknowledged: 9,
            dropped: 3,
            ..Publisher::default()
        },
        faults: Vec::new(),
        fleet: None,
        totals: None,
    }
}
