//! Maps of classes against hand-made outputs.

use super::*;
use crate::task::testing::{Tensor, labels, run_with, tensor};

fn semantic(names: &[&str], size: [usize; 2]) -> Box<dyn Task> {
    let spec = TaskSpec { labels: labels(names), input_size: size, items: 1, ..TaskSpec::default() };
    SemanticConfig::default().task(&spec).unwrap()
}

#[track_caller]
fn seen(names: &[&str], size: [usize; 2], output: &Tensor, geometry: &[Geometry]) -> (Vec<(String, f32)>, ClassMap) {
    match run_with(semantic(names, size).as_mut(), &[], &[output], geometry, 0, 0).unwrap().outcome {
        Outcome::Semantic { classes, map, .. } => {
            (classes.into_iter().map(|class| (class.label.to_string(), class.share)).collect(), map)
        }
        other => panic!("{other:?}"),
    }
}

/// Scores of three classes over 2 x 4 places, by planes: road, sky, car.
const PLANES: [[f32; 8]; 3] = [
    [0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.2],
    [0.8, 0.8, 0.8, 0.8, 0.0, 0.0, 0.0, 0.0],
    [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.8],
];

#[test]
fn every_layout_gives_the_same() {
    let names = ["road", "sky", "car"];
    let wanted = [("sky".to_string(), 0.5), ("road".into(), 0.375), ("car".into(), 0.125)];
    let rows: Vec<f32> = (0..8).flat_map(|place| PLANES.map(|plane| plane[place])).collect();
    for output in [tensor(&[1, 3, 2, 4], PLANES.as_flattened()), tensor(&[1, 2, 4, 3], &rows)] {
        let (classes, map) = seen(&names, [20, 40], &output, &[]);
        assert_eq!(classes, wanted);
        assert_eq!((map.width, map.height, map.bbox), (4, 2, [0.0, 0.0, 40.0, 20.0]));
        assert_eq!(map.runs, [[1, 4], [0, 3], [2, 1]]);
    }
    let mut scores = tensor(&[1, 1, 2, 2], &[0.2, 0.7, 0.4, 0.9]);
    assert_eq!(seen(&["rest", "person"], [4, 4], &scores, &[]).1.runs, [[0, 1], [1, 1], [0, 1], [1, 1]]);
    scores.f32 = vec![-2.0, 0.3, -0.1, 4.0];
    assert_eq!(seen(&["rest", "person"], [4, 4], &scores, &[]).0, [("rest".to_string(), 0.5), ("person".into(), 0.5)]);
}

#[test]
fn what_pads_the_picture_is_not_of_it() {
    // A source of 40 x 20 letterboxed into 40 x 40: rows 0 and 3 of four are padding.
    let values: Vec<f32> = (0..3).flat_map(|class| (0..16).map(move |place| f32::from(place / 4 == class))).collect();
    let geometry = [Geometry { scale: [1.0; 2], offset: [0.0, -10.0], source: [40, 20] }];
    let (classes, map) = seen(&["a", "b", "c"], [40, 40], &tensor(&[1, 3, 4, 4], &values), &geometry);
    assert_eq!(classes, [("b".to_string(), 0.5), ("c".into(), 0.5)]);
    assert_eq!((map.width, map.height, map.bbox), (4, 2, [0.0, 0.0, 40.0, 20.0]));
}

#[test]
fn a_large_map_is_thinned_and_every_place_counts() {
    let mut values = vec![0.0; 2 * 300 * 300];
    values[300 * 300..300 * 300 + 30 * 300].fill(1.0);
    let (classes, map) = seen(&["rest", "road"], [300, 300], &tensor(&[1, 2, 300, 300], &values), &[]);
    assert_eq!(classes, [("rest".to_string(), 0.9), ("road".into(), 0.1)]);
    assert!(map.width <= MOST_CELLS && map.height <= MOST_CELLS && map.width > MOST_CELLS / 2);
    assert_eq!(map.runs.iter().map(|[_, cells]| cells).sum::<usize>(), map.width * map.height);
}

#[test]
fn outputs_of_other_shapes_and_values_are_refused() {
    for (names, output, part) in [
        (&["a", "b"][..], tensor(&[1, 3, 4, 4], &[0.0; 48]), "2 classes, one for each label"),
        (&["a", "b"], tensor(&[1, 2], &[0.0; 2]), "[N, classes, H, W]"),
        (&["a", "b"], tensor(&[1, 2, 1, 1], &[f32::NAN; 2]), "row 0 and column 0 has no class"),
    ] {
        let error = run_with(semantic(names, [4, 4]).as_mut(), &[], &[&output], &[], 0, 0).unwrap_err();
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
}
