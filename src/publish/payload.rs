//! The JSON of each topic. Keys are an interface: others build dashboards on them.

mod node;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use crate::frame::{
    ChannelFault, ChannelShare, Event, Label, LabelCounts, LastGood, LineCount, LineName, MeterProblem, Outcome,
    Output, Parent, PositionRead, Quality, Share, TaskKind, ZoneName, rfc3339,
};

pub use node::{
    Forecast, Governor, Health, Info, ModelInfo, Mqtt, NodeState, Percentiles, PipelineHealth, Rung, SourceHealth,
    Standing, Steps, Throttled,
};

/// Renders a payload.
pub fn json(value: &impl Serialize) -> Vec<u8> {
    // These types have string keys only and write to memory: serialising cannot fail.
    serde_json::to_vec(value).unwrap_or_default()
}

/// `<pipeline>/result`: one inference. The fields of the outcome stand beside these.
#[derive(Clone, Debug, Serialize)]
pub struct InferenceResult<'a> {
    /// The frame's number.
    pub seq: u64,
    /// Time of capture of the frame, RFC 3339 UTC.
    pub time: String,
    /// Age of the frame when this was handed to the publisher.
    pub frame_age_ms: f64,
    /// Time in the model alone.
    pub infer_ms: f64,
    /// The governor's rung, 0 = full work.
    pub rung: usize,
    /// The node that computed it, where that is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub computed_by: Option<&'a str>,
    /// The outcome, with `task` as its tag.
    #[serde(flatten)]
    pub outcome: &'a Outcome,
    /// The right answer, where the source knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truth: Option<&'a str>,
    /// File, device or topic that the frame came from.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub origin: &'a str,
    /// The detection that the picture was cut around, for a pipeline that reads crops of another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<&'a Parent>,
}

impl InferenceResult<'_> {
    /// The result of `output`, handed over at `now`.
    pub fn of(output: &Output, now: Instant) -> InferenceResult<'_> {
        let Output { stamp, outcome, timing, .. } = output;
        InferenceResult {
            seq: stamp.seq,
            time: rfc3339(stamp.time),
            frame_age_ms: ms(now.saturating_duration_since(stamp.captured)),
            infer_ms: ms(timing.infer),
            rung: timing.rung,
            computed_by: timing.computed_by.as_deref(),
            outcome,
            truth: stamp.truth.as_deref(),
            origin: &stamp.origin,
            parent: stamp.parent.as_ref(),
        }
    }
}

/// `<pipeline>/state`: the latest summary.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PipelineState {
    /// The frame's number.
    pub seq: u64,
    /// Time of capture of the frame, RFC 3339 UTC.
    pub time: String,
    /// The summary.
    #[serde(flatten)]
    pub summary: Summary,
}

