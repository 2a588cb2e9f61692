//! Ladders out of measured candidates.

use super::*;

fn candidate(resolution: Option<u32>, batch: usize, cpu_ms: f32, accuracy: f32) -> Candidate {
    let cost = Cost { infer_ms: cpu_ms, cpu_ms, accuracy: Some(accuracy) };
    Candidate { capture: None, resolution, batch, variant: 0, threads: 1, cost }
}

/// Rungs as `interval resolution batch`.
fn rungs(config: &PipelineConfig, frame_ms: u64, candidates: &[Candidate]) -> Vec<String> {
    let ladder = ladder(config, Duration::from_millis(frame_ms), candidates);
    let tell = |(i, rung): (usize, &OperatingPoint)| {
        let s = &rung.setpoint;
        assert_eq!((s.rung, s.of, s.paused), (i, ladder.len(), false));
        format!("{} {} {}", s.interval.as_millis(), s.resolution.unwrap_or(0), s.batch)
    };
    ladder.iter().enumerate().map(tell).collect()
}

fn floors(min_fps: f32) -> PipelineConfig {
    PipelineConfig { min_fps, ..PipelineConfig::default() }
}

#[test]
fn a_model_of_one_size_is_lowered_by_its_interval_down_to_the_floor() {
    let one = [candidate(None, 1, 40.0, 0.7)];
    assert_eq!(rungs(&floors(2.0), 100, &one), ["0 0 1", "150 0 1", "200 0 1", "300 0 1", "400 0 1", "500 0 1"]);
    assert_eq!(rungs(&floors(10.0), 100, &one), ["0 0 1"], "nothing to lower within the floor");
    // Without a floor as far as a step is still noticed.
    assert_eq!(rungs(&floors(f32::NAN), 100, &one).last().unwrap(), "19200 0 1");
    let slow = PipelineConfig { interval_ms: 3_600_000, ..floors(0.0) };
    assert_eq!(rungs(&slow, 0, &one), ["3600000 0 1"]);
    assert_eq!(ladder(&floors(1.0), Duration::ZERO, &[]), []);
}

#[test]
fn work_that_costs_nothing_is_left_alone() {
    assert_eq!(rungs(&floors(0.1), 500, &[candidate(None, 1, 0.05, 1.0)]), ["0 0 1"]);
}

#[test]
fn a_smaller_input_that_costs_half_and_loses_little_comes_before_half_the_frames() {
    let sizes = [candidate(Some(320), 1, 40.0, 0.70), candidate(Some(224), 1, 20.0, 0.66)];
    assert_eq!(rungs(&floors(5.0), 100, &sizes), ["0 320 1", "0 224 1", "150 224 1", "200 224 1"]);
}

#[test]
fn a_rung_that_another_dominates_is_none() {
    // A smaller input that costs as much, one that costs more, a batch that does not pay: none lowers the measured cost.
    for useless in
        [candidate(Some(224), 1, 40.0, 0.66), candidate(Some(224), 1, 55.0, 0.66), candidate(Some(320), 4, 165.0, 0.70)]
    {
        let alone = rungs(&floors(5.0), 100, &[candidate(Some(320), 1, 40.0, 0.70)]);
        let beside = rungs(&floors(5.0), 100, &[candidate(Some(320), 1, 40.0, 0.70), useless]);
        assert_eq!(alone, beside, "{useless:?}");
    }
    let pays = [candidate(Some(320), 1, 40.0, 0.70), candidate(Some(320), 4, 100.0, 0.70)];
    assert_eq!(rungs(&floors(10.0), 100, &pays), ["0 320 1", "0 320 4"]);
}

#[test]
fn floors_and_the_deadline_are_kept() {
    let all =
        [candidate(Some(320), 1, 40.0, 0.70), candidate(Some(224), 1, 20.0, 0.66), candidate(Some(96), 1, 4.0, 0.4)];
    let last = |config: &PipelineConfig| rungs(config, 100, &all).pop().unwrap();
    assert_eq!(last(&floors(10.0)), "0 96 1");
    assert_eq!(last(&PipelineConfig { min_resolution: 200, ..floors(10.0) }), "0 224 1");
    assert_eq!(last(&PipelineConfig { min_accuracy: 0.5, ..floors(10.0) }), "0 224 1");
    assert_eq!(last(&PipelineConfig { min_accuracy: 0.69, ..floors(10.0) }), "0 320 1");
    let batches = [candidate(None, 1, 40.0, 0.7), candidate(None, 4, 100.0, 0.7), candidate(None, 8, 160.0, 0.7)];
    let patient = PipelineConfig { deadline_ms: 500, ..floors(10.0) };
    assert_eq!(rungs(&patient, 100, &batches), ["0 0 1", "0 0 4"], "waiting for eight would miss the deadline");
    let hurried = PipelineConfig { deadline_ms: 10, ..floors(10.0) };
    assert_eq!(rungs(&hurried, 100, &batches), ["0 0 1"], "full work stays, even if it cannot be in time");
}

#[test]
fn every_rung_costs_clearly_less_and_none_gives_more_for_less() {
    use proptest::prelude::*;
    let any = (1usize..5, 1.0f32..200.0, 0.0f32..1.0, prop::option::of(32u32..640));
    proptest!(|(candidates in prop::collection::vec(any, 1..12), frame_ms in 0u64..500, min_fps in 0.0f32..20.0)| {
        let candidates: Vec<_> =
            candidates.into_iter().map(|(batch, ms, accuracy, size)| candidate(size, batch, ms, accuracy)).collect();
        let config = floors(min_fps);
        let made = PipelineLadder::new("p", &config, Duration::from_millis(frame_ms), &candidates);
        prop_assert!(!made.rungs.is_empty());
        for pair in made.rungs.windows(2) {
            prop_assert!(made.cores(&pair[1]) < made.cores(&pair[0]));
        }
        for pair in made.rungs.windows(2).skip(1) {
            prop_assert!(made.worth_per_s(&pair[1]) < made.worth_per_s(&pair[0]));
        }
        for rung in made.rungs.iter().skip(1).filter(|_| min_fps > 0.0) {
            let slowest = 1.0 / f64::from(min_fps);
            prop_assert!(rung.setpoint.interval.as_secs_f64() <= slowest + 1e-6 || rung.setpoint.interval.is_zero());
        }
    });
}

#[test]
fn a_ladder_that_was_given_loses_what_is_dominated() {
    let mut given = pipeline("p", 1.0, 0);
    let before = given.rungs.len();
    let mut worse = given.rungs[1].clone();
    worse.cost.cpu_ms *= 1.5;
    given.rungs.insert(2, worse);
    undominated(&mut given);
    assert_eq!(given.rungs.len(), before);
}
