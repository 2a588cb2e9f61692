//! Everything a pipeline needs, made and checked before anything of the old one is stopped.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use leptond_governor::PipelineLadder;

use super::context::PipelineContext;
use super::crops::Crops;
use super::sources::{Opened, Supply};
use crate::frame::{Incoming, SourceName, Spec};
use crate::pipeline::measure::ready;
use crate::pipeline::pool::Pool;
use crate::pipeline::{Feed, PipelineError, Places, Planner, Ready, Resolved, Stages, Uncalibrated};
use crate::publish::PublishError;
use crate::source::{self, Source, SourceError};
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
    /// Its source, opened or running.
    pub supply: Supply,
    /// Rungs of its work; the first is full work.
    pub ladder: PipelineLadder,
    /// Measurements that a provisional `ladder` waits for.
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

/// Result for each pipeline.
pub(super) type Made = Vec<Result<Prepared, Unmade>>;

/// Reason for which a pipeline cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// Its stages cannot be made.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// Its source can never work.
    #[error("pipeline {0:?}: {1}")]
    Source(String, SourceError),
    /// Its topic cannot be subscribed to.
    #[error("pipeline {0:?}: {1}")]
    Topic(String, PublishError),
    /// Its model takes other channels than the readers of its source before it.
    #[error(
        "pipeline {pipeline:?}: its model takes {wanted}; source {name:?} gives {given} to the others that read it: give it a source of its own"
    )]
    Channels {
        /// The pipeline.
        pipeline: String,
        /// Name of the source.
        name: String,
        /// Channels that its model names.
        wanted: String,
        /// Channels that the source gives.
        given: String,
    },
}

impl PrepareError {
    /// True if the same configuration may work later.
    pub fn may_pass(&self) -> bool {
        match self {
            PrepareError::Pipeline(error) => error.may_pass(),
            PrepareError::Source(_, error) => matches!(error, SourceError::Lost { .. }),
            PrepareError::Topic(_, error) => error.may_pass(),
            PrepareError::Channels { .. } => false,
        }
    }
}

/// Makes stages and ladders ready and then opens the sources, each once. `subscribe` gives the messages of a topic filter.
pub(super) fn prepare(
    pipelines: Vec<Resolved>,
    places: &Places,
    roots: &Roots,
    pool: &Arc<Pool>,
    context: &PipelineContext,
    subscribe: &Subscribe<'_>,
) -> Made {
    let ready = |pipeline: Resolved| match ready(&pipeline, places, roots, pool) {
        Ok(ready) => Ok((pipeline, ready)),
        Err(error) => Err(Unmade::new(pipeline, error.into())),
    };
    let ready: Vec<_> = pipelines.into_iter().map(ready).collect();
    let mut opener =
        Opener { roots, context, subscribe, channels: HashMap::new(), models: HashSet::new(), opened: HashMap::new() };
    for (pipeline, ready) in ready.iter().flatten() {
        opener.expect(pipeline, &ready.stages);
    }
    let mut finish = |(pipeline, ready): (Resolved, Ready)| {
        let supply = match opener.supply(&pipeline, &ready.stages) {
            Ok(supply) => supply,
            Err(error) => return Err(Unmade::new(pipeline, error)),
        };
        mark_of("source opened", &pipeline.config.name);
        let Ready { planner, stages, ladder, uncalibrated } = ready;
        Ok(Prepared { pipeline, planner, stages, supply, ladder, uncalibrated })
    };
    ready.into_iter().map(|one| one.and_then(&mut finish)).collect()
}

/// Gives the messages of a topic filter.
type Subscribe<'a> = dyn Fn(&str) -> Result<Receiver<Incoming>, PublishError> + 'a;

/// Opens the sources of pipelines that are made ready together.
struct Opener<'a> {
    roots: &'a Roots,
    context: &'a PipelineContext,
    subscribe: &'a Subscribe<'a>,
    /// Channels that the first reader of each shared source names.
    channels: HashMap<SourceName, Vec<String>>,
    /// Shared sources that a model reads: it is not given readings with gaps unless that is configured.
    models: HashSet<SourceName>,
    /// Shared sources by name; one that cannot be opened is not tried again for each reader.
    opened: HashMap<SourceName, Result<Arc<Opened>, SourceError>>,
}

impl Opener<'_> {
    /// Notes the channels that a pipeline takes, before its source is opened.
    fn expect(&mut self, pipeline: &Resolved, stages: &Stages) {
        let channels = channels(stages);
        let Feed::Source { name: Some(name), .. } = &pipeline.feed else { return };
        if pipeline.config.task.needs_model() {
            self.models.insert(name.clone());
        }
        if !channels.is_empty() {
            self.channels.entry(name.clone()).or_insert(channels);
        }
    }

    /// The source of one pipeline: opened, or one that runs already.
    fn supply(&mut self, pipeline: &Resolved, stages: &Stages) -> Result<Supply, PrepareError> {
        let reader = &pipeline.config.name;
        let (name, config) = match &pipeline.feed {
            Feed::Source { name: Some(name), source } => (name, source),
            Feed::Source { name: None, source } => {
                let gaps = !pipeline.config.task.needs_model();
                let source = self.open(reader, source, channels(stages), gaps)?;
                return Ok(Supply::Opened(Opened::own(reader, source)));
            }
            Feed::Crops { crops, .. } => {
                let queue = self.context.cascades.queue(&crops.pipeline, &crops.labels, crops.max as usize);
                let source = Crops::new(crops.pipeline.clone(), crops.pad, queue);
                return Ok(Supply::Opened(Opened::own(reader, Box::new(source))));
            }
        };
        let wanted = channels(stages);
        let running = self.context.sources.running(name, config);
        let given = running.as_ref().or_else(|| self.channels.get(name)).cloned().unwrap_or_default();
        if !wanted.is_empty() && !given.is_empty() && wanted != given {
            let (wanted, given) = (wanted.join(", "), given.join(", "));
            return Err(PrepareError::Channels { pipeline: reader.to_string(), name: name.to_string(), wanted, given });
        }
        if running.is_some() {
            return Ok(Supply::Running(name.to_string()));
        }
        if let Some(opened) = self.opened.get(name) {
            let opened = opened.clone().map_err(|error| PrepareError::Source(reader.to_string(), error))?;
            return Ok(Supply::Opened(opened));
        }
        let gaps = !self.models.contains(name);
        let opened = match self.open(reader, config, given.clone(), gaps) {
            Ok(source) => Ok(Opened::shared(name, config.clone(), given, source)),
            Err(PrepareError::Source(_, error)) => Err(error),
            Err(error) => return Err(error),
        };
        self.opened.insert(name.clone(), opened.clone());
        opened.map(Supply::Opened).map_err(|error| PrepareError::Source(reader.to_string(), error))
    }

    fn open(
        &self,
        reader: &str,
        config: &source::Config,
        channels: Vec<String>,
        gaps: bool,
    ) -> Result<Box<dyn Source>, PrepareError> {
        let incoming = match config.kind().subscription() {
            Some(topic) => Some((self.subscribe)(topic.filter).map_err(|e| PrepareError::Topic(reader.into(), e))?),
            None => None,
        };
        let context = source::Context { roots: self.roots.clone(), incoming, waits: true, gaps, channels };
        source::open(config, context).map_err(|e| PrepareError::Source(reader.into(), e))
    }
}

/// Channels that the model names; empty for pictures.
fn channels(stages: &Stages) -> Vec<String> {
    match stages.spec() {
        Spec::Window(spec) => spec.channels.clone(),
        Spec::Image(_) | Spec::Readings => Vec::new(),
    }
}
