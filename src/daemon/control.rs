//! The control loop: starts everything, then signals, board readings, governor, health and watchdog until told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

use super::DaemonError;
use super::answers::Answers;
use super::calibrator::Calibrator;
use super::node::Node;
use super::prepare::Places;
use super::report::{Report, Reporter};
use super::service::Service;
use super::set::{PipelineSet, Surroundings};
use super::status::{self, Status, StatusFile};
use crate::board::LinuxBoard;
use crate::config::{Config, Loaded};
use crate::governor::Board;
use crate::publish::Publisher;
use crate::publish::broker::Broker;
use crate::publish::mqtt::Mqtt;
use crate::sys::Roots;
use crate::telemetry::{Heart, Heartbeats, LogHandle, Notifier, mark};

/// From the wish to stop to the end of the process.
const STOP_WITHIN: Duration = Duration::from_millis(1900);

/// Of which the pipelines may take this much; the rest is for the last messages.
const PIPELINES_WITHIN: Duration = Duration::from_millis(1000);

/// The control loop turns at least this often.
const LOOP_WITHIN: Duration = Duration::from_secs(20);

/// Loads the configuration anew, for SIGHUP; its error is a whole explanation.
pub type Reload = Box<dyn FnMut() -> Result<Loaded, String>>;

/// What the daemon needs beside its configuration.
#[derive(Default)]
pub struct Options {
    /// Where `/proc`, `/sys` and `/dev` are.
    pub roots: Roots,
    /// Stop by itself after this time.
    pub run_for: Option<Duration>,
    /// What SIGHUP does; `None` = nothing.
    pub reload: Option<Reload>,
    /// Sees every message besides the broker (`demo` prints them).
    pub tee: Option<Arc<dyn Publisher>>,
    /// The running log, whose level a reload may change.
    pub log: Option<LogHandle>,
    /// Told the address of the embedded broker once it listens.
    pub on_broker: Option<Box<dyn FnOnce(SocketAddr)>>,
}

/// Runs until SIGTERM, SIGINT, the end of all sources or `run_for`.
///
/// # Errors
/// [`DaemonError::Config`] before anything was started; [`DaemonError::Failed`] when no source can work any more.
pub fn run(loaded: Loaded, options: Options) -> Result<Report, DaemonError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| DaemonError::Failed(format!("no runtime: {e}")))?;
    runtime.block_on(control(loaded, options))
}

/// The signals that the daemon answers.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
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
    Stopped(Report),
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
    loop {
        match live(&mut host, loaded.clone()).await {
            Ok(End::Stopped(report)) => return Ok(report),
            Ok(End::Restart(new)) => before = Some(std::mem::replace(&mut loaded, *new)),
            Err(DaemonError::Config(why)) => match before.take() {
                Some(old) => {
                    tracing::error!("SIGHUP: the new configuration cannot be used, back to the one before: {why}");
                    loaded = old;
                }
                None => return Err(DaemonError::Config(why)),
            },
            Err(error) => return Err(error),
        }
    }
}

