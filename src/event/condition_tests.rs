//! The best label over time, through the stage.

use std::sync::Arc;

use super::super::config::{Config, Confirm, EventConfig};
use super::super::settings::{Settings, Subject};
use super::super::stage::Events;
use super::*;
use crate::frame::{EventKind, Outcome, Scored};

fn stage(event: EventConfig) -> Events {
    Events::new(&Settings { config: Config { event, ..Config::default() }, subject: Subject::Label })
}

/// Frames, one a second, each with the scores of `a` and `b`; the best one is the label, from 0.5 on.
fn run(stage: &mut Events, from: u64, frames: &[(f32, f32)]) -> Vec<(usize, EventKind, String)> {
    let mut told = Vec::new();
    for (i, (a, b)) in frames.iter().enumerate() {
        let mut top: Vec<Scored> =
            [("a", *a), ("b", *b)].map(|(label, score)| Scored { label: Arc::from(label), score }).into();
        top.sort_by(|x, y| y.score.total_cmp(&x.score));
        let label = if top[0].score >= 0.5 { top[0].label.to_string() } else { String::new() };
        let mut outcome = Outcome::Classify { label, score: top[0].score, top, unreadable: None };
        let now = Duration::from_secs(from + i as u64);
        let events = stage.frame(&mut outcome, &[], now, SystemTime::UNIX_EPOCH + now);
        told.extend(events.into_iter().map(|event| (i, event.kind, event.label)));
    }
    told
}

fn of(told: &[(usize, EventKind, String)]) -> Vec<(usize, EventKind, &str)> {
    told.iter().map(|(i, kind, label)| (*i, *kind, label.as_str())).collect()
}

use EventKind::{End, New};

const A: (f32, f32) = (0.8, 0.1);
const B: (f32, f32) = (0.1, 0.8);
const NONE: (f32, f32) = (0.2, 0.2);

#[test]
fn each_label_takes_the_place_of_the_one_before() {
    let told = run(&mut stage(EventConfig::default()), 0, &[A, A, B, NONE, A]);
    assert_eq!(of(&told), [(0, New, "a"), (2, End, "a"), (2, New, "b"), (3, End, "b"), (4, New, "a")]);
}

#[test]
fn a_text_begins_and_ends_as_a_label_does() {
    let mut stage = stage(EventConfig { enter_score: Some(0.7), ..EventConfig::default() });
    let mut told = Vec::new();
    for (i, (text, score)) in [(Some("AB"), 0.9), (Some("AB"), 0.9), (Some("CD"), 0.6), (None, 0.9)].iter().enumerate()
    {
        let mut outcome = Outcome::Text { text: text.map(str::to_owned), score: *score, regions: Vec::new() };
        let now = Duration::from_secs(i as u64);
        let events = stage.frame(&mut outcome, &[], now, SystemTime::UNIX_EPOCH + now);
        told.extend(events.into_iter().map(|event| (i, event.kind, event.label)));
    }
    assert_eq!(of(&told), [(0, New, "AB"), (2, End, "AB")]);
}

#[test]
fn a_stray_frame_neither_begins_nor_ends_what_must_be_confirmed() {
    let event =
        EventConfig { confirm: Some(Confirm { seen: 2, of: 3 }), vanish_s: Some(2.5), ..EventConfig::default() };
    let told = run(&mut stage(event), 0, &[B, A, A, B, A, NONE, NONE, NONE, NONE]);
    assert_eq!(of(&told), [(2, New, "a"), (7, End, "a")]);
    // One that is confirmed takes the place of the other, although that one is waited for.
    let event =
        EventConfig { vanish_s: Some(60.0), confirm: Some(Confirm { seen: 2, of: 2 }), ..EventConfig::default() };
    let told = run(&mut stage(event), 0, &[A, A, B, B, A, A]);
    assert_eq!(of(&told), [(1, New, "a"), (3, End, "a"), (3, New, "b"), (5, End, "b"), (5, New, "a")]);
}

#[test]
fn hysteresis_of_the_score() {
    let event = EventConfig { enter_score: Some(0.7), leave_score: Some(0.3), ..EventConfig::default() };
    let told = run(&mut stage(event), 0, &[(0.6, 0.1), (0.75, 0.1), (0.4, 0.1), (0.35, 0.6), (0.2, 0.6), (0.1, 0.9)]);
    assert_eq!(of(&told), [(1, New, "a"), (4, End, "a"), (5, New, "b")]);
}

#[test]
fn a_stop_and_a_silence_end_what_goes_on() {
    let mut stage = stage(EventConfig::default());
    run(&mut stage, 0, &[A, A]);
    assert!(stage.idle(Duration::from_secs(50)).is_empty());
    let ended = stage.idle(Duration::from_secs(70));
    assert_eq!(ended.len(), 1);
    assert_eq!((ended[0].kind, ended[0].end_time), (End, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1))));
    run(&mut stage, 100, &[B]);
    assert_eq!(stage.end(Duration::from_secs(101)).len(), 1);
    assert!(stage.end(Duration::from_secs(101)).is_empty());
}

#[test]
fn candidates_are_bounded() {
    let rules = Rules::new(
        &EventConfig { confirm: Some(Confirm { seen: 60, of: 60 }), ..EventConfig::default() },
        &super::super::settings::LABEL,
    );
    let mut conditions = Conditions::new(rules);
    for i in 0..1000_u64 {
        let label = format!("label {i}");
        let sight = Sight { label: &label, score: 0.9, look: Look::Seen, channels: &[] };
        conditions.frame(&[sight], Duration::from_millis(i), SystemTime::UNIX_EPOCH);
        assert!(conditions.cases.len() <= MAX_CASES);
    }
}
