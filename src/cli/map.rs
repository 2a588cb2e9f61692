//! `leptond map`: a model over files, computed by the nodes of a group.

mod args;
mod drive;
mod picture;
mod results;
mod shares;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::Failure;
use super::open::{model_refs, open};
use super::output::{say, tell};
use crate::config::{self, Options};
use crate::fleet::{Assist, Config, ModelDigest, Spare, Use};
use crate::frame::NodeName;
use crate::model::Engine;
use crate::pipeline::Planner;
use crate::source::{self, names_pictures};
pub use args::Args;
use drive::{Drive, Ended};
use results::Results;

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let (fleet, node) = settings(&args)?;
    let bundle = open(&args.model)?;
    let model = ModelDigest::new(bundle.digest())
        .ok_or_else(|| Failure::Usage(format!("{}: it has no digest by which nodes could know it", args.model)))?;
    let planner = Planner::of_bundle(bundle, Engine::default(), 1).map_err(anyhow::Error::from)?;
    let size = picture::wanted(&planner).map_err(|reason| Failure::Usage(format!("{}: {reason}", args.model)))?;
    let files = files(&args.inputs)?;
    let results = Results::open(&args.output, &model)?;
    let todo: Vec<PathBuf> = files.iter().filter(|file| !results.has(file)).cloned().collect();
    let kept = files.len() - todo.len();
    if kept > 0 {
        tell(&format!("{kept} of {} files have a line in {} already", files.len(), args.output.display()));
    }
    let local = args.local.then(|| here(&fleet, &node, &args)).transpose()?;
    let drive =
        Drive { fleet: &fleet, node: &node, model: &model, size, kept, begun: Instant::now(), local: local.as_ref() };
    let ended = drive.run(todo, results);
    if let Some(local) = local {
        local.stop(Instant::now() + std::time::Duration::from_secs(1));
    }
    let Ended { shares, interrupted } = ended?;
    if args.json {
        say(&shares.json())?;
    }
    tell(&shares.table());
    if interrupted {
        let left = files.len() - kept - shares.lines();
        return Err(anyhow::anyhow!("stopped with {left} files to go; the same command goes on there").into());
    }
    match shares.failed() {
        0 => Ok(()),
        failed => Err(anyhow::anyhow!("{failed} files gave no result").into()),
    }
}

/// The group, from the configuration and the flags over it, and this node's name in it.
fn settings(args: &Args) -> Result<(Config, NodeName), Failure> {
    let flags = args.servers.is_empty() || args.config.is_some();
    let loaded = flags
        .then(|| {
            let options = Options { skip_files: true, ..Options::from_process(args.config.clone(), Vec::new()) };
            config::load(&options).map_err(|errors| Failure::Config(errors.to_string()))
        })
        .transpose();
    // Without any flag the computer's own configuration is one, where it has one.
    let loaded = match loaded {
        Err(_) if args.config.is_none() => None,
        other => other?,
    };
    let node = loaded.as_ref().map(|l| l.config.node.clone()).unwrap_or_default().name_or_default(Path::new("/"));
    let mut fleet = loaded.and_then(|loaded| loaded.config.fleet).unwrap_or_default();
    if !args.servers.is_empty() {
        fleet.servers.clone_from(&args.servers);
    }
    if let Some(group) = &args.group {
        fleet.group = group.clone();
    }
    args.login.over(&mut fleet);
    let wrong = fleet.check().into_iter().find(|one| one.severity == crate::frame::diagnostic::Severity::Error);
    match wrong {
        Some(_) if fleet.servers.is_empty() => {
            Err(Failure::Usage("no server: give --servers nats://HOST:4222, or --config FILE with [fleet]".into()))
        }
        Some(one) => Err(Failure::Usage(format!("fleet.{}: {}", one.key, one.message))),
        None => Ok((fleet, node)),
    }
}

/// This computer as one of the group's workers.
fn here(fleet: &Config, node: &NodeName, args: &Args) -> Result<Assist, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if args.threads == 0 { cores } else { args.threads as usize };
    let spare = Spare::new(Use::Any, threads, cores, Instant::now());
    let opener = crate::runtime::opener(args.model.clone(), model_refs().dirs, threads, fleet.batch as usize);
    let started = Assist::start(fleet.clone(), node.clone(), vec![opener], spare);
    started.map_err(|e| anyhow::Error::from(e).into())
}

/// Every file that was named, once, in the order given.
fn files(inputs: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut all = Vec::new();
    let mut seen = HashSet::new();
    for input in inputs {
        let listed = source::listed(&input.to_string_lossy());
        let listed = listed.map_err(|reason| anyhow::anyhow!("{}: {reason}", input.display()))?;
        let is_picture = |file: &PathBuf| file == input || names_pictures(file);
        all.extend(listed.into_iter().filter(|file| is_picture(file) && seen.insert(file.clone())));
    }
    if let Some(file) = all.iter().find(|file| file.to_str().is_none_or(|name| name.contains(char::is_control))) {
        return Err(Failure::Usage(format!("{file:?}: a name that is no plain text cannot be told in a result")));
    }
    Ok(all)
}
