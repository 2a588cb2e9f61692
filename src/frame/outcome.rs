//! What an inference said, and changes worth telling: the part of a message that a task fills.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;

/// A class name, shared with the model's label list.
pub type Label = Arc<str>;

/// One label with its score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scored {
    /// The label, or the class index in decimal where the model has no labels.
    pub label: Label,
    /// 0.0 to 1.0.
    pub score: f32,
}

/// One object found in a picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Detection {
    /// The label, or the class index in decimal where the model has no labels.
    pub label: Label,
    /// 0.0 to 1.0.
    pub score: f32,
    /// `[x1, y1, x2, y2]` in source pixels.
    #[serde(rename = "box")]
    pub bbox: [f32; 4],
}

/// What one inference said. Its fields are published beside the envelope, with `task` as the tag.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "task", rename_all = "lowercase")]
pub enum Outcome {
    /// A class, or with regions a reading: one class per region, joined.
    Classify {
        /// The winning label, empty when none reaches the least score; with regions, the labels joined in order.
        label: String,
        /// Score of the winning label; with regions, the lowest of the regions' scores.
        score: f32,
        /// The best labels with their scores, best first (of the whole, or empty with regions).
        #[serde(skip_serializing_if = "Vec::is_empty")]
        top: Vec<Scored>,
        /// The winning label of each region, in the order the regions were given.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        regions: Vec<Scored>,
        /// With `monotonic`: whether the last good reading is shown instead of the one read, because that one was uncertain,
        /// would have run backwards or leapt.
        #[serde(skip_serializing_if = "Option::is_none")]
        held: Option<bool>,
    },
    /// Objects with boxes, most confident first.
    Detect {
        /// The objects.
        detections: Vec<Detection>,
        /// How many of each label can be relied on, over frames; a label that is not there is left out. Part of the summary, not
        /// of the result.
        #[serde(skip)]
        counts: BTreeMap<Label, usize>,
        /// Width of the source picture in pixels.
        source_width: u32,
        /// Height of the source picture in pixels.
        source_height: u32,
    },
    /// How far a window is from what was learnt as normal.
    Anomaly {
        /// Reconstruction error (mean squared, in normalised units).
        score: f32,
        /// The score above which an anomaly starts; absent while calibrating.
        #[serde(skip_serializing_if = "Option::is_none")]
        threshold: Option<f32>,
        /// Whether an anomaly is going on.
        anomalous: bool,
        /// Whether the threshold is still being learnt.
        calibrating: bool,
    },
    /// The outputs as they are.
    Raw {
        /// One entry per model output.
        outputs: Vec<RawOutput>,
    },
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
    /// Whether values are missing at the end.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub truncated: bool,
}

/// Which part of its life an [`Event`] tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// It began.
    New,
    /// It goes on and something about it changed.
    Update,
    /// It ended.
    End,
}

/// A change worth telling: an anomaly that began, a reading that changed, an object that came.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// Begin, change or end.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// The same for all messages of one event; unique within a run of the daemon and pipeline.
    pub id: String,
    /// What it is about: a label, a reading, `anomaly`.
    pub label: String,
    /// Score at this moment; for `end`, the best one seen.
    pub score: f32,
    /// Where, in source pixels, for detections.
    #[serde(rename = "box", skip_serializing_if = "Option::is_none")]
    pub bbox: Option<[f32; 4]>,
    /// When it began (wall clock).
    #[serde(serialize_with = "serialize_time")]
    pub start_time: SystemTime,
    /// When it ended (wall clock), with `end`.
    #[serde(serialize_with = "serialize_time_option", skip_serializing_if = "Option::is_none")]
    pub end_time: Option<SystemTime>,
}

/// A wall-clock time as RFC 3339 in UTC with milliseconds, the form of every published time.
///
/// A board without a clock of its own may be far off; years before 1970 and after 9999 are told as the nearest that can be.
pub fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(sane(time)).to_string()
}

/// `time`, within what RFC 3339 can say: humantime panics beyond it.
fn sane(time: SystemTime) -> SystemTime {
    // 9999-12-31T23:59:59Z.
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    SystemTime::UNIX_EPOCH + time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().min(LAST)
}

fn serialize_time<S: serde::Serializer>(time: &SystemTime, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&humantime::format_rfc3339_millis(sane(*time)))
}

fn serialize_time_option<S: serde::Serializer>(time: &Option<SystemTime>, s: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(t) => serialize_time(t, s),
        None => s.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_clock_is_told_as_well_as_can_be() {
        let epoch = SystemTime::UNIX_EPOCH;
        assert_eq!(rfc3339(epoch + Duration::from_millis(1_500)), "1970-01-01T00:00:01.500Z");
        assert_eq!(rfc3339(epoch - Duration::from_secs(5)), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(epoch + Duration::from_secs(1 << 40)), "9999-12-31T23:59:59.000Z");
    }
}
