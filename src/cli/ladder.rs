//! The governor's ladders, for `leptond check --ladder`.

use std::fmt::Write;

use serde::Serialize;

use super::progress::spinner;
use crate::config::{ConfigErrors, Loaded, Origin, Problem};
use crate::pipeline::{self, Measured};
use crate::sys::Roots;

/// The ladder of one pipeline.
#[derive(Debug, Serialize)]
pub(super) struct Ladder {
    pipeline: String,
    model: String,
    /// The measurements are of an earlier start.
    remembered: bool,
    rungs: Vec<Row>,
}

/// One rung with its cost on this board.
#[derive(Debug, Serialize)]
struct Row {
    rung: usize,
    /// Least time between two frames; 0 = every frame.
    interval_ms: u64,
    /// Captured picture, longer side in pixels; absent where it is as configured.
    capture: Option<u32>,
    /// Input size, longer side in pixels; absent for windows.
    resolution: Option<u32>,
    batch: usize,
    #[serde(rename = "form")]
    variant: String,
    threads: usize,
    /// One inference of the whole batch with its preprocessing.
    infer_ms: f32,
    /// CPU time of that.
    cpu_ms: f32,
    /// CPU use at the rung's pace, in percent of one core.
    cpu_percent: f64,
    /// Frames or windows a second.
    per_s: f64,
    accuracy: Option<f32>,
}

/// Measures (or remembers) the ladder of every pipeline.
///
/// # Errors
/// The pipelines whose model cannot be used.
pub(super) fn measure(loaded: &Loaded) -> Result<Vec<Ladder>, ConfigErrors> {
    let (mut ladders, mut problems) = (Vec::new(), Vec::new());
    for (i, resolved) in loaded.config.resolved().iter().enumerate() {
        let pipeline = &resolved.config;
        let measuring = format!("measuring {}", pipeline.name);
        let places = loaded.config.places();
        match spinner(&measuring, || pipeline::measure(resolved, &places, &Roots::default())) {
            Ok(measured) => ladders.push(Ladder::of(&measured)),
            Err(error) => {
                let key = format!("pipeline[{i}].model");
                let origin = loaded.sources.get(&key).cloned().unwrap_or(Origin::Default);
                let problem = Problem::new(key, format!("no ladder can be made: {error}")).at(origin);
                problems.push(Problem { pipeline: Some(pipeline.name.to_string()), ..problem });
            }
        }
    }
    if problems.is_empty() { Ok(ladders) } else { Err(ConfigErrors { problems }) }
}

impl Ladder {
    fn of(measured: &Measured) -> Ladder {
        let Measured { planner, ladder, remembered, .. } = measured;
        let rung = |rung: &leptond_governor::OperatingPoint| {
            let (setpoint, cost) = (&rung.setpoint, &rung.cost);
            Row {
                rung: setpoint.rung,
                interval_ms: setpoint.interval.as_millis() as u64,
                capture: setpoint.capture,
                resolution: setpoint.resolution,
                batch: setpoint.batch,
                variant: planner.variant_name(setpoint.variant),
                threads: setpoint.threads,
                infer_ms: cost.infer_ms,
                cpu_ms: cost.cpu_ms,
                cpu_percent: ladder.cores(rung) * 100.0,
                per_s: ladder.items_per_s(rung),
                accuracy: cost.accuracy,
            }
        };
        Ladder {
            pipeline: ladder.name.to_string(),
            model: planner.bundle.manifest().name.clone(),
            remembered: *remembered,
            rungs: ladder.rungs.iter().map(rung).collect(),
        }
    }
}

/// The ladders as text, a line for each rung.
pub(super) fn table(ladders: &[Ladder]) -> String {
    let mut text = String::new();
    for Ladder { pipeline, model, remembered, rungs } in ladders {
        let when = if *remembered { "measured earlier" } else { "measured now" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "pipeline {pipeline}, model {model}, {when}");
        let _ = writeln!(
            text,
            "{:>4} {:>11} {:>7} {:>7} {:>10} {:>5} {:<12} {:>7} {:>9} {:>7} {:>8}",
            "rung",
            "interval_ms",
            "per_s",
            "capture",
            "resolution",
            "batch",
            "form",
            "threads",
            "infer_ms",
            "cpu_%",
            "accuracy"
        );
        for r in rungs {
            let pixels = |side: Option<u32>| side.map_or("-".into(), |pixels| pixels.to_string());
            let (capture, resolution) = (pixels(r.capture), pixels(r.resolution));
            let accuracy = r.accuracy.map_or("-".into(), |a| format!("{a:.4}"));
            let _ = writeln!(
                text,
                "{:>4} {:>11} {:>7.2} {capture:>7} {resolution:>10} {:>5} {:<12} {:>7} {:>9.3} {:>7.2} {accuracy:>8}",
                r.rung, r.interval_ms, r.per_s, r.batch, r.variant, r.threads, r.infer_ms, r.cpu_percent
            );
        }
        text.push('\n');
    }
    text
}
