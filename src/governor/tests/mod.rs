//! The governor on scripted boards: what it sees, and what it must do. Whole scenarios are in `tests/data/governor`.

mod anything;
mod heat;
mod ladders;
mod offload;
mod overrides;
mod reasons;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::*;

const TICK: Duration = Duration::from_millis(500);

/// A calm board of four cores.
fn cool() -> Reading {
    Reading {
        soc_celsius: Some(50.0),
        cpu_percent: Some(30.0),
        core_percent: vec![30.0; 4],
        own_cpu_percent: Some(25.0),
        memory_pressure_percent: Some(0.0),
        throttled: Some(false),
        under_voltage: Some(false),
        pipelines: of_p(in_time(50.0, 40.0)),
        ..Reading::default()
    }
}

/// The load of the pipeline `p` alone.
fn of_p(load: Load) -> BTreeMap<Arc<str>, Load> {
    BTreeMap::from([("p".into(), load)])
}

fn in_time(p95_ms: f32, infer_ms: f32) -> Load {
    Load {
        p95_ms: Some(p95_ms),
        infer_ms: Some(infer_ms),
        dropped: Some(0.0),
        frame_age_ms: Some(20.0),
        idle: false,
        open: None,
        group: None,
    }
}

/// A pipeline at ten frames a second whose rungs differ in their interval only: 100, 150, 200, 300, … 1000 ms.
fn pipeline(name: &str, weight: f32, deadline_ms: u64) -> PipelineLadder {
    let config = PipelineConfig { interval_ms: 100, min_fps: 1.0, weight, deadline_ms, ..PipelineConfig::default() };
    let only = Candidate {
        capture: None,
        resolution: None,
        batch: 1,
        variant: 0,
        threads: 1,
        cost: Cost { infer_ms: 40.0, cpu_ms: 40.0, accuracy: None },
    };
    PipelineLadder::new(name, &config, Duration::from_millis(100), &[only])
}

/// A board that gives each reading for so many seconds; every change as `second pipeline>rung reason`.
fn run(governor: &mut Governor, start_s: f64, script: &[(f64, Reading)]) -> Vec<String> {
    let mut now = Duration::from_secs_f64(start_s);
    let mut told = Vec::new();
    for (for_s, reading) in script {
        let end = now + Duration::from_secs_f64(*for_s);
        while now < end {
            for change in governor.step(reading, now) {
                let status = governor.status(&change.pipeline).unwrap();
                assert_eq!((&status.setpoint, &status.reason, status.since), (&change.setpoint, &change.reason, now));
                let (second, paused) = (now.as_secs_f64(), if change.setpoint.paused { " paused" } else { "" });
                told.push(format!("{second} {}>{}{paused} {}", status.pipeline, change.setpoint.rung, change.reason));
            }
            now += TICK;
        }
    }
    told
}

/// One pipeline with a deadline of 250 ms at the default limits.
fn check(script: &[(f64, Reading)], expected: &[&str]) {
    let mut governor = Governor::new(Config::default(), vec![pipeline("p", 1.0, 250)]);
    assert_eq!(run(&mut governor, 0.0, script), expected, "{script:#?}");
}

/// The rungs that were changed to, without their reasons.
fn rungs(told: &[String]) -> Vec<&str> {
    told.iter().filter_map(|t| t.split(' ').nth(1)).collect()
}
