//! From a model's output to what it means. Pure: no files, no clocks (`now` is an argument).
//!
//! [`new`] makes the [`Task`] that a pipeline's settings name.

mod anomaly;
mod classify;
mod detect;
mod merge;
mod output;
mod raw;
mod reading;
#[cfg(test)]
mod testing;

use std::time::{Duration, SystemTime};

pub use reading::Number;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::frame::{Event, Geometry, Outcome, TaskKind, TaskSpec, TensorSpec, TensorView, Unreadable};

/// `[pipeline.task]`: what is made of the model's output. An unset key means what the model bundle says.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Kind of task; unset = as the model bundle says, else `raw`.
    #[serde(rename = "type")]
    pub kind: Option<TaskKind>,
    /// Least score that counts, 0 to 1; unset = as the model bundle says, else 0 for `classify` of whole pictures, 0.8 for readings
    /// from regions, 0.4 for `detect`.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_score: Option<f32>,
    /// Labels that count; empty = all.
    pub labels: Vec<String>,
    /// `classify`: how many labels are published with their scores; unset = 3.
    #[schemars(range(min = 1, max = 100))]
    pub top_k: Option<u32>,
    /// `classify`: frames over which scores are averaged (exponentially); 1 = none, the default.
    #[schemars(range(min = 1, max = 1000))]
    pub smoothing: Option<u32>,
    /// `classify`: whether softmax is applied to the model's output; unset = unless the output is a distribution already
    /// (a quantised output that can only hold 0 to 1, or values in 0 to 1 whose sum is 1).
    pub softmax: Option<bool>,
    /// `classify` with regions: a reading below the last good one, or too far above it, is held back (a meter does not run backwards
    /// and does not leap).
    pub monotonic: bool,
    /// `classify` with `monotonic`: how long a reading that runs backwards or leaps must be read without contradiction, in at least
    /// three pictures, before it is believed after all, in s; unset = 10.
    #[schemars(range(min = 0.0, max = 86_400.0))]
    pub confirm_s: Option<f32>,
    /// `classify` with `monotonic`: the meter's highest rate in counts of its last digit per hour; unset = learnt from what is read.
    #[schemars(range(min = 0.001, max = 1e12))]
    pub max_rate: Option<f64>,
    /// `classify` with `monotonic`: the largest step from one good reading to the next that is believed at once, in counts of the
    /// last digit; unset = no other limit than `max_rate`.
    #[schemars(range(min = 1))]
    pub max_step: Option<u64>,
    /// `detect`: boxes overlapping more than this (intersection over union) are one object; unset = 0.45.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub nms_iou: Option<f32>,
    /// `detect`: objects at most; unset = 100.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_detections: Option<u32>,
    /// `detect`: how long an object must be seen, in at least half of the frames and in two, before it counts as there, in s;
    /// 0 = one frame is enough; unset = 0.5.
    #[schemars(range(min = 0.0, max = 3600.0))]
    pub appear_s: Option<f32>,
    /// `detect`: how long an object must not be seen, in at least two frames, before it counts as gone, in s; 0 = one frame is
    /// enough; unset = 2.
    #[schemars(range(min = 0.0, max = 3600.0))]
    pub vanish_s: Option<f32>,
    /// `anomaly`: how long the threshold is learnt before anything is flagged, in s; 0 = `threshold` is used; unset = as the
    /// bundle says, else 0 with a `threshold` and 60 without.
    #[schemars(range(min = 0.0, max = 604_800.0))]
    pub calibration_s: Option<f32>,
    /// `anomaly`: fixed threshold instead of a learnt one, in the units of the score.
    #[schemars(range(min = 0.0, max = 1e9))]
    pub threshold: Option<f32>,
    /// `anomaly`: it ends when the score falls below this share of the threshold; unset = 0.8.
    #[schemars(range(min = 0.1, max = 1.0))]
    pub hysteresis: Option<f32>,
}

impl Config {
    /// Whether an `anomaly` task learns its threshold from what it sees, instead of having a fixed one.
    pub fn learns_threshold(&self) -> bool {
        self.calibration_s.map_or(self.threshold.is_none(), |seconds| seconds > 0.0)
    }
}

