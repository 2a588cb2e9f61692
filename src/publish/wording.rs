//! One line of text for each kind of message, the same for a value of this process and for a message of another node. Pure.

mod line;
mod node;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::payload::{Summary, ms};
use crate::frame::{
    ChannelFault, ChannelShare, Event, EventKind, MeterProblem, Outcome, Output, PositionRead, Share, TaskKind,
    is_near_truth,
};

use line::number;
pub(super) use line::{Line, Tone, cut};
pub(super) use node::{InfoWords, governor, health, info};

/// Channels of an anomaly that a line names.
const MOST_CHANNELS: usize = 3;

/// The line of a message of one of the known kinds; `None` where `payload` has another form.
pub(super) fn of_message(kind: &str, payload: &[u8]) -> Option<Line> {
    match kind {
        "state" => node_state(payload).or_else(|| result(&parse(payload)?)),
        "result" => result(&parse(payload)?),
        "event" => Some(event(&parse(payload)?)),
        "health" => Some(health(&parse(payload)?)),
        "governor" => Some(governor(&parse(payload)?)),
        "info" => Some(info(&parse(payload)?)),
        _ => None,
    }
}

/// A JSON object of a known form. Other nodes may run other versions: keys may be missing, and more may be there.
fn parse<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Option<T> {
    // Serde also takes arrays for structures.
    let object = payload.trim_ascii_start().starts_with(b"{");
    object.then(|| serde_json::from_slice(payload).ok()).flatten()
}

fn node_state(payload: &[u8]) -> Option<Line> {
    #[derive(Deserialize)]
    struct NodeState {
        state: String,
    }
    let NodeState { state } = parse(payload)?;
    Some((if state == "online" { Tone::Good } else { Tone::Bad }, state))
}

/// An inference, or the summary of one.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ResultWords {
    task: String,
    label: Option<String>,
    text: Option<String>,
    score: Option<f64>,
    quality: Option<String>,
    held: bool,
    counts: BTreeMap<String, u64>,
    detections: Vec<Labelled>,
    threshold: Option<f64>,
    anomalous: bool,
    calibrating: bool,
    channels: Vec<ChannelWords>,
    outputs: Outputs,
    classes: Vec<Part>,
    unit: Option<String>,
    problem: Option<String>,
    positions: Vec<Position>,
    truth: Option<String>,
    frame_age_ms: Option<f64>,
    infer_ms: Option<f64>,
    rung: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Labelled {
    label: String,
}

/// A channel with its share of an anomaly's score.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ChannelWords {
    channel: String,
    share: f64,
    fault: Option<String>,
    distance: Option<f64>,
    value: Option<f64>,
}

impl ChannelWords {
    fn of_fault(found: &ChannelFault) -> ChannelWords {
        ChannelWords {
            channel: found.channel.clone(),
            share: 0.0,
            fault: Some(found.fault.word().into()),
            distance: Some(found.distance.into()),
            value: found.value.map(f64::from),
        }
    }

    /// `soc_celsius spike at 85 (41.7)`: value, and how far that is off; `None` for a share of an anomaly.
    fn fault(&self) -> Option<String> {
        let value = self.value.map_or(String::new(), |value| format!(" at {value}"));
        let fault = self.fault.as_ref()?;
        Some(format!("{} {fault}{value} ({})", self.channel, number(self.distance, 1)))
    }

    fn of(channel: &ChannelShare) -> ChannelWords {
        ChannelWords { channel: channel.channel.to_string(), share: channel.share.into(), ..ChannelWords::default() }
    }
}

/// A class with its share of the picture.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Part {
    label: String,
    share: f64,
}

/// The position of a drum or pointer.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Position {
    position: Option<f64>,
}

/// Outputs of a raw task: a list in results, their number in summaries.
#[derive(Deserialize)]
#[serde(untagged)]
enum Outputs {
    Count(usize),
    List(Vec<IgnoredAny>),
}

impl Default for Outputs {
    fn default() -> Self {
        Outputs::Count(0)
    }
}

