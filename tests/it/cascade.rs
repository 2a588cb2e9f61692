//! Pipelines that read crops of another pipeline's detections: each crop is of the detection that its result names.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::common;
use crate::daemon::{Daemon, on};
use crate::detect::nets::{Net, picture};
use crate::model_add::home::Home;
use crate::mosquitto::{Mosquitto, Received};

/// Boxes that the detector finds in every picture: two of class 0 and one of class 1, most confident first.
const FOUND: [[f32; 6]; 3] =
    [[10.0, 12.0, 40.0, 50.0, 0.9, 0.0], [45.0, 5.0, 60.0, 20.0, 0.8, 1.0], [2.0, 2.0, 8.0, 9.0, 0.7, 0.0]];

/// A home with a detector that finds [`FOUND`], a model that tells how bright a picture is, and so many pictures, each of
/// another grey: `grey(i)` of picture `i`.
fn home(pictures: u64) -> Home {
    let home = Home::new();
    let names = [("task", "detect"), ("names", "{0: 'car', 1: 'person'}"), ("end2end", "True")];
    home.write("street.onnx", Net::end2end(&FOUND, 300, &names).file());
    home.run(&["add", "./street.onnx"]).ok();
    let mut brightness = Net::constant(&[1, 1], &[0.0], &[]);
    brightness.gain[0] = 1.0;
    home.write("brightness.onnx", brightness.file());
    home.run(&["add", "./brightness.onnx", "--task", "raw", "--mean", "0", "--std", "1"]).ok();
    std::fs::create_dir(home.path("pictures")).unwrap();
    for i in 0..pictures {
        home.write(&format!("pictures/{i:03}.jpg"), picture(64, 64, grey(i + 1)));
    }
    home
}

/// The grey of the picture that the source gives as number `seq`.
fn grey(seq: u64) -> u8 {
    (seq * 7) as u8
}

/// A configuration with the detector over the pictures and a pipeline `looks` that reads its crops.
fn config(home: &Home, port: u16, fps: f64, crops: &str) -> String {
    format!(
        "[node]\nname = \"test\"\n[mqtt]\nhost = \"127.0.0.1\"\nport = {port}\nqueue = 10000\n[governor]\nmode = \"manual\"\n\
         [models]\ndirs = [{:?}]\n[[pipeline]]\nname = \"street\"\nmodel = \"street\"\n[pipeline.source]\ntype = \"files\"\n\
         path = {:?}\nfps = {fps}\n[[pipeline]]\nname = \"looks\"\nmodel = \"brightness\"\n\
         [pipeline.source]\npipeline = \"street\"\n{crops}\n",
        home.path("models"),
        home.path("pictures"),
    )
}

/// The result's parent, `(seq, index, label)`, and how bright the crop was, 0 to 255.
fn look(result: &Value) -> (u64, u64, String, f64) {
    let parent = &result["parent"];
    assert_eq!(parent["pipeline"], "street", "{result}");
    let bright = result["outputs"][0]["values"][0].as_f64().unwrap();
    let label = parent["label"].as_str().unwrap().to_owned();
    (parent["seq"].as_u64().unwrap(), parent["index"].as_u64().unwrap(), label, bright)
}

fn results(messages: &[Received]) -> Vec<Value> {
    on(messages, "leptond/test/looks/result").iter().map(|m| m.json()).collect()
}

/// Every crop shows the grey of the picture that its parent names. What a grey of the file is in the model's input is taken
/// from the results themselves: it must be the same for all crops of one picture, and rise with the grey.
#[track_caller]
fn check_parents(looks: &[(u64, u64, String, f64)]) {
    let mut by_seq: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for (seq, _, _, bright) in looks {
        by_seq.entry(*seq).or_default().push(*bright);
    }
    let mut before = f64::MIN;
    for (seq, brights) in by_seq {
        let (least, most) = brights.iter().fold((f64::MAX, f64::MIN), |(l, m), b| (l.min(*b), m.max(*b)));
        assert!(most - least < 0.005, "crops of picture {seq} differ: {brights:?}");
        assert!(least > before, "picture {seq} is brighter than those before it: {least} after {before}");
        before = most;
    }
}

/// Replays the pictures as fast as they are taken; every result of the crops, in order.
fn replay(test: &str, crops: &str, pictures: u64, expected: usize) -> Option<Vec<(u64, u64, String, f64)>> {
    let broker = Mosquitto::start(test)?;
    let listener = broker.listen("leptond/test/#");
    let home = home(pictures);
    let _daemon = Daemon::start(&config(&home, broker.port, 0.0, crops));
    let seen = listener.wait_for("every crop", |m| results(m).len() >= expected);
    Some(results(&seen).iter().map(look).collect())
}

