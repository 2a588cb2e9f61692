//! Tests of readings: joining, certainty, and the rule that a counter does not run backwards.

use super::*;
use crate::task::testing::{labels, run_at, tensor};

const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

fn reader(regions: usize, config: Config) -> Reading {
    Reading::new(&config, &TaskSpec { labels: labels(&DIGITS), items: regions, ..TaskSpec::default() }).unwrap()
}

/// Scores that read `digits`, each with `score`.
fn shown(digits: &str, score: f32) -> crate::task::testing::Tensor {
    let mut values = Vec::new();
    for digit in digits.bytes() {
        let rest = (1.0 - score) / 9.0;
        values.extend((b'0'..=b'9').map(|d| if d == digit { score } else { rest }));
    }
    tensor(&[digits.len(), 10], &values)
}

fn monotonic() -> Config {
    Config { monotonic: true, ..Config::default() }
}

/// Plays readings `(seconds, digits)` and gives what is published, with `!` when held.
fn play(task: &mut Reading, readings: &[(u64, &str)]) -> Vec<String> {
    let mut published = Vec::new();
    for (seconds, digits) in readings {
        let output = run_at(task, &[&shown(digits, 0.95)], seconds * 1000).unwrap();
        let Outcome::Classify { label, held, .. } = output.outcome else { panic!() };
        published.push(if held == Some(true) { format!("{label}!") } else { label });
    }
    published
}

#[test]
fn regions_are_joined_and_changes_are_events() {
    let mut task = reader(5, Config::default());
    let output = run_at(&mut task, &[&shown("00412", 0.9)], 0).unwrap();
    let Outcome::Classify { label, score, top, regions, held } = output.outcome else { panic!() };
    assert_eq!((label.as_str(), top.len(), regions.len(), held), ("00412", 0, 5, None));
    assert!((score - 0.9).abs() < 1e-5);
    assert_eq!(&*regions[2].label, "4");
    assert_eq!((output.events.len(), output.events[0].kind), (1, EventKind::New));
    let id = output.events[0].id.clone();
    assert!(run_at(&mut task, &[&shown("00412", 0.9)], 1).unwrap().events.is_empty());
    let events = run_at(&mut task, &[&shown("00413", 0.9)], 2).unwrap().events;
    assert_eq!((events[0].kind, events[0].label.as_str(), &events[0].id), (EventKind::Update, "00413", &id));
    assert_eq!(events[0].start_time, std::time::SystemTime::UNIX_EPOCH);
    // Uncertain: published with its score, but nothing to tell.
    let output = run_at(&mut task, &[&shown("00999", 0.3)], 3).unwrap();
    assert!(output.events.is_empty());
    let Outcome::Classify { label, score, .. } = output.outcome else { panic!() };
    assert_eq!(label, "00999");
    assert!(score < 0.31);
}

#[test]
fn a_meter_does_not_run_backwards() {
    let mut task = reader(5, monotonic());
    assert_eq!(
        play(&mut task, &[(0, "00100"), (1, "00101"), (2, "00091"), (3, "00102"), (4, "80102"), (5, "00103")]),
        ["00100", "00101", "00101!", "00102", "00102!", "00103"]
    );
}

#[test]
fn an_unsure_step_must_come_twice() {
    let mut task = reader(5, monotonic());
    let mut read =
        |digits: &str, score: f32, ms: u64| match run_at(&mut task, &[&shown(digits, score)], ms).unwrap().outcome {
            Outcome::Classify { label, .. } => label,
            other => panic!("{other:?}"),
        };
    assert_eq!(read("26153", 0.95, 0), "26153");
    // A drum between 3 and 4 that looks like a 5 for one picture must not hold the right reading back afterwards.
    assert_eq!(read("26155", 0.7, 67), "26153");
    assert_eq!(read("26154", 0.6, 133), "26153");
    assert_eq!(read("26154", 0.6, 200), "26154");
    assert_eq!(read("26155", 0.9, 267), "26155");
}

