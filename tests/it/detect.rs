//! Detectors as a person meets them: a file of any exporter, what `model add` makes of it, what is found, what is published.

#[path = "detect/events.rs"]
mod events;
#[path = "detect/followed.rs"]
mod followed;
#[path = "detect/nets.rs"]
pub mod nets;

use std::path::Path;

use nets::{Net, picture, rows};

use crate::common;
use crate::model_add::home::{Home, Ran};

const PLATES: [[f32; 6]; 2] = [[10.0, 12.0, 40.0, 50.0, 0.9, 0.0], [45.0, 5.0, 60.0, 20.0, 0.6, 0.0]];

/// What the package of Ultralytics writes into every file.
const PACKAGE: &[(&str, &str)] = &[
    ("description", "Ultralytics YOLO26n model"),
    ("author", "Ultralytics"),
    ("version", "8.4.56"),
    ("stride", "32"),
    ("batch", "1"),
    ("imgsz", "[64, 64]"),
    ("channels", "3"),
];

pub fn package(more: &[(&'static str, &'static str)]) -> Vec<(&'static str, &'static str)> {
    [PACKAGE, more].concat()
}

/// A home with this network as `net.onnx` and a white picture of its size.
fn home(net: &Net) -> Home {
    let home = Home::new();
    home.write("net.onnx", net.file());
    home.write("white.jpg", picture(64, 64, 255));
    for (file, labels) in [("one.txt", 1), ("two.txt", 2), ("three.txt", 3), ("eighty.txt", 80)] {
        let lines: Vec<String> = (0..labels).map(|i| format!("thing{i}")).collect();
        home.write(file, lines.join("\n"));
    }
    home
}

fn add(home: &Home, more: &[&str]) -> Ran {
    home.run(&[&["add", "./net.onnx"], more].concat())
}

/// What `infer` finds in `input` with a model or file of this home.
fn infer(home: &Home, model: &str, input: &str) -> Ran {
    let mut command = common::leptond();
    command.current_dir(home.dir.path()).args(["infer", model, input, "--json"]);
    Ran::of(command.output().unwrap())
}

#[track_caller]
fn found(home: &Home, model: &str) -> Vec<(String, f64, Vec<f64>)> {
    let out = infer(home, model, "white.jpg").ok().out;
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    let number = |v: &serde_json::Value| (v.as_f64().unwrap() * 1e3).round() / 1e3;
    value["detections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| {
            let bbox = d["box"].as_array().unwrap().iter().map(number).collect();
            (d["label"].as_str().unwrap().into(), number(&d["score"]), bbox)
        })
        .collect()
}

#[track_caller]
fn no_rust(ran: &Ran) {
    for word in ["Some(", "None", "Err(", "panicked"] {
        assert!(!ran.out.contains(word) && !ran.err.contains(word), "{word}: {}{}", ran.out, ran.err);
    }
}

#[track_caller]
fn refused(net: &Net, args: &[&str], code: i32, with: &[&str], without: &[&str]) {
    let home = home(net);
    let ran = add(&home, args).fails(code, with);
    for word in without {
        assert!(!ran.err.contains(word), "{word:?} is in: {}", ran.err);
    }
    no_rust(&ran);
    assert!(home.installed().is_empty());
}

#[test]
fn an_end_to_end_export_with_one_class_finds_its_plates() {
    // Ultralytics 24697: YOLO26 exports end to end by default.
    let net =
        Net::end2end(&PLATES, 300, &package(&[("task", "detect"), ("names", "{0: 'plate'}"), ("end2end", "True")]));
    let home = home(&net);
    let added = add(&home, &[]).ok();
    assert!(added.out.contains("head end2end: by the file's own metadata"), "{}", added.out);
    assert!(added.out.contains("2 drawn pictures") || added.out.contains("two drawn pictures"), "{}", added.out);
    no_rust(&added);
    let wanted = [
        ("plate".to_string(), 0.9, vec![10.0, 12.0, 40.0, 50.0]),
        ("plate".to_string(), 0.6, vec![45.0, 5.0, 60.0, 20.0]),
    ];
    assert_eq!(found(&home, "models/net"), wanted);
    // A bare file in a pipeline is read by the same words.
    home.write("frames.toml", detect_config(&home.path("net.onnx"), ""));
    let checked = common::leptond().arg("check").arg("--config").arg(home.path("frames.toml")).output().unwrap();
    Ran::of(checked).ok();
}

