//! Tests of the heads against hand-made outputs and a recorded one, and of suppression against brute force.

use proptest::prelude::*;

use super::nms::MAX_CANDIDATES;
use super::*;
use crate::frame::{Boxes, overlap};
use crate::task::testing::{Tensor, labels, quantised, run_with, tensor};

fn spec(head: Head, classes: usize, items: usize) -> TaskSpec {
    let names: Vec<String> = (0..classes).map(|c| format!("class{c}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    TaskSpec { labels: labels(&names), head: Some(head), input_size: [100, 200], items, ..TaskSpec::default() }
}

fn detect(config: DetectConfig, spec: &TaskSpec) -> Detect {
    Detect::new(&config, TaskKind::Detect, spec).unwrap()
}

/// A 200 × 100 model input cut from a 400 × 300 picture: two source pixels per model pixel, 100 further down.
fn geometry() -> Geometry {
    Geometry { scale: [2.0, 2.0], offset: [0.0, 100.0], source: [400, 300] }
}

fn found(task: &mut Detect, outputs: &[&Tensor], geometry: &[Geometry]) -> Vec<Detection> {
    match run_with(task, &[], outputs, geometry, 0, 0).unwrap().outcome {
        Outcome::Detect { detections, source_width, source_height, .. } => {
            assert_eq!([source_width, source_height], geometry.first().map_or([200, 100], |g| g.source));
            detections
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn same(found: &[Detection], wanted: &[(&str, f32, [f32; 4])], slack: f32) {
    assert_eq!(found.len(), wanted.len(), "{found:?}");
    for (f, (label, score, bbox)) in found.iter().zip(wanted) {
        assert_eq!(&*f.label, *label, "{found:?}");
        assert!((f.score - score).abs() < 1e-3, "{f:?}, wanted score {score}");
        assert!(f.bbox.iter().zip(bbox).all(|(a, b)| (a - b).abs() < slack), "{f:?}, wanted {bbox:?}");
    }
}

#[test]
fn yolov5_rows() {
    let mut task = detect(DetectConfig::default(), &spec(Head::Yolov5, 2, 1));
    let rows = [
        [50.0, 50.0, 20.0, 10.0, 0.9, 0.1, 0.8],  // class 1, 0.72
        [52.0, 50.0, 20.0, 10.0, 0.95, 0.1, 0.9], // the same object, more confident
        [50.0, 50.0, 20.0, 10.0, 0.9, 0.7, 0.1],  // another class at the same place
        [150.0, 50.0, 20.0, 10.0, 0.9, 0.3, 0.2], // too uncertain
        [195.0, 99.0, 20.0, 10.0, 1.0, 0.5, 0.0], // sticks out
        [f32::NAN, 5.0, 20.0, 10.0, 1.0, 1.0, 0.0],
        [50.0, 5.0, 20.0, 10.0, f32::NAN, 1.0, 0.0],
        [90.0, 5.0, 20.0, 10.0, 1.0, f32::INFINITY, f32::NAN],
        [90.0, 5.0, -20.0, 10.0, 1.0, 1.0, 0.0],
        [900.0, 5.0, 20.0, 10.0, 1.0, 1.0, 0.0], // outside
    ];
    let output = tensor(&[1, 10, 7], rows.as_flattened());
    let wanted = [
        ("class1", 0.855, [84.0, 190.0, 124.0, 210.0]),
        ("class0", 0.63, [80.0, 190.0, 120.0, 210.0]),
        ("class0", 0.5, [370.0, 288.0, 400.0, 300.0]),
    ];
    same(&found(&mut task, &[&output], &[geometry()]), &wanted, 0.01);
    // Without a geometry: model pixels.
    let found = found(&mut task, &[&output], &[]);
    assert_eq!(found[2].bbox, [185.0, 94.0, 200.0, 100.0]);
}

#[test]
fn yolov8_planes_and_their_quantised_form() {
    let mut task = detect(DetectConfig { min_score: Some(0.5), ..DetectConfig::default() }, &spec(Head::Yolov8, 3, 1));
    let planes = [
        [50.0, 120.0, 10.0], // cx
        [50.0, 60.0, 10.0],  // cy
        [20.0, 40.0, 8.0],   // w
        [10.0, 20.0, 8.0],   // h
        [0.0, 0.75, 0.25],
        [0.5, 0.25, 0.25],
        [0.0, 0.0, 0.5],
    ];
    let wanted = [
        ("class0", 0.75, [100.0, 50.0, 140.0, 70.0]),
        ("class1", 0.5, [40.0, 45.0, 60.0, 55.0]),
        ("class2", 0.5, [6.0, 6.0, 14.0, 14.0]),
    ];
    same(&found(&mut task, &[&tensor(&[1, 7, 3], planes.as_flattened())], &[]), &wanted, 0.01);
    // One quantum is 1: all scores become 1, and equal scores keep the order of the output.
    let coarse = quantised(&[1, 7, 3], planes.as_flattened(), 1.0, -128);
    let wanted = [
        ("class1", 1.0, [40.0, 45.0, 60.0, 55.0]),
        ("class0", 1.0, [100.0, 50.0, 140.0, 70.0]),
        ("class2", 1.0, [6.0, 6.0, 14.0, 14.0]),
    ];
    same(&found(&mut task, &[&coarse], &[]), &wanted, 0.6);
}

#[test]
fn fastestdet_recorded_from_a_real_picture() {
    #[derive(serde::Deserialize)]
    struct Wanted {
        size: [u32; 2],
        detections: Vec<One>,
    }
    #[derive(serde::Deserialize)]
    struct One {
        class: usize,
        score: f32,
        #[serde(rename = "box")]
        bbox: [f32; 4],
    }
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/vision");
    let wanted: std::collections::BTreeMap<String, Wanted> =
        serde_json::from_slice(&std::fs::read(data.join("fastestdet-streets.json")).unwrap()).unwrap();
    let wanted = &wanted["street-3"];
    let bytes = std::fs::read(data.join("fastestdet-street-3.npy")).unwrap();
    let values: Vec<f32> = npyz::NpyFile::new(bytes.as_slice()).unwrap().into_vec().unwrap();
    let spec = TaskSpec { input_size: [352, 352], ..spec(Head::FastestDet, 80, 1) };
    let mut task = detect(DetectConfig { min_score: Some(0.5), ..DetectConfig::default() }, &spec);
    let [w, h] = wanted.size;
    let geometry = Geometry { scale: [w as f32 / 352.0, h as f32 / 352.0], offset: [0.0; 2], source: [w, h] };
    let found = found(&mut task, &[&tensor(&[1, 85, 22, 22], &values)], &[geometry]);
    let names: Vec<String> = wanted.detections.iter().map(|d| format!("class{}", d.class)).collect();
    let wanted: Vec<_> = wanted.detections.iter().zip(&names).map(|(d, n)| (n.as_str(), d.score, d.bbox)).collect();
    assert_eq!(wanted.iter().filter(|w| w.0 == "class0").count(), 4, "four people");
    same(&found, &wanted, 0.1);
}

#[test]
fn ssd_boxes_relative_to_anchors() {
    let anchors = "anchors = [[0.5, 0.5, 0.2, 0.4], [0.25, 0.75, 0.1, 0.1]]";
    let spec = TaskSpec { anchors: Some(anchors.into()), ..spec(Head::Ssd, 2, 1) };
    let mut task = detect(DetectConfig::default(), &spec);
    // ty, tx, th, tw
    let boxes = tensor(&[1, 2, 4], &[1.0, -2.0, 0.0, 5.0 * 2.0_f32.ln(), 0.0, 0.0, 0.0, 0.0]);
    let scores = tensor(&[1, 2, 3], &[0.1, 0.1, 0.8, 0.2, 0.7, 0.1]);
    // x = 0.5 - 0.2 * 0.2 = 0.46, y = 0.5 + 0.1 * 0.4 = 0.54, w = 0.2 * 2, h = 0.4, of 200 x 100.
    let wanted = [("class1", 0.8, [52.0, 34.0, 132.0, 74.0]), ("class0", 0.7, [40.0, 70.0, 60.0, 80.0])];
    same(&found(&mut task, &[&boxes, &scores], &[]), &wanted, 0.01);
    same(&found(&mut task, &[&scores, &boxes], &[]), &wanted, 0.01);
    // Logits: softmax over background and classes.
    let logits = tensor(&[1, 2, 3], &[-1.0, 0.0, 3.0, 5.0, 0.0, 0.0]);
    let score = 1.0 / (1.0 + (-3.0_f32).exp() + (-4.0_f32).exp());
    same(&found(&mut task, &[&boxes, &logits], &[]), &[("class1", score, [52.0, 34.0, 132.0, 74.0])], 0.01);
    // Without background: each class by itself, through the logistic function.
    let spec = TaskSpec { anchors: Some(format!("background = false\norder = \"xywh\"\n{anchors}")), ..spec };
    let mut task = detect(DetectConfig::default(), &spec);
    let boxes = tensor(&[1, 2, 4], &[-2.0, 1.0, 5.0 * 2.0_f32.ln(), 0.0, 0.0, 0.0, 0.0, 0.0]);
    let logits = tensor(&[1, 2, 2], &[0.0, 2.0, -3.0, -4.0]);
    same(&found(&mut task, &[&boxes, &logits], &[]), &[("class1", 0.8808, [52.0, 34.0, 132.0, 74.0])], 0.01);
}

#[test]
fn logits_beside_the_background_may_stand_each_by_itself() {
    let anchors = "anchors = [[0.5, 0.5, 0.2, 0.2], [0.25, 0.25, 0.1, 0.1]]\nsigmoid = ";
    let check = |sigmoid: bool, score: f32| {
        let spec = TaskSpec { anchors: Some(format!("{anchors}{sigmoid}")), ..spec(Head::Ssd, 2, 1) };
        let mut task = detect(DetectConfig { min_score: Some(0.5), ..DetectConfig::default() }, &spec);
        let boxes = tensor(&[1, 2, 4], &[0.0; 8]);
        let scores = tensor(&[1, 2, 3], &[-2.0, -5.0, 2.0, 3.0, -4.0, -4.0]);
        let found = found(&mut task, &[&boxes, &scores], &[]);
        assert!(found.len() == 1 && (found[0].score - score).abs() < 1e-4, "{found:?}");
    };
    check(true, 0.8808);
    check(false, 0.9811);
}

#[test]
fn generated_anchors_are_tensorflow_s() {
    // ssd_mobilenet on 300 x 300: 1917 anchors; the first cell's three and the last one's six by the generator's formulas.
    let text = "[generate]\nmaps = [[19, 19], [10, 10], [5, 5], [3, 3], [2, 2], [1, 1]]\nmin_scale = 0.2\nmax_scale = 0.95\n\
                aspect_ratios = [1.0, 2.0, 0.5, 3.0, 0.3333]\n";
    let anchors = Anchors::parse(text).unwrap();
    assert_eq!(anchors.boxes.len(), 1917);
    let close = |a: [f32; 4], b: [f32; 4]| assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4), "{a:?} {b:?}");
    let cell = 0.5 / 19.0;
    close(anchors.boxes[0], [cell, cell, 0.1, 0.1]);
    close(anchors.boxes[1], [cell, cell, 0.282_84, 0.141_42]);
    close(anchors.boxes[2], [cell, cell, 0.141_42, 0.282_84]);
    close(anchors.boxes[3], [3.0 * cell, cell, 0.1, 0.1]);
    close(anchors.boxes[1911], [0.5, 0.5, 0.95, 0.95]);
    close(anchors.boxes[1916], [0.5, 0.5, 0.974_68, 0.974_68]);
}

#[test]
fn wrong_anchors_are_refused() {
    for (text, part) in [
        ("", "no anchors"),
        ("anchors = [[0.5, 0.5, 0.0, 0.1]]", "above 0"),
        ("anchor = []", "anchor"),
        ("anchors = [[1.0, 2.0]]", ""),
        ("[generate]\nmaps = [[9999, 9999]]\nmin_scale = 0.2\nmax_scale = 0.9\naspect_ratios = [1.0]", "more than"),
        ("[generate]\nmaps = [[1, 1]]\nmin_scale = -1.0\nmax_scale = 0.9\naspect_ratios = [1.0]", "above 0"),
    ] {
        let error = Anchors::parse(text).unwrap_err();
        assert!(error.key == "anchors" && error.reason.contains(part), "{text}: {error}");
    }
    let missing = Detect::new(&DetectConfig::default(), TaskKind::Detect, &spec(Head::Ssd, 2, 1)).err().unwrap();
    assert!(missing.to_string().contains("needs anchors"), "{missing}");
}

#[test]
fn wrong_shapes_say_what_is_needed_and_found() {
    let anchors = Some("anchors = [[0.5, 0.5, 0.2, 0.4]]".to_string());
    for (head, shapes, parts) in [
        (Head::FastestDet, vec![vec![1, 7, 4]], ["[1, 7, 4]", "[N, 5 + classes, H, W]"]),
        (Head::FastestDet, vec![vec![1, 8, 4, 4]], ["[1, 8, 4, 4] has 3 classes", "2 labels"]),
        (Head::Yolov5, vec![vec![1, 7, 3, 2]], ["[1, 7, 3, 2]", "[N, R, 5 + classes]"]),
        (Head::Yolov5, vec![vec![1, 6, 3]], ["[1, 6, 3]", "2 classes"]),
        (Head::Yolov5, vec![vec![1, 25, 85]], ["80 classes for the head yolov5", "2 labels"]),
        (Head::Yolov8, vec![vec![1, 84, 84]], ["80 classes for the head yolov8", "2 labels"]),
        (Head::Yolov8, vec![vec![1, 8]], ["[1, 8]", "[N, 4 + classes, R]"]),
        (Head::End2end, vec![vec![1, 8]], ["[1, 8]", "the head end2end needs [N, R, 6]"]),
        (Head::End2end, vec![vec![1, 300, 7]], ["[1, 300, 7]", "[N, R, 6]"]),
        (Head::Yolov8, vec![vec![1, 6, 0]], ["[1, 6, 0]", "[N, 4 + classes, R]"]),
        (Head::Ssd, vec![vec![1, 1, 4]], ["output 1", "1 outputs"]),
        (Head::Ssd, vec![vec![1, 1, 5], vec![1, 1, 3]], ["[1, 1, 5]", "boxes [N, R, 4]"]),
        (Head::Ssd, vec![vec![1, 2, 4], vec![1, 2, 3]], ["2 boxes", "1 anchors"]),
        (Head::Ssd, vec![vec![1, 1, 4], vec![1, 1, 9]], ["[1, 1, 9]", "background"]),
    ] {
        let mut task = detect(DetectConfig::default(), &TaskSpec { anchors: anchors.clone(), ..spec(head, 2, 1) });
        let outputs: Vec<Tensor> =
            shapes.iter().map(|s: &Vec<usize>| tensor(s, &vec![0.5; s.iter().product()])).collect();
        let outputs: Vec<&Tensor> = outputs.iter().collect();
        let message = run_with(&mut task, &[], &outputs, &[], 0, 0).unwrap_err().to_string();
        // The same before anything runs.
        let specs: Vec<_> = outputs.iter().map(|output| output.spec.clone()).collect();
        assert_eq!(task.fits(&specs).unwrap_err().to_string(), message);
        assert!(parts.iter().all(|p| message.contains(p)), "{head:?} {shapes:?}: {message}");
    }
}

fn message(task: &mut Detect, output: &Tensor) -> String {
    run_with(task, &[], &[output], &[], 0, 0).unwrap_err().to_string()
}

#[test]
fn end_to_end_rows_are_taken_as_they_are() {
    let mut task = detect(DetectConfig::default(), &spec(Head::End2end, 3, 1));
    let rows = [
        [50.0, 40.0, 70.0, 60.0, 0.9, 2.0],
        [51.0, 40.0, 70.0, 60.0, 0.8, 2.0], // nothing is suppressed a second time
        [10.0, 5.0, 30.0, 15.0, 0.95, 0.0],
        [10.0, 5.0, 30.0, 15.0, 0.3, 1.0],     // too uncertain
        [190.0, 90.0, 210.0, 105.0, 0.5, 1.0], // sticks out
        [0.0; 6],
        [-1.0; 6],
        [f32::NAN, 0.0, 5.0, 5.0, 0.9, 1.0],
    ];
    let wanted = [
        ("class0", 0.95, [10.0, 5.0, 30.0, 15.0]),
        ("class2", 0.9, [50.0, 40.0, 70.0, 60.0]),
        ("class2", 0.8, [51.0, 40.0, 70.0, 60.0]),
        ("class1", 0.5, [190.0, 90.0, 200.0, 100.0]),
    ];
    let output = tensor(&[1, 8, 6], rows.as_flattened());
    same(&found(&mut task, &[&output], &[]), &wanted, 0.01);
    // Shares of the input, where a bundle says so.
    let shares: Vec<f32> = rows
        .iter()
        .flat_map(|&[a, b, c, d, score, class]| [a / 200.0, b / 100.0, c / 200.0, d / 100.0, score, class])
        .collect();
    let mut task = detect(DetectConfig::default(), &TaskSpec { boxes: Boxes::Normalised, ..spec(Head::End2end, 3, 1) });
    same(&found(&mut task, &[&tensor(&[1, 8, 6], &shares)], &[]), &wanted, 0.01);
    // Two tiles that see the same object.
    let mut task = detect(DetectConfig::default(), &spec(Head::End2end, 3, 2));
    let tile = |x: f32| Geometry { scale: [1.0; 2], offset: [x, 0.0], source: [300, 100] };
    let rows = [[150.0, 40.0, 190.0, 60.0, 0.8, 0.0], [50.0, 40.0, 90.0, 60.0, 0.9, 0.0]];
    let found = found(&mut task, &[&tensor(&[2, 1, 6], rows.as_flattened())], &[tile(0.0), tile(100.0)]);
    same(&found, &[("class0", 0.9, [150.0, 40.0, 190.0, 60.0])], 0.01);
}

#[test]
fn rows_that_are_not_end_to_end_are_told_by_their_values() {
    for (row, parts) in [
        ([5.0, 5.0, 20.0, 20.0, 0.9, 0.5], ["class is 0.5", "0 to 2"]),
        ([5.0, 5.0, 20.0, 20.0, 0.9, 3.0], ["class is 3", "0 to 2"]),
        ([5.0, 5.0, 20.0, 20.0, 0.9, -1.0], ["class is -1", "0 to 2"]),
        ([5.0, 5.0, 20.0, 20.0, 0.9, f32::NAN], ["class is NaN", "0 to 2"]),
        ([5.0, 5.0, 20.0, 20.0, 2.0, 0.0], ["score is 2", "0 to 1"]),
        ([50.0, 50.0, 20.0, 20.0, 0.9, 0.0], ["[50.0, 50.0, 20.0, 20.0]", "x1, y1, x2, y2"]),
        ([0.1, 0.1, 0.2, 0.3, 0.9, 0.0], ["shares of the picture", "normalised"]),
    ] {
        let mut task = detect(DetectConfig::default(), &spec(Head::End2end, 3, 1));
        let text = message(&mut task, &tensor(&[1, 1, 6], &row));
        assert!(text.contains("row 0") && parts.iter().all(|part| text.contains(part)), "{row:?}: {text}");
    }
    let mut task = detect(DetectConfig::default(), &TaskSpec { boxes: Boxes::Normalised, ..spec(Head::End2end, 3, 1) });
    let text = message(&mut task, &tensor(&[1, 1, 6], &[5.0, 5.0, 20.0, 20.0, 0.9, 0.0]));
    assert!(text.contains("but pixels"), "{text}");
}

#[test]
fn yolov8_with_a_box_a_row() {
    let mut task = detect(DetectConfig::default(), &spec(Head::Yolov8, 2, 1));
    let rows =
        [[50.0, 50.0, 20.0, 10.0, 0.1, 0.8], [120.0, 60.0, 40.0, 20.0, 0.7, 0.2], [5.0, 5.0, 4.0, 4.0, 0.1, 0.1]];
    let wanted = [("class1", 0.8, [40.0, 45.0, 60.0, 55.0]), ("class0", 0.7, [100.0, 50.0, 140.0, 70.0])];
    same(&found(&mut task, &[&tensor(&[1, 3, 6], rows.as_flattened())], &[]), &wanted, 0.01);
    let shares = rows.map(|[x, y, w, h, a, b]| [x / 200.0, y / 100.0, w / 200.0, h / 100.0, a, b]);
    let mut task = detect(DetectConfig::default(), &TaskSpec { boxes: Boxes::Normalised, ..spec(Head::Yolov8, 2, 1) });
    same(&found(&mut task, &[&tensor(&[1, 3, 6], shares.as_flattened())], &[]), &wanted, 0.01);
}

#[test]
fn values_that_contradict_the_head_are_an_error_and_no_boxes() {
    let base = [50.0, 50.0, 20.0, 10.0, 0.9, 0.1, 0.8];
    let with = |changes: &[(usize, f32)]| {
        let mut row = base;
        changes.iter().for_each(|(column, value)| row[*column] = *value);
        tensor(&[1, 4, 7], [row; 4].as_flattened())
    };
    for (output, part) in [
        (with(&[(4, 3.0)]), "a score is 2.4"),
        (with(&[(5, -4.0), (6, 0.5)]), "scores from -4.00 to 0.90"),
        (with(&[(2, -0.5)]), "width or height below 0"),
        (with(&[(0, 0.3), (1, 0.4), (2, 0.1), (3, 0.1)]), "shares of the picture"),
        (with(&[(4, f32::NAN), (5, f32::NAN), (6, f32::NAN)]), "no score is a finite number"),
    ] {
        let text = message(&mut detect(DetectConfig::default(), &spec(Head::Yolov5, 2, 1)), &output);
        assert!(text.contains(part), "{part}: {text}");
    }
    let mut task = detect(DetectConfig::default(), &TaskSpec { boxes: Boxes::Normalised, ..spec(Head::Yolov5, 2, 1) });
    let text = message(&mut task, &with(&[]));
    assert!(text.contains("but pixels"), "{text}");
    // Once a frame was as it should be, the next may be empty.
    let mut task = detect(DetectConfig::default(), &spec(Head::Yolov5, 2, 1));
    assert_eq!(found(&mut task, &[&with(&[])], &[]).len(), 1);
    assert_eq!(found(&mut task, &[&tensor(&[1, 4, 7], &[0.0; 28])], &[]).len(), 0);
}

#[test]
fn a_trial_doubts_what_a_frame_may_be() {
    let doubts = |spec: &TaskSpec, output: &Tensor| {
        let (inputs, outputs) = ([], [output.view()]);
        let (now, time) = (std::time::Duration::ZERO, std::time::SystemTime::UNIX_EPOCH);
        let input = TaskInput {
            inputs: &inputs,
            outputs: &outputs,
            first_item: 0,
            geometry: &[],
            unreadable: &[],
            faint_score: None,
            now,
            time,
        };
        detect(DetectConfig::default(), spec).doubts(&input).map_err(|e| e.to_string())
    };
    let v5 = spec(Head::Yolov5, 2, 1);
    let e2e = spec(Head::End2end, 2, 1);
    let good = [[50.0, 50.0, 20.0, 10.0, 0.9, 0.1, 0.8], [90.0, 50.0, 20.0, 10.0, 0.1, 0.1, 0.2]];
    assert_eq!(doubts(&v5, &tensor(&[1, 2, 7], good.as_flattened())), Ok(Vec::new()));
    assert_eq!(doubts(&e2e, &tensor(&[1, 2, 6], &[0.0; 12])), Ok(Vec::new()), "nothing found is no doubt");
    let check = |spec: &TaskSpec, output: &Tensor, part: &str| {
        let found = doubts(spec, output).map_or_else(|e| e, |doubts| doubts.join("; "));
        assert!(found.contains(part), "{part}: {found}");
    };
    check(&v5, &tensor(&[1, 2, 7], [good[0]; 2].as_flattened()), "the same score, 0.720");
    let mut far = good;
    far.iter_mut().for_each(|row| row[0] = 900.0);
    check(&v5, &tensor(&[1, 2, 7], far.as_flattened()), "2 of its 2 boxes lie outside of the picture of 200x100");
    check(&v5, &quantised(&[1, 2, 7], good.as_flattened(), 2.5, -128), "steps of 2.50");
    check(
        &e2e,
        &tensor(&[1, 2, 6], [[5.0, 5.0, 9.0, 9.0, 0.2, 0.7], [0.0; 6]].as_flattened()),
        "row 0 has the score 0.2",
    );
    check(&e2e, &tensor(&[1, 1, 6], &[5.0, 5.0, 9.0, f32::INFINITY, 0.0, 0.0]), "not finite");
}

#[test]
fn a_head_that_is_not_known_is_not_guessed() {
    let error =
        Detect::new(&DetectConfig::default(), TaskKind::Detect, &TaskSpec { head: None, ..spec(Head::Yolov5, 2, 1) })
            .err()
            .unwrap();
    assert!(error.key == "output.head" && error.reason.contains("leptond model add"), "{error}");
}

#[test]
fn labels_are_filtered_and_objects_limited() {
    let rows: Vec<f32> = (0..20)
        .flat_map(|i| {
            let class = if i % 2 == 0 { [0.9 - i as f32 / 100.0, 0.1] } else { [0.1, 0.95] };
            [10.0 * i as f32, 50.0, 8.0, 8.0, 1.0, class[0], class[1]]
        })
        .collect();
    let config = DetectConfig { labels: vec!["class0".into()], max_detections: Some(3), ..DetectConfig::default() };
    let mut task = detect(config, &spec(Head::Yolov5, 2, 1));
    let found = found(&mut task, &[&tensor(&[1, 20, 7], &rows)], &[]);
    let scores: Vec<f32> = found.iter().map(|d| d.score).collect();
    assert!(scores.iter().zip([0.9, 0.88, 0.86]).all(|(a, b)| (a - b).abs() < 1e-5), "{scores:?}");
    assert_eq!(scores.len(), 3);
    assert!(found.iter().all(|d| &*d.label == "class0"));
}

#[test]
fn tiles_are_merged_in_source_pixels() {
    let mut task = detect(DetectConfig::default(), &spec(Head::Yolov5, 1, 2));
    // The second tile begins 100 source pixels further right; both see the object at x 150..190.
    let tile = |x: f32| Geometry { scale: [1.0; 2], offset: [x, 0.0], source: [300, 100] };
    let rows = [
        [170.0, 50.0, 40.0, 20.0, 1.0, 0.8],
        [10.0, 50.0, 10.0, 20.0, 1.0, 0.6],
        [71.0, 50.0, 40.0, 20.0, 1.0, 0.9],
        [190.0, 50.0, 10.0, 20.0, 1.0, 0.7],
    ];
    let found = found(&mut task, &[&tensor(&[2, 2, 6], rows.as_flattened())], &[tile(0.0), tile(100.0)]);
    let wanted = [
        ("class0", 0.9, [151.0, 40.0, 191.0, 60.0]),
        ("class0", 0.7, [285.0, 40.0, 295.0, 60.0]),
        ("class0", 0.6, [5.0, 40.0, 15.0, 60.0]),
    ];
    same(&found, &wanted, 0.01);
}

/// The definition, slowly: again and again take the most confident that is left and drop what it hides.
fn brute_force(mut left: Vec<Candidate>, iou: f32, limit: usize) -> Vec<Candidate> {
    let mut kept = Vec::new();
    while kept.len() < limit && !left.is_empty() {
        let mut best = 0;
        for i in 1..left.len() {
            if left[i].score > left[best].score {
                best = i;
            }
        }
        let chosen = left.remove(best);
        left.retain(|c| c.class != chosen.class || overlap(c.bbox, chosen.bbox) <= iou);
        kept.push(chosen);
    }
    kept
}

proptest! {
    #[test]
    fn suppression_is_the_definition(
        boxes in prop::collection::vec((0_usize..3, 0_u8..20, 0_u8..40, 0_u8..40, 1_u8..20, 1_u8..20), 0..120),
        iou in 0.0_f32..1.0,
        limit in 1_usize..60,
    ) {
        let candidates: Vec<Candidate> = boxes
            .into_iter()
            .map(|(class, score, x, y, w, h)| {
                let [x, y, w, h] = [x, y, w, h].map(f32::from);
                Candidate::new(class, f32::from(score) / 20.0, [x, y, x + w, y + h])
            })
            .collect();
        let mut found = candidates.clone();
        suppress(&mut found, iou, limit);
        prop_assert_eq!(found, brute_force(candidates, iou, limit));
    }
}

#[test]
fn many_candidates_are_cut_to_the_most_confident() {
    let mut candidates: Vec<Candidate> =
        (0..5000).map(|i| Candidate::new(0, i as f32 / 5000.0, [i as f32, 0.0, i as f32 + 0.5, 1.0])).collect();
    suppress(&mut candidates, 0.5, usize::MAX);
    assert_eq!(candidates.len(), MAX_CANDIDATES);
    assert_eq!(candidates[0].score, 4999.0 / 5000.0);
}
