//! `leptond bench --startup`: the daemon's own program started as a service manager starts it, part by part.
//!
//! Each run is two processes in a state directory of their own: the very first start of a board, which measures the models
//! after its first result, and a later start, which remembers. There is no broker: results must not wait for one.

mod child;
mod parts;
mod table;

use std::path::Path;

use serde::Serialize;

use self::child::Child;
use self::parts::{Start, Starts};
use super::super::progress::Counter;
use super::super::{Failure, say};

#[derive(Debug, Serialize)]
struct Report {
    runs: u32,
    /// Nothing is remembered of the models yet.
    first_start: Starts,
    /// Everything was measured by an earlier start.
    later_start: Starts,
}

/// Runs it on `config`, else on a synthetic camera.
pub(super) fn run(config: Option<&Path>, runs: u32, json: bool) -> Result<(), Failure> {
    let (mut first, mut later) = (Vec::new(), Vec::new());
    let mut counter = Counter::new("starts");
    for done in 0..runs {
        let place = child::Place::new(config, done)?;
        let mut child = Child::start(&place)?;
        first.push(child.first_result()?);
        child.calibrated()?;
        child.stop()?;
        let mut child = Child::start(&place)?;
        later.push(child.first_result()?);
        child.stop()?;
        counter.set(done as usize + 1, runs as usize);
    }
    drop(counter);
    let report = Report { runs, first_start: starts(first)?, later_start: starts(later)? };
    if json {
        say(&serde_json::to_string(&report).map_err(anyhow::Error::from)?)
    } else {
        let first = table::render("first start, nothing is remembered", &report.first_start);
        let later = table::render("later start, the models were measured before", &report.later_start);
        say(&format!("{first}\n{later}"))
    }
}

fn starts(mut all: Vec<Start>) -> Result<Starts, Failure> {
    let first_result_ms: Vec<f64> = all.iter().map(|s| s.first_result_ms).collect();
    all.sort_by(|a, b| a.first_result_ms.total_cmp(&b.first_result_ms));
    let (worst, middle) = (all.last().map(|s| s.first_result_ms), all.get((all.len().max(1) - 1) / 2).cloned());
    match (worst, middle) {
        (Some(worst_ms), Some(breakdown)) => {
            Ok(Starts { median_ms: breakdown.first_result_ms, worst_ms, first_result_ms, breakdown })
        }
        _ => Err(Failure::Usage("--runs 0: at least one start is needed".into())),
    }
}
