//! The contract between a task and its pipeline.

use std::time::{Duration, SystemTime};

use super::number::Number;
use crate::frame::diagnostic::Diagnostic;
use crate::frame::status::Subject;
use crate::frame::{Detection, Event, Geometry, Label, Outcome, TaskSpec, TensorSpec, TensorView, Unreadable, Window};

/// Configuration of one kind of task: a key that is unset means the model bundle's default, else the kind's own.
pub trait TaskConfig {
    /// Makes the task.
    ///
    /// # Errors
    /// [`SetupError`] naming the key, when a value makes no sense for this model.
    fn task(&self, spec: &TaskSpec) -> Result<Box<dyn Task>, SetupError>;

    /// These values, with `below` for those that are unset.
    fn over(self, below: Self) -> Self
    where
        Self: Sized;

    /// Keys that have no effect or do not fit each other, for a pipeline with so many `regions`.
    fn check(&self, regions: usize) -> Vec<Diagnostic> {
        let _ = regions;
        Vec::new()
    }

    /// Keys that do not fit a model with these labels.
    fn check_labels(&self, labels: &[Label]) -> Vec<Diagnostic> {
        let _ = labels;
        Vec::new()
    }

    /// Fault of the whole, such as a key without which it does nothing.
    fn check_whole(&self) -> Option<Diagnostic> {
        None
    }

    /// Subject of the results for a model with `spec`.
    fn subject(&self, spec: &TaskSpec) -> Subject;

    /// Least score of a result that counts, 0 to 1; `None` where nothing says one.
    fn least_score(&self) -> Option<f32> {
        None
    }

    /// True for a task whose state means the same in every variant and size of the model.
    fn is_comparable(&self) -> bool {
        true
    }
}

/// One frame's part of a run.
pub struct TaskInput<'a> {
    /// The model's inputs, as they went in (for reconstruction errors).
    pub inputs: &'a [TensorView<'a>],
    /// The model's outputs.
    pub outputs: &'a [TensorView<'a>],
    /// First item of the batch that belongs to this frame; a frame has [`TaskSpec::items`](crate::frame::TaskSpec::items) of them.
    pub first_item: usize,
    /// Mapping of each item of this frame to the picture that it was cut from (empty for windows).
    pub geometry: &'a [Geometry],
    /// Reason why an item of this frame cannot be read, `None` for one that can; one entry per item, or empty where that was not
    /// checked.
    pub unreadable: &'a [Option<Unreadable>],
    /// Score down to which objects below the least one are given, too ([`TaskOutput::faint`]); `None` = they are not wanted.
    pub faint_score: Option<f32>,
    /// The readings themselves; `None` of pictures, and where a model takes them.
    pub window: Option<&'a Window>,
    /// Monotonic time since the pipeline started.
    pub now: Duration,
    /// Wall-clock time of the frame.
    pub time: SystemTime,
}

/// Result of a task for one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskOutput {
    /// The result to publish.
    pub outcome: Outcome,
    /// Changes worth telling; usually none.
    pub events: Vec<Event>,
    /// Objects that are too uncertain to be published, most confident first: an object that is followed may go on by them.
    pub faint: Vec<Detection>,
}

impl From<Outcome> for TaskOutput {
    fn from(outcome: Outcome) -> TaskOutput {
        TaskOutput { outcome, events: Vec::new(), faint: Vec::new() }
    }
}

/// State of a followed counter, to be kept over the end of the process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    /// The last reading that was believed.
    pub reading: Number,
    /// Its score.
    pub score: f32,
    /// Time of the last reading (wall clock).
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

    /// State worth keeping over a restart; `None` where there is none.
    fn memory(&self) -> Option<Memory> {
        None
    }

    /// Takes over what an earlier run remembered. To be called before the first frame; a task that cannot use it ignores it.
    fn restore(&mut self, _memory: Memory) {}

    /// Takes that nothing has come up to `now`; gives a result where that says something.
    fn silence(&mut self, _now: Duration, _time: SystemTime) -> Option<TaskOutput> {
        None
    }

    /// Ends the events that the task itself has begun: nothing will follow.
    fn end(&mut self, _time: SystemTime) -> Vec<Event> {
        Vec::new()
    }

    /// Memory of what it has learnt, as text, to be kept over a restart; `None` where it learns nothing, or nothing yet.
    fn learnt(&self) -> Option<String> {
        None
    }

    /// Takes over what an earlier run has learnt. To be called before the first frame; what does not fit is thrown away.
    fn recall(&mut self, _learnt: &str) {}

    /// Checks the shapes of a plan's outputs before it runs.
    ///
    /// # Errors
    /// [`TaskError`] when they are not of the form this task needs.
    fn fits(&self, _outputs: &[TensorSpec]) -> Result<(), TaskError> {
        Ok(())
    }

    /// Doubts that the outputs of a run mean what this task takes them for, one sentence each; for a trial.
    ///
    /// # Errors
    /// [`TaskError`] when they cannot mean it.
    fn doubts(&mut self, _input: &TaskInput<'_>) -> Result<Vec<String>, TaskError> {
        Ok(Vec::new())
    }
}

/// A setting that makes no sense for the model: the pipeline cannot start.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("{key}: {reason}")]
pub struct SetupError {
    /// The key of `[pipeline.task]` or of the bundle's `[output]`.
    pub key: &'static str,
    /// The values found and allowed.
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
