//! Tests of whole-picture classification.

use super::*;
use crate::event::Subject;
use crate::frame::{Event, EventKind};
use crate::task::testing::{WithEvents, labels, quantised, run_at, run_unreadable, run_with, tensor};

fn classify(config: ClassifyConfig, names: &[&str]) -> Classify {
    Classify::new(&config, &TaskSpec { labels: labels(names), items: 1, ..TaskSpec::default() }).unwrap()
}

fn parts(output: TaskOutput) -> (String, f32, Vec<(String, f32)>, Vec<Event>) {
    match output.outcome {
        Outcome::Classify { label, score, top, unreadable } => {
            assert_eq!(unreadable, None);
            (label, score, top.into_iter().map(|t| (t.label.to_string(), t.score)).collect(), output.events)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn logits_go_through_softmax_and_distributions_do_not() {
    let mut task = classify(ClassifyConfig { top_k: Some(2), ..ClassifyConfig::default() }, &["a", "b", "c"]);
    let (label, score, top, _) = parts(run_at(&mut task, &[&tensor(&[1, 3], &[1.0, 3.0, -2.0])], 0).unwrap());
    let wanted = 1.0 / (1.0 + (-2.0_f32).exp() + (-5.0_f32).exp());
    assert_eq!((label.as_str(), top.len()), ("b", 2));
    assert!((score - wanted).abs() < 1e-6);
    assert_eq!(top[1].0, "a");
    // Once logits, always logits: values that happen to look like a distribution later are not taken for one.
    let (_, score, ..) = parts(run_at(&mut task, &[&tensor(&[1, 3], &[0.1, 0.8, 0.1])], 0).unwrap());
    assert!((score - 0.5017).abs() < 1e-3, "{score}");

    let mut task = classify(ClassifyConfig::default(), &["a", "b", "c"]);
    let (_, score, ..) = parts(run_at(&mut task, &[&tensor(&[1, 3], &[0.1, 0.805, 0.1])], 0).unwrap());
    assert_eq!(score, 0.805);
}

#[test]
fn told_or_quantised_to_unit_range_is_not_guessed() {
    let mut told = classify(ClassifyConfig { softmax: Some(true), ..ClassifyConfig::default() }, &["a", "b"]);
    let (_, score, ..) = parts(run_at(&mut told, &[&tensor(&[1, 2], &[0.0, 1.0])], 0).unwrap());
    assert!((score - 0.731).abs() < 1e-3);
    let mut told = classify(ClassifyConfig { softmax: Some(false), ..ClassifyConfig::default() }, &["a", "b"]);
    let (_, score, ..) = parts(run_at(&mut told, &[&tensor(&[1, 2], &[0.0, 7.5])], 0).unwrap());
    assert_eq!(score, 7.5);
    // 1000 classes that each lost a little to rounding sum to far less than 1, but int8 of scale 1/256 holds scores.
    let mut values = vec![0.0; 1000];
    values[7] = 0.5;
    let mut scores = classify(ClassifyConfig::default(), &[]);
    let (label, score, ..) =
        parts(run_at(&mut scores, &[&quantised(&[1, 1000], &values, 1.0 / 256.0, -128)], 0).unwrap());
    assert_eq!((label.as_str(), score), ("7", 0.5));
    // The same bytes with a logit's scale are logits.
    let mut logits = classify(ClassifyConfig::default(), &[]);
    let (_, score, ..) = parts(run_at(&mut logits, &[&quantised(&[1, 2], &[0.3, 0.7], 0.1, 0)], 0).unwrap());
    assert!((score - 0.5987).abs() < 1e-3, "{score}");
}

#[test]
fn least_score_and_label_filter() {
    let config =
        ClassifyConfig { min_score: Some(0.6), labels: vec!["c".into(), "b".into()], ..ClassifyConfig::default() };
    let mut task = classify(config, &["a", "b", "c"]);
    let (label, score, top, events) = parts(run_at(&mut task, &[&tensor(&[1, 3], &[0.6, 0.3, 0.1])], 0).unwrap());
    assert_eq!((label.as_str(), score, events.len()), ("", 0.3, 0));
    assert_eq!(top, [("b".to_string(), 0.3), ("c".to_string(), 0.1)]);
    let error = Classify::new(
        &ClassifyConfig { labels: vec!["dgo".into()], ..ClassifyConfig::default() },
        &TaskSpec { labels: labels(&["cat", "dog"]), ..TaskSpec::default() },
    );
    let message = error.err().unwrap().to_string();
    assert!(message.contains("labels") && message.contains("dgo") && message.contains("\"dog\""), "{message}");
}

#[test]
fn events_follow_the_smoothed_top_label() {
    let task =
        classify(ClassifyConfig { smoothing: Some(5), min_score: Some(0.5), ..ClassifyConfig::default() }, &["a", "b"]);
    let mut task = WithEvents::new(task, Subject::Label);
    let a = tensor(&[1, 2], &[0.9, 0.1]);
    let b = tensor(&[1, 2], &[0.1, 0.9]);
    let mut told = Vec::new();
    // One stray frame changes nothing, two in a row do.
    for (i, out) in [&a, &a, &b, &a, &a, &b, &b, &b].into_iter().enumerate() {
        for event in parts(run_at(&mut task, &[out], i as u64 * 100).unwrap()).3 {
            told.push((i, event.kind, event.label.clone(), event.id.clone(), event.end_time.is_some()));
        }
    }
    let ids: Vec<_> = told.iter().map(|t| t.3.clone()).collect();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[1], ids[2]);
    let told: Vec<_> = told.into_iter().map(|t| (t.0, t.1, t.2, t.4)).collect();
    assert_eq!(
        told,
        [
            (0, EventKind::New, "a".into(), false),
            (6, EventKind::End, "a".into(), true),
            (6, EventKind::New, "b".into(), false)
        ]
    );
}

#[test]
fn wrong_outputs_are_errors_that_name_the_tensor() {
    let mut task = classify(ClassifyConfig::default(), &["a", "b", "c"]);
    let fails = |task: &mut Classify, outputs: &[&crate::task::testing::Tensor], first| {
        run_with(task, &[], outputs, &[], first, 0).unwrap_err().to_string()
    };
    let message = fails(&mut task, &[&tensor(&[1, 4], &[0.0; 4])], 0);
    assert!(message.contains("\"out\"") && message.contains("4 classes") && message.contains("3 labels"), "{message}");
    assert!(fails(&mut task, &[], 0).contains("0 outputs"));
    assert!(fails(&mut task, &[&tensor(&[1, 3], &[f32::NAN; 3])], 0).contains("finite"));
    assert!(fails(&mut task, &[&tensor(&[1, 3], &[0.0; 3])], 1).contains("items 1 to 1"));
    assert!(fails(&mut task, &[&tensor(&[0, 3], &[])], 0).contains("shape [0, 3]"));
}

#[test]
fn one_nan_does_not_win() {
    let mut task = classify(ClassifyConfig::default(), &["a", "b", "c"]);
    let (label, ..) = parts(run_at(&mut task, &[&tensor(&[1, 3], &[f32::NAN, 1.0, f32::NEG_INFINITY])], 0).unwrap());
    assert_eq!(label, "b");
}

#[test]
fn the_frame_s_own_item_of_a_batch_is_read() {
    let mut task = classify(ClassifyConfig::default(), &["a", "b"]);
    let batch = tensor(&[3, 2], &[1.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
    assert_eq!(parts(run_with(&mut task, &[], &[&batch], &[], 1, 0).unwrap()).0, "b");
    assert_eq!(parts(run_with(&mut task, &[], &[&batch], &[], 2, 0).unwrap()).0, "a");
}

#[test]
fn nothing_to_read_is_no_label() {
    let spec = TaskSpec { labels: labels(&["1", "none"]), items: 1, none: Some(1), ..TaskSpec::default() };
    let task = Classify::new(&ClassifyConfig { labels: vec!["1".into()], ..ClassifyConfig::default() }, &spec).unwrap();
    let mut task = WithEvents::new(task, Subject::Label);
    let one = tensor(&[1, 2], &[0.9, 0.1]);
    assert_eq!(parts(run_at(&mut task, &[&one], 0).unwrap()).0, "1");
    let output = run_at(&mut task, &[&tensor(&[1, 2], &[0.1, 0.9])], 0).unwrap();
    assert_eq!(output.events[0].kind, EventKind::End);
    let Outcome::Classify { label, top, unreadable, .. } = output.outcome else { panic!() };
    assert_eq!((label.as_str(), &*top[0].label, unreadable), ("", "none", Some(Unreadable::NoDigit)));
    // What could not be seen is nothing either, whatever the model says of it.
    run_at(&mut task, &[&one], 0).unwrap();
    let output = run_unreadable(&mut task, &one, &[Some(Unreadable::LowContrast)], 0).unwrap();
    assert_eq!(output.events[0].kind, EventKind::End);
    let Outcome::Classify { label, score, top, unreadable } = output.outcome else { panic!() };
    assert_eq!((label.as_str(), score, top.len(), unreadable), ("", 0.0, 0, Some(Unreadable::LowContrast)));
}
