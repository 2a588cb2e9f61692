//! What the daemon says about itself: `info`, `governor` and `health` while it runs, a [`Report`] at the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use super::running::Running;
use super::set::PipelineSet;
use crate::board;
use crate::config::Config;
use crate::frame::{SourceCounts, rfc3339};
use crate::pipeline::Planner;
use crate::publish::latency::Overhead;
use crate::publish::payload::{self, Health, Info, ModelInfo, PipelineHealth, Standing, Throttled};
use crate::publish::topics::Topics;
use crate::publish::{Class, Message, Publisher, Stats};
use crate::telemetry::Rate;
use leptond_governor::{Change, Forecast, Mode, Reading, State};

/// Publishes what the daemon says about itself.
pub(super) struct Reporter {
    topics: Topics,
    publisher: Arc<dyn Publisher>,
    board: board::Info,
    started: Instant,
    wall_started: SystemTime,
    every: Duration,
    due: Instant,
    flags: Option<Flags>,
    rates: BTreeMap<String, Rate>,
    /// What was last said of the governor.
    said: Option<(Mode, State)>,
    /// When the time on lower rungs was last counted.
    counted: Instant,
}

/// A change of any of these is told at once.
#[derive(Clone, Debug, PartialEq)]
struct Flags {
    throttled: Throttled,
    governor: Standing,
    idle: Vec<Option<String>>,
}

impl Reporter {
    pub(super) fn new(
        config: &Config,
        topics: Topics,
        publisher: Arc<dyn Publisher>,
        board: board::Info,
        started: Instant,
    ) -> Self {
        Reporter {
            topics,
            publisher,
            board,
            started,
            // Everything was made ready since.
            wall_started: SystemTime::now() - started.elapsed(),
            every: Duration::from_secs(config.node.health_interval_s.into()),
            due: started,
            flags: None,
            rates: BTreeMap::new(),
            said: None,
            counted: started,
        }
    }

    /// A reload may have changed how often `health` is told.
    pub(super) fn reconfigure(&mut self, config: &Config) {
        self.every = Duration::from_secs(config.node.health_interval_s.into());
    }

    /// `info`: version, board, models, configuration.
    pub(super) fn info(&self, config_digest: &str, set: &PipelineSet) {
        let model = |r: &Running| {
            let manifest = r.planner.bundle.manifest();
            ModelInfo {
                pipeline: r.config.name.clone(),
                name: manifest.name.clone(),
                version: manifest.version.clone(),
                sha256: r.planner.sha256.clone(),
                digest: r.planner.bundle.digest().to_owned(),
                task: kebab(&r.planner.kind()),
                engine: r.engine.into(),
            }
        };
        let info = Info {
            version: env!("CARGO_PKG_VERSION").into(),
            board: if self.board.model.is_empty() { self.board.cpu.clone() } else { self.board.model.clone() },
            models: set.iter().map(model).collect(),
            config_digest: config_digest.into(),
            config_schema: crate::config::schema().clone(),
        };
        self.state(self.topics.info(), payload::json(&info));
    }

    /// One turn of the governor: every change is counted, logged and published, and so is another mode or state.
    pub(super) fn governed(&mut self, set: &PipelineSet, changes: &[(usize, Change)], now: Instant) {
        let passed = now.saturating_duration_since(self.counted);
        self.counted = now;
        let passed_ms = passed.as_millis() as u64;
        for running in set.iter() {
            let assignment = running.shared.assignment();
            let setpoint = &assignment.setpoint;
            if setpoint.rung > 0 || setpoint.paused {
                running.shared.counters.reduced_ms.fetch_add(passed_ms, Relaxed);
            }
        }
        for (before, change) in changes {
            self.changed(set, *before, change);
        }
        let standing = (mode(set), set.governor().state());
        if changes.is_empty() && self.said == Some(standing) {
            return;
        }
        if self.said.is_some_and(|said| said != standing) {
            let (mode, state) = (kebab(&standing.0), kebab(&standing.1));
            let reason = changes.last().map(|(_, change)| change.reason.as_str());
            tracing::info!(mode, state, reason, "governor");
        }
        self.governor(set, changes.last().map_or(0, |(_, change)| change.pipeline));
    }

    fn changed(&self, set: &PipelineSet, before: usize, change: &Change) {
        let setpoint = &change.setpoint;
        if let Some(running) = set.iter().nth(change.pipeline) {
            let counters = &running.shared.counters;
            let steps = if setpoint.rung < before { &counters.steps_up } else { &counters.steps_down };
            steps.fetch_add(1, Relaxed);
        }
        tracing::info!(
            pipeline = set.name(change.pipeline),
            rung = setpoint.rung,
            of = setpoint.of,
            interval_ms = setpoint.interval.as_millis() as u64,
            paused = setpoint.paused,
            reason = change.reason,
            "governor"
        );
    }

