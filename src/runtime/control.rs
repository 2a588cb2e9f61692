//! The control loop: starts everything, then signals, board readings, governor, health and watchdog until told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use super::DaemonError;
use super::aside::{self, Awaited, Signals};
use super::assisting::Assisting;
use super::calibrator::Calibrator;
use super::cascade::Cascades;
use super::command::driver::{Commands, Means};
use super::command::work::Done;
use super::context::PipelineContext;
use super::node::{Node, because};
use super::node_status::StatusMaker;
use super::offload::Offloading;
use super::options::Options;
use super::page::Page;
use super::prepare::{Made, Prepared, Unmade};
use super::readings::Readings;
use super::reload::{Reloaded, reload};
use super::report::Report;
use super::service::Service;
use super::session::Session;
use super::set::{InForce, PipelineSet};
use super::snapshots::Snapshots;
use super::sources::Sources;
use super::status::StatusFile;
use crate::board::LinuxBoard;
use crate::config::{Config, Loaded};
use crate::frame::{Bus, Sink};
use crate::publish::broker::Broker;
use crate::publish::sink::{MqttSink, Settings};
use crate::telemetry::{Heart, Heartbeats, LogHandle, Notifier, mark};

/// Time from the wish to stop to the end of the process.
const STOP_WITHIN: Duration = Duration::from_millis(1800);

/// Time from the wish to stop to the end of a process that was not ready yet: there are no messages that could be lost.
const STOP_UNREADY_WITHIN: Duration = Duration::from_millis(300);

/// Time to the next attempt to start where something outside is not there, first and longest.
const START_AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// Reason of a stop after which the service manager starts the process again.
const RESTART: &str = "a request to restart";

/// The control loop turns at least this often.
const LOOP_WITHIN: Duration = Duration::from_secs(20);

/// Runs until SIGTERM, SIGINT, the end of all sources or `run_for`.
///
/// # Errors
/// [`DaemonError::Config`] before anything was started, [`DaemonError::NotNow`] where that is not waited for, [`DaemonError::Failed`] when
/// no source can work any more.
pub fn run(loaded: Loaded, options: Options) -> Result<Report, DaemonError> {
    aside::spare_descriptors()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| DaemonError::Failed(format!("no runtime: {e}")))?;
    runtime.block_on(control(loaded, options))
}

/// The parts that outlive a restart inside the process.
struct Host {
    options: Options,
    signals: Signals,
    service: Service,
    heartbeats: Heartbeats,
    heart: Heart,
    started: Instant,
    /// Requests in force at the last restart inside the process.
    requests: InForce,
    /// Address of the embedded broker, once it listens; it lives as long as the process.
    broker: Option<SocketAddr>,
    page: Page,
}

/// The end of a session.
enum End {
    Stopped(Box<Report>),
    /// SIGHUP changed the connection or the node: everything starts again on this.
    Restart(Box<Loaded>),
}

async fn control(loaded: Loaded, options: Options) -> Result<Report, DaemonError> {
    // Signals are caught before anything starts, so that a stop during the start is a clean one.
    let signals = Signals::new().map_err(|e| DaemonError::Failed(format!("no signal handlers: {e}")))?;
    let started = Instant::now();
    let heartbeats = Heartbeats::new(started);
    let heart = heartbeats.register("main", LOOP_WITHIN, started);
    let service = Service(Notifier::from_env().map_err(|e| DaemonError::Failed(e.to_string()))?);
    let mut options = options;
    let page =
        Page::new(options.config_file.clone(), options.log.as_ref().map(LogHandle::recent), options.on_page.take());
    let requests = InForce::default();
    let mut host = Host { options, signals, service, heartbeats, heart, started, requests, broker: None, page };
    let mut loaded = loaded;
    let mut before: Option<Loaded> = None;
    let [mut wait, longest] = START_AGAIN;
    loop {
        let error = match live(&mut host, loaded.clone()).await {
            Ok(End::Stopped(report)) => return Ok(*report),
            Ok(End::Restart(new)) => {
                before = Some(std::mem::replace(&mut loaded, *new));
                [wait, _] = START_AGAIN;
                continue;
            }
            Err(error) => error,
        };
        match error {
            DaemonError::Config(why) | DaemonError::NotNow(why) if before.is_some() => {
                tracing::error!("SIGHUP: the new configuration cannot be used, back to the one before: {why}");
                loaded = before.take().unwrap_or(loaded);
            }
            DaemonError::NotNow(why) if host.options.waits => {
                tracing::warn!(why, again_in_s = wait.as_secs(), "cannot start now");
                let Signals { terminate, interrupt, hangup } = &mut host.signals;
                tokio::select! {
                    _ = terminate.recv() => return Ok(stopped("SIGTERM")),
                    _ = interrupt.recv() => return Ok(stopped("SIGINT")),
                    _ = hangup.recv() => {
                        match host.options.reload.as_ref().map(|load| load()) {
                            Some(Ok(new)) => loaded = new,
                            Some(Err(why)) => tracing::error!("SIGHUP: the configuration stays as it was: {why}"),
                            None => {}
                        }
                        [wait, _] = START_AGAIN;
                    }
                    () = tokio::time::sleep(wait) => wait = (wait * 2).min(longest),
                }
            }
            error => return Err(error),
        }
    }
}

