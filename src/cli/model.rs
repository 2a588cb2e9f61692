//! `leptond model`: models from elsewhere, installed so that a pipeline can name them.

mod add;
mod common;
pub(super) mod flags;
pub(super) mod interrupt;
mod list;
mod refused;
mod remove;
mod show;

use super::Failure;
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
