use std::time::UNIX_EPOCH;

use super::*;
use crate::frame::status::{self, Fault, Source};
use crate::frame::{
    Detection, LastGood, PipelineName, Quality, Reading, RegionRead, Scored, SourceName, TaskKind, Unreadable,
};
use crate::publish::testing::sample_status;

/// Compares text, so that the order of keys and the absence of others are checked too.
fn check(value: &impl Serialize, expected: &str) {
    let got = String::from_utf8(json(value)).unwrap();
    assert_eq!(got, expected.lines().map(str::trim).collect::<String>());
}

fn at(ms: u64) -> String {
    time(UNIX_EPOCH + Duration::from_millis(ms))
}

#[test]
fn node_state() {
    check(&NodeState::Online, r#"{"state":"online"}"#);
    check(&NodeState::Offline, r#"{"state":"offline"}"#);
}

#[test]
fn result_with_truth() {
    let outcome = Outcome::Classify {
        label: "cat".into(),
        score: 0.5,
        top: vec![Scored { label: "cat".into(), score: 0.5 }],
        unreadable: None,
    };
    let result = InferenceResult {
        seq: 7,
        time: at(1_700_000_000_123),
        frame_age_ms: ms(Duration::from_micros(4_321)),
        infer_ms: ms(Duration::from_nanos(1_500_900)),
        rung: 1,
        computed_by: None,
        outcome: &outcome,
        truth: Some("cat"),
        origin: "synthetic",
        parent: None,
    };
    check(
        &result,
        r#"{"seq":7,"time":"2023-11-14T22:13:20.123Z","frame_age_ms":4.321,"infer_ms":1.5,"rung":1,
        "task":"classify","label":"cat","score":0.5,"top":[{"label":"cat","score":0.5}],
        "truth":"cat","origin":"synthetic"}"#,
    );
}

#[test]
fn a_reading_in_result_and_state() {
    let region =
        |label: Option<&str>, score, unreadable| RegionRead { label: label.map(Into::into), score, unreadable };
    let held = Outcome::Reading(Reading {
        label: Some("07".into()),
        value: Some(7),
        score: 0.0,
        quality: Quality::Unreadable,
        held: true,
        regions: vec![region(Some("0"), 0.75, None), region(None, 0.0, Some(Unreadable::LowContrast))],
        last_good: Some(LastGood { score: 0.5, time: UNIX_EPOCH + Duration::from_secs(10), age_s: Some(61.5) }),
    });
    let result = InferenceResult {
        seq: 7,
        time: at(71_500),
        frame_age_ms: 4.0,
        infer_ms: 1.5,
        rung: 0,
        computed_by: None,
        outcome: &held,
        truth: None,
        origin: "",
        parent: None,
    };
    check(
        &result,
        r#"{"seq":7,"time":"1970-01-01T00:01:11.500Z","frame_age_ms":4.0,"infer_ms":1.5,"rung":0,
        "task":"classify","label":"07","value":7,"score":0.0,"quality":"unreadable","held":true,
        "regions":[{"label":"0","score":0.75},{"label":null,"score":0.0,"unreadable":"low_contrast"}],
        "last_good_time":"1970-01-01T00:00:10.000Z","last_good_age_s":61.5}"#,
    );
    // The state's score is that of the reading which stands there, not of the picture in which nothing was read.
    let state = PipelineState { seq: 7, time: at(71_500), summary: Summary::of(&held) };
    check(
        &state,
        r#"{"seq":7,"time":"1970-01-01T00:01:11.500Z",
        "task":"classify","label":"07","value":7,"score":0.5,"quality":"unreadable","held":true,
        "last_good_time":"1970-01-01T00:00:10.000Z","last_good_age_s":61.5}"#,
    );
    let nothing = Outcome::Reading(Reading {
        label: None,
        value: None,
        score: 0.32,
        quality: Quality::Uncertain,
        held: false,
        regions: vec![],
        last_good: None,
    });
    let state = PipelineState { seq: 1, time: at(0), summary: Summary::of(&nothing) };
    check(
        &state,
        r#"{"seq":1,"time":"1970-01-01T00:00:00.000Z",
        "task":"classify","label":null,"value":null,"score":null,"quality":"uncertain","held":false}"#,
    );
    assert!(Summary::of(&held).differs(&Summary::of(&nothing)));
    assert_eq!(Summary::of(&held).quality(), Some(Quality::Unreadable));
}

