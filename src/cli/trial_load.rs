//! `leptond trial-load`: what the program starts itself as to load a model under hard limits (`daemon/trial.rs`). Not for people.

use std::io::Write as _;
use std::path::PathBuf;

use super::Failure;
use crate::pipeline::trial;

/// Arguments of `leptond trial-load`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Form of the model, from 0
    rung: usize,
    /// Size of its file in bytes, which the limits follow
    file_bytes: usize,
    /// Bundle directory or model file
    path: PathBuf,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let say = |word: &str| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{word}").and_then(|()| out.flush())
    };
    Ok(trial::run_as_child(args.rung, args.file_bytes, &args.path, say).map_err(anyhow::Error::from)?)
}
