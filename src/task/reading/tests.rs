//! Tests of readings: joining, certainty, what is shown meanwhile, and what a counter may do.

use std::time::UNIX_EPOCH;

use super::*;
use crate::task::testing::{Tensor, labels, run_at, run_unreadable, tensor};

const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

fn reader(regions: usize, config: ClassifyConfig) -> Reader {
    Reader::new(&config, &TaskSpec { labels: labels(&DIGITS), items: regions, ..TaskSpec::default() }).unwrap()
}

/// Of a model that has a class for "nothing to read here".
fn reader_with_none(regions: usize, config: ClassifyConfig) -> Reader {
    let names: Vec<&str> = DIGITS.into_iter().chain(["none"]).collect();
    let spec = TaskSpec { labels: labels(&names), items: regions, none: Some(10), ..TaskSpec::default() };
    Reader::new(&config, &spec).unwrap()
}

/// Scores that read `digits`, each with `score`.
fn shown(digits: &str, score: f32) -> Tensor {
    scores(digits, score, 10)
}

/// The same for a model with a class for "nothing to read here", the answer for `?`.
fn shown_or_none(digits: &str, score: f32) -> Tensor {
    scores(digits, score, 11)
}

fn scores(digits: &str, score: f32, classes: usize) -> Tensor {
    let mut values = Vec::new();
    for digit in digits.bytes() {
        let best = if digit == b'?' { 10 } else { usize::from(digit - b'0') };
        let rest = (1.0 - score) / (classes - 1) as f32;
        values.extend((0..classes).map(|class| if class == best { score } else { rest }));
    }
    tensor(&[digits.len(), classes], &values)
}

fn monotonic() -> ClassifyConfig {
    ClassifyConfig { monotonic: true, ..ClassifyConfig::default() }
}

fn reading(output: TaskOutput) -> Reading {
    match output.outcome {
        Outcome::Reading(reading) => reading,
        other => panic!("{other:?}"),
    }
}

/// Plays readings `(seconds, digits)` and gives what is published, with `!` when held.
fn play(task: &mut Reader, readings: &[(u64, &str)]) -> Vec<String> {
    let mut published = Vec::new();
    for (seconds, digits) in readings {
        let reading = reading(run_at(task, &[&shown(digits, 0.95)], seconds * 1000).unwrap());
        let label = reading.label.unwrap_or_else(|| "nothing".into());
        assert_eq!(reading.held, reading.quality != Quality::Good && label != "nothing");
        published.push(if reading.held { format!("{label}!") } else { label });
    }
    published
}

/// `label quality score` of one picture.
fn says(reading: &Reading) -> String {
    let Reading { label, quality, held, .. } = reading;
    let label = label.as_deref().unwrap_or("nothing");
    format!("{label}{} {quality}", if *held { " held" } else { "" })
}

#[test]
fn regions_are_joined_and_changes_are_events() {
    let mut task = reader(5, ClassifyConfig::default());
    let output = run_at(&mut task, &[&shown("00412", 0.9)], 0).unwrap();
    assert_eq!((output.events.len(), output.events[0].kind), (1, EventKind::New));
    let id = output.events[0].id.clone();
    let first = reading(output);
    assert_eq!((says(&first).as_str(), first.value, first.regions.len()), ("00412 good", Some(412), 5));
    assert!((first.score - 0.9).abs() < 1e-5);
    assert_eq!(first.regions[2].label.as_deref(), Some("4"));
    assert!(run_at(&mut task, &[&shown("00412", 0.9)], 1).unwrap().events.is_empty());
    let events = run_at(&mut task, &[&shown("00413", 0.9)], 2).unwrap().events;
    assert_eq!((events[0].kind, events[0].label.as_str(), &events[0].id), (EventKind::Update, "00413", &id));
    assert_eq!(events[0].start_time, UNIX_EPOCH);
    // Uncertain: this picture's regions with their scores, and the last good reading.
    let output = run_at(&mut task, &[&shown("00999", 0.3)], 4002).unwrap();
    assert!(output.events.is_empty());
    let uncertain = reading(output);
    assert_eq!((says(&uncertain).as_str(), uncertain.value), ("00413 held uncertain", Some(413)));
    assert_eq!(uncertain.regions[4].label.as_deref(), Some("9"));
    assert!(uncertain.score < 0.31);
    let last = uncertain.last_good.unwrap();
    assert_eq!((last.time, last.age_s), (UNIX_EPOCH + Duration::from_millis(2), Some(4.0)));
    assert!((last.score - 0.9).abs() < 1e-5);
}

