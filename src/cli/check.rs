//! `leptond check`: is this configuration, with its models, fit to run? Of a model by itself: what integers cost it, layer by layer.

mod layers;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::ladder::{self, Ladder};
use super::open::ShapeArgs;
use super::progress::loading;
use super::words::counted;
use super::{Failure, say, tell};
use crate::config::{self, ConfigErrors, Loaded, Options, Override, Problem};
use crate::credentials::{self, Kept};
use crate::diagnose::configured::{self, ModelReport};
use crate::publish;

/// Arguments of `leptond check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A bundle, bundle name, .onnx or .tflite file in place of the configuration: its golden inputs in integers beside floats, and layer
    /// by layer where the two part
    #[arg(value_name = "MODEL", conflicts_with_all = ["config", "set", "skip_files", "print", "ladder"])]
    model: Option<String>,
    /// With MODEL: an input in place of its golden ones, a picture, table or bare values (.npy, .bin, .f32); may be given again
    #[arg(long, value_name = "FILE", requires = "model")]
    input: Vec<PathBuf>,
    #[command(flatten)]
    shapes: ShapeArgs,
    /// Configuration file [default: /etc/leptond/leptond.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set a value on top of file and environment, for instance `mqtt.port=1884` or `pipeline[0].source.device=/dev/video2`
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = Override::set)]
    set: Vec<Override>,
    /// Do not look whether files, models and devices exist: the configuration is meant for another computer
    #[arg(long)]
    skip_files: bool,
    /// Print the effective configuration with the origin of each value, and say of each model how it was tried
    #[arg(long, conflicts_with_all = ["ladder", "json"])]
    print: bool,
    /// Print the governor's ladder of each pipeline as well: what the work may be lowered to, with what
    /// that costs on this board (measured now, or remembered from an earlier start) and what it is worth
    #[arg(long, conflicts_with = "skip_files")]
    ladder: bool,
    /// Print one JSON object: `ok`, `file`, `digest`, `config`, `sources`, `models`, `warnings`, `problems`, and with `--ladder`
    /// also `ladders`; of a MODEL `model`, `golden`, `inputs`, `layers`, `parts_at`, `agreement`
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    if let Some(model) = &args.model {
        return layers::run(model, &args.input, &args.shapes, args.json);
    }
    if !args.shapes.shapes.is_empty() {
        return Err(Failure::Usage("--shape belongs to a MODEL".into()));
    }
    let mut options = Options::from_process(args.config, args.set);
    options.skip_files = args.skip_files;
    let checked = config::load(&options).and_then(|loaded| {
        let models = if args.skip_files { Vec::new() } else { configured::models(&loaded, &loading)? };
        let ladders = if args.ladder { Some(ladder::measure(&loaded)?) } else { None };
        Ok((loaded, models, ladders))
    });
    match checked {
        Ok((loaded, models, ladders)) => report(&loaded, &models, ladders.as_deref(), args.json, args.print),
        Err(errors) => {
            if args.json {
                say(&failure_json(&errors).to_string())?;
            }
            Err(Failure::Config(errors.to_string()))
        }
    }
}

fn report(
    loaded: &Loaded,
    models: &[ModelReport],
    ladders: Option<&[Ladder]>,
    json: bool,
    print: bool,
) -> Result<(), Failure> {
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
    for ModelReport { name, version, path, engine, golden } in models.iter().filter(|_| print) {
        let golden = if *golden == 0 { String::new() } else { format!(", {golden} golden inputs as they should be") };
        tell(&format!("model {name} {version} ({engine}) runs{golden}: {}", path.display()));
    }
    let of_service = loaded.path.as_deref().is_some_and(credentials::is_of_service);
    if let Some(words) = password_words(&loaded.config.mqtt, of_service, Path::new(credentials::KEPT)) {
        tell(&words);
    }
    match ladders {
        Some(ladders) => say(ladder::table(ladders).trim_end()),
        // What is printed is a configuration, to be kept in a file: nothing else is beside it.
        None if print => say(config::effective(loaded).trim()),
        None => say(&verdict(loaded)),
    }
}

/// One line that says what was found to be in order.
fn verdict(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let meters = config.pipelines.iter().filter(|pipeline| pipeline.meter.is_some()).count();
    let of_pipelines = config.pipelines.iter().flat_map(|pipeline| pipeline.models()).map(|(_, name)| name);
    let models: BTreeSet<&str> = of_pipelines.chain(config.lent_models().iter().map(String::as_str)).collect();
    let parts = [
        (config.pipelines.len() - meters, "pipeline"),
        (meters, "meter"),
        (models.len(), "model"),
        (loaded.warnings.len(), "warning"),
    ];
    let parts: Vec<String> =
        parts.into_iter().filter(|(count, _)| *count > 0).map(|(count, word)| counted(count, word)).collect();
    let assists = if config.assists() { ", computes for other nodes" } else { "" };
    format!("OK: {}{assists}", parts.join(", "))
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
