//! Objects that are followed, as MQTT tells of them: numbers, zones, lines, pictures of the best moment.

use std::time::{Duration, Instant, SystemTime};

use leptond::event::{self, Follower, ObjectSettings, Settings, Subject};
use leptond::frame::{Detection, Image, Outcome, PixelFormat, TaskKind};
use leptond::preprocess;
use serde_json::{Value, json};

use super::events::{events, run_with};
use crate::daemon::on;
use crate::mosquitto::{Mosquitto, Received};

/// The plate stands at the bottom of its box `[10, 12, 40, 50]` of 64 pixels: at `[0.39, 0.78]`.
const TABLES: &str = "[[pipeline.zone]]\nname = \"yard\"\npolygon = [[0.2, 0.5], [0.6, 0.5], [0.6, 1.0], [0.2, 1.0]]\nloiter_s = 1.0\n\
     [[pipeline.zone]]\nname = \"roof\"\npolygon = [[0.0, 0.0], [1.0, 0.0], [1.0, 0.4]]\n\
     [[pipeline.line]]\nname = \"road\"\nfrom = [0.0, 0.3]\nto = [1.0, 0.3]\n\
     [pipeline.event]\nappear_s = 0.3\nvanish_s = 0.8\nsnapshot = true\nclean = true\n";

fn states(messages: &[Received]) -> Vec<Value> {
    on(messages, "leptond/test/door/state").iter().map(|m| m.json()).collect()
}

#[test]
fn zones_numbers_and_pictures_are_published() {
    let Some(broker) = Mosquitto::start("zones_numbers_and_pictures_are_published") else { return };
    let listener = broker.listen("leptond/test/#");
    let letters = format!("{}{}{}", "b".repeat(10), "w".repeat(40), "b".repeat(40));
    let (_home, mut daemon) = run_with(broker.port, &letters, false, "", TABLES);
    let seen = listener.wait_for("the end of the plate", |m| events(m).iter().any(|e| e["type"] == "end"));
    let told = events(&seen);
    let kinds: Vec<&str> = told.iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["new", "update", "update", "end"], "{told:?}");
    assert!(told.iter().all(|e| e["id"] == told[0]["id"] && e["track_id"] == 1), "{told:?}");
    assert_eq!((&told[1]["zones"], &told[1]["loitering"]), (&json!(["yard"]), &Value::Null));
    assert_eq!((&told[2]["zones"], &told[2]["loitering"]), (&json!(["yard"]), &json!(["yard"])));
    assert_eq!(told[3]["entered_zones"], json!(["yard"]));
    assert_eq!((&told[3]["snapshot"], &told[3]["source_width"]), (&json!(true), &json!(64)));
    let there = states(&seen).into_iter().find(|state| state["counts"] == json!({"plate": 1})).unwrap();
    assert_eq!(there["zones"]["roof"], json!({}), "{there}");
    assert_eq!(there["lines"], json!({"road": {}}), "{there}");
    let results = on(&seen, "leptond/test/door/result");
    let followed = results.iter().map(|m| m.json()).filter(|r| r["detections"][0]["zones"] == json!(["yard"]));
    assert!(followed.filter(|r| r["detections"][0]["track_id"] == 1).count() > 10);
    daemon.signal("TERM");
    assert_eq!(daemon.wait().0.code(), Some(0));
    // Retained: there for whoever comes later.
    let late = broker.listen("leptond/test/door/snapshot/#");
    let pictures = |m: &[Received], topic: &str| -> Vec<Vec<u8>> {
        on(m, &format!("leptond/test/door/{topic}")).iter().map(|m| m.payload.clone()).collect()
    };
    let both = |m: &[Received]| !pictures(m, "snapshot").is_empty() && !pictures(m, "snapshot/clean").is_empty();
    let kept = late.wait_for("both pictures", both);
    assert!(kept.iter().all(|m| m.retain && m.payload.starts_with(&[0xff, 0xd8, 0xff])), "JPEG, retained");
    assert_ne!(pictures(&kept, "snapshot"), pictures(&kept, "snapshot/clean"));
}

