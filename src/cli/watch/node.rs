//! A node and its pipelines as their last messages say.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::history::History;
use super::messages::{Answer, Channel};
use super::text::clean;
use crate::frame::PipelineName;
use crate::publish::payload::{Forecast, Rung, Throttled};

/// Channels of an anomaly that are named.
const MOST_CHANNELS: usize = 3;
/// Pipelines of one node that are kept; further ones are counted.
pub const MOST_PIPELINES: usize = 64;
/// Labels of one answer that are kept.
const MOST_LABELS: usize = 16;
/// Characters of a label, a state, a name of a model.
pub const LABEL: usize = 48;
/// Characters of a reason.
pub const REASON: usize = 200;

/// A node.
#[derive(Debug)]
pub struct Node {
    /// The word of `state`; `None` before the first.
    pub online: Option<bool>,
    /// Version of leptond.
    pub version: String,
    /// Name of its board.
    pub board: String,
    /// `auto`, `performance`, `quiet`, `manual`.
    pub mode: String,
    /// `calibrating`, `normal`, `reduced`, `critical`, `paused`.
    pub standing: String,
    /// The expected temperature.
    pub forecast: Option<Forecast>,
    /// The figures of `health`.
    pub vitals: Option<Vitals>,
    /// Course of the temperature.
    pub temperature: History,
    /// By name.
    pub pipelines: BTreeMap<PipelineName, Pipeline>,
    /// Its last message.
    pub heard: Instant,
}

impl Node {
    /// A node that was heard of at `now`.
    pub fn new(now: Instant) -> Node {
        Node {
            online: None,
            version: String::new(),
            board: String::new(),
            mode: String::new(),
            standing: String::new(),
            forecast: None,
            vitals: None,
            temperature: History::new(Duration::from_secs(5)),
            pipelines: BTreeMap::new(),
            heard: now,
        }
    }

    /// The pipeline of this name, made where there is room for it.
    pub fn pipeline(&mut self, name: &PipelineName) -> Option<&mut Pipeline> {
        if !self.pipelines.contains_key(name) && self.pipelines.len() >= MOST_PIPELINES {
            return None;
        }
        Some(self.pipelines.entry(name.clone()).or_default())
    }
}

/// Figures of `health`.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Vitals {
    /// Start of leptond.
    pub started: Option<Instant>,
    /// Resident memory.
    pub rss_bytes: u64,
    /// Of the whole machine.
    pub cpu_percent: Option<f32>,
    /// Of the SoC.
    pub soc_celsius: Option<f32>,
    /// Clock and supply.
    pub throttled: Throttled,
    /// Messages that wait for the broker.
    pub queued: u64,
    /// Messages given up.
    pub dropped: u64,
}

/// A pipeline.
#[derive(Debug)]
pub struct Pipeline {
    /// Its last find.
    pub glance: Glance,
    /// Objects of the last frame, with their scores.
    pub found: Vec<(String, Option<f64>)>,
    /// The right answer to the last frame, where its source knows it.
    pub truth: Option<String>,
    /// Time of its last result.
    pub result_at: Option<Instant>,
    /// Its place on its ladder.
    pub rung: Option<Rung>,
    /// `OFF` at `detect/state`: it rests by request.
    pub rests: bool,
    /// Inferences per second.
    pub fps: f32,
    /// 95 % of its results come no later than this after their frame, in ms.
    pub p95_ms: Option<f64>,
    /// Frames that were never looked at.
    pub drops: u64,
    /// Frames that could not be read.
    pub errors: u64,
    /// Reason for which no results come.
    pub idle: Option<String>,
    /// Course of the age of results.
    pub latency: History,
}

impl Default for Pipeline {
    fn default() -> Pipeline {
        Pipeline {
            glance: Glance::Nothing,
            found: Vec::new(),
            truth: None,
            result_at: None,
            rung: None,
            rests: false,
            fps: 0.0,
            p95_ms: None,
            drops: 0,
            errors: 0,
            idle: None,
            latency: History::new(Duration::from_secs(1)),
        }
    }
}

impl Pipeline {
    /// No frame is worked on, by request or because the board is too hot.
    pub fn is_paused(&self) -> bool {
        self.rests || self.rung.as_ref().is_some_and(|rung| rung.paused)
    }