#[test]
fn nothing_is_lost_where_the_source_can_wait_and_a_replay_is_the_same() {
    let test = "nothing_is_lost_where_the_source_can_wait_and_a_replay_is_the_same";
    let Some(first) = replay(test, "pad = 0.0", 20, 60) else { return };
    check_parents(&first);
    let expected: Vec<(u64, u64, &str)> =
        (1..=20).flat_map(|seq| [(seq, 0, "car"), (seq, 1, "person"), (seq, 2, "car")]).collect();
    let found: Vec<(u64, u64, &str)> = first.iter().map(|(seq, index, label, _)| (*seq, *index, &**label)).collect();
    assert_eq!(found, expected);
    let again = replay(test, "pad = 0.0", 20, 60).unwrap();
    assert_eq!(first, again);
}

#[test]
fn labels_and_the_number_of_crops_are_as_configured() {
    let test = "labels_and_the_number_of_crops_are_as_configured";
    let Some(looks) = replay(test, "labels = [\"car\"]\nmax = 1", 6, 6) else { return };
    let found: Vec<(u64, u64, &str)> = looks.iter().map(|(seq, index, label, _)| (*seq, *index, &**label)).collect();
    assert_eq!(found, (1..=6).map(|seq| (seq, 0, "car")).collect::<Vec<_>>());
}

#[test]
fn parents_are_right_also_where_crops_are_dropped() {
    let test = "parents_are_right_also_where_crops_are_dropped";
    let Some(broker) = Mosquitto::start(test) else { return };
    let listener = broker.listen("leptond/test/#");
    let home = home(30);
    // The crops may be looked at ten times a second only; the pictures come faster, and three crops with each.
    let crops = "[pipeline.governor]\ninterval_ms = 100\nmin_fps = 0.1";
    let _daemon = Daemon::start(&config(&home, broker.port, 60.0, crops));
    let over = |m: &[Received]| on(m, "leptond/test/street/result").iter().any(|m| m.json()["seq"] == 30);
    let seen = listener.wait_for("the last picture", over);
    let looks: Vec<_> = results(&seen).iter().map(look).collect();
    let street = on(&seen, "leptond/test/street/result").len();
    assert!(street >= 25, "its readers do not hold a pipeline up: {street} of 30 pictures");
    assert!(!looks.is_empty() && looks.len() < 60, "{} crops of 90", looks.len());
    check_parents(&looks);
}

#[test]
fn an_event_tells_what_others_said_of_the_object() {
    let test = "an_event_tells_what_others_said_of_the_object";
    let Some(broker) = Mosquitto::start(test) else { return };
    let listener = broker.listen("leptond/test/#");
    let home = home(20);
    let text = config(&home, broker.port, 0.0, "labels = [\"person\"]")
        .replace("model = \"brightness\"", "model = \"leptonnet-cifar10\"");
    let text = text.replacen(
        "[[pipeline]]\nname = \"looks\"",
        "[pipeline.task]\nappear_s = 0.0\nvanish_s = 600.0\n[[pipeline]]\nname = \"looks\"",
        1,
    );
    let text =
        text.replace("dirs = [", &format!("dirs = [{:?}, ", Path::new(env!("CARGO_MANIFEST_DIR")).join("models")));
    let _daemon = Daemon::start(&text);
    let ended = |m: &[Received]| {
        let events = on(m, "leptond/test/street/event");
        events.iter().filter(|m| m.json()["type"] == "end").count() >= 3
    };
    listener.wait_for("the end of all objects", ended);
    // An event overtakes the result that it tells of.
    let seen = listener.wait_for("the results that events tell of", |m| {
        let results = results(m);
        let events = on(m, "leptond/test/street/event").into_iter().map(|m| m.json());
        let told: Vec<Value> = events.map(|event| event["attributes"]["looks"]["seq"].clone()).collect();
        told.iter().all(|seq| seq.is_null() || results.iter().any(|look| look["seq"] == *seq))
    });
    let events: Vec<Value> = on(&seen, "leptond/test/street/event").iter().map(|m| m.json()).collect();
    let looks = results(&seen);
    // It is told as soon as it is known, and never forgotten.
    let person = |event: &&Value| event["label"] == "person" && event["type"] != "new";
    assert!(events.iter().filter(person).all(|event| event["attributes"]["looks"].is_object()), "{events:?}");
    for event in events.iter().filter(|event| event["type"] == "end") {
        let said = &event["attributes"]["looks"];
        if event["label"] == "person" {
            // The latest result when the event ended; those of the last pictures may come after it.
            let result = looks.iter().find(|look| look["seq"] == said["seq"]).unwrap_or_else(|| panic!("{event}"));
            assert_eq!((&said["label"], &result["parent"]["label"]), (&result["label"], &"person".into()), "{event}");
            assert_eq!(result["parent"]["track_id"], event["track_id"], "{event}");
        } else {
            assert!(said.is_null(), "{event}");
        }
    }
}

