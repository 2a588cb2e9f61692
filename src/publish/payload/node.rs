//! The node's own topics: `state`, `info`, `health`, `governor`, each a format of a [`NodeStatus`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::frame::status::{self, NodeStatus};
use crate::frame::{PipelineName, SourceName, rfc3339};

pub use crate::frame::status::{Motion, Percentiles};

/// `state` of the node: birth and will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum NodeState {
    /// Connected and working.
    Online,
    /// Stopped, or gone without a word.
    Offline,
}

/// `info`: version, board and models. Published once after the start and when a model or the configuration changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Info<'a> {
    /// Version of leptond.
    pub version: &'a str,
    /// Name of the board.
    pub board: &'a str,
    /// One entry per pipeline.
    pub models: Vec<ModelInfo<'a>>,
    /// SHA-256 of the effective configuration, in hex.
    pub config_digest: &'a str,
}

/// One model of [`Info`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelInfo<'a> {
    /// The pipeline that runs it.
    pub pipeline: &'a str,
    /// Name of the bundle.
    pub name: &'a str,
    /// Version of the bundle.
    pub version: &'a str,
    /// SHA-256 of the model file, in hex.
    pub sha256: &'a str,
    /// SHA-256 of manifest and files together, as they were loaded.
    pub digest: &'a str,
    /// `classify`, `detect`, `anomaly`, `raw`.
    pub task: &'a str,
    /// `int8` or `f32`.
    pub engine: &'a str,
}

impl<'a> Info<'a> {
    /// Of `status`.
    pub fn of(status: &'a NodeStatus) -> Self {
        let model = |model: &'a status::Model| ModelInfo {
            pipeline: &model.pipeline,
            name: &model.name,
            version: &model.version,
            sha256: &model.sha256,
            digest: &model.digest,
            task: &model.task,
            engine: model.engine,
        };
        Info {
            version: status.node.version,
            board: &status.node.board,
            models: status.models.iter().map(model).collect(),
            config_digest: &status.node.config_digest,
        }
    }
}

/// `health`: every minute and on change. What a board cannot tell is left out.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// Time since the start in s.
    pub uptime_s: u64,
    /// Resident memory of the daemon.
    pub rss_bytes: u64,
    /// CPU use of the whole machine, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<f32>,
    /// SoC temperature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soc_celsius: Option<f32>,
    /// The firmware's word on clock and supply.
    pub throttled: Throttled,
    /// Mode and state of the governor.
    pub governor: Standing,
    /// The connection that this came over.
    pub mqtt: Mqtt,
    /// By source name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, SourceHealth>,
    /// By pipeline name.
    pub pipelines: BTreeMap<String, PipelineHealth>,
    /// Work for other nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fleet: Option<status::Fleet>,
}

impl Health {
    /// Of `status`, with the inferences per second of each pipeline since the last one.
    pub fn of(status: &NodeStatus, fps: &BTreeMap<PipelineName, f32>) -> Health {
        let running = status.pipelines.iter().map(|pipeline| {
            let fps = fps.get(&pipeline.name).copied().unwrap_or_default();
            (pipeline.name.to_string(), PipelineHealth::of(pipeline, fps))
        });
        let faults = status.faults.iter().map(|fault| (fault.pipeline.to_string(), PipelineHealth::not_running(fault)));
        let source = |(name, source): (&SourceName, &status::Source)| {
            let status::Source { frames, decoded, readers } = *source;
            (name.to_string(), SourceHealth { frames, decoded, readers })
        };
        Health {
            uptime_s: status.node.uptime.as_secs(),
            rss_bytes: status.board.rss_bytes,
            cpu_percent: status.board.cpu_percent,
            soc_celsius: status.board.soc_celsius,
            throttled: Throttled::of(&status.board),
            governor: Standing::of(&status.governor),
            mqtt: Mqtt::of(&status.publisher),
            sources: status.sources.iter().map(source).collect(),
            pipelines: running.chain(faults).collect(),
            fleet: status.fleet.clone(),
        }
    }
}

/// Throttle flags of [`Health`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Throttled {
    /// The clock is being lowered right now because of heat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<bool>,
    /// A soft temperature limit lowers the clock a little.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soft_limited: Option<bool>,
    /// The supply is too low right now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub under_voltage: Option<bool>,
}

impl Throttled {
    /// Of a reading of the board.
    pub fn of(board: &status::Board) -> Throttled {
        Throttled { now: board.throttled, soft_limited: board.soft_limited, under_voltage: board.under_voltage }
    }
}

/// The connection to the broker in [`Health`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Mqtt {
    /// Connected right now.
    pub connected: bool,
    /// Messages waiting.
    pub queued: u64,
    /// Messages written to the broker's socket.
    pub published: u64,
    /// QoS 1 messages that the broker acknowledged.
    pub acknowledged: u64,
    /// Messages given up.
    pub dropped: u64,
    /// Events in memory and on disk, where they are kept on disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbox: Option<status::Outbox>,
}

impl Mqtt {
    /// Of the state of the connection.
    pub fn of(publisher: &status::Publisher) -> Mqtt {
        let status::Publisher { connected, queued, published, acknowledged, dropped, outbox, .. } = *publisher;
        Mqtt { connected, queued, published, acknowledged, dropped, outbox }
    }
}

