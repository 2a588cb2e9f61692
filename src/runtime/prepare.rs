//! Everything a pipeline needs, made and checked before anything of the old one is stopped.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use leptond_governor::PipelineLadder;

use crate::frame::{Incoming, Spec};
use crate::pipeline::measure::ready;
use crate::pipeline::pool::Pool;
use crate::pipeline::{Feed, PipelineError, Places, Planner, Ready, Resolved, Stages, Uncalibrated};
use crate::publish::PublishError;
use crate::source::{self, Source};
use crate::sys::Roots;
use crate::telemetry::mark_of;

/// A pipeline that can be started.
pub struct Prepared {
    /// As configured, with its input looked up.
    pub pipeline: Resolved,
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

/// A pipeline that could not be made.
pub(super) struct Unmade {
    pub(super) pipeline: Box<Resolved>,
    pub(super) error: Box<PrepareError>,
}

impl Unmade {
    pub(super) fn new(pipeline: Resolved, error: PrepareError) -> Unmade {
        Unmade { pipeline: Box::new(pipeline), error: Box::new(error) }
    }
}

/// What came of each pipeline.
pub(super) type Made = Vec<Result<Prepared, Unmade>>;

/// Why a pipeline cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// Its stages cannot be made.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// Its source can never work.
    #[error("pipeline {0:?}: {1}")]
    Source(String, source::SourceError),
    /// Its topic cannot be subscribed to.
    #[error("pipeline {0:?}: {1}")]
    Topic(String, PublishError),
    /// It reads crops of another pipeline.
    #[error("pipeline {0:?}: crops of another pipeline cannot be read yet")]
    Crops(String),
}

impl PrepareError {
    /// Whether the same may work later although nobody changes the configuration.
    pub fn may_pass(&self) -> bool {
        match self {
            PrepareError::Pipeline(error) => error.may_pass(),
            PrepareError::Source(_, error) => matches!(error, source::SourceError::Lost { .. }),
            PrepareError::Topic(_, error) => error.may_pass(),
            PrepareError::Crops(_) => false,
        }
    }
}

/// Makes stages and ladder ready and opens the source. `subscribe` gives the messages of a topic filter.
///
/// # Errors
/// [`PrepareError`] naming the pipeline.
pub(super) fn prepare(
    pipeline: &Resolved,
    places: &Places,
    roots: &Roots,
    pool: &Arc<Pool>,
    subscribe: impl FnOnce(&str) -> Result<Receiver<Incoming>, PublishError>,
) -> Result<Prepared, PrepareError> {
    let Ready { planner, stages, ladder, uncalibrated } = ready(pipeline, places, roots, pool)?;
    let Resolved { config, feed } = pipeline;
    let Feed::Source { source, .. } = feed else {
        return Err(PrepareError::Crops(config.name.to_string()));
    };
    let incoming = match source.kind().subscription() {
        Some(topic) => Some(subscribe(topic.filter).map_err(|e| PrepareError::Topic(config.name.to_string(), e))?),
        None => None,
    };
    let channels = match stages.spec() {
        Spec::Window(spec) => spec.channels.clone(),
        Spec::Image(_) => Vec::new(),
    };
    let source = source::open(source, source::Context { roots: roots.clone(), incoming, waits: true, channels })
        .map_err(|e| PrepareError::Source(config.name.to_string(), e))?;
    mark_of("source opened", &config.name);
    Ok(Prepared { pipeline: pipeline.clone(), planner, stages, source, ladder, uncalibrated })
}
