//! The one owner of [`NodeStatus`]: makes it on each turn of the control loop.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use super::running::Running;
use super::set::PipelineSet;
use crate::board;
use crate::config::Config;
use crate::frame::status::{
    Board, Counts, Fault, Forecast, Governor, Model, Node, NodeStatus, Percentiles, Pipeline, Publisher, Rung, Source,
    Totals,
};
use crate::frame::{NodeName, PipelineName, SourceCounts, SourceName};
use crate::publish::Stats;
use crate::telemetry;
use leptond_governor::{self as governor, Change, Mode, Reading, State};

/// State that outlasts a turn of the control loop and has no other owner.
pub(super) struct StatusMaker {
    node: Node,
    models: Arc<[Model]>,
    board: Board,
    /// The rungs that changed last.
    governor: Governor,
    /// The governor's standing of the last turn.
    standing: Option<(Mode, State)>,
    started: Instant,
    wall_started: SystemTime,
    /// Time of the last count of the time on lower rungs.
    counted: Instant,
    /// Time between two turns.
    every: Duration,
    /// Room for messages that wait for the broker.
    queue: usize,
}

impl StatusMaker {
    /// For the node `name` on `board`, which is up since `started`.
    pub(super) fn new(config: &Config, name: NodeName, board: &board::Info, started: Instant) -> Self {
        let mut maker = StatusMaker {
            node: Node {
                name,
                version: env!("CARGO_PKG_VERSION"),
                board: if board.model.is_empty() { board.cpu.as_str() } else { board.model.as_str() }.into(),
                config_digest: "".into(),
                revision: 0,
                uptime: Duration::ZERO,
            },
            models: Arc::new([]),
            board: Board::default(),
            governor: Governor::default(),
            standing: None,
            started,
            wall_started: SystemTime::now() - started.elapsed(),
            counted: started,
            every: Duration::ZERO,
            queue: 1,
        };
        maker.reconfigure(config);
        maker
    }

    /// Takes over the settings of `config`.
    pub(super) fn reconfigure(&mut self, config: &Config) {
        self.every = Duration::from_millis(config.governor.tick_ms);
        self.queue = config.mqtt.queue.max(1);
    }

    /// Another configuration or other models apply.
    pub(super) fn configured(&mut self, config_digest: &str, set: &PipelineSet) {
        self.node.config_digest = config_digest.into();
        self.node.revision += 1;
        self.models = set.iter().flat_map(models).collect();
        self.relearned();
    }

    /// Ladders are others: every rung may have another meaning.
    pub(super) fn relearned(&mut self) {
        self.governor.changes += 1;
        self.governor.changed = None;
    }

    /// Counts of models and configurations, and of changes of the rungs: equal for equal ladders.
    pub(super) fn revision(&self) -> (u64, u64) {
        (self.node.revision, self.governor.changes)
    }

    /// Takes over a reading of the board.
    pub(super) fn observe(&mut self, reading: &Reading, rss_bytes: u64) {
        self.board = Board {
            rss_bytes,
            cpu_percent: reading.cpu_percent,
            own_cpu_percent: reading.own_cpu_percent,
            soc_celsius: reading.soc_celsius,
            throttled: reading.throttled,
            soft_limited: reading.soft_limited,
            under_voltage: reading.under_voltage,
        };
    }

    /// Counts and logs one turn of the governor: `changes`, each with the rung before it.
    pub(super) fn governed(&mut self, set: &PipelineSet, changes: &[(usize, Change)], now: Instant) {
        let passed_ms = now.saturating_duration_since(self.counted).as_millis() as u64;
        self.counted = now;
        for running in set.iter() {
            let assignment = running.shared.assignment();
            if assignment.setpoint.rung > 0 || assignment.setpoint.paused {
                running.shared.counters.reduced_ms.fetch_add(passed_ms, Relaxed);
            }
        }
        for (before, change) in changes {
            self.changed(set, *before, change);
        }
        if !changes.is_empty() {
            self.governor.changes += 1;
        }
        let standing = (mode(set), set.governor().state());
        if self.standing.is_some_and(|before| before != standing) {
            let (mode, state) = (kebab(&standing.0), kebab(&standing.1));
            let reason = changes.last().map(|(_, change)| change.reason.as_str());
            tracing::info!(mode, state, reason, "governor");
        }
        self.standing = Some(standing);
    }

    fn changed(&mut self, set: &PipelineSet, before: usize, change: &Change) {
        let setpoint = &change.setpoint;
        if let Some(running) = set.iter().find(|r| *r.config.name == *change.pipeline) {
            let counters = &running.shared.counters;
            let steps = if setpoint.rung < before { &counters.steps_up } else { &counters.steps_down };
            steps.fetch_add(1, Relaxed);
            self.governor.changed = Some(running.config.name.clone());
        }
        tracing::info!(
            pipeline = &*change.pipeline,
            rung = setpoint.rung,
            of = setpoint.of,
            interval_ms = setpoint.interval.as_millis() as u64,
            paused = setpoint.paused,
            reason = change.reason,
            "governor"
        );
    }

