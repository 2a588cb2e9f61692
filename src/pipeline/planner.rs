//! From a model with a pipeline's settings to stages: compiled anew for each setpoint.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use leptond_governor::Setpoint;

use super::config::Config;
use super::error::PlanError;
use super::key::StagesKey;
use super::marks::read_marks;
use super::meter_join::MeterJoin;
use super::misfit::tiles_misfit;
use super::pool::{self, PlanHandle, Pool, SharingTerms};
use super::size_inputs;
use super::stages::{MeterStage, Stages};
use super::tiling::Tiling;
use crate::event::{self, Events, ObjectSettings, Subject};
use crate::frame::{Spec, TaskKind, TaskSpec, Window, status};
use crate::join;
use crate::model::autotune::{self, Autotuned};
use crate::model::{self, Bundle, Engine, LoadedModel, ModelError, PlanKey};
use crate::preprocess::{self, Marks, Preprocessor};
use crate::task::{self, Task};

/// Opens a bundle or bare model: a path, a name in `dirs` (in order), or the name of a shipped model.
///
/// # Errors
/// [`PlanError::NoModel`], or what is wrong with the bundle.
pub fn open_bundle(name: &str, dirs: &[PathBuf]) -> Result<Bundle, PlanError> {
    if let Some(bundle) = model::open(name, dirs) {
        return Ok(bundle?);
    }
    let bare = |dir: &PathBuf| std::fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none());
    let usual = model::Config::default().dirs;
    Err(PlanError::NoModel {
        name: name.into(),
        may_come: name.contains('/') || dirs.iter().any(|dir| !usual.contains(dir) && bare(dir)),
        dirs: dirs.iter().map(|d| d.display().to_string()).collect::<Vec<_>>().join(", "),
        shipped: model::shipped().collect::<Vec<_>>().join(", "),
    })
}

/// Opens the model of a pipeline; [`Bundle::readings`] for a task that looks at the readings themselves.
///
/// # Errors
/// As [`open_bundle`].
pub fn open_of(config: &Config, dirs: &[PathBuf]) -> Result<Bundle, PlanError> {
    match config.task.kind().filter(|kind| !kind.needs_model()) {
        Some(kind) => Ok(Bundle::readings(kind)),
        None => open_bundle(config.model_name(), dirs),
    }
}

/// Digest of the models of one pipeline.
pub fn digest_of<'a>(bundles: impl IntoIterator<Item = &'a Bundle>) -> String {
    bundles.into_iter().map(Bundle::digest).collect::<Vec<_>>().join(" ")
}

/// Compiles the stages of a pipeline anew for each setpoint.
pub struct Planner {
    /// The model with all that belongs to it.
    pub bundle: Bundle,
    /// Engine that runs it.
    pub engine: Engine,
    /// Threads of one inference at most.
    pub threads: usize,
    /// Fit and regions of pictures.
    pub preprocess: preprocess::Config,
    /// Settings of the task: the bundle's defaults under the configuration.
    pub task: task::Settings,
    /// Settings of events; objects are followed where [`Planner::follow`] said so.
    pub events: event::Settings,
    /// Hash of the model file.
    pub sha256: String,
    /// The meter that this pipeline reads, and the planner of its second model.
    meter: Option<(join::Settings, Option<Box<Planner>>)>,
    /// Marks that the regions follow.
    marks: Option<Arc<Marks>>,
    /// The pool of plans that may be shared, if the pipeline shares.
    share: Option<Share>,
}

/// One pipeline's access to the shared plans.
struct Share {
    pool: Arc<Pool>,
    name: String,
    terms: SharingTerms,
}

impl Planner {
    /// A planner for a model with a pipeline's settings over the bundle's defaults.
    ///
    /// # Errors
    /// [`PlanError::Task`] when the bundle's defaults are not a task's settings.
    pub fn new(
        bundle: Bundle,
        engine: Engine,
        threads: usize,
        preprocess: preprocess::Config,
        task: &task::Config,
    ) -> Result<Self, PlanError> {
        let task = task
            .over(bundle.manifest().task, &bundle.manifest().defaults)
            .map_err(|e| PlanError::Task(format!("{}: {e}", bundle.path().display())))?;
        let sha256 = bundle.variants().first().map(|main| bundle.hash(main)).unwrap_or_default();
        let events = event::Settings { subject: subject(&task, false), ..event::Settings::default() };
        Ok(Planner {
            bundle,
            engine,
            threads: threads.max(1),
            preprocess,
            task,
            events,
            sha256,
            meter: None,
            marks: None,
            share: None,
        })
    }

