//! A pipeline's model, compiled for full work, and its ladder: measured on this board, or remembered.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use leptond_governor::{Candidate, OperatingPoint, PipelineLadder, Setpoint};

use super::calibrate::{self, Calibration, Job, calibrate};
use super::error::{PipelineError, PlanError};
use super::key::StagesKey;
use super::measurement_lock::MeasurementLock;
use super::planner::{Planner, open_of};
use super::pool::Pool;
use super::resolved::Resolved;
use super::stages::Stages;
use super::trial;
use crate::board::Info;
use crate::model;
use crate::sys::Roots;
use crate::telemetry::mark_of;

/// Directories that pipelines are made ready from.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Directories in which models are looked for, in this order.
    pub models: Vec<PathBuf>,
    /// Directory in which measurements are kept; `None` = they are not.
    pub state: Option<PathBuf>,
}

/// A pipeline's model, compiled for full work, and its cost on this board.
pub struct Measured {
    /// Compiles the stages anew for another setpoint.
    pub planner: Planner,
    /// The stages for full work.
    pub stages: Stages,
    /// The ladder; its first rung is full work.
    pub ladder: PipelineLadder,
    /// The cost was remembered from an earlier start.
    pub remembered: bool,
}

/// Opens the model of a pipeline, compiles the plan for full work and measures (or remembers) the cost of lesser work.
///
/// # Errors
/// [`PipelineError::Model`] and [`PipelineError::Fit`].
pub fn measure(pipeline: &Resolved, places: &Places, roots: &Roots) -> Result<Measured, PipelineError> {
    let config = &pipeline.config;
    let Compiled { planner, mut stages, board } = compile(pipeline, places, roots, None)?;
    let calibration = calibrate(&planner, &mut stages, &job(pipeline, &board, places.state.as_deref(), None));
    let Calibration { candidates, remembered } =
        calibration.map_err(|e| PipelineError::Model(config.name.to_string(), e))?;
    Ok(Measured { ladder: ladder(pipeline, &candidates), planner, stages, remembered })
}

/// A model with the plan for full work.
struct Compiled {
    planner: Planner,
    stages: Stages,
    /// Model and processor of the board.
    board: String,
}

/// Opens the model of a pipeline and compiles the plan for full work, or takes a seat in a plan of `pool` where it may share one.
fn compile(
    pipeline: &Resolved,
    places: &Places,
    roots: &Roots,
    pool: Option<&Arc<Pool>>,
) -> Result<Compiled, PipelineError> {
    let Resolved { config, feed } = pipeline;
    let name = config.name.as_str();
    let unusable = |e: PlanError| PipelineError::Model(name.into(), e);
    model::spare_thread().map_err(|e| PipelineError::Thread(name.into(), e))?;
    let bundle = open_of(config, &places.models).map_err(unusable)?;
    mark_of("model found", name);
    trial::try_out(&bundle, places.state.as_deref()).map_err(|e| unusable(e.into()))?;
    mark_of("model tried", name);
    let info = Info::read(roots);
    let board = format!("{} {}", info.model, info.cpu);
    let cores = if info.cores == 0 { usize::MAX } else { info.cores };
    let threads = (config.threads as usize).clamp(1, cores);
    let mut planner =
        Planner::new(bundle, config.engine, threads, config.preprocess.clone(), &config.task).map_err(unusable)?;
    planner.follow(config.events());
    if let Some(meter) = &config.meter {
        planner.join(meter, &places.models).map_err(unusable)?;
        if let Some(second) = planner.second() {
            trial::try_out(&second.bundle, places.state.as_deref()).map_err(|e| unusable(e.into()))?;
        }
    }
    if let Some(tuned) = planner.race(&planner.full(), &board, places.state.as_deref()).map_err(unusable)? {
        let (int8_ms, f32_ms) = (tuned.int8_ms, tuned.f32_ms);
        tracing::info!(pipeline = name, engine = ?tuned.engine, int8_ms, f32_ms, remembered = tuned.remembered,
            "the faster engine on this board");
    }
    mark_of("engine chosen", name);
    let mut loaded = planner.load(0).map_err(unusable)?;
    mark_of("model parsed", name);
    let full = Setpoint { resolution: Planner::own_resolution(&loaded), ..planner.full() };
    if let Some((pool, terms)) = pool.and_then(|pool| Some((pool, pool.terms(pipeline, feed.frame_interval())?))) {
        planner.share(pool.clone(), name, terms);
    }
    let stages = planner.compile_shared(&mut loaded, (&full).into()).map_err(unusable)?;
    mark_of("plan compiled", name);
    match feed.misfit(stages.spec(), stages.item_len()) {
        Some(reason) => Err(PipelineError::Fit(name.into(), reason)),
        None => Ok(Compiled { planner, stages, board }),
    }
}

/// A pipeline that was never measured on this board; that is done while it and the others run.
pub struct Uncalibrated {
    pipeline: Resolved,
    planner: Arc<Planner>,
    full: StagesKey,
    board: String,
    state: Option<PathBuf>,
}

