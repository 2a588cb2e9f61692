//! Checks that a pipeline and the model bundle that it names go together.

use std::collections::HashMap;

use super::check::tiles::check_tiles_of;
use super::findings::Findings;
use super::problem::{Problem, nearest, quoted};
use super::{Config, PipelineConfig};
use crate::frame::{Label, TaskKind};
use crate::model::manifest::InputKind;
use crate::model::{self, Bundle};
use crate::pipeline::{Crops, Input};
use crate::source::{self, Frames};
use crate::task::Settings;

impl Config {
    /// Opens the model of every pipeline (its manifest, its files and their hashes) and checks that source and task suit it.
    /// A model that is not there is left to [`Config::check_files`].
    pub fn check_models(&self) -> Findings {
        let mut f = Findings::default();
        let mut bundles: Vec<Option<Bundle>> = Vec::new();
        for (i, pipeline) in self.pipelines.iter().enumerate() {
            if let Some(kind) = pipeline.task.kind().filter(|kind| !kind.needs_model()) {
                self.check_readings(i, pipeline, &mut f);
                bundles.push(Some(Bundle::readings(kind)));
                continue;
            }
            let bundle = match model::open(pipeline.model_name(), &self.models.dirs) {
                Some(Ok(bundle)) => Some(bundle),
                Some(Err(error)) => {
                    f.problem(
                        Problem::new(self.path_of(i, "model"), format!("the model cannot be used: {error}"))
                            .found(quoted(pipeline.model_name()))
                            .outside(),
                    );
                    None
                }
                None => None,
            };
            bundles.push(bundle);
            for (key, name) in pipeline.models().skip(1) {
                if let Some(Err(error)) = model::open(name, &self.models.dirs) {
                    let problem = Problem::new(self.path_of(i, key), format!("the model cannot be used: {error}"));
                    f.problem(problem.found(quoted(name)).outside());
                }
            }
        }
        for (i, (pipeline, bundle)) in self.pipelines.iter().zip(&bundles).enumerate() {
            let at = |key: &str| self.path_of(i, key);
            if let Some(bundle) = bundle.as_ref().filter(|bundle| !bundle.is_readings()) {
                check_bundle(pipeline, self.source_of(&pipeline.source), bundle, &at, &mut f);
            }
            if let Input::Crops(crops) = &pipeline.source
                && let Some(place) = self.pipelines.iter().position(|one| one.name == crops.pipeline)
                && let (Some(parent), Some(Some(bundle))) = (self.pipelines.get(place), bundles.get(place))
            {
                check_crops(crops, parent, bundle, &at, &mut f);
            }
        }
        self.check_shared_channels(&bundles, &mut f);
        #[cfg(feature = "fleet")]
        self.check_fleet_models(&mut f);
        f
    }

    /// Models that compute for other nodes take pictures.
    #[cfg(feature = "fleet")]
    fn check_fleet_models(&self, f: &mut Findings) {
        for (i, name) in self.fleet.iter().flat_map(|fleet| &fleet.models).enumerate() {
            let reason = match model::open(name, &self.models.dirs) {
                None => "there is no such model".to_owned(),
                Some(Err(error)) => format!("the model cannot be used: {error}"),
                Some(Ok(bundle)) if bundle.manifest().input.kind == Some(InputKind::Window) => {
                    "it takes readings, and only pictures are computed for others".to_owned()
                }
                Some(Ok(_)) => continue,
            };
            f.problem(Problem::new(format!("fleet.models[{i}]"), reason).found(quoted(name)).outside());
        }
    }

    /// A task that looks at the readings themselves takes numbers, and gaps among them.
    fn check_readings(&self, i: usize, pipeline: &PipelineConfig, f: &mut Findings) {
        let at = |key: &str| self.path_of(i, key);
        let word = pipeline.task.kind().map_or("", TaskKind::word);
        if pipeline.model.is_some() {
            f.warn(Problem::new(at("model"), format!("has no effect: the task {} needs none", quoted(word))));
        }
        let Some(source) = self.source_of(&pipeline.source) else { return };
        if !source.kind().frames().are_windows() {
            let kind = format!("a source of numbers, which the task {} looks at", quoted(word));
            f.problem(Problem::new(at("source.type"), "this source gives pictures").allowed(kind));
            return;
        }
        let shared = |other: &&PipelineConfig| {
            matches!((&other.source, &pipeline.source), (Input::Named(a), Input::Named(b)) if a == b)
                && other.task.needs_model()
        };
        if let Some(other) = self.pipelines.iter().find(shared)
            && source.kind().passes_gaps().is_none()
        {
            let message = format!(
                "its source is read by {} as well, whose model is given no reading with a gap: a single channel without values is not seen",
                quoted(&other.name)
            );
            f.warn(Problem::new(at("source"), message).help("missing = \"nan\" passes gaps on to both"));
        } else if source.kind().passes_gaps() == Some(false) {
            let message =
                "a reading without a value for one channel is left out: that this channel is dead is not seen";
            f.warn(Problem::new(at("source.missing"), message).help("leave it away, or \"nan\""));
        }
    }