/// From the start of everything to its stop.
async fn live(host: &mut Host, loaded: Loaded) -> Result<End, DaemonError> {
    let Loaded { mut config, digest, .. } = loaded;
    if config.broker.enabled {
        let address = match host.broker {
            Some(address) => address,
            None => Broker::start(&config.broker).map_err(|e| DaemonError::Config(e.to_string()))?.address(),
        };
        host.broker = Some(address);
        if let Some(tell) = host.options.on_broker.take() {
            tell(address);
        }
    }
    let broker = host.broker.filter(|_| config.broker.enabled);
    let node = Node::connect(&config, broker, host.options.tee.as_ref())?;
    mark("broker client");
    let prepared = node.prepare(&config.pipelines, &Places::of(&config), &host.options.roots)?;
    let over = Arc::new(Notify::new());
    let wake = over.clone();
    let surroundings = Surroundings {
        publisher: node.publisher.clone(),
        topics: node.topics.clone(),
        results: config.mqtt.results,
        heartbeats: host.heartbeats.clone(),
        turn: Arc::default(),
        wake: Arc::new(move || wake.notify_one()),
    };
    let mut set = PipelineSet::start(&config.governor, prepared, &surroundings, host.started)?;
    mark("threads");
    let mut board = LinuxBoard::new(host.options.roots.clone());
    let mut reporter =
        Reporter::new(&config, node.topics.clone(), node.publisher.clone(), board.info().clone(), host.started);
    reporter.info(&digest, &set);
    reporter.governor(&set, 0);
    host.service.ready(&set.status_line());
    mark("ready");
    let calibrator = Calibrator::new(surroundings.turn.clone());
    calibrator.start(set.uncalibrated());
    let asked = Arc::new(Notify::new());
    let mut answers = Answers::subscribe(&node, &config.mqtt.requests, asked.clone())?;
    let file = StatusFile::from_env();

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
                match reload(&mut config, &mut host.options, &mut set, &mut reporter, &node, &surroundings) {
                    Reloaded::Restart(new) => {
                        tracing::info!("SIGHUP: the connection changes, everything starts again");
                        file.remove();
                        stop(set, &node.mqtt, &mut board, host.started)?;
                        return Ok(End::Restart(new));
                    }
                    Reloaded::Applied => {
                        answers.forget();
                        calibrator.start(set.uncalibrated());
                    }
                    Reloaded::Refused => {}
                }
                tick = ticker(&config, &host.service);
                host.service.ready(&set.status_line());
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
    stop(set, &node.mqtt, &mut board, host.started).map(End::Stopped)
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

/// Pipelines first, then the last messages, `offline`, and the connection; within [`STOP_WITHIN`].
fn stop(mut set: PipelineSet, mqtt: &Mqtt, board: &mut LinuxBoard, started: Instant) -> Result<Report, DaemonError> {
    let now = Instant::now();
    let failure = set.failure();
    for pipeline in set.stop(now + PIPELINES_WITHIN) {
        tracing::warn!(pipeline, "did not stop in time, left behind");
    }
    let flushed = mqtt.stop(now + STOP_WITHIN);
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

/// What a reload came to.
enum Reloaded {
    /// The new configuration applies.
    Applied,
    /// It is wrong: nothing was changed.
    Refused,
    /// It is right, and the connection or the node's name is another one.
    Restart(Box<Loaded>),
}

/// SIGHUP: the new configuration is made ready whole; only then is anything of the old one touched. A bad one changes
/// nothing and says why.
fn reload(
    config: &mut Config,
    options: &mut Options,
    set: &mut PipelineSet,
    reporter: &mut Reporter,
    node: &Node,
    surroundings: &Surroundings,
) -> Reloaded {
    let refused = |why: String| {
        tracing::error!("SIGHUP: the configuration stays as it was: {why}");
        Reloaded::Refused
    };
    let Some(load) = options.reload.as_mut() else {
        return refused("this run has no configuration file to load again".into());
    };
    let loaded = match load() {
        Ok(loaded) => loaded,
        Err(why) => return refused(why),
    };
    let new = &loaded.config;
    if new.broker != config.broker {
        return refused("a change of [broker] needs a restart of the service: it lives as long as the process".into());
    }
    let same_connection = new.mqtt == config.mqtt && new.node.name == config.node.name;
    // Where the connection changes, every pipeline is made ready once to see that it can be.
    let changed: Vec<_> =
        new.pipelines.iter().filter(|p| !same_connection || !config.pipelines.contains(p)).cloned().collect();
    let prepared = match node.prepare(&changed, &Places::of(new), &options.roots) {
        Ok(prepared) => prepared,
        Err(why) => return refused(why.to_string()),
    };
    if let Some(log) = &options.log
        && let Err(why) = log.set_level(&new.log.level)
    {
        return refused(why.to_string());
    }
    if !same_connection {
        return Reloaded::Restart(Box::new(loaded));
    }
    let names: Vec<String> = new.pipelines.iter().map(|p| p.name.clone()).collect();
    let gone: Vec<String> = set.iter().map(|r| r.config.name.clone()).filter(|n| !names.contains(n)).collect();
    if let Err(why) = set.replace(&new.governor, prepared, &names, surroundings) {
        tracing::error!("SIGHUP: {why}");
    }
    gone.iter().for_each(|name| reporter.forget(name));
    *config = loaded.config;
    reporter.reconfigure(config);
    reporter.info(&loaded.digest, set);
    reporter.governor(set, 0);
    tracing::info!(changed = changed.len(), gone = gone.len(), "SIGHUP: the new configuration applies");
    Reloaded::Applied
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
