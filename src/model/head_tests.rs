//! The table of shapes that detectors have: which are told apart, and what is said of the others.

use super::*;
use crate::frame::DType;

const SIZE: [usize; 2] = [640, 640];

fn told(outputs: &[&[usize]], classes: Option<usize>, size: [usize; 2], said: &Said) -> Result<Head, String> {
    let named: Vec<(&str, &[usize])> = outputs.iter().map(|shape| ("", *shape)).collect();
    told_of(TaskKind::Detect, &named, classes, size, said)
}

fn told_of(
    task: TaskKind,
    outputs: &[(&str, &[usize])],
    classes: Option<usize>,
    size: [usize; 2],
    said: &Said,
) -> Result<Head, String> {
    let spec = |(name, shape): &(&str, &[usize])| TensorSpec {
        name: (*name).into(),
        // A colon marks whole numbers.
        dtype: if name.ends_with(':') { DType::I64 } else { DType::F32 },
        shape: shape.to_vec(),
        quant: None,
    };
    let outputs: Vec<TensorSpec> = outputs.iter().map(spec).collect();
    let outputs: Vec<&TensorSpec> = outputs.iter().collect();
    let detector = Detector { task, outputs: &outputs, classes, size, said };
    infer(&detector).map(|(head, _)| head).map_err(|e| e.to_string())
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
    refused(&[&[1, 8400, 84]], None, &nothing, &["yolov8 with 80 classes", "nanodet with 52 classes"], &["end2end"]);
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
    refused(&[&[1, 3, 80, 80, 85]], Some(80), &nothing, &["last layers"], &[]);
    refused(&[&[1, 1917, 4], &[1, 1917, 91]], Some(90), &nothing, &["[1, 1917, 4] and [1, 1917, 91]", "anchors"], &[]);
    refused(&[&[1, 116, 8400], &[1, 32, 160, 160]], Some(80), &nothing, &["--task segment"], &[]);
    refused(&[&[1, 255, 80, 80], &[1, 255, 40, 40], &[1, 255, 20, 20]], Some(80), &nothing, &["several outputs"], &[]);
    refused(&[], None, &nothing, &["no output"], &[]);
}

#[test]
fn the_outputs_of_every_family_are_told_by_names_and_shapes() {
    #[derive(serde::Deserialize)]
    struct Case {
        task: TaskKind,
        head: Head,
        labels: usize,
        size: [usize; 2],
        keypoints: Option<[usize; 2]>,
        outputs: Vec<Output>,
    }
    #[derive(serde::Deserialize)]
    struct Output {
        name: String,
        whole: bool,
        shape: Vec<usize>,
    }
    // What two heads have in common, and what is told by more than names and shapes.
    let unclear = ["yolov5", "yolox", "end2end"];
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/heads");
    let mut told = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let case: Case = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let named: Vec<(String, &[usize])> = (case.outputs.iter())
            .map(|o| (if o.whole { format!("{}:", o.name) } else { o.name.clone() }, o.shape.as_slice()))
            .collect();
        let named: Vec<(&str, &[usize])> = named.iter().map(|(name, shape)| (name.as_str(), *shape)).collect();
        let said = Said {
            task: (case.task != TaskKind::Detect || name.contains("ultralytics")).then(|| case.task.word().into()),
            end2end: name.contains("26").then_some(true),
            keypoints: case.keypoints,
            ..Said::default()
        };
        let found = told_of(case.task, &named, Some(case.labels), case.size, &said);
        if unclear.contains(&name.as_str()) {
            assert!(
                found == Ok(case.head) || found.as_ref().is_err_and(|e| e.contains(case.head.word())),
                "{name}: {found:?}"
            );
        } else {
            assert_eq!(found, Ok(case.head), "{name}");
            told += 1;
        }
    }
    assert!(told > 25, "{told}");
}

#[test]
fn tasks_of_ultralytics_are_told_with_and_without_their_words() {
    let nothing = Said::default();
    let one = |task, shape: &[usize], classes, said: &Said| told_of(task, &[("output0", shape)], classes, SIZE, said);
    let words =
        |task: &str, end2end, keypoints| Said { task: Some(task.into()), end2end, keypoints, ..Said::default() };
    for (task, shape, classes, said, head) in [
        (TaskKind::Pose, &[1, 56, 8400][..], Some(1), &words("pose", Some(false), Some([17, 3])), Head::Yolov8),
        (TaskKind::Pose, &[1, 56, 8400], None, &nothing, Head::Yolov8),
        (TaskKind::Pose, &[1, 8400, 56], Some(1), &nothing, Head::Yolov8),
        (TaskKind::Pose, &[1, 300, 57], Some(1), &words("pose", Some(true), Some([17, 3])), Head::End2end),
        (TaskKind::Pose, &[1, 1, 17, 3], None, &nothing, Head::MoveNet),
        (TaskKind::Obb, &[1, 20, 21_504], Some(15), &nothing, Head::Yolov8),
        (TaskKind::Obb, &[1, 300, 7], Some(15), &words("obb", Some(true), None), Head::End2end),
    ] {
        let size = if shape.contains(&21_504) { [1024, 1024] } else { SIZE };
        let found = told_of(task, &[("output0", shape)], classes, size, said);
        assert_eq!(found, Ok(head), "{task:?} {shape:?}");
    }
    let masks: [(&str, &[usize]); 2] = [("output0", &[1, 116, 8400]), ("output1", &[1, 32, 160, 160])];
    assert_eq!(told_of(TaskKind::Segment, &masks, Some(80), SIZE, &nothing), Ok(Head::Yolov8));
    let masks: [(&str, &[usize]); 2] = [("output0", &[1, 300, 38]), ("output1", &[1, 32, 160, 160])];
    assert_eq!(
        told_of(TaskKind::Segment, &masks, Some(80), SIZE, &words("segment", Some(true), None)),
        Ok(Head::End2end)
    );
    // Two classes more than there are labels.
    assert!(one(TaskKind::Obb, &[1, 22, 21_504], Some(15), &nothing).is_err_and(|e| e.contains("17 classes")));
    assert!(one(TaskKind::Pose, &[1, 5, 8400], Some(1), &nothing).is_err_and(|e| e.contains("no values")));
}
