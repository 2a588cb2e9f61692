//! The JSON of each topic. Keys are an interface: others build dashboards on them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use super::Stats;
use crate::frame::{Event, Label, LastGood, Outcome, Output, Parent, Quality, SourceCounts, rfc3339};

/// Renders a payload.
pub fn json(value: &impl Serialize) -> Vec<u8> {
    // These types have string keys only and write to memory: serialising cannot fail.
    serde_json::to_vec(value).unwrap_or_default()
}

/// `state` of the node: birth and will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum NodeState {
    /// Connected and working.
    Online,
    /// Stopped, or gone without a word.
    Offline,
}

/// `info`: what runs here. Published once after the start and when a model or the configuration changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Info {
    /// Version of leptond.
    pub version: String,
    /// Name of the board.
    pub board: String,
    /// One entry per pipeline.
    pub models: Vec<ModelInfo>,
    /// SHA-256 of the effective configuration, in hex.
    pub config_digest: String,
    /// JSON schema of the configuration.
    pub config_schema: serde_json::Value,
}

/// One model of [`Info`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelInfo {
    /// The pipeline that runs it.
    pub pipeline: String,
    /// Name of the bundle.
    pub name: String,
    /// Version of the bundle.
    pub version: String,
    /// SHA-256 of the model file, in hex.
    pub sha256: String,
    /// SHA-256 of manifest and files together: what runs, and not what lies on the disk by now.
    pub digest: String,
    /// `classify`, `detect`, `anomaly`, `raw`.
    pub task: String,
    /// `int8` or `f32`.
    pub engine: String,
}

/// `health`: every minute and on change. What a board cannot tell is left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
    /// What the firmware says about clock and supply.
    pub throttled: Throttled,
    /// How the governor decides, and where it stands.
    pub governor: Standing,
    /// The connection that this came over.
    pub mqtt: Mqtt,
    /// Counts of each source, by its name; by the pipeline's where it has the source to itself.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, SourceCounts>,
    /// By pipeline name.
    pub pipelines: BTreeMap<String, PipelineHealth>,
}

/// Throttle flags of [`Health`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
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

/// The part of [`Stats`] that [`Health`] shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
}

impl From<Stats> for Mqtt {
    fn from(stats: Stats) -> Self {
        let Stats { connected, queued, published, acknowledged, dropped, abandoned, .. } = stats;
        Mqtt { connected, queued, published, acknowledged, dropped: dropped + abandoned }
    }
}

/// One pipeline of [`Health`].
#[derive(Clone, Debug, PartialEq, Serialize)]
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
    /// Why nothing comes, when nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<String>,
}

impl PipelineHealth {
    /// Of a pipeline that could not be made, for this reason.
    pub fn not_running(reason: &str) -> PipelineHealth {
        PipelineHealth {
            fps: 0.0,
            latency_ms: Percentiles::default(),
            drops: 0,
            errors: 0,
            rung: 0,
            rung_changes: Steps::default(),
            reduced_s: 0.0,
            idle: Some(format!("not running: {reason}")),
        }
    }
}

/// Percentiles, in the unit that the key which holds them names.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize)]
pub struct Percentiles {
    /// Half are below.
    pub p50: f64,
    /// 95 % are below.
    pub p95: f64,
    /// 99 % are below.
    pub p99: f64,
}

/// Steps on a ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
pub struct Steps {
    /// To more work.
    pub up: u64,
    /// To less work.
    pub down: u64,
}

/// How the governor decides, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// `auto`, `performance`, `quiet`, `manual`.
    pub mode: String,
    /// `calibrating`, `normal`, `reduced`, `critical`, `paused`.
    pub state: String,
}

/// What is expected of the board's temperature, in °C to the tenth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Now, without spikes.
    pub soc_celsius: f32,
    /// In 30 s on the present rungs.
    pub in_30s_celsius: f32,
    /// In the end on the present rungs.
    pub steady_celsius: f32,
    /// What is kept to.
    pub limit_celsius: f32,
}

/// `governor`: at every change of a rung, the mode or the state. The rung of the pipeline that changed stands at the top;
/// `pipelines` holds them all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Governor {
    /// How it decides, and where it stands.
    #[serde(flatten)]
    pub standing: Standing,
    /// The pipeline that changed.
    pub pipeline: String,
    /// Its rung.
    #[serde(flatten)]
    pub changed: Rung,
    /// What is expected of the temperature, once enough is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Forecast>,
    /// Every pipeline's rung, by name.
    pub pipelines: BTreeMap<String, Rung>,
}

/// One pipeline's place on its ladder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rung {
    /// Position, 0 = full work.
    pub rung: usize,
    /// Number of rungs.
    pub of: usize,
    /// Why it is there, for people.
    pub reason: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// Least time between two inferences.
    pub interval_ms: u64,
    /// Size of the captured picture in pixels of the longer side; absent = as configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<u32>,
    /// Model input size in pixels of the longer side; absent = the model's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<u32>,
    /// Items in one inference.
    pub batch: usize,
    /// Name of the model, and of its form where that is not the main one: `name/form`.
    pub model: String,
    /// Threads for one inference.
    pub threads: usize,
    /// Nothing is looked at, until the board has cooled.
    pub paused: bool,
}

