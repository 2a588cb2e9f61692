//! Outcomes of inferences and the events made of them: the part of a message that a task fills.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Serialize;

use super::meter::{MeterReading, PositionRead};
use super::names::{LineName, PipelineName, ZoneName};
use super::object::{ClassMap, Detection, Label, Share};
use super::quality::{LastGood, Quality, Unreadable};
use super::spec::TaskKind;
use super::time::{serialize_time, serialize_time_option};
use super::trouble::ChannelFault;

/// One label with its score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scored {
    /// The label, or the class index in decimal where the model has no labels.
    pub label: Label,
    /// 0.0 to 1.0.
    pub score: f32,
}

/// Numbers of objects by label; absent labels are left out.
pub type LabelCounts = BTreeMap<Label, usize>;

/// Objects that crossed a line since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
pub struct LineCount {
    /// From the left of the line to its right, seen from its first point towards its second.
    pub forward: u64,
    /// From its right to its left.
    pub backward: u64,
}

/// Outcome of one inference. Its fields are published beside the envelope, with `task` as the tag.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "task", rename_all = "lowercase")]
pub enum Outcome {
    /// The class of a whole picture, window or single region.
    Classify {
        /// The winning label; empty when no label reaches the least score, or the region is unreadable.
        label: String,
        /// Score of the best label, even when it is too low.
        score: f32,
        /// The best labels with their scores, best first.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        top: Vec<Scored>,
        /// Cause of an unreadable region.
        #[serde(skip_serializing_if = "Option::is_none")]
        unreadable: Option<Unreadable>,
    },
    /// One class per region, joined. Published with the task `classify`, as the class of a whole picture is.
    #[serde(rename = "classify")]
    Reading(Reading),
    /// A class for each place of the picture.
    Semantic {
        /// The classes that are there, by falling share.
        classes: Vec<Share>,
        /// The class of each place.
        map: ClassMap,
        /// Width of the source picture in pixels.
        source_width: u32,
        /// Height of the source picture in pixels.
        source_height: u32,
    },
    /// A line of text.
    Text {
        /// The text, of several regions joined by spaces; `None` where a line, or a character of it, is not certain, or there is none.
        text: Option<String>,
        /// Mean score of the characters, of several regions the lowest one, 0.0 to 1.0; 0.0 without any character.
        score: f32,
        /// Each of several regions, in the order in which they were given.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        regions: Vec<TextRead>,
    },
    /// Distance of a window from the learnt normal state.
    Anomaly {
        /// Reconstruction error (mean squared, in normalised units).
        score: f32,
        /// The score above which an anomaly starts; absent while calibrating.
        #[serde(skip_serializing_if = "Option::is_none")]
        threshold: Option<f32>,
        /// An anomaly is going on.
        anomalous: bool,
        /// The threshold is still being learnt.
        calibrating: bool,
        /// The channels with the largest shares of the score, most first; empty where the model does not tell them apart.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        channels: Vec<ChannelShare>,
    },
    /// The raw outputs.
    Raw {
        /// One entry per model output.
        outputs: Vec<RawOutput>,
    },
    /// Positions of drums or dials, one for each region.
    Position {
        /// In the order of the regions.
        positions: Vec<PositionRead>,
    },
    /// A meter's number.
    Meter(MeterReading),
    /// Single channels of a source of numbers that are not as usual, or beyond a limit.
    #[serde(untagged)]
    Channels {
        /// `baseline` or `threshold`.
        task: TaskKind,
        /// Distance of the channel that is farthest from what is usual, in robust spreads; 0.0 while nothing is known, `None` without
        /// anything learnt.
        #[serde(skip_serializing_if = "Option::is_none")]
        score: Option<f32>,
        /// A channel is not as it should be.
        anomalous: bool,
        /// It is still being learnt what is usual, and nothing is told.
        calibrating: bool,
        /// The channels that are not as they should be, the farthest first.
        channels: Vec<ChannelFault>,
    },
    /// Objects with boxes, most confident first.
    #[serde(untagged)]
    Detect {
        /// Kind of the task: what beside a box is known of each object.
        task: TaskKind,
        /// The objects.
        detections: Vec<Detection>,
        /// Number of objects of each label that can be relied on, over frames; absent labels are left out. Part of the summary,
        /// not of the result.
        #[serde(skip)]
        counts: LabelCounts,
        /// The same for each zone; every configured zone has an entry. Part of the summary.
        #[serde(skip)]
        zones: BTreeMap<ZoneName, LabelCounts>,
        /// Crossings of each line by label since the start; every configured line has an entry. Part of the summary.
        #[serde(skip)]
        lines: BTreeMap<LineName, BTreeMap<Label, LineCount>>,
        /// Width of the source picture in pixels.
        source_width: u32,
        /// Height of the source picture in pixels.
        source_height: u32,
    },
}

