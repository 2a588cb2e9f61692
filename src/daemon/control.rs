//! The control loop: starts everything, then signals, board readings, governor, health and watchdog until told to stop.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

use super::DaemonError;
use super::prepare::{Prepared, prepare};
use super::report::{Report, Reporter};
use super::set::{PipelineSet, Surroundings};
use crate::board::LinuxBoard;
use crate::config::{Config, Loaded, PipelineConfig};
use crate::governor::Board;
use crate::publish::broker::Broker;
use crate::publish::mqtt::Mqtt;
use crate::publish::topics::{self, Topics};
use crate::publish::{Message, Publisher, Stats};
use crate::sys::Roots;
use crate::telemetry::{Heartbeats, LogHandle, Notifier};

/// From the wish to stop to the end of the process.
const STOP_WITHIN: Duration = Duration::from_millis(1900);

/// Of which the pipelines may take this much; the rest is for the last messages.
const PIPELINES_WITHIN: Duration = Duration::from_millis(1000);

/// The control loop turns at least this often.
const LOOP_WITHIN: Duration = Duration::from_secs(20);

/// Messages of a subscription that may wait for their pipeline; the newest ones win.
const INCOMING: usize = 4;

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

async fn control(loaded: Loaded, mut options: Options) -> Result<Report, DaemonError> {
    let Loaded { mut config, digest, .. } = loaded;
    // Signals are caught before anything starts, so that a stop during the start is a clean one.
    let mut signals = Signals::new().map_err(|e| DaemonError::Failed(format!("no signal handlers: {e}")))?;
    let started = Instant::now();
    let heartbeats = Heartbeats::new(started);
    let heart = heartbeats.register("main", LOOP_WITHIN, started);
    let service = Service(Notifier::from_env().map_err(|e| DaemonError::Failed(e.to_string()))?);

    if config.broker.enabled {
        let broker = Broker::start(&config.broker).map_err(|e| DaemonError::Config(e.to_string()))?;
        let address = broker.address();
        if let Some(tell) = options.on_broker.take() {
            tell(address);
        }
        (config.mqtt.host, config.mqtt.port) = (address.ip().to_string(), address.port());
    }
    let mut node = Node::connect(&config, &options, &heartbeats)?;
    let prepared = node.prepare(&config.pipelines, &config, &options)?;
    let over = Arc::new(Notify::new());
    let wake = over.clone();
    let surroundings = Surroundings {
        publisher: node.publisher.clone(),
        topics: node.topics.clone(),
        results: config.mqtt.results,
        heartbeats: heartbeats.clone(),
        wake: Arc::new(move || wake.notify_one()),
    };
    let mut set = PipelineSet::start(&config.governor, prepared, &surroundings, started)?;
    let mut board = LinuxBoard::new(options.roots.clone());
    let mut reporter =
        Reporter::new(&config, node.topics.clone(), node.publisher.clone(), board.info().clone(), started);
    reporter.info(&digest, &set);
    reporter.governor(&set, 0);
    service.ready(&set.status_line());

    let mut tick = ticker(&config, &service);
    // Compiling a plan takes what it takes: the time to run begins when everything runs.
    let until = options.run_for.map(|d| tokio::time::Instant::now() + d);
    let reason = loop {
        heart.beat(LOOP_WITHIN, Instant::now());
        tokio::select! {
            _ = signals.terminate.recv() => break "SIGTERM",
            _ = signals.interrupt.recv() => break "SIGINT",
            () = sleep_until(until) => break "the time is over",
            () = over.notified() => {
                if set.all_over() {
                    break "every source has ended";
                }
            }
            _ = signals.hangup.recv() => {
                service.reloading();
                reload(&mut config, &mut options, &mut set, &mut reporter, &mut node, &surroundings);
                tick = ticker(&config, &service);
                service.ready(&set.status_line());
            }
            _ = tick.tick() => {
                if set.all_over() {
                    break "every source has ended";
                }
                look(&mut board, &mut set, &mut reporter, &node);
                service.feed(&heartbeats);
            }
        }
    };
    tracing::info!(reason, "stopping");
    service.stopping();
    stop(set, &node.mqtt, &mut board, started)
}

