//! Figures beside those of pycocotools (`tests/tools/coco_reference.py`), and small cases by hand.

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Case {
    pictures: Vec<Picture>,
    figures: BTreeMap<String, Option<f64>>,
}

#[derive(Deserialize)]
struct Picture {
    truths: Vec<(usize, [f64; 4], f64, bool)>,
    found: Vec<(usize, [f64; 4], f64)>,
}

fn objects(pictures: &[Picture]) -> Objects {
    let mut objects = Objects::default();
    for picture in pictures {
        let truths: Vec<_> =
            picture.truths.iter().map(|&(class, bbox, area, crowd)| Truth { class, bbox, area, crowd }).collect();
        let found: Vec<_> = picture.found.iter().map(|&(class, bbox, score)| Found { class, bbox, score }).collect();
        objects.add(&truths, &found);
    }
    objects
}

#[test]
fn figures_are_those_of_pycocotools() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/evaluate/coco.json");
    let file = std::env::var_os("LEPTOND_COCO_CASES").map_or(file, Into::into);
    let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert!(!cases.is_empty());
    for (number, case) in cases.iter().enumerate() {
        let figures = serde_json::to_value(objects(&case.pictures).precision()).unwrap();
        for (name, wanted) in &case.figures {
            let found = figures[name].as_f64();
            let near = match (found, wanted) {
                (Some(found), Some(wanted)) => (found - wanted).abs() < 1e-9,
                (found, wanted) => found == *wanted,
            };
            assert!(near, "case {number}: {name} is {found:?}, pycocotools says {wanted:?}");
        }
    }
}

fn truth(bbox: [f64; 4]) -> Truth {
    Truth { class: 0, bbox, area: bbox[2] * bbox[3], crowd: false }
}

fn found(bbox: [f64; 4], score: f64) -> Found {
    Found { class: 0, bbox, score }
}

#[test]
fn a_box_is_right_once() {
    let mut objects = Objects::default();
    let bbox = [10.0, 10.0, 50.0, 50.0];
    objects.add(&[truth(bbox), truth([200.0, 10.0, 50.0, 50.0])], &[found(bbox, 0.9), found(bbox, 0.8)]);
    // Half of the objects at full precision: 51 of 101 places of the curve.
    assert!((objects.precision().ap.unwrap() - 51.0 / 101.0).abs() < 1e-12);
    assert_eq!(objects.at_score(0.5), AtScore { right: 1, wrong: 1, missed: 1 });
    assert_eq!(objects.at_score(0.85), AtScore { right: 1, wrong: 0, missed: 1 });
    assert_eq!(objects.each(), [(0, 2, objects.precision().ap.unwrap())]);
}

#[test]
fn no_objects_have_no_figure_and_none_found_has_nought() {
    assert_eq!(Objects::default().precision(), Precision::default());
    let mut objects = Objects::default();
    objects.add(&[truth([0.0, 0.0, 200.0, 200.0])], &[]);
    let figures = objects.precision();
    assert_eq!(
        (figures.ap, figures.ap_large, figures.ap_small, figures.ar100),
        (Some(0.0), Some(0.0), None, Some(0.0))
    );
}

#[test]
fn pictures_may_be_taken_several_times_or_not() {
    let mut objects = Objects::default();
    let bbox = [10.0, 10.0, 50.0, 50.0];
    objects.add(&[truth(bbox)], &[found(bbox, 0.9)]);
    objects.add(&[truth(bbox)], &[]);
    let half = objects.precision().ap.unwrap();
    let full = objects.weighted(&[2, 0]).unwrap();
    assert!((objects.weighted(&[1, 1]).unwrap() - half).abs() < 1e-12);
    assert!(
        (full - 1.0).abs() < 1e-12 && objects.weighted(&[0, 1]) == Some(0.0) && objects.weighted(&[0, 0]).is_none()
    );
}
