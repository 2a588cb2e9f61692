//! Requests over MQTT and the answers to them. Pure: bytes in, a [`Request`] or a clear error out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::publish::requests::{Requests, VERBS};
use leptond_governor::{Mode, Order};

/// A longer payload is no request of ours.
const MOST_BYTES: usize = 4096;

/// A longer verb is not answered: no topic of ours is that long.
const MOST_VERB_BYTES: usize = 64;

/// The content of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Request {
    /// `governor/set`: an order to the governor.
    Governor {
        /// The order.
        order: Order,
        /// Its duration; `None` = until the next one.
        for_: Option<Duration>,
    },
    /// `pipeline/pause`, `pipeline/resume`.
    Pause {
        /// Name of the pipeline; `None` = all.
        pipeline: Option<Arc<str>>,
        /// `true` = pause.
        paused: bool,
    },
}

/// A request as it came.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asked {
    /// The verb of the topic that it came on, to which the answer goes.
    pub(super) verb: String,
    /// The sender's identifier, which comes back in the answer.
    pub(super) transaction: Option<String>,
    /// The content, or the error to answer with.
    pub(super) request: Result<Request, String>,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Response {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Applies>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<String>,
}

/// Mode and rungs in force after a request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Applies {
    /// `auto`, `performance`, `quiet`, `manual`.
    pub(super) mode: Mode,
    /// The rung of each pipeline, by name.
    pub(super) pipelines: BTreeMap<String, RungInForce>,
    /// End of the orders in force, RFC 3339; absent = with the next one, or there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<String>,
}

/// The rung that a pipeline is on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct RungInForce {
    /// 0 = full work.
    pub(super) rung: usize,
    /// Number of rungs.
    pub(super) of: usize,
    /// No frame is worked on: by request, or because the board is too hot.
    pub(super) paused: bool,
}

impl Response {
    /// An answer with what is in force, or with the error.
    pub(super) fn new(transaction: Option<String>, result: Result<Applies, String>) -> Self {
        match result {
            Ok(data) => Response { status: "ok", error: None, data: Some(data), transaction },
            Err(error) => Response { status: "error", error: Some(error), data: None, transaction },
        }
    }
}

/// Reads a request; `pipelines` are the names of those that run, `allowed` the requests that the configuration permits. `None` for
/// a verb that is too long to be answered.
pub(super) fn parse(verb: &str, payload: &[u8], pipelines: &[&str], allowed: &Requests) -> Option<Asked> {
    if verb.len() > MOST_VERB_BYTES {
        return None;
    }
    let (transaction, request) = match object(payload) {
        Ok(object) => {
            let transaction = object.get("transaction").and_then(Value::as_str).map(str::to_owned);
            (transaction, permitted(verb, allowed).and_then(|()| understand(verb, &object, pipelines)))
        }
        Err(why) => (None, permitted(verb, allowed).and(Err(why))),
    };
    Some(Asked { verb: verb.to_owned(), transaction, request })
}

fn object(payload: &[u8]) -> Result<Map<String, Value>, String> {
    if payload.len() > MOST_BYTES {
        return Err(format!("the payload has {} bytes; at most {MOST_BYTES} are read", payload.len()));
    }
    if payload.is_empty() {
        return Err("the payload is empty; it must be a JSON object".into());
    }
    match serde_json::from_slice(payload) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(other) => Err(format!("the payload is {}; it must be a JSON object", kind(&other))),
        Err(error) => Err(format!("the payload is not JSON: {error}")),
    }
}

fn known(verb: &str) -> Result<(), String> {
    if VERBS.contains(&verb) {
        return Ok(());
    }
    Err(format!("unknown verb {verb:?}; known are {}", VERBS.join(", ")))
}

/// Refuses an unknown verb, and one that the configuration does not allow.
fn permitted(verb: &str, allowed: &Requests) -> Result<(), String> {
    known(verb)?;
    if allowed.allow(verb) {
        return Ok(());
    }
    Err(format!("{verb} is not allowed: mqtt.requests = {} in the configuration of this node", allowed.shown()))
}