    /// A source of numbers gives every reader the same channels under the same names.
    fn check_shared_channels(&self, bundles: &[Option<Bundle>], f: &mut Findings) {
        let mut taken: HashMap<&str, (&str, &[String])> = HashMap::new();
        for (i, (pipeline, bundle)) in self.pipelines.iter().zip(bundles).enumerate() {
            let (Input::Named(source), Some(bundle)) = (&pipeline.source, bundle) else { continue };
            let channels = bundle.manifest().input.channels.as_slice();
            if channels.is_empty() {
                continue;
            }
            let (first, others) = *taken.entry(source).or_insert((&pipeline.name, channels));
            if others != channels {
                f.problem(
                    Problem::new(
                        format!("pipeline[{i}].source"),
                        format!("its model takes other channels than that of pipeline {first:?}, which reads the same source"),
                    )
                    .found(channels.join(", "))
                    .allowed(others.join(", "))
                    .help("give each of them a source of its own"),
                );
            }
        }
    }
}

/// The pipeline whose detections are cropped must detect, and know the labels that are asked for.
fn check_crops(crops: &Crops, parent: &PipelineConfig, bundle: &Bundle, at: &dyn Fn(&str) -> String, f: &mut Findings) {
    let manifest = bundle.manifest();
    // What a bare model is shows when it is loaded.
    let kind = parent.task.kind().or((!bundle.is_bare()).then_some(manifest.task));
    if let Some(kind) = kind.filter(|kind| !kind.has_objects()) {
        f.problem(
            Problem::new(at("source.pipeline"), "this pipeline detects nothing that could be cropped")
                .found(format!("{}, whose task is {}", quoted(&parent.name), word(kind)))
                .allowed("a pipeline whose task is \"detect\", \"pose\", \"segment\" or \"obb\""),
        );
        return;
    }
    let known = detected(parent, bundle);
    let known: Vec<&str> = known.iter().map(|label| &**label).collect();
    for (i, label) in crops.labels.iter().enumerate().filter(|_| !known.is_empty()) {
        unknown_label(
            label,
            &at(&format!("source.labels[{i}]")),
            "the other pipeline detects no such label",
            &known,
            f,
        );
    }
}

/// Labels that a detector gives; none where they are not known.
fn detected(pipeline: &PipelineConfig, bundle: &Bundle) -> Vec<Label> {
    let manifest = bundle.manifest();
    let settings = pipeline.task.over(manifest.task, &manifest.defaults);
    match settings.as_ref().ok().and_then(Settings::objects) {
        Some(objects) if !objects.labels.is_empty() => {
            objects.labels.iter().map(|label| Label::from(label.as_str())).collect()
        }
        _ => bundle.labels().to_vec(),
    }
}

fn check_bundle(
    pipeline: &PipelineConfig,
    source: Option<&source::Config>,
    bundle: &Bundle,
    at: &dyn Fn(&str) -> String,
    f: &mut Findings,
) {
    let manifest = bundle.manifest();
    let (numbers, window, channels) = match source.map(|source| source.kind().frames()) {
        Some(Frames::Windows { rows, channels }) => (true, Some(rows), channels),
        Some(Frames::Pictures { .. }) | None => (false, None, &[][..]),
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
    if let Some(source) = source.filter(|_| numbers && !manifest.input.channels.is_empty())
        && let Some(reason) = source.kind().refusal(&manifest.input.channels)
    {
        f.problem(
            Problem::new(at("source"), "no reading of this source has the channels that the model takes")
                .found(reason)
                .allowed(format!("{}, as {} names them", manifest.input.channels.join(", "), quoted(&manifest.name)))
                .outside(),
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
        // Digits may say how far their drums have turned.
        && (kind, manifest.task) != (TaskKind::Position, TaskKind::Classify)
    {
        f.problem(
            Problem::new(at("task.type"), "not the task of the model")
                .found(word(kind))
                .allowed(format!("{} or \"raw\"; or leave it out", word(manifest.task))),
        );
    }
    check_tiles_of(pipeline, source.map(|source| source.kind().frames()), bundle, at, f);
    f.take(&at("task"), pipeline.task.check_model(manifest.task, bundle.labels()));
    // What a bare model is shows when it is loaded.
    if let Some(kind) = pipeline.task.kind().or((!bundle.is_bare()).then_some(manifest.task)) {
        f.take(at("").trim_end_matches('.'), pipeline.events().check_model(kind, &detected(pipeline, bundle)));
    }
}

/// Reports `label` as `message` says unless it is `known`.
fn unknown_label(label: &str, key: &str, message: &str, known: &[&str], f: &mut Findings) {
    if known.contains(&label) {
        return;
    }
    let shown = known.iter().take(20).copied().collect::<Vec<_>>().join(", ");
    let more = if known.len() > 20 { format!(", … ({} labels)", known.len()) } else { String::new() };
    let mut problem = Problem::new(key, message).found(quoted(label)).allowed(format!("{shown}{more}"));
    problem.help = nearest(label, known.iter().copied()).map(|meant| format!("did you mean {meant:?}?"));
    f.problem(problem);
}

fn word(kind: TaskKind) -> String {
    format!("{:?}", kind.word())
}
