//! Preprocess → model → task for one pipeline: what a worker runs per frame, and `infer` and `check` per file.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::frame::{Frame, Geometry, Spec, TaskKind, TaskSpec, TensorView};
use crate::governor::Setpoint;
use crate::model::race::{self, Race};
use crate::model::{self, Bundle, Engine, LoadedModel, Model, ModelError, PlanKey};
use crate::preprocess::{self, PreprocessError, Preprocessor};
use crate::task::{self, Task, TaskError, TaskInput, TaskOutput};

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
    #[error("model {name:?}: neither a file, nor a bundle in {dirs}, nor one of the shipped models ({shipped})")]
    NoModel {
        /// As configured.
        name: String,
        /// Where was looked.
        dirs: String,
        /// What is embedded in the program.
        shipped: String,
    },
    /// The model cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The task's settings do not fit the model.
    #[error("{0}")]
    Task(String),
}

/// Opens a bundle or bare model: a path, a name in `dirs` (in order), or the name of a shipped model.
///
/// # Errors
/// [`PlanError::NoModel`], or what is wrong with the bundle.
pub fn open_bundle(name: &str, dirs: &[PathBuf]) -> Result<Bundle, PlanError> {
    if let Some(bundle) = model::open(name, dirs) {
        return Ok(bundle?);
    }
    Err(PlanError::NoModel {
        name: name.into(),
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
    /// Threads of one inference.
    pub threads: usize,
    /// How pictures are fitted.
    pub preprocess: preprocess::Config,
    /// What is made of the outputs: the bundle's defaults under the configuration.
    pub task: task::Config,
    /// Hash of the model file.
    pub sha256: String,
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
        // A bundle's manifest has the hash, which opening it has checked; a bare file has none yet.
        let sha256 = match bundle.manifest().sha256.as_str() {
            "" => model::sha256(&bundle.onnx(0)?),
            known => known.to_ascii_lowercase(),
        };
        Ok(Planner { bundle, engine, threads: threads.max(1), preprocess, task, sha256 })
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
    /// at `setpoint`, and stays with that.
    ///
    /// # Errors
    /// When the model cannot be loaded or run.
    pub fn race(&mut self, setpoint: &Setpoint, board: &str) -> Result<Option<Race>, PlanError> {
        if self.engine != Engine::Auto {
            return Ok(None);
        }
        let key = PlanKey { batch: Some(self.preprocess.regions.len().max(1) * setpoint.batch.max(1)), size: None };
        let race = race::race(&self.bundle, self.threads, key, board, race::state_dir().as_deref())?;
        if let Some(race) = &race {
            self.engine = race.engine;
        }
        Ok(race)
    }

    /// Compiles stages for `setpoint`: its resolution and its batch of frames.
    ///
    /// # Errors
    /// What does not fit, with the tensor or key.
    pub fn stages(&self, setpoint: &Setpoint) -> Result<Stages, PlanError> {
        let loaded = LoadedModel::load(&self.bundle, 0, self.engine, self.threads)?;
        let items = self.preprocess.regions.len().max(1);
        let frames = setpoint.batch.max(1);
        let size = setpoint
            .resolution
            .and_then(|side| loaded.sizes().into_iter().find(|[h, w]| (*h).max(*w) == side as usize));
        let key = PlanKey { batch: Some(items * frames), size };
        let model = loaded.plan(key)?;
        let mut spec = loaded.spec(key)?;
        if let (Some(fit), Spec::Image(image)) = (self.preprocess.fit, &mut spec) {
            image.fit = fit;
        }
        let task_spec = loaded.task_spec(key, items)?;
        let task = self.new_task(&task_spec)?;
        Ok(Stages {
            spec: spec.clone(),
            preprocessor: Preprocessor::new(spec, self.preprocess.regions.clone()),
            model,
            task,
            task_spec,
            items,
            frames,
            geometry: vec![Vec::new(); frames],
            engine: loaded.engine(),
        })
    }
}

/// One pipeline's stages, compiled for one batch and resolution.
pub struct Stages {
    spec: Spec,
    preprocessor: Preprocessor,
    model: Box<dyn Model>,
    task: Box<dyn Task>,
    task_spec: TaskSpec,
    items: usize,
    frames: usize,
    geometry: Vec<Vec<Geometry>>,
    engine: &'static str,
}

impl Stages {
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
        self.engine
    }

    /// Takes over the plan of `other` and keeps what the task remembers.
    pub fn replace_with(&mut self, mut other: Stages) {
        std::mem::swap(&mut self.task, &mut other.task);
        *self = other;
    }

    /// Writes a frame into the model's input as frame `index` of the batch.
    ///
    /// # Errors
    /// [`StageError::Preprocess`]; the other frames of the batch stay as they are.
    pub fn prepare(&mut self, frame: &Frame, index: usize) -> Result<(), StageError> {
        let geometry = self.preprocessor.run(frame, self.model.input_mut(0), index * self.items)?;
        if let Some(kept) = self.geometry.get_mut(index) {
            kept.clear();
            kept.extend_from_slice(geometry);
        }
        Ok(())
    }

    /// Runs the model over the batch.
    ///
    /// # Errors
    /// [`StageError::Model`].
    pub fn infer(&mut self) -> Result<(), StageError> {
        Ok(self.model.run()?)
    }

    /// What the last run said about frame `index` of the batch; `now` is monotonic, `time` the frame's own.
    ///
    /// # Errors
    /// [`StageError::Task`].
    pub fn interpret(&mut self, index: usize, now: Duration, time: SystemTime) -> Result<TaskOutput, StageError> {
        let inputs: Vec<TensorView<'_>> = (0..self.model.inputs().len()).map(|i| self.model.input(i)).collect();
        let outputs: Vec<TensorView<'_>> = (0..self.model.outputs().len()).map(|i| self.model.output(i)).collect();
        let input = TaskInput {
            inputs: &inputs,
            outputs: &outputs,
            first_item: index * self.items,
            geometry: self.geometry.get(index).map_or(&[], Vec::as_slice),
            now,
            time,
        };
        Ok(self.task.run(&input)?)
    }
}
