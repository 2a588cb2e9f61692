//! `leptond try`: pipelines and meters of a configuration over photos, with the reasons for what is held back.

use std::path::Path;
use std::process::Output;

use crate::common::leptond;
use crate::detect::nets::{self, Net};
use crate::detect::package;
use crate::infer::{Meter, bundle, failed, lines, truth};

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn photos_are_read_as_the_daemon_would() {
    let meter = Meter::new();
    let tried = || {
        let mut command = leptond();
        command.current_dir(meter.path("")).arg("try").arg("--config").arg(meter.path("meter.toml"));
        command
    };
    let output = tried().args(["--pipeline", "water", "--json"]).args(meter.pictures()).output().unwrap();
    said(&output);
    let read: Vec<_> = lines(&output.stdout).iter().map(|l| l["label"].as_str().unwrap().to_owned()).collect();
    let expected: Vec<_> = meter.pictures().iter().map(|picture| truth(picture)).collect();
    assert_eq!(read, expected);
    assert!(lines(&output.stdout).iter().all(|l| l["pipeline"] == "water"));
    assert!(!meter.path("tried").exists(), "a program that asks for JSON has asked for no pictures");

    // Without a name each pipeline that takes such files is tried.
    let said_of_pictures = said(&tried().args(meter.pictures()).output().unwrap());
    assert_eq!(said_of_pictures.lines().count(), meter.pictures().len(), "{said_of_pictures}");
    assert_eq!(std::fs::read_dir(meter.path("tried")).unwrap().count(), meter.pictures().len());
    let table = bundle("machine-anomaly").join("golden/quiet.csv");
    assert!(said(&tried().arg(&table).output().unwrap()).contains("score"));
    failed(&tried().args(["--pipeline", "gas"]).args(meter.pictures()).output().unwrap(), 2, &["gas", "water, quiet"]);
    let both = tried().args(meter.pictures()).arg(&table).output().unwrap();
    failed(&both, 2, &["one after the other"]);
}

#[test]
fn what_is_held_back_has_its_reason() {
    let meter = Meter::new();
    // A wall in the place of the meter, one grey for all of it, then noise.
    let (grey, noise) = (meter.path("grey.png"), meter.path("noise.png"));
    picture(&grey, |_, _| 140);
    picture(&noise, |x, y| ((x * 7919 + y * 104_729) % 251) as u8);
    let tried = |file: &Path| {
        let mut command = leptond();
        command.args(["try", "--no-draw", "--pipeline", "water", "--config"]).arg(meter.path("meter.toml")).arg(file);
        said(&command.output().unwrap())
    };
    let words = tried(&grey);
    assert!(words.contains("no reading (unreadable)") && words.contains("held: a digit cannot be read"), "{words}");
    assert!(words.contains("digit 1 of 5: hardly any contrast there") && words.contains("digit 5 of 5"), "{words}");
    let words = tried(&noise);
    assert!(words.contains("held: ") && words.contains("digit 1 of 5: "), "{words}");
    // What is right has no remark.
    let words = tried(&meter.pictures().remove(0));
    assert_eq!(words.lines().count(), 1, "{words}");
}

/// Writes a grey PNG of 640x480 pixels.
fn picture(path: &Path, at: impl Fn(u32, u32) -> u8) {
    let mut encoder = png::Encoder::new(std::fs::File::create(path).unwrap(), 640, 480);
    encoder.set_color(png::ColorType::Grayscale);
    let pixels: Vec<u8> = (0..480).flat_map(|y| (0..640).map(move |x| (x, y))).map(|(x, y)| at(x, y)).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
}

#[test]
fn an_object_that_is_not_told_has_its_reason() {
    let rows = [[10.0, 12.0, 40.0, 50.0, 0.9, 0.0], [45.0, 5.0, 60.0, 20.0, 0.6, 1.0]];
    let metadata = package(&[("task", "detect"), ("names", "{0: 'person', 1: 'dog'}"), ("end2end", "True")]);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("net.onnx"), Net::end2end(&rows, 300, &metadata).file()).unwrap();
    std::fs::write(dir.path().join("white.jpg"), nets::picture(64, 64, 255)).unwrap();
    let tried = |task: &str| {
        let text = format!(
            "[[pipeline]]\nname = \"door\"\nmodel = \"{}/net.onnx\"\nsource = {{ type = \"synthetic\" }}\n[pipeline.task]\ntype = \"detect\"\n{task}\n",
            dir.path().display()
        );
        std::fs::write(dir.path().join("door.toml"), text).unwrap();
        let mut command = leptond();
        said(&command.current_dir(dir.path()).args(["try", "-c", "door.toml", "white.jpg"]).output().unwrap())
    };
    let words = tried("");
    assert!(words.contains("person 0.900") && words.contains("dog 0.600") && !words.contains("not told"), "{words}");
    let words = tried("min_score = 0.7");
    assert!(words.contains("not told: dog 0.600: below min_score 0.7"), "{words}");
    let words = tried("labels = [\"dog\"]");
    assert!(words.contains("not told: person 0.900: not among task.labels"), "{words}");
    let words = tried("labels = [\"dog\"]\nmin_score = 0.95");
    assert!(words.contains("nothing reaches min_score 0.95 among the labels that are asked for"), "{words}");
    assert!(dir.path().join("tried/white.jpg").exists());
}