#[test]
fn before_the_first_good_reading_there_is_none() {
    for config in [ClassifyConfig::default(), monotonic()] {
        let mut task = reader_with_none(3, config);
        for (digits, score, said) in [
            ("123", 0.3, "nothing uncertain"),
            ("???", 0.99, "nothing unreadable"),
            ("1?3", 0.99, "nothing unreadable"),
        ] {
            let output = run_at(&mut task, &[&shown_or_none(digits, score)], 0).unwrap();
            assert!(output.events.is_empty());
            let reading = reading(output);
            assert_eq!((says(&reading).as_str(), reading.value, &reading.last_good), (said, None, &None));
        }
        assert_eq!(says(&reading(run_at(&mut task, &[&shown_or_none("123", 0.9)], 0).unwrap())), "123 good");
    }
}

#[test]
fn a_region_without_a_digit_is_no_part_of_a_reading() {
    let mut task = reader_with_none(3, ClassifyConfig::default());
    run_at(&mut task, &[&shown_or_none("123", 0.9)], 0).unwrap();
    let one = reading(run_at(&mut task, &[&shown_or_none("1?3", 0.97)], 1000).unwrap());
    assert_eq!((says(&one).as_str(), one.score), ("123 held unreadable", 0.0));
    let region =
        |label: Option<&str>, score: f32, unreadable| RegionRead { label: label.map(Into::into), score, unreadable };
    assert_eq!(one.regions[1], region(None, 0.0, Some(Unreadable::NoDigit)));
    assert_eq!((one.regions[2].label.as_deref(), one.regions[2].unreadable), (Some("3"), None));
    // A filter for digits does not make a digit of it.
    let config = ClassifyConfig { labels: vec!["1".into(), "2".into(), "3".into()], ..ClassifyConfig::default() };
    let mut task = reader_with_none(3, config);
    let reading = reading(run_at(&mut task, &[&shown_or_none("1?3", 0.97)], 0).unwrap());
    assert_eq!(says(&reading), "nothing unreadable");
}

#[test]
fn what_could_not_be_seen_is_not_read_however_sure_the_model_is() {
    use Unreadable::{LowContrast, OutOfFocus};
    for config in [ClassifyConfig::default(), monotonic()] {
        let mut task = reader(5, ClassifyConfig { smoothing: Some(10), ..config });
        run_at(&mut task, &[&shown("07019", 0.95)], 0).unwrap();
        for minute in 1..200 {
            let why: [Option<Unreadable>; 5] = match minute % 4 {
                0 => [Some(LowContrast); 5],
                1 => [Some(OutOfFocus); 5],
                2 => [None, None, Some(LowContrast), None, None],
                _ => [None, None, None, None, Some(LowContrast)],
            };
            let output = run_unreadable(&mut task, &shown("11111", 0.96), &why, minute * 60_000).unwrap();
            assert!(output.events.is_empty());
            let dark = reading(output);
            assert_eq!((says(&dark).as_str(), dark.score), ("07019 held unreadable", 0.0), "{why:?}");
            assert_eq!(dark.last_good.unwrap().age_s, Some(minute as f64 * 60.0));
            let said: Vec<_> = dark.regions.iter().map(|r| r.unreadable).collect();
            assert_eq!(said, why);
        }
        // The first picture with light is believed at once, and no average holds what was read in the dark.
        let output = run_unreadable(&mut task, &shown("07019", 0.95), &[None; 5], 200 * 60_000).unwrap();
        let light = reading(output);
        assert_eq!((says(&light).as_str(), light.last_good.unwrap().age_s), ("07019 good", Some(0.0)));
    }
}

