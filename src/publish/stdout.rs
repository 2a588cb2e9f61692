//! Messages on standard output: one aligned line each for people, or one JSON object each for scripts. Pure: renders text.

use std::io::IsTerminal;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::wording::{self, Line, Tone, cut};
use crate::frame::rfc3339;

/// Columns that a topic is padded to.
const TOPIC: usize = 30;

/// The same where a line is to fit.
const SHORT_TOPIC: usize = 14;

/// Form of printed messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Printer {
    /// One JSON object per line: `topic`, `payload`, `retain`.
    pub json: bool,
    /// With terminal colours.
    pub colour: bool,
    /// First levels of every topic, left out for people.
    pub prefix: String,
    /// Columns of a line for people at most; `None` = as long as it is.
    pub columns: Option<usize>,
}

impl Printer {
    /// For this process's standard output: colour on a terminal, unless `NO_COLOR` is set (to anything but nothing).
    pub fn for_stdout(json: bool, prefix: &str) -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        Printer { json, colour: !no_colour && std::io::stdout().is_terminal(), prefix: prefix.into(), columns: None }
    }

    /// The same with lines of at most so many columns.
    pub fn fitted(self, columns: Option<usize>) -> Self {
        Printer { columns, ..self }
    }

    /// One message, which came at `now`, as a line without its end.
    pub fn line(&self, topic: &str, payload: &[u8], retain: bool, now: SystemTime) -> String {
        if self.json {
            return json_line(topic, payload, retain);
        }
        let short = topic.strip_prefix(&self.prefix).and_then(|t| t.strip_prefix('/')).unwrap_or(topic);
        let kind = topic.rsplit('/').next().unwrap_or_default();
        let line = wording::of_message(kind, payload).unwrap_or_else(|| unknown(payload));
        self.text(short, line, now)
    }

    /// A line for people, without its end: the time, the topic and the text.
    pub(super) fn text(&self, topic: &str, (tone, text): Line, now: SystemTime) -> String {
        let stamp = rfc3339(now);
        let (topic, text) = (printable(topic), printable(&text));
        let Some(columns) = self.columns else {
            let time = self.paint(Tone::Dim, stamp.get(11..23).unwrap_or(&stamp));
            let text = self.paint(tone, &text);
            return format!("{time}  {topic:<TOPIC$}  {text}");
        };
        // Node and thousandths need not be told in a line that has no room for more.
        let clock = stamp.get(11..19).unwrap_or(&stamp);
        let topic = topic.split_once('/').map_or(topic.as_str(), |(_, rest)| rest);
        let before = clock.len() + topic.chars().count().max(SHORT_TOPIC) + 4;
        let text = self.paint(tone, &fitted(&text, columns.saturating_sub(before)));
        format!("{}  {topic:<SHORT_TOPIC$}  {text}", self.paint(Tone::Dim, clock))
    }

    fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            _ if !self.colour => return text.into(),
            Tone::Plain => return text.into(),
            Tone::Good => "32",
            Tone::Doubtful => "33",
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

/// Text of a payload of unknown form.
fn unknown(payload: &[u8]) -> Line {
    match (serde_json::from_slice::<Value>(payload), std::str::from_utf8(payload)) {
        (Ok(value), _) => (Tone::Plain, cut(&value.to_string())),
        (_, Ok(text)) => (Tone::Plain, cut(text)),
        _ => (Tone::Dim, format!("{} bytes", payload.len())),
    }
}

/// The beginning of a text in at most so many characters.
fn fitted(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.into(),
        Some(_) if most == 0 => String::new(),
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
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
        let printer = Printer { json: false, colour: false, prefix: "leptond".into(), columns: None };
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
                "leptond/a/m/result",
                r#"{"task":"anomaly","score":0.5,"threshold":0.1,"anomalous":true,"channels":[{"channel":"cpu","share":0.71},{"channel":"ram","share":0.2}]}"#,
                "a/m/result",
                "score 0.5000 of 0.1000  ANOMALY in cpu 71 %, ram 20 %",
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
    fn a_line_that_is_to_fit_does_not_wrap() {
        let printer = Printer { json: false, colour: false, prefix: "leptond".into(), columns: None };
        let payload = r#"{"task":"anomaly","score":0.5,"threshold":0.1,"anomalous":true,"channels":[{"channel":"a long name","share":0.7}]}"#;
        let line = |columns| {
            let printer = printer.clone().fitted(columns);
            printer.line("leptond/attic/machine/result", payload.as_bytes(), false, SystemTime::UNIX_EPOCH)
        };
        assert_eq!(line(Some(60)), "00:00:00  machine/result  score 0.5000 of 0.1000  ANOMALY i…");
        for columns in 26..120 {
            assert!(line(Some(columns)).chars().count() <= columns, "{columns}: {}", line(Some(columns)));
        }
        assert!(line(None).ends_with("in a long name 70 %"));
    }

    #[test]
    fn whatever_comes_is_one_line_without_control_characters() {
        let printer = Printer { json: false, colour: false, prefix: "leptond".into(), columns: None };
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
        let printer = Printer { json: true, colour: true, prefix: String::new(), columns: None };
        let line = |payload: &[u8]| printer.line("a/b", payload, true, SystemTime::UNIX_EPOCH);
        let parsed = |payload: &[u8]| serde_json::from_str::<Value>(&line(payload)).unwrap();
        assert_eq!(parsed(br#"{"x":1}"#), json!({"topic": "a/b", "payload": {"x": 1}, "retain": true}));
        assert_eq!(parsed(b"text")["payload"], "text");
        assert_eq!(parsed(&[0xff])["payload"], json!({"bytes": 1}));
    }

    #[test]
    fn colour_only_where_it_is_wanted() {
        let payload = br#"{"state":"offline"}"#;
        let colour = Printer { json: false, colour: true, prefix: "leptond".into(), columns: None };
        assert!(colour.line("leptond/a/state", payload, false, SystemTime::UNIX_EPOCH).contains("\x1b[31moffline"));
        assert!(!plain("leptond/a/state", r#"{"state":"offline"}"#).contains('\x1b'));
    }
}
