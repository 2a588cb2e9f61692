//! `[pipeline.task]` of the tasks that find objects: `type = "detect"`, `"pose"`, `"segment"` and `"obb"`.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::Detect;
use crate::frame::diagnostic::{Diagnostic, unique};
use crate::frame::status::Subject;
use crate::frame::{Label, TaskKind, TaskSpec};
use crate::task::contract::{SetupError, Task, TaskConfig};
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
/// Time for which an object is to be seen before it is there, when the configuration does not say.
const APPEAR_S: f32 = 0.5;
/// Time for which it is not to be seen before it is gone, when the configuration does not say.
const VANISH_S: f32 = 2.0;

impl DetectConfig {
    /// Least score of an object that counts.
    pub fn min_score(&self) -> f32 {
        self.min_score.unwrap_or(MIN_SCORE)
    }

    /// Time for which an object must be seen before it counts as there.
    pub fn appear(&self) -> Duration {
        seconds(self.appear_s, APPEAR_S)
    }

    /// Time for which an object must not be seen before it counts as gone.
    pub fn vanish(&self) -> Duration {
        seconds(self.vanish_s, VANISH_S)
    }

    fn merged(self, below: Self) -> Self {
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

    fn objects(&self, spec: &TaskSpec) -> Subject {
        let chosen = !self.labels.is_empty();
        let configured = || self.labels.iter().map(|label| label.as_str().into()).collect();
        let labels = if chosen { configured() } else { spec.labels.clone() };
        Subject::Objects { labels, chosen }
    }
}

/// Implements [`TaskConfig`] for the configurations of tasks that find objects; each but the first holds the first.
macro_rules! objects {
    ($($config:ident($kind:ident, $($part:tt)?);)*) => {
        $(impl TaskConfig for $config {
            fn task(&self, spec: &TaskSpec) -> Result<Box<dyn Task>, SetupError> {
                Ok(Box::new(Detect::new(&self$(.$part)?, TaskKind::$kind, spec)?))
            }

            fn subject(&self, spec: &TaskSpec) -> Subject {
                self$(.$part)?.objects(spec)
            }

            fn over(self, below: Self) -> Self {
                self$(.$part)?.merged(below$(.$part)?).into()
            }

            fn check(&self, _regions: usize) -> Vec<Diagnostic> {
                unique(&self$(.$part)?.labels, "labels")
            }

            fn check_labels(&self, known: &[Label]) -> Vec<Diagnostic> {
                labels::check(&self$(.$part)?.labels, known)
            }
        })*
    };
}

/// Declares a configuration that has the keys of [`DetectConfig`].
macro_rules! same_keys {
    ($($(#[$about:meta])* $config:ident;)*) => {
        $($(#[$about])*
        #[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $config(pub DetectConfig);

        impl JsonSchema for $config {
            fn schema_name() -> Cow<'static, str> {
                stringify!($config).into()
            }

            /// The keys themselves, not a reference to them.
            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                DetectConfig::json_schema(generator)
            }
        }

        impl From<DetectConfig> for $config {
            fn from(keys: DetectConfig) -> $config {
                $config(keys)
            }
        })*
    };
}

same_keys! {
    /// Objects with boxes and key points.
    PoseConfig;
    /// Objects with boxes and outlines.
    SegmentConfig;
    /// Objects with boxes that are turned.
    ObbConfig;
}

objects! {
    DetectConfig(Detect,);
    PoseConfig(Pose, 0);
    SegmentConfig(Segment, 0);
    ObbConfig(Obb, 0);
}

/// A time of a configuration, to the millisecond.
fn seconds(own: Option<f32>, default: f32) -> Duration {
    Duration::from_millis((own.unwrap_or(default) * 1000.0).round() as u64)
}
