//! `check --ladder`: what the work of a pipeline may be lowered to, measured at the first start and remembered at the next.

use std::path::{Path, PathBuf};

use leptond::model::sha256;
use serde_json::Value;

use crate::common;
use crate::model::build;

fn bundle(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(name)
}

/// A camera and a model, with `governor` as the keys of `[pipeline.governor]`.
fn config(model: &Path, governor: &str) -> String {
    format!(
        "[mqtt]\nhost = \"127.0.0.1\"\n[[pipeline]]\nname = \"p\"\nmodel = {:?}\nengine = \"int8\"\n\
         [pipeline.source]\ntype = \"synthetic\"\nfps = 10.0\nwidth = 320\nheight = 240\n[pipeline.governor]\n{governor}\n",
        model.display().to_string()
    )
}

/// The ladder of the one pipeline of `config`, with what is remembered kept in `state`.
fn ladder(config: &str, state: &Path) -> Value {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config).unwrap();
    let mut command = common::leptond();
    command.args(["check", "--ladder", "--json", "--config"]).arg(file.path()).env("STATE_DIRECTORY", state);
    let output = command.output().unwrap();
    let said: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert!(output.status.success(), "{said}");
    said["ladders"][0].clone()
}

/// `key` of every rung, each once, in order of first appearance.
fn each(ladder: &Value, key: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for rung in ladder["rungs"].as_array().unwrap() {
        if !all.contains(&rung[key]) {
            all.push(rung[key].clone());
        }
    }
    all
}

#[test]
fn the_digits_can_be_lowered_by_form_and_resolution_within_the_floors() {
    let state = tempfile::tempdir().unwrap();
    let digits = bundle("leptonnet-digits");
    let free = ladder(&config(&digits, ""), state.path());
    let rungs = free["rungs"].as_array().unwrap();
    let first = &rungs[0];
    assert_eq!((&first["form"], &first["resolution"], &first["batch"]), (&"main".into(), &32.into(), &1.into()));
    assert_eq!(first["interval_ms"], 0, "full work is every frame");
    let accuracy = first["accuracy"].as_f64().unwrap();
    assert!((accuracy - 0.9993).abs() < 1e-4, "the manifest's figure: {first}");
    for (before, after) in rungs.iter().zip(&rungs[1..]) {
        let cpu = |rung: &Value| rung["cpu_percent"].as_f64().unwrap();
        assert!(cpu(after) < cpu(before), "{after} costs less than {before}");
    }
    for rung in rungs {
        let accuracy = rung["accuracy"].as_f64().expect("all are known, by figure or golden inputs");
        assert!((0.5..=1.0).contains(&accuracy), "{rung}");
        assert!(rung["infer_ms"].as_f64().unwrap() > 0.0, "{rung}");
    }

    let large = ladder(&config(&digits, "min_resolution = 32"), state.path());
    assert_eq!(each(&large, "resolution"), [32]);
    let good = ladder(&config(&digits, "min_accuracy = 0.99"), state.path());
    assert_eq!(each(&good, "form"), ["main"], "the small form has 0.967");
    let fast = ladder(&config(&digits, "min_fps = 4.0"), state.path());
    assert!(each(&fast, "per_s").iter().all(|fps| fps.as_f64().unwrap() >= 3.99), "{fast}");
}

#[test]
fn a_camera_can_be_asked_for_smaller_pictures_and_a_file_cannot() {
    let state = tempfile::tempdir().unwrap();
    let camera = config(&bundle("leptonnet-digits"), "");
    let rungs = ladder(&camera, state.path());
    let captures = each(&rungs, "capture");
    assert_eq!(captures[0], Value::Null, "full work is as configured: {rungs}");
    assert!(captures[1..].iter().any(Value::is_u64), "decoding a smaller picture takes less: {rungs}");
    for rung in rungs["rungs"].as_array().unwrap().iter().filter(|rung| rung["capture"].is_u64()) {
        // 4:3 pictures: the height is what has to be enough.
        let (height, resolution) = (rung["capture"].as_u64().unwrap() * 3 / 4, rung["resolution"].as_u64().unwrap());
        assert!(height >= resolution, "never smaller than the model's input: {rung}");
    }
    let golden = bundle("leptonnet-digits").join("golden");
    let source = "type = \"synthetic\"\nfps = 10.0\nwidth = 320\nheight = 240";
    let file = camera.replace(source, &format!("type = \"files\"\npath = {:?}", golden.display().to_string()));
    assert_ne!(file, camera);
    assert_eq!(each(&ladder(&file, state.path()), "capture"), [Value::Null]);
}