fn understand(verb: &str, object: &Map<String, Value>, pipelines: &[&str]) -> Result<Request, String> {
    if let Some(other) = object.get("transaction").filter(|t| !t.is_string()) {
        return Err(format!("transaction: found {}, allowed is a string", kind(other)));
    }
    match verb {
        "governor/set" => governor(object, pipelines),
        _ => {
            only(object, &["transaction", "pipeline"])?;
            let pipeline = object.get("pipeline").map(|value| name(value, pipelines)).transpose()?;
            Ok(Request::Pause { pipeline, paused: verb == "pipeline/pause" })
        }
    }
}

fn only(object: &Map<String, Value>, keys: &[&str]) -> Result<(), String> {
    match object.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => Err(format!("unknown key {}; known are {}", shown(key), keys.join(", "))),
        None => Ok(()),
    }
}

fn governor(object: &Map<String, Value>, pipelines: &[&str]) -> Result<Request, String> {
    only(object, &["transaction", "mode", "rung", "pipeline", "for_s", "release"])?;
    let rung = object.get("rung").map(whole).transpose()?;
    let mode = object.get("mode").map(mode).transpose()?;
    let pipeline = object.get("pipeline").map(|value| name(value, pipelines)).transpose()?;
    let for_ = object.get("for_s").map(seconds).transpose()?;
    let release = object.get("release").map(truth).transpose()?;
    let order = match (release, mode, rung) {
        (Some(()), None, None) if pipeline.is_none() && for_.is_none() => Order::Release,
        (Some(()), ..) => return Err("release: stands alone, without mode, rung, pipeline and for_s".into()),
        (None, Some(_), Some(_)) => return Err("mode and rung: give one of the two".into()),
        (None, Some(_), None) if pipeline.is_some() => {
            return Err("pipeline: goes with rung only; a mode is for all pipelines".into());
        }
        (None, Some(mode), None) => Order::Mode(mode),
        (None, None, Some(rung)) => Order::Fix { pipeline, rung },
        (None, None, None) => return Err("one of mode, rung and release is needed".into()),
    };
    Ok(Request::Governor { order, for_ })
}

fn mode(value: &Value) -> Result<Mode, String> {
    const ALLOWED: &str = "allowed are auto, performance, quiet, manual";
    serde_json::from_value(value.clone()).map_err(|_| match value {
        Value::String(text) => format!("mode: found {}, {ALLOWED}", shown(text)),
        other => format!("mode: found {}, {ALLOWED}", kind(other)),
    })
}

fn whole(value: &Value) -> Result<usize, String> {
    const ALLOWED: &str = "allowed is a whole number, 0 = full work";
    match value {
        Value::Number(number) => {
            let rung = number.as_u64().and_then(|n| usize::try_from(n).ok());
            rung.ok_or_else(|| format!("rung: found {number}, {ALLOWED}"))
        }
        other => Err(format!("rung: found {}, {ALLOWED}", kind(other))),
    }
}

fn name(value: &Value, pipelines: &[&str]) -> Result<Arc<str>, String> {
    let Value::String(name) = value else {
        return Err(format!("pipeline: found {}, allowed is a name", kind(value)));
    };
    let unknown = || format!("pipeline: found {}, there are {}", shown(name), pipelines.join(", "));
    pipelines.iter().find(|p| *p == name).map(|p| Arc::from(*p)).ok_or_else(unknown)
}

fn seconds(value: &Value) -> Result<Duration, String> {
    const ALLOWED: &str = "allowed is a number of seconds from 1 to 86400";
    match value {
        Value::Number(number) => {
            let seconds = number.as_f64().filter(|s| (1.0..=86_400.0).contains(s)).map(Duration::from_secs_f64);
            seconds.ok_or_else(|| format!("for_s: found {number}, {ALLOWED}"))
        }
        other => Err(format!("for_s: found {}, {ALLOWED}", kind(other))),
    }
}

fn truth(value: &Value) -> Result<(), String> {
    match value {
        Value::Bool(true) => Ok(()),
        Value::Bool(false) => Err("release: found false, allowed is true".into()),
        other => Err(format!("release: found {}, allowed is true", kind(other))),
    }
}

