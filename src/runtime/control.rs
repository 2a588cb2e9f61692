//! The control loop: starts everything, then signals, board readings, governor, health and watchdog until told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use super::DaemonError;
use super::answers::Answers;
use super::aside::{self, Awaited, Signals};
use super::calibrator::Calibrator;
use super::node::{Node, because};
use super::options::Options;
use super::prepare::{Made, Prepared, Unmade};
use super::readings::Readings;
use super::reload::{Present, Reloaded, reload};
use super::report::{Report, Reporter};
use super::running::PipelineContext;
use super::service::Service;
use super::set::PipelineSet;
use super::sources::Sources;
use super::status::{self, Status, StatusFile};
use crate::board::LinuxBoard;
use crate::config::{Config, Loaded};
use crate::frame::Bus;
use crate::publish::Publisher;
use crate::publish::broker::Broker;
use crate::publish::mqtt::Mqtt;
use crate::publish::sink::MqttSink;
use crate::telemetry::{Heart, Heartbeats, Notifier, mark};
use leptond_governor::Board;

/// From the wish to stop to the end of the process.
const STOP_WITHIN: Duration = Duration::from_millis(1800);

/// Of which the pipelines may take this much; the rest is for the last messages.
const PIPELINES_WITHIN: Duration = Duration::from_millis(1000);

/// From the wish to stop to the end of a process that was not ready yet: there are no messages that could be lost.
const STOP_UNREADY_WITHIN: Duration = Duration::from_millis(300);

/// Time to the next attempt to start where something outside is not there, first and longest.
const START_AGAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(30)];

/// What meters showed is written in this time, after everything was said.
const READINGS_WITHIN: Duration = Duration::from_millis(1000);

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

/// What outlives a restart inside the process.
struct Host {
    options: Options,
    signals: Signals,
    service: Service,
    heartbeats: Heartbeats,
    heart: Heart,
    started: Instant,
    /// Where the embedded broker listens, once it does; it lives as long as the process.
    broker: Option<SocketAddr>,
}

/// How one life between start and stop ended.
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
    let mut host = Host { options, signals, service, heartbeats, heart, started, broker: None };
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
    let Loaded { mut config, mut digest, .. } = loaded;
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
    let node = Node::connect(&config, broker, host.options.tee.as_ref())?;
    mark("broker client");
    let over = Arc::new(Notify::new());
    let wake = over.clone();
    let mqtt = MqttSink::new(node.publisher.clone(), node.topics.clone(), config.mqtt.results);
    let bus = Bus::new(vec![Arc::new(mqtt)]);
    let context = PipelineContext {
        bus: bus.clone(),
        heartbeats: host.heartbeats.clone(),
        sources: Sources::default(),
        turn: Arc::default(),
        readings: Readings::open(config.node.state_dir()),
        wake: Arc::new(move || wake.notify_one()),
    };
    let making = node.prepare(config.resolved(), config.places(), &host.options.roots, &context.sources)?;
    let (prepared, unmade) = match aside::finish(making, &mut host.signals).await? {
        Awaited::Done(made) => sorted(made, host.options.waits)?,
        Awaited::Stop(signal) => {
            tracing::info!(reason = signal, "stopping before everything was ready");
            host.service.stopping();
            let nothing = PipelineSet::start(&config.governor, Vec::new(), &context, host.started)?;
            let mut board = LinuxBoard::new(host.options.roots.clone());
            let report = stop(nothing, &node.mqtt, &context.readings, &mut board, host.started, STOP_UNREADY_WITHIN)?;
            return Ok(End::Stopped(Box::new(report)));
        }
    };
    let mut set = PipelineSet::start(&config.governor, prepared, &context, host.started)?;
    unmade.into_iter().for_each(|one| set.waiting.put(one, Instant::now()));
    mark("threads");
    let mut board = LinuxBoard::with_zone(host.options.roots.clone(), &config.node.thermal_zone);
    say_choice(&board);
    let mut reporter =
        Reporter::new(&config, node.topics.clone(), node.publisher.clone(), board.info().clone(), host.started);
    reporter.info(&digest, &set);
    reporter.governor(&set, 0);
    host.service.ready(&set.status_line());
    mark("ready");
    let calibrator = Calibrator::new(context.turn.clone());
    calibrator.start(set.uncalibrated());
    let asked = Arc::new(Notify::new());
    let mut answers = Answers::subscribe(&node, &config.mqtt.requests, asked.clone())?;
    let file = StatusFile::from_env();

    // Pipelines that are tried again.
    let mut making: Option<oneshot::Receiver<Made>> = None;
    let mut tick = ticker(&config, &host.service);
    // Compiling a plan takes what it takes: the time to run begins when everything runs.
    let until = host.options.run_for.map(|d| tokio::time::Instant::now() + d);
    let reason = loop {
        host.heart.beat(LOOP_WITHIN, Instant::now());
        tokio::select! {
            _ = host.signals.terminate.recv() => break "SIGTERM",
            _ = host.signals.interrupt.recv() => break "SIGINT",
            () = sleep_until(until) => break "the time is over",
            () = over.notified() => {
                if set.all_over() {
                    break "every source has ended";
                }
            }
            _ = host.signals.hangup.recv() => {
                host.service.reloading();
                // It tries all of them again.
                making = None;
                let present = Present {
                    config: &mut config,
                    set: &mut set,
                    reporter: &mut reporter,
                    node: &node,
                    context: &context,
                };
                match reload(present, &host.options, &mut host.signals).await {
                    Reloaded::Stop(signal) => break signal,
                    Reloaded::Restart(new) => {
                        tracing::info!("SIGHUP: the connection changes, everything starts again");
                        file.remove();
                        stop(set, &node.mqtt, &context.readings, &mut board, host.started, STOP_WITHIN)?;
                        return Ok(End::Restart(new));
                    }
                    Reloaded::Applied(new) => {
                        digest = new;
                        board.set_zone(&config.node.thermal_zone);
                        say_choice(&board);
                        answers.forget();
                        calibrator.start(set.uncalibrated());
                    }
                    Reloaded::Refused => {}
                }
                tick = ticker(&config, &host.service);
                host.service.ready(&set.status_line());
            }
            () = sleep_until(set.waiting.next().map(Into::into)), if making.is_none() => {
                let due = set.waiting.take_due(Instant::now());
                match node.prepare(due, config.places(), &host.options.roots, &context.sources) {
                    Ok(begun) => making = Some(begun),
                    Err(error) => tracing::warn!(%error, "pipelines that wait are tried again later"),
                }
            }
            made = outcome(&mut making) => {
                making = None;
                let before = set.iter().count();
                for one in made {
                    set.take(one, &context, Instant::now());
                }
                if set.iter().count() > before {
                    reporter.info(&digest, &set);
                    reporter.governor(&set, 0);
                    calibrator.start(set.uncalibrated());
                    host.service.ready(&set.status_line());
                }
            }
            () = calibrator.told() => {
                for (shared, ladder) in calibrator.take() {
                    if set.learn(&shared, ladder) {
                        reporter.governor(&set, 0);
                    }
                }
            }
            () = asked.notified(), if answers.has_time() => {
                // What was asked for is done at once and not at the next reading, which may be a minute away.
                if answers.take(&mut set, Instant::now()) {
                    look(&mut board, &mut set, &mut reporter, &config, &node, &file);
                }
                answers.answer(&set);
            }
            _ = tick.tick() => {
                if set.all_over() {
                    break "every source has ended";
                }
                answers.turn();
                context.readings.turn(Instant::now());
                answers.take(&mut set, Instant::now());
                look(&mut board, &mut set, &mut reporter, &config, &node, &file);
                answers.answer(&set);
                host.service.feed(&host.heartbeats);
            }
        }
    };
    tracing::info!(reason, "stopping");
    file.remove();
    host.service.stopping();
    stop(set, &node.mqtt, &context.readings, &mut board, host.started, STOP_WITHIN)
        .map(|report| End::Stopped(Box::new(report)))
}

