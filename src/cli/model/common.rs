//! Arguments that the subcommands of `leptond model` have in common.

use std::path::PathBuf;

use crate::cli::Failure;
use crate::config::{self, ModelRefs, Options};

/// Arguments that the subcommands have in common.
#[derive(Debug, clap::Args)]
pub(super) struct Common {
    /// Configuration file, for its [models] dirs and the models that its pipelines use [default: /etc/leptond/leptond.toml]
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Directory of models, instead of those of the configuration
    #[arg(long, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
}

impl Common {
    /// References of the configuration to models. One that was named must be there.
    pub(super) fn glance(&self) -> Result<ModelRefs, Failure> {
        let found = config::read_model_refs(&Options::from_process(self.config.clone(), Vec::new()));
        match &found.fault {
            Some(fault) if found.blind && self.config.is_some() => Err(Failure::Config(fault.clone())),
            _ => Ok(found),
        }
    }
}