#[test]
fn a_reading_as_a_number_is_exact_or_absent() {
    for (digits, value) in [
        ("00000", Some(0)),
        ("00412", Some(412)),
        ("999999999999999", Some(999_999_999_999_999)),
        ("0000000000000001", None),
    ] {
        let mut task = reader(digits.len(), ClassifyConfig::default());
        assert_eq!(reading(run_at(&mut task, &[&shown(digits, 0.95)], 0).unwrap()).value, value, "{digits}");
    }
}

#[test]
fn the_least_score_is_the_configured_one_else_the_constant() {
    for (min_score, score, good) in
        [(None, 0.79, false), (None, 0.81, true), (Some(0.5), 0.53, true), (Some(0.95), 0.94, false)]
    {
        for monotonic in [false, true] {
            let mut task = reader(5, ClassifyConfig { min_score, monotonic, ..ClassifyConfig::default() });
            let picture = shown("00630", score);
            // One that is not sure is believed when it comes twice, but no oftener than that makes good of uncertain.
            let mut last = reading(run_at(&mut task, &[&picture], 0).unwrap());
            for ms in 1..12 {
                last = reading(run_at(&mut task, &[&picture], ms).unwrap());
            }
            assert_eq!(last.quality == Quality::Good, good, "{min_score:?} {score} {monotonic}");
            assert_eq!(last.label.is_some(), good);
        }
    }
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
    let mut task = reader(5, ClassifyConfig { min_score: Some(0.5), ..monotonic() });
    let mut read = |digits: &str, score: f32, ms: u64| {
        reading(run_at(&mut task, &[&shown(digits, score)], ms).unwrap()).label.unwrap()
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
    // 00900 for long enough to be believed was a misreading after all; the true value is believed when it is back.
    let mut readings = vec![(0, "00500"), (1, "00500")];
    readings.extend((2..14).map(|second| (second, "00900")));
    readings.extend([(14, "00501"), (15, "00501"), (18, "00502")]);
    let published = play(&mut task, &readings);
    assert!(published[2..12].iter().all(|p| p == "00500!"), "{published:?}");
    assert_eq!(published[12..], ["00900", "00900", "00501", "00501", "00502"], "{published:?}");
}

#[test]
fn doubts_start_again_when_readings_contradict_each_other() {
    let mut task = reader(5, ClassifyConfig { confirm_s: Some(3.0), ..monotonic() });
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
    play(&mut task, &[(1, "12345")]);
    let output = run_at(&mut task, &[&shown("12346", 0.4)], 2000).unwrap();
    assert!(output.events.is_empty());
    let uncertain = reading(output);
    assert_eq!((says(&uncertain).as_str(), uncertain.regions[4].label.as_deref()), ("12345 held uncertain", Some("6")));

    let spec = TaskSpec { labels: labels(&["1", "blank"]), items: 2, ..TaskSpec::default() };
    let mut task = Reader::new(&monotonic(), &spec).unwrap();
    run_at(&mut task, &[&tensor(&[2, 2], &[1.0, 0.0, 1.0, 0.0])], 0).unwrap();
    let blank = reading(run_at(&mut task, &[&tensor(&[2, 2], &[0.0, 1.0, 1.0, 0.0])], 0).unwrap());
    assert_eq!(says(&blank), "11 held unreadable");
    assert_eq!(blank.regions[0].unreadable, Some(Unreadable::NoDigit));
}

#[test]
fn a_drum_on_its_way_is_an_ordinary_moment() {
    let mut task = reader_with_none(5, monotonic());
    let mut look = |digits: &str, score: f32, ms: u64| {
        says(&reading(run_at(&mut task, &[&shown_or_none(digits, score)], ms).unwrap()))
    };
    assert_eq!(look("00423", 0.95, 0), "00423 good");
    assert_eq!(look("0042?", 0.95, 100), "00423 held rolling");
    assert_eq!(look("00424", 0.95, 200), "00424 good");
    assert_eq!(look("0?424", 0.95, 300), "00424 held unreadable");
}

#[test]
fn a_memory_is_kept_and_taken_up() {
    let mut task = reader(5, monotonic());
    assert_eq!(task.memory(), None);
    play(&mut task, &[(1, "07019")]);
    assert_eq!(task.memory(), None, "read once only: it may be a misreading");
    play(&mut task, &[(2, "07019"), (4, "07020"), (6, "07021")]);
    let memory = task.memory().unwrap();
    assert_eq!((memory.reading.to_string(), memory.time), ("07021".into(), UNIX_EPOCH + Duration::from_secs(6)));
    assert!(memory.fastest_per_hour > 800.0 && memory.fastest_per_hour <= 1800.0, "{memory:?}");

    let restored = |regions: usize, config: ClassifyConfig| {
        let mut task = reader(regions, config);
        task.restore(memory);
        task
    };
    // An hour later (a test's clock counts from 1970), and first of all in the dark.
    let mut task = restored(5, monotonic());
    let dark = reading(
        run_unreadable(&mut task, &shown("11111", 0.96), &[Some(Unreadable::LowContrast); 5], 3_606_000).unwrap(),
    );
    assert_eq!((says(&dark).as_str(), dark.last_good.unwrap().age_s), ("07021 held unreadable", Some(3600.0)));
    assert_eq!(play(&mut task, &[(3607, "97021"), (3608, "07025")]), ["07021!", "07025"]);
    // The clock is behind: nobody knows how old it is.
    let mut task = restored(5, monotonic());
    let first = reading(run_at(&mut task, &[&shown("07090", 0.95)], 2000).unwrap());
    assert_eq!((says(&first).as_str(), first.last_good.unwrap().age_s), ("07021 held unconfirmed", None));
    assert_eq!(play(&mut task, &[(3, "07021")]), ["07021"]);
    // It is nothing to a counter of another size, or to readings that may do what they like.
    assert_eq!(play(&mut restored(4, monotonic()), &[(10, "1234")]), ["1234"]);
    let mut task = restored(5, ClassifyConfig::default());
    assert_eq!(play(&mut task, &[(10, "11111")]), ["11111"]);
    assert_eq!(task.memory(), None);
}

#[test]
fn settings_that_make_no_sense_for_the_model_are_named() {
    let of = |names: &[&str], items: usize, config: ClassifyConfig| {
        Reader::new(&config, &TaskSpec { labels: labels(names), items, ..TaskSpec::default() })
            .err()
            .map(|e| e.to_string())
    };
    assert!(
        of(&["cat", "dog"], 3, monotonic()).unwrap().starts_with("monotonic: none of the model's labels is a digit")
    );
    assert!(of(&DIGITS, 19, monotonic()).unwrap().starts_with("monotonic: 19 regions"));
    assert!(
        of(&DIGITS, 5, ClassifyConfig { max_rate: Some(-1.0), ..monotonic() })
            .unwrap()
            .starts_with("max_rate: found -1")
    );
    assert!(
        of(&DIGITS, 5, ClassifyConfig { max_step: Some(0), ..monotonic() }).unwrap().starts_with("max_step: found 0")
    );
    assert_eq!(of(&["cat", "dog"], 30, ClassifyConfig::default()), None);
    assert_eq!(of(&DIGITS, 18, monotonic()), None);
}

#[test]
fn too_few_items_are_an_error() {
    let mut task = reader(5, ClassifyConfig::default());
    let error = run_at(&mut task, &[&shown("1234", 0.9)], 0).unwrap_err();
    assert!(error.to_string().contains("items 0 to 4"), "{error}");
}
