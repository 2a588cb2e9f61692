//! `leptond bench --startup`: the daemon itself, started until it has given a result.

use serde_json::Value;

use crate::common;

fn bench(args: &[&str]) -> std::process::Output {
    common::leptond().args(["bench", "--startup", "--runs", "1"]).args(args).output().unwrap()
}

/// Names of the phases of the start `kind`, after a look at their times.
fn phases(report: &Value, kind: &str) -> Vec<String> {
    let start = &report[kind];
    let phases = start["phases"].as_array().unwrap();
    let ms = |phase: &Value, key: &str| phase[key].as_f64().unwrap();
    let mut before = 0.0;
    for phase in phases {
        assert!(
            ms(phase, "took_ms") >= 0.0 && (ms(phase, "at_ms") - before - ms(phase, "took_ms")).abs() < 1e-3,
            "{start}"
        );
        before = ms(phase, "at_ms");
    }
    assert!(before > 0.0 && before == start["median_ms"].as_f64().unwrap(), "{start}");
    phases.iter().map(|p| p["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_start_is_taken_apart() {
    if common::emulated() {
        return common::skip("a_start_is_taken_apart", "under an emulator the program cannot start itself");
    }
    let out = bench(&["--json"]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    for kind in ["first", "later"] {
        let phases = phases(&report, kind);
        for phase in ["program loaded", "configuration read", "model compiled", "calibrated", "ready", "first frame"] {
            assert!(phases.iter().any(|p| p == phase), "{phase} is not in {phases:?}");
        }
        assert_eq!(phases.last().unwrap(), "first result");
    }
    let ms = |kind: &str| report[kind]["median_ms"].as_f64().unwrap();
    assert!(ms("later") < ms("first"), "what was measured is remembered: {report}");
}

#[test]
fn a_start_without_a_result_says_how_far_it_came() {
    if common::emulated() {
        return common::skip("a_start_without_a_result", "under an emulator the program cannot start itself");
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("leptond.toml");
    let source = "[pipeline.source]\ntype = \"files\"\npath = \"/nowhere/at/all\"\n";
    std::fs::write(&file, format!("[[pipeline]]\nname = \"p\"\nmodel = \"leptonnet-digits\"\n{source}")).unwrap();
    let out = bench(&["--config", file.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && said.contains("/nowhere/at/all"), "{said}");
    let out = bench(&["leptonnet-digits"]);
    assert_eq!(out.status.code(), Some(2), "a model and a start exclude each other");
}
