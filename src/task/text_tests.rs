use super::*;
use crate::frame::Unreadable;
use crate::task::testing::{Tensor, labels, quantised, run_at, run_unreadable, run_with, tensor};

/// Scores of the steps that `line` spells, `_` for the blank and `~` for a step that is torn between three classes.
fn spelt(line: &str, characters: &str, more: usize) -> Tensor {
    let count = characters.chars().count() + more;
    let mut values = Vec::new();
    for step in line.chars() {
        let mut row = vec![0.0; count];
        match step {
            '_' => {}
            '~' => (row[1], row[2]) = (0.35, 0.34),
            ' ' if !characters.contains(' ') => row[count - 1] = 0.9,
            c => row[1 + characters.chars().position(|known| known == c).unwrap()] = 0.9,
        }
        row[0] = 1.0 - row.iter().sum::<f32>();
        values.extend(row);
    }
    tensor(&[1, line.chars().count(), count], &values)
}

fn task(characters: &str, config: &TextConfig, items: usize) -> Box<dyn Task> {
    let names: Vec<String> = characters.chars().map(String::from).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    config.task(&TaskSpec { labels: labels(&names), items, ..TaskSpec::default() }).unwrap()
}

fn read(characters: &str, output: &Tensor) -> (Option<String>, f32) {
    let mut task = task(characters, &TextConfig::default(), 1);
    task.fits(std::slice::from_ref(&output.spec)).unwrap();
    match run_at(task.as_mut(), &[output], 0).unwrap().outcome {
        Outcome::Text { text, score, regions } => {
            assert!(regions.is_empty());
            (text, score)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn repetitions_and_blanks_are_left_out() {
    let check = |line: &str, wanted: Option<&str>| {
        let (text, score) = read("abc1", &spelt(line, "abc1", 1));
        assert_eq!(text.as_deref(), wanted, "{line}");
        assert!(wanted.is_none() || (score - 0.9).abs() < 1e-6, "{line}: {score}");
    };
    check("aab__bc1", Some("abbc1"));
    check("_a_a_", Some("aa"));
    check("a", Some("a"));
    check("____", None);
}

#[test]
fn a_class_behind_the_dictionary_is_a_space() {
    assert_eq!(read("ab", &spelt("a b", "ab", 2)).0.as_deref(), Some("a b"));
    assert_eq!(read("ab", &spelt("_a ", "ab", 2)).0.as_deref(), Some("a"));
    assert_eq!(read("ab", &spelt("  ", "ab", 2)).0, None, "spaces are nothing");
}

#[test]
fn a_guess_is_no_text() {
    let (text, score) = read("abc", &spelt("b~", "abc", 1));
    assert!(text.is_none() && score < 0.9, "{text:?} {score}");
    // Sure on the whole, but one character is a guess.
    let (text, score) = read("abc", &spelt("abcabcabcabc_~", "abc", 1));
    assert!(text.is_none() && score > 0.85, "{text:?} {score}");
    let mut brave = task("abc", &TextConfig { min_score: Some(0.3), ..TextConfig::default() }, 1);
    let outcome = run_at(brave.as_mut(), &[&spelt("ab_~", "abc", 1)], 0).unwrap().outcome;
    assert!(matches!(outcome, Outcome::Text { text: Some(text), .. } if text == "aba"));
}

#[test]
fn logits_and_integers_are_scores_too() {
    let scores = spelt("ab", "ab", 1);
    let logits: Vec<f32> = scores.f32.iter().map(|v| v.max(1e-6).ln() + 3.0).collect();
    let (text, score) = read("ab", &tensor(&[1, 2, 3], &logits));
    assert_eq!(text.as_deref(), Some("ab"));
    assert!((score - 0.9).abs() < 1e-3, "{score}");
    let (text, _) = read("ab", &quantised(&[1, 2, 3], &scores.f32, 1.0 / 256.0, -128));
    assert_eq!(text.as_deref(), Some("ab"));
}

#[test]
fn regions_are_read_each_and_joined() {
    let [first, second, blank] = ["ab", "ca", "__"].map(|line| spelt(line, "abc", 1).f32);
    let mut task = task("abc", &TextConfig::default(), 2);
    let mut outcome = |a: &[f32], b: &[f32]| {
        let output = tensor(&[2, 2, 4], &[a, b].concat());
        run_with(task.as_mut(), &[], &[&output], &[], 0, 0).unwrap().outcome
    };
    match outcome(&first, &second) {
        Outcome::Text { text, regions, .. } => assert_eq!((text.as_deref(), regions.len()), (Some("ab ca"), 2)),
        other => panic!("{other:?}"),
    }
    match outcome(&first, &blank) {
        Outcome::Text { text, score, regions } => {
            assert_eq!((text, score), (None, 0.0));
            assert_eq!(regions[0].text.as_deref(), Some("ab"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_unreadable_picture_has_no_text() {
    let mut task = task("ab", &TextConfig::default(), 1);
    let outcome =
        run_unreadable(task.as_mut(), &spelt("ab", "ab", 1), &[Some(Unreadable::LowContrast)], 0).unwrap().outcome;
    assert!(matches!(outcome, Outcome::Text { text: None, score: 0.0, .. }), "{outcome:?}");
}

#[test]
fn steps_may_come_first_and_the_blank_may_be_a_label() {
    let scores = spelt("ab", "ab", 1);
    let input = tensor(&[1, 3, 8, 8], &[0.0; 192]);
    let mut by_steps = task("ab", &TextConfig::default(), 1);
    let output = tensor(&[2, 1, 3], &scores.f32);
    let outcome = run_with(by_steps.as_mut(), &[&input], &[&output], &[], 0, 0).unwrap().outcome;
    assert!(matches!(outcome, Outcome::Text { text: Some(text), .. } if text == "ab"));
    let spec = TaskSpec { labels: labels(&["a", "b", "-"]), none: Some(2), ..TaskSpec::default() };
    let mut last = TextConfig::default().task(&spec).unwrap();
    let output = tensor(&[1, 3, 3], &[0.9, 0.1, 0.0, 0.0, 0.1, 0.9, 0.95, 0.0, 0.05]);
    let outcome = run_at(last.as_mut(), &[&output], 0).unwrap().outcome;
    assert!(matches!(outcome, Outcome::Text { text: Some(text), .. } if text == "aa"));
}

#[test]
fn another_dictionary_is_an_error() {
    let error = TextConfig::default().task(&TaskSpec::default()).err().unwrap();
    assert_eq!(error.key, "labels");
    let check = |output: &Tensor, words: &[&str]| {
        let mut task = task("abc", &TextConfig::default(), 1);
        let fits = task.fits(std::slice::from_ref(&output.spec)).unwrap_err();
        assert_eq!(run_at(task.as_mut(), &[output], 0).unwrap_err(), fits);
        let text = fits.to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    };
    check(&tensor(&[1, 2, 3], &[0.0; 6]), &["[1, 2, 3]", "4 classes", "3 labels"]);
    check(&tensor(&[1, 2, 6], &[0.0; 12]), &["or 5"]);
    check(&tensor(&[2, 4], &[0.0; 8]), &["[N, steps, classes]"]);
    let mut task = task("abc", &TextConfig::default(), 1);
    let error = run_at(task.as_mut(), &[&tensor(&[1, 1, 4], &[f32::NAN, 0.0, 0.0, 0.0])], 0).unwrap_err();
    assert!(error.reason.contains("not finite"), "{error}");
}