#[test]
fn a_graph_of_one_size_has_no_resolutions_whatever_its_manifest_says() {
    let state = tempfile::tempdir().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let fixed = dir.path().join("fixed");
    std::fs::create_dir(&fixed).unwrap();
    let onnx = build::file(build::network());
    let hash = sha256(&onnx);
    let manifest = format!(
        "name = \"fixed\"\ntask = \"classify\"\nsha256 = \"{hash}\"\nlabels = [\"a\", \"b\", \"c\", \"d\", \"e\"]\n\
         [input]\nkind = \"image\"\nsize = [8, 8]\nsizes = [[8, 8], [4, 4]]\ncolour = \"grey\"\n\
         [accuracy]\nmetric = \"top-1\"\nvalue = 0.9\n"
    );
    std::fs::write(fixed.join("model.onnx"), onnx).unwrap();
    std::fs::write(fixed.join("model.toml"), manifest).unwrap();
    let found = ladder(&config(&fixed, ""), state.path());
    assert_eq!(each(&found, "resolution"), [8]);
    assert!(found["rungs"].as_array().unwrap().len() > 1, "the interval can be lowered: {found}");
}

#[test]
fn measurements_are_remembered_for_the_same_model_and_damage_is_measured_again() {
    let state = tempfile::tempdir().unwrap();
    let digits = config(&bundle("leptonnet-digits"), "");
    let first = ladder(&digits, state.path());
    assert_eq!(first["remembered"], false);
    let second = ladder(&digits, state.path());
    assert_eq!(second["remembered"], true);
    assert_eq!(first["rungs"], second["rungs"], "the same ladder without measuring");
    // What the pipeline asks is not part of the measurement, what is measured is.
    assert_eq!(ladder(&config(&bundle("leptonnet-digits"), "min_fps = 1.0"), state.path())["remembered"], true);
    assert_eq!(ladder(&config(&bundle("leptonnet-digits"), "max_batch = 2"), state.path())["remembered"], false);
    assert_eq!(ladder(&digits.replace("width = 320", "width = 640"), state.path())["remembered"], false);
    assert_eq!(ladder(&config(&bundle("leptonnet-cifar10"), ""), state.path())["remembered"], false);
    assert_eq!(ladder(&digits, state.path())["remembered"], true);

    let file = state.path().join("calibration.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let damaged = [
        "",
        "{",
        &text[..text.len() / 2],
        &text.replace("\"cpu_ms\": ", "\"cpu_ms\": -"),
        &text.replace("\"form\"", "\"from\""),
    ];
    for damaged in damaged {
        std::fs::write(&file, damaged).unwrap();
        assert_eq!(ladder(&digits, state.path())["remembered"], false, "{damaged}");
        assert_eq!(ladder(&digits, state.path())["remembered"], true);
    }
}

#[test]
fn the_table_is_for_people() {
    let state = tempfile::tempdir().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), config(&bundle("leptonnet-digits"), "")).unwrap();
    let mut command = common::leptond();
    command.args(["check", "--ladder", "--config"]).arg(file.path()).env("STATE_DIRECTORY", state.path());
    let output = command.output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].contains("leptonnet-digits, measured now"), "{text}");
    assert!(lines[1].contains("interval_ms") && lines[1].contains("accuracy"), "{text}");
    assert!(lines[2].contains("main") && lines[2].contains("0.9993"), "{text}");
}
