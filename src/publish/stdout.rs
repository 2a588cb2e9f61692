//! Messages for people and scripts on standard output: one aligned line each, or one JSON object each. Pure: renders text.

use std::fmt::Write as _;
use std::io::IsTerminal;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::frame::rfc3339;

/// Columns that a topic is padded to.
const TOPIC: usize = 30;
/// Characters of a payload of unknown form that are shown.
const SHOWN: usize = 160;

/// How messages are printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Printer {
    /// One JSON object per line: `topic`, `payload`, `retain`.
    pub json: bool,
    /// With terminal colours.
    pub colour: bool,
    /// First levels of every topic, left out for people.
    pub prefix: String,
}

#[derive(Clone, Copy)]
enum Tone {
    Plain,
    Good,
    Bad,
    Dim,
}

impl Printer {
    /// For this process's standard output: colour on a terminal, unless `NO_COLOR` is set (to anything but nothing).
    pub fn for_stdout(json: bool, prefix: &str) -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        Printer { json, colour: !no_colour && std::io::stdout().is_terminal(), prefix: prefix.into() }
    }

    /// One message as a line, without its end. `now` is when it came.
    pub fn line(&self, topic: &str, payload: &[u8], retain: bool, now: SystemTime) -> String {
        if self.json {
            return json_line(topic, payload, retain);
        }
        let short = topic.strip_prefix(&self.prefix).and_then(|t| t.strip_prefix('/')).unwrap_or(topic);
        let stamp = rfc3339(now);
        let time = stamp.get(11..23).unwrap_or(&stamp);
        let kind = topic.rsplit('/').next().unwrap_or_default();
        let (tone, text) = match serde_json::from_slice::<Value>(payload) {
            Ok(value) => summary(kind, &value).unwrap_or_else(|| (Tone::Plain, cut(&value.to_string()))),
            Err(_) => match std::str::from_utf8(payload) {
                Ok(text) => (Tone::Plain, cut(text)),
                Err(_) => (Tone::Dim, format!("{} bytes", payload.len())),
            },
        };
        let time = self.paint(Tone::Dim, time);
        let text = self.paint(tone, &printable(&text));
        format!("{time}  {:<TOPIC$}  {text}", printable(short))
    }

    fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            _ if !self.colour => return text.into(),
            Tone::Plain => return text.into(),
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Dim => "2",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

fn json_line(topic: &str, payload: &[u8], retain: bool) -> String {
    let value = serde_json::from_slice(payload)
        .or_else(|_| std::str::from_utf8(payload).map(Value::from))
        .unwrap_or_else(|_| json!({ "bytes": payload.len() }));
    json!({ "topic": topic, "payload": value, "retain": retain }).to_string()
}

/// The gist of a message of known form.
fn summary(kind: &str, value: &Value) -> Option<(Tone, String)> {
    value.as_object()?;
    match kind {
        "state" if value["state"].is_string() => {
            let state = text(&value["state"]);
            Some((if state == "online" { Tone::Good } else { Tone::Bad }, state))
        }
        "state" | "result" => Some(outcome(value)),
        "event" => Some(event(value)),
        "health" => Some(health(value)),
        "governor" => Some(governor(value)),
        "info" => Some(info(value)),
        _ => None,
    }
}

fn outcome(value: &Value) -> (Tone, String) {
    let mut tone = Tone::Plain;
    let mut line = match value["task"].as_str().unwrap_or_default() {
        "classify" => match value["quality"].as_str() {
            None | Some("good") => format!("{}  {}", text(&value["label"]), percent(&value["score"])),
            Some(quality) if value["held"] == true => format!("{}  held: {quality}", text(&value["label"])),
            Some(quality) => format!("no reading: {quality}"),
        },
        "detect" => detections(value),
        "anomaly" => {
            let mut line = format!("score {}", number(&value["score"], 4));
            if value["threshold"].is_number() {
                let _ = write!(line, " of {}", number(&value["threshold"], 4));
            }
            if value["anomalous"] == true {
                tone = Tone::Bad;
                line.push_str("  ANOMALY");
            } else if value["calibrating"] == true {
                tone = Tone::Dim;
                line.push_str("  calibrating");
            }
            line
        }
        "raw" => format!("{} outputs", value["outputs"].as_array().map_or(0, Vec::len)),
        _ => return (Tone::Plain, cut(&value.to_string())),
    };
    if value["truth"].is_string() {
        let right = value["truth"] == value["label"];
        tone = if right { Tone::Good } else { Tone::Bad };
        let _ = write!(line, "  truth {}{}", text(&value["truth"]), if right { "" } else { "  WRONG" });
    }
    for (key, name) in [("frame_age_ms", "age"), ("infer_ms", "infer")] {
        if value[key].is_number() {
            let _ = write!(line, "  {name} {} ms", number(&value[key], 1));
        }
    }
    if value["rung"].as_u64().is_some_and(|rung| rung > 0) {
        let _ = write!(line, "  rung {}", value["rung"]);
    }
    (tone, line)
}