/// The part of an outcome that is kept as the pipeline's state.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "task", rename_all = "lowercase")]
pub enum Summary {
    /// The top label.
    Classify {
        /// The label.
        label: String,
        /// Its score.
        score: f32,
    },
    /// The last good reading of several regions, also while there is no other: `quality` says how the latest picture stands to it. Its
    /// task is `classify`.
    #[serde(rename = "classify")]
    Reading {
        /// The reading with leading zeros; null before the first good one.
        label: Option<String>,
        /// The same as a number; null where it is none, or has more digits than every JSON reader keeps.
        value: Option<u64>,
        /// The score with which it was read.
        score: Option<f32>,
        /// Worth of the latest picture's own reading.
        quality: Quality,
        /// `true` where the latest picture's own reading is another one, or none.
        held: bool,
        /// Time and age of the last good reading; absent before the first.
        #[serde(flatten)]
        last_good: Option<LastGood>,
    },
    /// The number of a meter that is believed, also while a picture shows another or none: `problem` says why.
    Meter {
        /// The number in `unit`; null before the first good reading.
        value: Option<f64>,
        /// Its digits with leading zeros and decimal point.
        label: Option<String>,
        /// Unit of the number.
        #[serde(skip_serializing_if = "Option::is_none")]
        unit: Option<String>,
        /// Quality of the latest picture's own reading.
        quality: Quality,
        /// `true` where the latest picture's own reading is another one, or none.
        held: bool,
        /// Reason for which the latest picture's own reading is not believed.
        problem: Option<MeterProblem>,
        /// Mean rate of the last minutes in `unit` per hour; null while too little was seen.
        rate_per_hour: Option<f64>,
        /// Time and age of the last good reading; absent before the first.
        #[serde(flatten)]
        last_good: Option<LastGood>,
    },
    /// Positions of drums or pointers.
    Position {
        /// In the order of the regions.
        positions: Vec<PositionRead>,
    },
    /// Shares of the picture.
    Semantic {
        /// The classes that are there, by falling share.
        classes: Vec<Share>,
    },
    /// A line of text.
    Text {
        /// The text; null where it is not certain, or there is none.
        text: Option<String>,
        /// Mean score of its characters.
        score: f32,
    },
    /// Distance from normal.
    Anomaly {
        /// Reconstruction error.
        score: f32,
        /// An anomaly is going on.
        anomalous: bool,
        /// The threshold is still being learnt.
        calibrating: bool,
        /// The channels that the anomaly is of, while it goes on.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        channels: Vec<ChannelShare>,
    },
    /// Nothing that could be summed up.
    Raw {
        /// Number of outputs.
        outputs: usize,
    },
    /// Single channels that are not as usual, or beyond a limit.
    #[serde(untagged)]
    Channels {
        /// `baseline` or `threshold`.
        task: TaskKind,
        /// Distance of the channel that is farthest from what is usual, in robust spreads.
        #[serde(skip_serializing_if = "Option::is_none")]
        score: Option<f32>,
        /// A channel is not as it should be.
        anomalous: bool,
        /// It is still being learnt what is usual.
        calibrating: bool,
        /// These channels, the farthest first.
        channels: Vec<ChannelFault>,
    },
    /// Reliable number of objects of each label, over several frames.
    #[serde(untagged)]
    Detect {
        /// Kind of the task.
        task: TaskKind,
        /// Objects by label; a label that is not there is left out.
        counts: LabelCounts,
        /// The same for each configured zone.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        zones: BTreeMap<ZoneName, LabelCounts>,
        /// Crossings of each configured line by label since the start.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        lines: BTreeMap<LineName, BTreeMap<Label, LineCount>>,
    },
}

