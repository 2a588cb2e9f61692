//! The rules of calibration, and one calibration of a small model.

use super::*;
use crate::model::Engine;
use crate::pipeline::open_bundle;
use crate::source;
use crate::{preprocess, task};
use leptond_governor::{PipelineConfig as Config, PipelineLadder, Setpoint};

fn costing(batch: usize, cpu_ms: f32) -> Candidate {
    let key = StagesKey { variant: 0, resolution: None, batch, threads: 1 };
    candidate(key, Timed { infer_ms: cpu_ms, cpu_ms }, None)
}

#[test]
fn a_batch_that_does_not_pay_is_no_candidate_and_one_that_does_is_a_rung() {
    let check = |batch_ms: f32, rungs: bool| {
        let (one, two) = (costing(1, 10.0), costing(2, batch_ms));
        let candidates: Vec<Candidate> = [one].into_iter().chain(pays(&two, &one).then_some(two)).collect();
        let config = Config { min_fps: 9.0, ..Config::default() };
        let ladder = PipelineLadder::new("p", &config, Duration::from_millis(100), &candidates);
        assert_eq!(ladder.rungs.iter().any(|r| r.setpoint.batch == 2), rungs, "{batch_ms} ms: {:?}", ladder.rungs);
    };
    check(25.0, false);
    check(20.0, false);
    check(18.5, false);
    check(12.0, true);
}

#[test]
fn threads_go_down_by_powers_of_two() {
    let check = |most: usize, all: &[usize]| assert_eq!(fewer_threads(most).collect::<Vec<_>>(), all);
    check(1, &[1]);
    check(2, &[2, 1]);
    check(4, &[4, 2, 1]);
    check(6, &[6, 4, 2, 1]);
}

#[test]
fn accuracy_is_the_nearest_figure_lowered_by_what_golden_inputs_lose() {
    type Known = (Option<f64>, Option<f64>);
    let check = |share: Option<f64>, variant: Known, main: Known, accuracy: Option<f64>| {
        let found = estimate(share, variant, main);
        let near = found.zip(accuracy).map_or(found == accuracy, |(f, a)| (f - a).abs() < 1e-9);
        assert!(near, "{share:?} {variant:?} {main:?}: {found:?}, not {accuracy:?}");
    };
    let main = (Some(0.9), Some(1.0));
    check(Some(0.8), main, main, Some(0.72));
    // Better than at its own size is luck.
    check(Some(1.0), (Some(0.9), Some(0.8)), main, Some(0.9));
    // A variant with its own figure is measured by that one, one without by the main variant's.
    check(Some(0.5), (Some(0.7), Some(1.0)), main, Some(0.35));
    check(Some(0.5), (None, Some(0.5)), main, Some(0.45));
    // Golden inputs alone are a measure too; without them nothing is known.
    check(Some(0.8), (None, Some(0.9)), (None, Some(1.0)), Some(0.8));
    check(None, main, main, None);
    check(Some(0.0), (Some(0.9), Some(0.0)), main, None);
}

#[test]
fn what_is_remembered_must_be_plausible() {
    let full = key(&costing(1, 10.0));
    let check = |candidates: &[Candidate], fine: bool| assert_eq!(plausible(candidates, full), fine, "{candidates:?}");
    check(&[costing(1, 10.0), costing(2, 12.0)], true);
    check(&[], false);
    check(&[costing(2, 12.0), costing(1, 10.0)], false);
    check(&[costing(1, 10.0), costing(2, -1.0)], false);
    check(&[costing(1, f32::INFINITY)], false);
    check(&[costing(1, 10.0), costing(0, 1.0)], false);
    let mut wild = costing(2, 1.0);
    wild.cost.accuracy = Some(2.0);
    check(&[costing(1, 10.0), wild], false);
}

#[test]
fn a_learnt_threshold_has_neither_forms_nor_sizes() {
    let bundle = open_bundle("machine-anomaly", &[]).unwrap();
    let planner = |task: task::Config| {
        Planner::new(bundle.clone(), Engine::F32, 1, preprocess::Config::default(), &task).unwrap()
    };
    assert!(planner(task::Config::default()).comparable(), "the bundle gives a threshold");
    assert!(!planner(task::AnomalyConfig { calibration_s: Some(60.0), ..Default::default() }.into()).comparable());
}

#[test]
fn batches_of_windows_are_measured() {
    let bundle = open_bundle("machine-anomaly", &[]).unwrap();
    let planner =
        Planner::new(bundle, Engine::F32, 1, preprocess::Config::default(), &task::Config::default()).unwrap();
    let mut stages = planner.stages(&Setpoint::full()).unwrap();
    let source = source::Config::Sensor(source::SensorConfig { window: 8, ..Default::default() });
    let feed = Feed::Source { name: None, source };
    let job = Job { feed: &feed, max_batch: 4, board: "test", dir: None, lock: None };
    let Calibration { candidates, remembered } = calibrate(&planner, &mut stages, &job).unwrap();
    assert!(!remembered);
    assert_eq!(key(&candidates[0]), stages.key());
    assert!(candidates.iter().all(|c| c.cost.infer_ms > 0.0 && c.cost.cpu_ms > 0.0), "{candidates:?}");
    assert!(candidates.iter().all(|c| c.batch <= 4), "{candidates:?}");
}
