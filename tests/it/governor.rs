//! The governor by scenarios: every file of `tests/data/governor` on its board, as it is and with drawn figures; and
//! `leptond simulate` as a person runs it.

mod unseen;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use leptond_governor::Config;
use leptond_governor::simulate::{Control, Kind, Parameters, Scenario, run, simulate};

use crate::common::{self, data, leptond};

/// Boards as in the table, and with every figure drawn within ±25 %.
const SEEDS: [Option<u64>; 3] = [None, Some(1), Some(2)];

fn scenarios() -> Vec<PathBuf> {
    let files = std::fs::read_dir(data("governor")).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<_> = files.filter(|p| p.extension().is_some_and(|e| e == "toml")).collect();
    files.sort();
    files
}

fn load(path: &Path) -> Scenario {
    Scenario::parse(&std::fs::read_to_string(path).unwrap(), path).unwrap()
}

#[test]
fn every_scenario_is_as_it_says() {
    let files = scenarios();
    assert!(files.len() >= 25, "{}", files.len());
    let (next, wrong) = (Mutex::new(files.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(file) = { next.lock().unwrap().next() } {
                    let scenario = load(file);
                    let board = scenario.board.expect("a board");
                    // An emulator does the same sums again, slowly: the table's boards are enough there.
                    for seed in SEEDS.into_iter().take(if common::emulated() { 1 } else { SEEDS.len() }) {
                        let report = simulate(&scenario, Parameters::new(board, seed), &Config::default());
                        assert!(!report.findings.is_empty(), "{} expects nothing", file.display());
                        for finding in report.findings.iter().filter(|f| !f.kept) {
                            wrong.lock().unwrap().push(format!("{} seed {seed:?}: {finding:?}", file.display()));
                        }
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Boards without a governor at full load: what the figures are fitted to.
#[test]
fn the_boards_behave_as_public_stress_tests_say() {
    let scenario = load(&data("governor/full-load-pi4-25c.toml"));
    let hottest = |kind| {
        let fixed = run(&scenario, Parameters::new(kind, None), &Config::default(), Control::Fixed(0), true);
        let minutes = fixed.rows.iter().position(|r| r.soc_celsius > 80.0).map(|s| s / 60);
        (fixed.max_celsius, minutes)
    };
    for (kind, within) in [(Kind::Pi4, 15), (Kind::Pi5, 15)] {
        let (celsius, minutes) = hottest(kind);
        assert!(celsius > 80.0 && minutes.is_some_and(|m| m < within), "{kind:?}: {celsius} °C after {minutes:?} min");
    }
    let (celsius, _) = hottest(Kind::Pi5Fan);
    assert!((50.0..65.0).contains(&celsius), "a Pi 5 with its cooler: {celsius} °C");
    // Never hotter than where the firmware takes the clock away.
    assert!(Kind::ALL.into_iter().all(|kind| hottest(kind).0 < 82.0));
}

#[test]
fn a_seed_draws_the_board_and_the_same_seed_draws_it_again() {
    let nominal = Parameters::new(Kind::Pi4, None);
    for seed in 0..200 {
        let drawn = Parameters::new(Kind::Pi4, Some(seed));
        assert_eq!(drawn, Parameters::new(Kind::Pi4, Some(seed)));
        for (value, middle) in
            [(drawn.idle_w, nominal.idle_w), (drawn.die_c, nominal.die_c), (drawn.board_r, nominal.board_r)]
        {
            assert!((0.75..=1.25).contains(&(value / middle)), "{value} {middle}");
        }
        assert_ne!(drawn.dynamic_w, nominal.dynamic_w);
    }
}

fn simulate_command(args: &[&str]) -> (i32, String, String) {
    let output = leptond().arg("simulate").args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn simulate_prints_its_figures_and_writes_a_table_and_a_picture() {
    let dir = tempfile::tempdir().unwrap();
    let (csv, svg) = (dir.path().join("run.csv"), dir.path().join("run.svg"));
    let scenario = data("governor/nothing-to-lower.toml");
    let args =
        ["--scenario", path(&scenario), "--board", "pi5-fan", "--seed", "7", "--csv", path(&csv), "--plot", path(&svg)];
    let (code, out, err) = simulate_command(&args);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let keys: Vec<&str> = out.lines().rev().take(13).map(|l| l.split(' ').next().unwrap()).collect();
    let wanted = [
        "event_delay_s",
        "event_churn",
        "event_recall_hindsight",
        "event_recall_ungoverned",
        "event_recall",
        "recover_s",
        "deadline_met",
        "changes",
        "useful_hindsight",
        "useful_ungoverned",
        "useful",
        "throttled_s",
        "max_celsius",
    ];
    assert_eq!(keys, wanted);
    assert!(out.lines().rev().take(13).all(|l| l.split(' ').nth(1).unwrap().parse::<f64>().is_ok()), "{out}");
    let table = std::fs::read_to_string(&csv).unwrap();
    let mut lines = table.lines();
    assert_eq!(
        lines.next(),
        Some(
            "t_s,ambient_celsius,soc_celsius,clock_mhz,throttled,cpu_percent,rung,interval_ms,resolution,batch,inferences,p95_ms,deadline_met,objects,open,state,reason"
        )
    );
    let rows: Vec<Vec<&str>> = lines.map(|l| l.split(',').collect()).collect();
    assert_eq!(rows.len(), 1800, "one row a second");
    assert!(rows.iter().all(|r| r.len() == 17 && r[..15].iter().all(|v| v.parse::<f64>().is_ok())));
    let inferences: u64 = rows.iter().map(|r| r[10].parse::<u64>().unwrap()).sum();
    assert!((17_900..=18_000).contains(&inferences), "ten a second: {inferences}");
    let picture = std::fs::read_to_string(&svg).unwrap();
    assert!(picture.starts_with("<svg") && picture.trim_end().ends_with("</svg>") && picture.contains("governed"));
    let (_, again, _) = simulate_command(&args);
    assert_eq!(again, out, "the same seed gives the same run");
}

#[test]
fn a_range_that_fails_is_named_and_makes_the_command_fail() {
    let dir = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(data("governor/nothing-to-lower.toml")).unwrap();
    let file = dir.path().join("impossible.toml");
    std::fs::write(&file, text.replace("[expect]", "[expect]\nmax_celsius = 30.0\n")).unwrap();
    let (code, out, err) = simulate_command(&["--scenario", path(&file)]);
    assert_eq!(code, 1);
    assert!(out.contains("FAILED max_celsius 30: found") && err.contains("not as expected: max_celsius"), "{out}{err}");
}

#[test]
fn a_wrong_scenario_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let good = std::fs::read_to_string(data("governor/nothing-to-lower.toml")).unwrap();
    let cases = [
        (good.replace("pi4", "pi6"), "pi6"),
        (good.replace("duration_s = 1800", "duration_s = -3"), "duration_s"),
        (good.replace("duration_s = 1800", "duration_s = 0"), "duration_s: found 0, allowed is 1 to 604800"),
        (good.replace("cost_ms = 90.0", "cost_ms = nan"), "workload.rung[0].cost_ms"),
        (good.replace("accuracy = 0.71", "accuracy = 71"), "workload.rung[0].accuracy: found 71, allowed is 0 to 1"),
        (good.replace("threads = 2", "thread = 2"), "thread"),
        (good.replace("deadline_ms = 250", ""), "deadline_ms"),
        (
            good.replace("[[0, 25.0]]", "[[10, 25.0], [5, 30.0]]"),
            "ambient_celsius[1] second: points must stand in order of time",
        ),
        (good.replace("[[0, 25.0]]", "[]"), "ambient_celsius"),
        (
            good.replace("[workload]", "[[fault]]\nat_s = 1\nfor_s = 1\nkind = \"sensor_spike\"\n[workload]"),
            "fault[0].value: missing",
        ),
        (good.replace("[workload]", "[[fault]]\nat_s = 1\nfor_s = 1\nkind = \"meteor\"\n[workload]"), "meteor"),
        (good.replace("board = \"pi4\"\n", ""), "board: missing"),
        ("rubbish".into(), "1"),
    ];
    for (text, wanted) in cases {
        let file = dir.path().join("wrong.toml");
        std::fs::write(&file, &text).unwrap();
        let (code, out, err) = simulate_command(&["--scenario", path(&file)]);
        assert!(
            code == 78 && err.contains("wrong.toml") && err.contains(wanted),
            "{wanted}: {code} {out}{err}\n{text}"
        );
        assert!(!err.contains("panicked"), "{err}");
    }
    let (code, _, err) = simulate_command(&["--scenario", "/nowhere/x.toml"]);
    assert!(code == 78 && err.contains("/nowhere/x.toml"), "{code} {err}");
}
