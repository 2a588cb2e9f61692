//! `leptond check`.

use super::Failure;

/// Arguments of `leptond check`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs the subcommand.
pub fn run(_args: Args) -> Result<(), Failure> {
    Err(anyhow::anyhow!("not built yet").into())
}
