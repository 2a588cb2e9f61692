//! Tests of anomaly scores, thresholds and the state machine, on simulated time.

use super::*;
use crate::event::Subject;
use crate::frame::EventKind;
use crate::task::testing::{WithEvents, quantised, run_at, run_with, tensor};

fn anomaly(config: AnomalyConfig) -> WithEvents<Anomaly> {
    let task = Anomaly::new(&config, &TaskSpec { items: 1, ..TaskSpec::default() }).unwrap();
    WithEvents::new(task, Subject::Anomaly { hysteresis: config.hysteresis() })
}

/// Feeds one score per half second; gives `(threshold, anomalous, calibrating)` and the events.
fn feed(task: &mut dyn Task, from_ms: u64, scores: &[f32]) -> Vec<(Option<f32>, bool, bool, Vec<EventKind>)> {
    let mut seen = Vec::new();
    for (i, score) in scores.iter().enumerate() {
        let output = run_at(task, &[&tensor(&[1, 1], &[*score])], from_ms + 500 * i as u64).unwrap();
        let Outcome::Anomaly { threshold, anomalous, calibrating, .. } = output.outcome else { panic!() };
        seen.push((threshold, anomalous, calibrating, output.events.iter().map(|e| e.kind).collect()));
    }
    seen
}

/// A long-tailed quiet score around 1, the same for the same index.
fn quiet(i: usize) -> f32 {
    let noise = ((i as f32 * 12.9898).sin() * 43758.547).fract().abs();
    0.7 + 0.4 * noise + if i % 37 == 36 { 1.1 } else { 0.0 }
}

#[test]
fn the_score_is_the_squared_error_in_real_units() {
    let mut task = anomaly(AnomalyConfig { threshold: Some(1.0), ..AnomalyConfig::default() });
    let given = quantised(&[1, 2, 2], &[0.0, 1.0, 2.0, 3.0], 0.5, 3);
    let rebuilt = quantised(&[1, 4], &[0.0, 1.0, 2.0, 5.0], 0.25, -7);
    let output = run_with(&mut task, &[&given], &[&rebuilt], &[], 0, 0).unwrap();
    assert!(matches!(output.outcome, Outcome::Anomaly { score, .. } if score == 1.0), "{:?}", output.outcome);
    // The frame's own item of a batch.
    let given = tensor(&[2, 2], &[0.0, 0.0, 1.0, 1.0]);
    let rebuilt = tensor(&[2, 2], &[9.0, 9.0, 1.0, 3.0]);
    let output = run_with(&mut task, &[&given], &[&rebuilt], &[], 1, 0).unwrap();
    assert!(matches!(output.outcome, Outcome::Anomaly { score, .. } if score == 2.0));
}

#[test]
fn the_channels_with_the_largest_shares_of_the_error_are_named() {
    let channels = ["cpu", "ram", "disk"].map(std::sync::Arc::from).to_vec();
    let config = AnomalyConfig { threshold: Some(1.0), ..AnomalyConfig::default() };
    let spec = TaskSpec { items: 2, channels, ..TaskSpec::default() };
    let mut task = WithEvents::new(Anomaly::new(&config, &spec).unwrap(), Subject::Anomaly { hysteresis: 0.8 });
    let mut shares = |given: &[f32], rebuilt: &[f32], now_ms| {
        let (given, rebuilt) = (tensor(&[2, 2, 3], given), tensor(&[2, 2, 3], rebuilt));
        let output = run_with(&mut task, &[&given], &[&rebuilt], &[], 0, now_ms).unwrap();
        let Outcome::Anomaly { channels, .. } = output.outcome else { panic!() };
        let named =
            |channels: Vec<ChannelShare>| channels.iter().map(|c| (c.channel.to_string(), c.share)).collect::<Vec<_>>();
        (named(channels), output.events.first().map(|event| named(event.channels.clone())))
    };
    // Of the second item, which errs more: 3² + 1² in the second channel, 2² in the third, and nothing in the first.
    let zeros = [0.0; 12];
    let given = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 3.0, 2.0, 0.0, 1.0, 0.0];
    let expected = vec![("ram".to_owned(), 10.0 / 14.0), ("disk".to_owned(), 4.0 / 14.0)];
    assert_eq!(shares(&given, &zeros, 0), (expected.clone(), Some(expected)));
    assert_eq!(shares(&zeros, &zeros, 500).0, vec![], "no error is no channel's");
}

#[test]
fn a_score_of_the_model_s_own_names_no_channel() {
    let spec = TaskSpec { channels: vec![std::sync::Arc::from("cpu")], ..TaskSpec::default() };
    let mut task = Anomaly::new(&AnomalyConfig { threshold: Some(1.0), ..AnomalyConfig::default() }, &spec).unwrap();
    let output = run_at(&mut task, &[&tensor(&[1, 1], &[3.0])], 0).unwrap();
    assert!(matches!(output.outcome, Outcome::Anomaly { channels, .. } if channels.is_empty()));
}

