//! The state of the node as one value: made by one owner on each turn of its control loop, formatted by whoever shows it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::{Label, LineName, NodeName, PipelineName, Quantity, SourceName, ZoneName};

/// Everything that is known of the node at one moment.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    /// Time of its making, on the monotonic clock.
    pub at: Instant,
    /// Longest time until the next one.
    pub every: Duration,
    /// The node itself.
    pub node: Node,
    /// The last reading of the board.
    pub board: Board,
    /// Mode and state of the governor.
    pub governor: Governor,
    /// The sources, by name.
    pub sources: BTreeMap<SourceName, Source>,
    /// The running pipelines, in the order of the configuration.
    pub pipelines: Vec<Pipeline>,
    /// The models that the running pipelines use.
    pub models: Arc<[Model]>,
    /// The connection to the broker.
    pub publisher: Publisher,
    /// The pipelines of the configuration that do not run.
    pub faults: Vec<Fault>,
    /// Work for other nodes; `None` where there is none.
    pub fleet: Option<Fleet>,
    /// Figures of the whole run, which are taken once, at its end.
    pub totals: Option<Totals>,
}

/// The node itself.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub name: NodeName,
    /// Version of leptond.
    pub version: &'static str,
    /// Name of the board.
    pub board: Arc<str>,
    /// SHA-256 of the effective configuration, in hex.
    pub config_digest: Arc<str>,
    /// Counts up whenever models or configuration change.
    pub revision: u64,
    /// Time since the start.
    pub uptime: Duration,
}

/// A reading of the board; what it cannot tell is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Board {
    /// Resident memory of the daemon.
    pub rss_bytes: u64,
    /// CPU use of the whole machine, 0 to 100.
    pub cpu_percent: Option<f32>,
    /// CPU use of the daemon and its children, 0 to 100 of the whole machine.
    pub own_cpu_percent: Option<f32>,
    /// SoC temperature.
    pub soc_celsius: Option<f32>,
    /// The clock is being lowered because of heat.
    pub throttled: Option<bool>,
    /// A soft temperature limit lowers the clock a little.
    pub soft_limited: Option<bool>,
    /// The supply is too low.
    pub under_voltage: Option<bool>,
}

/// Mode and state of the governor.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Governor {
    /// `auto`, `performance`, `quiet`, `manual`.
    pub mode: String,
    /// `calibrating`, `normal`, `reduced`, `critical`, `paused`.
    pub state: String,
    /// The expected temperature; `None` while too little is known of it.
    pub forecast: Option<Forecast>,
    /// The pipeline whose rung changed last; `None` = the first one.
    pub changed: Option<PipelineName>,
    /// Counts up with each turn in which a rung changed, and whenever every rung may have changed.
    pub changes: u64,
}

/// The expected temperature of the board, in °C.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// Now, without spikes.
    pub soc_celsius: f32,
    /// In 30 s on the present rungs.
    pub in_30s_celsius: f32,
    /// In the end on the present rungs.
    pub steady_celsius: f32,
    /// The limit that is kept.
    pub limit_celsius: f32,
}

/// A source that pipelines read.
#[derive(serde::Serialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Source {
    /// Frames that it gave.
    pub frames: u64,
    /// Frames that were decoded, each once for all readers.
    pub decoded: u64,
    /// Pipelines and others that read it.
    pub readers: usize,
}

/// A running pipeline.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Its name.
    pub name: PipelineName,
    /// Counters since its start.
    pub counts: Counts,
    /// Frame captured → result emitted, over the whole run, in ms.
    pub latency_ms: Percentiles,
    /// In the model, over the whole run, in ms.
    pub infer_ms: Percentiles,
    /// 95 % of the latest results came no later than this after their frame was captured, in ms.
    pub recent_p95_ms: Option<f32>,
    /// Its place on its ladder.
    pub rung: Rung,
    /// Reason for which no results come, once that has lasted.
    pub idle: Option<String>,
    /// Its motion gate; `None` without one.
    pub motion: Option<Motion>,
    /// Paused by request.
    pub paused: bool,
    /// Facts that do not change while it runs.
    pub about: Arc<About>,
}

/// A motion gate, with counts since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Motion {
    /// Something moves, or is followed: frames are looked at.
    pub open: bool,
    /// Frames that were not looked at because nothing had moved.
    pub closed_frames: u64,
    /// Times that it opened.
    pub openings: u64,
    /// Frames that were looked at although nothing had moved, because none had been for long.
    pub looks: u64,
}

