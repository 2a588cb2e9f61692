//! A reload, by SIGHUP or by a request: the new configuration is made ready whole; only then is anything of the old one touched. A bad one changes nothing and
//! says why. A pipeline whose model is another one by now is a changed pipeline.

use std::collections::BTreeSet;
use std::time::Instant;

use super::DaemonError;
use super::aside::{self, Awaited, Signals};
use super::options::{Options, Reload};
use super::prepare::{Prepared, Unmade};
use super::running::Running;
use super::session::Session;
use crate::config::{Config, Loaded};
use crate::frame::{Emission, PipelineName};
use crate::pipeline::{Resolved, digest_of, open_bundle};

/// The outcome of a reload.
pub(super) enum Reloaded {
    /// The new configuration applies.
    Applied,
    /// It is wrong, for this reason: nothing was changed.
    Refused(String),
    /// It is right, and the connection or the node's name is another one.
    Restart(Box<Loaded>),
    /// The daemon is to stop, by this signal.
    Stop(&'static str),
}

/// A running pipeline and the digest of its model.
struct RunningModel {
    pipeline: Resolved,
    digest: String,
}

/// A configuration that was loaded, and the pipelines that run an older model than the one it names.
type Looked = Result<(Loaded, BTreeSet<PipelineName>), String>;

/// Loads the configuration and applies it; `cause` is for the log.
pub(super) async fn reload(
    session: &mut Session,
    options: &Options,
    signals: &mut Signals,
    cause: &'static str,
) -> Reloaded {
    match attempt(session, options, signals, cause).await {
        Ok(reloaded) => reloaded,
        Err(why) => {
            tracing::error!("{cause}: the configuration stays as it was: {why}");
            Reloaded::Refused(why)
        }
    }
}

async fn attempt(
    session: &mut Session,
    options: &Options,
    signals: &mut Signals,
    cause: &'static str,
) -> Result<Reloaded, String> {
    let Session { config, digest, set, maker, sink, snapshots, node, context, .. } = session;
    let words = |error: DaemonError| error.to_string();
    let load = options.reload.clone().ok_or("this run has no configuration file to load again")?;
    let known: Vec<RunningModel> = set.iter().map(RunningModel::of).collect();
    let looking = aside::begin("reload", move || look(&load, &known)).map_err(words)?;
    let (loaded, other_model) = match aside::finish(looking, signals).await.map_err(words)? {
        Awaited::Done(looked) => looked?,
        Awaited::Stop(signal) => return Ok(Reloaded::Stop(signal)),
    };
    let new = &loaded.config;
    if new.broker != config.broker {
        return Err("a change of [broker] needs a restart of the service: it lives as long as the process".into());
    }
    let same_connection =
        new.mqtt == config.mqtt && new.node.name == config.node.name && same_fleet(new, config, &other_model);
    let before = config.resolved();
    let is_new = |p: &Resolved| !before.contains(p);
    // Where the connection changes, every pipeline is made ready once to see that it can be.
    let is_made = |p: &Resolved| {
        !same_connection || is_new(p) || other_model.contains(&p.config.name) || set.waiting.has(&p.config.name)
    };
    let wanted = new.resolved();
    let pipelines: Vec<Resolved> = wanted.iter().filter(|p| is_made(p)).cloned().collect();
    let changed = pipelines.len();
    let making = node.prepare(pipelines, new.places(), &options.roots, context).map_err(words)?;
    let made = match aside::finish(making, signals).await.map_err(words)? {
        Awaited::Done(made) => made,
        Awaited::Stop(signal) => return Ok(Reloaded::Stop(signal)),
    };
    let mut prepared: Vec<Prepared> = Vec::new();
    let mut unmade: Vec<Unmade> = Vec::new();
    for one in made {
        match one {
            Ok(one) => prepared.push(one),
            // What did not run before may still not run.
            Err(one) if !is_new(&one.pipeline) && set.waiting.has(&one.pipeline.config.name) => unmade.push(one),
            Err(one) if !is_new(&one.pipeline) && same_connection => {
                let (pipeline, error) = (one.pipeline.config.name.as_str(), one.error.to_string());
                tracing::error!(
                    pipeline,
                    error,
                    "{cause}: its model is another one by now and cannot be used: the one before goes on"
                );
            }
            Err(one) => return Err(one.error.to_string()),
        }
    }
    if let Some(log) = &options.log {
        log.set_level(&new.log.level).map_err(|why| why.to_string())?;
    }
    if !same_connection {
        return Ok(Reloaded::Restart(Box::new(loaded)));
    }
    let names: Vec<PipelineName> = new.pipelines.iter().map(|p| p.name.clone()).collect();
    let before = set.iter().map(|r| &r.config.name).chain(set.waiting.iter().map(|(name, _)| name));
    let gone: Vec<PipelineName> = before.filter(|name| !names.contains(name)).cloned().collect();
    set.waiting.retain(|p| wanted.contains(p));
    let now = Instant::now();
    unmade.into_iter().for_each(|one| set.waiting.put(one, now));
    set.replace(&new.governor, prepared, &names, context, now);
    gone.iter().for_each(|name| context.bus.emit(&Emission::Removed(name.clone())));
    node.mqtt.own_pipelines(names.iter().map(ToString::to_string).collect());
    context.readings.keep_in(new.node.state_dir());
    *config = loaded.config;
    snapshots.configure(&config.pipelines);
    sink.set_health_interval(config.node.health_interval());
    maker.reconfigure(config);
    *digest = loaded.digest;
    maker.configured(digest, set);
    tracing::info!(changed, gone = gone.len(), "{cause}: the new configuration applies");
    Ok(Reloaded::Applied)
}

/// True where the same is done for other nodes. Its models are those of the pipelines as well.
fn same_fleet(new: &Config, before: &Config, other_model: &BTreeSet<PipelineName>) -> bool {
    let same_models = new.pipelines == before.pipelines && other_model.is_empty();
    #[cfg(feature = "fleet")]
    let same = new.fleet == before.fleet && (!new.assists() || same_models);
    #[cfg(not(feature = "fleet"))]
    let same = same_models || !new.assists();
    same
}

impl RunningModel {
    fn of(running: &Running) -> RunningModel {
        let pipeline = Resolved { config: running.config.clone(), feed: running.feed.clone() };
        RunningModel { pipeline, digest: running.planner.digest() }
    }
}

/// Loads the configuration, and opens the model of each pipeline that stays as it is.
fn look(load: &Reload, known: &[RunningModel]) -> Looked {
    let loaded = load()?;
    let mut other = BTreeSet::new();
    let wanted = loaded.config.resolved();
    for RunningModel { pipeline, digest } in known {
        if !wanted.contains(pipeline) {
            continue;
        }
        let config = &pipeline.config;
        if !config.task.needs_model() {
            continue;
        }
        let pipeline = config.name.as_str();
        let open = |(_, model)| open_bundle(model, &loaded.config.models.dirs);
        match config.models().map(open).collect::<Result<Vec<_>, _>>() {
            Ok(bundles) if digest_of(&bundles) == *digest => {}
            Ok(bundles) => {
                let model = bundles.iter().map(|bundle| bundle.manifest().name.as_str()).collect::<Vec<_>>().join(", ");
                tracing::info!(pipeline, model, digest = digest_of(&bundles), "another model by now");
                other.insert(config.name.clone());
            }
            Err(error) => {
                tracing::error!(
                    pipeline,
                    error = error.to_string(),
                    "its model cannot be opened any more: the one that runs goes on"
                );
            }
        }
    }
    Ok((loaded, other))
}
