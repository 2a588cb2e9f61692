use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::facts::Readings;
use super::*;
use crate::frame::status::{About, Meter, Subject};
use crate::frame::{NodeName, PipelineName};

const CONTROLS: Controls = Controls { mode: true, pause: true };

fn topics() -> Topics {
    Topics::new("leptond", &NodeName::new("attic").unwrap()).unwrap()
}

fn objects(labels: &[&str]) -> Subject {
    let labels = labels.iter().map(|label| (*label).into()).collect();
    Subject::Objects { labels, chosen: true }
}

fn facts(pipelines: &[(&str, Subject)]) -> Facts {
    let pipeline =
        |(name, subject): &(&str, Subject)| (PipelineName::new(name).unwrap(), Arc::new(About::plain(subject.clone())));
    Facts {
        node: NodeName::new("attic").unwrap(),
        version: "0.1.0",
        board: "a board".into(),
        readings: Readings::default(),
        pipelines: pipelines.iter().map(pipeline).collect(),
        absent: BTreeSet::new(),
    }
}

/// A discovery with what the broker keeps, on a clock that is told.
struct Bench {
    discovery: Discovery,
    broker: Vec<u8>,
    start: Instant,
    /// Messages come back as they do from a broker.
    echoes: bool,
}

impl Bench {
    fn new(enabled: bool) -> Bench {
        let discovery = Discovery::new(enabled, topics(), CONTROLS);
        Bench { discovery, broker: Vec::new(), start: Instant::now(), echoes: true }
    }

    fn at(&self, s: u64) -> Instant {
        self.start + Duration::from_secs(s)
    }

    /// A turn at `s` seconds; the message that it made.
    fn turn(&mut self, s: u64, facts: &Facts) -> Option<Value> {
        let payload = self.discovery.turn(facts, true, self.at(s))?;
        self.broker.clone_from(&payload);
        if self.echoes {
            self.discovery.received(&payload, false, self.at(s));
        }
        Some(serde_json::from_slice(&payload).unwrap_or(Value::Null))
    }

    /// The broker gives what it keeps, as it does after a subscription.
    fn kept(&mut self, s: u64) {
        let kept = self.broker.clone();
        if !kept.is_empty() {
            self.discovery.received(&kept, true, self.at(s));
        }
    }
}

