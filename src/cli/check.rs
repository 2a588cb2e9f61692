//! `leptond check`: is this configuration, with its models, fit to run?

use std::path::{Path, PathBuf};

use serde_json::json;

use super::ladder::{self, Ladder};
use super::progress::spinner;
use super::{Failure, say, tell};
use crate::config::{self, ConfigErrors, Loaded, Options, Origin, Override, PipelineConfig, Problem};
use crate::credentials::{self, Kept};
use crate::frame::Spec;
use crate::model::{self, Bundle, LoadedModel, PlanKey};
use crate::pipeline::{offline, trial};
use crate::publish;

/// Arguments of `leptond check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration file [default: /etc/leptond/leptond.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set a value on top of file and environment, for instance `mqtt.port=1884` or `pipeline[0].source.device=/dev/video2`
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = Override::set)]
    set: Vec<Override>,
    /// Do not look whether files, models and devices exist: the configuration is meant for another computer
    #[arg(long)]
    skip_files: bool,
    /// Print the governor's ladder of each pipeline instead of the configuration: what the work may be lowered to, with what
    /// that costs on this board (measured now, or remembered from an earlier start) and what it is worth
    #[arg(long, conflicts_with = "skip_files")]
    ladder: bool,
    /// Print one JSON object: `ok`, `file`, `digest`, `config`, `sources`, `models`, `warnings`, `problems`, and with `--ladder`
    /// also `ladders`
    #[arg(long)]
    json: bool,
    /// Print the JSON schema of the configuration and check nothing
    #[arg(long, conflicts_with_all = ["json", "skip_files", "ladder"])]
    schema: bool,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    if args.schema {
        return say(&format!("{:#}", config::schema()));
    }
    let mut options = Options::from_process(args.config, args.set);
    options.skip_files = args.skip_files;
    let checked = config::load(&options).and_then(|loaded| {
        let models = if args.skip_files { Vec::new() } else { models(&loaded)? };
        let ladders = if args.ladder { Some(ladder::measure(&loaded)?) } else { None };
        Ok((loaded, models, ladders))
    });
    match checked {
        Ok((loaded, models, ladders)) => report(&loaded, &models, ladders.as_deref(), args.json),
        Err(errors) => {
            if args.json {
                say(&failure_json(&errors).to_string())?;
            }
            Err(Failure::Config(errors.to_string()))
        }
    }
}

/// A model that was loaded and can run.
#[derive(serde::Serialize)]
pub(super) struct ModelReport {
    name: String,
    version: String,
    path: PathBuf,
    engine: &'static str,
    /// Golden inputs that gave what they should: all of them.
    golden: usize,
}

/// A model that was loaded, with what its first input takes.
struct Tried {
    report: ModelReport,
    spec: Spec,
    /// Values of one item.
    item_len: usize,
}

/// Loads every model, compiles it for full work and runs its golden inputs, so that an operator that cannot run is found
/// here and not at start; and looks whether the source of each pipeline gives what its model takes.
pub(super) fn models(loaded: &Loaded) -> Result<Vec<ModelReport>, ConfigErrors> {
    let mut tried: Vec<Tried> = Vec::new();
    let mut problems = Vec::new();
    for (i, pipeline) in loaded.config.pipelines.iter().enumerate() {
        let mut problem = |key: &str, what: String| {
            let key = loaded.config.path_of(i, key);
            let origin = loaded.sources.get(&key).cloned().unwrap_or(Origin::Default);
            let problem = Problem::new(key, what).at(origin);
            problems.push(Problem { pipeline: Some(pipeline.name.to_string()), ..problem });
        };
        let Some(bundle) = model::open(&pipeline.model, &loaded.config.models.dirs) else { continue };
        let known = bundle.as_ref().ok().and_then(|b| tried.iter().position(|t| t.report.path == b.path()));
        let place = match known {
            Some(place) => place,
            None => {
                let loading = format!("loading {}", pipeline.model);
                let result = spinner(&loading, || {
                    try_model(&bundle.map_err(|e| e.to_string())?, pipeline, loaded.config.node.state_dir().as_deref())
                });
                match result {
                    Ok(model) => tried.push(model),
                    Err(error) => {
                        problem("model", format!("the model cannot be used: {error}"));
                        continue;
                    }
                }
                tried.len() - 1
            }
        };
        let feed = loaded.config.resolve(pipeline).map(|resolved| resolved.feed);
        let misfit = tried.get(place).zip(feed).and_then(|(t, feed)| feed.misfit(&t.spec, t.item_len));
        if let Some(misfit) = misfit {
            problem(misfit.key, misfit.reason);
        }
    }
    if problems.is_empty() { Ok(tried.into_iter().map(|t| t.report).collect()) } else { Err(ConfigErrors { problems }) }
}

