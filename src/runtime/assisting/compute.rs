//! A model as it computes for others: its bundle's own settings, as `infer` has them, each picture by itself.

use std::path::PathBuf;
use std::time::Instant;

use crate::fleet::{Compute, Computed, Content, ModelDigest, Opener, Picture, Refusal, RefusalKind};
use crate::frame::{Frame, Payload, PixelFormat, Spec};
use crate::model::{Bundle, Engine};
use crate::pipeline::{Planner, StageError, Stages, open_bundle, trial};
use crate::preprocess::PreprocessError;
use crate::runtime::offload::Settings;
use crate::{source, task};
use leptond_governor::Setpoint;

/// Opens the model `name`, a path or a name in `dirs`, to compute on `threads` with `batch` pictures at once.
pub fn opener(name: String, dirs: Vec<PathBuf>, threads: usize, batch: usize) -> Opener {
    Box::new(move || {
        let open = || -> Result<Box<dyn Compute>, String> {
            let bundle = open_bundle(&name, &dirs).map_err(|e| e.to_string())?;
            let state = crate::model::autotune::state_dir(&PathBuf::new(), &|name| std::env::var_os(name));
            trial::try_out(&bundle, state.as_deref()).map_err(|e| e.to_string())?;
            Ok(Box::new(Model::compile(bundle, threads, batch)?))
        };
        open().map_err(|reason| format!("{name}: {reason}"))
    })
}

/// Settings that go with a picture.
struct Wish {
    task: task::Settings,
    /// Least score of an object that is only followed.
    least_score: Option<f32>,
}

/// A compiled model.
struct Model {
    digest: ModelDigest,
    name: String,
    batch: usize,
    planner: Planner,
    /// Settings of the task as the bundle has them.
    own: task::Settings,
    stages: Stages,
    begun: Instant,
    frame: Frame,
}

impl Model {
    fn compile(bundle: Bundle, threads: usize, batch: usize) -> Result<Model, String> {
        let digest = ModelDigest::new(bundle.digest()).ok_or("it has no digest")?;
        let name = bundle.manifest().name.clone();
        let planner = Planner::of_bundle(bundle, Engine::default(), threads).map_err(|e| e.to_string())?;
        let setpoint = Setpoint { batch, ..planner.full() };
        let stages = planner.stages(&setpoint).map_err(|e| e.to_string())?;
        if !matches!(stages.spec(), Spec::Image(_)) {
            return Err("it takes readings, and only pictures are computed for others".into());
        }
        let own = planner.task.clone();
        Ok(Model { digest, name, batch, planner, own, stages, begun: Instant::now(), frame: Frame::empty() })
    }

    /// Writes a picture into place `index` of the batch.
    fn prepare(&mut self, picture: &Picture, index: usize) -> Result<(), Refusal> {
        let refuse = |reason: String| Refusal::new(RefusalKind::Picture, reason);
        let mut image = source::image_of(picture.bytes.to_vec()).map_err(refuse)?;
        if content_of(image.format) != Some(picture.content) {
            return Err(refuse("it has another format than it says".into()));
        }
        image.full = picture.full;
        self.frame.payload = Payload::Image(image);
        self.stages.prepare(&self.frame, index).map_err(|error| {
            let kind = match &error {
                StageError::Preprocess(PreprocessError::Decode { .. } | PreprocessError::Size(_)) => {
                    RefusalKind::Picture
                }
                _ => RefusalKind::Shape,
            };
            Refusal::new(kind, error.to_string())
        })
    }

    /// Settings that came with a picture.
    fn wish(&self, settings: &str) -> Result<Wish, Refusal> {
        let refuse = |reason: String| Refusal::new(RefusalKind::Malformed, format!("settings of the task: {reason}"));
        let Settings { task, least_score } = serde_json::from_str(settings).map_err(|e| refuse(e.to_string()))?;
        let manifest = self.planner.bundle.manifest();
        let task = task.over(manifest.task, &manifest.defaults).map_err(|e| refuse(e.to_string()))?;
        if task.kind() != self.own.kind() {
            return Err(refuse(format!("{} for a model of {}", task.kind().word(), self.own.kind().word())));
        }
        let least_score = least_score.filter(|score| (0.0..=1.0).contains(score));
        Ok(Wish { task, least_score })
    }

    /// The outcome of place `index` of the batch.
    fn outcome(&mut self, picture: &Picture, index: usize) -> Result<String, Refusal> {
        let failed = |reason: String| Refusal::new(RefusalKind::Failed, reason);
        let wish = picture.settings.as_deref().map(|settings| self.wish(settings)).transpose()?;
        self.planner.task = wish.as_ref().map_or_else(|| self.own.clone(), |wish| wish.task.clone());
        // What a task remembers belongs to one picture.
        self.planner.forget(&mut self.stages).map_err(|e| failed(e.to_string()))?;
        let output = match &wish {
            None => self.stages.interpret(index, self.begun.elapsed(), self.frame.time),
            Some(wish) => self.stages.look_for(index, wish.least_score, self.begun.elapsed(), self.frame.time),
        };
        let output = output.map_err(|e| failed(e.to_string()))?;
        let mut value = serde_json::to_value(&output.outcome).map_err(|e| failed(e.to_string()))?;
        if let (Some(object), false) = (value.as_object_mut(), output.faint.is_empty() || wish.is_none()) {
            let faint = serde_json::to_value(&output.faint).map_err(|e| failed(e.to_string()))?;
            object.insert("faint".into(), faint);
        }
        Ok(value.to_string())
    }
}

impl Compute for Model {
    fn digest(&self) -> &ModelDigest {
        &self.digest
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn batch(&self) -> usize {
        self.batch
    }

    fn run(&mut self, pictures: &[Picture]) -> Vec<Result<Computed, Refusal>> {
        let pictures = pictures.get(..self.batch.min(pictures.len())).unwrap_or_default();
        self.stages.reset_state();
        let prepared: Vec<Result<(), Refusal>> =
            pictures.iter().enumerate().map(|(index, picture)| self.prepare(picture, index)).collect();
        let good = prepared.iter().filter(|one| one.is_ok()).count();
        let before = Instant::now();
        let ran = if good > 0 { self.stages.infer().map_err(|e| e.to_string()) } else { Ok(()) };
        let infer = before.elapsed() / u32::try_from(good.max(1)).unwrap_or(1);
        let finish = |((index, prepared), picture): ((usize, Result<(), Refusal>), &Picture)| {
            prepared?;
            ran.clone().map_err(|reason| Refusal::new(RefusalKind::Failed, reason))?;
            self.outcome(picture, index).map(|outcome| Computed { outcome, infer, rung: 0 })
        };
        prepared.into_iter().enumerate().zip(pictures).map(finish).collect()
    }
}

/// Name of a picture's format in messages; `None` for one that is no file's.
pub fn content_of(format: PixelFormat) -> Option<Content> {
    match format {
        PixelFormat::Jpeg => Some(Content::Jpeg),
        PixelFormat::Png => Some(Content::Png),
        PixelFormat::Bmp => Some(Content::Bmp),
        _ => None,
    }
}