fn ids(message: &Value) -> Vec<&str> {
    message["components"].as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn it_listens_for_an_earlier_message_and_publishes_once() {
    let mut bench = Bench::new(true);
    let facts = facts(&[("front-door", objects(&["person"]))]);
    assert_eq!(bench.discovery.turn(&facts, false, bench.at(0)), None, "no connection");
    assert_eq!((bench.turn(1, &facts), bench.turn(2, &facts)), (None, None), "it may still come");
    let message = bench.turn(3, &facts).unwrap();
    assert!(ids(&message).contains(&"front-door.label_person"), "{message}");
    assert!(bench.discovery.standing().published);
    assert_eq!((4..400).find_map(|s| bench.turn(s, &facts)), None, "nothing new");
}

#[test]
fn a_broker_that_has_it_is_told_nothing_and_one_that_forgot_it_everything() {
    let facts = facts(&[("front-door", objects(&["person"]))]);
    let mut first = Bench::new(true);
    first.turn(0, &facts);
    first.turn(2, &facts).unwrap();
    let mut again = Bench { broker: first.broker, ..Bench::new(true) };
    again.turn(0, &facts);
    again.kept(1);
    assert_eq!((1..100).find_map(|s| again.turn(s, &facts)), None, "the very same is kept already");
    assert!(again.discovery.standing().published);
    again.discovery.turn(&facts, false, again.at(100));
    assert_eq!(again.turn(101, &facts), None);
    assert!(again.turn(103, &facts).is_some(), "no retained message came after the new connection");
}

#[test]
fn home_assistant_s_birth_asks_again_but_not_for_a_flood() {
    let facts = facts(&[("front-door", objects(&["person"]))]);
    let mut bench = Bench::new(true);
    bench.turn(0, &facts);
    bench.turn(2, &facts).unwrap();
    bench.discovery.birth(b"offline");
    assert!(!bench.discovery.standing().seen && bench.turn(10, &facts).is_none());
    let mut sent = 0;
    for s in 11..31 {
        bench.discovery.birth(b"online");
        sent += u32::from(bench.turn(s, &facts).is_some());
    }
    assert_eq!(sent, 4, "one in five seconds");
    assert!(bench.discovery.standing().seen);
}

#[test]
fn what_is_gone_is_taken_away_once_and_then_left_out() {
    let both = facts(&[("front-door", objects(&["person", "dog"])), ("water", Subject::Reading(Meter::default()))]);
    let one = facts(&[("front-door", objects(&["person"]))]);
    let mut before = Bench::new(true);
    before.turn(0, &both);
    before.turn(2, &both).unwrap();
    // The configuration changed while the daemon was down.
    let mut bench = Bench { broker: before.broker, ..Bench::new(true) };
    bench.turn(0, &one);
    bench.kept(1);
    let message = bench.turn(1, &one).unwrap();
    let components = &message["components"];
    for (gone, platform) in [
        ("front-door.label_dog", "binary_sensor"),
        ("front-door.label_dog_count", "sensor"),
        ("water.active", "switch"),
    ] {
        assert_eq!(components[gone], json!({ "platform": platform }), "{gone}");
    }
    assert_eq!(components["front-door.label_person"]["device_class"], "occupancy");
    assert_eq!(bench.turn(2, &one), None, "not at once");
    let clean = bench.turn(6, &one).unwrap();
    assert!(ids(&clean).iter().all(|id| !id.contains("dog") && !id.starts_with("water")), "{clean}");
    assert_eq!((7..100).find_map(|s| bench.turn(s, &one)), None);
}

#[test]
fn a_broker_that_gives_nothing_back_is_believed_after_a_while() {
    let both = facts(&[("front-door", objects(&["person", "dog"]))]);
    let one = facts(&[("front-door", objects(&["person"]))]);
    let mut bench = Bench { echoes: false, ..Bench::new(true) };
    bench.turn(0, &both);
    bench.turn(2, &both).unwrap();
    assert!(bench.turn(10, &one).unwrap()["components"]["front-door.label_dog"].is_object());
    assert_eq!((11..40).find_map(|s| bench.turn(s, &one)), None);
    assert!(bench.turn(40, &one).unwrap()["components"]["front-door.label_dog"].is_null());
    assert!(!bench.discovery.standing().published, "nobody has seen it");
}

#[test]
fn a_pipeline_that_waits_for_its_model_keeps_its_entities() {
    let both = facts(&[("front-door", objects(&["person"])), ("water", Subject::Reading(Meter::default()))]);
    let mut before = Bench::new(true);
    before.turn(0, &both);
    let full = before.turn(2, &both).unwrap();
    let mut waiting = facts(&[("front-door", objects(&["person"]))]);
    waiting.absent.insert(PipelineName::new("water").unwrap());
    let mut bench = Bench { broker: before.broker, ..Bench::new(true) };
    bench.turn(0, &waiting);
    bench.kept(1);
    assert_eq!((1..50).find_map(|s| bench.turn(s, &waiting)), None, "the same message");
    assert!(!full["components"]["water.reading"].is_null());
}

#[test]
fn turned_off_it_takes_away_what_was_published_and_nothing_else() {
    let facts = facts(&[("front-door", objects(&["person"]))]);
    let mut never = Bench::new(false);
    assert_eq!((0..50).find_map(|s| never.turn(s, &facts)), None);
    let mut on = Bench::new(true);
    on.turn(0, &facts);
    on.turn(2, &facts).unwrap();
    let mut off = Bench { broker: on.broker, ..Bench::new(false) };
    off.turn(0, &facts);
    off.kept(1);
    assert_eq!(off.turn(2, &facts), Some(Value::Null));
    assert!(off.broker.is_empty() && !off.discovery.standing().published);
    off.discovery.birth(b"online");
    assert_eq!((3..50).find_map(|s| off.turn(s, &facts)), None);
}

#[test]
fn a_deleted_device_stays_deleted_until_something_changes() {
    let one = facts(&[("front-door", objects(&["person"]))]);
    let mut bench = Bench::new(true);
    bench.turn(0, &one);
    bench.turn(2, &one).unwrap();
    let at = bench.at(10);
    bench.discovery.received(b"", false, at);
    assert_eq!((10..100).find_map(|s| bench.turn(s, &one)), None);
    assert!(!bench.discovery.standing().published);
    assert!(bench.turn(100, &facts(&[("front-door", objects(&["person", "dog"]))])).is_some());
}

#[test]
fn what_another_program_keeps_there_is_left_alone() {
    let facts = facts(&[("front-door", objects(&["person"]))]);
    for (kept, expected) in [
        (&br#"{"origin":{"name":"zigbee2mqtt"},"components":{}}"#[..], false),
        (br#"{"origin":{"name":"leptond"}}"#, true),
        (b"no json", true),
        (br#"{"components":{"a":{"platform":"lock"},"b":7,"c":{"platform":"sensor"}}}"#, true),
    ] {
        let mut bench = Bench { broker: kept.to_vec(), ..Bench::new(true) };
        bench.turn(0, &facts);
        bench.kept(1);
        let message = bench.turn(2, &facts);
        assert_eq!((message.is_some(), bench.discovery.standing().foreign), (expected, !expected));
        if let Some(message) = message {
            assert!(message["components"]["a"].is_null() && message["components"]["b"].is_null(), "{message}");
        }
    }
}
