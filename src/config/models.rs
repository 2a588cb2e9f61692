//! Checks that a pipeline and the model bundle that it names go together.

use super::check::Findings;
use super::problem::{Problem, quoted};
use super::{Config, PipelineConfig};
use crate::frame::TaskKind;
use crate::model::manifest::InputKind;
use crate::model::{self, Bundle};
use crate::source::{self, Frames};

impl Config {
    /// Opens the model of every pipeline (its manifest, its files and their hashes) and checks that source and task suit it.
    /// A model that is not there is left to [`Config::check_files`].
    pub fn check_models(&self) -> Findings {
        let mut f = Findings::default();
        for (i, pipeline) in self.pipelines.iter().enumerate() {
            let at = |key: &str| format!("pipeline[{i}].{key}");
            let Some(bundle) = model::open(&pipeline.model, &self.models.dirs) else { continue };
            match bundle {
                Ok(bundle) => check_bundle(pipeline, &bundle, &at, &mut f),
                Err(error) => f.problem(
                    Problem::new(at("model"), format!("the model cannot be used: {error}"))
                        .found(quoted(&pipeline.model))
                        .outside(),
                ),
            }
        }
        f
    }
}

fn check_bundle(pipeline: &PipelineConfig, bundle: &Bundle, at: &dyn Fn(&str) -> String, f: &mut Findings) {
    let manifest = bundle.manifest();
    let (numbers, window, channels) = match pipeline.source.kind().frames() {
        Frames::Pictures { .. } => (false, None, &[][..]),
        Frames::Windows { rows, channels } => (true, Some(rows), channels),
    };
    let (wants, gives) = match manifest.input.kind {
        Some(InputKind::Image) if numbers => ("pictures", "numbers"),
        Some(InputKind::Window) if !numbers => ("windows of numbers", "pictures"),
        _ => ("", ""),
    };
    if !wants.is_empty() {
        f.problem(
            Problem::new(at("source.type"), format!("this source gives {gives}"))
                .allowed(format!("a source of {wants}, which the model {} takes", quoted(&manifest.name))),
        );
        return;
    }
    if !channels.is_empty()
        && let Err(missing) = source::match_names(&manifest.input.channels, channels)
    {
        f.problem(
            Problem::new(at("source.channels"), "not the channels that the model takes")
                .found(channels.join(", "))
                .allowed(format!("{}, as {} names them", manifest.input.channels.join(", "), quoted(&manifest.name)))
                .help(format!("no single one of those found is {}, or a path that ends in it", missing.join(" or "))),
        );
    }
    if let (Some(window), Some(rows)) = (window, manifest.input.rows)
        && usize::try_from(window) != Ok(rows)
    {
        f.problem(
            Problem::new(at("source.window"), "not the window that the model takes")
                .found(window.to_string())
                .allowed(format!("{rows}, the rows of {}", quoted(&manifest.name))),
        );
    }
    if let Some(kind) = pipeline.task.kind()
        && !bundle.is_bare()
        && !matches!(kind, TaskKind::Raw)
        && manifest.task != TaskKind::Raw
        && kind != manifest.task
    {
        f.problem(
            Problem::new(at("task.type"), "not the task of the model")
                .found(word(kind))
                .allowed(format!("{} or \"raw\"; or leave it out", word(manifest.task))),
        );
    }
    f.take(&at("task"), pipeline.task.check_model(manifest.task, bundle.labels()));
}

fn word(kind: TaskKind) -> &'static str {
    match kind {
        TaskKind::Classify => "\"classify\"",
        TaskKind::Detect => "\"detect\"",
        TaskKind::Anomaly => "\"anomaly\"",
        TaskKind::Raw => "\"raw\"",
    }
}