/// What came of pipelines that are tried again; never without any.
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
/// [`DaemonError::Config`] where none can and none ever will; without `waits`, why the first one cannot.
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

/// One turn of the loop: a reading of the board, the governor's answer, `health`, and the file for who looks on.
fn look(
    board: &mut LinuxBoard,
    set: &mut PipelineSet,
    reporter: &mut Reporter,
    config: &Config,
    node: &Node,
    file: &StatusFile,
) {
    let now = Instant::now();
    let mqtt = node.mqtt.stats();
    let mut reading = board.read();
    reading.link.connected = Some(mqtt.connected);
    reading.link.backlog = Some((mqtt.queued as f32 / config.mqtt.queue.max(1) as f32).min(1.0));
    reading.pipelines = set.loads(now);
    let changes = set.govern(&reading, now);
    reporter.governed(set, &changes, now);
    reporter.health(set, &reading, || board.rss_bytes().unwrap_or(0), mqtt, now);
    if file.wanted()
        && let Some(governor) = reporter.governor_payload(set, 0)
    {
        let p95 =
            set.iter().zip(&reading.pipelines).filter_map(|(r, load)| Some((r.config.name.clone(), load.p95_ms?)));
        file.write(&Status {
            pid: std::process::id(),
            written_ms: status::since_boot_ms(),
            valid_ms: status::valid_ms(config.governor.tick_ms),
            governor,
            own_cpu_percent: reading.own_cpu_percent,
            connected: reading.link.connected,
            backlog: reading.link.backlog,
            p95_ms: p95.collect(),
        });
    }
}

/// Pipelines first, then the last messages, `offline`, and the connection.
fn stop(
    mut set: PipelineSet,
    mqtt: &Mqtt,
    readings: &Arc<Readings>,
    board: &mut LinuxBoard,
    started: Instant,
    within: Duration,
) -> Result<Report, DaemonError> {
    let now = Instant::now();
    let failure = set.failure();
    for pipeline in set.stop(now + PIPELINES_WITHIN) {
        tracing::warn!(pipeline, "did not stop in time, left behind");
    }
    let flushed = mqtt.stop(now + within);
    readings.finish(Instant::now() + READINGS_WITHIN.min(within));
    let stats = mqtt.stats();
    if !flushed {
        tracing::warn!(queued = stats.queued, "stopped before every message was acknowledged");
    }
    match failure {
        Some(reason) => Err(DaemonError::Failed(reason)),
        None => {
            let peak = board.peak_rss_bytes().unwrap_or(0);
            Ok(Report::new(&set, stats, mqtt.overhead(), peak, started.elapsed()))
        }
    }
}

/// Says where the temperature comes from, where that is not plain.
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