fn detect_config(model: &Path, task: &str) -> String {
    format!(
        "[mqtt]\nhost = \"h\"\n[[pipeline]]\nname = \"p\"\nmodel = {model:?}\n[pipeline.source]\ntype = \"synthetic\"\n\
         [pipeline.task]\ntype = \"detect\"\n{task}"
    )
}

#[test]
fn the_siblings_of_an_end_to_end_export_are_known_too() {
    let check = |metadata: &[(&str, &str)], args: &[&str], label: &str| {
        let home = home(&Net::end2end(&PLATES, 300, metadata));
        let ran = add(&home, args).ok();
        assert!(ran.out.contains("head end2end") || args.contains(&"--head"), "{}", ran.out);
        let labels: Vec<String> = found(&home, "models/net").into_iter().map(|(label, ..)| label).collect();
        assert_eq!(labels, [label, label], "{metadata:?} {args:?}");
    };
    let three = ("names", "{0: 'person', 1: \"traffic light\", 2: 'car'}");
    check(
        &package(&[("task", "detect"), three, ("end2end", "True"), ("args", "{'batch': 1, 'nms': False}")]),
        &[],
        "person",
    );
    // `nms=True` gives the same form, whatever the network.
    check(
        &package(&[("task", "detect"), three, ("end2end", "False"), ("args", "{'batch': 1, 'nms': True}")]),
        &[],
        "person",
    );
    // YOLOv10 by an older exporter, which does not say it: with one or three classes nothing else fits.
    check(&package(&[("task", "detect"), three]), &[], "person");
    check(&package(&[("task", "detect"), ("names", "{0: 'plate'}")]), &[], "plate");
    check(&package(&[("task", "detect"), ("names", "['plate']")]), &[], "plate");
    // Without a word, by three labels, and by the person.
    check(&[], &["--labels", "three.txt"], "thing0");
    check(&[], &["--task", "detect", "--head", "end2end"], "0");
    check(&[], &["--labels", "one.txt", "--head", "end2end"], "thing0");
}

#[test]
fn a_shape_that_leaves_a_choice_is_refused_with_what_it_could_be() {
    let net = Net::end2end(&PLATES, 300, &[]);
    let fastest = &["fastestdet", "ssd"];
    refused(&net, &["--labels", "one.txt"], 2, &["[1, 300, 6]", "end2end", "yolov5 with 1 class", "--head"], fastest);
    refused(&net, &["--task", "detect"], 2, &["[1, 300, 6]", "end2end", "yolov5 with 1 class", "--labels"], fastest);
    refused(&net, &["--labels", "two.txt"], 2, &["end2end", "yolov8 with 2 classes", "--head"], &["yolov5", "ssd"]);
    // A size that is open in the file is no reason to print it as it is in memory.
    let net = Net { declared: vec![-1, -1, 6], ..net };
    refused(&net, &["--labels", "one.txt"], 2, &["[1, 300, 6]", "end2end"], &["?"]);
}

#[test]
fn labels_that_do_not_fit_are_named_with_the_classes() {
    let net = Net::planes(80, &[]);
    refused(&net, &["--labels", "three.txt"], 2, &["[1, 84, 84]", "80 classes", "3 labels"], &["end2end"]);
    // With the head named, the same is found before the trial.
    refused(&net, &["--labels", "three.txt", "--head", "yolov8"], 1, &["80 classes", "3 labels"], &[]);
    // No shape shows the number of classes of an end-to-end head; the file's own words do.
    let said =
        Net::end2end(&PLATES, 300, &package(&[("task", "detect"), ("names", "{0: 'plate'}"), ("end2end", "True")]));
    refused(&said, &["--labels", "three.txt"], 2, &["3 labels", "metadata has 1"], &[]);
    let home = home(&net);
    add(&home, &["--labels", "eighty.txt"]).ok();
    home.write("models/net/labels.txt", "a\nb\n");
    infer(&home, "models/net", "white.jpg").fails(1, &["80 classes", "2 labels"]);
}

#[test]
fn a_manifest_that_contradicts_the_file_is_refused() {
    let net =
        Net::end2end(&PLATES, 300, &package(&[("task", "detect"), ("names", "{0: 'plate'}"), ("end2end", "True")]));
    for head in ["yolov5", "yolov8"] {
        refused(&net, &["--head", head], 1, &["[1, 300, 6]", "end2end", head], &[]);
    }
    // As an earlier release installed it: it would find nothing for ever.
    let home = home(&net);
    add(&home, &[]).ok();
    let manifest = std::fs::read_to_string(home.path("models/net/model.toml")).unwrap();
    home.write("models/net/model.toml", manifest.replace("end2end", "yolov5"));
    infer(&home, "models/net", "white.jpg").fails(1, &["end2end", "not yolov5"]);
}

