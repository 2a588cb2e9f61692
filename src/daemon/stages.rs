//! Preprocess → model → task for one pipeline: what a worker runs per frame, and `infer` and `check` per file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::pool::{self, Granted, Pool, Wish};
use crate::config::ModelsConfig;
use crate::frame::{Event, Frame, Geometry, Spec, TaskKind, TaskSpec, TensorView, Unreadable};
use crate::model::race::{self, Race};
use crate::model::{self, Bundle, Engine, LoadedModel, ModelError, PlanKey};
use crate::preprocess::{self, PreprocessError, Preprocessor};
use crate::task::{self, Memory, Task, TaskError, TaskInput, TaskOutput};
use leptond_governor::Setpoint;

/// Why one frame gave no result; the pipeline goes on.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The frame could not become a model input.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
    /// The model failed on it.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The outputs made no sense.
    #[error(transparent)]
    Task(#[from] TaskError),
}

/// Why a pipeline's stages cannot be made; found before anything runs.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// No bundle or file of that name.
    #[error(
        "model {name:?}: neither a file, nor a bundle in {dirs}, nor one of the shipped models ({shipped}); leptond model list shows more"
    )]
    NoModel {
        /// As configured.
        name: String,
        /// Where was looked.
        dirs: String,
        /// What is embedded in the program.
        shipped: String,
        /// Whether it may be there later: it is named by a path, or a directory for models is not there or empty, as before a disk is
        /// mounted.
        may_come: bool,
    },
    /// The model cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The task's settings do not fit the model.
    #[error("{0}")]
    Task(String),
    /// A resolution that this form of the model does not have.
    #[error("model {model:?}, form {form:?}: no input of {resolution} pixels, only {sizes:?} ([height, width])")]
    Resolution {
        /// The model's name.
        model: String,
        /// The form's name.
        form: String,
        /// What was asked for, longer side in pixels.
        resolution: u32,
        /// What there is.
        sizes: Vec<[usize; 2]>,
    },
}

impl PlanError {
    /// Whether the same may work later although nobody changes the configuration.
    pub fn may_pass(&self) -> bool {
        match self {
            PlanError::NoModel { may_come, .. } => *may_come,
            PlanError::Model(error) => matches!(error, ModelError::Unavailable { .. }),
            PlanError::Task(_) | PlanError::Resolution { .. } => false,
        }
    }

    /// Whether the model's files were written over since they were opened.
    pub(super) fn is_stale(&self) -> bool {
        matches!(self, PlanError::Model(ModelError::Changed { .. }))
    }
}

/// What stages are compiled for: everything of a setpoint but its pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StagesKey {
    /// Form of the model; 0 = the main one.
    pub form: usize,
    /// Model input size, longer side in pixels; `None` = the form's own.
    pub resolution: Option<u32>,
    /// Frames of one inference.
    pub batch: usize,
    /// Threads of one inference.
    pub threads: usize,
}

impl From<&Setpoint> for StagesKey {
    fn from(setpoint: &Setpoint) -> Self {
        let Setpoint { form, resolution, batch, threads, .. } = *setpoint;
        StagesKey { form, resolution, batch, threads }
    }
}

/// Opens a bundle or bare model: a path, a name in `dirs` (in order), or the name of a shipped model.
///
/// # Errors
/// [`PlanError::NoModel`], or what is wrong with the bundle.
pub fn open_bundle(name: &str, dirs: &[PathBuf]) -> Result<Bundle, PlanError> {
    if let Some(bundle) = model::open(name, dirs) {
        return Ok(bundle?);
    }
    let bare = |dir: &PathBuf| std::fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none());
    let usual = ModelsConfig::default().dirs;
    Err(PlanError::NoModel {
        name: name.into(),
        may_come: name.contains('/') || dirs.iter().any(|dir| !usual.contains(dir) && bare(dir)),
        dirs: dirs.iter().map(|d| d.display().to_string()).collect::<Vec<_>>().join(", "),
        shipped: model::shipped().collect::<Vec<_>>().join(", "),
    })
}

/// What the stages are made from; compiles them anew for each setpoint.
pub struct Planner {
    /// The model with all that belongs to it.
    pub bundle: Bundle,
    /// Which engine runs it.
    pub engine: Engine,
    /// Threads of one inference at most.
    pub threads: usize,
    /// How pictures are fitted.
    pub preprocess: preprocess::Config,
    /// What is made of the outputs: the bundle's defaults under the configuration.
    pub task: task::Config,
    /// Hash of the model file.
    pub sha256: String,
    /// With whom the plan may be shared.
    share: Option<Share>,
}