#[test]
fn result_without_truth_and_with_values_that_json_does_not_know() {
    let outcome = Outcome::Anomaly {
        score: f32::NAN,
        threshold: None,
        anomalous: false,
        calibrating: true,
        channels: Vec::new(),
    };
    let result = InferenceResult {
        seq: 1,
        time: at(0),
        frame_age_ms: 0.0,
        infer_ms: 0.25,
        rung: 0,
        computed_by: None,
        outcome: &outcome,
        truth: None,
        origin: "",
        parent: None,
    };
    check(
        &result,
        r#"{"seq":1,"time":"1970-01-01T00:00:00.000Z","frame_age_ms":0.0,"infer_ms":0.25,"rung":0,
        "task":"anomaly","score":null,"anomalous":false,"calibrating":true}"#,
    );
}

#[test]
fn event_as_in_the_convention() {
    let began = UNIX_EPOCH + Duration::from_secs(10);
    let begun = Event { bbox: Some([1.0, 2.0, 3.5, 4.0]), ..Event::begin("meter-3".into(), "cat", 0.5, began) };
    let one = begun.ended(began + Duration::from_millis(1500));
    assert_eq!(
        String::from_utf8(json(&one)).unwrap(),
        concat!(
            r#"{"type":"end","id":"meter-3","label":"cat","score":0.5,"box":[1.0,2.0,3.5,4.0],"#,
            r#""start_time":"1970-01-01T00:00:10.000Z","end_time":"1970-01-01T00:00:11.500Z"}"#
        )
    );
}

#[test]
fn health_leaves_out_what_the_board_does_not_have() {
    let status = sample_status(Instant::now(), Duration::from_secs(61));
    let fps = BTreeMap::from([(status.pipelines[0].name.clone(), 15.0)]);
    let health = Health::of(&status, &fps);
    check(
        &health,
        r#"{"uptime_s":61,"rss_bytes":30000000,"cpu_percent":12.5,"throttled":{"now":false},
        "governor":{"mode":"auto","state":"reduced"},
        "mqtt":{"connected":true,"queued":1,"published":20,"acknowledged":9,"dropped":3},
        "pipelines":{"meter":{"fps":15.0,"latency_ms":{"p50":1.0,"p95":2.0,"p99":3.5},"drops":2,"errors":0,
        "rung":1,"rung_changes":{"up":2,"down":3},"reduced_s":7.5}}}"#,
    );
    let read: Health = serde_json::from_slice(&json(&health)).unwrap();
    assert_eq!(read, health, "and can be read again, by `watch`");
}

#[test]
fn health_names_sources_and_pipelines_that_do_not_run() {
    let mut status = sample_status(Instant::now(), Duration::from_secs(61));
    status.sources.insert(SourceName::new("camera").unwrap(), Source { frames: 90, decoded: 60, readers: 2 });
    status.pipelines.clear();
    status.faults.push(Fault { pipeline: PipelineName::new("door").unwrap(), reason: "no such model".into() });
    let health = serde_json::to_value(Health::of(&status, &BTreeMap::new())).unwrap();
    assert_eq!(health["sources"], serde_json::json!({"camera": {"frames": 90, "decoded": 60, "readers": 2}}));
    assert_eq!(
        health["pipelines"],
        serde_json::json!({"door": {"fps": 0.0, "latency_ms": {"p50": 0.0, "p95": 0.0, "p99": 0.0}, "drops": 0, "errors": 0,
            "rung": 0, "rung_changes": {"up": 0, "down": 0}, "reduced_s": 0.0, "idle": "not running: no such model"}})
    );
    assert_eq!(Governor::of(&status, None), None, "no pipeline, no rung");
}

