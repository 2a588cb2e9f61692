//! A value of each payload, made by the program's own types with every key that it can have. Structures are written out whole: a new field
//! does not compile until it is here, and then wants to be on the page.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use leptond::frame::status::{
    About, Board, Counts, Fleet, Forecast, Given, Governor, HomeAssistant, Model, Motion, Node, NodeStatus, Outbox,
    OutboxFault, Percentiles, Pipeline, Publisher, Rung, Source, Subject,
};
use leptond::frame::{
    AnomalyChannels, Attribute, ChannelFault, ChannelShare, ClassMap, Crossing, Detection, Direction, Event, EventKind,
    Keypoint, Label, LastGood, LineCount, LineName, MeterProblem, MeterReading, NodeName, Outcome, Output, Parent,
    PipelineName, PlaceRead, PositionRead, Quality, RawOutput, Reading, RegionRead, Scored, Share, SourceName,
    SourceSize, Stamp, TaskKind, TextRead, Timing, Trouble, Unreadable, ZoneName, rfc3339,
};
use leptond::publish::payload::{self, EventMessage, Health, InferenceResult, Info, NodeState, PipelineState, Summary};
use serde::Serialize;
use serde_json::{Value, json};

/// All of them, by the names of the examples.
pub fn all() -> BTreeMap<&'static str, Value> {
    let status = status();
    let fps = BTreeMap::from([(status.pipelines[0].name.clone(), 9.8)]);
    BTreeMap::from([
        ("state.online", value(&NodeState::Online)),
        ("state.offline", value(&NodeState::Offline)),
        ("info", value(&Info::of(&status))),
        ("health", value(&Health::of(&status, &fps))),
        ("governor", value(&payload::Governor::of(&status, None).unwrap())),
        ("result.classify", result(classify("ford"), "ford", true)),
        ("result.unreadable", result(unreadable(), "", false)),
        ("result.reading", result(Outcome::Reading(reading()), "", false)),
        ("result.meter", result(Outcome::Meter(meter_reading()), "", false)),
        ("result.position", result(positions(), "", false)),
        ("result.detect", result(detect(), "", false)),
        ("result.pose", result(objects(TaskKind::Pose, posed()), "", false)),
        ("result.segment", result(objects(TaskKind::Segment, outlined()), "", false)),
        ("result.obb", result(objects(TaskKind::Obb, turned()), "", false)),
        ("result.semantic", result(semantic(), "", false)),
        ("result.text", result(text(None), "", false)),
        ("result.anomaly", result(anomaly(), "", false)),
        ("result.baseline", result(channels(TaskKind::Baseline), "", false)),
        ("result.raw", result(raw(), "", false)),
        ("summary.classify", summary(&classify("ford"))),
        ("summary.reading", summary(&Outcome::Reading(reading()))),
        ("summary.no-reading", summary(&Outcome::Reading(nothing_read()))),
        ("summary.meter", summary(&Outcome::Meter(meter_reading()))),
        ("summary.position", summary(&positions())),
        ("summary.detect", summary(&detect())),
        ("summary.semantic", summary(&semantic())),
        ("summary.text", summary(&text(Some("OPEN 24 H")))),
        ("summary.anomaly", summary(&anomaly())),
        ("summary.threshold", summary(&channels(TaskKind::Threshold))),
        ("summary.raw", summary(&raw())),
        ("event.new", event(&begun())),
        ("event.end", event(&ended())),
        (
            "event.reading",
            resent(&Event { kind: EventKind::Update, ..Event::begin("1-1".into(), "00425", 0.97, at()) }),
        ),
        (
            "event.anomaly",
            event(
                &Event {
                    channels: AnomalyChannels::Shares(shares()),
                    ..Event::begin("1-2".into(), "anomaly", 9.5, at())
                }
                .ended(at()),
            ),
        ),
        (
            "event.channel",
            event(&Event {
                channels: AnomalyChannels::Faults(channel_faults()),
                ..Event::begin("1-3".into(), "anomaly", 0.5, at())
            }),
        ),
        // Made by rooms of their own; `requests_on_the_page_are_obeyed` holds them against a daemon.
        (
            "response.in-force",
            json!({"status": "ok", "transaction": "", "data": {"mode": "", "until": "",
                "pipelines": {"water": {"rung": 0, "of": 1, "paused": false}}}}),
        ),
        ("response.error", json!({"status": "error", "error": "", "transaction": ""})),
    ])
}

