//! Tensors and runs for the tests of the tasks.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::contract::{Task, TaskError, TaskInput, TaskOutput};
use crate::event::{Events, Settings, Subject};
use crate::frame::{DType, Elements, Geometry, Label, Quant, TensorSpec, TensorView, Unreadable};

/// A tensor of floats that a test owns.
pub struct Tensor {
    pub spec: TensorSpec,
    pub f32: Vec<f32>,
    pub i8: Vec<i8>,
}

pub fn tensor(shape: &[usize], values: &[f32]) -> Tensor {
    assert_eq!(values.len(), shape.iter().product::<usize>());
    let spec = TensorSpec { name: "out".into(), dtype: DType::F32, shape: shape.to_vec(), quant: None };
    Tensor { spec, f32: values.to_vec(), i8: Vec::new() }
}

/// The same quantised to int8.
pub fn quantised(shape: &[usize], values: &[f32], scale: f32, zero_point: i32) -> Tensor {
    let mut tensor = tensor(shape, values);
    tensor.spec.dtype = DType::I8;
    tensor.spec.quant = Some(Quant { scale, zero_point });
    tensor.i8 = values.iter().map(|v| ((v / scale).round() as i32 + zero_point).clamp(-128, 127) as i8).collect();
    tensor
}

impl Tensor {
    pub fn view(&self) -> TensorView<'_> {
        let data = if self.spec.dtype == DType::I8 { Elements::I8(&self.i8) } else { Elements::F32(&self.f32) };
        TensorView { spec: &self.spec, data }
    }
}

pub fn labels(names: &[&str]) -> Vec<Label> {
    names.iter().map(|&n| Arc::from(n)).collect()
}

/// Runs with `outputs` at `now` milliseconds, which is also the wall clock since the epoch.
pub fn run_at(task: &mut dyn Task, outputs: &[&Tensor], now_ms: u64) -> Result<TaskOutput, TaskError> {
    run_with(task, &[], outputs, &[], 0, now_ms)
}

/// Runs on one output whose items could not be read for these reasons.
pub fn run_unreadable(
    task: &mut dyn Task,
    output: &Tensor,
    unreadable: &[Option<Unreadable>],
    now_ms: u64,
) -> Result<TaskOutput, TaskError> {
    let now = Duration::from_millis(now_ms);
    let (outputs, time) = ([output.view()], SystemTime::UNIX_EPOCH + now);
    task.run(&TaskInput {
        window: None,
        inputs: &[],
        outputs: &outputs,
        first_item: 0,
        geometry: &[],
        unreadable,
        faint_score: None,
        now,
        time,
    })
}

/// A task with the events of its outcomes, as in a pipeline.
pub struct WithEvents<T> {
    pub task: T,
    pub events: Events,
}

impl<T: Task> WithEvents<T> {
    pub fn new(task: T, subject: Subject) -> Self {
        WithEvents { task, events: Events::new(&Settings { subject, ..Settings::default() }) }
    }
}

impl<T: Task> Task for WithEvents<T> {
    fn run(&mut self, input: &TaskInput<'_>) -> Result<TaskOutput, TaskError> {
        let mut output = self.task.run(input)?;
        output.events = self.events.frame(&mut output.outcome, &output.faint, input.now, input.time);
        Ok(output)
    }
}

pub fn run_with(
    task: &mut dyn Task,
    inputs: &[&Tensor],
    outputs: &[&Tensor],
    geometry: &[Geometry],
    first_item: usize,
    now_ms: u64,
) -> Result<TaskOutput, TaskError> {
    let inputs: Vec<_> = inputs.iter().map(|t| t.view()).collect();
    let outputs: Vec<_> = outputs.iter().map(|t| t.view()).collect();
    let now = Duration::from_millis(now_ms);
    let time = SystemTime::UNIX_EPOCH + now;
    task.run(&TaskInput {
        window: None,
        inputs: &inputs,
        outputs: &outputs,
        first_item,
        geometry,
        unreadable: &[],
        faint_score: None,
        now,
        time,
    })
}
