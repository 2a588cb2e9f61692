//! Agreement of outcomes of each kind.

use super::*;
use crate::frame::{Label, PositionRead, Quality, Reading, RegionRead, Scored, TaskKind, Unreadable};

fn class(top: &[(&str, f32)]) -> Outcome {
    let top: Vec<_> = top.iter().map(|(label, score)| Scored { label: Label::from(*label), score: *score }).collect();
    let unreadable = top.is_empty().then_some(Unreadable::LowContrast);
    // Below the least score no label is published: the best class is still the best.
    Outcome::Classify { label: String::new(), score: top.first().map_or(0.0, |best| best.score), top, unreadable }
}

#[test]
fn classes_agree_by_the_best_one() {
    let compare = |a: &[(&str, f32)], b: &[(&str, f32)]| match agreement(&class(a), &class(b)) {
        Agreement::Class { same, score_difference } => (same, (score_difference * 1e3).round() / 1e3),
        other => panic!("{other:?}"),
    };
    assert_eq!(compare(&[("cat", 0.9), ("dog", 0.1)], &[("cat", 0.7), ("dog", 0.3)]), (true, 0.2));
    assert_eq!(compare(&[("cat", 0.6), ("dog", 0.4)], &[("dog", 0.7), ("cat", 0.3)]), (false, 0.3));
    assert_eq!(compare(&[("cat", 0.6)], &[]), (false, 0.6));
    assert_eq!(compare(&[], &[]), (true, 0.0));
}

#[test]
fn objects_are_matched_lost_and_added() {
    let detect = |boxes: &[(&str, [f32; 4])]| Outcome::Detect {
        task: TaskKind::Detect,
        detections: boxes.iter().map(|(label, bbox)| Detection::new((*label).into(), 0.9, *bbox)).collect(),
        counts: Default::default(),
        zones: Default::default(),
        lines: Default::default(),
        source_width: 100,
        source_height: 100,
    };
    let a = detect(&[("cat", [0.0, 0.0, 10.0, 10.0]), ("dog", [20.0, 20.0, 30.0, 30.0])]);
    let b = detect(&[("cat", [0.0, 0.0, 10.0, 8.0])]);
    let Agreement::Boxes { matched, lost, added, overlap, .. } = agreement(&a, &b) else { panic!("no boxes") };
    assert_eq!((matched, lost, added), (1, 1, 0));
    assert!((overlap - 0.8).abs() < 1e-6);
    assert_eq!(agreement(&a, &class(&[("cat", 0.9)])), Agreement::Incomparable);
}

#[test]
fn readings_agree_by_this_pictures_places() {
    let reading = |labels: &[Option<&str>]| {
        Outcome::Reading(Reading {
            label: Some("held from before".into()),
            value: None,
            score: 0.0,
            quality: Quality::Uncertain,
            held: true,
            regions: labels
                .iter()
                .map(|label| RegionRead { label: label.map(Label::from), score: 0.5, unreadable: None })
                .collect(),
            last_good: None,
        })
    };
    let a = reading(&[Some("1"), Some("2"), None]);
    assert_eq!(agreement(&a, &a), Agreement::Reading { same: true, places_same: 3, places: 3 });
    let b = reading(&[Some("1"), Some("7"), None]);
    assert_eq!(agreement(&a, &b), Agreement::Reading { same: false, places_same: 2, places: 3 });
    let short = reading(&[Some("1")]);
    assert_eq!(agreement(&a, &short), Agreement::Reading { same: false, places_same: 1, places: 3 });
}

#[test]
fn positions_go_round() {
    let position = |position: Option<f32>| Outcome::Position {
        positions: vec![PositionRead { position, score: 0.9, unreadable: None }],
    };
    let same = |a, b| matches!(agreement(&position(a), &position(b)), Agreement::Reading { same: true, .. });
    assert!(same(Some(9.9), Some(0.1)) && same(None, None));
    assert!(!same(Some(9.9), Some(0.5)) && !same(Some(1.0), None));
}

#[test]
fn areas_are_compared_where_they_are() {
    let map = |width, height, runs: &[[usize; 2]]| Outcome::Semantic {
        classes: Vec::new(),
        map: ClassMap { width, height, bbox: [0.0, 0.0, 8.0, 4.0], runs: runs.to_vec() },
        source_width: 8,
        source_height: 4,
    };
    let fine = map(4, 2, &[[0, 2], [1, 2], [0, 2], [1, 2]]);
    let coarse = map(2, 1, &[[0, 1], [1, 1]]);
    assert_eq!(agreement(&fine, &coarse), Agreement::Places { same: 8, places: 8 });
    assert_eq!(agreement(&fine, &map(4, 2, &[[0, 8]])), Agreement::Places { same: 4, places: 8 });
    assert_eq!(agreement(&fine, &map(4, 2, &[[0, 3]])), Agreement::Incomparable, "a map that is cut short");
    assert_eq!(agreement(&fine, &map(4, 2, &[[0, usize::MAX]])), Agreement::Places { same: 4, places: 8 });
}

#[test]
fn bare_values_are_compared_by_noise_and_largest() {
    let raw = |values: &[f32]| Outcome::Raw {
        outputs: vec![RawOutput {
            name: "y".into(),
            shape: vec![1, values.len()],
            values: values.to_vec(),
            truncated: false,
        }],
    };
    let Agreement::Values { difference, same_largest } = agreement(&raw(&[1.0, 3.0]), &raw(&[1.0, 2.0])) else {
        panic!("no values")
    };
    assert_eq!((difference.noise, difference.signal, same_largest), (1.0, 10.0, Some(true)));
    assert_eq!(agreement(&raw(&[1.0]), &raw(&[1.0, 2.0])), Agreement::Incomparable);
    assert!(matches!(
        agreement(&raw(&[1.0, f32::NAN]), &raw(&[f32::NAN, 1.0])),
        Agreement::Values { same_largest: Some(false), difference: Difference { broken: 2, .. } }
    ));
}
