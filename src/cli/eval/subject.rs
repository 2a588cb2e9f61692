//! A model that is measured: its stages, as `run` has them, over one file after the other.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::args::Args;
use crate::cli::open::{model_refs, open, try_out};
use crate::cli::progress::spinner;
use crate::cli::{Failure, choice, infer};
use crate::config::{self, Options};
use crate::frame::{Label, Outcome, Quant, Spec, TaskKind};
use crate::model::Engine;
use crate::pipeline::tensors::{self, Stored};
use crate::pipeline::{self, Planner, Stages, offline};
use crate::task::{self, Settings};
use leptond_governor::Setpoint;

/// Classes that are asked for: enough for a top-5, and for all of a small model.
const TOP: u32 = 100;
/// Score down to which boxes count for an average precision.
const FAINT: f32 = 0.001;

/// A model with its stages.
pub(super) struct Subject {
    /// Name for tables.
    pub name: String,
    /// The arithmetic that runs.
    pub engine: &'static str,
    /// Class names, index = class; empty where the model has none.
    pub labels: Vec<Label>,
    /// Least score of an object that `run` would tell of; `None` for other tasks.
    pub min_score: Option<f32>,
    /// Kind of its task.
    pub kind: TaskKind,
    planner: Planner,
    stages: Stages,
}

impl Subject {
    /// Opens `model` by the arguments. `classes` = the data has classes, so that a bare file is taken for a classifier.
    pub fn open(args: &Args, model: &str, engine: Engine, classes: bool) -> Result<Subject, Failure> {
        let planner = match Path::new(model).extension().is_some_and(|ending| ending == "toml") {
            true => of_pipeline(args, model)?,
            false => of_model(args, model, engine, classes)?,
        };
        let name = Path::new(model).file_name().map_or(model.into(), |name| name.to_string_lossy().into_owned());
        let full = planner.full();
        Subject::new(&name, planner, &full)
    }

    /// Compiles a model as `setpoint` asks; `name` is for tables.
    ///
    /// # Errors
    /// Those of loading the model.
    pub fn new(name: &str, mut planner: Planner, setpoint: &Setpoint) -> Result<Subject, Failure> {
        let mut min_score = None;
        match &mut planner.task {
            Settings::Classify(config) => config.top_k = Some(TOP),
            task => {
                if let Some(config) = objects(task) {
                    min_score = Some(config.min_score());
                    config.min_score = Some(config.min_score().min(FAINT));
                }
            }
        }
        let stages = spinner("loading the model", || planner.stages(setpoint)).map_err(anyhow::Error::from)?;
        let labels = stages.task_spec().labels.clone();
        let (engine, kind) = (stages.engine(), planner.kind());
        Ok(Subject { name: name.into(), engine, labels, min_score, kind, planner, stages })
    }

    /// Kind of input that it takes.
    pub fn spec(&self) -> &Spec {
        self.stages.spec()
    }

    /// True where the classes of several regions are joined to a reading.
    pub fn is_reading(&self) -> bool {
        self.planner.regions().len() > 1 || matches!(&self.planner.task, Settings::Classify(config) if config.monotonic)
    }

    /// Quantisation of its input, where it takes integers.
    pub fn input_quant(&self) -> Option<Quant> {
        self.stages.input_quant()
    }

    /// Time of one inference over the input that it has, in milliseconds.
    ///
    /// # Errors
    /// Reason for which it cannot run.
    pub fn time_ms(&mut self) -> Result<f64, String> {
        let began = Instant::now();
        self.stages.infer().map_err(|e| e.to_string())?;
        Ok(began.elapsed().as_secs_f64() * 1e3)
    }

    /// Outcomes for a file: one, or one for each window or item in it. `quant` says what integers mean to a model of floats.
    ///
    /// # Errors
    /// Reason for which the file gives none.
    pub fn outcomes(&mut self, path: &Path, quant: Option<Quant>) -> Result<Vec<Outcome>, String> {
        // What a task and a model remember belongs to one file.
        self.planner.forget(&mut self.stages).map_err(|e| e.to_string())?;
        self.stages.reset_state();
        let mut outcomes = Vec::new();
        if tensors::is_tensor(path) {
            for item in self.stages.items_of(Stored::read(path)?, quant)? {
                self.stages.set_input(&item).map_err(|e| e.to_string())?;
                self.stages.infer().map_err(|e| e.to_string())?;
                let output = self.stages.interpret(0, Duration::ZERO, SystemTime::UNIX_EPOCH);
                outcomes.push(output.map_err(|e| e.to_string())?.outcome);
            }
            return Ok(outcomes);
        }
        let mut source = offline::open(&path.display().to_string(), self.stages.spec()).map_err(|e| e.to_string())?;
        let mut failed = None;
        let ran = offline::run(&mut self.stages, source.as_mut(), |item| {
            match item.result {
                Ok(output) => outcomes.push(output.outcome),
                Err(error) => failed = Some(error),
            }
            failed.is_none()
        });
        ran.map_err(|e| e.to_string())?;
        match failed {
            Some(error) => Err(error),
            None if outcomes.is_empty() => Err("there is no whole picture or window in it".into()),
            None => Ok(outcomes),
        }
    }
}

fn objects(task: &mut Settings) -> Option<&mut task::DetectConfig> {
    match task {
        Settings::Detect(config) => Some(config),
        Settings::Pose(config) => Some(&mut config.0),
        Settings::Segment(config) => Some(&mut config.0),
        Settings::Obb(config) => Some(&mut config.0),
        _ => None,
    }
}

fn of_model(args: &Args, model: &str, engine: Engine, classes: bool) -> Result<Planner, Failure> {
    let mut bundle = open(model)?;
    bundle.give_shapes(&args.shapes.shapes);
    let cuts = infer::regions::given(args.regions.as_deref(), args.pipeline.as_deref(), args.tiles)?;
    let config = match bundle.is_bare() && classes {
        true => task::ClassifyConfig::default().into(),
        false => task::Config::default(),
    };
    let threads = args.threads as usize;
    let planner = Planner::new(bundle, engine, threads, cuts, &config);
    Ok(planner.map_err(anyhow::Error::from)?)
}

/// A pipeline or meter of a configuration, with all its settings.
fn of_pipeline(args: &Args, file: &str) -> Result<Planner, Failure> {
    let options = Options { file: Some(PathBuf::from(file)), skip_files: true, ..Options::default() };
    let loaded = config::load(&options).map_err(|errors| Failure::Config(errors.to_string()))?;
    let work = choice::pipeline(&loaded.config, Path::new(file), args.pipeline.as_deref(), |_| true)?;
    let mut dirs = loaded.config.models.dirs.clone();
    dirs.extend(model_refs().dirs);
    let wrong = |error: &dyn std::fmt::Display| Failure::Config(format!("{file}: pipeline {:?}: {error}", work.name));
    let bundle = pipeline::open_of(work, &dirs).map_err(|error| wrong(&error))?;
    spinner("trying the model", || try_out(&bundle)).map_err(|error| wrong(&error))?;
    pipeline::photo::planner(bundle, work, &dirs).map_err(|error| wrong(&error))
}
