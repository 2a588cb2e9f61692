//! `leptond check`: is this configuration, with its models, fit to run?

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use super::Failure;
use crate::config::{self, ConfigErrors, Loaded, Options, Override, Problem};

/// Arguments of `leptond check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration file [default: /etc/leptond/leptond.toml]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set a value on top of file and environment, for instance `mqtt.port=1884` or `pipeline[0].source.device=/dev/video2`
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = Override::set)]
    set: Vec<Override>,
    /// Do not look whether files, models and devices exist: the configuration is meant for another computer
    #[arg(long)]
    skip_files: bool,
    /// Print one JSON object: `ok`, `file`, `digest`, `config`, `sources`, `warnings`, `problems`
    #[arg(long)]
    json: bool,
    /// Print the JSON schema of the configuration and check nothing
    #[arg(long, conflicts_with_all = ["json", "skip_files"])]
    schema: bool,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    if args.schema {
        return print(&format!("{:#}", config::schema()));
    }
    let mut options = Options::from_process(args.config, args.set);
    options.skip_files = args.skip_files;
    match config::load(&options) {
        Ok(loaded) => report(&loaded, args.json),
        Err(errors) => {
            if args.json {
                print(&failure_json(&errors).to_string())?;
            }
            Err(Failure::Config(errors.to_string()))
        }
    }
}

fn report(loaded: &Loaded, json: bool) -> Result<(), Failure> {
    for warning in &loaded.warnings {
        eprintln!("warning: {warning}");
    }
    if json {
        let object = json!({
            "ok": true,
            "file": loaded.path,
            "digest": loaded.digest,
            "config": config::masked(&loaded.config),
            "sources": loaded.sources,
            "warnings": loaded.warnings,
            "problems": [],
        });
        return print(&object.to_string());
    }
    print(config::effective(loaded).trim_end())
}

fn failure_json(errors: &ConfigErrors) -> serde_json::Value {
    let warnings: [Problem; 0] = [];
    json!({ "ok": false, "warnings": warnings, "problems": errors.problems })
}

/// Writes to standard output; a reader that went away is not a failure.
fn print(text: &str) -> Result<(), Failure> {
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(anyhow::Error::from(error).into()),
        _ => Ok(()),
    }
}