fn detections(value: &Value) -> String {
    let mut counts = std::collections::BTreeMap::<String, u64>::new();
    if let Some(given) = value["counts"].as_object() {
        counts.extend(given.iter().map(|(label, n)| (label.clone(), n.as_u64().unwrap_or(0))));
    }
    for detection in value["detections"].as_array().into_iter().flatten() {
        *counts.entry(text(&detection["label"])).or_default() += 1;
    }
    if counts.is_empty() {
        return "nothing".into();
    }
    counts.iter().map(|(label, n)| format!("{n} {label}")).collect::<Vec<_>>().join(", ")
}

fn event(value: &Value) -> (Tone, String) {
    let kind = text(&value["type"]);
    let tone = if kind == "end" { Tone::Dim } else { Tone::Bad };
    (tone, format!("{kind:<6}  {}  {}  {}", text(&value["label"]), number(&value["score"], 3), text(&value["id"])))
}

fn health(value: &Value) -> (Tone, String) {
    let mut line = format!("up {} s", value["uptime_s"]);
    if let Some(bytes) = value["rss_bytes"].as_f64() {
        let _ = write!(line, "  {:.1} MB", bytes / 1e6);
    }
    for (key, unit) in [("cpu_percent", "% CPU"), ("soc_celsius", "°C")] {
        if value[key].is_number() {
            let _ = write!(line, "  {} {unit}", number(&value[key], 1));
        }
    }
    let throttled = &value["throttled"];
    let bad = throttled["now"] == true || throttled["under_voltage"] == true;
    if bad {
        line.push_str("  THROTTLED");
    }
    let mqtt = &value["mqtt"];
    let _ = write!(line, "  mqtt {} sent {} queued {} dropped", mqtt["published"], mqtt["queued"], mqtt["dropped"]);
    for (name, pipeline) in value["pipelines"].as_object().into_iter().flatten() {
        let (fps, p95) = (number(&pipeline["fps"], 1), number(&pipeline["latency_ms"]["p95"], 1));
        let _ = write!(line, "  | {name} {fps} fps p95 {p95} ms {} drops", pipeline["drops"]);
        if pipeline["rung"].as_u64().is_some_and(|rung| rung > 0) {
            let _ = write!(line, " rung {}", pipeline["rung"]);
        }
        if pipeline["idle"].is_string() {
            let _ = write!(line, " idle: {}", text(&pipeline["idle"]));
        }
    }
    (if bad { Tone::Bad } else { Tone::Plain }, line)
}

fn governor(value: &Value) -> (Tone, String) {
    let reduced = value["rung"].as_u64().is_some_and(|rung| rung > 0) || value["paused"] == true;
    let mut line =
        [&value["mode"], &value["state"]].into_iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
    let _ = write!(line, "  {}  rung {} of {}", text(&value["pipeline"]), value["rung"], value["of"]);
    if value["paused"] == true {
        line.push_str(" PAUSED");
    }
    let _ = write!(line, "  interval {} ms", value["interval_ms"]);
    for (key, unit) in [("capture", " px captured"), ("resolution", " px")] {
        if value[key].is_number() {
            let _ = write!(line, "  {}{unit}", value[key]);
        }
    }
    if value["batch"].as_u64().is_some_and(|batch| batch > 1) {
        let _ = write!(line, "  batch {}", value["batch"]);
    }
    let _ = write!(line, "  {}", text(&value["reason"]));
    (if reduced { Tone::Bad } else { Tone::Plain }, cut(&line))
}

fn info(value: &Value) -> (Tone, String) {
    let models = value["models"].as_array().into_iter().flatten();
    let models: Vec<_> =
        models.map(|m| format!("{} {} ({})", text(&m["name"]), text(&m["version"]), text(&m["engine"]))).collect();
    (Tone::Plain, format!("leptond {} on {}  {}", text(&value["version"]), text(&value["board"]), models.join(", ")))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

fn number(value: &Value, decimals: usize) -> String {
    value.as_f64().map_or_else(|| "-".into(), |v| format!("{v:.decimals$}"))
}

fn percent(value: &Value) -> String {
    value.as_f64().map_or_else(|| "-".into(), |v| format!("{:.1} %", v * 100.0))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.into(),
    }
}