/// One pipeline's way to the plans that it may share.
struct Share {
    pool: Arc<Pool>,
    name: String,
    wish: Wish,
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
            .over(&bundle.manifest().defaults)
            .map_err(|e| PlanError::Task(format!("{}: {e}", bundle.path().display())))?;
        // A bundle's manifest has the hash, which opening it has checked; a bare file is all there is.
        let sha256 = match bundle.manifest().sha256.as_str() {
            "" => bundle.digest().to_owned(),
            known => known.to_ascii_lowercase(),
        };
        Ok(Planner { bundle, engine, threads: threads.max(1), preprocess, task, sha256, share: None })
    }

    /// From now on [`Planner::compile_shared`] asks `pool` for a plan that the pipeline `name` shares with others.
    pub(super) fn share(&mut self, pool: Arc<Pool>, name: &str, wish: Wish) {
        self.share = Some(Share { pool, name: name.into(), wish });
    }

    /// Full work: the main form at its own size, one frame at a time, all threads.
    pub fn full(&self) -> Setpoint {
        Setpoint { threads: self.threads, ..Setpoint::full() }
    }

    /// The task that interprets the outputs.
    pub fn kind(&self) -> TaskKind {
        self.task.kind.unwrap_or(self.bundle.manifest().task)
    }

    /// Makes `stages` forget what their task remembers, as before the first frame; the compiled plan stays.
    ///
    /// # Errors
    /// [`PlanError::Task`], as for [`Planner::stages`].
    pub fn forget(&self, stages: &mut Stages) -> Result<(), PlanError> {
        stages.task = self.new_task(&stages.task_spec)?;
        Ok(())
    }

    fn new_task(&self, spec: &TaskSpec) -> Result<Box<dyn Task>, PlanError> {
        task::new(self.kind(), &self.task, spec).map_err(|e| PlanError::Task(e.to_string()))
    }

    /// Where the engine is left to us: finds out (or remembers) whether this board runs the model faster in integers or in floats
    /// at `setpoint`, and stays with that. What came of it is kept in `dir`.
    ///
    /// # Errors
    /// When the model cannot be loaded or run.
    pub fn race(&mut self, setpoint: &Setpoint, board: &str, dir: Option<&Path>) -> Result<Option<Race>, PlanError> {
        if self.engine != Engine::Auto {
            return Ok(None);
        }
        let key = PlanKey { batch: Some(self.preprocess.regions.len().max(1) * setpoint.batch.max(1)), size: None };
        let race = race::race(&self.bundle, self.threads, key, board, dir)?;
        if let Some(race) = &race {
            self.engine = race.engine;
        }
        Ok(race)
    }

    /// Parses form `form` of the model; stages are compiled from it by [`Planner::compile`].
    ///
    /// # Errors
    /// [`PlanError::Model`].
    pub fn load(&self, form: usize) -> Result<LoadedModel, PlanError> {
        Ok(LoadedModel::load(&self.bundle, form, self.engine, self.threads)?)
    }

    /// Compiles stages for what `setpoint` asks: form, resolution, batch of frames, threads (no more than the planner's own).
    ///
    /// # Errors
    /// What does not fit, with the tensor or key.
    pub fn stages(&self, setpoint: &Setpoint) -> Result<Stages, PlanError> {
        self.compile(&mut self.load(setpoint.form)?, setpoint.into())
    }

    /// `main`, or the name of a variant.
    pub fn form_name(&self, form: usize) -> String {
        self.bundle.rungs().get(form).map(|r| r.name.clone()).unwrap_or_default()
    }

    /// Input size of a model's own form, longer side in pixels; `None` for windows.
    pub fn own_resolution(loaded: &LoadedModel) -> Option<u32> {
        match loaded.spec(PlanKey::default()) {
            Ok(Spec::Image(image)) => u32::try_from(image.height.max(image.width)).ok(),
            _ => None,
        }
    }

    /// Whether what the task remembers means the same in every form and size of the model. A learnt threshold does not: another form
    /// errs by other amounts.
    pub fn comparable(&self) -> bool {
        self.kind() != TaskKind::Anomaly || !self.task.learns_threshold()
    }

    /// [`Planner::stages`] out of a model that is parsed already; `loaded` is form `key.form` of this planner's bundle.
    ///
    /// # Errors
    /// What does not fit, with the tensor or key.
    pub fn compile(&self, loaded: &mut LoadedModel, key: StagesKey) -> Result<Stages, PlanError> {
        self.compile_with(loaded, key, None)
    }

    /// [`Planner::compile`] over a plan that is shared with other pipelines where they have the same and it pays. A pipeline that
    /// gathers a batch of its own does not share.
    ///
    /// # Errors
    /// The same.
    pub(super) fn compile_shared(&self, loaded: &mut LoadedModel, key: StagesKey) -> Result<Stages, PlanError> {
        self.compile_with(loaded, key, self.share.as_ref().filter(|_| key.batch <= 1))
    }

    fn compile_with(
        &self,
        loaded: &mut LoadedModel,
        key: StagesKey,
        share: Option<&Share>,
    ) -> Result<Stages, PlanError> {
        loaded.set_threads(key.threads.clamp(1, self.threads));
        let items = self.preprocess.regions.len().max(1);
        let frames = key.batch.max(1);
        let size = self.size(loaded, key)?;
        let compile = |batch: usize| {
            let model = loaded.plan(PlanKey { batch: Some(batch), size })?;
            Ok::<_, ModelError>((model, loaded.engine()))
        };
        let plan = match share {
            Some(Share { pool, name, wish }) => {
                let (digest, engine) = (self.bundle.digest().to_owned(), self.engine);
                pool.plan(name, pool::Key { digest, engine, stages: key, items }, *wish, compile)?
            }
            None => Granted::Own(compile(items * frames)?),
        };
        let plan_key = PlanKey { batch: Some(items * frames), size };
        let mut spec = loaded.spec(plan_key)?;
        if let (Some(fit), Spec::Image(image)) = (self.preprocess.fit, &mut spec) {
            image.fit = fit;
        }
        let mut task_spec = loaded.task_spec(plan_key, items)?;
        let model = plan.model();
        if self.kind() == TaskKind::Detect {
            let head = loaded.head(model.outputs(), task_spec.input_size).map_err(|e| {
                let path = self.bundle.path().display();
                PlanError::Task(format!("{path}: {e}; leptond model add makes a bundle that says which it is"))
            })?;
            task_spec.head = Some(head);
        }
        let task = self.new_task(&task_spec)?;
        task.fits(model.outputs()).map_err(|e| PlanError::Task(format!("{}: {e}", self.bundle.path().display())))?;
        Ok(Stages {
            key,
            spec: spec.clone(),
            preprocessor: Preprocessor::new(spec, self.preprocess.regions.clone())
                .with_checks(self.preprocess.checks()),
            plan,
            task,
            task_spec,
            items,
            frames,
            geometry: vec![Vec::new(); frames],
            unreadable: vec![Vec::new(); frames],
            weights_bytes: loaded.info().weights_bytes,
            deadline: share.map(|share| share.wish.deadline).filter(|deadline| !deadline.is_zero()),
        })
    }

    /// `[height, width]` of the resolution that is asked for.
    fn size(&self, loaded: &LoadedModel, key: StagesKey) -> Result<Option<[usize; 2]>, PlanError> {
        let Some(resolution) = key.resolution else { return Ok(None) };
        let sizes = loaded.sizes();
        match sizes.iter().find(|[h, w]| (*h).max(*w) == resolution as usize) {
            Some(size) => Ok(Some(*size)),
            None => Err(PlanError::Resolution {
                model: loaded.name().into(),
                form: self.form_name(key.form),
                resolution,
                sizes,
            }),
        }
    }
}

