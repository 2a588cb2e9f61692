//! Requests, right and wrong.

use super::*;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use crate::config::Reach;
use crate::publish::requests::{Level, REGISTRY};
use leptond_governor::{Mode, Order};

const PIPELINES: [&str; 2] = ["door", "meter"];

fn asked(payload: &str) -> Asked {
    read("governor/set", payload.as_bytes(), &PIPELINES, &Requests::default()).unwrap()
}

#[test]
fn orders_are_understood() {
    let check = |payload: &str, order: Order, for_s: Option<f64>| {
        let duration = for_s.map(Duration::from_secs_f64);
        assert_eq!(asked(payload).request, Ok(Request::Governor(GovernorSet { order, duration })), "{payload}");
    };
    check(r#"{"mode":"quiet"}"#, Order::Mode(Mode::Quiet), None);
    check(r#"{"mode":"auto","for_s":86400}"#, Order::Mode(Mode::Auto), Some(86400.0));
    check(r#"{"rung":2,"for_s":1.5}"#, Order::Fix { pipeline: None, rung: 2 }, Some(1.5));
    check(r#"{"rung":0,"pipeline":"meter"}"#, Order::Fix { pipeline: Some("meter".into()), rung: 0 }, None);
    check(r#" {"release":true,"transaction":"x"} "#, Order::Release, None);
    assert_eq!(asked(r#"{"mode":"auto","transaction":"a b"}"#).transaction, Some("a b".into()));
}

#[test]
fn what_is_wrong_is_named() {
    let check = |payload: &str, words: &str| {
        let error = asked(payload).request.expect_err(payload);
        assert!(error.contains(words), "{payload}: {error}");
        assert!(error.len() < 300, "{payload}: {error}");
    };
    for (payload, words) in [
        ("", "the payload is empty"),
        ("quiet", "the payload is not JSON"),
        (r#"{"mode":"#, "the payload is not JSON"),
        ("\"quiet\"", "the payload is a string"),
        ("[1]", "the payload is an array"),
        ("{}", "one of mode, rung and release is needed"),
        (r#"{"for_s":5}"#, "one of mode, rung and release is needed"),
        (r#"{"mode":"fast"}"#, "mode: found \"fast\", allowed are auto, performance, quiet, manual"),
        (r#"{"mode":1}"#, "mode: found a number"),
        (r#"{"mode":null}"#, "mode: found null"),
        (r#"{"mood":"auto"}"#, "unknown key \"mood\"; known are transaction, mode"),
        (r#"{"mode":"auto","rung":1}"#, "mode and rung: give one of the two"),
        (r#"{"mode":"auto","pipeline":"door"}"#, "pipeline: goes with rung only"),
        (r#"{"rung":-1}"#, "rung: found -1"),
        (r#"{"rung":1.5}"#, "rung: found 1.5"),
        (r#"{"rung":"1"}"#, "rung: found a string"),
        (r#"{"rung":1,"pipeline":"attic"}"#, "pipeline: found \"attic\", there are door, meter"),
        (r#"{"rung":1,"pipeline":7}"#, "pipeline: found a number"),
        (r#"{"rung":1,"for_s":NaN}"#, "the payload is not JSON"),
        (r#"{"rung":1,"for_s":-1}"#, "for_s: found -1"),
        (r#"{"rung":1,"for_s":0.5}"#, "for_s: found 0.5"),
        (r#"{"rung":1,"for_s":86401}"#, "for_s: found 86401"),
        (r#"{"rung":1,"for_s":1e300}"#, "for_s: found 1e+300"),
        (r#"{"rung":1,"for_s":"5"}"#, "for_s: found a string"),
        (r#"{"release":false}"#, "release: found false"),
        (r#"{"release":1}"#, "release: found a number"),
        (r#"{"release":true,"rung":1}"#, "release: stands alone"),
        (r#"{"release":true,"for_s":5}"#, "release: stands alone"),
        (r#"{"mode":"auto","transaction":5}"#, "transaction: found a number"),
        (&format!("{{\"{}\":1}}", "x".repeat(3000)), "unknown key \"xxx"),
        (&" ".repeat(17_000), "the payload has 17000 bytes"),
        (&"[".repeat(4000), "the payload is not JSON"),
    ] {
        check(payload, words);
    }
    let asked = asked(r#"{"mode":"fast","transaction":"7"}"#);
    assert_eq!(asked.transaction, Some("7".into()), "an error knows what it answers");
    assert_eq!(
        read("governor/set", &[0xff, 0xfe], &PIPELINES, &Requests::default()).map(|a| a.request.is_err()),
        Some(true)
    );
}

#[test]
fn pipelines_rest_and_go_on() {
    let check = |verb: &str, payload: &str, request: Result<Request, String>| {
        assert_eq!(
            read(verb, payload.as_bytes(), &PIPELINES, &Requests::default()).unwrap().request,
            request,
            "{verb} {payload}"
        );
    };
    check("pipeline/pause", "{}", Ok(Request::Pause(Pause { pipeline: None, paused: true })));
    check(
        "pipeline/resume",
        r#"{"pipeline":"door"}"#,
        Ok(Request::Pause(Pause { pipeline: Some("door".into()), paused: false })),
    );
    let unknown = "unknown key \"for_s\"; known are transaction, pipeline";
    check("pipeline/pause", r#"{"for_s":5}"#, Err(unknown.into()));
    let nobody = "pipeline: found \"attic\", there are door, meter";
    check("pipeline/pause", r#"{"pipeline":"attic"}"#, Err(nobody.into()));
}

#[test]
fn each_verb_has_its_request() {
    let every = Requests::Verbs(REGISTRY.iter().map(|entry| entry.name.into()).collect());
    let check = |verb: &str, payload: &str, expected: Result<Request, &str>| {
        let found = read(verb, payload.as_bytes(), &PIPELINES, &every).unwrap().request;
        match (&found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(*found, expected, "{verb} {payload}"),
            (Err(error), Err(words)) => assert!(error.contains(words), "{verb} {payload}: {error}"),
            _ => panic!("{verb} {payload}: {found:?}"),
        }
    };
    check("config/get", "{}", Ok(Request::ConfigGet(ConfigGet { path: None })));
    let path = Some("pipeline.door".into());
    check("config/get", r#"{"path":"pipeline.door"}"#, Ok(Request::ConfigGet(ConfigGet { path })));
    check("config/get", r#"{"path":["door"]}"#, Err("path: found an array"));
    let values = vec![("governor.mode".to_owned(), json!("quiet")), ("log.level".to_owned(), Value::Null)];
    let payload = r#"{"values":{"governor.mode":"quiet","log.level":null}}"#;
    check("config/set", payload, Ok(Request::ConfigSet(ConfigSet { values, reach: Reach::Requests })));
    check("config/set", "{}", Err("values is needed"));
    check("config/set", r#"{"values":{}}"#, Err("values: found none"));
    check("config/set", r#"{"values":[1]}"#, Err("values: found an array"));
    check("config/set", r#"{"value":{}}"#, Err("unknown key \"value\"; known are transaction, values"));
    let many: Vec<_> = (0..65).map(|n| format!("\"k{n}\":1")).collect();
    check("config/set", &format!("{{\"values\":{{{}}}}}", many.join(",")), Err("values: found 65 keys, at most 64"));
    check("snapshot", r#"{"pipeline":"door"}"#, Ok(Request::Snapshot(Snapshot { pipeline: "door".into() })));
    check("snapshot", "{}", Err("pipeline is needed; there are door, meter"));
    check("model/list", "{}", Ok(Request::ModelList));
    check("model/list", r#"{"dir":"/"}"#, Err("unknown key \"dir\"; known are transaction"));
    check("model/update", "{}", Err("not yet"));
    check("restart", r#"{"transaction":"x"}"#, Ok(Request::Restart));
    check("detect/set", "{}", Err("<pipeline>/detect/set"));
    check("restart", &format!(r#"{{"transaction":"{}"}}"#, "x".repeat(257)), Err("transaction: found 257 bytes"));
}

#[test]
fn an_unknown_verb_is_answered_with_those_that_are_known() {
    for payload in ["{}", "", "nonsense"] {
        let asked = read("reboot", payload.as_bytes(), &PIPELINES, &Requests::default()).unwrap();
        let error = asked.request.unwrap_err();
        assert!(
            error.starts_with("unknown verb \"reboot\"; known are config/get, config/set, config/schema, governor/set"),
            "{error}"
        );
    }
    for verb in ["x".repeat(65).as_str(), "a b", "a\u{7}", "ä"] {
        assert_eq!(read(verb, b"{}", &PIPELINES, &Requests::default()), None, "{verb:?}");
    }
}

#[test]
fn what_the_configuration_forbids_is_answered_with_its_key() {
    let quiet = br#"{"mode":"quiet","transaction":"7"}"#;
    for (requests, shown) in [
        (Requests::Level(Level::Off), "\"off\""),
        (Requests::Level(Level::Read), "\"read\""),
        (Requests::Verbs(vec!["pipeline/pause".into()]), "[\"pipeline/pause\"]"),
    ] {
        let words = format!("governor/set is not allowed: mqtt.requests = {shown} in the configuration of this node");
        let asked = read("governor/set", quiet, &PIPELINES, &requests).unwrap();
        assert_eq!((asked.request, asked.transaction), (Err(words.clone()), Some("7".into())));
        let asked = read("governor/set", b"nonsense", &PIPELINES, &requests).unwrap();
        assert_eq!(asked.request, Err(words), "it is not looked at either");
    }
    let some = Requests::Verbs(vec!["governor/set".into()]);
    assert!(read("governor/set", quiet, &PIPELINES, &some).unwrap().request.is_ok());
    let set = br#"{"values":{"log.level":"debug"}}"#;
    let error = read("config/set", set, &PIPELINES, &Requests::default()).unwrap().request.unwrap_err();
    assert!(error.contains("mqtt.requests = \"all\"") && error.ends_with("a list that names it allows it"), "{error}");
}

/// JSON near to what requests look like.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop_oneof![Just("door"), Just("quiet"), Just("governor.mode"), Just("ON")].prop_map(Value::from),
        ".{0,300}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let map = prop::collection::btree_map(key(), inner.clone(), 0..6);
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(Value::from),
            map.prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] =
        &["transaction", "mode", "rung", "pipeline", "for_s", "release", "values", "path", "governor.rung"];
    prop_oneof![3 => prop::sample::select(KNOWN).prop_map(str::to_owned), 1 => ".{0,200}"]
}

fn verb() -> impl Strategy<Value = String> {
    let known: Vec<String> = REGISTRY.iter().map(|entry| entry.name.to_owned()).collect();
    prop_oneof![3 => prop::sample::select(known), 1 => "[a-z/]{0,70}", 1 => ".{0,70}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes, the answer is bounded, and where requests are off nothing is ever understood.
    #[test]
    fn any_message_is_a_request_or_a_bounded_error(
        verb in verb(),
        object in prop::collection::btree_map(key(), value(), 0..6),
        bytes in prop::option::of(prop::collection::vec(any::<u8>(), 0..400)),
    ) {
        let json = serde_json::to_vec(&object).unwrap();
        let payload = bytes.unwrap_or(json);
        let every = Requests::Verbs(REGISTRY.iter().map(|entry| entry.name.into()).collect());
        if let Some(asked) = read(&verb, &payload, &PIPELINES, &every) {
            prop_assert!(asked.transaction.is_none_or(|text| text.len() <= MOST_TRANSACTION_BYTES));
            if let Err(error) = asked.request {
                prop_assert!(error.len() < 1000, "{}", error);
            }
        }
        let off = Requests::Level(Level::Off);
        prop_assert!(read(&verb, &payload, &PIPELINES, &off).is_none_or(|asked| asked.request.is_err()));
        let reads = read(&verb, &payload, &PIPELINES, &Requests::Level(Level::Read)).and_then(|asked| asked.request.ok());
        prop_assert!(matches!(reads, None | Some(Request::ConfigGet(_) | Request::ConfigSchema | Request::ModelList)), "{:?}", reads);
    }
}
