//! `leptond model`: models from elsewhere, installed so that a pipeline can name them.

mod add;
mod flags;
mod interrupt;
mod list;
mod refused;
mod remove;
mod show;

use std::path::PathBuf;

use super::Failure;
use crate::config::{self, Glance, Options};
pub(super) use add::add_of_catalog;

/// Arguments of `leptond model`.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Install a model: one of the catalog by its name, or any by its address or file
    Add(Box<add::Args>),
    /// Show the models that are installed, and those of the catalog
    List(list::Args),
    /// Take an installed model away
    Remove(remove::Args),
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::Add(args) => add::run(*args),
        Command::List(args) => list::run(args),
        Command::Remove(args) => remove::run(args),
    }
}

/// Arguments that the subcommands have in common.
#[derive(Debug, clap::Args)]
struct Common {
    /// Configuration file, for its [models] dirs and the models that its pipelines use [default: /etc/leptond/leptond.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of models, instead of those of the configuration
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Common {
    /// The part of the configuration that is about models. A file that was named must be there.
    fn glance(&self) -> Result<Glance, Failure> {
        let found = config::glance(&Options::from_process(self.config.clone(), Vec::new()));
        match &found.fault {
            Some(fault) if found.blind && self.config.is_some() => Err(Failure::Config(fault.clone())),
            _ => Ok(found),
        }
    }
}
