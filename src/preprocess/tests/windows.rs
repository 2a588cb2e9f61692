//! Sensor windows: names, normalisation, quantisation, refusals.

use super::support::{Input, frame_of, plain};
use crate::frame::{Colour, DType, Frame, Payload, Quant, Spec, Window, WindowSpec};
use crate::preprocess::{PreprocessError, Preprocessor};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_string()).collect()
}

fn window(channels: &[&str], rows: usize, data: Vec<f32>) -> Frame {
    frame_of(Payload::Window(Window { channels: names(channels).into(), rows, data, noted: None }))
}

fn spec(channels: &[&str], rows: usize) -> WindowSpec {
    WindowSpec {
        batch: 1,
        rows,
        channels: names(channels),
        mean: Vec::new(),
        std: Vec::new(),
        dtype: DType::F32,
        quant: None,
    }
}

fn fails(spec: &WindowSpec, frame: &Frame, elements: usize) -> String {
    let mut input = Input::new(spec.dtype, &[1, elements]);
    let before = input.values();
    let mut preprocessor = Preprocessor::new(Spec::Window(spec.clone()), Vec::new());
    let error = preprocessor.run(frame, input.view(), 0).unwrap_err();
    assert_eq!(input.values(), before);
    assert!(matches!(error, PreprocessError::Mismatch(_)), "{error:?}");
    error.to_string()
}

#[test]
fn channels_are_matched_by_name_and_missing_readings_are_the_mean() {
    let spec = WindowSpec { mean: vec![10.0, 1.0], std: vec![2.0, 0.5], ..spec(&["b", "a"], 2) };
    let frame = window(&["a", "x", "b"], 2, vec![2.0, 99.0, 14.0, f32::INFINITY, 99.0, f32::NAN]);
    let mut input = Input::new(DType::F32, &[2, 2, 2]);
    let mut preprocessor = Preprocessor::new(Spec::Window(spec), Vec::new());
    assert!(preprocessor.run(&frame, input.view(), 1).unwrap().is_empty());
    assert_eq!(input.values(), [-7.0, -7.0, -7.0, -7.0, 2.0, 2.0, 0.0, 0.0]);
    // A new order of the sensor's channels is matched again.
    let frame = window(&["b", "a"], 2, vec![14.0, 2.0, 12.0, 1.5]);
    preprocessor.run(&frame, input.view(), 0).unwrap();
    assert_eq!(input.values()[..4], [2.0, 2.0, 1.0, 1.0]);
}

#[test]
fn integers_are_quantised_half_to_even_and_saturated() {
    let quant = Some(Quant { scale: 0.5, zero_point: 3 });
    let spec = WindowSpec { dtype: DType::I8, quant, ..spec(&[], 1) };
    let data = vec![0.25, 0.75, -0.25, 1e9, -1e9];
    let mut input = Input::new(DType::I8, &[1, 5]);
    Preprocessor::new(Spec::Window(spec), Vec::new()).run(&window(&[], 1, data), input.view(), 0).unwrap();
    assert_eq!(input.i8, [3, 5, 3, 127, -128]);
}

#[test]
fn nothing_stands_in_for_a_gap_unless_the_model_says_what() {
    let gap = || window(&["a", "b"], 2, vec![1.0, 2.0, f32::NAN, 4.0]);
    let message = fails(&spec(&[], 2), &gap(), 4);
    assert_eq!(message, "channel \"a\" has no value in 1 of 2 readings, and the model has no mean for it");
    assert!(fails(&spec(&["b", "a"], 2), &gap(), 4).contains("channel \"a\""));
    let with_mean = WindowSpec { mean: vec![5.0, 5.0], ..spec(&["a", "b"], 2) };
    let mut input = Input::new(DType::F32, &[1, 2, 2]);
    Preprocessor::new(Spec::Window(with_mean.clone()), Vec::new()).run(&gap(), input.view(), 0).unwrap();
    assert_eq!(input.values(), [-4.0, -3.0, 0.0, -1.0]);
    // A channel that is silent in the whole window would look normal.
    let silent = window(&["a", "b"], 2, vec![1.0, f32::NAN, 3.0, f32::INFINITY]);
    assert_eq!(fails(&with_mean, &silent, 4), "channel \"b\" has no value in any of 2 readings");
    // A channel that the model does not use may be silent.
    let only_a = WindowSpec { mean: vec![5.0], ..spec(&["a"], 2) };
    let mut input = Input::new(DType::F32, &[1, 2]);
    Preprocessor::new(Spec::Window(only_a), Vec::new()).run(&silent, input.view(), 0).unwrap();
    assert_eq!(input.values(), [-4.0, -2.0]);
}

#[test]
fn a_source_of_another_width_is_refused_with_both_counts() {
    for (channels, elements) in [(&["a"][..], 2), (&["a", "b", "c"], 2), (&["a", "b"], 3), (&["a", "b"], 4)] {
        let frame = window(channels, 1, vec![1.0; channels.len()]);
        let (width, names) = (channels.len(), channels.join(", "));
        let expected = format!(
            "the model takes {elements} values in each of 1 readings, the source has {width} channels: {names}"
        );
        assert_eq!(fails(&spec(&[], 1), &frame, elements), expected);
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let two = window(&["a", "b"], 2, vec![0.0; 4]);
    let message = fails(&spec(&["a", "soc_celsius", "load1"], 2), &two, 6);
    assert!(message.contains("soc_celsius, load1") && message.contains("a, b"), "{message}");
    assert!(fails(&spec(&["a", "b"], 3), &two, 6).contains("2 rows, the model wants 3"));
    assert!(fails(&spec(&["a", "b"], 2), &two, 5).contains("takes 5 values, the source has 2 channels"));
    assert!(fails(&spec(&["a", "b", "c"], 2), &window(&[], 2, vec![0.0; 4]), 6).contains("2 unnamed channels"));
    assert!(fails(&spec(&["a", "b"], 2), &window(&["a", "b"], 2, vec![0.0; 3]), 4).contains("3 values"));
    assert!(fails(&spec(&["a"], 0), &window(&["a"], 0, Vec::new()), 4).contains("0 values"));
    let mean = WindowSpec { mean: vec![0.0; 3], ..spec(&["a", "b"], 2) };
    assert!(fails(&mean, &two, 4).contains("3 values of `mean`"));
}

#[test]
fn pictures_and_windows_are_not_taken_for_each_other() {
    let mut input = Input::new(DType::U8, &[1, 8, 8, 1]);
    let mut pictures = Preprocessor::new(Spec::Image(plain(8, 8, Colour::Grey)), Vec::new());
    let error = pictures.run(&window(&["a"], 1, vec![0.0]), input.view(), 0).unwrap_err();
    assert!(error.to_string().contains("wants pictures"), "{error}");
    let picture = super::support::frame(crate::frame::PixelFormat::Gray8, 8, 8, 0, vec![0; 64]);
    assert!(fails(&spec(&["a"], 1), &picture, 1).contains("wants a window"));
}