#[test]
fn begins_after_two_above_or_one_far_above_and_ends_below_hysteresis() {
    let config = AnomalyConfig { threshold: Some(1.0), hysteresis: Some(0.5), ..AnomalyConfig::default() };
    let mut task = anomaly(config.clone());
    let scores = [0.9, 1.1, 0.9, 1.1, 1.2, 0.7, 0.4, 0.7, 0.4, 0.4, 0.4];
    let states: Vec<bool> = feed(&mut task, 0, &scores).iter().map(|s| s.1).collect();
    assert_eq!(states, [false, false, false, false, true, true, true, true, true, false, false]);
    let mut task = anomaly(config);
    let seen = feed(&mut task, 0, &[0.1, 2.5, 0.1, 0.1]);
    let kinds: Vec<_> = seen.iter().map(|s| s.3.clone()).collect();
    assert_eq!(kinds, [vec![], vec![EventKind::New], vec![], vec![EventKind::End]]);
}

#[test]
fn an_event_keeps_its_identity_and_its_worst_score() {
    let mut task = anomaly(AnomalyConfig { threshold: Some(1.0), ..AnomalyConfig::default() });
    let mut events = Vec::new();
    for (i, score) in [5.0, 9.0, 6.0, 0.1, 0.1].into_iter().enumerate() {
        events.extend(run_at(&mut task, &[&tensor(&[1, 1], &[score])], i as u64 * 500).unwrap().events);
    }
    let [begun, ended] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!((begun.score, ended.score, &begun.id), (5.0, 9.0, &ended.id));
    assert_eq!(ended.end_time, Some(std::time::SystemTime::UNIX_EPOCH + Duration::from_millis(2000)));
    assert!(begun.end_time.is_none());
}

#[test]
fn learns_what_is_normal_and_then_flags_within_five_seconds() {
    for calibration_s in [20.0, 60.0, 600.0] {
        let mut task = anomaly(AnomalyConfig { calibration_s: Some(calibration_s), ..AnomalyConfig::default() });
        let count = (calibration_s * 2.0) as usize;
        // A disturbance in the calibration period must not blunt the threshold.
        let learning: Vec<f32> = (0..count).map(|i| if count > 100 && i == 50 { 40.0 } else { quiet(i) }).collect();
        let seen = feed(&mut task, 0, &learning);
        assert!(seen.iter().all(|s| s.2 && !s.1 && s.0.is_none()));
        // Ten quiet minutes.
        let start = count as u64 * 500;
        let seen = feed(&mut task, start, &(count..count + 1200).map(quiet).collect::<Vec<_>>());
        assert!(seen.iter().all(|s| !s.1 && !s.2), "calibrated for {calibration_s} s: a false alarm");
        let threshold = seen[0].0.unwrap();
        assert!((1.5..6.0).contains(&threshold), "{threshold}");
        let seen = feed(&mut task, start + 600_000, &[1.0, 3.0, 8.0, 9.0, 9.0]);
        assert!(seen[3].1 && seen[4].1);
    }
}

#[test]
fn few_scores_prolong_the_calibration() {
    let mut task = anomaly(AnomalyConfig { calibration_s: Some(1.0), ..AnomalyConfig::default() });
    let seen = feed(&mut task, 0, &[1.0; 25]);
    assert_eq!(seen.iter().filter(|s| s.2).count(), CALIBRATION_SCORES - 1);
    // Scores that do not vary at all: twice the median.
    assert_eq!(seen[24].0, Some(2.0));
}

#[test]
fn kept_scores_are_bounded_and_even() {
    let mut scores = Scores::default();
    (0..100_000).for_each(|i| scores.add(i as f32));
    assert!(scores.kept.len() < MAX_SCORES && scores.kept.len() >= MAX_SCORES / 2);
    let steps: Vec<f32> = scores.kept.windows(2).map(|w| w[1] - w[0]).collect();
    assert!(steps.iter().all(|s| *s == steps[0]), "{:?}", &steps[..5]);
}

#[test]
fn scores_that_are_no_numbers_are_errors_and_change_nothing() {
    let mut task = anomaly(AnomalyConfig { threshold: Some(1.0), ..AnomalyConfig::default() });
    feed(&mut task, 0, &[3.0]);
    for score in [f32::NAN, f32::INFINITY] {
        let error = run_at(&mut task, &[&tensor(&[1, 1], &[score])], 500).unwrap_err();
        assert!(error.to_string().contains("anomaly score"), "{error}");
    }
    assert!(feed(&mut task, 1000, &[3.0])[0].1);
    let error = run_with(&mut task, &[&tensor(&[1, 4], &[0.0; 4])], &[&tensor(&[1, 3], &[0.0; 3])], &[], 0, 0);
    let message = error.unwrap_err().to_string();
    assert!(message.contains("[1, 3]") && message.contains("[1, 4]"), "{message}");
}

#[test]
fn senseless_settings_are_refused_with_their_key() {
    let fails = |config: AnomalyConfig| Anomaly::new(&config, &TaskSpec::default()).err().unwrap().key;
    assert_eq!(fails(AnomalyConfig { calibration_s: Some(0.0), ..AnomalyConfig::default() }), "calibration_s");
    assert_eq!(fails(AnomalyConfig { calibration_s: Some(f32::NAN), ..AnomalyConfig::default() }), "calibration_s");
    assert_eq!(fails(AnomalyConfig { threshold: Some(0.0), ..AnomalyConfig::default() }), "threshold");
}
