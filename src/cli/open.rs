//! Models as they are named on the command line: a path, or a name in the directories of this computer's configuration.

use std::path::PathBuf;

use super::Failure;
use super::progress::spinner;
use crate::config::{self, ModelRefs, Options};
use crate::model::{Bundle, Engine, LoadedModel, ModelError, autotune};
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

/// Opens and loads a model.
pub(super) fn load(name: &str, engine: Engine, threads: u32) -> Result<LoadedModel, Failure> {
    let bundle = open(name)?;
    let load = || LoadedModel::load(&bundle, 0, engine, threads as usize);
    Ok(spinner("loading the model", load).map_err(anyhow::Error::from)?)
}

/// The directory with this computer's measurements.
pub(super) fn state_dir() -> Option<PathBuf> {
    autotune::state_dir(&model_refs().state_dir, &|name| std::env::var_os(name))
}