/// One turn of the loop: a reading of the board, the governor's answer, and `health`.
fn look(board: &mut LinuxBoard, set: &mut PipelineSet, reporter: &mut Reporter, node: &Node) {
    let now = Instant::now();
    let mut reading = board.read();
    reading.deadline_ratio = set.deadline_ratio(now);
    for change in set.govern(&reading, now) {
        tracing::info!(
            pipeline = set.name(change.pipeline),
            rung = change.setpoint.rung,
            of = change.setpoint.of,
            interval_ms = change.setpoint.interval.as_millis() as u64,
            reason = change.reason,
            "governor"
        );
        reporter.governor(set, change.pipeline);
    }
    let rss_bytes = board.rss_bytes().unwrap_or(0);
    reporter.health(set, &reading, rss_bytes, node.mqtt.stats(), now);
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

/// SIGHUP: the new configuration is made ready whole; only then is anything of the old one touched. A bad one changes
/// nothing and says why.
fn reload(
    config: &mut Config,
    options: &mut Options,
    set: &mut PipelineSet,
    reporter: &mut Reporter,
    node: &mut Node,
    surroundings: &Surroundings,
) {
    let Some(load) = options.reload.as_mut() else {
        tracing::warn!("SIGHUP: this run has no configuration file to load again");
        return;
    };
    let refused = |why: String| tracing::error!("SIGHUP: the configuration stays as it was: {why}");
    let (new, digest) = match load() {
        Ok(Loaded { config, digest, .. }) => (config, digest),
        Err(why) => return refused(why),
    };
    for (section, same) in [
        ("mqtt", new.mqtt == config.mqtt || config.broker.enabled),
        ("broker", new.broker == config.broker),
        ("node.name", new.node.name == config.node.name),
    ] {
        if !same {
            return refused(format!("a change of [{section}] needs a restart of the service"));
        }
    }
    let changed: Vec<_> = new.pipelines.iter().filter(|p| !config.pipelines.contains(p)).cloned().collect();
    let prepared = match node.prepare(&changed, &new, options) {
        Ok(prepared) => prepared,
        Err(why) => return refused(why.to_string()),
    };
    if let Some(log) = &options.log
        && let Err(why) = log.set_level(&new.log.level)
    {
        return refused(why.to_string());
    }
    let names: Vec<String> = new.pipelines.iter().map(|p| p.name.clone()).collect();
    let gone: Vec<String> = set.iter().map(|r| r.config.name.clone()).filter(|n| !names.contains(n)).collect();
    if let Err(why) = set.replace(&new.governor, prepared, &names, surroundings) {
        tracing::error!("SIGHUP: {why}");
    }
    gone.iter().for_each(|name| reporter.forget(name));
    let mqtt = config.mqtt.clone();
    *config = Config { mqtt, ..new };
    reporter.reconfigure(config);
    reporter.info(&digest, set);
    reporter.governor(set, 0);
    tracing::info!(changed = changed.len(), gone = gone.len(), "SIGHUP: the new configuration applies");
}

/// The connection to the broker and what hangs on it.
struct Node {
    mqtt: Arc<Mqtt>,
    publisher: Arc<dyn Publisher>,
    topics: Topics,
}

impl Node {
    fn connect(config: &Config, options: &Options, heartbeats: &Heartbeats) -> Result<Self, DaemonError> {
        let name = match config.node.name.as_str() {
            "" => topics::default_node(Path::new("/")),
            name => name.to_string(),
        };
        let bad = |e: &dyn std::fmt::Display| DaemonError::Config(e.to_string());
        let topics = Topics::new(&config.mqtt.prefix, &name).map_err(|e| bad(&e))?;
        let _ = heartbeats;
        let mqtt = Arc::new(Mqtt::start(&config.mqtt, &name).map_err(|e| bad(&e))?);
        let publisher: Arc<dyn Publisher> = match &options.tee {
            Some(second) => Arc::new(Tee { first: mqtt.clone(), second: second.clone() }),
            None => mqtt.clone(),
        };
        Ok(Node { mqtt, publisher, topics })
    }

    fn prepare(
        &self,
        pipelines: &[PipelineConfig],
        config: &Config,
        options: &Options,
    ) -> Result<Vec<Prepared>, DaemonError> {
        pipelines
            .iter()
            .map(|p| prepare(p, &config.models.dirs, &options.roots, |filter| self.mqtt.subscribe(filter, INCOMING)))
            .collect::<Result<_, _>>()
            .map_err(|e| DaemonError::Config(e.to_string()))
    }
}

/// Every message to two publishers; the first one's word counts.
struct Tee {
    first: Arc<Mqtt>,
    second: Arc<dyn Publisher>,
}

impl Publisher for Tee {
    fn publish(&self, message: Message) {
        self.second.publish(message.clone());
        self.first.publish(message);
    }

    fn stats(&self) -> Stats {
        self.first.stats()
    }

    fn flush(&self, deadline: Instant) -> bool {
        self.second.flush(deadline) && self.first.flush(deadline)
    }
}

/// systemd, if it is there. That it cannot be told is worth a line in the log, and no reason to stop.
struct Service(Notifier);

impl Service {
    fn ready(&self, status: &str) {
        Self::tell(self.0.ready(status));
    }

    fn reloading(&self) {
        Self::tell(self.0.reloading());
    }

    fn stopping(&self) {
        Self::tell(self.0.stopping("stopping"));
    }

    fn feed(&self, heartbeats: &Heartbeats) {
        match self.0.feed(heartbeats, Instant::now()) {
            Ok(None) => {}
            Ok(Some(late)) => tracing::error!(
                thread = late.thread,
                late_by_ms = late.late_by.as_millis() as u64,
                panicked = late.panicked,
                "a thread makes no progress: the watchdog is not fed"
            ),
            Err(error) => Self::tell(Err(error)),
        }
    }

    fn tell(result: std::io::Result<()>) {
        if let Err(error) = result {
            tracing::warn!(%error, "the service manager cannot be told");
        }
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