impl Summary {
    /// The summary of an outcome.
    pub fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Classify { label, score, .. } => Summary::Classify { label: label.clone(), score: *score },
            Outcome::Reading(reading) => Summary::Reading {
                label: reading.label.clone(),
                value: reading.value,
                score: reading.last_good.as_ref().map(|last| last.score),
                quality: reading.quality,
                held: reading.held,
                last_good: reading.last_good.clone(),
            },
            Outcome::Detect { task, counts, zones, lines, .. } => {
                Summary::Detect { task: *task, counts: counts.clone(), zones: zones.clone(), lines: lines.clone() }
            }
            Outcome::Meter(reading) => Summary::Meter {
                value: reading.value,
                label: reading.label.clone(),
                unit: reading.unit.clone(),
                quality: reading.quality,
                held: reading.held,
                problem: reading.problem,
                rate_per_hour: reading.rate_per_hour,
                last_good: reading.last_good.clone(),
            },
            Outcome::Position { positions } => Summary::Position { positions: positions.clone() },
            Outcome::Semantic { classes, .. } => Summary::Semantic { classes: classes.clone() },
            Outcome::Text { text, score, .. } => Summary::Text { text: text.clone(), score: *score },
            Outcome::Anomaly { score, anomalous, calibrating, channels, .. } => Summary::Anomaly {
                score: *score,
                anomalous: *anomalous,
                calibrating: *calibrating,
                channels: if *anomalous { channels.clone() } else { Vec::new() },
            },
            Outcome::Channels { task, score, anomalous, calibrating, channels } => Summary::Channels {
                task: *task,
                score: *score,
                anomalous: *anomalous,
                calibrating: *calibrating,
                channels: channels.clone(),
            },
            Outcome::Raw { outputs } => Summary::Raw { outputs: outputs.len() },
        }
    }

    /// Another label, other counts or another phase than in `before`. Scores and ages move all the time and do not count, nor does
    /// the quality of a reading: [`Summary::quality`].
    pub fn differs(&self, before: &Summary) -> bool {
        match (self, before) {
            (Summary::Classify { label: a, .. }, Summary::Classify { label: b, .. }) => a != b,
            (Summary::Reading { label: a, .. }, Summary::Reading { label: b, .. }) => a != b,
            (Summary::Meter { label: a, .. }, Summary::Meter { label: b, .. }) => a != b,
            (Summary::Position { positions: a }, Summary::Position { positions: b }) => {
                // Positions tremble a little in every frame.
                let of = |reads: &[PositionRead]| {
                    reads.iter().map(|read| read.position.map(|p| (p * 5.0).round() as u32)).collect::<Vec<_>>()
                };
                of(a) != of(b)
            }
            (Summary::Text { text: a, .. }, Summary::Text { text: b, .. }) => a != b,
            (Summary::Semantic { classes: a }, Summary::Semantic { classes: b }) => {
                // Shares move a little in every frame.
                let of = |classes: &[Share]| {
                    let shares = classes.iter().map(|class| (class.label.clone(), (class.share * 20.0).round() as u32));
                    shares.filter(|(_, twentieths)| *twentieths > 0).collect::<BTreeMap<_, _>>()
                };
                of(a) != of(b)
            }
            (
                Summary::Anomaly { anomalous: a, calibrating: c, .. },
                Summary::Anomaly { anomalous: b, calibrating: d, .. },
            ) => (a, c) != (b, d),
            (
                Summary::Channels { calibrating: a, channels: c, .. },
                Summary::Channels { calibrating: b, channels: d, .. },
            ) => {
                // Values and distances move all the time.
                let of = |channels: &[ChannelFault]| {
                    channels.iter().map(|found| (found.channel.clone(), found.fault)).collect::<BTreeSet<_>>()
                };
                a != b || of(c) != of(d)
            }
            (a, b) => a != b,
        }
    }

    /// The quality of a reading.
    pub fn quality(&self) -> Option<Quality> {
        match self {
            Summary::Reading { quality, .. } | Summary::Meter { quality, .. } => Some(*quality),
            _ => None,
        }
    }
}

/// `<pipeline>/event`.
#[derive(Clone, Debug, Serialize)]
pub struct EventMessage<'a> {
    /// The event.
    #[serde(flatten)]
    pub event: &'a Event,
    /// Number of this message, from 1 for each pipeline and run.
    pub seq: u64,
    /// The run: with pipeline and `seq` it tells every event message from every other.
    pub run: &'a str,
}

/// Mark of a message that may have come before, as a JSON member at the end of the object.
const RESENT: &[u8] = b",\"resent\":true}";

/// Bytes by which the mark lengthens a message.
pub const RESENT_BYTES: usize = RESENT.len() - 1;

/// `payload` with `"resent": true`, if it is a JSON object with members; else as it is.
pub fn resent(payload: &[u8]) -> Vec<u8> {
    match payload.strip_suffix(b"}") {
        Some(rest) if rest.starts_with(b"{") && rest.len() > 1 && !rest.ends_with(&RESENT[..RESENT.len() - 1]) => {
            [rest, RESENT].concat()
        }
        _ => payload.to_vec(),
    }
}

/// A wall-clock time as it is published.
pub fn time(time: SystemTime) -> String {
    rfc3339(time)
}

/// A span in ms, to the microsecond.
pub fn ms(span: Duration) -> f64 {
    span.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests;