    /// A planner for a model as its bundle says, without a pipeline's settings.
    ///
    /// # Errors
    /// As [`Planner::new`].
    pub fn of_bundle(bundle: Bundle, engine: Engine, threads: usize) -> Result<Self, PlanError> {
        Planner::new(bundle, engine, threads, preprocess::Config::default(), &task::Config::default())
    }

    /// Joins what the models of a meter read; the second one is looked for in `dirs`.
    ///
    /// # Errors
    /// [`PlanError::NoModel`], or what is wrong with the second model.
    pub fn join(&mut self, meter: &MeterJoin, dirs: &[PathBuf]) -> Result<(), PlanError> {
        let second = |name: &String| {
            let bundle = open_bundle(name, dirs)?;
            Planner::new(bundle, self.engine, 1, meter.preprocess.clone(), &task::PositionConfig::of_any_score().into())
                .map(Box::new)
        };
        let mut settings = meter.settings.clone();
        settings.whole_digits = self.bundle.manifest().output.position.is_none();
        self.meter = Some((settings, meter.model.as_ref().map(second).transpose()?));
        self.marks = meter.marks.as_ref().map(read_marks).transpose()?.map(Arc::new);
        Ok(())
    }

    /// Takes each picture of a meter by itself.
    pub fn take_single_pictures(&mut self) {
        if let Some((settings, _)) = &mut self.meter {
            settings.single = true;
        }
    }

    /// Least score of a result that counts, of a meter that of each place; `None` where nothing says one.
    pub fn least_score(&self) -> Option<f32> {
        match &self.meter {
            Some((settings, _)) => Some(settings.min_score),
            None => self.task.config().least_score(),
        }
    }

    /// Subject of the results that `stages` give.
    pub fn subject(&self, stages: &Stages) -> status::Subject {
        match &self.meter {
            Some((settings, _)) => status::Subject::Meter(settings.meter.clone()),
            None => self.task.config().subject(stages.task_spec()),
        }
    }

    /// The planner of a meter's second model.
    pub(crate) fn second(&self) -> Option<&Planner> {
        self.meter.as_ref()?.1.as_deref()
    }

    /// All that a second model's cost depends on, in words.
    pub(crate) fn second_key(&self) -> String {
        self.second().map_or_else(String::new, |second| format!("{} {:?}", second.bundle.digest(), second.preprocess))
    }

    /// Digest of its model; with a second one that of both.
    pub fn digest(&self) -> String {
        digest_of(std::iter::once(&self.bundle).chain(self.second().map(|second| &second.bundle)))
    }

    /// Regions of both models, in the order of a meter's places.
    pub fn regions(&self) -> Vec<preprocess::Region> {
        let more = self.second().map(|second| second.preprocess.regions.clone()).unwrap_or_default();
        self.preprocess.regions.iter().cloned().chain(more).collect()
    }

    /// From now on [`Planner::compile_shared`] asks `pool` for a plan that the pipeline `name` shares with others.
    pub(crate) fn share(&mut self, pool: Arc<Pool>, name: &str, terms: SharingTerms) {
        self.share = Some(Share { pool, name: name.into(), terms });
    }

    /// Makes events by the tables of a pipeline; the objects of a detector are followed over frames.
    pub fn follow(&mut self, config: event::Config) {
        self.events = event::Settings { config, subject: subject(&self.task, true) };
    }

    /// Full work: the main variant at its own size, one frame at a time, all threads.
    pub fn full(&self) -> Setpoint {
        Setpoint { threads: self.threads, ..Setpoint::full() }
    }

    /// The task that interprets the outputs.
    pub fn kind(&self) -> TaskKind {
        self.task.kind()
    }

    /// Makes `stages` forget what their task remembers, as before the first frame; the compiled plan stays.
    ///
    /// # Errors
    /// [`PlanError::Task`], as for [`Planner::stages`].
    pub fn forget(&self, stages: &mut Stages) -> Result<(), PlanError> {
        stages.task = self.new_task(&stages.task_spec)?;
        stages.events = Events::new(&self.events);
        if let (Some((settings, _)), Some(stage)) = (&self.meter, &mut stages.meter) {
            stage.meter = join::Meter::new(settings.clone());
        }
        Ok(())
    }

    fn new_task(&self, spec: &TaskSpec) -> Result<Box<dyn Task>, PlanError> {
        self.task.config().task(spec).map_err(|e| PlanError::Task(e.to_string()))
    }