    /// `governor`: every pipeline's rung; `changed` stands at the top.
    pub(super) fn governor(&mut self, set: &PipelineSet, changed: usize) {
        self.said = Some((mode(set), set.governor().state()));
        if let Some(payload) = self.governor_payload(set, changed) {
            self.state(self.topics.governor(), payload::json(&payload));
        }
    }

    /// What the governor holds each pipeline to; `None` without pipelines.
    pub(super) fn governor_payload(&self, set: &PipelineSet, changed: usize) -> Option<payload::Governor> {
        let rung = |index: usize, running: &Running| {
            let status = set.governor().status(index)?;
            let setpoint = status.setpoint;
            let rung = payload::Rung {
                rung: setpoint.rung,
                of: setpoint.of,
                reason: status.reason,
                since: rfc3339(self.wall_started + status.since),
                interval_ms: setpoint.interval.as_millis() as u64,
                capture: setpoint.capture,
                resolution: setpoint.resolution,
                batch: setpoint.batch,
                model: model_name(&running.planner, setpoint.variant),
                threads: setpoint.threads,
                paused: setpoint.paused,
            };
            Some((running.config.name.clone(), rung))
        };
        let pipelines: BTreeMap<_, _> = set.iter().enumerate().filter_map(|(i, r)| rung(i, r)).collect();
        Some(payload::Governor {
            standing: standing(set),
            pipeline: set.name(changed).into(),
            changed: pipelines.get(set.name(changed))?.clone(),
            forecast: set.governor().forecast().map(forecast),
            pipelines,
        })
    }

    /// `health`, when it is due or when a throttle flag, the governor's state or the reason of an idle pipeline
    /// changed.
    pub(super) fn health(
        &mut self,
        set: &PipelineSet,
        reading: &Reading,
        rss_bytes: impl FnOnce() -> u64,
        mqtt: Stats,
        now: Instant,
    ) {
        let throttled = Throttled {
            now: reading.throttled,
            soft_limited: reading.soft_limited,
            under_voltage: reading.under_voltage,
        };
        let governor = standing(set);
        let waiting = set.waiting.iter().map(|(_, reason)| Some(reason.to_owned()));
        let idle = set.iter().map(|r| r.shared.idle(now)).chain(waiting).collect();
        let flags = Flags { throttled, governor: governor.clone(), idle };
        if now < self.due && self.flags.as_ref() == Some(&flags) {
            return;
        }
        self.flags = Some(flags);
        self.due = now + self.every;
        let mut pipelines = BTreeMap::new();
        for running in set.iter() {
            let counters = &running.shared.counters;
            let counts = counters.counts();
            let rate = self.rates.entry(running.config.name.clone()).or_insert_with(|| Rate::new(0, self.started));
            let latency = counters.latency.percentiles();
            let health = PipelineHealth {
                fps: rate.per_second(counts.inferences, now).unwrap_or(0.0) as f32,
                latency_ms: payload::Percentiles {
                    p50: latency.p50_ms.unwrap_or(0.0),
                    p95: latency.p95_ms.unwrap_or(0.0),
                    p99: latency.p99_ms.unwrap_or(0.0),
                },
                drops: counts.dropped,
                errors: counts.errors,
                rung: running.shared.assignment().setpoint.rung,
                rung_changes: payload::Steps { up: counts.steps_up, down: counts.steps_down },
                reduced_s: counts.reduced_ms as f64 / 1e3,
                idle: running.shared.idle(now),
            };
            pipelines.insert(running.config.name.clone(), health);
        }
        for (name, reason) in set.waiting.iter() {
            pipelines.insert(name.to_owned(), PipelineHealth::not_running(reason));
        }
        let health = Health {
            uptime_s: now.saturating_duration_since(self.started).as_secs(),
            rss_bytes: rss_bytes(),
            cpu_percent: reading.cpu_percent,
            soc_celsius: reading.soc_celsius,
            throttled,
            governor,
            mqtt: mqtt.into(),
            sources: set.sources(),
            pipelines,
        };
        self.state(self.topics.health(), payload::json(&health));
    }

    fn state(&self, topic: String, payload: Vec<u8>) {
        self.publisher.publish(Message { topic, payload, class: Class::State, timing: None });
    }
}

fn mode(set: &PipelineSet) -> Mode {
    set.governor().status(0).map_or(Mode::Auto, |status| status.mode)
}

fn standing(set: &PipelineSet) -> Standing {
    Standing { mode: kebab(&mode(set)), state: kebab(&set.governor().state()) }
}

/// The model's name, with that of its variant where it is not the main variant.
fn model_name(planner: &Planner, variant: usize) -> String {
    let name = &planner.bundle.manifest().name;
    if variant == 0 { name.clone() } else { format!("{name}/{}", planner.variant_name(variant)) }
}

