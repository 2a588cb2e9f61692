//! Models as they are named on the command line: a path, or a name in the directories of this computer's configuration.

use std::path::PathBuf;

use super::Failure;
use super::output::tell;
use super::progress::spinner;
use crate::config::{self, ModelRefs, Options};
use crate::model::{Bundle, Engine, GivenShape, LoadedModel, ModelError, PlanKey, autotune};
use crate::pipeline::{open_bundle, trial};

/// The configuration of this computer, as far as it can be read.
pub(super) fn model_refs() -> ModelRefs {
    config::read_model_refs(&Options::from_process(None, Vec::new()))
}

/// Loads a model that was never seen on this computer in a process of its own first.
pub(super) fn try_out(bundle: &Bundle) -> Result<(), ModelError> {
    trial::try_out(bundle, state_dir().as_deref())
}

/// Opens a model, and tries it out where it was never seen.
pub(super) fn open(name: &str) -> Result<Bundle, Failure> {
    let bundle = open_bundle(name, &model_refs().dirs).map_err(anyhow::Error::from)?;
    spinner("trying the model", || try_out(&bundle)).map_err(anyhow::Error::from)?;
    Ok(bundle)
}

/// `--shape`, of every command that takes a model.
#[derive(Debug, clap::Args)]
pub struct ShapeArgs {
    /// Shape of an input, or size of a dimension, that the file leaves open: NAME=1x3x224x224 or DIM=16; may be given again
    #[arg(long = "shape", value_name = "NAME=SHAPE")]
    pub(super) shapes: Vec<GivenShape>,
}

/// Opens and loads a model.
pub(super) fn load(name: &str, engine: Engine, threads: u32, given: &ShapeArgs) -> Result<LoadedModel, Failure> {
    let mut bundle = open(name)?;
    bundle.give_shapes(&given.shapes);
    let load = || LoadedModel::load(&bundle, 0, engine, threads as usize);
    Ok(spinner("loading the model", load).map_err(anyhow::Error::from)?)
}

/// The directory with this computer's measurements.
pub(super) fn state_dir() -> Option<PathBuf> {
    autotune::state_dir(&model_refs().state_dir, &|name| std::env::var_os(name))
}

/// Takes a length for each dimension that is still open, and tells of it on standard error.
pub(super) fn settle(model: &mut LoadedModel, key: PlanKey) {
    if model.shapes(key).is_err() {
        model.assume_shapes().iter().for_each(|taken| tell(taken));
    }
}
