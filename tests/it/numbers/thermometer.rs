//! The processor's temperature on a board of other zones than this computer's, which a mount of their own puts into
//! `/sys/class/thermal`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::subscriber::{Subscriber, node};
use crate::common;
use crate::daemon::Daemon;
use crate::mosquitto::free_port;

/// Zones of a Jetson TX2 in m°C: its regulator says 100 °C, always.
const JETSON: [(&str, &str); 8] = [
    ("BCPU-therm", "41500"),
    ("MCPU-therm", "42000"),
    ("GPU-therm", "39500"),
    ("PLL-therm", "43500"),
    ("Tboard_tegra", "37000"),
    ("Tdiode_tegra", "58250"),
    ("PMIC-Die", "100000"),
    ("thermal-fan-est", "60900"),
];

/// A board of these zones.
struct Board {
    dir: tempfile::TempDir,
}

impl Board {
    /// `None` after saying that `test` is skipped, where nothing can be mounted.
    fn of(test: &str, zones: &[(&str, &str)]) -> Option<Self> {
        let board = Board { dir: tempfile::tempdir().unwrap() };
        for (i, (kind, temp)) in zones.iter().enumerate() {
            let zone = board.thermal().join(format!("thermal_zone{i}"));
            std::fs::create_dir_all(&zone).unwrap();
            std::fs::write(zone.join("type"), format!("{kind}\n")).unwrap();
            std::fs::write(zone.join("temp"), format!("{temp}\n")).unwrap();
        }
        std::fs::create_dir(board.dir.path().join("hwmon")).unwrap();
        if !board.on(&Command::new("true")).status().is_ok_and(|status| status.success()) {
            common::skip(
                test,
                "nothing can be mounted over /sys/class/thermal (needs root, unshare and that directory)",
            );
            return None;
        }
        Some(board)
    }

    fn thermal(&self) -> PathBuf {
        self.dir.path().join("thermal")
    }

    /// `command` where /sys shows the zones of this board, and no monitor; its standard streams are not taken over.
    fn on(&self, command: &Command) -> Command {
        let script = "mount --bind thermal /sys/class/thermal && { [ ! -d /sys/class/hwmon ] || mount --bind hwmon /sys/class/hwmon; } \
                      && exec \"$0\" \"$@\"";
        let mut there = Command::new("unshare");
        there.args(["--mount", "sh", "-c", script]).arg(command.get_program()).args(command.get_args());
        there.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        there.current_dir(self.dir.path());
        there
    }

    /// Runs the binary on a configuration that names `zone` (empty = none).
    fn leptond(&self, args: &[&str], zone: &str) -> Output {
        let file = self.dir.path().join("leptond.toml");
        let state = self.dir.path().join("state");
        let lines = format!("state_dir = {state:?}\nthermal_zone = {zone:?}");
        std::fs::write(&file, config(free_port(), &lines)).unwrap();
        let mut command = common::leptond();
        command.args(args);
        if args[0] != "probe" {
            command.arg("--config").arg(&file);
        }
        self.on(&command).output().unwrap()
    }
}

fn config(port: u16, lines: &str) -> String {
    node(port, lines)
        + "[governor]\nmode = \"manual\"\n[[pipeline]]\nname = \"p\"\nmodel = \"leptonnet-digits\"\n\
           [pipeline.source]\ntype = \"synthetic\"\nfps = 2.0\n"
}

#[test]
fn a_regulator_that_always_says_100_degrees_is_not_the_processor() {
    let Some(board) = Board::of("a_regulator_that_always_says_100_degrees", &JETSON) else { return };
    let output = board.leptond(&["probe"], "");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.starts_with("soc temperature")).unwrap_or_else(|| panic!("{output:?}"));
    assert!(line.ends_with("42.0 °C from bcpu_therm_celsius, mcpu_therm_celsius"), "{line}");
    assert!(text.contains("not the processor's: Tboard_tegra, Tdiode_tegra, PMIC-Die, thermal-fan-est"), "{text}");
    let json: Value = serde_json::from_slice(&board.leptond(&["probe", "--json"], "").stdout).unwrap();
    assert_eq!(json["reading"]["soc_celsius"], 42.0, "{json:#}");
}

