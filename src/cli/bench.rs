//! `leptond bench`.

mod startup;

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use tract_onnx::prelude::{TValue, TVec, Tensor};

use super::open::{self, load};
use super::profile::{self, StepTime};
use super::progress::{Counter, spinner};
use super::{Failure, picture_size, say};
use crate::board::Info;
use crate::model::autotune::{self, Autotuned};
use crate::model::{Engine, Model, ModelError, Plan, PlanKey, Runner};
use crate::pipeline::open_bundle;
use crate::sys::Roots;
use leptond_engine::int8::op::Profile;

/// Arguments of `leptond bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Bundle directory, bundle name, .onnx or .tflite file
    #[arg(required_unless_present = "startup")]
    model: Option<String>,
    /// Time the start of the daemon instead, from its first instruction to its first result, part by part
    #[arg(long, conflicts_with_all = ["model", "threads", "iters", "warmup", "engine", "size", "batch", "profile"])]
    startup: bool,
    /// With --startup: start on this configuration [default: a synthetic camera and a model that is part of the program]
    #[arg(long, short, value_name = "FILE", requires = "startup")]
    config: Option<std::path::PathBuf>,
    /// With --startup: so many first starts, each followed by a later one
    #[arg(long, default_value_t = 5, requires = "startup", value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// Threads for one inference
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    threads: u32,
    /// Timed inferences
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    iters: u32,
    /// Untimed inferences before
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    warmup: u32,
    /// Which arithmetic: auto, int8 or f32
    #[arg(long, value_enum, default_value_t)]
    engine: Engine,
    /// Resolution of a picture input that the file leaves open
    #[arg(long, value_name = "HxW", value_parser = picture_size::parse)]
    size: Option<[usize; 2]>,
    #[command(flatten)]
    shapes: open::ShapeArgs,
    /// Items in one inference
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4096))]
    batch: Option<u32>,
    /// Show where the time goes: every step of the integer engine
    #[arg(long)]
    profile: bool,
    /// One JSON object on standard output
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    model: String,
    engine: &'static str,
    kernels: Option<&'static str>,
    /// The race between integers and floats, where the engine was left to us.
    race: Option<Autotuned>,
    threads: usize,
    iters: u32,
    load_ms: f64,
    min_ms: f64,
    median_ms: f64,
    p95_ms: f64,
    peak_rss_bytes: u64,
    /// Weights as they are in the file.
    weights_bytes: usize,
    /// Memory for values between layers, of the parts that are planned.
    arena_bytes: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    profile: Vec<StepTime>,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let Some(model) = &args.model else { return startup::run(args.config.as_deref(), args.runs, args.json) };
    let key = PlanKey { batch: args.batch.map(|b| b as usize), size: args.size };
    let race = match args.engine {
        Engine::Auto => race(&args, model, key)?,
        _ => None,
    };
    let started = Instant::now();
    let mut model = load(model, race.map_or(args.engine, |r| r.engine), args.threads, &args.shapes)?;
    picture_size::check(&model, key)?;
    open::settle(&mut model, key);
    let mut bench = spinner("compiling", || -> Result<Bench, ModelError> {
        match key.batch {
            Some(_) => Ok(Bench::Plan(Box::new(model.compile_plan(key)?))),
            None => Bench::runner(model.compile(&model.shapes(key)?)?),
        }
    })
    .map_err(anyhow::Error::from)?;
    let (name, engine, threads) = (model.name().to_owned(), model.engine(), model.threads());
    let (kernels, weights_bytes) = (model.kernels(), model.info().weights_bytes);
    drop(model);
    bench.once().map_err(anyhow::Error::from)?;
    let load_ms = started.elapsed().as_secs_f64() * 1e3;
    for _ in 0..args.warmup {
        bench.once().map_err(anyhow::Error::from)?;
    }
    if args.profile {
        bench.profiles().iter().for_each(|p| p.switch_on());
    }
    let mut counter = Counter::new("inferences");
    let mut times_ms = Vec::with_capacity(args.iters as usize);
    for done in 0..args.iters {
        let start = Instant::now();
        bench.once().map_err(anyhow::Error::from)?;
        times_ms.push(start.elapsed().as_secs_f64() * 1e3);
        counter.set(done as usize + 1, args.iters as usize);
    }
    drop(counter);
    times_ms.sort_by(f64::total_cmp);
    let rank = |share: f64| {
        let index = (share * times_ms.len() as f64).ceil() as usize;
        round(times_ms.get(index.saturating_sub(1)).copied().unwrap_or(0.0))
    };
    let report = Report {
        model: name,
        engine,
        kernels,
        race,
        threads,
        iters: args.iters,
        load_ms: round(load_ms),
        min_ms: rank(0.0),
        median_ms: rank(0.5),
        p95_ms: rank(0.95),
        peak_rss_bytes: peak_rss_bytes(),
        weights_bytes,
        arena_bytes: bench.profiles().iter().map(|profile| profile.plan().arena_bytes()).sum(),
        profile: if args.profile { profile::times(bench.profiles(), args.iters) } else { Vec::new() },
    };
    if args.json {
        return say(&serde_json::to_string(&report).map_err(anyhow::Error::from)?);
    }
    say(&text(&report))?;
    if args.profile { profile::print(&report.profile) } else { Ok(()) }
}

