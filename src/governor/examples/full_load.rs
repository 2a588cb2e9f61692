//! A Raspberry Pi 4 without a fan at full load in a warm room, governed and not: `cargo run -p leptond-governor --example full_load`.

use std::io::{self, Write};
use std::path::Path;

use leptond_governor::Config;
use leptond_governor::simulate::{Outcome, Parameters, Scenario, simulate};

const SCENARIO: &str = "
name = \"full load in 35 °C\"
board = \"pi4\"
duration_s = 3600
ambient_celsius = [[0, 35.0]]

[workload]
deadline_ms = 250

[[workload.rung]]
interval_ms = 60
threads = 4
cost_ms = 180.0
accuracy = 0.62

[[workload.rung]]
interval_ms = 60
threads = 4
cost_ms = 120.0
accuracy = 0.57

[[workload.rung]]
interval_ms = 120
threads = 4
cost_ms = 120.0
accuracy = 0.57

[[workload.rung]]
interval_ms = 240
threads = 4
cost_ms = 120.0
accuracy = 0.57
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scenario = Scenario::parse(SCENARIO, Path::new("full_load.rs"))?;
    let board = scenario.board.ok_or("a board")?;
    let report = simulate(&scenario, Parameters::new(board, None), &Config::default());
    let mut out = io::stdout().lock();
    let mut row = |name: &str, run: &Outcome| {
        let Outcome { max_celsius, throttled_s, useful, .. } = run;
        writeln!(
            out,
            "{name:<14}{max_celsius:>6.1} °C at most, throttled for {throttled_s:>4.0} s, {useful:>7.0} useful answers"
        )
    };
    row("not governed", &report.ungoverned)?;
    row("governed", &report.governed)?;
    for change in report.governed.rows.windows(2).filter(|pair| pair[0].rung != pair[1].rung) {
        writeln!(out, "{:>6} s  rung {}: {}", change[1].t_s, change[1].rung, change[1].reason)?;
    }
    Ok(())
}