/// What the doctor finds of the temperature.
fn diagnosed(board: &Board, zone: &str) -> [String; 2] {
    let output = board.leptond(&["doctor", "--json"], zone);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"));
    let groups = json["groups"].as_array().unwrap();
    let board = groups.iter().find(|group| group["name"] == "board").unwrap();
    let findings = board["findings"].as_array().unwrap();
    let found = findings.iter().find(|f| f["what"] == "temperature").unwrap_or_else(|| panic!("{board:#}"));
    ["level", "text"].map(|key| found[key].as_str().unwrap_or_else(|| panic!("{found:#}")).to_owned())
}

#[test]
fn the_doctor_takes_the_zone_that_is_named() {
    let Some(board) = Board::of("the_doctor_takes_the_zone_that_is_named", &JETSON) else { return };
    for (zone, level, words) in [
        ("", "ok", &["42.0 °C", "bcpu_therm_celsius, mcpu_therm_celsius"][..]),
        ("GPU-therm", "ok", &["39.5 °C", "gpu_therm_celsius", "named by [node] thermal_zone"]),
        ("thermal_zone5", "ok", &["58.2 °C", "tdiode_tegra_celsius"]),
        ("PMIC-Die", "trouble", &["100.0 °C", "pmic_die_celsius"]),
        ("CPU-therm", "unknown", &["\"CPU-therm\"", "BCPU-therm, MCPU-therm, GPU-therm"]),
    ] {
        let [found, text] = diagnosed(&board, zone);
        assert_eq!(found, level, "{zone:?}: {text}");
        assert!(words.iter().all(|word| text.contains(word)), "{zone:?}: {text}");
    }
}

#[test]
fn check_warns_of_a_zone_that_is_not_there_with_those_that_are() {
    let Some(board) = Board::of("check_warns_of_a_zone_that_is_not_there", &JETSON) else { return };
    for (zone, there) in
        [("", true), ("MCPU-therm", true), ("thermal_zone6", true), ("CPU-therm", false), ("cpu-thermal", false)]
    {
        let output = board.leptond(&["check"], zone);
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "a driver may come later: {said}");
        assert_eq!(said.contains("node.thermal_zone"), !there, "{zone:?}: {said}");
        if !there {
            let types = JETSON.map(|(kind, _)| kind).join(", ");
            assert!(said.contains(&format!("{zone:?}")) && said.contains(&types), "{zone:?}: {said}");
        }
    }
}

#[test]
fn the_daemon_takes_the_zone_that_is_named_also_after_a_reload() {
    let Some(board) = Board::of("the_daemon_takes_the_zone_that_is_named", &JETSON) else { return };
    let port = free_port();
    let text = |zone: &str| config(port, &format!("health_interval_s = 1\nthermal_zone = {zone:?}"));
    let daemon = Daemon::start_with(
        &text("GPU-therm"),
        |_| {},
        |command| {
            let file = Path::new(command.get_args().last().unwrap());
            let log = std::fs::File::options().append(true).open(file.with_file_name("log")).unwrap();
            *command = board.on(command);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        },
    );
    let mut broker = Subscriber::start(port);
    let last_is = |celsius: Option<f64>| {
        move |seen: &[(String, Value)]| {
            let health = seen.iter().rev().find(|(topic, _)| topic == "health");
            health.is_some_and(|(_, health)| health["soc_celsius"].as_f64() == celsius)
        }
    };
    broker.wait_for("temperature of GPU-therm", last_is(Some(39.5)));
    assert!(daemon.log().contains("named by [node] thermal_zone"), "{}", daemon.log());
    for (zone, expected) in [("", Some(42.0)), ("CPU-therm", None), ("PLL-therm", Some(43.5))] {
        daemon.replace_config(&text(zone));
        daemon.signal("HUP");
        broker.wait_for(&format!("temperature of {zone:?}"), last_is(expected));
    }
    assert!(
        daemon.log().contains("no processor temperature: [node] thermal_zone is \"CPU-therm\""),
        "{}",
        daemon.log()
    );
}
