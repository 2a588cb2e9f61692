//! The models of a configuration, tried one by one.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::config::{ConfigErrors, Loaded, Origin, PipelineConfig, Problem};
use crate::frame::{Spec, TaskKind};
use crate::model::{self, Bundle, LoadedModel, ModelError, PlanKey};
use crate::pipeline::offline::{self, GoldenFailure, OfflineError};
use crate::pipeline::{tiles_misfit, trial};

/// A model that was loaded and can run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModelReport {
    /// Name in its manifest.
    pub name: String,
    /// Version in its manifest.
    pub version: String,
    /// Bundle or file.
    pub path: PathBuf,
    /// Arithmetic that runs.
    pub engine: &'static str,
    /// Golden inputs that gave what they should: all of them.
    pub golden: usize,
}

/// A model that cannot be used.
#[derive(Debug, thiserror::Error)]
enum ModelFault {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Offline(#[from] OfflineError),
    #[error("{count} of {of} golden inputs give something else, the first {}: {}", first.file, first.reason)]
    Golden { count: usize, of: usize, first: GoldenFailure },
}

/// A model that was loaded, with what its first input takes.
struct Tried {
    report: ModelReport,
    spec: Spec,
    /// Values of one item.
    item_len: usize,
    /// Task of a bare file, as it shows when it is loaded.
    bare: Option<TaskKind>,
}

/// Loads every model, compiles it for full work and runs its golden inputs, so that an operator that cannot run is found
/// here and not at start; and compares the source of each pipeline with what its model takes. `around` runs the work on the model that
/// it is told of, so that a caller can show what takes its time.
///
/// # Errors
/// The models that cannot be used and the sources that do not fit, each by its key.
pub fn models(loaded: &Loaded, around: &dyn Fn(&str, &mut dyn FnMut())) -> Result<Vec<ModelReport>, ConfigErrors> {
    let mut tried: Vec<Tried> = Vec::new();
    let mut problems = Vec::new();
    for (i, pipeline) in loaded.config.pipelines.iter().enumerate() {
        let mut problem = |key: &str, what: String| {
            let key = loaded.config.path_of(i, key);
            let origin = loaded.sources.get(&key).cloned().unwrap_or(Origin::Default);
            let problem = Problem::new(key, what).at(origin);
            problems.push(Problem { pipeline: Some(pipeline.name.to_string()), ..problem });
        };
        if !pipeline.task.needs_model() {
            // The source alone can be wrong, and that is checked with the keys.
            continue;
        }
        let Some(bundle) = model::open(pipeline.model_name(), &loaded.config.models.dirs) else { continue };
        let known = bundle.as_ref().ok().and_then(|b| tried.iter().position(|t| t.report.path == b.path()));
        let place = match known {
            Some(place) => place,
            None => {
                let state_dir = loaded.config.node.state_dir();
                let mut result = None;
                around(pipeline.model_name(), &mut || {
                    let bundle = bundle.as_ref().map_err(ToString::to_string);
                    result = Some(bundle.and_then(|bundle| {
                        try_model(bundle, pipeline, state_dir.as_deref()).map_err(|error| error.to_string())
                    }));
                });
                match result {
                    Some(Ok(model)) => tried.push(model),
                    Some(Err(error)) => {
                        problem("model", format!("the model cannot be used: {error}"));
                        continue;
                    }
                    None => continue,
                }
                tried.len() - 1
            }
        };
        let feed = loaded.config.resolve(pipeline).map(|resolved| resolved.feed);
        let misfit = tried.get(place).zip(feed).and_then(|(t, feed)| feed.misfit(&t.spec, t.item_len));
        // A bundle's task was checked with the keys.
        let uncut = tried.get(place).and_then(|t| match (&t.spec, t.bare) {
            (Spec::Image(image), Some(task)) if pipeline.task.kind().is_none() => {
                tiles_misfit(&pipeline.preprocess, Some(task), Some(image.fit))
            }
            _ => None,
        });
        for misfit in misfit.into_iter().chain(uncut) {
            problem(misfit.key, misfit.reason);
        }
    }
    if problems.is_empty() { Ok(tried.into_iter().map(|t| t.report).collect()) } else { Err(ConfigErrors { problems }) }
}

fn try_model(bundle: &Bundle, pipeline: &PipelineConfig, state: Option<&Path>) -> Result<Tried, ModelFault> {
    trial::try_out(bundle, state)?;
    let model = LoadedModel::load(bundle, 0, pipeline.engine, pipeline.threads as usize)?;
    model.plan(PlanKey::default())?;
    let spec = model.spec(PlanKey::default())?;
    let shapes = model.shapes(PlanKey::default())?;
    let item_len = shapes.first().map_or(&[][..], |shape| shape).iter().skip(1).product();
    let (golden, failures) = offline::golden(bundle, pipeline.engine)?;
    let count = failures.len();
    if let Some(first) = failures.into_iter().next() {
        return Err(ModelFault::Golden { count, of: golden, first });
    }
    let manifest = bundle.manifest();
    let (name, version) = (manifest.name.clone(), manifest.version.clone());
    let report = ModelReport { name, version, path: bundle.path().to_path_buf(), engine: model.engine(), golden };
    let bare = bundle.is_bare().then_some(model.task());
    Ok(Tried { report, spec, item_len, bare })
}