    /// The status at `now`.
    pub(super) fn make(&self, set: &PipelineSet, stats: Stats, now: Instant) -> NodeStatus {
        let fault = |(name, reason): (&PipelineName, &str)| Fault { pipeline: name.clone(), reason: reason.to_owned() };
        NodeStatus {
            at: now,
            every: self.every,
            node: Node { uptime: now.saturating_duration_since(self.started), ..self.node.clone() },
            board: self.board,
            governor: Governor {
                mode: kebab(&mode(set)),
                state: kebab(&set.governor().state()),
                forecast: set.governor().forecast().map(forecast),
                ..self.governor.clone()
            },
            sources: set.sources().into_iter().filter_map(source).collect(),
            pipelines: set.iter().map(|running| self.pipeline(set, running, now)).collect(),
            models: self.models.clone(),
            publisher: Publisher {
                connected: stats.connected,
                queued: stats.queued,
                backlog: backlog(&stats, self.queue),
                published: stats.published,
                acknowledged: stats.acknowledged,
                dropped: stats.dropped + stats.abandoned,
                outbox: stats.outbox,
                ..Publisher::default()
            },
            faults: set.waiting.iter().map(fault).collect(),
            fleet: None,
            totals: None,
        }
    }

    /// The last status, with the figures of the whole run.
    pub(super) fn make_last(&self, set: &PipelineSet, stats: Stats, totals: Totals, now: Instant) -> NodeStatus {
        NodeStatus { totals: Some(totals), ..self.make(set, stats, now) }
    }

    fn pipeline(&self, set: &PipelineSet, running: &Running, now: Instant) -> Pipeline {
        let shared = &running.shared;
        let status = set.governor().status(&running.config.name);
        let (reason, since) = status.as_ref().map_or(("", Duration::ZERO), |s| (s.reason.as_str(), s.since));
        let setpoint = status.as_ref().map_or_else(|| shared.assignment().setpoint.clone(), |s| s.setpoint.clone());
        Pipeline {
            name: running.config.name.clone(),
            counts: counts(running),
            latency_ms: percentiles(shared.counters.latency.percentiles()),
            infer_ms: percentiles(shared.counters.infer.percentiles()),
            recent_p95_ms: shared.load(now).p95_ms,
            rung: Rung {
                rung: setpoint.rung,
                of: setpoint.of,
                reason: reason.to_owned(),
                since: self.wall_started + since,
                interval: setpoint.interval,
                capture: setpoint.capture,
                resolution: setpoint.resolution,
                batch: setpoint.batch,
                model: model_name(running, setpoint.variant),
                threads: setpoint.threads,
                paused: setpoint.paused,
            },
            idle: shared.idle(now),
            motion: shared.gate.as_ref().map(|gate| gate.status()),
            paused: shared.paused(),
            about: running.about.clone(),
        }
    }
}

/// Counts of one source by its name, which is that of its only pipeline where it has none of its own.
fn source((name, counts): (String, SourceCounts)) -> Option<(SourceName, Source)> {
    let SourceCounts { frames, decoded, readers } = counts;
    Some((SourceName::new(&name).ok()?, Source { frames, decoded, readers }))
}

/// Share of the queue that is filled, 0 to 1.
pub(super) fn backlog(stats: &Stats, queue: usize) -> f32 {
    (stats.queued as f32 / queue.max(1) as f32).min(1.0)
}

fn counts(running: &Running) -> Counts {
    let (counters, truth) = (&running.shared.counters, &running.shared.truth);
    Counts {
        frames: counters.frames.load(Relaxed),
        inferences: counters.inferences.load(Relaxed),
        dropped: counters.dropped.load(Relaxed),
        skipped: counters.skipped.load(Relaxed),
        errors: counters.errors.load(Relaxed),
        steps_up: counters.steps_up.load(Relaxed),
        steps_down: counters.steps_down.load(Relaxed),
        reduced_ms: counters.reduced_ms.load(Relaxed),
        right: truth.right.load(Relaxed),
        known: truth.known.load(Relaxed),
        held: truth.held.load(Relaxed),
    }
}

/// The models of a pipeline: its own, and of a meter the second one; none where it has none.
fn models(running: &Running) -> impl Iterator<Item = Model> {
    let all = std::iter::once(&*running.planner).chain(running.planner.second());
    all.filter(|planner| !planner.bundle.is_readings()).map(|planner| {
        let manifest = planner.bundle.manifest();
        Model {
            pipeline: running.config.name.clone(),
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            sha256: planner.sha256.clone(),
            digest: planner.bundle.digest().to_owned(),
            task: kebab(&planner.kind()),
            engine: running.engine,
        }
    })
}

fn mode(set: &PipelineSet) -> Mode {
    set.governor().mode()
}

/// The model's name, with that of its variant where it is not the main variant.
fn model_name(running: &Running, variant: usize) -> String {
    let name = &running.planner.bundle.manifest().name;
    if variant == 0 { name.clone() } else { format!("{name}/{}", running.planner.variant_name(variant)) }
}

fn forecast(forecast: governor::Forecast) -> Forecast {
    Forecast {
        soc_celsius: forecast.soc_celsius,
        in_30s_celsius: forecast.in_30s_celsius,
        steady_celsius: forecast.steady_celsius,
        limit_celsius: forecast.limit_celsius,
    }
}

fn percentiles(found: telemetry::Percentiles) -> Percentiles {
    let or_zero = |ms: Option<f64>| ms.unwrap_or(0.0);
    Percentiles { p50: or_zero(found.p50_ms), p95: or_zero(found.p95_ms), p99: or_zero(found.p99_ms) }
}

/// An enum's name as it stands in a configuration.
fn kebab(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_string)).unwrap_or_default()
}