impl Uncalibrated {
    /// Measures it, each time with `lock`. `None` when that is of no use any more.
    ///
    /// # Errors
    /// [`PlanError`] if not even the plan for full work can be made a second time.
    pub(crate) fn measure(&self, lock: &MeasurementLock) -> Result<Option<PipelineLadder>, PlanError> {
        let mut stages = self.planner.compile(&mut self.planner.load(self.full.variant)?, self.full)?;
        let calibration = calibrate(
            &self.planner,
            &mut stages,
            &job(&self.pipeline, &self.board, self.state.as_deref(), Some(lock)),
        )?;
        Ok((!lock.ended()).then(|| ladder(&self.pipeline, &calibration.candidates)))
    }

    /// Logs the first and the last rung of `ladder`.
    pub(crate) fn say(&self, ladder: &PipelineLadder, remembered: bool) {
        let words = |rung: Option<&OperatingPoint>| rung.map(|r| in_words(&self.planner, r)).unwrap_or_default();
        let (first, last) = (words(ladder.rungs.first()), words(ladder.rungs.last()));
        let (pipeline, rungs) = (self.pipeline.config.name.as_str(), ladder.rungs.len());
        tracing::info!(pipeline, rungs, first, last, remembered, "the governor's ladder");
    }
}

fn job<'a>(
    pipeline: &'a Resolved,
    board: &'a str,
    dir: Option<&'a Path>,
    lock: Option<&'a MeasurementLock>,
) -> Job<'a> {
    // Without a model nothing is gained by a batch, nor by one of frames that are looked at in tiles.
    let alone = !pipeline.config.task.needs_model() || pipeline.config.preprocess.tiles.is_some();
    let max_batch = if !alone { pipeline.config.governor.max_batch as usize } else { 1 };
    Job { feed: &pipeline.feed, max_batch, board, dir, lock }
}

fn ladder(pipeline: &Resolved, candidates: &[Candidate]) -> PipelineLadder {
    let Resolved { config, feed } = pipeline;
    PipelineLadder::new(&config.name, &config.governor, feed.frame_interval(), candidates)
}

/// A model with its plan for full work, and a ladder that was remembered or waits for measurements.
pub struct Ready {
    /// Compiles the stages anew for another setpoint.
    pub planner: Arc<Planner>,
    /// The stages for full work.
    pub stages: Stages,
    /// The ladder; its first rung is full work.
    pub ladder: PipelineLadder,
    /// The measurements that `ladder` waits for, where it is provisional.
    pub uncalibrated: Option<Uncalibrated>,
}

/// Opens the model and compiles the plan for full work, or takes a seat in one of `pool`. The cost of lesser work is looked up; where
/// it is not known, full work is timed once, so that the first result does not wait for the measurements.
///
/// # Errors
/// [`PipelineError`] naming the pipeline.
pub(crate) fn ready(
    pipeline: &Resolved,
    places: &Places,
    roots: &Roots,
    pool: &Arc<Pool>,
) -> Result<Ready, PipelineError> {
    let name = &pipeline.config.name;
    let Compiled { planner, mut stages, board } = compile(pipeline, places, roots, Some(pool))?;
    let planner = Arc::new(planner);
    let uncalibrated = Uncalibrated {
        pipeline: pipeline.clone(),
        planner: planner.clone(),
        full: stages.key(),
        board,
        state: places.state.clone(),
    };
    let job = job(pipeline, &uncalibrated.board, places.state.as_deref(), None);
    let (ladder, uncalibrated) = match calibrate::remembered(&planner, stages.key(), &job) {
        Some(candidates) => {
            let ladder = ladder(pipeline, &candidates);
            uncalibrated.say(&ladder, true);
            (ladder, None)
        }
        None => {
            let full = calibrate::full_work(&planner, &mut stages, &job)
                .map_err(|e| PipelineError::Model(name.to_string(), e))?;
            (PipelineLadder { provisional: true, ..ladder(pipeline, &[full]) }, Some(uncalibrated))
        }
    };
    mark_of("ladder", name);
    Ok(Ready { planner, stages, ladder, uncalibrated })
}

/// `small at 24 px, batch 2, 1 thread, every 500 ms: 2.31 ms`.
fn in_words(planner: &Planner, rung: &OperatingPoint) -> String {
    let Setpoint { variant, capture, resolution, batch, threads, interval, .. } = rung.setpoint;
    let at = resolution.map(|pixels| format!(" at {pixels} px")).unwrap_or_default();
    let pictures = capture.map(|pixels| format!(", pictures of {pixels} px")).unwrap_or_default();
    let every = match interval.as_millis() {
        0 => "every frame".into(),
        ms => format!("every {ms} ms"),
    };
    let threads = if threads == 1 { "1 thread".into() } else { format!("{threads} threads") };
    let variant = planner.variant_name(variant);
    format!("{variant}{at}{pictures}, batch {batch}, {threads}, {every}: {:.2} ms", rung.cost.infer_ms)
}