/// One source of [`Health`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceHealth {
    /// Frames that it gave.
    pub frames: u64,
    /// Frames that were decoded, each once for all readers.
    pub decoded: u64,
    /// Pipelines and others that read it.
    pub readers: usize,
}

/// One pipeline of [`Health`].
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PipelineHealth {
    /// Inferences per second.
    pub fps: f32,
    /// From capture to result, percentiles in ms.
    pub latency_ms: Percentiles,
    /// Frames that were never looked at because a newer one came.
    pub drops: u64,
    /// Frames that could not be read.
    pub errors: u64,
    /// Place on the ladder, 0 = full work.
    pub rung: usize,
    /// Steps on the ladder since the start.
    pub rung_changes: Steps,
    /// Time since the start that was not spent on the first rung.
    pub reduced_s: f64,
    /// Reason for which no results come, where none do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<String>,
    /// Paused by request.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// Its motion gate, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub motion: Option<Motion>,
}

impl PipelineHealth {
    fn of(pipeline: &status::Pipeline, fps: f32) -> PipelineHealth {
        let counts = &pipeline.counts;
        PipelineHealth {
            fps,
            latency_ms: pipeline.latency_ms,
            drops: counts.dropped,
            errors: counts.errors,
            rung: pipeline.rung.rung,
            rung_changes: Steps { up: counts.steps_up, down: counts.steps_down },
            reduced_s: counts.reduced_ms as f64 / 1e3,
            idle: pipeline.idle.clone(),
            paused: pipeline.paused,
            motion: pipeline.motion,
        }
    }

    fn not_running(fault: &status::Fault) -> PipelineHealth {
        PipelineHealth { idle: Some(format!("not running: {}", fault.reason)), ..PipelineHealth::default() }
    }
}

/// Steps on a ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Steps {
    /// To more work.
    pub up: u64,
    /// To less work.
    pub down: u64,
}

/// Mode and state of the governor.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// `auto`, `performance`, `quiet`, `manual`.
    pub mode: String,
    /// `calibrating`, `normal`, `reduced`, `critical`, `paused`.
    pub state: String,
}

impl Standing {
    /// Of the governor's state.
    pub fn of(governor: &status::Governor) -> Standing {
        Standing { mode: governor.mode.clone(), state: governor.state.clone() }
    }
}

/// The expected temperature of the board, in °C to the tenth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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

impl From<status::Forecast> for Forecast {
    fn from(forecast: status::Forecast) -> Forecast {
        let tenth = |celsius: f32| (celsius * 10.0).round() / 10.0;
        Forecast {
            soc_celsius: tenth(forecast.soc_celsius),
            in_30s_celsius: tenth(forecast.in_30s_celsius),
            steady_celsius: tenth(forecast.steady_celsius),
            limit_celsius: tenth(forecast.limit_celsius),
        }
    }
}

/// `governor`: at every change of a rung, the mode or the state. The rung of the pipeline that changed stands at the top;
/// `pipelines` holds them all.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Governor {
    /// Its mode and state.
    #[serde(flatten)]
    pub standing: Standing,
    /// The pipeline that changed.
    #[serde(default)]
    pub pipeline: String,
    /// Its rung.
    #[serde(flatten)]
    pub changed: Rung,
    /// The expected temperature, once enough is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
    /// Every pipeline's rung, by name.
    #[serde(default)]
    pub pipelines: BTreeMap<String, Rung>,
}

impl Governor {
    /// Of `status`, with the rung of `changed` (else of the first pipeline) at the top; `None` without pipelines.
    pub fn of(status: &NodeStatus, changed: Option<&PipelineName>) -> Option<Governor> {
        let is_changed = |pipeline: &&status::Pipeline| changed == Some(&pipeline.name);
        let top = status.pipelines.iter().find(is_changed).or(status.pipelines.first())?;
        Some(Governor {
            standing: Standing::of(&status.governor),
            pipeline: top.name.to_string(),
            changed: Rung::of(&top.rung),
            forecast: status.governor.forecast.map(Forecast::from),
            pipelines: status.pipelines.iter().map(|p| (p.name.to_string(), Rung::of(&p.rung))).collect(),
        })
    }
}

/// One pipeline's place on its ladder.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Rung {
    /// Position, 0 = full work.
    pub rung: usize,
    /// Number of rungs.
    pub of: usize,
    /// Reason for this place, for people.
    pub reason: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// Least time between two inferences.
    pub interval_ms: u64,
    /// Size of the captured picture in pixels of the longer side; absent = as configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capture: Option<u32>,
    /// Model input size in pixels of the longer side; absent = the model's own.
    #[serde(skip_serializing_if = "Option::is_none")]
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

impl Rung {
    fn of(rung: &status::Rung) -> Rung {
        Rung {
            rung: rung.rung,
            of: rung.of,
            reason: rung.reason.clone(),
            since: rfc3339(rung.since),
            interval_ms: rung.interval.as_millis() as u64,
            capture: rung.capture,
            resolution: rung.resolution,
            batch: rung.batch,
            model: rung.model.clone(),
            threads: rung.threads,
            paused: rung.paused,
        }
    }
}
