//! One picture by itself, read as a pipeline or a meter would read it.

use std::path::PathBuf;
use std::time::Duration;

use super::config::Config;
use super::error::{PlanError, StageError};
use super::meter::MeterConfig;
use super::planner::{Planner, open_of};
use crate::frame::{Frame, Image, MeterReading, Outcome, Payload};
use crate::model::Bundle;

/// Reason for which a picture is not read.
#[derive(Debug, thiserror::Error)]
pub enum PhotoError {
    /// The stages cannot be made.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The picture gives no result.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The stages are not those of a meter.
    #[error("the model gives no positions of drums or dials")]
    NoMeter,
}

/// The planner of a pipeline or meter without its source; `bundle` is its model, a meter's second one comes from `dirs`. A meter takes each
/// picture by itself.
///
/// # Errors
/// [`PlanError`] when a model cannot be used.
pub fn planner(bundle: Bundle, pipeline: &Config, dirs: &[PathBuf]) -> Result<Planner, PlanError> {
    let threads = pipeline.threads as usize;
    let mut planner = Planner::new(bundle, pipeline.engine, threads, pipeline.preprocess.clone(), &pipeline.task)?;
    if let Some(meter) = &pipeline.meter {
        planner.join(meter, dirs)?;
        planner.take_single_pictures();
    }
    Ok(planner)
}

/// Reads one picture as a pipeline does, without its source.
///
/// # Errors
/// As [`read()`].
pub fn read_as(pipeline: &Config, dirs: &[PathBuf], image: Image) -> Result<Outcome, PhotoError> {
    read(&planner(open_of(pipeline, dirs)?, pipeline, dirs)?, image)
}

/// Reads one picture.
///
/// # Errors
/// [`PhotoError::Plan`] when the stages cannot be made, [`PhotoError::Stage`] when the picture cannot be decoded or used.
pub fn read(planner: &Planner, image: Image) -> Result<Outcome, PhotoError> {
    let mut stages = planner.stages(&planner.full())?;
    let mut frame = Frame::empty();
    frame.seq = 1;
    frame.payload = Payload::Image(image);
    stages.prepare(&frame, 0)?;
    stages.infer()?;
    Ok(stages.interpret(0, Duration::ZERO, frame.time)?.outcome)
}

/// Reads a meter in one picture, its regions taken where they are, without marks.
///
/// # Errors
/// As [`read()`].
pub fn read_meter(meter: &MeterConfig, dirs: &[PathBuf], image: Image) -> Result<MeterReading, PhotoError> {
    let fixed = MeterConfig { align: Vec::new(), reference: None, ..meter.clone() };
    match read_as(&fixed.pipeline(), dirs, image)? {
        Outcome::Meter(reading) => Ok(reading),
        _ => Err(PhotoError::NoMeter),
    }
}
