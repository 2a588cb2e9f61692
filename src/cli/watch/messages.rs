//! Messages of nodes, read as any other client would: typed, with keys that may be missing and further ones that are left alone.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::frame::{NodeName, PipelineName};
use crate::publish::payload::{Governor, Health};

/// A message of a node.
#[derive(Debug)]
pub enum Message {
    /// `state`: birth or will.
    Online(bool),
    /// An empty retained message on `state`: the node was taken away.
    Gone,
    /// `info`.
    Info(Info),
    /// `health`.
    Health(Box<Health>),
    /// `governor`.
    Governor(Box<Governor>),
    /// A message of a pipeline.
    Pipeline(PipelineName, PipelineMessage),
    /// `response/<verb>`.
    Response(Response),
}

/// A message of a pipeline.
#[derive(Debug)]
pub enum PipelineMessage {
    /// `result`: one inference.
    Result(Box<Answer>),
    /// `state`: the latest summary.
    State(Box<Answer>),
    /// An empty retained message on `state`: the pipeline is no longer configured.
    Gone,
    /// `event`.
    Event(Box<Event>),
    /// `detect/state`: the pipeline works, or rests by request.
    Working(bool),
}

/// Reasons for which a message is not one of those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It is on another topic, or of a pipeline or node whose name is none.
    Elsewhere,
    /// Its payload has another form.
    Form,
}

/// `info`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Info {
    /// Version of leptond.
    pub version: String,
    /// Name of the board.
    pub board: String,
}

/// An inference, or the summary of one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// `classify`, `detect`, `anomaly`, `raw`.
    pub task: String,
    /// The best label, or a meter's reading.
    pub label: Option<String>,
    /// Its score; of an anomaly, the error.
    pub score: Option<f64>,
    /// Worth of a reading; absent for what is none.
    pub quality: Option<String>,
    /// The reading is an earlier one.
    pub held: bool,
    /// Unit of a meter's reading.
    pub unit: Option<String>,
    /// Reason for which a meter's reading is held, or none.
    pub problem: Option<String>,
    /// A line of text.
    pub text: Option<String>,
    /// The right answer, where the source knows it.
    pub truth: Option<String>,
    /// Objects by label that last.
    pub counts: BTreeMap<String, u64>,
    /// Objects of one frame.
    pub detections: Vec<Found>,
    /// The score above which an anomaly starts.
    pub threshold: Option<f64>,
    /// An anomaly is going on.
    pub anomalous: bool,
    /// The threshold is being learnt.
    pub calibrating: bool,
    /// The channels that an anomaly is of, most first.
    pub channels: Vec<Channel>,
    /// From the capture to the publisher.
    pub frame_age_ms: Option<f64>,
}

/// A channel of an anomaly: its share of the score, or its own fault.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Channel {
    /// Its name, or its number.
    pub channel: String,
    /// Its share, 0 to 1.
    pub share: f64,
    /// In which way it is not as it should be.
    pub fault: Option<String>,
    /// Distance from what is usual, or from the limit.
    pub distance: Option<f64>,
}

impl Channel {
    /// `soc_celsius spike 12.3`, or `soc_celsius 71 %`.
    pub fn words(&self) -> String {
        let Channel { channel, share, fault, distance } = self;
        let Some(fault) = fault else { return format!("{channel} {:.0} %", share * 100.0) };
        let distance = distance.filter(|d| d.abs() < 1e9).map_or(String::new(), |d| format!(" {d:.1}"));
        format!("{channel} {fault}{distance}")
    }
}

/// One object of a frame.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Found {
    /// Its label.
    pub label: String,
    /// Its score.
    pub score: Option<f64>,
}

/// A change.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Event {
    /// `new`, `update`, `end`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its subject.
    pub label: String,
    /// Its score.
    pub score: Option<f64>,
    /// The object's number.
    pub track_id: Option<u64>,
    /// The zones that it is in.
    pub zones: Vec<String>,
    /// The zones in which it has stayed for long.
    pub loitering: Vec<String>,
    /// The lines that it crossed.
    pub crossings: Vec<Crossing>,
    /// It has not moved for long.
    pub stationary: bool,
    /// The channels that an anomaly is of, most first.
    pub channels: Vec<Channel>,
    /// Results of other pipelines about it.
    pub attributes: BTreeMap<String, Attribute>,
    /// It was not sent the first time.
    pub resent: bool,
    /// Its begin, RFC 3339.
    pub start_time: String,
}

/// A line that an object crossed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Crossing {
    /// The line.
    pub line: String,
    /// `forward` or `backward`.
    pub direction: String,
}

