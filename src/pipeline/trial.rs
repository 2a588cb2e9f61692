//! A model's first load, in a process of its own with hard limits.
//!
//! A model file may come from anywhere, and the budgets of the load itself (`model/budget.rs`) know what tract is going to do only as
//! far as that can be told beforehand. So a file that was never seen on this board is first loaded and compiled by a child, the
//! program itself, whose memory and processor time the kernel bounds. What came of it is remembered under the file's hash: an
//! ordinary start pays nothing. A child that ends by itself, whatever it found, proves that this process may load the model,
//! and get the same answer.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::model::{Bundle, Engine, LoadedModel, ModelError, PlanKey, Remembered, is_shipped};
use crate::sys::Mask;
use crate::sys::child::{Child, Read, Spec};

/// Name of the file that remembers, in the state directory.
const FILE: &str = "trials.json";

/// Memory of the child in bytes: this much, and [`MEMORY_PER_BYTE`] for each byte of the file. Counted is what it writes to
/// (`RLIMIT_DATA`), not what it maps.
const MEMORY_BYTES: u64 = 560 << 20;
const MEMORY_PER_BYTE: u64 = 8;

/// Processor time of the child in seconds: this long, and [`CPU_PER_MIB`] for each MiB of the file.
const CPU_SECONDS: u64 = 10;
const CPU_PER_MIB: u64 = 6;

/// Time that a child may take, in multiples of its processor time: other processes may want the processor, too.
const WALL_PER_CPU: u32 = 4;

/// Words of the child: its limits are in force; it is done.
const LIMITED: &str = "limited";
const DONE: &str = "done";

/// Outcome of a trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// It ended within its limits.
    Fits,
    /// It did not.
    Exceeds(String),
}

/// Tries every variant of a bundle that was not tried yet. `dir` is the state directory; without one, nothing is remembered.
///
/// If no child can be started (in an emulator, in a sandbox that does not reach the program), this is logged, and the budgets of the load
/// itself have to do.
///
/// # Errors
/// [`ModelError::Compile`] when a variant takes more memory or time than a model of its size may.
pub fn try_out(bundle: &Bundle, dir: Option<&Path>) -> Result<(), ModelError> {
    if bundle.is_embedded() {
        return Ok(());
    }
    let mut known: Remembered<Verdict> = Remembered::open(dir, FILE);
    for (index, variant) in bundle.variants().into_iter().enumerate() {
        let hash = bundle.hash(&variant);
        if is_shipped(&hash) {
            continue;
        }
        let known_by = format!("{} {hash}", env!("CARGO_PKG_VERSION"));
        let verdict = match known.get(&known_by) {
            Some(verdict) => verdict.clone(),
            None => {
                let start = Instant::now();
                match load_in_child(bundle, index) {
                    Ok(verdict) => {
                        let took_ms = start.elapsed().as_millis() as u64;
                        tracing::debug!(
                            model = bundle.manifest().name,
                            variant = variant.name,
                            ?verdict,
                            took_ms,
                            "trial load"
                        );
                        known.insert(&known_by, verdict.clone());
                        verdict
                    }
                    Err(Untried::Slow(words)) => Verdict::Exceeds(words),
                    Err(Untried::NoChild(reason)) => {
                        tracing::info!(model = bundle.manifest().name, reason, "no trial load in a process of its own");
                        return Ok(());
                    }
                }
            }
        };
        if let Verdict::Exceeds(words) = verdict {
            return Err(ModelError::Compile { path: bundle.onnx_path(index), reason: words });
        }
    }
    Ok(())
}

/// A trial without a verdict that could be remembered.
enum Untried {
    /// The child took too long by the clock, which may be due to what else the board does.
    Slow(String),
    /// No child ran under limits.
    NoChild(String),
}

/// The limits for a model file of `file_bytes`: memory in bytes, and processor time.
fn limits(file_bytes: usize) -> (u64, Duration) {
    let file_bytes = file_bytes as u64;
    let memory = MEMORY_BYTES.saturating_add(MEMORY_PER_BYTE.saturating_mul(file_bytes));
    (memory, Duration::from_secs(CPU_SECONDS + CPU_PER_MIB * (file_bytes >> 20)))
}

fn load_in_child(bundle: &Bundle, variant: usize) -> Result<Verdict, Untried> {
    let no_child = |error: &dyn std::fmt::Display| Untried::NoChild(error.to_string());
    let program = std::env::current_exe().map_err(|e| no_child(&e))?;
    let file_bytes = bundle.onnx(variant).map(|bytes| bytes.len()).map_err(|e| no_child(&e))?;
    let (memory, cpu) = limits(file_bytes);
    let path = bundle.path().to_str().ok_or_else(|| no_child(&"its path is not UTF-8"))?;
    let spec = Spec {
        name: "trial load".into(),
        program: program.to_string_lossy().into_owned(),
        stdin: Vec::new(),
        args: vec!["trial-load".into(), variant.to_string(), file_bytes.to_string(), path.into()],
        package: "leptond",
        mask: Mask::default(),
    };
    let mut child = Child::spawn(&spec).map_err(|e| no_child(&e))?;
    let wall = cpu * WALL_PER_CPU;
    let deadline = Instant::now() + wall;
    let mut said = Vec::new();
    let mut chunk = [0; 256];
    let in_time = loop {
        match child.read(&mut chunk, deadline.saturating_duration_since(Instant::now())) {
            // The child says two words; another program in its place may say anything.
            Ok(Read::Data(count)) if said.len() < 4096 => said.extend_from_slice(&chunk[..count]),
            Ok(Read::Closed) => break true,
            Ok(Read::Data(_) | Read::Quiet) => break false,
            Err(error) => return Err(no_child(&error)),
        }
    };
    let exit = if in_time { child.finish() } else { child.stop() };
    let said = String::from_utf8_lossy(&said);
    let said = |word: &str| said.lines().any(|line| line == word);
    match (said(LIMITED), said(DONE), in_time) {
        (true, true, _) => Ok(Verdict::Fits),
        (true, false, true) => Ok(Verdict::Exceeds(format!(
            "loading it takes more than {} MiB or {} s of processor time, which a file of {file_bytes} bytes is allowed ({})",
            memory >> 20,
            cpu.as_secs(),
            exit.words
        ))),
        (true, false, false) => Err(Untried::Slow(format!("loading it takes more than {} s", wall.as_secs()))),
        (false, ..) => Err(Untried::NoChild(exit.words)),
    }
}

/// The child's part: limits itself, says so, loads and compiles variant `variant` of the model at `path`, and says that it is done.
///
/// # Errors
/// The limits cannot be set; nothing was loaded then. An unusable model is no error.
pub fn run_as_child(
    variant: usize,
    file_bytes: usize,
    path: &Path,
    mut say: impl FnMut(&str) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let (memory, cpu) = limits(file_bytes);
    let limit =
        |resource: Resource, most: u64| setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) });
    limit(Resource::Core, 0)?;
    limit(Resource::Data, memory)?;
    limit(Resource::Cpu, cpu.as_secs())?;
    say(LIMITED)?;
    let load = |engine: Engine| {
        let bundle = Bundle::open(path)?;
        LoadedModel::load(&bundle, variant, engine, 1)?.plan(PlanKey::default()).map(drop)
    };
    // The parent loads it again, and reports an error.
    let _ = load(Engine::Auto);
    say(DONE)
}
