//! `leptond watch`.

use super::Failure;

/// Arguments of `leptond watch`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the subcommand.
pub fn run(_args: Args) -> Result<(), Failure> {
    Err(anyhow::anyhow!("not built yet").into())
}
