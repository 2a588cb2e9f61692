//! `leptond infer`: a model over files.

mod args;
pub(super) mod drawn;
pub(super) mod files;
mod raw;
pub(super) mod regions;

use super::Failure;
use super::open::open;
use crate::pipeline::Planner;
use crate::task;
pub use args::Args;
use drawn::Gallery;
use files::Shown;

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    if args.pipeline.is_some() && args.regions.is_none() {
        return Err(Failure::Usage("--pipeline belongs to --regions; leptond try runs a pipeline over files".into()));
    }
    if args.output.is_some() && !args.raw {
        return Err(Failure::Usage("--output belongs to --raw; results go to standard output".into()));
    }
    let model = args.model.to_string_lossy();
    if args.raw {
        return raw::run(&args, &model, &args.inputs);
    }
    let gallery = args.draw.as_deref().map(|dir| Gallery::open(dir, &args.inputs)).transpose()?;
    let planner = of_model(&args, &model)?;
    files::run(&planner, &args.inputs, Shown { gallery, json: args.json, pipeline: None, remarks: None })
}

/// A bare model with the settings of its bundle.
fn of_model(args: &Args, model: &str) -> Result<Planner, Failure> {
    let mut bundle = open(model)?;
    bundle.give_shapes(&args.shapes.shapes);
    let threads = args.threads as usize;
    let cuts = regions::given(args.regions.as_deref(), args.pipeline.as_deref(), args.tiles)?;
    Ok(Planner::new(bundle, args.engine, threads, cuts, &task::Config::default()).map_err(anyhow::Error::from)?)
}