fn forecast(f: Forecast) -> payload::Forecast {
    let tenth = |v: f32| (v * 10.0).round() / 10.0;
    payload::Forecast {
        soc_celsius: tenth(f.soc_celsius),
        in_30s_celsius: tenth(f.in_30s_celsius),
        steady_celsius: tenth(f.steady_celsius),
        limit_celsius: tenth(f.limit_celsius),
    }
}

/// An enum's name as it stands in a configuration.
fn kebab(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_string)).unwrap_or_default()
}

/// What a run came to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Frames that the sources gave.
    pub frames: u64,
    /// Inferences that gave a result.
    pub inferences: u64,
    /// Frames that were overwritten before a worker took them.
    pub dropped: u64,
    /// Frames left out because the governor's interval was not over.
    pub skipped: u64,
    /// Frames that were damaged, or whose inference failed.
    pub errors: u64,
    /// Half of the (latest) results were on the broker's socket no later than this after their frame was captured.
    pub p50_ms: f64,
    /// 95 % of them.
    pub p95_ms: f64,
    /// 99 % of them.
    pub p99_ms: f64,
    /// The same without the time in the model: what leptond itself costs, half of the time.
    pub overhead_p50_ms: f64,
    /// 95 % of them.
    pub overhead_p95_ms: f64,
    /// Messages written to the broker's socket.
    pub published: u64,
    /// QoS 1 messages that the broker acknowledged.
    pub acknowledged: u64,
    /// Share of answers that were the truth, where a source knew it; a reading that was held is no answer.
    pub accuracy: Option<f64>,
    /// Share of pictures that were given no reading of their own (a drum between two digits, for instance), where a source knew it.
    pub held: Option<f64>,
    /// Most memory that was resident at once.
    pub peak_rss_bytes: u64,
    /// How long it ran.
    pub seconds: f64,
    /// Counts of each source, by its name; by the pipeline's where it has the source to itself.
    pub sources: BTreeMap<String, SourceCounts>,
    /// The same figures by pipeline.
    pub pipelines: BTreeMap<String, PipelineReport>,
}

/// What one pipeline came to.
#[derive(Clone, Debug, Serialize)]
pub struct PipelineReport {
    /// Frames that the source gave.
    pub frames: u64,
    /// Inferences that gave a result.
    pub inferences: u64,
    /// Frames that were overwritten before the worker took them.
    pub dropped: u64,
    /// Frames left out because the governor's interval was not over.
    pub skipped: u64,
    /// Frames that were damaged, or whose inference failed.
    pub errors: u64,
    /// Frame captured → result in the publisher's hands, 95 %.
    pub p95_ms: f64,
    /// In the model, half of the time.
    pub infer_p50_ms: f64,
    /// Share of answers that were the truth, where the source knew it; a reading that was held is no answer.
    pub accuracy: Option<f64>,
    /// Share of pictures that were given no reading of their own, where the source knew it.
    pub held: Option<f64>,
}

impl Report {
    /// The report of a run whose pipelines have stopped.
    pub(super) fn new(set: &PipelineSet, mqtt: Stats, overhead: Overhead, peak_rss_bytes: u64, ran: Duration) -> Self {
        let mut report = Report {
            frames: 0,
            inferences: 0,
            dropped: 0,
            skipped: 0,
            errors: 0,
            p50_ms: overhead.total_ms.p50,
            p95_ms: overhead.total_ms.p95,
            p99_ms: overhead.total_ms.p99,
            overhead_p50_ms: overhead.overhead_ms.p50,
            overhead_p95_ms: overhead.overhead_ms.p95,
            published: mqtt.published,
            acknowledged: mqtt.acknowledged,
            accuracy: None,
            held: None,
            peak_rss_bytes,
            seconds: ran.as_secs_f64(),
            sources: set.sources(),
            pipelines: BTreeMap::new(),
        };
        let (mut right, mut known, mut held) = (0, 0, 0);
        for running in set.iter() {
            let counters = &running.shared.counters;
            let counts = counters.counts();
            let latency = counters.latency.percentiles();
            let truth = &running.shared.truth;
            let [r, k, h] = [&truth.right, &truth.known, &truth.held].map(|count| count.load(Relaxed));
            let one = PipelineReport {
                frames: counts.frames,
                inferences: counts.inferences,
                dropped: counts.dropped,
                skipped: counts.skipped,
                errors: counts.errors,
                p95_ms: latency.p95_ms.unwrap_or(0.0),
                infer_p50_ms: counters.infer.percentiles().p50_ms.unwrap_or(0.0),
                accuracy: share(r, k),
                held: share(h, k + h),
            };
            (right, known, held) = (right + r, known + k, held + h);
            report.inferences += one.inferences;
            report.dropped += one.dropped;
            report.skipped += one.skipped;
            report.errors += one.errors;
            report.pipelines.insert(running.config.name.clone(), one);
        }
        report.frames = report.sources.values().map(|source| source.frames).sum();
        report.accuracy = share(right, known);
        report.held = share(held, known + held);
        report
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
