//! Everything a pipeline needs, made and checked before anything of the old one is stopped.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use super::calibrate::{self, Calibration, Job, calibrate};
use super::pool::Pool;
use super::stages::{PlanError, Planner, Stages, StagesKey, open_bundle};
use super::trial;
use super::turn::Turn;
use crate::board::Info;
use crate::config::{Config, PipelineConfig};
use crate::frame::{Incoming, Spec};
use crate::model;
use crate::publish::PublishError;
use crate::source::{self, Source};
use crate::sys::Roots;
use crate::telemetry::mark_of;
use leptond_governor::{Candidate, PipelineLadder, Rung, Setpoint};

/// A pipeline that can be started.
pub struct Prepared {
    /// As configured.
    pub config: PipelineConfig,
    /// Compiles the stages anew for another setpoint.
    pub planner: Arc<Planner>,
    /// The stages for full work.
    pub stages: Stages,
    /// Where frames come from.
    pub source: Box<dyn Source>,
    /// How far its work may be lowered; the first rung is full work.
    pub ladder: PipelineLadder,
    /// What `ladder` waits for, where it is provisional.
    pub uncalibrated: Option<Uncalibrated>,
}

/// A pipeline that was never measured on this board: that is done while it runs (see [`super::calibrator`]).
pub struct Uncalibrated {
    config: PipelineConfig,
    planner: Arc<Planner>,
    full: StagesKey,
    board: String,
    state: Option<PathBuf>,
}

impl Uncalibrated {
    /// Measures it, whenever `turn` lets it. `None` when that is of no use any more.
    ///
    /// # Errors
    /// When not even the plan for full work can be made a second time.
    pub(super) fn measure(&self, turn: &Turn) -> Result<Option<PipelineLadder>, PlanError> {
        let mut stages = self.planner.compile(&mut self.planner.load(self.full.form)?, self.full)?;
        let calibration =
            calibrate(&self.planner, &mut stages, &job(&self.config, &self.board, self.state.as_deref(), Some(turn)))?;
        Ok((!turn.ended()).then(|| ladder(&self.config, &calibration.candidates)))
    }

    /// How the rungs of `ladder` are called, for the log.
    pub(super) fn say(&self, ladder: &PipelineLadder, remembered: bool) {
        let words = |rung: Option<&Rung>| rung.map(|r| in_words(&self.planner, r)).unwrap_or_default();
        let (first, last) = (words(ladder.rungs.first()), words(ladder.rungs.last()));
        let (pipeline, rungs) = (self.config.name.as_str(), ladder.rungs.len());
        tracing::info!(pipeline, rungs, first, last, remembered, "the governor's ladder");
    }
}

fn job<'a>(config: &'a PipelineConfig, board: &'a str, dir: Option<&'a Path>, turn: Option<&'a Turn>) -> Job<'a> {
    Job { source: &config.source, max_batch: config.governor.max_batch as usize, board, dir, turn }
}

fn ladder(config: &PipelineConfig, candidates: &[Candidate]) -> PipelineLadder {
    PipelineLadder::new(&config.name, &config.governor, frame_interval(&config.source), candidates)
}

/// Directories that pipelines are made ready from.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Where models are looked for, in this order.
    pub models: Vec<PathBuf>,
    /// Where measurements are kept; `None` = nowhere.
    pub state: Option<PathBuf>,
}

impl Places {
    /// As `config` and the environment name them.
    pub fn of(config: &Config) -> Places {
        Places { models: config.models.dirs.clone(), state: config.node.state_dir() }
    }
}

/// Why a pipeline cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// Its model cannot be used.
    #[error("pipeline {0:?}: {1}")]
    Model(String, PlanError),
    /// Its source can never work.
    #[error("pipeline {0:?}: {1}")]
    Source(String, source::SourceError),
    /// Source and model do not fit together.
    #[error("pipeline {0:?}: {1}")]
    Fit(String, Misfit),
    /// The system has no thread to make it on.
    #[error("pipeline {0:?}: no thread: {1}")]
    Thread(String, std::io::Error),
    /// Its topic cannot be subscribed to.
    #[error("pipeline {0:?}: {1}")]
    Topic(String, PublishError),
}

impl PrepareError {
    /// Whether the same may work later although nobody changes the configuration.
    pub fn may_pass(&self) -> bool {
        match self {
            PrepareError::Model(_, error) => error.may_pass(),
            PrepareError::Source(_, error) => matches!(error, source::SourceError::Lost { .. }),
            PrepareError::Topic(_, error) => error.may_pass(),
            PrepareError::Thread(..) => true,
            PrepareError::Fit(..) => false,
        }
    }
}

/// What a source gives and a model cannot take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {reason}")]
pub struct Misfit {
    /// Key of the pipeline's table that is to be changed.
    pub key: &'static str,
    /// What is given, and what is taken.
    pub reason: String,
}