/// Facts about a pipeline that its configuration and model decide.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    /// Subject of its results.
    pub subject: Subject,
    /// The zones in which objects are counted.
    pub zones: Vec<ZoneName>,
    /// The lines that objects cross.
    pub lines: Vec<LineName>,
    /// Pictures of its events are published.
    pub snapshot: bool,
    /// Its frames come straight from a camera: while that is away, nothing is known of what it sees.
    pub camera: bool,
}

impl About {
    /// A pipeline without zones, lines and pictures.
    pub fn plain(subject: Subject) -> About {
        About { subject, zones: Vec::new(), lines: Vec::new(), snapshot: false, camera: false }
    }
}

/// Subject of a pipeline's results.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// The class of a whole picture or window.
    Class,
    /// A row of digits.
    Reading(Meter),
    /// Positions of drums or pointers.
    Positions,
    /// A meter with its rate and problem.
    Meter(Meter),
    /// Objects.
    Objects {
        /// The labels that count, in the order of the configuration, else of the model; empty where neither names any.
        labels: Vec<Label>,
        /// The configuration names them.
        chosen: bool,
    },
    /// Shares of the picture.
    Areas {
        /// The labels that count, in the order of the configuration, else of the model; empty where neither names any.
        labels: Vec<Label>,
        /// The configuration names them.
        chosen: bool,
    },
    /// Lines of text.
    Text,
    /// The distance from normal.
    Anomaly,
    /// Faults of single channels.
    Channels {
        /// True where the usual is learnt first, and distances are in spreads of it.
        learns: bool,
    },
    /// Bare outputs of the model.
    Raw,
}

/// A row of digits as an instrument.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Meter {
    /// It only counts up.
    pub counts_up: bool,
    /// It may run backwards as well.
    pub feeds_back: bool,
    /// The quantity that it counts.
    pub quantity: Option<Quantity>,
    /// Unit of its number.
    pub unit: Option<String>,
    /// Digits behind the decimal point.
    pub decimals: u8,
}

/// Counters of a pipeline since its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counts {
    /// Frames that the source gave.
    pub frames: u64,
    /// Inferences that gave a result.
    pub inferences: u64,
    /// Frames replaced by a newer one before the worker took them.
    pub dropped: u64,
    /// Frames left out because the governor's interval was not over.
    pub skipped: u64,
    /// Frames that were damaged, or whose inference failed.
    pub errors: u64,
    /// Steps of the governor to more work.
    pub steps_up: u64,
    /// Steps of the governor to less work.
    pub steps_down: u64,
    /// Time spent on another rung than the first, in ms.
    pub reduced_ms: u64,
    /// Answers that were the truth that the source knew.
    pub right: u64,
    /// Answers for which the source knew the truth.
    pub known: u64,
    /// Pictures of a known truth for which an earlier reading was held.
    pub held: u64,
}

/// A pipeline's place on its ladder, and what that means.
#[derive(Clone, Debug, PartialEq)]
pub struct Rung {
    /// Position, 0 = full work.
    pub rung: usize,
    /// Number of rungs.
    pub of: usize,
    /// Reason for this place, for people.
    pub reason: String,
    /// Since when.
    pub since: SystemTime,
    /// Least time between two inferences.
    pub interval: Duration,
    /// Size of the captured picture in pixels of the longer side; `None` = as configured.
    pub capture: Option<u32>,
    /// Model input size in pixels of the longer side; `None` = the model's own.
    pub resolution: Option<u32>,
    /// Items in one inference.
    pub batch: usize,
    /// Name of the model, and of its variant where that is not the main one: `name/variant`.
    pub model: String,
    /// Threads for one inference.
    pub threads: usize,
    /// No frame is let through until the board has cooled.
    pub paused: bool,
}

/// A model at work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The pipeline that runs it.
    pub pipeline: PipelineName,
    /// Name of the bundle.
    pub name: String,
    /// Version of the bundle.
    pub version: String,
    /// SHA-256 of the model file, in hex.
    pub sha256: String,
    /// SHA-256 of manifest and files together, as they were loaded.
    pub digest: String,
    /// `classify`, `detect`, `anomaly`, `raw`.
    pub task: String,
    /// `int8` or `f32`.
    pub engine: &'static str,
}

