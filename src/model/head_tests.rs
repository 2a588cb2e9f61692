//! The table of shapes that detectors have: which are told apart, and what is said of the others.

use super::*;

const SIZE: [usize; 2] = [640, 640];

fn told(outputs: &[&[usize]], classes: Option<usize>, size: [usize; 2], said: &Said) -> Result<Head, String> {
    let outputs: Vec<Vec<usize>> = outputs.iter().map(|shape| shape.to_vec()).collect();
    infer(&Detector { outputs: &outputs, classes, size, said }).map(|(head, _)| head).map_err(|e| e.to_string())
}

#[track_caller]
fn is(shape: &[usize], classes: Option<usize>, head: Head) {
    assert_eq!(told(&[shape], classes, SIZE, &Said::default()), Ok(head), "{shape:?}");
}

#[track_caller]
fn refused(outputs: &[&[usize]], classes: Option<usize>, said: &Said, with: &[&str], without: &[&str]) {
    let message = told(outputs, classes, SIZE, said).unwrap_err();
    for word in with {
        assert!(message.contains(word), "{word:?} is missing in: {message}");
    }
    for word in without.iter().chain(&["Some(", "None", "fastestdet"]) {
        assert!(!message.contains(word), "{word:?} is in: {message}");
    }
}

#[test]
fn shapes_that_leave_no_choice() {
    is(&[1, 84, 8400], Some(80), Head::Yolov8);
    is(&[1, 84, 8400], None, Head::Yolov8);
    is(&[1, 8400, 84], Some(80), Head::Yolov8);
    is(&[1, 5, 8400], Some(1), Head::Yolov8);
    is(&[1, 8400, 5], Some(1), Head::Yolov8);
    is(&[1, 6, 8400], Some(2), Head::Yolov8);
    is(&[1, 8400, 6], Some(2), Head::Yolov8);
    is(&[1, 25_200, 85], Some(80), Head::Yolov5);
    is(&[1, 25_200, 85], None, Head::Yolov5);
    is(&[1, 25_200, 6], Some(1), Head::Yolov5);
    is(&[1, 300, 6], Some(3), Head::End2end);
    is(&[1, 7, 33], Some(3), Head::Yolov8);
    is(&[1, 85, 22, 22], Some(80), Head::FastestDet);
    let small = |shape: &[usize], classes| told(&[shape], classes, [64, 64], &Said::default());
    assert_eq!(small(&[1, 84, 84], Some(80)), Ok(Head::Yolov8));
    assert_eq!(small(&[1, 7, 84], Some(3)), Ok(Head::Yolov8));
}

#[test]
fn shapes_that_leave_a_choice_are_refused_with_what_can_fit() {
    let nothing = Said::default();
    refused(&[&[1, 300, 6]], None, &nothing, &["[1, 300, 6]", "end2end", "yolov5 with 1 class"], &[]);
    refused(&[&[1, 300, 6]], Some(1), &nothing, &["end2end", "yolov5 with 1 class"], &["yolov8"]);
    refused(&[&[1, 300, 6]], Some(2), &nothing, &["end2end", "yolov8 with 2 classes"], &["yolov5"]);
    refused(&[&[1, 300, 7]], Some(2), &nothing, &["yolov5 with 2 classes"], &["end2end", "yolov8"]);
    refused(&[&[1, 8400, 85]], Some(80), &nothing, &["yolov5 with 80 classes"], &["yolov8", "end2end"]);
    // With labels it is one, without them the order of its axes is open.
    refused(&[&[1, 8400, 84]], None, &nothing, &["yolov8 with 80 classes"], &["yolov5"]);
    refused(&[&[1, 84, 999]], None, &nothing, &["yolov8 with 80 classes", "yolov8 with 995 classes"], &["end2end"]);
}

#[test]
fn labels_that_are_too_many_or_too_few_are_named() {
    let nothing = Said::default();
    refused(&[&[1, 84, 8400]], Some(3), &nothing, &["80 classes for the head yolov8", "3 labels"], &["yolov5", " or "]);
    refused(&[&[1, 25_200, 85]], Some(3), &nothing, &["80 classes for the head yolov5", "3 labels"], &["yolov8"]);
    let detect = Said { task: Some("detect".into()), ..Said::default() };
    refused(&[&[1, 300, 84]], Some(3), &detect, &["80 classes for the head yolov8", "3 labels"], &["yolov5"]);
}

#[test]
fn the_files_own_words_come_first() {
    let said = |end2end| Said { task: Some("detect".into()), end2end, ..Said::default() };
    let head = |shape: &[usize], classes, said: &Said| told(&[shape], classes, SIZE, said);
    assert_eq!(head(&[1, 300, 6], Some(1), &said(Some(true))), Ok(Head::End2end));
    assert_eq!(head(&[1, 300, 6], Some(2), &said(Some(true))), Ok(Head::End2end));
    assert_eq!(head(&[1, 300, 6], None, &said(Some(true))), Ok(Head::End2end));
    // RT-DETR with two classes.
    assert_eq!(head(&[1, 300, 6], Some(2), &said(Some(false))), Ok(Head::Yolov8));
    assert_eq!(head(&[1, 300, 84], Some(80), &said(None)), Ok(Head::Yolov8));
    // None of the package's detectors has the head of YOLOv5.
    assert_eq!(head(&[1, 300, 6], Some(1), &said(None)), Ok(Head::End2end));
    refused(&[&[1, 300, 6]], Some(2), &said(None), &["end2end", "yolov8 with 2 classes"], &["yolov5"]);
    refused(&[&[1, 84, 8400]], Some(80), &said(Some(true)), &["end to end", "[1, N, 6]"], &["could be"]);
    refused(
        &[&[1, 300, 6]],
        Some(1),
        &said(Some(false)),
        &["2 classes for the head yolov8", "is 1 label"],
        &["yolov5"],
    );
}

#[test]
fn outputs_that_are_not_read_are_called_what_they_are() {
    let nothing = Said::default();
    refused(&[&[1, 100, 7][..2]], None, &nothing, &["no head"], &[]);
    refused(&[&[100, 7]], Some(3), &nothing, &["[100, 7]", "YOLOv7"], &[]);
    refused(&[&[1, 3, 80, 80, 85]], Some(80), &nothing, &["last layers"], &[]);
    refused(&[&[1, 1917, 4], &[1, 1917, 91]], Some(90), &nothing, &["[1, 1917, 4] and [1, 1917, 91]", "anchors"], &[]);
    refused(&[&[1, 116, 8400], &[1, 32, 160, 160]], Some(80), &nothing, &["segmentation"], &[]);
    refused(&[&[1, 10, 4], &[1, 10], &[1, 10], &[1]], Some(80), &nothing, &["suppression", "export it without"], &[]);
    refused(&[&[1, 255, 80, 80], &[1, 255, 40, 40], &[1, 255, 20, 20]], Some(80), &nothing, &["several outputs"], &[]);
    refused(&[], None, &nothing, &["no output"], &[]);
}