impl Outcome {
    /// Objects of one frame of `[width, height]` pixels; what can be relied on over frames is not known yet.
    pub fn objects(task: TaskKind, detections: Vec<Detection>, [source_width, source_height]: [u32; 2]) -> Outcome {
        Outcome::Detect {
            task,
            detections,
            counts: LabelCounts::new(),
            zones: BTreeMap::new(),
            lines: BTreeMap::new(),
            source_width,
            source_height,
        }
    }
}

/// Part of an anomaly's score that is of one channel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChannelShare {
    /// Name of the channel, or its index in decimal where the model names none.
    pub channel: Label,
    /// Share of the score, 0.0 to 1.0.
    pub share: f32,
}

/// Text of one region.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TextRead {
    /// The text; `None` where it is not certain, or there is none.
    pub text: Option<String>,
    /// Mean score of its characters, 0.0 to 1.0.
    pub score: f32,
}

/// A reading: the last good one, and its relation to the present picture.
///
/// `label`, `value` and `last_good_*` describe the last good reading, which with [`Quality::Good`] is this picture's; `score`,
/// `quality` and `regions` describe this picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reading {
    /// Labels of the last good reading, joined in the order of the regions, with leading zeros; `None` before the first.
    pub label: Option<String>,
    /// The same as a number, where every JSON reader keeps it exactly: 1 to [`VALUE_DIGITS`] digits.
    pub value: Option<u64>,
    /// The lowest of the regions' scores, 0.0 to 1.0; 0.0 when a region cannot be read.
    pub score: f32,
    /// Quality of this picture's reading.
    pub quality: Quality,
    /// `label` is an earlier picture's reading, because this one's is not good.
    pub held: bool,
    /// This picture's regions, in the order in which they were given.
    pub regions: Vec<RegionRead>,
    /// The last good reading; `None` before the first.
    #[serde(flatten)]
    pub last_good: Option<LastGood>,
}

/// Most digits of a number that a double always holds exactly: many JSON readers have no other number type.
pub const VALUE_DIGITS: usize = 15;

/// One region of a [`Reading`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RegionRead {
    /// The best label; `None` where there is nothing to read.
    pub label: Option<Label>,
    /// Its score, 0.0 to 1.0; 0.0 without a label.
    pub score: f32,
    /// Cause of a missing label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<Unreadable>,
}

/// One model output, dequantised.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RawOutput {
    /// Name in the ONNX graph.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its values as reals, row-major; the first ones of a large tensor.
    pub values: Vec<f32>,
    /// Values are missing at the end.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// Channels that an anomaly is of.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum AnomalyChannels {
    /// By their shares of one score, most first.
    Shares(Vec<ChannelShare>),
    /// Each with a fault of its own, the farthest first.
    Faults(Vec<ChannelFault>),
}

impl AnomalyChannels {
    /// True where no channel is told.
    pub fn is_empty(&self) -> bool {
        match self {
            AnomalyChannels::Shares(shares) => shares.is_empty(),
            AnomalyChannels::Faults(faults) => faults.is_empty(),
        }
    }
}

impl Default for AnomalyChannels {
    fn default() -> Self {
        AnomalyChannels::Shares(Vec::new())
    }
}

/// Phase of an [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// It began.
    New,
    /// It goes on with a change.
    Update,
    /// It ended.
    End,
}