/// A report for people, a figure a line.
fn text(report: &Report) -> String {
    let kernels = report.kernels.map(|k| format!(" ({k} kernels)")).unwrap_or_default();
    let threads = if report.threads == 1 { "thread" } else { "threads" };
    let race = match report.race {
        Some(Autotuned { int8_ms, f32_ms: Some(f32_ms), remembered, .. }) => {
            let when = if remembered { "earlier" } else { "now" };
            format!("race      {int8_ms:.3} ms in integers, {f32_ms:.3} ms in floats (timed {when})\n")
        }
        _ => String::new(),
    };
    let Report { model, engine, load_ms, median_ms: median, min_ms: min, p95_ms: p95, iters, .. } = report;
    format!(
        "model     {model}\n\
         engine    {engine}{kernels}, {} {threads}\n\
         {race}\
         load      {load_ms:.1} ms, first inference included\n\
         inference {median:.3} ms median, {min:.3} ms min, {p95:.3} ms p95, of {iters}\n\
         memory    {:.1} MB peak resident; {:.1} KB of weights, {:.1} KB of values between planned layers",
        report.threads,
        report.peak_rss_bytes as f64 / 1e6,
        report.weights_bytes as f64 / 1e3,
        report.arena_bytes as f64 / 1e3,
    )
}

/// The timed thing: a plan as the daemon has it, or the bare graph (any element type).
enum Bench {
    Plan(Box<Plan>),
    Runner(Box<Runner>, TVec<TValue>),
}

impl Bench {
    fn runner(runner: Runner) -> Result<Bench, ModelError> {
        let zeros = runner.inputs().iter().map(|(dtype, shape)| Tensor::zero_dt(*dtype, shape).map(TValue::from));
        let zeros = zeros.collect::<Result<TVec<TValue>, _>>();
        let zeros = zeros.map_err(|e| ModelError::Run { model: "zeros".into(), reason: format!("{e:#}") })?;
        Ok(Bench::Runner(Box::new(runner), zeros))
    }

    fn profiles(&self) -> &[Arc<Profile>] {
        match self {
            Bench::Plan(plan) => plan.runner().profiles(),
            Bench::Runner(runner, _) => runner.profiles(),
        }
    }

    fn once(&mut self) -> Result<(), ModelError> {
        match self {
            Bench::Plan(plan) => plan.run(),
            Bench::Runner(runner, zeros) => runner.run(zeros.clone()).map(drop),
        }
    }
}

/// Integers against floats on this board.
fn race(args: &Args, model: &str, key: PlanKey) -> Result<Option<Autotuned>, Failure> {
    // Before the race, which would only say what is wrong with its plan.
    let loaded = load(model, Engine::F32, args.threads, &args.shapes)?;
    picture_size::check(&loaded, key)?;
    if loaded.shapes(key).is_err() {
        // Lengths are assumed, and not worth remembering a race for.
        return Ok(None);
    }
    let here = open::model_refs();
    let mut bundle = open_bundle(model, &here.dirs).map_err(anyhow::Error::from)?;
    bundle.give_shapes(&args.shapes.shapes);
    let board = Info::read(&Roots::default());
    let (threads, board) = (args.threads as usize, format!("{} {}", board.model, board.cpu));
    let dir = autotune::state_dir(&here.state_dir, &|name| std::env::var_os(name));
    let run = || autotune::race(&bundle, threads, key, &board, dir.as_deref());
    Ok(spinner("integers against floats", run).map_err(anyhow::Error::from)?)
}

/// To the nanosecond: more digits mean nothing.
fn round(ms: f64) -> f64 {
    (ms * 1e6).round() / 1e6
}

/// Peak resident memory of this process (`VmHWM`); 0 where the kernel does not say.
fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()).map_or(0, |kib| kib * 1024)
}