/// A pipeline that could not be made.
pub(super) struct Unmade {
    pub(super) config: Box<PipelineConfig>,
    pub(super) error: Box<PrepareError>,
}

impl Unmade {
    pub(super) fn new(config: PipelineConfig, error: PrepareError) -> Unmade {
        Unmade { config: Box::new(config), error: Box::new(error) }
    }
}

/// What came of each pipeline.
pub(super) type Made = Vec<Result<Prepared, Unmade>>;

/// A pipeline's model, compiled for full work, and what it costs on this board.
pub struct Measured {
    /// Compiles the stages anew for another setpoint.
    pub planner: Planner,
    /// The stages for full work.
    pub stages: Stages,
    /// How far the work may be lowered; the first rung is full work.
    pub ladder: PipelineLadder,
    /// Whether what it costs was remembered from an earlier start.
    pub remembered: bool,
}

/// Opens the model of a pipeline, compiles the plan for full work and measures (or remembers) what lesser work costs.
///
/// # Errors
/// [`PrepareError::Model`] and [`PrepareError::Fit`].
pub fn measure(config: &PipelineConfig, places: &Places, roots: &Roots) -> Result<Measured, PrepareError> {
    let Compiled { planner, mut stages, board } = compile(config, places, roots, None)?;
    let calibration = calibrate(&planner, &mut stages, &job(config, &board, places.state.as_deref(), None));
    let Calibration { candidates, remembered } =
        calibration.map_err(|e| PrepareError::Model(config.name.clone(), e))?;
    Ok(Measured { ladder: ladder(config, &candidates), planner, stages, remembered })
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
    config: &PipelineConfig,
    places: &Places,
    roots: &Roots,
    pool: Option<&Arc<Pool>>,
) -> Result<Compiled, PrepareError> {
    let name = config.name.as_str();
    let unusable = |e: PlanError| PrepareError::Model(name.into(), e);
    model::spare_thread().map_err(|e| PrepareError::Thread(name.into(), e))?;
    let bundle = open_bundle(&config.model, &places.models).map_err(unusable)?;
    mark_of("model found", name);
    trial::try_out(&bundle, places.state.as_deref()).map_err(|e| unusable(e.into()))?;
    mark_of("model tried", name);
    let info = Info::read(roots);
    let board = format!("{} {}", info.model, info.cpu);
    let cores = if info.cores == 0 { usize::MAX } else { info.cores };
    let threads = (config.threads as usize).clamp(1, cores);
    let mut planner =
        Planner::new(bundle, config.engine, threads, config.preprocess.clone(), &config.task).map_err(unusable)?;
    if let Some(race) = planner.race(&planner.full(), &board, places.state.as_deref()).map_err(unusable)? {
        let (int8_ms, f32_ms) = (race.int8_ms, race.f32_ms);
        tracing::info!(pipeline = name, engine = ?race.engine, int8_ms, f32_ms, remembered = race.remembered,
            "the faster engine on this board");
    }
    mark_of("engine chosen", name);
    let mut loaded = planner.load(0).map_err(unusable)?;
    mark_of("model parsed", name);
    let full = Setpoint { resolution: Planner::own_resolution(&loaded), ..planner.full() };
    if let Some((pool, wish)) = pool.and_then(|pool| Some((pool, pool.wish(config, frame_interval(&config.source))?))) {
        planner.share(pool.clone(), name, wish);
    }
    let stages = planner.compile_shared(&mut loaded, (&full).into()).map_err(unusable)?;
    mark_of("plan compiled", name);
    match misfit(&config.source, stages.spec(), stages.item_len()) {
        Some(reason) => Err(PrepareError::Fit(name.into(), reason)),
        None => Ok(Compiled { planner, stages, board }),
    }
}