#[test]
fn other_kinds_of_models_are_called_what_they_are() {
    for (task, words) in [
        ("segment", ["instance segmentation", "--task raw"]),
        ("pose", ["no values for the task", "--task raw"]),
        ("obb", ["other columns", "--task raw"]),
    ] {
        let net = Net::end2end(&PLATES, 300, &[("task", task), ("names", "{0: 'plate'}"), ("end2end", "True")]);
        refused(&net, &[], 2, &words, &[]);
    }
    let net = Net::end2end(&PLATES, 300, &[("task", "depth"), ("names", "{0: 'plate'}")]);
    refused(&net, &[], 1, &["another task (depth)", "--task raw"], &[]);
    let home = home(&net);
    let added = add(&home, &["--task", "raw"]).ok();
    assert!(added.out.contains("raw"), "{}", added.out);
    let seven = Net::constant(&[10, 7], &[0.0; 70], &[]);
    let home = self::home(&seven);
    let added = add(&home, &["--task", "detect", "--labels", "three.txt"]).ok();
    assert!(added.out.contains("head yolov7: by the shape of its output"), "{}", added.out);
    let said = Net::planes(2, &[("task", "detect"), ("names", "{0: 'a', 1: 'b'}"), ("end2end", "True")]);
    refused(&said, &[], 2, &["[1, 6, 84]", "end to end", "[1, N, 6]"], &["could be"]);
}

#[test]
fn a_trial_finds_what_the_shape_does_not_show() {
    let refuse =
        |net: &Net, args: &[&str], parts: &[&str]| refused(net, args, 1, &[&["cannot be used"], parts].concat(), &[]);
    let three: &[&str] = &["--labels", "three.txt"];
    // Scores before the last layer.
    let mut net = Net::planes(3, &[]);
    net.base[4 * 84..].iter_mut().for_each(|score| *score = -4.0);
    refuse(&net, three, &["scores from -4.00", "0 to 1"]);
    // The same score everywhere: refused when the head was guessed, said when it was named.
    let mut net = Net::planes(3, &[]);
    net.base[4 * 84..].iter_mut().for_each(|score| *score = 0.3);
    refuse(&net, three, &["same score, 0.300", "--head yolov8"]);
    let home = home(&net);
    let added = add(&home, &["--labels", "three.txt", "--head", "yolov8"]).ok();
    assert!(added.out.contains("note       each of its 84 boxes has the same score"), "{}", added.out);
    // Shares of the picture: refused, and right once it is said.
    let mut net = Net::planes(3, &[]);
    net.base[..4 * 84].iter_mut().for_each(|v| *v /= 64.0);
    refuse(&net, three, &["shares of the picture", "--boxes normalised"]);
    let home = self::home(&net);
    add(&home, &["--labels", "three.txt", "--boxes", "normalised"]).ok();
    assert_eq!(found(&home, "models/net"), [("thing1".to_string(), 0.9, vec![24.0, 24.0, 40.0, 40.0])]);
    let pixels = Net::planes(3, &[]);
    refuse(&pixels, &["--labels", "three.txt", "--boxes", "normalised"], &["but pixels"]);
    // YOLOX without its last layers has YOLOv5's shape, and offsets and logarithms for boxes.
    let mut row = vec![0.2, 0.3, -0.5, -0.7, 0.4];
    row.extend([0.3, 0.2, 0.1]);
    let net = Net::constant(&[1, 84, 8], &row.repeat(84), &[]);
    let yolox = self::home(&net);
    let added = add(&yolox, three).ok();
    assert!(added.out.contains("head yolox: by what it gives"), "{}", added.out);
    refuse(&net, &["--labels", "three.txt", "--head", "yolov5"], &["width or height below 0", "YOLOX"]);
    // A class that is none.
    let rows: Vec<f32> = [[10.0, 12.0, 40.0, 50.0, 0.9, 7.0]].concat();
    let net = Net::constant(&[1, 1, 6], &rows, &[]);
    refuse(&net, &["--labels", "three.txt"], &["class is 7", "0 to 2"]);
    let net = Net::constant(&[1, 2, 6], &[10.0, 12.0, 40.0, 50.0, 0.2, 0.5, 1.0, 1.0, 9.0, 9.0, 0.1, 0.0], &[]);
    refuse(&net, &["--labels", "three.txt"], &["class 0.5", "whole numbers"]);
}

