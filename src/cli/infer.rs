//! `leptond infer`: a model, or a pipeline of a configuration, over files.

mod args;
mod drawn;
mod files;
mod raw;
mod regions;

use super::Failure;
use super::choice;
use super::open::open;
use super::progress::spinner;
use crate::config::{self, Options, PipelineConfig};
use crate::pipeline::{self, Planner};
use crate::{preprocess, task};
pub use args::Args;
use drawn::Gallery;

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
    let mut bundle = open(model)?;
    bundle.give_shapes(&args.shapes.shapes);
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
    let open = pipeline::open_of(pipeline, &loaded.config.models.dirs);
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::Config(format!("{}: pipeline {:?}: {error}", file.display(), pipeline.name))
    };
    let bundle = open.map_err(|error| wrong(&error))?;
    let state_dir = loaded.config.node.state_dir();
    spinner("trying the model", || pipeline::trial::try_out(&bundle, state_dir.as_deref()))
        .map_err(|error| wrong(&error))?;
    let asked = PipelineConfig {
        engine: args.engine.unwrap_or(pipeline.engine),
        threads: args.threads.unwrap_or(pipeline.threads),
        preprocess: preprocess_of(args)?.unwrap_or_else(|| pipeline.preprocess.clone()),
        ..pipeline.clone()
    };
    pipeline::photo::planner(bundle, &asked, &loaded.config.models.dirs).map_err(|error| wrong(&error))
}

fn preprocess_of(args: &Args) -> Result<Option<preprocess::Config>, Failure> {
    args.regions.as_deref().map(|file| regions::read(file, args.pipeline.as_deref())).transpose()
}