/// Opens the model, compiles the plan for full work or takes a seat in one of `pool`, and opens the source. `subscribe` gives the
/// messages of a topic filter. What lesser work costs is looked up; where it is not known, full work is timed once, so that the
/// first result does not wait for the measurements.
///
/// # Errors
/// [`PrepareError`] naming the pipeline.
pub(super) fn prepare(
    config: &PipelineConfig,
    places: &Places,
    roots: &Roots,
    pool: &Arc<Pool>,
    subscribe: impl FnOnce(&str) -> Result<Receiver<Incoming>, PublishError>,
) -> Result<Prepared, PrepareError> {
    let Compiled { planner, mut stages, board } = compile(config, places, roots, Some(pool))?;
    let planner = Arc::new(planner);
    let uncalibrated = Uncalibrated {
        config: config.clone(),
        planner: planner.clone(),
        full: stages.key(),
        board,
        state: places.state.clone(),
    };
    let job = job(config, &uncalibrated.board, places.state.as_deref(), None);
    let (ladder, uncalibrated) = match calibrate::remembered(&planner, stages.key(), &job) {
        Some(candidates) => {
            let ladder = ladder(config, &candidates);
            uncalibrated.say(&ladder, true);
            (ladder, None)
        }
        None => {
            let full = calibrate::full_work(&planner, &mut stages, &job)
                .map_err(|e| PrepareError::Model(config.name.clone(), e))?;
            (PipelineLadder { provisional: true, ..ladder(config, &[full]) }, Some(uncalibrated))
        }
    };
    mark_of("ladder", &config.name);
    let incoming = match &config.source {
        source::Config::Mqtt(mqtt) => {
            Some(subscribe(&mqtt.topic).map_err(|e| PrepareError::Topic(config.name.clone(), e))?)
        }
        _ => None,
    };
    let channels = match stages.spec() {
        Spec::Window(spec) => spec.channels.clone(),
        Spec::Image(_) => Vec::new(),
    };
    let source =
        source::open(&config.source, source::Context { roots: roots.clone(), incoming, waits: true, channels })
            .map_err(|e| PrepareError::Source(config.name.clone(), e))?;
    mark_of("source opened", &config.name);
    Ok(Prepared { config: config.clone(), planner, stages, source, ladder, uncalibrated })
}

/// `small at 24 px, batch 2, 1 thread, every 500 ms: 2.31 ms`.
fn in_words(planner: &Planner, rung: &Rung) -> String {
    let Setpoint { form, capture, resolution, batch, threads, interval, .. } = rung.setpoint;
    let at = resolution.map(|pixels| format!(" at {pixels} px")).unwrap_or_default();
    let pictures = capture.map(|pixels| format!(", pictures of {pixels} px")).unwrap_or_default();
    let every = match interval.as_millis() {
        0 => "every frame".into(),
        ms => format!("every {ms} ms"),
    };
    let threads = if threads == 1 { "1 thread".into() } else { format!("{threads} threads") };
    let form = planner.form_name(form);
    format!("{form}{at}{pictures}, batch {batch}, {threads}, {every}: {:.2} ms", rung.cost.infer_ms)
}

/// Time between two frames of a source at full work; zero where it is not known.
pub fn frame_interval(source: &source::Config) -> Duration {
    let by_fps = |fps: f64| if fps > 0.0 { Duration::from_secs_f64(1.0 / fps) } else { Duration::ZERO };
    match source {
        source::Config::Synthetic(c) => by_fps(c.fps),
        source::Config::Files(c) => by_fps(c.fps),
        source::Config::V4l2(c) => by_fps(c.fps),
        source::Config::Rpicam(c) => by_fps(c.fps),
        source::Config::Rtsp(c) => by_fps(c.fps),
        source::Config::Sensor(c) => Duration::from_millis(c.interval_ms * u64::from(c.stride)),
        source::Config::Mqtt(_) => Duration::ZERO,
    }
}

/// What a source gives that the model, whose items have `item_len` values, cannot take, as far as that is known before the
/// first frame.
pub fn misfit(source: &source::Config, spec: &Spec, item_len: usize) -> Option<Misfit> {
    let readings = match source {
        source::Config::Sensor(c) => Some((c.window, &c.channels)),
        source::Config::Mqtt(c) if c.content == source::MqttContent::Numbers => Some((c.window, &c.channels)),
        _ => None,
    };
    let (window, channels, spec) = match (readings, spec) {
        (Some((window, channels)), Spec::Window(spec)) => (window, channels, spec),
        (Some(_), Spec::Image(_)) => {
            let reason = "the source gives readings, the model takes pictures".into();
            return Some(Misfit { key: "source.type", reason });
        }
        (None, Spec::Window(_)) => {
            let reason = "the source gives pictures, the model takes windows of readings".into();
            return Some(Misfit { key: "source.type", reason });
        }
        (None, Spec::Image(_)) => return None,
    };
    if spec.channels.is_empty() && !channels.is_empty() && channels.len() * spec.rows != item_len {
        let (wants, has) = (item_len / spec.rows.max(1), channels.len());
        let names = channels.join(", ");
        let reason = format!("{has} in the list ({names}), and the model takes {wants} values in each reading");
        return Some(Misfit { key: "source.channels", reason });
    }
    if !channels.is_empty() && source::match_names(&spec.channels, channels).is_err() {
        let (wants, has) = (spec.channels.join(", "), channels.join(", "));
        return Some(Misfit { key: "source.channels", reason: format!("found {has}, the model takes {wants}") });
    }
    if !spec.channels.is_empty() && window as usize != spec.rows {
        let reason = format!("found {window}, the model takes windows of {} readings", spec.rows);
        return Some(Misfit { key: "source.window", reason });
    }
    None
}