/// What one run gives a task to look at.
pub struct TaskInput<'a> {
    /// The model's inputs, as they went in (for reconstruction errors).
    pub inputs: &'a [TensorView<'a>],
    /// The model's outputs.
    pub outputs: &'a [TensorView<'a>],
    /// First item of the batch that belongs to this frame; a frame has [`TaskSpec::items`](crate::frame::TaskSpec::items) of them.
    pub first_item: usize,
    /// How each item of this frame was cut from the picture (empty for windows).
    pub geometry: &'a [Geometry],
    /// Why an item of this frame cannot be read, `None` for one that can; one entry per item, or empty where that was not checked.
    pub unreadable: &'a [Option<Unreadable>],
    /// Monotonic time since the pipeline started.
    pub now: Duration,
    /// Wall-clock time of the frame.
    pub time: SystemTime,
}

/// What a task made of it.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskOutput {
    /// The result to publish.
    pub outcome: Outcome,
    /// Changes worth telling; usually none.
    pub events: Vec<Event>,
}

/// What a task that follows a counter knows of it, to be kept over the end of the process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    /// The last reading that was believed.
    pub reading: Number,
    /// Its score.
    pub score: f32,
    /// When it was last read (wall clock).
    pub time: SystemTime,
    /// The fastest pace that was seen, in counts of the last digit per hour; 0 = none yet.
    pub fastest_per_hour: f64,
}

/// Makes sense of a model's output; keeps what it must remember between frames.
pub trait Task: Send {
    /// Looks at one frame's part of a run.
    ///
    /// # Errors
    /// [`TaskError`] when the outputs are not of the form this task needs; never panics.
    fn run(&mut self, input: &TaskInput<'_>) -> Result<TaskOutput, TaskError>;

    /// What is worth keeping over a restart; `None` where nothing is.
    fn memory(&self) -> Option<Memory> {
        None
    }

    /// Takes over what an earlier run remembered. To be called before the first frame; a task that cannot use it ignores it.
    fn restore(&mut self, _memory: Memory) {}

    /// Checks the shapes of a plan's outputs before it runs.
    ///
    /// # Errors
    /// [`TaskError`] when they are not of the form this task needs.
    fn fits(&self, _outputs: &[TensorSpec]) -> Result<(), TaskError> {
        Ok(())
    }

    /// What makes it doubtful that the outputs of a run mean what this task takes them for, one sentence each; for a trial.
    ///
    /// # Errors
    /// [`TaskError`] when they cannot mean it.
    fn doubts(&mut self, _input: &TaskInput<'_>) -> Result<Vec<String>, TaskError> {
        Ok(Vec::new())
    }

    /// Ends what no frame has told of for long; called now and then, also while no frame comes. `now` is as in [`TaskInput`].
    fn idle(&mut self, _now: Duration) -> Vec<Event> {
        Vec::new()
    }

    /// Ends what is going on, since no frame will follow.
    fn end(&mut self) -> Vec<Event> {
        Vec::new()
    }
}

/// Makes the task that `kind` names, with `config` already merged over the bundle's defaults.
///
/// # Errors
/// [`SetupError`] naming the key, when a value makes no sense for this model.
pub fn new(kind: TaskKind, config: &Config, spec: &TaskSpec) -> Result<Box<dyn Task>, SetupError> {
    match kind {
        TaskKind::Classify if spec.items > 1 || config.monotonic => Ok(Box::new(reading::Reader::new(config, spec)?)),
        TaskKind::Classify => Ok(Box::new(classify::Classify::new(config, spec)?)),
        TaskKind::Detect => Ok(Box::new(detect::Detect::new(config, spec)?)),
        TaskKind::Anomaly => Ok(Box::new(anomaly::Anomaly::new(config, spec)?)),
        TaskKind::Raw => Ok(Box::new(raw::Raw::new(spec))),
    }
}

/// A setting that makes no sense for the model: the pipeline cannot start.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("{key}: {reason}")]
pub struct SetupError {
    /// The key of [`Config`] or of the bundle's `[output]`.
    pub key: &'static str,
    /// What was found, what is allowed.
    pub reason: String,
}

/// The outputs are not of the form that the task needs.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("output {tensor:?}: {reason}")]
pub struct TaskError {
    /// The tensor's name.
    pub tensor: String,
    /// Found and needed shape or values.
    pub reason: String,
}