#[test]
fn a_pipeline_without_objects_takes_no_zones() {
    let check = |model: &str, tables: &str, parts: &[&str]| {
        let config = format!(
            "[mqtt]\nhost = \"h\"\n[[pipeline]]\nname = \"p\"\nmodel = {model:?}\nsource = {{ type = \"synthetic\" }}\n{tables}"
        );
        let file = tempfile::NamedTempFile::with_suffix(".toml").unwrap();
        std::fs::write(file.path(), config).unwrap();
        let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        let mut command = crate::common::leptond();
        command.arg("check").arg("--config").arg(file.path()).arg("--set");
        let output = command.arg(format!("models.dirs=[{models:?}]")).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{text}");
        for part in parts {
            assert!(text.contains(part), "{part}: {text}");
        }
    };
    let zone = "[[pipeline.zone]]\nname = \"a\"\npolygon = [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]\n";
    check("leptonnet-cifar10", zone, &["pipeline[0].zone", "\"detect\""]);
    let twice = format!("{zone}{zone}");
    check("leptonnet-cifar10", &twice, &["pipeline[0].zone[1].name", "the name is taken"]);
    let crossed = "[[pipeline.zone]]\nname = \"a\"\npolygon = [[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]\n";
    check("leptonnet-cifar10", crossed, &["pipeline[0].zone[0].polygon", "cross each other"]);
    let outside = "[[pipeline.line]]\nname = \"a\"\nfrom = [0.1, 0.1]\nto = [1.5, 0.9]\n";
    check("leptonnet-cifar10", outside, &["pipeline[0].line[0].to", "outside of the picture", "0 to 1"]);
}

/// The least time of several runs of `work`: what disturbs a run only makes it longer.
fn least(mut work: impl FnMut()) -> Duration {
    let time = |_| {
        let before = Instant::now();
        work();
        before.elapsed()
    };
    (0..200).map(time).min().unwrap()
}

/// Run with `--nocapture` for the figures. Without optimisation, that is; the decoder of pictures is always optimised.
#[test]
fn following_twenty_objects_costs_less_than_decoding_a_small_picture() {
    let noise = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 27) as u8;
    let rgb: Vec<u8> = (0..640 * 480 * 3).map(|i| ((i / 3 % 640) / 4) as u8 + noise(i)).collect();
    let mut jpeg = Vec::new();
    jpeg_encoder::Encoder::new(&mut jpeg, 85).encode(&rgb, 640, 480, jpeg_encoder::ColorType::Rgb).unwrap();
    let image = Image { format: PixelFormat::Jpeg, data: jpeg, ..Image::default() };
    let mut decoded = Vec::new();
    let decoding = least(|| _ = preprocess::to_rgb(&image, &mut decoded).unwrap());
    let objects = ObjectSettings { min_score: 0.4, appear: Duration::from_millis(500), vanish: Duration::from_secs(2) };
    let settings = Settings { config: event::Config::default(), subject: Subject::Objects(objects.clone()) };
    let mut follower = Follower::new(&settings, &objects);
    let mut frame = 0_u64;
    // A crowd in two rows that walk towards each other, close together.
    let following = least(|| {
        frame += 1;
        let step = (frame % 400) as f32;
        let walker = |i: u16| {
            let (row, place) = (i % 2, 60.0 * f32::from(i / 2));
            let x = if row == 0 { place + step } else { 600.0 - place - step };
            let y = 200.0 + 30.0 * f32::from(row);
            Detection::new("person".into(), 0.8, [x - 20.0, y - 50.0, x + 20.0, y + 50.0])
        };
        let mut outcome = Outcome::Detect {
            task: TaskKind::Detect,
            detections: (0..20).map(walker).collect(),
            counts: Default::default(),
            zones: Default::default(),
            lines: Default::default(),
            source_width: 640,
            source_height: 480,
        };
        let now = Duration::from_millis(66 * frame);
        follower.frame(&mut outcome, &[], now, SystemTime::UNIX_EPOCH + now);
    });
    println!("following 20 objects {following:?}, decoding 640x480 {decoding:?}");
    assert!(following * 10 < decoding, "{following:?}, {decoding:?}");
}
