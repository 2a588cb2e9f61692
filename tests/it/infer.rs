//! `infer` over files and the golden inputs that `check` runs, through the real binary.

use std::path::{Path, PathBuf};

use crate::common::leptond;

fn bundle(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(name)
}

fn lines(stdout: &[u8]) -> Vec<serde_json::Value> {
    String::from_utf8_lossy(stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn pictures_are_classified_and_a_bad_one_does_not_stop_the_rest() {
    let digits = bundle("leptonnet-digits");
    let bad = tempfile::Builder::new().suffix(".jpg").tempfile().unwrap();
    std::fs::write(bad.path(), b"no picture").unwrap();
    let mut command = leptond();
    command.arg("infer").arg(&digits).arg("--json").arg(digits.join("golden/3.png")).arg(bad.path());
    let output = command.arg(digits.join("golden/7.png")).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "a file without a result is a failure");
    let labels: Vec<_> = lines(&output.stdout).iter().map(|l| l["label"].as_str().unwrap().to_string()).collect();
    assert_eq!(labels, ["3", "7"]);
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(complaint.contains(&bad.path().display().to_string()), "{complaint}");
}

#[test]
fn tables_are_cut_into_windows() {
    let anomaly = bundle("machine-anomaly");
    let run = |file: &str| {
        let output = leptond().arg("infer").arg(&anomaly).arg("--json").arg(anomaly.join(file)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let scores: Vec<f64> = lines(&output.stdout).iter().map(|l| l["score"].as_f64().unwrap()).collect();
        assert!(!scores.is_empty());
        scores.into_iter().fold(0.0, f64::max)
    };
    let (quiet, busy) = (run("golden/quiet.csv"), run("golden/busy.csv"));
    assert!(quiet < 1.0 && busy > 3.0, "quiet {quiet}, busy {busy}");
}

#[test]
fn a_picture_for_a_model_of_tables_is_refused_in_words() {
    let output = leptond()
        .arg("infer")
        .arg(bundle("machine-anomaly"))
        .arg(bundle("leptonnet-digits").join("golden/3.png"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(complaint.contains("3.png") && complaint.contains(".csv"), "{complaint}");
}

#[test]
fn check_runs_golden_inputs_and_says_which_fails() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("leptonnet-digits");
    std::fs::create_dir_all(copy.join("golden")).unwrap();
    for file in
        ["model.toml", "model.onnx", "small.onnx"].iter().filter(|f| bundle("leptonnet-digits").join(f).exists())
    {
        std::fs::copy(bundle("leptonnet-digits").join(file), copy.join(file)).unwrap();
    }
    for entry in std::fs::read_dir(bundle("leptonnet-digits").join("golden")).unwrap() {
        let file = entry.unwrap().path();
        std::fs::copy(&file, copy.join("golden").join(file.file_name().unwrap())).unwrap();
    }
    let config = dir.path().join("leptond.toml");
    let text = format!(
        "[[pipeline]]\nname = \"a\"\nmodel = \"{}\"\n[pipeline.source]\ntype = \"synthetic\"\n",
        copy.display()
    );
    std::fs::write(&config, text).unwrap();
    let check = || leptond().args(["check", "--config"]).arg(&config).output().unwrap();
    let good = check();
    assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stderr));
    assert!(String::from_utf8_lossy(&good.stderr).contains("14 golden inputs"));

    std::fs::copy(bundle("leptonnet-digits").join("golden/1.png"), copy.join("golden/4.png")).unwrap();
    let bad = check();
    assert_eq!(bad.status.code(), Some(78));
    let complaint = String::from_utf8_lossy(&bad.stderr).into_owned();
    assert!(complaint.contains("golden/4.png") && complaint.contains("expected \"4\", found \"1\""), "{complaint}");
}
