//! The message with an entity of every kind, against Home Assistant's schemas and template engine.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use leptond::frame::status::{
    About, Board, Counts, Governor, Meter, Node, NodeStatus, Percentiles, Pipeline, Publisher as Link, Rung, Subject,
};
use leptond::frame::{Emission, LineName, NodeName, PipelineName, Quantity, Sink, ZoneName};
use leptond::publish::home_assistant::{Config, HomeAssistant};
use leptond::publish::requests::Requests;
use leptond::publish::topics::Topics;
use leptond::publish::{Class, Message, Publisher, Stats};
use serde_json::{Map, Value, json};

use super::{python, script};
use crate::common;

#[derive(Default)]
struct Taken(Mutex<Vec<Message>>);

impl Publisher for Taken {
    fn publish(&self, message: Message) {
        self.0.lock().unwrap().push(message);
    }

    fn stats(&self) -> Stats {
        Stats::default()
    }

    fn flush(&self, _: Instant) -> bool {
        true
    }
}

fn pipeline(name: &str, subject: Subject) -> Pipeline {
    let rung = Rung {
        rung: 0,
        of: 3,
        reason: "full work".into(),
        since: SystemTime::UNIX_EPOCH,
        interval: Duration::ZERO,
        capture: None,
        resolution: None,
        batch: 1,
        model: "m".into(),
        threads: 1,
        paused: false,
    };
    Pipeline {
        name: PipelineName::new(name).unwrap(),
        counts: Counts::default(),
        latency_ms: Percentiles::default(),
        infer_ms: Percentiles::default(),
        recent_p95_ms: None,
        rung,
        idle: None,
        motion: None,
        paused: false,
        about: Arc::new(About::plain(subject)),
    }
}