impl ResultWords {
    /// Of an output, shown at `now`.
    pub(super) fn of_output(output: &Output, now: Instant) -> ResultWords {
        let Output { stamp, outcome, timing, .. } = output;
        ResultWords {
            truth: stamp.truth.clone(),
            frame_age_ms: Some(ms(now.saturating_duration_since(stamp.captured))),
            infer_ms: Some(ms(timing.infer)),
            rung: timing.rung as u64,
            ..ResultWords::of_outcome(outcome)
        }
    }

    /// Of an outcome by itself.
    fn of_outcome(outcome: &Outcome) -> ResultWords {
        match outcome {
            Outcome::Classify { label, score, .. } => ResultWords {
                task: "classify".into(),
                label: Some(label.clone()),
                score: Some((*score).into()),
                ..ResultWords::default()
            },
            Outcome::Reading(reading) => ResultWords {
                task: "classify".into(),
                label: reading.label.clone(),
                score: Some(reading.score.into()),
                quality: Some(reading.quality.to_string()),
                held: reading.held,
                ..ResultWords::default()
            },
            Outcome::Detect { task, detections, .. } => ResultWords {
                task: task.word().into(),
                detections: detections.iter().map(|found| Labelled { label: found.label.to_string() }).collect(),
                ..ResultWords::default()
            },
            Outcome::Anomaly { score, threshold, anomalous, calibrating, channels } => ResultWords {
                task: "anomaly".into(),
                score: Some((*score).into()),
                threshold: threshold.map(f64::from),
                anomalous: *anomalous,
                calibrating: *calibrating,
                channels: channels.iter().map(ChannelWords::of).collect(),
                ..ResultWords::default()
            },
            Outcome::Channels { task, score, anomalous, calibrating, channels } => {
                ResultWords::of_faults(*task, *score, [*anomalous, *calibrating], channels)
            }
            Outcome::Meter(reading) => ResultWords {
                score: Some(reading.score.into()),
                ..meter(reading.label.as_ref(), reading.unit.as_ref(), reading.held, reading.problem)
            },
            Outcome::Position { positions } => ResultWords::of_positions(positions),
            Outcome::Semantic { classes, .. } => {
                ResultWords { task: "semantic".into(), classes: parts(classes), ..ResultWords::default() }
            }
            Outcome::Text { text, score, .. } => ResultWords {
                task: "text".into(),
                text: text.clone(),
                score: Some((*score).into()),
                ..ResultWords::default()
            },
            Outcome::Raw { outputs } => {
                ResultWords { task: "raw".into(), outputs: Outputs::Count(outputs.len()), ..ResultWords::default() }
            }
        }
    }

    fn of_faults(
        task: TaskKind,
        score: Option<f32>,
        [anomalous, calibrating]: [bool; 2],
        found: &[ChannelFault],
    ) -> ResultWords {
        let (score, channels) = (score.map(f64::from), found.iter().map(ChannelWords::of_fault).collect());
        ResultWords { task: task.word().into(), score, anomalous, calibrating, channels, ..ResultWords::default() }
    }

    fn of_positions(positions: &[PositionRead]) -> ResultWords {
        let of = |read: &PositionRead| Position { position: read.position.map(f64::from) };
        ResultWords { task: "position".into(), positions: positions.iter().map(of).collect(), ..ResultWords::default() }
    }

    /// Of a summary.
    pub(super) fn of_summary(summary: &Summary) -> ResultWords {
        match summary {
            Summary::Classify { label, score } => ResultWords {
                task: "classify".into(),
                label: Some(label.clone()),
                score: Some((*score).into()),
                ..ResultWords::default()
            },
            Summary::Reading { label, score, quality, held, .. } => ResultWords {
                task: "classify".into(),
                label: label.clone(),
                score: score.map(f64::from),
                quality: Some(quality.to_string()),
                held: *held,
                ..ResultWords::default()
            },
            Summary::Detect { task, counts, .. } => ResultWords {
                task: task.word().into(),
                counts: counts.iter().map(|(label, n)| (label.to_string(), *n as u64)).collect(),
                ..ResultWords::default()
            },
            Summary::Anomaly { score, anomalous, calibrating, channels } => ResultWords {
                task: "anomaly".into(),
                score: Some((*score).into()),
                anomalous: *anomalous,
                calibrating: *calibrating,
                channels: channels.iter().map(ChannelWords::of).collect(),
                ..ResultWords::default()
            },
            Summary::Channels { task, score, anomalous, calibrating, channels } => {
                ResultWords::of_faults(*task, *score, [*anomalous, *calibrating], channels)
            }
            Summary::Meter { label, unit, held, problem, .. } => meter(label.as_ref(), unit.as_ref(), *held, *problem),
            Summary::Position { positions } => ResultWords::of_positions(positions),
            Summary::Semantic { classes } => {
                ResultWords { task: "semantic".into(), classes: parts(classes), ..ResultWords::default() }
            }
            Summary::Text { text, score } => ResultWords {
                task: "text".into(),
                text: text.clone(),
                score: Some((*score).into()),
                ..ResultWords::default()
            },
            Summary::Raw { outputs } => {
                ResultWords { task: "raw".into(), outputs: Outputs::Count(*outputs), ..ResultWords::default() }
            }
        }
    }
}

