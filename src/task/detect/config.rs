//! `[pipeline.task]` with `type = "detect"`; the other tasks that find objects have the same keys.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::frame::TaskSpec;
use crate::frame::status::Subject;
use crate::task::labels;

/// Objects with boxes.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DetectConfig {
    /// Least score that counts, 0 to 1; unset = as the model bundle says, else 0.4.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_score: Option<f32>,
    /// Labels that count; empty = all.
    pub labels: Vec<String>,
    /// Applies softmax to the class scores of a head that has anchors or logits; unset = by their values.
    pub softmax: Option<bool>,
    /// Boxes overlapping more than this (intersection over union) are one object; unset = 0.45.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub nms_iou: Option<f32>,
    /// Objects at most; unset = 100.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_detections: Option<u32>,
    /// Time for which an object must be seen, in at least half of the frames and in two, before it counts as there, in s; 0 =
    /// one frame is enough; unset = 0.5.
    #[schemars(range(min = 0.0, max = 3600.0))]
    pub appear_s: Option<f32>,
    /// Time for which an object must not be seen, in at least two frames, before it counts as gone, in s; 0 = one frame is
    /// enough; unset = 2.
    #[schemars(range(min = 0.0, max = 3600.0))]
    pub vanish_s: Option<f32>,
}

/// Least score when the configuration does not say.
const MIN_SCORE: f32 = 0.4;
/// Overlap of one object with itself when the configuration does not say.
const NMS_IOU: f32 = 0.45;
/// Objects at most when the configuration does not say.
const MAX_DETECTIONS: u32 = 100;
/// Time for which an object is to be seen before it is there, when the configuration does not say.
const APPEAR_S: f32 = 0.5;
/// Time for which it is not to be seen before it is gone, when the configuration does not say.
const VANISH_S: f32 = 2.0;

impl DetectConfig {
    /// Least score of an object that counts.
    pub fn min_score(&self) -> f32 {
        self.min_score.unwrap_or(MIN_SCORE)
    }

    /// Overlap (intersection over union) above which two boxes are one object.
    pub fn nms_iou(&self) -> f32 {
        self.nms_iou.unwrap_or(NMS_IOU)
    }

    /// Objects of a frame at most.
    pub fn max_detections(&self) -> usize {
        self.max_detections.unwrap_or(MAX_DETECTIONS) as usize
    }

    /// Time for which an object must be seen before it counts as there.
    pub fn appear(&self) -> Duration {
        seconds(self.appear_s, APPEAR_S)
    }

    /// Time for which an object must not be seen before it counts as gone.
    pub fn vanish(&self) -> Duration {
        seconds(self.vanish_s, VANISH_S)
    }

    pub(super) fn merged(self, below: Self) -> Self {
        DetectConfig {
            min_score: self.min_score.or(below.min_score),
            labels: labels::either(self.labels, below.labels),
            softmax: self.softmax.or(below.softmax),
            nms_iou: self.nms_iou.or(below.nms_iou),
            max_detections: self.max_detections.or(below.max_detections),
            appear_s: self.appear_s.or(below.appear_s),
            vanish_s: self.vanish_s.or(below.vanish_s),
        }
    }

    pub(super) fn objects(&self, spec: &TaskSpec) -> Subject {
        let (labels, chosen) = labels::counting(&self.labels, spec);
        Subject::Objects { labels, chosen }
    }
}

/// A time of a configuration, to the millisecond.
fn seconds(own: Option<f32>, default: f32) -> Duration {
    Duration::from_millis((own.unwrap_or(default) * 1000.0).round() as u64)
}
