//! `leptond model`: models of others, installed so that a pipeline can name them.

mod add;
mod describe;
mod interrupt;
mod list;
mod names;
mod prove;
mod remove;
mod show;
mod wanted;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;

pub(super) use add::add_of_catalog;
pub(super) use list::word;
pub(super) use names::size;

use super::Failure;
use crate::catalog::{self, Catalog, LOCAL_FILE, Limits, Server};
use crate::config::{self, ModelRefs, Options};

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
    /// What the configuration says of models. One that was named must be there.
    fn glance(&self) -> Result<ModelRefs, Failure> {
        let found = config::read_model_refs(&Options::from_process(self.config.clone(), Vec::new()));
        match &found.fault {
            Some(fault) if found.blind && self.config.is_some() => Err(Failure::Config(fault.clone())),
            _ => Ok(found),
        }
    }
}

/// Where the list of models comes from.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct CatalogArgs {
    /// Another catalog than /etc/leptond/catalog.toml and the program's own: a file or an address
    #[arg(long, value_name = "FILE|URL")]
    catalog: Option<String>,
    /// A server that says nothing for this long, or less than 1 KiB a second over it, is given up
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = patience)]
    timeout: Duration,
}

/// Longest time of one attempt: 512 MB come within it at 12 kB a second.
const LONGEST: Duration = Duration::from_secs(12 * 3600);

/// How long a silent server is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

impl Default for CatalogArgs {
    fn default() -> Self {
        CatalogArgs { catalog: None, timeout: PATIENCE }
    }
}

impl CatalogArgs {
    /// The catalog at `place`, or this computer's.
    pub(super) fn at(place: Option<String>) -> CatalogArgs {
        CatalogArgs { catalog: place, ..CatalogArgs::default() }
    }

    /// A client for what has to be fetched.
    fn server(&self, retries: u32) -> Server {
        Server::new(Limits { silence: self.timeout, retries, total: LONGEST })
    }

    /// The catalog. `server` is made when one has to be asked.
    pub(super) fn open(&self) -> Result<Catalog, Failure> {
        let catalog = match &self.catalog {
            Some(place) if names::is_url(place) => {
                let text = catalog::text_at(&self.server(0), place, Catalog::MOST_BYTES).context("the catalog")?;
                Catalog::from_url(&text, place)
            }
            Some(place) => Catalog::open(place.as_ref()),
            None => Catalog::of_this_computer(LOCAL_FILE.as_ref()),
        };
        Ok(catalog.map_err(anyhow::Error::from)?)
    }
}

fn patience(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|e| e.to_string())?;
    let allowed = Duration::from_millis(100)..=Duration::from_secs(3600);
    if allowed.contains(&time) { Ok(time) } else { Err("allowed is 100ms to 1h".into()) }
}
