//! `leptond probe`.

use super::Failure;

/// Arguments of `leptond probe`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the subcommand.
pub fn run(_args: Args) -> Result<(), Failure> {
    Err(anyhow::anyhow!("not built yet").into())
}
