//! The points of the charts, out of a status. Pure.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::history::Sample;
use crate::frame::status::{NodeStatus, Pipeline};
use crate::frame::{Outcome, PipelineName};

/// Inferences per second are counted over this time at least.
const COUNTED_OVER: Duration = Duration::from_secs(2);

/// Inferences per second of each pipeline.
#[derive(Debug, Default)]
pub struct Rates {
    before: Option<(Instant, BTreeMap<PipelineName, u64>)>,
    fps: BTreeMap<PipelineName, f32>,
}

impl Rates {
    /// Takes over the counts of a status.
    pub fn update(&mut self, status: &NodeStatus) {
        let counts = || status.pipelines.iter().map(|p| (p.name.clone(), p.counts.inferences)).collect();
        let Some((at, before)) = &self.before else {
            self.before = Some((status.at, counts()));
            return;
        };
        let passed = status.at.saturating_duration_since(*at);
        if passed < COUNTED_OVER {
            return;
        }
        let rate = |pipeline: &Pipeline| {
            // A pipeline that was started again counts anew.
            let done = pipeline.counts.inferences.checked_sub(*before.get(&pipeline.name)?)?;
            Some((pipeline.name.clone(), done as f32 / passed.as_secs_f32()))
        };
        self.fps = status.pipelines.iter().filter_map(rate).collect();
        self.before = Some((status.at, counts()));
    }

    /// Inferences per second of each pipeline.
    pub fn fps(&self) -> BTreeMap<PipelineName, f32> {
        self.fps.clone()
    }
}

/// The points of `status`: of the node below `node/`, of each pipeline below its name.
pub fn samples(
    status: &NodeStatus,
    fps: &BTreeMap<PipelineName, f32>,
    numbers: &BTreeMap<PipelineName, f64>,
) -> BTreeMap<String, Sample> {
    let mut samples = BTreeMap::new();
    let mut add = |name: String, value: Option<f64>, unit: &'static str| {
        if let Some(value) = value {
            let is_reading = name.ends_with("/value");
            samples.insert(name, Sample { value, unit, is_reading });
        }
    };
    let board = &status.board;
    add("node/soc_celsius".into(), board.soc_celsius.map(f64::from), "°C");
    add("node/cpu_percent".into(), board.cpu_percent.map(f64::from), "%");
    add("node/own_cpu_percent".into(), board.own_cpu_percent.map(f64::from), "%");
    add("node/rss_mb".into(), Some(board.rss_bytes as f64 / 1e6), "MB");
    let forecast = status.governor.forecast.as_ref();
    add("node/in_30s_celsius".into(), forecast.map(|forecast| forecast.in_30s_celsius.into()), "°C");
    add("node/limit_celsius".into(), forecast.map(|forecast| forecast.limit_celsius.into()), "°C");
    for pipeline in &status.pipelines {
        let name = &pipeline.name;
        add(format!("{name}/rung"), Some(pipeline.rung.rung as f64), "");
        add(format!("{name}/p95_ms"), pipeline.recent_p95_ms.map(f64::from), "ms");
        add(format!("{name}/fps"), fps.get(name).copied().map(f64::from), "/s");
        add(format!("{name}/value"), numbers.get(name).copied(), "");
    }
    samples
}

/// The number that a result gives; `None` where it gives none.
pub fn number_of(outcome: &Outcome) -> Option<f64> {
    let number = |text: &str| text.trim().replace(',', ".").parse::<f64>().ok();
    match outcome {
        Outcome::Reading(reading) => {
            reading.value.map(|value| value as f64).or_else(|| number(reading.label.as_ref()?))
        }
        Outcome::Meter(reading) => reading.value,
        Outcome::Classify { label, .. } => number(label),
        Outcome::Text { text, .. } => number(text.as_ref()?),
        Outcome::Anomaly { score, .. } | Outcome::Channels { score: Some(score), .. } => Some((*score).into()),
        Outcome::Detect { counts, .. } => Some(counts.values().sum::<usize>() as f64),
        _ => None,
    }
    .filter(|number| number.is_finite())
}
