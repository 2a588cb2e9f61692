//! Integers or floats: whichever this board runs a quantised model faster with, found out once and remembered.
//!
//! Integers nearly always win; on a core with wide float units and no dot product of bytes they may not.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Bundle, Engine, LoadedModel, Model, ModelError, PlanKey, Remembered, Variant};
use leptond_engine::int8::kernels;

/// How long each side is timed.
const BUDGET: Duration = Duration::from_millis(60);

/// Most timed inferences of each side.
const ROUNDS: usize = 15;

/// Integers stay unless they take this many times as long as floats: they need less memory, and give the same everywhere.
const CLEARLY: f64 = 1.1;

/// Name of the file that remembers, in the state directory.
const FILE: &str = "engines.json";

/// Who runs a model, and by how much.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Autotuned {
    /// The faster one: [`Engine::Int8`] or [`Engine::F32`].
    pub engine: Engine,
    /// Shortest inference in integers.
    pub int8_ms: f64,
    /// Shortest inference in floats; `None` where the model cannot run in floats.
    pub f32_ms: Option<f64>,
    /// Whether it was remembered from an earlier start.
    #[serde(skip)]
    pub remembered: bool,
}

/// Where measurements are kept: what `node.state_dir` names (`configured`, empty = nothing), else systemd's state directory, else
/// the user's cache. `env` gives variables of the environment. `None` where there is none of these.
pub fn state_dir(configured: &Path, env: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if !configured.as_os_str().is_empty() {
        return Some(configured.into());
    }
    let set = |name: &str| env(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    // systemd separates several directories by colons.
    let state = set("STATE_DIRECTORY").and_then(|d| std::env::split_paths(&d).next());
    state.or_else(|| Some(set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?.join("leptond")))
}

/// Times a bundle in integers and in floats on this board, or remembers having done so in `dir`. `None` for a model without
/// integer parts, and in a build without optimisation, whose times mean nothing. `board` and `threads` are part of what is
/// remembered.
///
/// # Errors
/// When the model cannot be loaded, or not run in integers.
pub fn race(
    bundle: &Bundle,
    threads: usize,
    key: PlanKey,
    board: &str,
    dir: Option<&Path>,
) -> Result<Option<Autotuned>, ModelError> {
    if cfg!(debug_assertions) {
        return Ok(None);
    }
    // Looked up before anything is parsed: at most starts it is known.
    let (version, kernels) = (env!("CARGO_PKG_VERSION"), kernels::best().name());
    let hash = bundle.hash(&Variant::of(bundle.manifest()));
    let known_by = format!("{hash} {version} {board} {kernels} {threads} {key:?}");
    let mut known: Remembered<Autotuned> = Remembered::open(dir, FILE);
    if let Some(race) = known.get(&known_by) {
        return Ok(Some(Autotuned { remembered: true, ..*race }));
    }
    let integer = LoadedModel::load(bundle, 0, Engine::Int8, threads)?;
    if integer.kernels().is_none() {
        return Ok(None);
    }
    let mut first = integer.plan(key)?;
    // Only compiling tells whether any part of it runs in integers.
    if integer.kernels().is_none() {
        return Ok(None);
    }
    drop(integer);
    let floats = LoadedModel::load(bundle, 0, Engine::F32, threads).and_then(|model| model.plan(key));
    let race = match floats {
        Ok(mut second) => {
            let [int8_ms, f32_ms] = time([&mut *first, &mut *second])?;
            let engine = if int8_ms <= f32_ms * CLEARLY { Engine::Int8 } else { Engine::F32 };
            Autotuned { engine, int8_ms, f32_ms: Some(f32_ms), remembered: false }
        }
        Err(_) => Autotuned { engine: Engine::Int8, int8_ms: time([&mut *first])?[0], f32_ms: None, remembered: false },
    };
    known.insert(&known_by, race);
    Ok(Some(race))
}

/// Shortest inference of each, in milliseconds; they take turns, so that a busy moment hits both.
fn time<const N: usize>(mut plans: [&mut dyn Model; N]) -> Result<[f64; N], ModelError> {
    let mut best = [f64::INFINITY; N];
    plans.iter_mut().try_for_each(|plan| plan.run())?;
    let start = Instant::now();
    for _ in 0..ROUNDS {
        for (plan, best) in plans.iter_mut().zip(&mut best) {
            let start = Instant::now();
            plan.run()?;
            *best = best.min(start.elapsed().as_secs_f64() * 1e3);
        }
        if start.elapsed() > BUDGET * N as u32 {
            break;
        }
    }
    Ok(best)
}