/// One pipeline's stages, compiled for one form, resolution, batch and number of threads.
pub struct Stages {
    key: StagesKey,
    spec: Spec,
    preprocessor: Preprocessor,
    plan: Granted,
    task: Box<dyn Task>,
    task_spec: TaskSpec,
    items: usize,
    frames: usize,
    geometry: Vec<Vec<Geometry>>,
    unreadable: Vec<Vec<Option<Unreadable>>>,
    weights_bytes: usize,
    /// From capture to result, where a run waits for other pipelines.
    deadline: Option<Duration>,
}

impl Stages {
    /// What it was compiled for.
    pub fn key(&self) -> StagesKey {
        self.key
    }

    /// Values of one item of the model's first input.
    pub fn item_len(&self) -> usize {
        let shape = self.plan.model().inputs().first().map_or(&[][..], |spec| &spec.shape);
        shape.iter().skip(1).product()
    }

    /// Bytes of the model's weights: about what the plan keeps in memory.
    pub fn weights_bytes(&self) -> usize {
        self.weights_bytes
    }

    /// Frames that one inference takes.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// What the model's first input wants.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The arithmetic that runs.
    pub fn engine(&self) -> &'static str {
        self.plan.engine()
    }

    /// Takes over the plan of `other` and keeps what the task remembers: labels, scores and boxes mean the same in every form and
    /// size of a bundle. (Where they do not, as an error whose threshold is learnt, no ladder has another form or size.) Gives
    /// the old plan, whose task remembers nothing.
    pub fn replace_with(&mut self, mut other: Stages) -> Stages {
        std::mem::swap(&mut self.task, &mut other.task);
        std::mem::replace(self, other)
    }

    /// What the task would keep over a restart.
    pub fn memory(&self) -> Option<Memory> {
        self.task.memory()
    }

    /// Gives the task what it kept; to be called before the first frame.
    pub fn restore(&mut self, memory: Memory) {
        self.task.restore(memory);
    }

    /// Writes a frame into the model's input as frame `index` of the batch.
    ///
    /// # Errors
    /// [`StageError::Preprocess`]; the other frames of the batch stay as they are.
    pub fn prepare(&mut self, frame: &Frame, index: usize) -> Result<(), StageError> {
        let geometry = self.preprocessor.run(frame, self.plan.input_mut(0), index * self.items)?;
        if let Some(kept) = self.geometry.get_mut(index) {
            kept.clear();
            kept.extend_from_slice(geometry);
        }
        if let Some(kept) = self.unreadable.get_mut(index) {
            kept.clear();
            kept.extend_from_slice(self.preprocessor.unreadable());
        }
        Ok(())
    }

    /// Runs the model over the batch.
    ///
    /// # Errors
    /// [`StageError::Model`].
    pub fn infer(&mut self) -> Result<(), StageError> {
        self.plan.run_by(None)?;
        Ok(())
    }

    /// Runs the model over the batch, whose oldest frame was captured at `captured`, with other pipelines that share the plan. Gives
    /// the time that it took, of a common run this pipeline's part.
    ///
    /// # Errors
    /// [`StageError::Model`].
    pub(super) fn infer_captured(&mut self, captured: Instant) -> Result<Duration, StageError> {
        Ok(self.plan.run_by(self.deadline.map(|deadline| captured + deadline))?)
    }

    /// What the last run said about frame `index` of the batch; `now` is monotonic, `time` the frame's own.
    ///
    /// # Errors
    /// [`StageError::Task`].
    pub fn interpret(&mut self, index: usize, now: Duration, time: SystemTime) -> Result<TaskOutput, StageError> {
        self.with_input(index, now, time, |task, input| task.run(input))
    }

    /// What makes it doubtful that the last run means what the task takes it for, one sentence each.
    ///
    /// # Errors
    /// [`StageError::Task`] when it cannot mean it.
    pub fn doubts(&mut self) -> Result<Vec<String>, StageError> {
        self.with_input(0, Duration::ZERO, SystemTime::now(), |task, input| task.doubts(input))
    }

    /// The outputs of the last run as reals.
    pub fn outputs(&self) -> Vec<Vec<f32>> {
        let model = self.plan.model();
        let values = |index| {
            let mut values = Vec::new();
            model.output(index).dequantize_into(&mut values);
            values
        };
        (0..model.outputs().len()).map(values).collect()
    }

    /// Events that end because no frame has told of them for long.
    pub(super) fn idle(&mut self, now: Duration) -> Vec<Event> {
        self.task.idle(now)
    }

    /// Events that end because no frame will follow.
    pub(super) fn end(&mut self) -> Vec<Event> {
        self.task.end()
    }

    fn with_input<T>(
        &mut self,
        index: usize,
        now: Duration,
        time: SystemTime,
        look: impl FnOnce(&mut dyn Task, &TaskInput<'_>) -> Result<T, TaskError>,
    ) -> Result<T, StageError> {
        let model = self.plan.model();
        let inputs: Vec<TensorView<'_>> = (0..model.inputs().len()).map(|i| model.input(i)).collect();
        let outputs: Vec<TensorView<'_>> = (0..model.outputs().len()).map(|i| model.output(i)).collect();
        let input = TaskInput {
            inputs: &inputs,
            outputs: &outputs,
            first_item: index * self.items,
            geometry: self.geometry.get(index).map_or(&[], Vec::as_slice),
            unreadable: self.unreadable.get(index).map_or(&[], Vec::as_slice),
            now,
            time,
        };
        Ok(look(self.task.as_mut(), &input)?)
    }
}
