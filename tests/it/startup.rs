//! A cold start as `bench --startup` takes it apart, the calibration after the first result, and memory while the broker is away.

use serde_json::Value;

use crate::common;
use crate::daemon::{Daemon, meter};
use crate::mosquitto::{free_port, wait_until};

#[test]
fn a_start_is_told_part_by_part_and_the_first_result_does_not_wait_for_the_calibration() {
    if common::emulated() {
        return common::skip(
            "a_start_is_told_part_by_part_and_the_first_result_does_not_wait_for_the_calibration",
            "an emulated program cannot start itself",
        );
    }
    let output = common::leptond().args(["bench", "--startup", "--runs", "1", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for kind in ["first_start", "later_start"] {
        let start = &report[kind]["breakdown"];
        let parts: Vec<&str> = start["parts"].as_array().unwrap().iter().map(|p| p["part"].as_str().unwrap()).collect();
        let place = |part: &str| parts.iter().position(|p| *p == part).unwrap_or_else(|| panic!("{part}: {parts:?}"));
        let order = [
            "program",
            "configuration",
            "sandbox",
            "model parsed",
            "plan compiled",
            "ladder",
            "first frame",
            "first result",
        ];
        assert!(order.is_sorted_by_key(|part| place(part)), "{kind}: {parts:?}");
        assert!(!parts.contains(&"calibrated"), "the first result comes before: {parts:?}");
        let share: f64 = start["parts"].as_array().unwrap().iter().map(|p| p["share_percent"].as_f64().unwrap()).sum();
        assert!((99.0..=101.0).contains(&share), "{kind}: {share} %");
        assert!(start["first_result_ms"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn a_start_that_fails_says_why() {
    if common::emulated() {
        return common::skip("a_start_that_fails_says_why", "an emulated program cannot start itself");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[mqtt]\nport = 0\n").unwrap();
    let output =
        common::leptond().args(["bench", "--startup", "--runs", "1", "--config"]).arg(file.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("during its start") && said.contains("mqtt.port"), "{said}");
}

#[test]
fn a_pipeline_is_measured_while_it_runs_and_remembered() {
    let state = tempfile::tempdir().unwrap();
    let config = meter(free_port(), "").replace("manual", "auto");
    let run = || {
        Daemon::start_with(
            &config,
            |_| {},
            |command| {
                command.env("STATE_DIRECTORY", state.path());
            },
        )
    };
    let mut first = run();
    first.wait_log("the governor's ladder");
    let log = first.log();
    assert!(log.find("capturing").unwrap() < log.find("the governor's ladder").unwrap(), "{log}");
    assert!(log.contains("remembered=false"), "{log}");
    first.signal("TERM");
    assert!(first.wait().0.success());
    let mut second = run();
    second.wait_log("remembered=true");
    second.signal("TERM");
    assert!(second.wait().0.success());
}

/// Growth after the queue has filled: the allocator's own, in a build without optimisation.
const GROWTH_BYTES: u64 = 8 << 20;

#[test]
fn memory_stays_within_bounds_while_the_broker_is_away_and_frames_come_fast() {
    if common::emulated() {
        return common::skip(
            "memory_stays_within_bounds_while_the_broker_is_away_and_frames_come_fast",
            "an emulator's memory is not the program's",
        );
    }
    let runtime = tempfile::tempdir().unwrap();
    let config = meter(free_port(), "").replace("fps = 10.0", "fps = 200.0");
    let mut daemon = Daemon::start_with(
        &config,
        |_| {},
        |command| {
            command.env("RUNTIME_DIRECTORY", runtime.path());
        },
    );
    daemon.wait_log("capturing");
    let ticks = |daemon: &Daemon, more: u64| {
        let start = daemon.cpu_ticks();
        wait_until("the daemon to compute", || daemon.cpu_ticks() >= start + more);
    };
    ticks(&daemon, 300);
    let before = daemon.rss_bytes();
    ticks(&daemon, 600);
    let after = daemon.rss_bytes();
    assert!(after <= before + GROWTH_BYTES, "{before} bytes grew to {after}");
    assert!(after <= 160 << 20, "{after} bytes");
    daemon.signal("TERM");
    assert!(daemon.wait().0.success());
}
