//! `leptond shrink`: a float model made smaller in all ways that there are, what each costs, and the best of them as rungs of one bundle.

mod args;
mod plot;
mod point;
mod table;
mod trial;

use std::path::Path;

use anyhow::anyhow;
use serde_json::json;

use super::Failure;
use super::compress::{Ladder, Rung};
use super::eval::Judge;
use super::model::interrupt;
use super::output::{say, tell};
use crate::evaluate::{Tradeoff, front, ladder};
use crate::sys::atomic;
use point::{Point, Standing};
use trial::Trial;

pub use args::Args;

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    if let Some(file) = &args.plot {
        check_plot(file)?;
    }
    let place = args.common.bundle_place()?;
    overlap(&args.common.calibrate, &args.eval);
    let bundle = args.common.bundle()?;
    let samples = args.common.samples(&bundle, args.samples)?;
    interrupt::watch();
    let trial = Trial::new(&args, &bundle, &samples)?;
    let points = trial.points()?;
    let tradeoffs: Vec<Tradeoff> = points.iter().map(Point::tradeoff).collect();
    let (front, rungs) = (front(&tradeoffs), ladder(&tradeoffs, &args.bounds()));
    let standing =
        |index: usize| Standing { front: front.contains(&index), rung: rungs.iter().position(|rung| *rung == index) };
    let standings: Vec<Standing> = (0..points.len()).map(standing).collect();
    let name = bundle.manifest().name.clone();
    if let Some(file) = &args.plot {
        let drawn = plot::svg(&name, &points, &standings);
        atomic::replace(file, drawn.as_bytes()).map_err(|error| anyhow!("--plot {}: {error}", file.display()))?;
    }
    let kept: Vec<&Point> = rungs.iter().map(|index| &points[*index]).collect();
    let written = Ladder {
        bundle: &bundle,
        task: trial.task(),
        metric: kept.first().map_or("", |point| point.judged.measure),
        dataset: format!("{}, {} inputs", args.eval.display(), trial.inputs()),
        command: format!("leptond eval {} {}", args.common.output.display(), args.eval.display()),
        rungs: kept.iter().map(|point| rung(point)).collect(),
    };
    let path = place.write_ladder(&written)?;
    if args.json {
        let all: Vec<_> = points.iter().zip(&standings).map(|(point, standing)| point.json(*standing)).collect();
        return say(&json!({ "bundle": path, "inputs": trial.inputs(), "forms": all }).to_string());
    }
    table::show(&points, &standings)?;
    let rungs = if kept.len() == 1 { "one form".to_owned() } else { format!("{} forms", kept.len()) };
    say(&format!("{}: {rungs}, judged by {} inputs of {}", path.display(), trial.inputs(), args.eval.display()))
}

fn rung(point: &Point) -> Rung {
    Rung {
        name: point.name(),
        file: point.file.clone(),
        size: point.size,
        accuracy: point.judged.value,
        mmac: point.macs as f64 / 1e6,
    }
}

fn check_plot(file: &Path) -> Result<(), Failure> {
    match file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("svg")) {
        true => Ok(()),
        false => Err(Failure::Usage(format!("--plot {}: the file ends in .svg", file.display()))),
    }
}

/// Tells of files that a model is both fitted to and judged by.
fn overlap(calibrate: &Path, eval: &Path) {
    if let (Ok(fitted), Ok(judged)) = (calibrate.canonicalize(), eval.canonicalize())
        && (judged.starts_with(&fitted) || fitted.starts_with(&judged))
    {
        tell("--calibrate and --eval have files in common: what is fitted to them is judged too well");
    }
}