#[test]
fn governor_has_the_changed_rung_at_the_top() {
    let mut status = sample_status(Instant::now(), Duration::from_secs(61));
    status.governor.forecast =
        Some(status::Forecast { soc_celsius: 74.76, in_30s_celsius: 76.11, steady_celsius: 79.5, limit_celsius: 78.0 });
    let name = status.pipelines[0].name.clone();
    let governor = Governor::of(&status, Some(&name)).unwrap();
    let rung = r#""rung":1,"of":4,"reason":"74.8 °C, stepping down at 75.0 °C","since":"1970-01-01T00:00:00.000Z","interval_ms":200,"resolution":96,"batch":1,"model":"digits/small","threads":2,"paused":false"#;
    let expected = [
        r#"{"mode":"auto","state":"reduced","pipeline":"meter","#,
        rung,
        r#","forecast":{"soc_celsius":74.8,"in_30s_celsius":76.1,"steady_celsius":79.5,"limit_celsius":78.0},"#,
        &format!(r#""pipelines":{{"meter":{{{rung}}}}}}}"#),
    ];
    check(&governor, &expected.concat());
    let read: Governor = serde_json::from_slice(&json(&governor)).unwrap();
    assert_eq!(read, governor, "and can be read again, by `probe --watch`");
    let mut second = status.pipelines[0].clone();
    second.name = PipelineName::new("door").unwrap();
    second.rung.rung = 3;
    status.pipelines.push(second);
    for (changed, top, rung) in [(None, "meter", 1), (Some("door"), "door", 3), (Some("gone"), "meter", 1)] {
        let changed = changed.map(|name| PipelineName::new(name).unwrap());
        let governor = Governor::of(&status, changed.as_ref()).unwrap();
        assert_eq!((governor.pipeline.as_str(), governor.changed.rung, governor.pipelines.len()), (top, rung, 2));
    }
}

#[test]
fn info_names_models_and_configuration() {
    let status = sample_status(Instant::now(), Duration::from_secs(61));
    check(
        &Info::of(&status),
        r#"{"version":"0.1.0","board":"a board","models":[{"pipeline":"meter","name":"digits","version":"1.0.0",
        "sha256":"00","digest":"11","task":"classify","engine":"int8"}],"config_digest":"ff"}"#,
    );
}

#[test]
fn summaries_differ_by_what_they_say_and_not_by_scores() {
    let classify = |label: &str, score| {
        Summary::of(&Outcome::Classify { label: label.into(), score, top: vec![], unreadable: None })
    };
    assert!(!classify("1", 0.5).differs(&classify("1", 0.9)));
    assert!(classify("1", 0.5).differs(&classify("2", 0.5)));
    let detect = |labels: &[&str]| {
        let mut counts = BTreeMap::new();
        labels.iter().for_each(|l| *counts.entry((*l).into()).or_insert(0) += 1);
        // One frame may show what cannot be relied on: the summary is of what can.
        let passing = Detection::new("bird".into(), 0.5, [0.0; 4]);
        Summary::of(&Outcome::Detect {
            task: TaskKind::Detect,
            detections: vec![passing],
            counts,
            zones: Default::default(),
            lines: Default::default(),
            source_width: 1,
            source_height: 1,
        })
    };
    assert!(!detect(&["cat", "dog", "cat"]).differs(&detect(&["cat", "cat", "dog"])));
    assert!(detect(&["cat"]).differs(&detect(&["cat", "cat"])));
    assert!(detect(&[]).differs(&classify("1", 0.5)));
    let state = PipelineState { seq: 3, time: at(0), summary: detect(&["cat", "dog", "cat"]) };
    check(&state, r#"{"seq":3,"time":"1970-01-01T00:00:00.000Z","task":"detect","counts":{"cat":2,"dog":1}}"#);
    let anomaly = |score, anomalous| {
        Summary::of(&Outcome::Anomaly {
            score,
            threshold: Some(1.0),
            anomalous,
            calibrating: false,
            channels: Vec::new(),
        })
    };
    assert!(!anomaly(0.1, false).differs(&anomaly(0.2, false)));
    assert!(anomaly(0.1, false).differs(&anomaly(0.1, true)));
    let text = |text: Option<&str>, score| {
        Summary::of(&Outcome::Text { text: text.map(str::to_owned), score, regions: Vec::new() })
    };
    assert!(!text(Some("AB"), 0.9).differs(&text(Some("AB"), 0.95)));
    assert!(text(Some("AB"), 0.9).differs(&text(None, 0.9)));
}