/// A change: an anomaly that began, a reading that changed, an object that came.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// Begin, change or end.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// The same for all messages of one event; unique within a run of the daemon and pipeline.
    pub id: String,
    /// Subject: a label, a reading, `anomaly`.
    pub label: String,
    /// Score at this moment; for `end`, the best one seen.
    pub score: f32,
    /// The best score so far; of followed objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_score: Option<f32>,
    /// Box in source pixels, for detections.
    #[serde(rename = "box", skip_serializing_if = "Option::is_none")]
    pub bbox: Option<[f32; 4]>,
    /// Width and height in pixels of the picture that `bbox` is of.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub source_size: Option<SourceSize>,
    /// The object's number, as in [`Detection::track_id`](super::Detection::track_id).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track_id: Option<u64>,
    /// The zones that the object is in; for `end`, those that it was in last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<ZoneName>,
    /// Every zone that it has been in, in the order of its entries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entered_zones: Vec<ZoneName>,
    /// The zones in which it has stayed for longer than their `loiter_s`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub loitering: Vec<ZoneName>,
    /// The lines that it crossed since it came, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub crossings: Vec<Crossing>,
    /// It has not moved for long.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stationary: bool,
    /// The channels that an anomaly is of, at its highest score so far.
    #[serde(skip_serializing_if = "AnomalyChannels::is_empty")]
    pub channels: AnomalyChannels,
    /// There is a picture of its best moment.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub snapshot: bool,
    /// Start time (wall clock).
    #[serde(serialize_with = "serialize_time")]
    pub start_time: SystemTime,
    /// End time (wall clock), with `end`.
    #[serde(serialize_with = "serialize_time_option", skip_serializing_if = "Option::is_none")]
    pub end_time: Option<SystemTime>,
    /// Latest results of the pipelines that read crops of this object, by their names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<PipelineName, Attribute>,
}

impl Event {
    /// The begin of an event, at `time`.
    pub fn begin(id: String, label: impl Into<String>, score: f32, time: SystemTime) -> Event {
        Event {
            kind: EventKind::New,
            id,
            label: label.into(),
            score,
            best_score: None,
            bbox: None,
            source_size: None,
            track_id: None,
            zones: Vec::new(),
            entered_zones: Vec::new(),
            loitering: Vec::new(),
            crossings: Vec::new(),
            stationary: false,
            channels: AnomalyChannels::default(),
            snapshot: false,
            start_time: time,
            end_time: None,
            attributes: BTreeMap::new(),
        }
    }

    /// The end of this event, at `time`.
    pub fn ended(self, time: SystemTime) -> Event {
        Event { kind: EventKind::End, end_time: Some(time), ..self }
    }
}

/// Maker of event ids: when the event began and a count, unique within a run and hardly ever repeated over runs.
#[derive(Clone, Debug, Default)]
pub struct EventIds(u64);

impl EventIds {
    /// The id of an event that began at `time`.
    pub fn next(&mut self, time: SystemTime) -> String {
        self.0 += 1;
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        format!("{}-{}", since.as_millis(), self.0)
    }
}

/// Size of a picture in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SourceSize {
    /// Width.
    #[serde(rename = "source_width")]
    pub width: u32,
    /// Height.
    #[serde(rename = "source_height")]
    pub height: u32,
}

/// A line that an object crossed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Crossing {
    /// The line.
    pub line: LineName,
    /// From which side.
    pub direction: Direction,
    /// Time of the crossing (wall clock).
    #[serde(serialize_with = "serialize_time")]
    pub time: SystemTime,
}

/// Direction of a [`Crossing`], as in [`LineCount`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the left of the line to its right, seen from its first point towards its second.
    Forward,
    /// From its right to its left.
    Backward,
}

/// Result of another pipeline about a detected object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attribute {
    /// Number of the other pipeline's result.
    pub seq: u64,
    /// Its best label, its reading or its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its score, 0.0 to 1.0; of an anomaly, the error.
    pub score: f32,
}

impl Attribute {
    /// The attribute that `outcome` gives; `None` where it says nothing of this one picture.
    pub fn of(seq: u64, outcome: &Outcome) -> Option<Attribute> {
        let (label, score) = match outcome {
            Outcome::Classify { label, score, .. } if !label.is_empty() => (Some(label.clone()), *score),
            Outcome::Reading(reading) if reading.quality == Quality::Good => (reading.label.clone(), reading.score),
            Outcome::Detect { detections, .. } => {
                let best = detections.first()?;
                (Some(best.label.to_string()), best.score)
            }
            Outcome::Anomaly { score, calibrating: false, .. }
            | Outcome::Channels { score: Some(score), calibrating: false, .. } => (None, *score),
            Outcome::Semantic { classes, .. } => {
                let most = classes.first()?;
                (Some(most.label.to_string()), most.share)
            }
            Outcome::Meter(reading) if reading.quality == Quality::Good => (reading.label.clone(), reading.score),
            Outcome::Text { text: Some(text), score, .. } => (Some(text.clone()), *score),
            Outcome::Classify { .. }
            | Outcome::Reading(_)
            | Outcome::Position { .. }
            | Outcome::Meter(_)
            | Outcome::Text { .. }
            | Outcome::Anomaly { .. }
            | Outcome::Channels { .. }
            | Outcome::Raw { .. } => return None,
        };
        Some(Attribute { seq, label, score })
    }
}
