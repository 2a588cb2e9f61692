//! `leptond infer`: a model, or a pipeline of a configuration, over files.

mod drawn;
mod files;
mod raw;
mod regions;

use std::path::PathBuf;

use super::Failure;
use super::choice;
use super::open::open;
use super::progress::spinner;
use crate::config::{self, Options};
use crate::model::Engine;
use crate::pipeline::{self, Planner};
use crate::{preprocess, task};
use drawn::Gallery;

/// Arguments of `leptond infer`.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "leptond infer [OPTIONS] <MODEL> <FILE>...\n       \
                      leptond infer [OPTIONS] --config <FILE> [--pipeline <NAME>] <FILE>...",
    after_help = "Each FILE is a sequence of its own: what a task remembers (a counter's last reading, an anomaly that goes on) ends \
                  with it. A directory or a quoted pattern such as 'photos/*.jpg' is one FILE, its pictures in the order of their names."
)]
pub struct Args {
    /// Bundle directory, bundle name, .onnx or .tflite file; with --config the first FILE
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// Pictures, CSV or JSON Lines files; with --raw one .npy file per model input, in graph order
    #[arg(value_name = "FILE")]
    inputs: Vec<PathBuf>,
    /// Run a pipeline of this configuration instead of a bare model: its model, engine, regions and task
    #[arg(short, long, value_name = "FILE", conflicts_with = "raw")]
    config: Option<PathBuf>,
    /// The pipeline of --config or --regions, where there are several
    #[arg(long, value_name = "NAME")]
    pipeline: Option<String>,
    /// Cut pictures as this file says: TOML with keys as in [pipeline.preprocess], or a configuration
    #[arg(long, value_name = "FILE", conflicts_with = "raw")]
    regions: Option<PathBuf>,
    /// Write each picture with its boxes, labels and regions into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "raw")]
    draw: Option<PathBuf>,
    /// Bare tensors in and out, for any ONNX model
    #[arg(long)]
    raw: bool,
    /// With --raw: where output 0 goes (output k goes to the same name with .k before .npy)
    #[arg(short, long, value_name = "OUT.npy")]
    output: Option<PathBuf>,
    /// Which arithmetic: auto, int8 or f32 [default: auto, or as the pipeline has it]
    #[arg(long, value_enum)]
    engine: Option<Engine>,
    /// Threads for one inference [default: 1, or as the pipeline has it]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: Option<u32>,
    /// One JSON object per input on standard output
    #[arg(long)]
    json: bool,
}

impl Args {
    fn engine(&self) -> Engine {
        self.engine.unwrap_or_default()
    }
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    if args.pipeline.is_some() && args.config.is_none() && args.regions.is_none() {
        return Err(Failure::Usage("--pipeline belongs to --config or --regions".into()));
    }
    if args.output.is_some() && !args.raw {
        return Err(Failure::Usage("--output belongs to --raw; results go to standard output".into()));
    }
    let mut inputs = args.inputs.clone();
    if args.config.is_some() {
        inputs.insert(0, args.model.clone());
    }
    if inputs.is_empty() {
        return Err(Failure::Usage("no FILE is given: leptond infer MODEL FILE...".into()));
    }
    let model = args.model.to_string_lossy();
    if args.raw {
        return raw::run(&args, &model, &inputs);
    }
    let gallery = args.draw.as_deref().map(|dir| Gallery::open(dir, &inputs)).transpose()?;
    let planner = match &args.config {
        Some(file) => of_pipeline(&args, file)?,
        None => of_model(&args, &model)?,
    };
    files::run(&planner, &inputs, gallery, args.json)
}

/// A bare model with the settings of its bundle.
fn of_model(args: &Args, model: &str) -> Result<Planner, Failure> {
    let bundle = open(model)?;
    let threads = args.threads.unwrap_or(1) as usize;
    let preprocess = preprocess_of(args)?.unwrap_or_default();
    Ok(Planner::new(bundle, args.engine(), threads, preprocess, &task::Config::default())
        .map_err(anyhow::Error::from)?)
}

/// A pipeline of a configuration, without its source.
fn of_pipeline(args: &Args, file: &std::path::Path) -> Result<Planner, Failure> {
    // Only the model of the pipeline that is run has to be here.
    let options = Options { skip_files: true, ..Options::from_process(Some(file.into()), Vec::new()) };
    let loaded = config::load(&options).map_err(|errors| Failure::Config(errors.to_string()))?;
    let pipeline = choice::pipeline(&loaded.config, file, args.pipeline.as_deref(), |_| true)?;
    let open = pipeline::open_bundle(&pipeline.model, &loaded.config.models.dirs);
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::Config(format!("{}: pipeline {:?}: {error}", file.display(), pipeline.name))
    };
    let bundle = open.map_err(|error| wrong(&error))?;
    let state_dir = loaded.config.node.state_dir();
    spinner("trying the model", || pipeline::trial::try_out(&bundle, state_dir.as_deref()))
        .map_err(|error| wrong(&error))?;
    let engine = args.engine.unwrap_or(pipeline.engine);
    let threads = args.threads.unwrap_or(pipeline.threads) as usize;
    let preprocess = preprocess_of(args)?.unwrap_or_else(|| pipeline.preprocess.clone());
    Planner::new(bundle, engine, threads, preprocess, &pipeline.task).map_err(|error| wrong(&error))
}

fn preprocess_of(args: &Args) -> Result<Option<preprocess::Config>, Failure> {
    args.regions.as_deref().map(|file| regions::read(file, args.pipeline.as_deref())).transpose()
}