/// The street pictures: what a classifier says of a crop is what it says of the same pixels cut out by hand.
#[test]
fn crops_are_the_pixels_of_the_decoded_picture() {
    let test = "crops_are_the_pixels_of_the_decoded_picture";
    let Some(shared) = common::shared(test).map(|shared| shared.join("data/images")) else { return };
    let Some(broker) = Mosquitto::start(test) else { return };
    let listener = broker.listen("leptond/test/#");
    let home = Home::new();
    let detector = shared.parent().unwrap().parent().unwrap().join("models/vision/fastestdet-coco-int8.onnx");
    // Its first class is the person; the others do not matter here.
    let classes: Vec<String> = (0..80).map(|i| if i == 0 { "person".into() } else { format!("class {i}") }).collect();
    let labels = home.write("labels.txt", classes.join("\n"));
    home.run(&["add", detector.to_str().unwrap(), "--name", "fastestdet", "--labels", labels.to_str().unwrap()]).ok();
    std::fs::create_dir(home.path("pictures")).unwrap();
    for i in 0..5 {
        let name = format!("street-{i}.jpg");
        std::fs::copy(shared.join(&name), home.path("pictures").join(&name)).unwrap();
    }
    let text = format!(
        "[node]\nname = \"test\"\n[mqtt]\nhost = \"127.0.0.1\"\nport = {}\nqueue = 10000\n[governor]\nmode = \"manual\"\n\
         [models]\ndirs = [{:?}, {:?}]\n[[pipeline]]\nname = \"street\"\nmodel = \"fastestdet\"\n[pipeline.source]\n\
         type = \"files\"\npath = {:?}\nfps = 0.0\n[[pipeline]]\nname = \"looks\"\nmodel = \"leptonnet-cifar10\"\n\
         [pipeline.source]\npipeline = \"street\"\nlabels = [\"person\"]\npad = 0.1\nmax = 16\n",
        broker.port,
        home.path("models"),
        Path::new(env!("CARGO_MANIFEST_DIR")).join("models"),
        home.path("pictures"),
    );
    let daemon = Daemon::start(&text);
    let over = |m: &[Received]| on(m, "leptond/test/state").iter().any(|m| m.json()["state"] == "offline");
    let seen = listener.wait_for("the end of the pictures", over);
    drop(daemon);
    let street: Vec<Value> = on(&seen, "leptond/test/street/result").iter().map(|m| m.json()).collect();
    let looks = results(&seen);
    let persons = |r: &Value| r["detections"].as_array().unwrap().iter().filter(|d| d["label"] == "person").count();
    let expected: usize = street.iter().map(persons).sum();
    assert!(expected > 0 && looks.len() == expected, "{} crops of {expected} persons", looks.len());
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/leptonnet-cifar10");
    for result in &looks {
        let (seq, index) = (&result["parent"]["seq"], result["parent"]["index"].as_u64().unwrap() as usize);
        let parent = street.iter().find(|r| r["seq"] == *seq).unwrap();
        let detection = &parent["detections"][index];
        assert_eq!(detection["label"], "person", "{result}");
        let origin = parent["origin"].as_str().unwrap();
        let crop = cut(origin, &detection["box"]);
        home.write("crop.png", crop);
        let mut command = common::leptond();
        command.current_dir(home.dir.path()).args(["infer", "--json"]).arg(&model).arg("crop.png");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let by_hand: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(top_classes(result), top_classes(&by_hand), "{origin} {detection}");
    }
}

/// The classes of a result with their scores, in the 32 bits that they were computed in.
fn top_classes(result: &Value) -> Vec<(&str, f32)> {
    let top = result["top"].as_array().unwrap();
    top.iter().map(|class| (class["label"].as_str().unwrap(), class["score"].as_f64().unwrap() as f32)).collect()
}

/// The box of a picture with a tenth of its size around it, as PNG: cut out of the picture as leptond decodes it.
fn cut(path: &str, bbox: &Value) -> Vec<u8> {
    use leptond::frame::{Image, PixelFormat};
    let image = Image { format: PixelFormat::Jpeg, data: std::fs::read(path).unwrap(), ..Image::default() };
    let mut rgb = Vec::new();
    let [width, height] = leptond::preprocess::to_rgb(&image, &mut rgb).unwrap();
    let [x1, y1, x2, y2] = [0, 1, 2, 3].map(|i| bbox[i].as_f64().unwrap());
    let (dx, dy) = ((x2 - x1) * 0.1, (y2 - y1) * 0.1);
    let low = |v: f64| (v + 0.001).floor().max(0.0) as u32;
    let high = |v: f64, most: u32| ((v - 0.001).ceil() as u32).min(most);
    let (left, top, right, bottom) = (low(x1 - dx), low(y1 - dy), high(x2 + dx, width), high(y2 + dy, height));
    let mut pixels = Vec::new();
    for y in top..bottom {
        let row = &rgb[(y * width * 3) as usize..((y + 1) * width * 3) as usize];
        pixels.extend_from_slice(&row[left as usize * 3..right as usize * 3]);
    }
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, right - left, bottom - top);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    out
}