/// The end of a run in which nothing was started.
fn stopped(signal: &str) -> Report {
    tracing::info!(reason = signal, "stopping");
    Report::default()
}

/// From the start of everything to its stop.
async fn live(host: &mut Host, loaded: Loaded) -> Result<End, DaemonError> {
    let Loaded { config, digest, .. } = loaded;
    host.page.configure(&config, &digest);
    if config.broker.enabled {
        let address = match host.broker {
            Some(address) => address,
            None => Broker::start(&config.broker).map_err(|e| because(&e))?.address(),
        };
        host.broker = Some(address);
        if let Some(tell) = host.options.on_broker.take() {
            tell(address);
        }
    }
    let broker = host.broker.filter(|_| config.broker.enabled);
    let node = Node::connect(&config, broker)?;
    // Before anything is made ready, which takes a while: a request that comes meanwhile waits for its answer.
    let asked = Arc::new(Notify::new());
    let means = Means { started: host.started, restarts: host.service.restarts() };
    let mut commands = Commands::subscribe(&node, &config.mqtt, means, host.page.desk(), asked.clone())?;
    if let Some(recovered) = host.options.recovered.take() {
        commands.recovered(recovered);
    }
    mark("broker client");
    let over = Arc::new(Notify::new());
    let wake = over.clone();
    let settings = Settings { results: config.mqtt.results, health_every: config.node.health_interval() };
    let sink = Arc::new(MqttSink::new(node.mqtt.clone(), node.topics.clone(), settings));
    let home_assistant = Arc::new(node.home_assistant(&config.mqtt)?);
    let mut sinks: Vec<Arc<dyn Sink>> = vec![sink.clone(), home_assistant.clone(), Arc::new(StatusFile::from_env())];
    sinks.extend(host.options.sinks.iter().cloned());
    let cascades = Arc::new(Cascades::default());
    sinks.push(cascades.clone());
    sinks.push(Arc::new(commands.sink()));
    let snapshots = Arc::new(Snapshots::new(node.mqtt.clone(), node.topics.clone(), config.mqtt.max_packet_bytes));
    snapshots.configure(&config.pipelines);
    sinks.push(snapshots.clone());
    sinks.push(host.page.sink());
    let bus = Bus::new(sinks);
    let context = PipelineContext {
        bus: bus.clone(),
        heartbeats: host.heartbeats.clone(),
        sources: Sources::default(),
        cascades,
        turn: Arc::default(),
        readings: Readings::open(config.node.state_dir()),
        offloading: Offloading::start(&config, &node.name)?,
        dev: host.options.roots.dev.clone(),
        wake: Arc::new(move || wake.notify_one()),
    };
    let making = node.prepare(config.resolved(), config.places(), &host.options.roots, &context)?;
    let (prepared, unmade) = match aside::finish(making, &mut host.signals).await? {
        Awaited::Done(made) => sorted(made, host.options.waits)?,
        Awaited::Stop(signal) => {
            tracing::info!(reason = signal, "stopping before everything was ready");
            host.service.stopping();
            let nothing = PipelineSet::start(&config.governor, Vec::new(), InForce::default(), &context, host.started)?;
            let board = LinuxBoard::new(host.options.roots.clone());
            let maker = StatusMaker::new(&config, node.name.clone(), board.info(), host.started);
            let assisting = Assisting::none();
            let session = Session {
                config,
                digest,
                board,
                maker,
                set: nothing,
                sink,
                snapshots,
                home_assistant,
                node,
                context,
                assisting,
            };
            let report = session.stop(STOP_UNREADY_WITHIN)?;
            return Ok(End::Stopped(Box::new(report)));
        }
    };
    let mut set = PipelineSet::start(&config.governor, prepared, host.requests.clone(), &context, host.started)?;
    set.retain_requests(&config.pipelines.iter().map(|p| p.name.clone()).collect::<Vec<_>>());
    unmade.into_iter().for_each(|one| set.waiting.put(one, Instant::now()));
    mark("threads");
    let board = LinuxBoard::with_zone(host.options.roots.clone(), &config.node.thermal_zone);
    say_choice(&board);
    let mut maker = StatusMaker::new(&config, node.name.clone(), board.info(), host.started);
    maker.configured(&digest, &set);
    host.service.ready(&set.status_line());
    mark("ready");
    let calibrator = Calibrator::new(context.turn.clone());
    calibrator.start(set.uncalibrated());
    let assisting = Assisting::start(&config, &node.name, Instant::now())?;
    let mut session =
        Session { config, digest, board, maker, set, sink, snapshots, home_assistant, node, context, assisting };
    commands.answer(&session.set, Instant::now());

    // Pipelines that are tried again.
    let mut making: Option<oneshot::Receiver<Made>> = None;
    let mut tick = ticker(&session.config, &host.service);
    // Compiling a plan takes what it takes: the time to run begins when everything runs.
    let until = host.options.run_for.map(|d| tokio::time::Instant::now() + d);
    let reason = loop {
        host.heart.beat(LOOP_WITHIN, Instant::now());
        tokio::select! {
            _ = host.signals.terminate.recv() => break "SIGTERM",
            _ = host.signals.interrupt.recv() => break "SIGINT",
            () = sleep_until(until) => break "the time is over",
            () = over.notified() => {
                if session.is_over() {
                    break "every source has ended";
                }
            }
            _ = host.signals.hangup.recv() => {
                host.service.reloading();
                // It tries all of them again.
                making = None;
                let Host { options, signals, service, heart, heartbeats, .. } = &mut *host;
                let reloaded = reload(&mut session, options, signals, "SIGHUP");
                match fed(reloaded, &mut tick, service, heart, heartbeats).await {
                    Reloaded::Stop(signal) => break signal,
                    Reloaded::Restart(new) => {
                        tracing::info!("SIGHUP: the connection changes, everything starts again");
                        host.requests = session.set.in_force();
                        session.stop(STOP_WITHIN)?;
                        return Ok(End::Restart(new));
                    }
                    Reloaded::Applied => adopt(&mut session, &calibrator, &mut host.page),
                    Reloaded::Refused(_) => {}
                }
                // What a person loads is no trial any more.
                commands.end_trial();
                tick = ticker(&session.config, &host.service);
                host.service.ready(&session.set.status_line());
            }
            () = sleep_until(session.set.waiting.next().map(Into::into)), if making.is_none() => {
                let due = session.set.waiting.take_due(Instant::now());
                match session.node.prepare(due, session.config.places(), &host.options.roots, &session.context) {
                    Ok(begun) => making = Some(begun),
                    Err(error) => tracing::warn!(%error, "pipelines that wait are tried again later"),
                }
            }
            made = outcome(&mut making) => {
                making = None;
                let before = session.set.iter().count();
                for one in made {
                    session.set.take(one, &session.context, Instant::now());
                }
                if session.set.iter().count() > before {
                    session.maker.configured(&session.digest, &session.set);
                    session.emit_status();
                    calibrator.start(session.set.uncalibrated());
                    host.service.ready(&session.set.status_line());
                }
            }
            () = calibrator.told() => {
                for (shared, ladder) in calibrator.take() {
                    if session.set.learn(&shared, ladder) {
                        session.maker.relearned();
                        session.emit_status();
                    }
                }
            }
            () = asked.notified() => {
                // What was asked for is done at once and not at the next reading, which may be a minute away.
                if commands.take(&mut session, Instant::now()) {
                    session.turn();
                }
                commands.answer(&session.set, Instant::now());
            }
            _ = tick.tick() => {
                if session.is_over() {
                    break "every source has ended";
                }
                session.context.readings.turn(Instant::now());
                commands.take(&mut session, Instant::now());
                session.turn();
                host.page.observe(session.maker.revision(), &session.set);
                commands.answer(&session.set, Instant::now());
                host.service.feed(&host.heartbeats);
            }
        }
        let Host { options, signals, service, heart, heartbeats, page, .. } = &mut *host;
        let mut applied = |session: &Session| page.configure(&session.config, &session.digest);
        let work = commands.work(&mut session, options, signals, &mut applied);
        match fed(work, &mut tick, service, heart, heartbeats).await {
            Done::Nothing => {}
            Done::Reloaded => {
                making = None;
                adopt(&mut session, &calibrator, &mut host.page);
                tick = ticker(&session.config, &host.service);
                host.service.ready(&session.set.status_line());
            }
            Done::Restart => break RESTART,
            Done::Stop(signal) => break signal,
        }
    };
    tracing::info!(reason, "stopping");
    host.service.stopping();
    commands.end_trial();
    let report = session.stop(STOP_WITHIN)?;
    Ok(End::Stopped(Box::new(Report { restart: reason == RESTART, ..report })))
}