    /// Where the engine is left to us: finds out (or remembers) whether this board runs the model faster in integers or in floats
    /// at `setpoint`, and stays with that. What came of it is kept in `dir`.
    ///
    /// # Errors
    /// When the model cannot be loaded or run.
    pub fn race(
        &mut self,
        setpoint: &Setpoint,
        board: &str,
        dir: Option<&Path>,
    ) -> Result<Option<Autotuned>, PlanError> {
        if let Some((_, Some(second))) = &mut self.meter {
            second.race(&second.full(), board, dir)?;
        }
        if self.engine != Engine::Auto || self.bundle.is_readings() {
            return Ok(None);
        }
        let key = PlanKey { batch: Some(self.preprocess.regions.len().max(1) * setpoint.batch.max(1)), size: None };
        let race = autotune::race(&self.bundle, self.threads, key, board, dir)?;
        if let Some(race) = &race {
            self.engine = race.engine;
        }
        Ok(race)
    }

    /// Parses variant `variant` of the model; stages are compiled from it by [`Planner::compile`].
    ///
    /// # Errors
    /// [`PlanError::Model`].
    pub fn load(&self, variant: usize) -> Result<LoadedModel, PlanError> {
        Ok(LoadedModel::load(&self.bundle, variant, self.engine, self.threads)?)
    }

    /// Compiles stages for what `setpoint` asks: variant, resolution, batch of frames, threads (no more than the planner's own).
    ///
    /// # Errors
    /// The misfit, with the tensor or key.
    pub fn stages(&self, setpoint: &Setpoint) -> Result<Stages, PlanError> {
        self.compile(&mut self.load(setpoint.variant)?, setpoint.into())
    }

    /// `main`, or the name of a variant.
    pub fn variant_name(&self, variant: usize) -> String {
        self.bundle.variants().get(variant).map(|r| r.name.clone()).unwrap_or_default()
    }

    /// Input size of a model's own variant, longer side in pixels; `None` for windows.
    pub fn own_resolution(loaded: &LoadedModel) -> Option<u32> {
        match loaded.spec(PlanKey::default()) {
            Ok(Spec::Image(image)) => u32::try_from(image.height.max(image.width)).ok(),
            _ => None,
        }
    }

    /// True if the task's memory means the same in every variant and size of the model. A learnt threshold does not: another variant
    /// errs by other amounts.
    pub fn comparable(&self) -> bool {
        self.task.config().is_comparable()
    }

    /// [`Planner::stages`] out of a model that is parsed already; `loaded` is variant `key.variant` of this planner's bundle.
    ///
    /// # Errors
    /// The misfit, with the tensor or key.
    pub fn compile(&self, loaded: &mut LoadedModel, key: StagesKey) -> Result<Stages, PlanError> {
        self.compile_with(loaded, key, None)
    }

    /// [`Planner::compile`] over a plan that is shared with other pipelines where they have the same and it pays. A pipeline that
    /// gathers a batch of its own, or looks at frames in tiles, does not share.
    ///
    /// # Errors
    /// The same.
    pub(crate) fn compile_shared(&self, loaded: &mut LoadedModel, key: StagesKey) -> Result<Stages, PlanError> {
        let alone = key.batch > 1 || self.preprocess.tiles.is_some();
        self.compile_with(loaded, key, self.share.as_ref().filter(|_| !alone))
    }