/// The line of an inference or of a summary; `None` for a task that is not known.
pub(super) fn result(words: &ResultWords) -> Option<Line> {
    let mut tone = Tone::Plain;
    let label = words.label.as_deref().unwrap_or("-");
    let mut line = match words.task.as_str() {
        "classify" => match words.quality.as_deref() {
            None | Some("good") => {
                format!("{label}  {}", percent(words.score))
            }
            Some(quality) => {
                tone = Tone::Doubtful;
                if words.held { format!("{label}  held: {quality}") } else { format!("no reading: {quality}") }
            }
        },
        "detect" | "pose" | "segment" | "obb" => detections(words),
        "semantic" => shares(&words.classes),
        "meter" => {
            let unit = words.unit.as_deref().map(|unit| format!(" {unit}")).unwrap_or_default();
            match words.problem.as_deref().map(|problem| problem.replace('_', " ")) {
                None if words.score.is_some() => format!("{label}{unit}  {}", percent(words.score)),
                None => format!("{label}{unit}"),
                Some(problem) => {
                    tone = Tone::Doubtful;
                    if words.held {
                        format!("{label}{unit}  held: {problem}")
                    } else {
                        format!("no reading: {problem}")
                    }
                }
            }
        }
        "position" => {
            let one = |read: &Position| number(read.position, 1);
            words.positions.iter().map(one).collect::<Vec<_>>().join("  ")
        }
        "text" => match &words.text {
            Some(text) => format!("{text}  {}", percent(words.score)),
            None => "no text".into(),
        },
        "anomaly" => {
            let mut line = format!("score {}", number(words.score, 4));
            if words.threshold.is_some() {
                let _ = write!(line, " of {}", number(words.threshold, 4));
            }
            if words.anomalous {
                tone = Tone::Bad;
                line.push_str("  ANOMALY");
                line.push_str(&of_channels(&words.channels));
            } else if words.calibrating {
                tone = Tone::Dim;
                line.push_str("  calibrating");
            }
            line
        }
        "baseline" | "threshold" => {
            if words.anomalous {
                tone = Tone::Bad;
                words.channels.iter().filter_map(ChannelWords::fault).collect::<Vec<_>>().join("  ")
            } else if words.calibrating {
                tone = Tone::Dim;
                "calibrating".into()
            } else {
                let score =
                    words.score.map_or(String::new(), |score| format!("  {} spreads off", number(Some(score), 1)));
                format!("normal{score}")
            }
        }
        "raw" => match &words.outputs {
            Outputs::Count(count) => format!("{count} outputs"),
            Outputs::List(list) => format!("{} outputs", list.len()),
        },
        _ => return None,
    };
    // A number that is held, or none, is not said to be this picture's.
    let silent = words.task == "meter" && words.problem.is_some();
    if let Some(truth) = words.truth.as_ref().filter(|_| !silent) {
        let said = words.label.as_ref().or(words.text.as_ref());
        let right = match words.task.as_str() {
            "meter" => said.is_some_and(|said| is_near_truth(said, truth)),
            _ => said == Some(truth),
        };
        tone = if right { Tone::Good } else { Tone::Bad };
        let _ = write!(line, "  truth {truth}{}", if right { "" } else { "  WRONG" });
    }
    for (value, name) in [(words.frame_age_ms, "age"), (words.infer_ms, "infer")] {
        if value.is_some() {
            let _ = write!(line, "  {name} {} ms", number(value, 1));
        }
    }
    if words.rung > 0 {
        let _ = write!(line, "  rung {}", words.rung);
    }
    Some((tone, line))
}

