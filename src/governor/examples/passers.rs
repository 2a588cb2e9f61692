//! Events of objects that pass, on a scenario's board and on 20 drawn ones:
//! `cargo run -p leptond-governor --example passers -- tests/data/governor/passers-*.toml`.

use std::io::{self, Write};
use std::path::PathBuf;

use leptond_governor::Config;
use leptond_governor::simulate::{Kind, Outcome, Parameters, Report, Scenario, simulate};

/// Drawn boards.
const BOARDS: u64 = 20;

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "| scenario | in time % | events found %, mean (worst) | churn | delay s | rung changes an hour | best fixed rung, found % |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|")?;
    for path in std::env::args_os().skip(1).map(PathBuf::from) {
        let scenario = Scenario::parse(&std::fs::read_to_string(&path)?, &path).map_err(io::Error::other)?;
        let board = scenario.board.unwrap_or(Kind::Pi4);
        let seeds = std::iter::once(None).chain((1..=BOARDS).map(Some));
        let runs: Vec<Report> =
            seeds.map(|seed| simulate(&scenario, Parameters::new(board, seed), &Config::default())).collect();
        let mean =
            |value: &dyn Fn(&Outcome) -> f64| runs.iter().map(|r| value(&r.governed)).sum::<f64>() / runs.len() as f64;
        let found = |run: &Outcome| run.events.recall() * 100.0;
        let hours = f64::from(scenario.duration_s) / 3600.0;
        writeln!(
            out,
            "| {} | {:.2} | {:.1} ({:.1}) | {:.3} | {:.1} | {:.0} | {:.1} |",
            path.file_stem().unwrap_or_default().display(),
            mean(&|run| run.deadline_met * 100.0),
            mean(&found),
            runs.iter().map(|r| found(&r.governed)).fold(100.0, f64::min),
            mean(&|run| run.events.churn()),
            mean(&|run| run.events.mean_delay_s()),
            mean(&|run| run.changes_s.len() as f64) / hours,
            runs.iter().map(|r| found(&r.hindsight)).sum::<f64>() / runs.len() as f64,
        )?;
    }
    Ok(())
}