fn value(payload: &impl Serialize) -> Value {
    serde_json::from_slice(&payload::json(payload)).unwrap()
}

fn at() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_234_260)
}

fn pipeline() -> PipelineName {
    PipelineName::new("door").unwrap()
}

fn zone() -> ZoneName {
    ZoneName::new("porch").unwrap()
}

fn line() -> LineName {
    LineName::new("gate").unwrap()
}

fn status() -> NodeStatus {
    let rung = Rung {
        rung: 1,
        of: 5,
        reason: "hot".into(),
        since: at(),
        interval: Duration::from_millis(200),
        capture: Some(640),
        resolution: Some(320),
        batch: 1,
        model: "nanodet-plus".into(),
        threads: 3,
        paused: false,
    };
    let forecast = Forecast { soc_celsius: 1.0, in_30s_celsius: 2.0, steady_celsius: 3.0, limit_celsius: 4.0 };
    let model = Model {
        pipeline: pipeline(),
        name: "nanodet-plus".into(),
        version: "1".into(),
        sha256: "00".into(),
        digest: "11".into(),
        task: "detect".into(),
        engine: "int8",
    };
    NodeStatus {
        at: Instant::now(),
        every: Duration::from_secs(1),
        node: Node {
            name: NodeName::new("attic").unwrap(),
            version: "0.1.0",
            board: "a board".into(),
            config_digest: "ff".into(),
            revision: 1,
            uptime: Duration::from_secs(60),
        },
        board: Board {
            rss_bytes: 1,
            cpu_percent: Some(1.0),
            own_cpu_percent: Some(1.0),
            soc_celsius: Some(1.0),
            throttled: Some(false),
            soft_limited: Some(false),
            under_voltage: Some(false),
        },
        governor: Governor {
            mode: "auto".into(),
            state: "reduced".into(),
            forecast: Some(forecast),
            changed: None,
            changes: 1,
        },
        sources: BTreeMap::from([(SourceName::new("camera").unwrap(), Source { frames: 1, decoded: 1, readers: 1 })]),
        pipelines: vec![Pipeline {
            name: pipeline(),
            counts: Counts::default(),
            latency_ms: Percentiles::default(),
            infer_ms: Percentiles::default(),
            recent_p95_ms: None,
            rung,
            idle: Some("paused".into()),
            motion: Some(Motion { open: false, closed_frames: 1, openings: 1, looks: 1 }),
            paused: true,
            about: Arc::new(About::plain(Subject::Raw)),
        }],
        models: Arc::new([model]),
        publisher: Publisher {
            connected: true,
            queued: 0,
            backlog: 0.0,
            published: 0,
            acknowledged: 0,
            dropped: 0,
            outbox: Some(outbox()),
            home_assistant: HomeAssistant::default(),
        },
        faults: Vec::new(),
        fleet: Some(Fleet {
            given: Some(Given {
                connected: true,
                server: Some("2.14.3".into()),
                frames: 1,
                answered: 1,
                by: BTreeMap::from([("cellar".into(), 1)]),
                missed: 1,
                late: 1,
                refused: BTreeMap::from([("failed".into(), 1)]),
                untrusted: 1,
                fault: Some("no server".into()),
            }),
            group: "home".into(),
            connected: true,
            server: Some("2.14.3".into()),
            models: vec!["nanodet-plus".into()],
            unusable: vec!["street: it takes readings".into()],
            done: 1,
            of: BTreeMap::from([("attic".into(), 1)]),
            refused: BTreeMap::from([("picture".into(), 1)]),
            returned: 1,
            busy: 0.5,
            held: Some("busy".into()),
            fault: Some("no server".into()),
        }),
        totals: None,
    }
}

fn outbox() -> Outbox {
    Outbox {
        events_in_memory: 0,
        events_on_disk: 0,
        bytes_on_disk: 0,
        written_bytes_today: 0,
        commit_interval_s: 5,
        recovered: 0,
        expired: 0,
        lost: 0,
        fault: Some(OutboxFault::ReadOnly),
    }
}