/// Words of a meter.
fn meter(label: Option<&String>, unit: Option<&String>, held: bool, problem: Option<MeterProblem>) -> ResultWords {
    ResultWords {
        task: "meter".into(),
        label: label.cloned(),
        unit: unit.cloned(),
        held,
        problem: problem.map(|problem| problem.word().to_owned()),
        ..ResultWords::default()
    }
}

/// The channels of an anomaly, most first: ` in cpu_percent 71 %, load_1m 20 %`.
fn of_channels(channels: &[ChannelWords]) -> String {
    if channels.is_empty() {
        return String::new();
    }
    let one = |channel: &ChannelWords| format!("{} {:.0} %", channel.channel, channel.share * 100.0);
    format!(" in {}", channels.iter().take(MOST_CHANNELS).map(one).collect::<Vec<_>>().join(", "))
}

fn percent(score: Option<f64>) -> String {
    score.map_or_else(|| "-".into(), |score| format!("{:.1} %", score * 100.0))
}

fn parts(classes: &[Share]) -> Vec<Part> {
    classes.iter().map(|class| Part { label: class.label.to_string(), share: class.share.into() }).collect()
}

/// Classes that a line has room for.
const MOST_SHARES: usize = 8;

fn shares(classes: &[Part]) -> String {
    if classes.is_empty() {
        return "nothing".into();
    }
    let one = |class: &Part| format!("{} {:.0} %", class.label, class.share * 100.0);
    let more = if classes.len() > MOST_SHARES { ", …" } else { "" };
    classes.iter().take(MOST_SHARES).map(one).collect::<Vec<_>>().join(", ") + more
}

fn detections(words: &ResultWords) -> String {
    let mut counts: BTreeMap<&str, u64> = words.counts.iter().map(|(label, n)| (label.as_str(), *n)).collect();
    for found in &words.detections {
        *counts.entry(&found.label).or_default() += 1;
    }
    if counts.is_empty() {
        return "nothing".into();
    }
    counts.iter().map(|(label, n)| format!("{n} {label}")).collect::<Vec<_>>().join(", ")
}

/// A change.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct EventWords {
    #[serde(rename = "type")]
    kind: String,
    label: String,
    score: Option<f64>,
    channels: Vec<ChannelWords>,
    id: String,
}

impl EventWords {
    /// Of an event.
    pub(super) fn of_event(event: &Event) -> EventWords {
        let kind = match event.kind {
            EventKind::New => "new",
            EventKind::Update => "update",
            EventKind::End => "end",
        };
        EventWords {
            kind: kind.into(),
            label: event.label.clone(),
            score: Some(event.score.into()),
            channels: (event.channels.iter().map(ChannelWords::of))
                .chain(event.faults.iter().map(ChannelWords::of_fault))
                .collect(),
            id: event.id.clone(),
        }
    }
}

/// The line of a change.
pub(super) fn event(words: &EventWords) -> Line {
    let EventWords { kind, label, score, channels, id } = words;
    let tone = match kind.as_str() {
        "new" if label == "anomaly" => Tone::Bad,
        "new" => Tone::Plain,
        _ => Tone::Dim,
    };
    if let Some(fault) = channels.first().and_then(ChannelWords::fault) {
        return (tone, format!("{kind:<6}  {label}  {fault}  {id}"));
    }
    (tone, format!("{kind:<6}  {label}  {}{}  {id}", number(*score, 3), of_channels(channels)))
}

/// The line of a result in this process, for people; `None` for a task that is not known.
pub fn of_output(output: &Output, now: Instant) -> Option<String> {
    result(&ResultWords::of_output(output, now)).map(|(_, line)| line)
}

/// The line of an outcome by itself, for people; `None` for a task that is not known.
pub fn of_outcome(outcome: &Outcome) -> Option<String> {
    result(&ResultWords::of_outcome(outcome)).map(|(_, line)| line)
}

/// The line of a change in this process, for people.
pub fn of_event(change: &Event) -> String {
    event(&EventWords::of_event(change)).1
}