/// A street with zones and a line, every kind of row of digits and of meter, a class, a text, areas, an anomaly, channels and a bare model.
pub fn pipelines() -> Vec<Pipeline> {
    let meter = |quantity: Option<Quantity>, unit: &str, decimals: u8| {
        let unit = Some(unit.to_owned()).filter(|unit| !unit.is_empty());
        Meter { counts_up: true, feeds_back: false, quantity, unit, decimals }
    };
    let reading = |quantity, unit, decimals| Subject::Reading(meter(quantity, unit, decimals));
    let feeds = Meter { counts_up: false, feeds_back: true, ..meter(Some(Quantity::Electricity), "kWh", 1) };
    let street = Subject::Objects {
        labels: ["person", "traffic light", "traffic_light", r#"a"}}{{ 1/0 "#, "猫"].map(Into::into).to_vec(),
        chosen: true,
    };
    let mut front_door = pipeline("front-door", street);
    front_door.about = Arc::new(About {
        zones: vec![ZoneName::new("porch").unwrap(), ZoneName::new("drive-way").unwrap()],
        lines: vec![LineName::new("gate").unwrap()],
        snapshot: true,
        camera: true,
        ..(*front_door.about).clone()
    });
    let mut well = pipeline("well", Subject::Meter(meter(Some(Quantity::Water), "m³", 4)));
    well.about = Arc::new(About { camera: true, ..(*well.about).clone() });
    vec![
        front_door,
        pipeline("water", reading(Some(Quantity::Water), "m³", 3)),
        pipeline("gas", reading(Some(Quantity::Gas), "m³", 2)),
        pipeline("power", reading(Some(Quantity::Electricity), "kWh", 1)),
        pipeline("heat", reading(Some(Quantity::Heat), "MWh", 3)),
        pipeline("counter", reading(None, "", 0)),
        well,
        pipeline("roof", Subject::Meter(feeds)),
        pipeline("tank", Subject::Meter(meter(Some(Quantity::Oil), "L", 0))),
        pipeline("dial", Subject::Meter(meter(None, "", 0))),
        pipeline("desk", Subject::Class),
        pipeline("plate", Subject::Text),
        pipeline(
            "garden",
            Subject::Areas { labels: ["lawn", "car", r#"a"}}{{ 1/0 "#].map(Into::into).to_vec(), chosen: true },
        ),
        pipeline("pump", Subject::Anomaly),
        pipeline("boiler", Subject::Channels { learns: true }),
        pipeline("bare", Subject::Raw),
    ]
}

fn status(pipelines: Vec<Pipeline>, start: Instant, after_s: u64) -> NodeStatus {
    NodeStatus {
        at: start + Duration::from_secs(after_s),
        every: Duration::from_millis(500),
        node: Node {
            name: NodeName::new("attic").unwrap(),
            version: "0.1.0",
            board: "Raspberry Pi 4 Model B Rev 1.4".into(),
            config_digest: "ff".into(),
            revision: 1,
            uptime: Duration::ZERO,
        },
        board: Board {
            soc_celsius: Some(51.0),
            cpu_percent: Some(12.5),
            throttled: Some(false),
            under_voltage: Some(false),
            ..Board::default()
        },
        governor: Governor::default(),
        sources: Default::default(),
        pipelines,
        models: Arc::new([]),
        publisher: Link { connected: true, ..Link::default() },
        faults: Vec::new(),
        fleet: None,
        totals: None,
    }
}

/// The message for `pipelines`.
pub fn message(pipelines: &[Pipeline], requests: &Requests) -> Value {
    let taken = Arc::new(Taken::default());
    let (own, births) = (channel().1, channel().1);
    let name = NodeName::new("attic").unwrap();
    let topics = Topics::new("leptond", &name).unwrap();
    let sink = HomeAssistant::new(taken.clone(), &Config::default(), &name, topics, requests, [own, births]);
    let start = Instant::now();
    for after_s in [0, 3, 9] {
        sink.take(&Emission::Status(Arc::new(status(pipelines.to_vec(), start, after_s))));
    }
    let taken = taken.0.lock().unwrap();
    assert_eq!(taken.len(), 1, "one message");
    assert_eq!((taken[0].topic.as_str(), taken[0].class), ("homeassistant/device/attic/config", Class::State));
    serde_json::from_slice(&taken[0].payload).unwrap()
}

/// A payload of each topic, in the form that the documentation gives.
pub fn payloads() -> Value {
    let health = |idle: Value, paused: bool| json!({ "fps": 4.96, "latency_ms": { "p50": 30.0, "p95": 41.25, "p99": 60.0 }, "idle": idle, "paused": paused });
    let rung = json!({ "rung": 1, "of": 4, "reason": "warm", "since": "2026-01-01T00:00:00.000Z", "interval_ms": 200 });
    let meters = ["well", "roof", "tank", "dial"];
    let mut names =
        vec!["front-door", "water", "gas", "power", "heat", "counter", "desk", "plate", "garden", "pump", "bare"];
    names.extend(meters);
    let each = |value: &Value| Value::Object(names.iter().map(|n| ((*n).into(), value.clone())).collect());
    let mut healths = each(&health(Value::Null, false));
    healths["front-door"] = health("no camera".into(), false);
    healths["water"] = health("paused by request".into(), true);
    let models: Vec<_> = names.iter().map(|n| json!({ "pipeline": n, "name": "digits", "version": "1.2.0" })).collect();
    let reading = json!({
        "task": "classify", "seq": 7, "label": "0053187", "value": 53187, "score": 0.97, "quality": "unreadable", "held": true,
        "last_good_time": "2026-01-01T00:00:00.000Z", "last_good_age_s": 61.5,
    });
    let meter = json!({
        "task": "meter", "seq": 7, "value": 412.3571, "label": "00412.3571", "unit": "m³", "quality": "unconfirmed", "held": true,
        "problem": "unconfirmed", "rate_per_hour": 0.42, "last_good_time": "2026-01-01T00:00:00.000Z", "last_good_age_s": 61.5,
    });
    let lines =
        json!({ "gate": { "person": { "forward": 3, "backward": 1 }, "car": { "forward": 2, "backward": 0 } } });
    let street = json!({
        "task": "detect", "seq": 7, "time": "2026-01-01T00:00:00.000Z", "counts": { "person": 2, "traffic light": 1 },
        "zones": { "porch": { "person": 1 }, "drive-way": {} }, "lines": lines,
    });
    let event = json!({ "type": "new", "id": "1-1", "label": "person", "score": 0.9, "start_time": "2026-01-01T00:00:00.000Z" });
    let class = json!({ "task": "classify", "label": "cat", "score": 0.876 });
    let text = json!({ "task": "text", "text": format!("B-XY 123 {}", "x".repeat(300)), "score": 0.9 });
    let areas = json!({ "task": "semantic", "classes": [
        { "label": "lawn", "class": 0, "share": 0.412 }, { "label": "car", "class": 1, "share": 0.08 },
    ] });
    let anomaly = json!({ "task": "anomaly", "score": 0.0123, "anomalous": true, "calibrating": false,
        "channels": [{ "channel": "current", "share": 0.9 }] });
    let channel = json!({ "channel": "flow", "fault": "spike", "distance": 41.7, "value": 85.0, "usual": 61.2 });
    let channels =
        json!({ "task": "baseline", "score": 41.7, "anomalous": true, "calibrating": false, "channels": [channel] });
    let mut payloads = json!({
        "leptond/attic/state": { "state": "online" },
        "leptond/attic/health": {
            "rss_bytes": 31_415_926, "cpu_percent": 12.5, "soc_celsius": 51.04, "throttled": { "now": false, "under_voltage": true },
            "mqtt": { "dropped": 3 }, "pipelines": healths,
        },
        "leptond/attic/governor": { "mode": "auto", "state": "reduced", "pipelines": each(&rung) },
        "leptond/attic/info": { "version": "0.1.0", "models": models },
        "leptond/attic/front-door/state": street,
        "leptond/attic/desk/state": class,
        "leptond/attic/plate/state": text,
        "leptond/attic/garden/state": areas,
        "leptond/attic/pump/state": anomaly,
        "leptond/attic/boiler/state": channels,
        "leptond/attic/front-door/event": event, "leptond/attic/desk/event": event, "leptond/attic/pump/event": event,
        "leptond/attic/plate/event": event, "leptond/attic/boiler/event": event,
    });
    for meter in ["water", "gas", "power", "heat", "counter"] {
        payloads[format!("leptond/attic/{meter}/state")] = reading.clone();
    }
    for name in meters {
        payloads[format!("leptond/attic/{name}/state")] = meter.clone();
    }
    payloads
}

fn table() -> Value {
    serde_json::from_slice(&std::fs::read(common::data("home_assistant.json")).unwrap()).unwrap()
}

/// Faults of `found` by a list of keys, each with `true` where it is required.
fn faults(what: &str, found: &Map<String, Value>, known: &Value, also: &[&str]) -> Vec<String> {
    let known = known.as_object().unwrap();
    let foreign = found.keys().filter(|key| !known.contains_key(*key) && !also.contains(&key.as_str()));
    let missing = known.iter().filter(|(key, required)| **required == true && !found.contains_key(*key));
    let foreign = foreign.map(|key| format!("{what}: unknown key {key}"));
    foreign.chain(missing.map(|(key, _)| format!("{what}: no {key}"))).collect()
}

/// Faults of a message by the table of Home Assistant's schemas.
fn by_the_table(message: &Value) -> Vec<String> {
    let table = table();
    let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let mut found = faults("message", &object(message), &table["message"], &[]);
    found.extend(faults("device", &object(&message["device"]), &table["device"], &[]));
    found.extend(faults("origin", &object(&message["origin"]), &table["origin"], &[]));
    let is_in = |list: &Value, one: &Value| one.is_null() || list.as_array().unwrap().contains(one);
    let mut uniques = BTreeSet::new();
    for (id, component) in &object(&message["components"]) {
        let platform = component["platform"].as_str().unwrap_or_default();
        if table["platforms"][platform].is_null() {
            found.push(format!("{id}: no platform {platform:?}"));
            continue;
        }
        found.extend(faults(id, &object(component), &table["platforms"][platform], &["platform"]));
        if !uniques.insert(component["unique_id"].to_string()) || component["unique_id"].is_null() {
            found.push(format!("{id}: unique_id {}", component["unique_id"]));
        }
        for key in ["default_entity_id", "name"] {
            if component[key].as_str().is_none_or(str::is_empty) {
                found.push(format!("{id}: no {key}"));
            }
        }
        let class = &component["device_class"];
        if !class.is_null() && platform != "switch" && !is_in(&table["device_classes"][platform], class) {
            found.push(format!("{id}: device_class {class}"));
        }
        let unit = &component["unit_of_measurement"];
        let units = &table["units"][class.as_str().unwrap_or_default()];
        if units.is_array() && !is_in(units, unit) {
            found.push(format!("{id}: unit {unit}"));
        }
        for (key, list) in [("entity_category", "entity_categories"), ("state_class", "state_classes")] {
            if !is_in(&table[list], &component[key]) {
                found.push(format!("{id}: {key} {}", component[key]));
            }
        }
    }
    found
}

#[test]
fn every_key_is_one_that_home_assistant_has() {
    let all = message(&pipelines(), &Requests::default());
    assert_eq!(by_the_table(&all), [""; 0], "{all:#}");
    assert!(all["components"].as_object().unwrap().len() > 80);
    // The table finds what is wrong.
    let broken = |change: &dyn Fn(&mut Value)| {
        let mut broken = all.clone();
        change(&mut broken["components"]["water.reading"]);
        by_the_table(&broken)
    };
    assert_eq!(broken(&|c| c["state_tpoic"] = "x".into()), ["water.reading: unknown key state_tpoic"]);
    assert_eq!(broken(&|c| c["unit_of_measurement"] = "kWh".into()), ["water.reading: unit \"kWh\""]);
    assert_eq!(broken(&|c| c["state_class"] = "rising".into()), ["water.reading: state_class \"rising\""]);
    assert_eq!(broken(&|c| drop(c.as_object_mut().unwrap().remove("state_topic"))), ["water.reading: no state_topic"]);
}

#[test]
fn a_person_finds_names_and_no_control_that_is_forbidden() {
    let all = message(&pipelines(), &Requests::default());
    assert_eq!(all["device"]["name"], "Attic");
    for (id, name, entity) in [
        ("front-door.label_person", "Front door person", "binary_sensor.attic_front_door_person"),
        ("front-door.label_person_count", "Front door person count", "sensor.attic_front_door_person_count"),
        ("front-door.label_traffic_light", "Front door traffic light", "binary_sensor.attic_front_door_traffic_light"),
        ("front-door.zone_drive_way", "Front door drive way zone", "binary_sensor.attic_front_door_drive_way_zone"),
        (
            "front-door.zone_porch_label_person",
            "Front door porch person",
            "binary_sensor.attic_front_door_porch_person",
        ),
        ("front-door.line_gate_forward", "Front door gate forward", "sensor.attic_front_door_gate_forward"),
        ("front-door.snapshot", "Front door snapshot", "image.attic_front_door_snapshot"),
        ("front-door.active", "Front door detection", "switch.attic_front_door_detection"),
        ("water.reading", "Water", "sensor.attic_water"),
        ("water.unreadable", "Water reading problem", "binary_sensor.attic_water_reading_problem"),
        ("temperature", "Processor temperature", "sensor.attic_processor_temperature"),
        ("mode", "Governor mode", "select.attic_governor_mode"),
    ] {
        let component = &all["components"][id];
        assert_eq!((&component["name"], &component["default_entity_id"]), (&json!(name), &json!(entity)), "{id}");
    }
    let closed = message(&pipelines(), &serde_json::from_value(json!("off")).unwrap());
    assert_eq!(by_the_table(&closed), [""; 0]);
    let commands = closed["components"].as_object().unwrap().iter().filter(|(_, c)| !c["command_topic"].is_null());
    assert_eq!(commands.count(), 0);
    assert_eq!(closed["components"]["mode"]["platform"], "sensor");
}

/// While its camera is away nothing is known of what a pipeline sees, and the last reading of a meter is still its last reading.
#[test]
fn a_camera_that_is_away_takes_what_it_sees_with_it_and_leaves_what_was_read() {
    let all = message(&pipelines(), &Requests::default());
    let health = |id: &str| {
        let component = &all["components"][id];
        assert!(!component.is_null(), "{id}");
        let topics: Vec<_> =
            component["availability"].as_array().into_iter().flatten().map(|one| &one["topic"]).collect();
        assert_eq!(topics.is_empty(), component["availability_mode"].is_null(), "{id}");
        topics.contains(&&json!("leptond/attic/health")) && topics.contains(&&json!("leptond/attic/state"))
    };
    for id in ["front-door.label_person", "front-door.objects", "front-door.zone_porch", "well.rate", "well.unreadable"]
    {
        assert!(health(id), "{id}");
    }
    for id in [
        "front-door.source",
        "front-door.event",
        "front-door.snapshot",
        "front-door.active",
        "well.reading",
        "well.last_read",
        "desk.class",
        "pump.anomaly",
    ] {
        assert!(!health(id), "{id}");
    }
}

#[test]
fn a_model_of_many_labels_gives_those_that_people_watch_for() {
    let labels = |n: usize, chosen: bool| {
        let mut labels: Vec<leptond::frame::Label> = (0..n - 2).map(|i| format!("thing {i}").as_str().into()).collect();
        labels.extend(["person".into(), "dog".into()]);
        let subject = Subject::Objects { labels, chosen };
        let message = message(&[pipeline("cam", subject)], &Requests::default());
        let ids = message["components"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        ids.iter().filter(|id| id.starts_with("cam.label_") && !id.ends_with("_count")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(labels(80, false), ["cam.label_dog", "cam.label_person"]);
    assert_eq!(labels(12, false).len(), 12, "few are all shown");
    assert_eq!((labels(20, true).len(), labels(80, true).len()), (20, 32), "those that were asked for, up to a bound");
}

#[test]
fn home_assistant_s_own_validators_and_templates_take_it() {
    let Some(python) = python("home_assistant_s_own_validators_and_templates_take_it") else { return };
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, value: &Value| {
        let path = dir.path().join(name);
        std::fs::write(&path, value.to_string()).unwrap();
        path
    };
    let check = |message: &Value| {
        let [message, payloads] = [write("message.json", message), write("payloads.json", &payloads())];
        let output = Command::new(&python).arg(script("validate.py")).arg(message).arg(payloads).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let mut all = message(&pipelines(), &Requests::default());
    let found = check(&all);
    assert_eq!(found["errors"], json!([]), "{found:#}");
    let states = &found["states"];
    let long_text = format!("B-XY 123 {}", "x".repeat(246));
    for (id, state) in [
        ("front-door.label_person", "ON"),
        ("front-door.label_person_count", "2"),
        ("front-door.label_traffic_light", "ON"),
        ("front-door.label_traffic_light_2", "OFF"),
        ("front-door.objects", "3"),
        ("front-door.zone_porch", "ON"),
        ("front-door.zone_drive_way", "OFF"),
        ("front-door.zone_porch_label_person", "ON"),
        ("front-door.zone_drive_way_label_person", "OFF"),
        ("front-door.line_gate_forward", "5"),
        ("front-door.line_gate_backward", "1"),
        ("front-door.source", "ON"),
        ("water.source", "OFF"),
        ("water.reading", "53.187"),
        ("gas.reading", "531.87"),
        ("power.reading", "5318.7"),
        ("counter.reading", "53187"),
        ("water.unreadable", "ON"),
        ("well.reading", "412.3571"),
        ("well.rate", "0.420000"),
        ("roof.reading", "412.4"),
        ("tank.unreadable", "OFF"),
        ("water.last_read", "2026-01-01T00:00:00.000Z"),
        ("water.fps", "5.0"),
        ("water.latency", "41.2"),
        ("water.rung", "1"),
        ("desk.class", "cat"),
        ("desk.score", "87.6"),
        ("plate.text", long_text.as_str()),
        ("plate.score", "90.0"),
        ("garden.area", "lawn"),
        ("garden.label_lawn", "41.2"),
        ("garden.label_car", "8.0"),
        ("pump.anomaly", "ON"),
        ("boiler.anomaly", "ON"),
        ("boiler.score", "41.7000"),
        ("temperature", "51.0"),
        ("memory", "31.4"),
        ("supply", "ON"),
        ("throttled", "OFF"),
        ("mode", "auto"),
    ] {
        assert_eq!(states[id], state, "{id}");
    }
    // The camera of the one is away; the other's works.
    assert_eq!(states["front-door.label_person availability"], json!(["online", "offline"]));
    assert_eq!(states["well.rate availability"], json!(["online", "online"]));
    assert_eq!(states["mode command"][2], r#"{"mode":"quiet"}"#);
    let event: Value = serde_json::from_str(states["front-door.event"].as_str().unwrap()).unwrap();
    assert_eq!((&event["event_type"], &event["label"]), (&json!("new"), &json!("person")));
    let channel: Value = serde_json::from_str(states["boiler.anomaly attributes"].as_str().unwrap()).unwrap();
    assert_eq!((&channel["channel"], &channel["fault"]), (&json!("flow"), &json!("spike")), "{channel}");
    assert_eq!(channel["channels"][0]["distance"], 41.7);
    let update: Value = serde_json::from_str(states["water.model"].as_str().unwrap()).unwrap();
    assert_eq!((&update["installed_version"], &update["title"]), (&json!("1.2.0"), &json!("digits")));

    all["components"]["water.reading"]["state_tpoic"] = "x".into();
    all["components"]["gas.reading"]["value_template"] = "{{ value_json.value + 1 }}".into();
    let errors = check(&all)["errors"].to_string();
    assert!(errors.contains("water.reading") && errors.contains("gas.reading"), "{errors}");
}