/// The result with `outcome`; `origin` is left out where it is empty for a reading, which has none on the page either.
fn result(outcome: Outcome, truth: &str, is_crop: bool) -> Value {
    let has_origin =
        !matches!(&outcome, Outcome::Classify { .. } | Outcome::Reading(_) | Outcome::Meter(_) | Outcome::Raw { .. })
            || is_crop;
    let parent = Parent { pipeline: pipeline(), seq: 1, index: 0, label: "car".into(), track_id: Some(17) };
    let stamp = Stamp {
        seq: 1,
        captured: Instant::now(),
        time: at(),
        truth: (!truth.is_empty()).then(|| truth.to_owned()),
        origin: if has_origin { "/dev/video0".into() } else { String::new() },
        parent: is_crop.then_some(parent),
    };
    let given = matches!(&outcome, Outcome::Detect { task: TaskKind::Detect, .. });
    let computed_by = given.then(|| NodeName::new("cellar").unwrap());
    let timing = Timing { infer: Duration::from_millis(1), rung: 0, computed_by };
    let output = Output { pipeline: pipeline(), stamp, frame: None, outcome, events: Vec::new(), timing };
    value(&InferenceResult::of(&output, Instant::now()))
}

fn summary(outcome: &Outcome) -> Value {
    value(&PipelineState { seq: 1, time: rfc3339(at()), summary: Summary::of(outcome) })
}

fn message(event: &Event) -> Vec<u8> {
    payload::json(&EventMessage { event, seq: 1, run: "8f03c2d1" })
}

fn event(event: &Event) -> Value {
    serde_json::from_slice(&message(event)).unwrap()
}

/// The same where it may have come before.
fn resent(event: &Event) -> Value {
    serde_json::from_slice(&payload::resent(&message(event))).unwrap()
}

fn classify(label: &str) -> Outcome {
    let top = vec![Scored { label: label.into(), score: 0.5 }];
    Outcome::Classify { label: label.into(), score: 0.5, top, unreadable: None }
}

fn unreadable() -> Outcome {
    let cause = Some(Unreadable::OutOfFocus);
    Outcome::Classify { label: String::new(), score: 0.0, top: Vec::new(), unreadable: cause }
}

fn reading() -> Reading {
    Reading {
        label: Some("00425".into()),
        value: Some(425),
        score: 0.0,
        quality: Quality::Unreadable,
        held: true,
        regions: vec![
            RegionRead { label: Some("0".into()), score: 0.5, unreadable: None },
            RegionRead { label: None, score: 0.0, unreadable: Some(Unreadable::LowContrast) },
        ],
        last_good: Some(LastGood { score: 0.5, time: at(), age_s: Some(1.5) }),
    }
}

fn read(position: Option<f32>, unreadable: Option<Unreadable>) -> PositionRead {
    PositionRead { position, score: 0.5, unreadable }
}

fn meter_reading() -> MeterReading {
    MeterReading {
        value: Some(412.3571),
        label: Some("00412.3571".into()),
        unit: Some("m³".into()),
        raw_value: None,
        score: 0.0,
        quality: Quality::Unreadable,
        held: true,
        problem: Some(MeterProblem::Unreadable),
        rate_per_hour: Some(0.42),
        digits: vec![
            PlaceRead { digit: Some(2), read: read(Some(2.04), None) },
            PlaceRead { digit: None, read: read(None, Some(Unreadable::NoDigit)) },
        ],
        dials: vec![PlaceRead { digit: None, read: read(None, Some(Unreadable::LowContrast)) }],
        last_good: Some(LastGood { score: 0.5, time: at(), age_s: Some(1.5) }),
    }
}

fn positions() -> Outcome {
    let positions = vec![read(Some(3.41), None), read(None, Some(Unreadable::NoDigit))];
    Outcome::Position { positions }
}

fn nothing_read() -> Reading {
    Reading {
        label: None,
        value: None,
        score: 0.3,
        quality: Quality::Uncertain,
        held: false,
        regions: Vec::new(),
        last_good: None,
    }
}