/// The outcome of `work`, with the watchdog fed meanwhile: to compile a model may take longer than it waits.
async fn fed<T>(
    work: impl Future<Output = T>,
    tick: &mut tokio::time::Interval,
    service: &Service,
    heart: &Heart,
    heartbeats: &Heartbeats,
) -> T {
    tokio::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = tick.tick() => {
                heart.beat(LOOP_WITHIN, Instant::now());
                service.feed(heartbeats);
            }
        }
    }
}

/// Takes over what a reload changed outside of the pipelines, and measures those that are new.
fn adopt(session: &mut Session, calibrator: &Calibrator, page: &mut Page) {
    page.configure(&session.config, &session.digest);
    session.board.set_zone(&session.config.node.thermal_zone);
    say_choice(&session.board);
    calibrator.start(session.set.uncalibrated());
}

/// The outcome of pipelines that are tried again; waits for ever where there are none.
async fn outcome(making: &mut Option<oneshot::Receiver<Made>>) -> Made {
    match making {
        // A thread that panicked made nothing; its pipelines are due again later.
        Some(making) => making.await.unwrap_or_default(),
        None => std::future::pending().await,
    }
}

/// The pipelines that can be started, and those that cannot.
///
/// # Errors
/// [`DaemonError::Config`] where none can and none ever will; without `waits`, the reason of the first one.
fn sorted(made: Made, waits: bool) -> Result<(Vec<Prepared>, Vec<Unmade>), DaemonError> {
    let mut prepared = Vec::new();
    let mut unmade: Vec<Unmade> = Vec::new();
    for one in made {
        match one {
            Ok(one) => prepared.push(one),
            Err(one) => unmade.push(one),
        }
    }
    let hopeless = prepared.is_empty() && !unmade.iter().any(|one| one.error.may_pass());
    match unmade.first() {
        Some(one) if !waits && one.error.may_pass() => Err(DaemonError::NotNow(one.error.to_string())),
        Some(_) if hopeless || !waits => {
            let reasons: Vec<String> = unmade.iter().map(|one| one.error.to_string()).collect();
            Err(DaemonError::Config(reasons.join("\n")))
        }
        _ => Ok((prepared, unmade)),
    }
}

/// Logs the source of the temperature, where that is not plain.
fn say_choice(board: &LinuxBoard) {
    let (sensors, why) =
        (board.soc_sensors().map(|p| p.name.as_str()).collect::<Vec<_>>().join(", "), board.soc_choice());
    match (sensors.is_empty(), why.is_empty()) {
        (_, true) => {}
        (true, false) => tracing::warn!("no processor temperature: {why}"),
        (false, false) => tracing::info!(sensors, "processor temperature: {why}"),
    }
}

/// The loop's clock: the governor's, unless the watchdog wants to be fed more often.
fn ticker(config: &Config, service: &Service) -> tokio::time::Interval {
    let period = Duration::from_millis(config.governor.tick_ms);
    let mut tick = tokio::time::interval(service.0.feed_interval().map_or(period, |feed| feed.min(period)));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tick
}

async fn sleep_until(until: Option<tokio::time::Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}