#[test]
fn rolling_over_is_forward() {
    let mut task = reader(5, monotonic());
    assert_eq!(
        play(&mut task, &[(0, "99998"), (1, "99999"), (2, "00000"), (3, "00002"), (4, "99999")]),
        ["99998", "99999", "00000", "00002", "00002!"]
    );
    // One digit: 9 to 0 as well, but not two steps at once without confirmation.
    let mut task = reader(1, monotonic());
    assert_eq!(play(&mut task, &[(0, "8"), (1, "9"), (2, "0"), (3, "2")]), ["8", "9", "0", "0!"]);
}

#[test]
fn digits_caught_while_rolling_are_held() {
    let mut task = reader(5, monotonic());
    assert_eq!(
        play(&mut task, &[(0, "00199"), (1, "00190"), (2, "00290"), (3, "00299"), (4, "00209"), (5, "00200")]),
        ["00199", "00199!", "00199!", "00199!", "00199!", "00200"]
    );
}

#[test]
fn a_misread_leap_does_not_lock_the_meter() {
    let mut task = reader(5, monotonic());
    let mut readings = vec![(0, "00500"), (1, "00900")];
    // 00900 was a misreading within a hundredth of the range; the true value is believed again after 10 s.
    let truth: Vec<String> = (0..15).map(|i| format!("{:05}", 501 + i / 4)).collect();
    readings.extend(truth.iter().enumerate().map(|(i, t)| (2 + i as u64, t.as_str())));
    let published = play(&mut task, &readings);
    assert_eq!(published[1], "00900");
    assert!(published[2..12].iter().all(|p| p == "00900!"), "{published:?}");
    assert_eq!(published[12..], truth[10..], "{published:?}");
}

#[test]
fn doubts_start_again_when_readings_contradict_each_other() {
    let mut task = reader(5, Config { confirm_s: Some(3.0), ..monotonic() });
    let flicker = [(0, "50000"), (1, "00001"), (3, "30000"), (5, "00001"), (7, "30000"), (9, "50000")];
    assert_eq!(play(&mut task, &flicker)[1..], ["50000!", "50000!", "50000!", "50000!", "50000"]);
    assert_eq!(play(&mut task, &[(10, "00001"), (12, "00001"), (13, "00002")]), ["50000!", "50000!", "00002"]);
}

#[test]
fn slow_sampling_needs_several_readings_all_the_same() {
    let mut task = reader(5, monotonic());
    assert_eq!(
        play(&mut task, &[(0, "50000"), (3600, "10000"), (7200, "10001"), (10800, "10002")]),
        ["50000", "50000!", "50000!", "10002"]
    );
}

#[test]
fn uncertain_or_non_numeric_readings_are_held() {
    let mut task = reader(5, monotonic());
    let first = run_at(&mut task, &[&shown("12345", 0.2)], 0).unwrap();
    assert!(first.events.is_empty());
    assert!(matches!(first.outcome, Outcome::Classify { held: Some(false), .. }));
    play(&mut task, &[(1, "12345")]);
    let output = run_at(&mut task, &[&shown("12346", 0.4)], 2000).unwrap();
    assert!(output.events.is_empty());
    let Outcome::Classify { label, held, regions, .. } = output.outcome else { panic!() };
    assert_eq!((label.as_str(), held, &*regions[4].label), ("12345", Some(true), "6"));

    let spec = TaskSpec { labels: labels(&["1", "blank"]), items: 2, ..TaskSpec::default() };
    let mut task = Reading::new(&monotonic(), &spec).unwrap();
    run_at(&mut task, &[&tensor(&[2, 2], &[1.0, 0.0, 1.0, 0.0])], 0).unwrap();
    let output = run_at(&mut task, &[&tensor(&[2, 2], &[0.0, 1.0, 1.0, 0.0])], 0).unwrap();
    assert!(matches!(output.outcome, Outcome::Classify { label, held: Some(true), .. } if label == "11"));
}

#[test]
fn too_few_items_are_an_error() {
    let mut task = reader(5, Config::default());
    let error = run_at(&mut task, &[&shown("1234", 0.9)], 0).unwrap_err();
    assert!(error.to_string().contains("items 0 to 4"), "{error}");
}
