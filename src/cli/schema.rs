//! `leptond schema`: the JSON schema of the configuration.

use super::{Failure, say};
use crate::config;

/// Arguments of `leptond schema`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Prints the schema.
pub fn run(_: Args) -> Result<(), Failure> {
    say(&format!("{:#}", config::schema()))
}