/// `<pipeline>/result`: one inference. The fields of the outcome stand beside these.
#[derive(Clone, Debug, Serialize)]
pub struct InferenceResult<'a> {
    /// The frame's number.
    pub seq: u64,
    /// When the frame was captured, RFC 3339 UTC.
    pub time: String,
    /// Age of the frame when this was handed to the publisher.
    pub frame_age_ms: f64,
    /// Time in the model alone.
    pub infer_ms: f64,
    /// The governor's rung, 0 = full work.
    pub rung: usize,
    /// The outcome, with `task` as its tag.
    #[serde(flatten)]
    pub outcome: &'a Outcome,
    /// The right answer, where the source knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truth: Option<&'a str>,
    /// File, device or topic that the frame came from.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub origin: &'a str,
    /// The detection that the picture was cut around, for a pipeline that reads crops of another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<&'a Parent>,
}

impl InferenceResult<'_> {
    /// The result of `output`, handed over at `now`.
    pub fn of(output: &Output, now: Instant) -> InferenceResult<'_> {
        let Output { stamp, outcome, timing, .. } = output;
        InferenceResult {
            seq: stamp.seq,
            time: rfc3339(stamp.time),
            frame_age_ms: ms(now.saturating_duration_since(stamp.captured)),
            infer_ms: ms(timing.infer),
            rung: timing.rung,
            outcome,
            truth: stamp.truth.as_deref(),
            origin: &stamp.origin,
            parent: stamp.parent.as_ref(),
        }
    }
}

/// `<pipeline>/state`: the latest summary.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PipelineState {
    /// The frame's number.
    pub seq: u64,
    /// When the frame was captured, RFC 3339 UTC.
    pub time: String,
    /// What it says.
    #[serde(flatten)]
    pub summary: Summary,
}

/// What is worth keeping of an outcome.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "task", rename_all = "lowercase")]
pub enum Summary {
    /// The top label.
    Classify {
        /// The label.
        label: String,
        /// Its score.
        score: f32,
    },
    /// The last good reading of several regions, also while there is no other: `quality` says how the latest picture stands to it. Its
    /// task is `classify`.
    #[serde(rename = "classify")]
    Reading {
        /// The reading with leading zeros; null before the first good one.
        label: Option<String>,
        /// The same as a number; null where it is none, or has more digits than every JSON reader keeps.
        value: Option<u64>,
        /// The score with which it was read.
        score: Option<f32>,
        /// How much the latest picture's own reading is worth.
        quality: Quality,
        /// Whether the latest picture's own reading is another one, or none.
        held: bool,
        /// When the last good reading was read, and its age; absent before the first.
        #[serde(flatten)]
        last_good: Option<LastGood>,
    },
    /// How many of each label can be relied on, over several frames.
    Detect {
        /// Objects by label; a label that is not there is left out.
        counts: BTreeMap<Label, usize>,
    },
    /// How far from normal.
    Anomaly {
        /// Reconstruction error.
        score: f32,
        /// Whether an anomaly is going on.
        anomalous: bool,
        /// Whether the threshold is still being learnt.
        calibrating: bool,
    },
    /// Nothing that could be summed up.
    Raw {
        /// Number of outputs.
        outputs: usize,
    },
}

impl Summary {
    /// The summary of an outcome.
    pub fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Classify { label, score, .. } => Summary::Classify { label: label.clone(), score: *score },
            Outcome::Reading(reading) => Summary::Reading {
                label: reading.label.clone(),
                value: reading.value,
                score: reading.last_good.as_ref().map(|last| last.score),
                quality: reading.quality,
                held: reading.held,
                last_good: reading.last_good.clone(),
            },
            Outcome::Detect { counts, .. } => Summary::Detect { counts: counts.clone() },
            Outcome::Anomaly { score, anomalous, calibrating, .. } => {
                Summary::Anomaly { score: *score, anomalous: *anomalous, calibrating: *calibrating }
            }
            Outcome::Raw { outputs } => Summary::Raw { outputs: outputs.len() },
        }
    }

    /// Whether it says something else than `before`: another label, other counts, another phase. Scores and ages move all the time
    /// and do not count, nor does the quality of a reading: [`Summary::quality`].
    pub fn differs(&self, before: &Summary) -> bool {
        match (self, before) {
            (Summary::Classify { label: a, .. }, Summary::Classify { label: b, .. }) => a != b,
            (Summary::Reading { label: a, .. }, Summary::Reading { label: b, .. }) => a != b,
            (
                Summary::Anomaly { anomalous: a, calibrating: c, .. },
                Summary::Anomaly { anomalous: b, calibrating: d, .. },
            ) => (a, c) != (b, d),
            (a, b) => a != b,
        }
    }
}

impl Summary {
    /// The quality of a reading.
    pub fn quality(&self) -> Option<Quality> {
        match self {
            Summary::Reading { quality, .. } => Some(*quality),
            _ => None,
        }
    }
}

/// `<pipeline>/event`.
pub fn event(event: &Event) -> Vec<u8> {
    json(event)
}

/// A wall-clock time as it is published.
pub fn time(time: SystemTime) -> String {
    rfc3339(time)
}

/// A span in ms, to the microsecond.
pub fn ms(span: Duration) -> f64 {
    span.as_micros() as f64 / 1000.0
}

#[cfg(test)]
mod tests;
