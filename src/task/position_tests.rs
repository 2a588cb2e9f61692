use super::*;
use crate::task::testing::{Tensor, labels, run_at, run_unreadable, tensor};

/// Scores of `count` positions and "none", each given as its class and part.
fn turn(count: usize, rows: &[&[(usize, f32)]]) -> Tensor {
    let mut values = vec![0.0; rows.len() * (count + 1)];
    for (row, parts) in values.chunks_exact_mut(count + 1).zip(rows) {
        parts.iter().for_each(|(class, part)| row[*class] = *part);
    }
    let mut tensor = tensor(&[rows.len(), count + 1], &values);
    tensor.spec.name = "position".into();
    tensor
}

fn task(items: usize, config: PositionConfig) -> Box<dyn Task> {
    config.task(&TaskSpec { position: Some("position".into()), items, ..TaskSpec::default() }).unwrap()
}

fn read(task: &mut dyn Task, output: &Tensor) -> Vec<PositionRead> {
    task.fits(std::slice::from_ref(&output.spec)).unwrap();
    match run_at(task, &[output], 0).unwrap().outcome {
        Outcome::Position { positions } => positions,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_position_is_the_mean_of_neighbours_also_over_the_end_of_the_turn() {
    let check = |count: usize, parts: &[(usize, f32)], wanted: Option<f32>, score: f32| {
        let found = read(task(1, PositionConfig::default()).as_mut(), &turn(count, &[parts]));
        let near = |a: Option<f32>, b: Option<f32>| match (a, b) {
            (Some(a), Some(b)) => (a - b).abs() < 1e-4,
            (a, b) => a == b,
        };
        assert!(near(found[0].position, wanted) && (found[0].score - score).abs() < 1e-4, "{parts:?}: {found:?}");
    };
    check(10, &[(3, 0.6), (4, 0.4)], Some(3.4), 1.0);
    check(10, &[(9, 0.5), (0, 0.5)], Some(9.5), 1.0);
    check(10, &[(0, 0.9), (9, 0.06), (1, 0.04)], Some(9.9375), 0.96);
    check(20, &[(0, 0.5), (19, 0.25), (1, 0.25)], Some(0.0), 1.0);
    check(20, &[(19, 0.5), (0, 0.5)], Some(9.75), 1.0);
    check(40, &[(13, 0.5), (14, 0.5)], Some(3.375), 1.0);
    // Nothing there; a tip that might as well be the tail.
    check(10, &[(10, 0.6), (2, 0.4)], None, 0.0);
    check(20, &[(5, 0.5), (15, 0.5)], None, 0.5);
}

#[test]
fn logits_are_told_from_scores_and_doubt_from_nothing() {
    let row = [-4.0, 6.0, -4.0, -4.0, -4.0, -4.0, -4.0, -4.0, -4.0, -4.0, -4.0];
    let found = read(task(1, PositionConfig::default()).as_mut(), &{
        let mut tensor = tensor(&[1, 11], &row);
        tensor.spec.name = "position".into();
        tensor
    });
    assert!((found[0].position.unwrap() - 1.0).abs() < 0.01 && found[0].score > 0.99, "{found:?}");
    let output = turn(10, &[&[(3, 1.0)], &[(3, 0.32), (8, 0.32), (10, 0.36)], &[(3, 0.4), (8, 0.3), (10, 0.3)]]);
    let found = read(task(3, PositionConfig::default()).as_mut(), &output);
    let told: Vec<_> = found.iter().map(|read| (read.position.is_some(), read.unreadable)).collect();
    assert_eq!(told, [(true, None), (false, Some(Unreadable::NoDigit)), (false, None)]);
    let dark = [Some(Unreadable::LowContrast), None, None];
    let outcome = run_unreadable(task(3, PositionConfig::default()).as_mut(), &output, &dark, 0).unwrap().outcome;
    let Outcome::Position { positions } = outcome else { panic!() };
    assert_eq!((positions[0].position, positions[0].unreadable), (None, Some(Unreadable::LowContrast)));
}

#[test]
fn labels_that_are_numbers_are_positions_in_whatever_order() {
    let names = ["none", "9", "8", "7", "6", "5", "4", "3", "2", "1", "0"];
    let spec = TaskSpec { labels: labels(&names), none: Some(0), items: 1, ..TaskSpec::default() };
    let mut task = PositionConfig::default().task(&spec).unwrap();
    let mut values = [0.0; 11];
    (values[1], values[10]) = (0.75, 0.25);
    let found = read(task.as_mut(), &tensor(&[1, 11], &values));
    assert!((found[0].position.unwrap() - 9.25).abs() < 1e-4, "{found:?}");
    for names in [vec!["cat", "dog"], vec!["0", "1", "2"], vec!["0", "1", "2", "3", "4", "5", "6", "7", "8", "8.5"]] {
        let spec = TaskSpec { labels: labels(&names), items: 1, ..TaskSpec::default() };
        assert!(PositionConfig::default().task(&spec).is_err_and(|error| error.key == "labels"), "{names:?}");
    }
}

#[test]
fn an_output_of_another_form_is_refused_by_its_name() {
    let check = |output: &Tensor, word: &str| {
        let error = task(1, PositionConfig::default()).fits(std::slice::from_ref(&output.spec)).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    };
    check(&turn(11, &[&[]]), "[1, 12]");
    check(&tensor(&[1, 11], &[0.0; 11]), "position");
}