/// Payloads come from anybody: no control characters reach the terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{b7}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(topic: &str, payload: &str) -> String {
        let printer = Printer { json: false, colour: false, prefix: "leptond".into() };
        printer.line(topic, payload.as_bytes(), false, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn messages_become_lines() {
        let cases = [
            ("leptond/a/state", r#"{"state":"online"}"#, "a/state", "online"),
            (
                "leptond/a/meter/result",
                r#"{"seq":1,"frame_age_ms":4.321,"infer_ms":1.5,"rung":1,"task":"classify","label":"01234","score":0.971,"truth":"01234"}"#,
                "a/meter/result",
                "01234  97.1 %  truth 01234  age 4.3 ms  infer 1.5 ms  rung 1",
            ),
            (
                "leptond/a/meter/state",
                r#"{"task":"classify","label":"07019","value":7019,"score":0.9,"quality":"good","held":false}"#,
                "a/meter/state",
                "07019  90.0 %",
            ),
            (
                "leptond/a/meter/result",
                r#"{"task":"classify","label":"07019","score":0.0,"quality":"unreadable","held":true,"truth":"07020"}"#,
                "a/meter/result",
                "07019  held: unreadable  truth 07020  WRONG",
            ),
            (
                "leptond/a/meter/state",
                r#"{"task":"classify","label":null,"quality":"uncertain","held":false}"#,
                "a/meter/state",
                "no reading: uncertain",
            ),
            ("leptond/a/cam/state", r#"{"task":"detect","counts":{"cat":2,"dog":1}}"#, "a/cam/state", "2 cat, 1 dog"),
            ("leptond/a/cam/result", r#"{"task":"detect","detections":[]}"#, "a/cam/result", "nothing"),
            (
                "leptond/a/m/result",
                r#"{"task":"anomaly","score":0.5,"threshold":0.1,"anomalous":true}"#,
                "a/m/result",
                "score 0.5000 of 0.1000  ANOMALY",
            ),
            (
                "leptond/a/m/event",
                r#"{"type":"new","id":"m-1","label":"anomaly","score":0.5}"#,
                "a/m/event",
                "new     anomaly  0.500  m-1",
            ),
            (
                "leptond/a/governor",
                r#"{"mode":"auto","state":"reduced","pipeline":"m","rung":1,"of":3,"interval_ms":200,"batch":1,"paused":false,"reason":"hot"}"#,
                "a/governor",
                "auto reduced  m  rung 1 of 3  interval 200 ms  hot",
            ),
            (
                "leptond/a/governor",
                r#"{"mode":"quiet","state":"paused","pipeline":"m","rung":2,"of":3,"interval_ms":0,"resolution":96,"batch":4,"paused":true,"reason":"hot"}"#,
                "a/governor",
                "quiet paused  m  rung 2 of 3 PAUSED  interval 0 ms  96 px  batch 4  hot",
            ),
            ("other/topic", "[1,2]", "other/topic", "[1,2]"),
            ("leptond/a/m/result", "no json", "a/m/result", "no json"),
        ];
        for (topic, payload, name, rest) in cases {
            assert_eq!(plain(topic, payload), format!("00:00:00.000  {name:<30}  {rest}"));
        }
    }

    #[test]
    fn whatever_comes_is_one_line_without_control_characters() {
        let printer = Printer { json: false, colour: false, prefix: "leptond".into() };
        let payloads: [&[u8]; 7] =
            [b"\x1b[2J\nboo", &[0xff, 0xfe], b"", b"null", br#"{"task":7}"#, br#"{"state":{}}"#, &[b'x'; 10_000]];
        for kind in ["state", "result", "event", "health", "governor", "info", "snapshot", ""] {
            for payload in payloads {
                let line = printer.line(&format!("leptond/a\x07/{kind}"), payload, true, SystemTime::UNIX_EPOCH);
                assert!(!line.chars().any(char::is_control), "{line:?}");
                assert!(line.chars().count() < 400, "{line:?}");
            }
        }
    }

    #[test]
    fn json_lines_hold_topic_and_payload() {
        let printer = Printer { json: true, colour: true, prefix: String::new() };
        let line = |payload: &[u8]| printer.line("a/b", payload, true, SystemTime::UNIX_EPOCH);
        let parsed = |payload: &[u8]| serde_json::from_str::<Value>(&line(payload)).unwrap();
        assert_eq!(parsed(br#"{"x":1}"#), json!({"topic": "a/b", "payload": {"x": 1}, "retain": true}));
        assert_eq!(parsed(b"text")["payload"], "text");
        assert_eq!(parsed(&[0xff])["payload"], json!({"bytes": 1}));
    }

    #[test]
    fn colour_only_where_it_is_wanted() {
        let payload = br#"{"state":"offline"}"#;
        let colour = Printer { json: false, colour: true, prefix: "leptond".into() };
        assert!(colour.line("leptond/a/state", payload, false, SystemTime::UNIX_EPOCH).contains("\x1b[31moffline"));
        assert!(!plain("leptond/a/state", r#"{"state":"offline"}"#).contains('\x1b'));
    }
}