/// The connection to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Publisher {
    /// Connected right now.
    pub connected: bool,
    /// Messages waiting.
    pub queued: u64,
    /// Share of the queue that is filled, 0 to 1.
    pub backlog: f32,
    /// Messages written to the broker's socket.
    pub published: u64,
    /// QoS 1 messages that the broker acknowledged.
    pub acknowledged: u64,
    /// Messages given up.
    pub dropped: u64,
    /// Events that are kept on disk, where they are.
    pub outbox: Option<Outbox>,
    /// Discovery by Home Assistant.
    pub home_assistant: HomeAssistant,
}

/// Events that the broker has not acknowledged, in memory and on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Outbox {
    /// Events in memory only.
    pub events_in_memory: u64,
    /// Events on disk.
    pub events_on_disk: u64,
    /// Size of the files on disk.
    pub bytes_on_disk: u64,
    /// Bytes written to disk since midnight UTC.
    pub written_bytes_today: u64,
    /// Age of an unacknowledged event at which events are written to disk: what a power cut may cost.
    pub commit_interval_s: u64,
    /// Events of earlier runs that were found on disk.
    pub recovered: u64,
    /// Events given up because they were too old, or the disk space was used up.
    pub expired: u64,
    /// Events lost because the memory was full, or the disk failed.
    pub lost: u64,
    /// Reason for which nothing is written to disk, where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<OutboxFault>,
}

/// Reason for which events are not written to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutboxFault {
    /// No space is left.
    Full,
    /// The file system is read-only.
    ReadOnly,
    /// No permission.
    Denied,
    /// Another process uses the directory.
    Locked,
    /// The disk does not answer.
    Slow,
    /// As much was written today as may be in a day.
    BudgetSpent,
    /// The disk failed in another way.
    Failed,
}

/// Discovery by Home Assistant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct HomeAssistant {
    /// It is wanted.
    pub enabled: bool,
    /// The broker has the message.
    pub published: bool,
    /// Home Assistant said that it is there.
    pub seen: bool,
}

/// Work for other nodes, with counts since the start.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Fleet {
    /// Name of the group.
    pub group: String,
    /// Connected to a server right now.
    pub connected: bool,
    /// Version of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Names of the models that compute for others.
    pub models: Vec<String>,
    /// Models that do not compute for others, with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unusable: Vec<String>,
    /// Pictures that were computed and answered.
    pub done: u64,
    /// The same for each node that gave them; of very many nodes the later ones together under `others`.
    #[serde(rename = "for")]
    pub of: BTreeMap<String, u64>,
    /// Pictures that have no result, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Pictures given back without a result, because this node stopped.
    pub returned: u64,
    /// Share of time in which work of others was computed lately, 0 to 1.
    pub busy: f32,
    /// Reason for which nothing is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// Reason for which nothing can be taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Frames given to other nodes; `None` where none are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given: Option<Given>,
}

/// Frames of pipelines given to other nodes, with counts since the start.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Given {
    /// Connected to a server right now.
    pub connected: bool,
    /// Version of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Frames given.
    pub frames: u64,
    /// Frames with a result that came in time.
    pub answered: u64,
    /// The same for each node that computed; of very many nodes the later ones together under `others`.
    pub by: BTreeMap<String, u64>,
    /// Frames for which no answer came in time.
    pub missed: u64,
    /// Answers that came later than that, and were dropped.
    pub late: u64,
    /// Frames that were refused, by reason.
    pub refused: BTreeMap<String, u64>,
    /// Messages that are no answers, or answers to nothing that was given, or repeated.
    pub untrusted: u64,
    /// Reason for which nothing can be given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// A pipeline of the configuration that does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its name.
    pub pipeline: PipelineName,
    /// Reason for which it does not run.
    pub reason: String,
}

/// Figures of a whole run.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Totals {
    /// Most memory that was resident at once.
    pub peak_rss_bytes: u64,
    /// Frame captured → result on the broker's socket, over the latest results.
    pub delivery_ms: Percentiles,
    /// The same without the time in the model.
    pub overhead_ms: Percentiles,
}

/// Percentiles by the unit in the name of the field that holds them; zeros where nothing was measured.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Percentiles {
    /// Half are below.
    pub p50: f64,
    /// 95 % are below.
    pub p95: f64,
    /// 99 % are below.
    pub p99: f64,
}
