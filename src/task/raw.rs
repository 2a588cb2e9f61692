//! The outputs as they are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{SetupError, Task, TaskConfig, TaskError, TaskInput, TaskOutput};
use super::output::real_items;
use crate::frame::status::Subject;
use crate::frame::{Outcome, RawOutput, TaskSpec};

/// Values of one output that are published at most: the rest of a large tensor would not fit into a message. The shape
/// still says how many there were, and `truncated` that some are missing.
const MAX_VALUES: usize = 4096;

/// The outputs as they are; no keys of its own.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RawConfig {}

impl TaskConfig for RawConfig {
    fn task(&self, spec: &TaskSpec) -> Result<Box<dyn Task>, SetupError> {
        Ok(Box::new(Raw::new(spec)))
    }

    fn subject(&self, _spec: &TaskSpec) -> Subject {
        Subject::Raw
    }

    fn over(self, _below: Self) -> Self {
        self
    }
}

/// All outputs, dequantised: the part of this frame's items where the first axis is the batch.
struct Raw {
    items: usize,
    values: Vec<f32>,
}

impl Raw {
    fn new(spec: &TaskSpec) -> Self {
        Raw { items: spec.items.max(1), values: Vec::new() }
    }
}

impl Task for Raw {
    fn run(&mut self, input: &TaskInput<'_>) -> Result<TaskOutput, TaskError> {
        let mut outputs = Vec::with_capacity(input.outputs.len());
        for output in input.outputs {
            let mut shape = output.spec.shape.clone();
            let values = match real_items(output, input, self.items, &mut self.values) {
                Ok((values, _)) => {
                    if shape.len() > 1
                        && let Some(batch) = shape.first_mut()
                    {
                        *batch = self.items;
                    }
                    values
                }
                // No batch axis that could be split: the whole belongs to every frame of the run.
                Err(_) => {
                    output.dequantize_into(&mut self.values);
                    self.values.as_slice()
                }
            };
            let truncated = values.len() > MAX_VALUES;
            let values = values.iter().take(MAX_VALUES).copied().collect();
            outputs.push(RawOutput { name: output.spec.name.clone(), shape, values, truncated });
        }
        Ok(Outcome::Raw { outputs }.into())
    }
}
