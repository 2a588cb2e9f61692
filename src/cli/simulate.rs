//! `leptond simulate`: the real governor on a simulated board, in virtual time.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use leptond_governor::simulate::{self, Kind, Parameters, Report, Scenario, csv, plot, scenario};
use leptond_governor::{Config, Mode};

use super::{Failure, say};
use crate::sys::file;

/// Arguments of `leptond simulate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What happens, and what is expected (TOML)
    #[arg(long, value_name = "FILE")]
    scenario: PathBuf,
    /// The board, instead of the scenario's
    #[arg(long, value_name = "BOARD", value_parser = one_of(&Kind::ALL, Kind::name))]
    board: Option<Kind>,
    /// Draw the board by this number: figures within ±25 %, another law of power and of cores [default: the figures as they are]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How the governor decides
    #[arg(long, value_name = "MODE", default_value = "auto", value_parser = one_of(&Mode::ALL, Mode::name))]
    mode: Mode,
    /// Write one row a simulated second
    #[arg(long, value_name = "OUT")]
    csv: Option<PathBuf>,
    /// Draw temperature, clock, useful work and rung, governed and not
    #[arg(long, value_name = "OUT.svg")]
    plot: Option<PathBuf>,
}

/// A parser of the names of `all`.
fn one_of<T: Copy + Send + Sync>(all: &'static [T], name: fn(T) -> &'static str) -> impl TypedValueParser<Value = T> {
    let index = move |text: String| all.iter().position(|one| name(*one) == text).unwrap_or_default();
    PossibleValuesParser::new(all.iter().map(|one| name(*one))).map(move |text| all[index(text)])
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let written = file::read_text(&args.scenario, scenario::MOST_BYTES)
        .map_err(|e| Failure::Config(format!("{}: {e}", args.scenario.display())))?;
    let scenario = Scenario::parse(&written, &args.scenario).map_err(|e| Failure::Config(e.to_string()))?;
    let Some(kind) = args.board.or(scenario.board) else {
        return Err(Failure::Config(format!("{}: board: missing, and there is no --board", args.scenario.display())));
    };
    let config = Config { mode: args.mode, ..Config::default() };
    let report = simulate::simulate(&scenario, Parameters::new(kind, args.seed), &config);
    if let Some(path) = &args.csv {
        let mut table = Vec::new();
        csv::write(&report.governed.rows, &mut table).context("csv")?;
        save(path, &table)?;
    }
    if let Some(path) = &args.plot {
        save(path, plot::svg(&scenario, kind.name(), &report).as_bytes())?;
    }
    say(&text(&scenario, kind, args.seed, &report))?;
    let failed: Vec<&str> = report.findings.iter().filter(|f| !f.kept).map(|f| f.key).collect();
    if failed.is_empty() { Ok(()) } else { Err(anyhow::anyhow!("not as expected: {}", failed.join(", ")).into()) }
}

fn save(path: &Path, content: &[u8]) -> Result<(), Failure> {
    std::fs::write(path, content).with_context(|| path.display().to_string()).map_err(Failure::from)
}

/// The three runs beside each other, what was expected, and the figures for programs in the last lines.
fn text(scenario: &Scenario, kind: Kind, seed: Option<u64>, report: &Report) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    let seed = seed.map_or("no seed".to_owned(), |seed| format!("seed {seed}"));
    let _ = writeln!(text, "{} — {}, {seed}, {} s", scenario.name, kind.name(), scenario.duration_s);
    let _ = writeln!(
        text,
        "{:<22} {:>9} {:>11} {:>7} {:>10} {:>9} {:>8} {:>8} {:>8} {:>9} {:>6}",
        "", "max °C", "throttled s", "soft s", "useful", "in time", "missed", "p50 ms", "p99 ms", "events", "churn"
    );
    let hindsight = format!("best fixed: rung {}", report.hindsight_rung);
    let runs = [("governed", &report.governed), ("not governed", &report.ungoverned), (&hindsight, &report.hindsight)];
    for (name, run) in runs {
        let events = if run.events.objects == 0 {
            ["–".to_owned(), "–".to_owned()]
        } else {
            [format!("{:.1} %", run.events.recall() * 100.0), format!("{:.2}", run.events.churn())]
        };
        let quantile = |share| run.spread.quantile_ms(share).map_or("–".to_owned(), |ms| format!("{ms:.1}"));
        let _ = writeln!(
            text,
            "{name:<22} {:>9.1} {:>11.0} {:>7.0} {:>10.1} {:>7.2} % {:>8} {:>8} {:>8} {:>9} {:>6}",
            run.max_celsius,
            run.throttled_s,
            run.soft_limited_s,
            run.useful,
            run.deadline_met * 100.0,
            run.missed,
            quantile(0.5),
            quantile(0.99),
            events[0],
            events[1],
        );
    }
    if !report.hindsight_keeps {
        text.push_str("no fixed rung keeps the limits: the coolest one is shown\n");
    }
    for finding in &report.findings {
        let word = if finding.kept { "ok    " } else { "FAILED" };
        let _ = writeln!(text, "{word} {} {}: found {:.4}", finding.key, finding.allowed, finding.found);
    }
    let governed = &report.governed;
    let figures = [
        ("max_celsius", governed.max_celsius, 2),
        ("throttled_s", governed.throttled_s, 0),
        ("useful", governed.useful, 2),
        ("useful_ungoverned", report.ungoverned.useful, 2),
        ("useful_hindsight", report.hindsight.useful, 2),
        ("changes", governed.changes_s.len() as f64, 0),
        ("deadline_met", governed.deadline_met, 5),
        ("recover_s", governed.recover_s, 1),
        ("event_recall", governed.events.recall(), 4),
        ("event_recall_ungoverned", report.ungoverned.events.recall(), 4),
        ("event_recall_hindsight", report.hindsight.events.recall(), 4),
        ("event_churn", governed.events.churn(), 4),
        ("event_delay_s", governed.events.mean_delay_s(), 3),
    ];
    for (key, value, digits) in figures {
        let _ = writeln!(text, "{key} {value:.digits$}");
    }
    text
}