/// A detection with every key that those of all tasks have.
fn detection() -> Detection {
    Detection {
        label: "person".into(),
        score: 0.5,
        bbox: [0.0; 4],
        keypoints: Vec::new(),
        polygons: Vec::new(),
        corners: None,
        track_id: Some(17),
        zones: vec![zone()],
        stationary: true,
    }
}

fn posed() -> Detection {
    Detection { keypoints: vec![Keypoint { x: 1.0, y: 2.0, score: 0.5 }], ..detection() }
}

fn outlined() -> Detection {
    Detection { polygons: vec![vec![[1.0, 2.0]]], ..detection() }
}

fn turned() -> Detection {
    Detection { corners: Some([[1.0; 2]; 4]), ..detection() }
}

fn semantic() -> Outcome {
    Outcome::Semantic {
        classes: vec![Share { label: "road".into(), class: 0, share: 0.5 }],
        map: ClassMap { width: 1, height: 1, bbox: [0.0; 4], runs: vec![[0, 1]] },
        source_width: 1280,
        source_height: 720,
    }
}

/// Text that is told as a whole, or not since one of its regions is not.
fn text(whole: Option<&str>) -> Outcome {
    let read = |text: Option<&str>| TextRead { text: text.map(str::to_owned), score: 0.5 };
    let regions = vec![read(Some("OPEN 24 H")), read(None)];
    Outcome::Text { text: whole.map(str::to_owned), score: 0.5, regions }
}

fn detect() -> Outcome {
    objects(TaskKind::Detect, detection())
}

fn objects(task: TaskKind, detection: Detection) -> Outcome {
    let person: Label = "person".into();
    Outcome::Detect {
        task,
        detections: vec![detection],
        counts: BTreeMap::from([(person.clone(), 2)]),
        zones: BTreeMap::from([(zone(), BTreeMap::from([(person.clone(), 1)]))]),
        lines: BTreeMap::from([(line(), BTreeMap::from([(person, LineCount { forward: 1, backward: 2 })]))]),
        source_width: 1280,
        source_height: 720,
    }
}

fn anomaly() -> Outcome {
    Outcome::Anomaly { score: 9.5, threshold: Some(3.0), anomalous: true, calibrating: false, channels: shares() }
}

fn shares() -> Vec<ChannelShare> {
    vec![ChannelShare { channel: "cpu_percent".into(), share: 0.5 }]
}

fn channel_faults() -> Vec<ChannelFault> {
    let (channel, fault) = ("boiler_celsius".to_owned(), Trouble::Spike);
    vec![ChannelFault { channel, fault, distance: 0.5, value: Some(0.5), usual: Some(0.5) }]
}

fn channels(task: TaskKind) -> Outcome {
    let score = (task == TaskKind::Baseline).then_some(0.5);
    Outcome::Channels { task, score, anomalous: true, calibrating: false, channels: channel_faults() }
}

fn raw() -> Outcome {
    let output = RawOutput { name: "embedding".into(), shape: vec![1, 4], values: vec![0.5], truncated: true };
    Outcome::Raw { outputs: vec![output] }
}

fn begun() -> Event {
    Event {
        best_score: Some(0.5),
        bbox: Some([0.0; 4]),
        source_size: Some(SourceSize { width: 1280, height: 720 }),
        track_id: Some(17),
        zones: vec![zone()],
        entered_zones: vec![zone()],
        ..Event::begin("1-17".into(), "person", 0.5, at())
    }
}

/// An event with every key.
fn ended() -> Event {
    let attribute = Attribute { seq: 1, label: Some("B-XY 123".into()), score: 0.5 };
    Event {
        kind: EventKind::End,
        id: "1-17".into(),
        label: "person".into(),
        score: 0.5,
        best_score: Some(0.5),
        bbox: Some([0.0; 4]),
        source_size: Some(SourceSize { width: 1280, height: 720 }),
        track_id: Some(17),
        zones: vec![zone()],
        entered_zones: vec![zone()],
        loitering: vec![zone()],
        crossings: vec![Crossing { line: line(), direction: Direction::Forward, time: at() }],
        stationary: true,
        channels: AnomalyChannels::default(),
        snapshot: true,
        start_time: at(),
        end_time: Some(at()),
        attributes: BTreeMap::from([(PipelineName::new("plate").unwrap(), attribute)]),
    }
}