    fn compile_with(
        &self,
        loaded: &mut LoadedModel,
        key: StagesKey,
        share: Option<&Share>,
    ) -> Result<Stages, PlanError> {
        loaded.set_threads(key.threads.clamp(1, self.threads));
        let items = self.preprocess.regions.len().max(1);
        // Tiles go through the model one after the other: the memory is that of one picture, and the time of a batch is no shorter.
        let frames = if self.preprocess.tiles.is_some() { 1 } else { key.batch.max(1) };
        let size = self.size(loaded, key)?;
        let compile = |batch: usize| {
            let key = PlanKey { batch: Some(batch), size };
            let mut model = loaded.plan(key)?;
            if let (2.., Spec::Image(image)) = (model.inputs().len(), loaded.spec(key)?) {
                size_inputs::fill(model.as_mut(), [image.height, image.width]);
            }
            Ok::<_, ModelError>((model, loaded.engine()))
        };
        let plan = match share {
            Some(Share { pool, name, terms }) => {
                let (digest, engine) = (self.bundle.digest().to_owned(), self.engine);
                pool.plan(name, pool::Key { digest, engine, stages: key, items }, *terms, compile)?
            }
            None => PlanHandle::Own(compile(items * frames)?),
        };
        let plan_key = PlanKey { batch: Some(items * frames), size };
        let mut spec = loaded.spec(plan_key)?;
        if let (Some(fit), Spec::Image(image)) = (self.preprocess.fit, &mut spec) {
            image.fit = fit;
        }
        let mut task_spec = loaded.task_spec(plan_key, items)?;
        let model = plan.model();
        if self.kind().has_objects() {
            let head = loaded.head(self.kind(), model.outputs(), task_spec.input_size).map_err(|e| {
                let path = self.bundle.path().display();
                PlanError::Task(format!("{path}: {e}; leptond model add makes a bundle that says which it is"))
            })?;
            task_spec.head = Some(head);
        }
        let task = self.new_task(&task_spec)?;
        task.fits(model.outputs()).map_err(|e| PlanError::Task(format!("{}: {e}", self.bundle.path().display())))?;
        let tiling = self.tiling(&spec, model.state_bytes())?;
        Ok(Stages {
            key,
            spec: spec.clone(),
            preprocessor: Preprocessor::new(spec, self.preprocess.regions.clone())
                .with_checks(self.preprocess.checks())
                .with_marks(self.marks.clone()),
            plan,
            task,
            meter: self.meter_stage()?,
            task_spec,
            events: Events::new(&self.events),
            items,
            frames,
            windows: if self.bundle.is_readings() { vec![Window::default(); frames] } else { Vec::new() },
            geometry: vec![Vec::new(); frames],
            unreadable: vec![Vec::new(); frames],
            weights_bytes: loaded.info().weights_bytes,
            tiling,
            deadline: share.map(|share| share.terms.deadline).filter(|deadline| !deadline.is_zero()),
        })
    }

    /// Tiles of frames for a model whose input is `spec` and that keeps so many bytes between runs.
    fn tiling(&self, spec: &Spec, state_bytes: usize) -> Result<Option<Tiling>, PlanError> {
        let Some(tiles) = self.preprocess.tiles() else { return Ok(None) };
        let refuse = |reason: String| PlanError::Tiles { path: self.bundle.path().display().to_string(), reason };
        let Spec::Image(image) = spec else {
            return Err(refuse("preprocess.tiles: tiles are parts of pictures, and it takes readings".into()));
        };
        if let Some(misfit) = tiles_misfit(&self.preprocess, Some(self.kind()), Some(image.fit)) {
            return Err(refuse(misfit.to_string()));
        }
        if state_bytes > 0 {
            let reason = "preprocess.tiles: it keeps something from one picture to the next, and tiles are no sequence";
            return Err(refuse(reason.into()));
        }
        Ok(self.task.objects().map(|objects| Tiling::new(tiles, objects)))
    }

    /// The join of a meter, its second model compiled for full work.
    fn meter_stage(&self) -> Result<Option<MeterStage>, PlanError> {
        let Some((settings, second)) = &self.meter else { return Ok(None) };
        let dials = second.as_ref().map(|second| second.stages(&second.full()).map(Box::new)).transpose()?;
        Ok(Some(MeterStage { dials, meter: join::Meter::new(settings.clone()), lost: false }))
    }

    /// `[height, width]` of the resolution that is asked for.
    fn size(&self, loaded: &LoadedModel, key: StagesKey) -> Result<Option<[usize; 2]>, PlanError> {
        let Some(resolution) = key.resolution else { return Ok(None) };
        let sizes = loaded.sizes();
        match sizes.iter().find(|[h, w]| (*h).max(*w) == resolution as usize) {
            Some(size) => Ok(Some(*size)),
            None => Err(PlanError::Resolution {
                model: loaded.name().into(),
                variant: self.variant_name(key.variant),
                resolution,
                sizes,
            }),
        }
    }
}

/// Subject of events, by the task; objects are followed where that is wanted: pictures of which none is later than another have none.
fn subject(task: &task::Settings, follow: bool) -> Subject {
    match (task, task.objects()) {
        (_, Some(objects)) if follow => Subject::Objects(ObjectSettings {
            min_score: objects.min_score(),
            appear: objects.appear(),
            vanish: objects.vanish(),
        }),
        (task::Settings::Classify(_) | task::Settings::Text(_), _) => Subject::Label,
        (task::Settings::Anomaly(anomaly), _) => Subject::Anomaly { hysteresis: anomaly.hysteresis() },
        _ => Subject::Nothing,
    }
}
