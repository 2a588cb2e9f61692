//! The join of a meter's models as the last stage of its pipeline.

use std::time::{Duration, SystemTime};

use super::error::StageError;
use super::stages::Stages;
use crate::frame::{Frame, Outcome, PositionRead, SharedFrame};
use crate::join;
use crate::task::{Memory, Number, TaskOutput};

/// A meter's second model, and how both are joined.
pub(super) struct MeterStage {
    /// Stages of the dials, where another model reads the digits.
    pub(super) dials: Option<Box<Stages>>,
    /// The meter over time.
    pub(super) meter: join::Meter,
}

impl MeterStage {
    /// Writes a frame into the second model's input; `shared` is the same one with several readers.
    pub(super) fn prepare(&mut self, frame: &Frame, shared: Option<&SharedFrame>) -> Result<(), StageError> {
        match (&mut self.dials, shared) {
            (Some(dials), Some(shared)) => dials.prepare_shared(shared, 0),
            (Some(dials), None) => dials.prepare(frame, 0),
            (None, _) => Ok(()),
        }
    }

    /// Runs the second model.
    pub(super) fn infer(&mut self) -> Result<(), StageError> {
        self.dials.as_mut().map_or(Ok(()), |dials| dials.infer())
    }

    /// Joins what the first model read, `first`, with what the second one did.
    pub(super) fn join(
        &mut self,
        first: TaskOutput,
        now: Duration,
        time: SystemTime,
    ) -> Result<TaskOutput, StageError> {
        let mut positions = read(first);
        if let Some(dials) = &mut self.dials {
            positions.extend(read(dials.interpret(0, now, time)?));
        }
        Ok(Outcome::Meter(self.meter.read(&positions, now, time)).into())
    }

    /// What is to be kept over a restart.
    pub(super) fn memory(&self) -> Option<Memory> {
        let join::Remembered { counts, time, score } = self.meter.memory()?;
        let reading = Number::parse(&format!("{counts:0width$}", width = self.meter.places()))?;
        Some(Memory { reading, score, time, fastest_per_hour: 0.0 })
    }

    /// Takes over what was kept.
    pub(super) fn restore(&mut self, memory: Memory) {
        let Memory { reading, score, time, .. } = memory;
        if reading.digits() == self.meter.places() {
            self.meter.restore(join::Remembered { counts: reading.value(), time, score });
        }
    }
}

/// The positions of an outcome; every task of a meter gives them.
fn read(output: TaskOutput) -> Vec<PositionRead> {
    match output.outcome {
        Outcome::Position { positions } => positions,
        _ => Vec::new(),
    }
}