    /// Takes the result of a frame.
    pub fn result(&mut self, answer: &Answer, now: Instant) {
        self.result_at = Some(now);
        self.truth = answer.truth.as_deref().map(|truth| clean(truth, LABEL));
        if let Some(age_ms) = answer.frame_age_ms {
            self.latency.push(age_ms, now);
        }
        if matches!(answer.task.as_str(), "detect" | "pose" | "segment" | "obb") {
            let found = answer.detections.iter().take(MOST_LABELS);
            self.found = found.map(|found| (clean(&found.label, LABEL), found.score)).collect();
            // The counts that last are those of the summary.
            if !matches!(self.glance, Glance::Counts(_)) {
                self.glance = Glance::Counts(Vec::new());
            }
        } else {
            self.glance = Glance::of(answer);
        }
    }
}

/// The channels of an anomaly in words, most first: `cpu_percent 71 %, load_1m 20 %`; empty where none is told.
pub fn named(channels: &[Channel]) -> String {
    let one = |channel: &Channel| format!("{} {:.0} %", clean(&channel.channel, LABEL), channel.share * 100.0);
    channels.iter().take(MOST_CHANNELS).map(one).collect::<Vec<_>>().join(", ")
}

/// The last find of a pipeline, at a glance.
#[derive(Clone, Debug, PartialEq)]
pub enum Glance {
    /// Nothing came yet.
    Nothing,
    /// A meter's reading.
    Reading {
        /// The last good one.
        label: Option<String>,
        /// Worth of the latest picture's.
        quality: String,
        /// It is an earlier one.
        held: bool,
        /// Its score.
        score: Option<f64>,
        /// Its unit; empty without one.
        unit: String,
        /// Reason for which it is held, or none; empty where the quality says it.
        problem: String,
    },
    /// A class.
    Class {
        /// The label; empty where none reached the least score.
        label: String,
        /// Its score.
        score: Option<f64>,
    },
    /// Objects by label.
    Counts(Vec<(String, u64)>),
    /// A distance from normal.
    Anomaly {
        /// The error.
        score: Option<f64>,
        /// The score above which an anomaly starts.
        threshold: Option<f64>,
        /// It goes on.
        anomalous: bool,
        /// The threshold is being learnt.
        calibrating: bool,
        /// The channels that the score is of, in words.
        channels: String,
    },
    /// Channels that are not as they should be.
    Channels {
        /// In words, the farthest first.
        found: Vec<String>,
        /// Distance of the farthest one, in robust spreads.
        score: Option<f64>,
        /// It is being learnt what is usual.
        calibrating: bool,
    },
    /// A task whose answers say nothing at a glance.
    Other(String),
}

impl Glance {
    /// Of a result or a summary.
    pub fn of(answer: &Answer) -> Glance {
        let label = || answer.label.as_deref().map(|label| clean(label, LABEL));
        match (answer.task.as_str(), &answer.quality) {
            ("classify" | "meter", Some(quality)) => Glance::Reading {
                label: label(),
                quality: clean(quality, LABEL),
                held: answer.held,
                score: answer.score,
                unit: answer.unit.as_deref().map(|unit| clean(unit, LABEL)).unwrap_or_default(),
                problem: answer.problem.as_deref().map(|problem| clean(problem, LABEL)).unwrap_or_default(),
            },
            ("text", _) => Glance::Class {
                label: answer.text.as_deref().map(|text| clean(text, LABEL)).unwrap_or_default(),
                score: answer.score,
            },
            ("classify", None) => Glance::Class { label: label().unwrap_or_default(), score: answer.score },
            ("detect" | "pose" | "segment" | "obb", _) => {
                let counts = answer.counts.iter().take(MOST_LABELS);
                Glance::Counts(counts.map(|(label, count)| (clean(label, LABEL), *count)).collect())
            }
            ("anomaly", _) => Glance::Anomaly {
                score: answer.score,
                threshold: answer.threshold,
                anomalous: answer.anomalous,
                calibrating: answer.calibrating,
                channels: named(&answer.channels),
            },
            ("baseline" | "threshold", _) => Glance::Channels {
                found: (answer.channels.iter().filter_map(Channel::fault))
                    .take(MOST_LABELS)
                    .map(|found| clean(&found, LABEL))
                    .collect(),
                score: answer.score,
                calibrating: answer.calibrating,
            },
            (task, _) => Glance::Other(clean(task, LABEL)),
        }
    }
}