fn try_model(bundle: &Bundle, pipeline: &PipelineConfig, state: Option<&Path>) -> Result<Tried, String> {
    trial::try_out(bundle, state).map_err(|e| e.to_string())?;
    let model = LoadedModel::load(bundle, 0, pipeline.engine, pipeline.threads as usize).map_err(|e| e.to_string())?;
    model.plan(PlanKey::default()).map_err(|e| e.to_string())?;
    let spec = model.spec(PlanKey::default()).map_err(|e| e.to_string())?;
    let shapes = model.shapes(PlanKey::default()).map_err(|e| e.to_string())?;
    let item_len = shapes.first().map_or(&[][..], |shape| shape).iter().skip(1).product();
    let (golden, failures) = offline::golden(bundle, pipeline.engine).map_err(|e| e.to_string())?;
    if let Some(first) = failures.first() {
        return Err(format!(
            "{} of {golden} golden inputs give something else, the first {}: {}",
            failures.len(),
            first.file,
            first.reason
        ));
    }
    let manifest = bundle.manifest();
    let (name, version) = (manifest.name.clone(), manifest.version.clone());
    let report = ModelReport { name, version, path: bundle.path().to_path_buf(), engine: model.engine(), golden };
    Ok(Tried { report, spec, item_len })
}

fn report(loaded: &Loaded, models: &[ModelReport], ladders: Option<&[Ladder]>, json: bool) -> Result<(), Failure> {
    for warning in &loaded.warnings {
        tell(&format!("warning: {warning}"));
    }
    if json {
        let mut object = json!({
            "ok": true,
            "file": loaded.path,
            "digest": loaded.digest,
            "config": config::masked(&loaded.config),
            "sources": loaded.sources,
            "models": models,
            "warnings": loaded.warnings,
            "problems": [],
        });
        if let Some(ladders) = ladders {
            object["ladders"] = json!(ladders);
        }
        return say(&object.to_string());
    }
    for ModelReport { name, version, path, engine, golden } in models {
        let golden = if *golden == 0 { String::new() } else { format!(", {golden} golden inputs as they should be") };
        tell(&format!("model {name} {version} ({engine}) runs{golden}: {}", path.display()));
    }
    let of_service = loaded.path.as_deref().is_some_and(credentials::is_of_service);
    if let Some(words) = password_words(&loaded.config.mqtt, of_service, Path::new(credentials::KEPT)) {
        tell(&words);
    }
    match ladders {
        Some(ladders) => say(ladder::table(ladders).trim_end()),
        None => say(config::effective(loaded).trim()),
    }
}

/// A sentence about the password, where there is something to say.
fn password_words(mqtt: &publish::Config, of_service: bool, kept: &Path) -> Option<String> {
    let name = &mqtt.username;
    let kept_file = kept.display();
    match credentials::as_the_service(&mut mqtt.clone(), of_service, kept) {
        Kept::Elsewhere => None,
        Kept::Taken => {
            Some(format!("the password of {name:?} at the broker is in {kept_file}; systemd hands it to the service"))
        }
        Kept::Absent => Some(format!(
            "{name:?} has no password at the broker; if it needs one, `sudo leptond setup` writes it to {kept_file}"
        )),
        Kept::Denied => Some(format!(
            "the password of {name:?} at the broker is in {kept_file}, which this user may not read: sudo leptond check"
        )),
    }
}

fn failure_json(errors: &ConfigErrors) -> serde_json::Value {
    let warnings: [Problem; 0] = [];
    json!({ "ok": false, "warnings": warnings, "problems": errors.problems })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_told_of_and_not_told() {
        let dir = tempfile::tempdir().unwrap();
        let kept = dir.path().join("mqtt-password");
        let mqtt = publish::Config { username: "u".into(), ..Default::default() };
        let words = |of_service| password_words(&mqtt, of_service, &kept).unwrap_or_default();
        assert!(words(true).contains("sudo leptond setup"), "{}", words(true));
        std::fs::write(&kept, "s3cret\n").unwrap();
        assert!(words(true).contains("systemd hands it") && !words(true).contains("s3cret"), "{}", words(true));
        assert_eq!(words(false), "");
    }
}
