//! `leptond try`: what the pipelines and meters of a configuration say about photos, and why something would be held back.

mod nearly;
mod reasons;

use std::path::{Path, PathBuf};

use super::infer::drawn::Gallery;
use super::infer::files::{self, Shown};
use super::output::tell;
use super::progress::spinner;
use super::{Failure, choice};
use crate::config::{self, Config, Loaded, Options, PipelineConfig};
use crate::frame::{Frame, Outcome};
use crate::model::manifest::InputKind;
use crate::pipeline::{self, Input, Planner};
use crate::source::SensorKind;
use nearly::Nearly;

/// Arguments of `leptond try`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each FILE is taken by itself, without an earlier reading. A directory or a quoted pattern such as 'photos/*.jpg' is one \
                  FILE. Nothing is published, and no file of the daemon is changed."
)]
pub struct Args {
    /// Photos, directories of them, or CSV and JSON Lines files for pipelines that read numbers
    #[arg(value_name = "FILE", required = true)]
    inputs: Vec<PathBuf>,
    /// Configuration file [default: /etc/leptond/leptond.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One pipeline or meter [default: each one that takes such files]
    #[arg(long, visible_alias = "meter", value_name = "NAME")]
    pipeline: Option<String>,
    /// Directory for the pictures with boxes, regions and dial angles [default: tried, with --json none]
    #[arg(long, value_name = "DIR", conflicts_with = "no_draw")]
    draw: Option<PathBuf>,
    /// Write no pictures
    #[arg(long)]
    no_draw: bool,
    /// One JSON object per input on standard output
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let options = Options { skip_files: true, ..Options::from_process(args.config.clone(), Vec::new()) };
    let loaded = config::load(&options).map_err(|errors| Failure::Config(errors.to_string()))?;
    let file = loaded.path.clone().unwrap_or_else(|| config::DEFAULT_FILE.into());
    let tables = are_tables(&args.inputs)?;
    let chosen = chosen(&loaded.config, &file, &args, tables)?;
    let several = chosen.len() > 1;
    let mut failed = None;
    for work in chosen {
        if several && !args.json {
            super::say(&format!("{} {}:", kind_of(work), work.name))?;
        }
        // What one pipeline cannot say is no reason to leave out what another can.
        match try_one(work, &loaded, &file, &args, several.then_some(work.name.as_str()), tables) {
            Ok(()) => {}
            Err(failure) if several => {
                tell(&format!("error: {failure}"));
                failed = Some(failure);
            }
            Err(failure) => return Err(failure),
        }
    }
    failed.map_or(Ok(()), Err)
}

/// True for tables of numbers, false for pictures.
fn are_tables(inputs: &[PathBuf]) -> Result<bool, Failure> {
    let tables = inputs.iter().filter(|path| SensorKind::of_file(path).is_some()).count();
    if tables > 0 && tables < inputs.len() {
        return Err(Failure::Usage("tables of numbers and pictures are tried one after the other".into()));
    }
    Ok(tables > 0)
}

/// The pipelines to try: the one that is named, else each that takes such files.
fn chosen<'a>(config: &'a Config, file: &Path, args: &Args, tables: bool) -> Result<Vec<&'a PipelineConfig>, Failure> {
    if let Some(name) = &args.pipeline {
        return choice::pipeline(config, file, Some(name), |_| true).map(|one| vec![one]);
    }
    let windows = |work: &PipelineConfig| {
        let bundle = pipeline::open_of(work, &config.models.dirs).ok();
        let by_model = bundle.map(|bundle| bundle.manifest().input.kind == Some(InputKind::Window));
        by_model.or_else(|| config.source_of(&work.source).map(|source| source.kind().frames().are_windows()))
    };
    // A pipeline on crops of another one is tried by its name alone: a whole photo is no crop.
    let whole = config.pipelines.iter().filter(|work| !matches!(work.source, Input::Crops(_)));
    let suiting: Vec<_> = whole.filter(|work| windows(work).unwrap_or(false) == tables).collect();
    if suiting.is_empty() {
        let what = if tables { "readings" } else { "pictures" };
        return Err(Failure::Usage(format!("{}: no pipeline of it takes {what}", file.display())));
    }
    Ok(suiting)
}

fn kind_of(work: &PipelineConfig) -> &'static str {
    if work.meter.is_some() { "meter" } else { "pipeline" }
}

/// Runs one pipeline over all files.
fn try_one(
    work: &PipelineConfig,
    loaded: &Loaded,
    file: &Path,
    args: &Args,
    below: Option<&str>,
    tables: bool,
) -> Result<(), Failure> {
    let dirs = &loaded.config.models.dirs;
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::Config(format!("{}: {} {:?}: {error}", file.display(), kind_of(work), work.name))
    };
    let open = || pipeline::open_of(work, dirs);
    let bundle = open().map_err(|error| wrong(&error))?;
    let state_dir = loaded.config.node.state_dir();
    spinner("trying the model", || pipeline::trial::try_out(&bundle, state_dir.as_deref()))
        .map_err(|error| wrong(&error))?;
    let planner: Planner = pipeline::photo::planner(bundle, work, dirs).map_err(|error| wrong(&error))?;
    let gallery = if args.no_draw || tables { None } else { gallery(args, below)? };
    let name = Some(work.name.as_str());
    let mut nearly = match open() {
        Ok(bundle) if !args.json => Nearly::of(bundle, work, dirs),
        _ => None,
    };
    let mut remarks = |frame: &Frame, outcome: &Outcome| {
        let missed = nearly.as_mut().map(|nearly| nearly.missed(frame, outcome)).unwrap_or_default();
        reasons::of(outcome, &planner).into_iter().chain(missed).collect()
    };
    files::run(&planner, &args.inputs, Shown { gallery, json: args.json, pipeline: name, remarks: Some(&mut remarks) })
}

/// The directory for drawn pictures, below `below` where several pipelines draw; `None` where nobody asked for it and it cannot be made.
fn gallery(args: &Args, below: Option<&str>) -> Result<Option<Gallery>, Failure> {
    let place = |dir: &Path| below.map_or_else(|| dir.to_path_buf(), |name| dir.join(name));
    match &args.draw {
        Some(dir) => Gallery::open(&place(dir), &args.inputs).map(Some),
        None if args.json => Ok(None),
        None => Ok(Gallery::open(&place(Path::new("tried")), &args.inputs)
            .inspect_err(|failure| tell(&format!("nothing is drawn ({failure}); --draw DIR says where to")))
            .ok()),
    }
}