/// A value's kind for people: the value itself may be long.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Text of a request, cut and quoted.
fn shown(text: &str) -> String {
    let cut: String = text.chars().take(40).collect();
    if cut.len() < text.len() { format!("{cut:?}…") } else { format!("{cut:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::requests::Level;

    const PIPELINES: [&str; 2] = ["door", "meter"];

    fn asked(payload: &str) -> Asked {
        parse("governor/set", payload.as_bytes(), &PIPELINES, &Requests::default()).unwrap()
    }

    #[test]
    fn orders_are_understood() {
        let check = |payload: &str, order: Order, for_s: Option<f64>| {
            let for_ = for_s.map(Duration::from_secs_f64);
            assert_eq!(asked(payload).request, Ok(Request::Governor { order, for_ }), "{payload}");
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
            (&" ".repeat(5000), "the payload has 5000 bytes"),
            (&"[".repeat(4000), "the payload is not JSON"),
        ] {
            check(payload, words);
        }
        let asked = asked(r#"{"mode":"fast","transaction":"7"}"#);
        assert_eq!(asked.transaction, Some("7".into()), "an error knows what it answers");
        assert_eq!(
            parse("governor/set", &[0xff, 0xfe], &PIPELINES, &Requests::default()).map(|a| a.request.is_err()),
            Some(true)
        );
    }

    #[test]
    fn pipelines_rest_and_go_on() {
        let check = |verb: &str, payload: &str, request: Result<Request, String>| {
            assert_eq!(
                parse(verb, payload.as_bytes(), &PIPELINES, &Requests::default()).unwrap().request,
                request,
                "{verb} {payload}"
            );
        };
        check("pipeline/pause", "{}", Ok(Request::Pause { pipeline: None, paused: true }));
        check(
            "pipeline/resume",
            r#"{"pipeline":"door"}"#,
            Ok(Request::Pause { pipeline: Some("door".into()), paused: false }),
        );
        let unknown = "unknown key \"for_s\"; known are transaction, pipeline";
        check("pipeline/pause", r#"{"for_s":5}"#, Err(unknown.into()));
        let nobody = "pipeline: found \"attic\", there are door, meter";
        check("pipeline/pause", r#"{"pipeline":"attic"}"#, Err(nobody.into()));
    }

    #[test]
    fn an_unknown_verb_is_answered_with_those_that_are_known() {
        for payload in ["{}", "", "nonsense"] {
            let asked = parse("restart", payload.as_bytes(), &PIPELINES, &Requests::default()).unwrap();
            let words = "unknown verb \"restart\"; known are governor/set, pipeline/pause, pipeline/resume";
            assert_eq!(asked.request, Err(words.into()), "{payload}");
        }
        assert_eq!(parse(&"x".repeat(65), b"{}", &PIPELINES, &Requests::default()), None);
    }

    #[test]
    fn what_the_configuration_forbids_is_answered_with_its_key() {
        let quiet = br#"{"mode":"quiet","transaction":"7"}"#;
        for (requests, shown) in [
            (Requests::Level(Level::Off), "\"off\""),
            (Requests::Level(Level::Read), "\"read\""),
            (Requests::Verbs(vec!["pipeline/pause".into()]), "[\"pipeline/pause\"]"),
        ] {
            let words =
                format!("governor/set is not allowed: mqtt.requests = {shown} in the configuration of this node");
            let asked = parse("governor/set", quiet, &PIPELINES, &requests).unwrap();
            assert_eq!((asked.request, asked.transaction), (Err(words.clone()), Some("7".into())));
            let asked = parse("governor/set", b"nonsense", &PIPELINES, &requests).unwrap();
            assert_eq!(asked.request, Err(words), "it is not looked at either");
        }
        let some = Requests::Verbs(vec!["governor/set".into()]);
        assert!(parse("governor/set", quiet, &PIPELINES, &some).unwrap().request.is_ok());
    }

    #[test]
    fn an_answer_says_what_applies_or_what_is_wrong() {
        let json = |response: &Response| serde_json::to_value(response).unwrap();
        let pipelines = BTreeMap::from([("meter".to_owned(), RungInForce { rung: 1, of: 4, paused: false })]);
        let applies = Applies { mode: Mode::Auto, pipelines, until: None };
        let expected = serde_json::json!({
            "status": "ok",
            "data": {"mode": "auto", "pipelines": {"meter": {"rung": 1, "of": 4, "paused": false}}},
            "transaction": "7",
        });
        assert_eq!(json(&Response::new(Some("7".into()), Ok(applies))), expected);
        let expected = serde_json::json!({"status": "error", "error": "no"});
        assert_eq!(json(&Response::new(None, Err("no".into()))), expected);
    }
}