/// A result of another pipeline about an object.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Attribute {
    /// Its best label or its reading.
    pub label: Option<String>,
}

/// The answer to a request.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Response {
    /// `ok` or `error`.
    pub status: String,
    /// Reason for a refusal.
    pub error: Option<String>,
    /// The sender's identifier.
    pub transaction: Option<String>,
}

/// The node and the message of a topic below `prefix`.
///
/// # Errors
/// [`Unread`], which says why it is nothing that is shown.
pub fn read(prefix: &str, topic: &str, payload: &[u8]) -> Result<(NodeName, Message), Unread> {
    let rest = topic.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')).ok_or(Unread::Elsewhere)?;
    let (node, rest) = rest.split_once('/').ok_or(Unread::Elsewhere)?;
    let node = NodeName::new(node).map_err(|_| Unread::Elsewhere)?;
    let message = match rest {
        "state" if payload.is_empty() => Message::Gone,
        "state" => Message::Online(object::<State>(payload)?.state == "online"),
        "info" => Message::Info(object(payload)?),
        "health" => Message::Health(object(payload)?),
        "governor" => Message::Governor(object(payload)?),
        _ if rest.starts_with("response/") => Message::Response(object(payload)?),
        _ => {
            let (pipeline, kind) = rest.split_once('/').ok_or(Unread::Elsewhere)?;
            let pipeline = PipelineName::new(pipeline).map_err(|_| Unread::Elsewhere)?;
            let message = match kind {
                "result" => PipelineMessage::Result(object(payload)?),
                "state" if payload.is_empty() => PipelineMessage::Gone,
                "state" => PipelineMessage::State(object(payload)?),
                "event" => PipelineMessage::Event(object(payload)?),
                "detect/state" => PipelineMessage::Working(match payload {
                    b"ON" => true,
                    b"OFF" => false,
                    _ => return Err(Unread::Form),
                }),
                _ => return Err(Unread::Elsewhere),
            };
            Message::Pipeline(pipeline, message)
        }
    };
    Ok((node, message))
}

#[derive(Deserialize)]
struct State {
    state: String,
}

/// A JSON object of a known form.
fn object<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, Unread> {
    // Serde also takes arrays for structures.
    if !payload.trim_ascii_start().starts_with(b"{") {
        return Err(Unread::Form);
    }
    serde_json::from_slice(payload).map_err(|_| Unread::Form)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(topic: &str, payload: &str) -> String {
        match read("home/leptond", topic, payload.as_bytes()) {
            Err(unread) => format!("{unread:?}"),
            Ok((node, message)) => {
                let text = format!("{message:?}");
                format!("{node} {}", text.split([' ', '(', '{']).next().unwrap_or_default())
            }
        }
    }

    #[test]
    fn each_topic_has_its_message() {
        for (topic, payload, expected) in [
            ("home/leptond/attic/state", r#"{"state":"online"}"#, "attic Online"),
            ("home/leptond/attic/state", "", "attic Gone"),
            ("home/leptond/attic/info", r#"{"version":"1","further":{"x":[1]}}"#, "attic Info"),
            ("home/leptond/attic/health", "{}", "attic Health"),
            ("home/leptond/attic/governor", "{}", "attic Governor"),
            ("home/leptond/attic/door/result", r#"{"task":"detect","a":1}"#, "attic Pipeline"),
            ("home/leptond/attic/door/state", "", "attic Pipeline"),
            ("home/leptond/attic/door/event", "{}", "attic Pipeline"),
            ("home/leptond/attic/door/detect/state", "OFF", "attic Pipeline"),
            ("home/leptond/attic/response/pipeline/pause", r#"{"status":"ok"}"#, "attic Response"),
            ("home/leptond/attic/door/detect/state", "off", "Form"),
            ("home/leptond/attic/state", "[\"online\"]", "Form"),
            ("home/leptond/attic/state", "{}", "Form"),
            ("home/leptond/attic/health", "null", "Form"),
            ("home/leptond/attic/door/event", r#"{"label":7}"#, "Form"),
            ("home/leptond/attic/door/result", "\u{1b}[2J", "Form"),
            ("home/leptond/attic/door/snapshot", "{}", "Elsewhere"),
            ("home/leptond/attic/request/restart", "{}", "Elsewhere"),
            ("home/leptond/a b/state", "{}", "Elsewhere"),
            ("home/leptond/attic", "{}", "Elsewhere"),
            ("home/leptondx/attic/state", "{}", "Elsewhere"),
            ("leptond/attic/state", "{}", "Elsewhere"),
        ] {
            assert_eq!(kind(topic, payload), expected, "{topic} {payload}");
        }
    }
}
