//! Small files that ask for much: refused, or loaded, within 600 MB and 10 s of processor time; the answer names the node.
//!
//! Each one is loaded by `leptond trial-load`, under limits that the kernel holds and that are no way out: a child that had to be ended says
//! "limited" and never "done".

mod files;

use std::path::Path;
use std::process::Command;

use leptond::model::{LoadedModel, PlanKey};

use crate::common;
use crate::daemon::{Daemon, meter};
use crate::model::build::{file, network};
use crate::mosquitto::free_port;
use files::hostile;

fn refusal(bytes: &[u8]) -> Option<String> {
    let load = || LoadedModel::from_onnx("hostile.onnx", bytes)?.plan(PlanKey::default()).map(drop);
    load().err().map(|error| error.to_string())
}

#[test]
fn each_answer_names_what_is_asked_for() {
    for (name, bytes, words) in hostile() {
        assert!(
            bytes.len() < 1_000_000 || words.is_empty() || name.starts_with("empty"),
            "{name}: {} bytes",
            bytes.len()
        );
        match refusal(&bytes) {
            Some(error) => {
                for word in words {
                    assert!(error.contains(word), "{name}: {word:?} is not in: {error}");
                }
                assert!(!error.contains("internal failure"), "{name}: a panic was caught: {error}");
            }
            None => assert!(words.is_empty(), "{name} was accepted"),
        }
    }
}

/// Loads a file in a child that the kernel would end at the limits of the issue; whether it ended by itself.
fn loads_within_limits(path: &Path, len: usize) -> Result<(), String> {
    // In a build without optimisation everything takes longer.
    let seconds = if cfg!(debug_assertions) { 30 } else { 10 };
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("ulimit -d 600000; ulimit -t {seconds}; exec \"$0\" \"$@\""));
    shell.arg(common::leptond().get_program()).args(["trial-load", "0", &len.to_string()]).arg(path);
    let output = shell.output().map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if said.contains("done") { Ok(()) } else { Err(format!("{said:?} {}", String::from_utf8_lossy(&output.stderr))) }
}

#[test]
fn no_small_file_takes_600_mb_or_10_s() {
    if common::emulated() {
        return common::skip("no_small_file_takes_600_mb_or_10_s", "an emulated program cannot start itself");
    }
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes, _) in hostile() {
        let path = dir.path().join("hostile.onnx");
        std::fs::write(&path, &bytes).unwrap();
        loads_within_limits(&path, bytes.len()).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

#[test]
fn a_verdict_is_remembered_and_an_ordinary_start_pays_nothing() {
    if common::emulated() {
        return common::skip(
            "a_verdict_is_remembered_and_an_ordinary_start_pays_nothing",
            "an emulated program cannot start itself",
        );
    }
    let dir = tempfile::tempdir().unwrap();
    let (model, state) = (dir.path().join("model.onnx"), dir.path().join("cache/leptond/trials.json"));
    std::fs::write(&model, file(network())).unwrap();
    let inspect = || {
        let mut command = common::leptond();
        command
            .arg("inspect")
            .arg(&model)
            .env("XDG_CACHE_HOME", dir.path().join("cache"))
            .env_remove("STATE_DIRECTORY");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    inspect();
    let first = std::fs::read_to_string(&state).expect("the verdict is kept");
    assert!(first.contains("fits"), "{first}");
    // Were it tried again, the verdict would be written again.
    let doctored = first.replace("\"fits\"", "{ \"exceeds\": \"remembered words\" }");
    std::fs::write(&state, &doctored).unwrap();
    let output = common::leptond()
        .arg("inspect")
        .arg(&model)
        .env("XDG_CACHE_HOME", dir.path().join("cache"))
        .env_remove("STATE_DIRECTORY")
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && error.contains("remembered words") && error.contains("model.onnx"), "{error}");
    assert_eq!(std::fs::read_to_string(&state).unwrap(), doctored);
    std::fs::write(&state, "{ damaged").unwrap();
    inspect();
}

#[test]
fn a_reload_that_names_a_hostile_model_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("hostile.onnx");
    let (_, bytes, _) = hostile().into_iter().next().unwrap();
    std::fs::write(&model, bytes).unwrap();
    let config = format!("{}\n", meter(free_port(), "")).replace("[node]", "[node]\nsandbox = \"off\"");
    let mut daemon = Daemon::start(&config);
    daemon.wait_log("capturing");
    daemon.replace_config(&config.replace("\"leptonnet-digits\"", &format!("{:?}", model.to_str().unwrap())));
    daemon.signal("HUP");
    daemon.wait_log("permutation");
    // It still takes another, good configuration, with the connection that it has.
    daemon.replace_config(&config.replace("fps = 10.0", "fps = 9.0"));
    daemon.signal("HUP");
    daemon.wait_log("the new configuration applies");
    daemon.signal("TERM");
    assert!(daemon.wait().0.success());
}

#[test]
fn normal_models_are_loaded_within_the_limits() {
    let Some(shared) = common::shared("normal_models_are_loaded_within_the_limits") else { return };
    if common::emulated() {
        return common::skip("normal_models_are_loaded_within_the_limits", "an emulated program cannot start itself");
    }
    for folder in ["mlperf-tiny", "vision", "audio"] {
        for entry in std::fs::read_dir(shared.join("models").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let model = path.extension().is_some_and(|e| e == "onnx" || e == "tflite");
            let len = std::fs::metadata(&path).unwrap().len() as usize;
            if model && len < 1_300_000 {
                loads_within_limits(&path, len).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            }
        }
    }
}