#[test]
fn the_usual_heads_are_told_by_their_shapes() {
    let check = |net: &Net, args: &[&str], head: &str, label: &str| {
        let home = home(net);
        let added = add(&home, args).ok();
        assert!(added.out.contains(&format!("head {head}: by ")), "{}", added.out);
        let wanted = [(label.to_string(), 0.9, vec![24.0, 24.0, 40.0, 40.0])];
        assert_eq!(found(&home, "models/net"), wanted, "{head} {args:?}");
    };
    check(&Net::planes(3, &[]), &["--labels", "three.txt"], "yolov8", "thing1");
    check(&Net::planes(3, &[]), &["--task", "detect"], "yolov8", "1");
    check(&Net::planes(3, &package(&[("task", "detect"), ("names", "{0: 'a', 1: 'b', 2: 'c'}")])), &[], "yolov8", "b");
    check(&Net::turned(3), &["--labels", "three.txt"], "yolov8", "thing1");
    check(&Net::with_objectness(3), &["--labels", "three.txt"], "yolov5", "thing1");
    check(&Net::with_objectness(3), &["--task", "detect"], "yolov5", "1");
    assert_eq!(rows(64), 84);
}

#[test]
fn key_points_and_turned_boxes_are_told_by_metadata_published_and_drawn() {
    let detection = |metadata: &[(&'static str, &'static str)], row: &[f32]| {
        let values = [row, &vec![0.0; row.len() * 9]].concat();
        let all = package(&[metadata, &[("names", "{0: 'ship'}"), ("end2end", "True")]].concat());
        let home = home(&Net::constant(&[1, 10, row.len() as i64], &values, &all));
        let added = add(&home, &[]).ok();
        assert!(added.out.contains("head end2end: by the file's own metadata"), "{}", added.out);
        let value: serde_json::Value = serde_json::from_str(&infer(&home, "models/net", "white.jpg").ok().out).unwrap();
        assert_eq!(value["task"], metadata[0].1);
        let mut command = common::leptond();
        command.current_dir(home.dir.path()).args(["infer", "models/net", "white.jpg", "--draw", "drawn"]);
        Ran::of(command.output().unwrap()).ok();
        assert!(home.path("drawn").read_dir().unwrap().count() == 1, "a picture");
        value["detections"][0].clone()
    };
    let pose = [("task", "pose"), ("kpt_shape", "[2, 3]")];
    let found = detection(&pose, &[10.0, 12.0, 40.0, 50.0, 0.9, 0.0, 15.0, 20.0, 0.75, 30.0, 40.0, 0.5]);
    assert_eq!(found["keypoints"], serde_json::json!([[15.0, 20.0, 0.75], [30.0, 40.0, 0.5]]));
    // Centre, size, score, class, angle.
    let found = detection(&[("task", "obb")], &[32.0, 32.0, 20.0, 10.0, 0.9, 0.0, std::f32::consts::FRAC_PI_2]);
    let bbox: Vec<f64> = found["box"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap().round()).collect();
    assert_eq!(bbox, [27.0, 22.0, 37.0, 42.0]);
    assert_eq!(found["corners"].as_array().unwrap().len(), 4);
}

#[test]
fn the_list_with_gaps_is_told_from_that_of_the_names() {
    let net = Net::constant(&[1, 84, rows(64) as i64], &vec![0.0; 84 * rows(64)], &[]);
    let home = home(&net);
    let ninety: Vec<String> = (0..90).map(|i| format!("thing{i}")).collect();
    home.write("ninety.txt", ninety.join("\n"));
    let head = ["--task", "detect", "--head", "yolov8", "--labels"];
    let ran = add(&home, &[&head[..], &["ninety.txt"]].concat());
    let ran = ran.fails(1, &["80 classes", "90 labels", "the gaps in its numbers"]);
    assert!(!ran.err.contains(".partial"), "{}", ran.err);
    assert!(!home.path("models/.partial/stage").exists(), "nothing half made is left");
    add(&home, &[&head[..], &["coco"]].concat()).ok();
    let file = home.path("models/net/labels.txt");
    assert!(std::fs::read_to_string(file).unwrap().starts_with("person\nbicycle\n"));
}
