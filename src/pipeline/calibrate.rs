//! Calibration: cost and accuracy of each variant, resolution, capture size, batch and number of threads on this board, measured at
//! the first start and remembered afterwards. The governor makes its ladder of it.

#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::captures::Captures;
use super::error::{PlanError, StageError};
use super::key::StagesKey;
use super::measurement_lock::MeasurementLock;
use super::offline;
use super::planner::Planner;
use super::resolved::Feed;
use super::stages::Stages;
use crate::frame::{Frame, Spec};
use crate::model::{self, LoadedModel, Remembered, Variant};
use leptond_governor::{Candidate, Cost};

/// Name of the file that remembers, in the state directory.
const FILE: &str = "calibration.json";

/// Time to compile variants and resolutions and to time each at least once; those for which there is no time are left out. Only large models on slow boards come near it.
const VARIANTS_WITHIN: Duration = Duration::from_secs(6);

/// Time for compiling and timing together: batches and fewer threads are tried, and runs repeated, only until then.
const BUDGET: Duration = Duration::from_millis(if cfg!(debug_assertions) { 3000 } else { 1000 });

/// Time for the golden inputs, where they are needed.
const GOLDEN_BUDGET: Duration = Duration::from_secs(5);

/// Most variants with a resolution each that are looked at.
const MAX_VARIANTS: usize = 16;

/// Timed runs of one candidate at most, and the time for them.
const ROUNDS: usize = 6;
const ROUNDS_WITHIN: Duration = Duration::from_millis(40);

/// A larger batch or fewer threads have to lower the CPU time of an item to this share: what a batch gains it costs in delay.
const PAYS: f32 = 0.9;

/// Settings of a calibration beside the planner.
pub(crate) struct Job<'a> {
    /// Where frames will come from.
    pub(crate) feed: &'a Feed,
    /// Frames of one inference at most.
    pub(crate) max_batch: usize,
    /// Model and processor of the board: on another one, measurements mean nothing.
    pub(crate) board: &'a str,
    /// The directory in which measurements are remembered.
    pub(crate) dir: Option<&'a Path>,
    /// Held for each measurement, where pipelines run meanwhile.
    pub(crate) lock: Option<&'a MeasurementLock>,
}

/// Measured candidates.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// Full work first; never empty.
    pub candidates: Vec<Candidate>,
    /// They were remembered from an earlier start.
    pub remembered: bool,
}

/// Measures the candidates of the model of `planner`, or looks them up. `main` is compiled for full work; the memory
/// of its task is lost.
///
/// Accuracy is the manifest's figure of a variant. Where it gives none (for another resolution, above all), the golden inputs are run
/// and the figure is lowered by the share of them that is lost; see [`estimate`]. A variant whose accuracy is not known is left out
/// where that of full work is: its loss would be unknown.
///
/// # Errors
/// [`PlanError::Task`]; whatever else fails leaves out what failed, and is logged.
pub(crate) fn calibrate(planner: &Planner, main: &mut Stages, job: &Job<'_>) -> Result<Calibration, PlanError> {
    if let Some(candidates) = remembered(planner, main.key(), job) {
        return Ok(Calibration { candidates, remembered: true });
    }
    let regions = &planner.regions();
    let sample = job.feed.sample(regions, least_picture(planner, main));
    let offered = job.feed.capture_sizes(regions);
    let start = Instant::now();
    let until = start + BUDGET;
    let timed = sample.frame(main.spec(), main.item_len()).and_then(|frame| {
        let timed = time(main, &frame, until, job.lock).map_err(|e| e.to_string())?;
        Ok((frame, timed))
    });
    let (frame, timed) = match timed {
        Ok(timed) => timed,
        Err(error) => {
            // The frames themselves may be other ones: that is not ours to judge.
            let model = planner.bundle.manifest().name.as_str();
            tracing::warn!(model, error, "cannot be timed: the governor can change nothing but its interval");
            planner.forget(main)?;
            return Ok(Calibration { candidates: vec![candidate(main.key(), UNTIMED, None)], remembered: false });
        }
    };
    let captures = Captures::new(&offered, sample, regions, planner.preprocess.tiles(), main.spec());
    let (lock, max_batch) = (job.lock, job.max_batch);
    let mut session =
        Session { planner, frame: &frame, captures: &captures, until, max_batch, lock, measured: Vec::new() };
    session.variants(main, timed);
    planner.forget(main)?;
    let candidates = session.finish();
    if !lock.is_some_and(MeasurementLock::ended) {
        let depends_on = depends_on(planner, main.key(), job);
        let mut known: Remembered<Vec<Candidate>> = Remembered::open(job.dir, FILE);
        known.insert(&depends_on, candidates.clone());
    }
    Ok(Calibration { candidates, remembered: false })
}

/// Measurements of an earlier start of this model on this board; `full` is the plan for full work.
pub(crate) fn remembered(planner: &Planner, full: StagesKey, job: &Job<'_>) -> Option<Vec<Candidate>> {
    let depends_on = depends_on(planner, full, job);
    let known: Remembered<Vec<Candidate>> = Remembered::open(job.dir, FILE);
    known.get(&depends_on).filter(|candidates| plausible(candidates, full)).cloned()
}

/// Full work by a single run, which warms the plan up: all that is known of a pipeline until it has been measured. The memory of its
/// task is lost.
///
/// # Errors
/// [`PlanError::Task`].
pub(crate) fn full_work(planner: &Planner, main: &mut Stages, job: &Job<'_>) -> Result<Candidate, PlanError> {
    let sample = job.feed.sample(&planner.regions(), least_picture(planner, main));
    let frame = sample.frame(main.spec(), main.item_len());
    let timed = frame.ok().and_then(|frame| time(main, &frame, Instant::now(), None).ok());
    planner.forget(main)?;
    Ok(candidate(main.key(), timed.unwrap_or(UNTIMED), None))
}

/// `[width, height]` of a frame that has all the tiles that are configured: what a frame of unknown size may cost.
fn least_picture(planner: &Planner, stages: &Stages) -> [u32; 2] {
    match (planner.preprocess.tiles(), stages.spec()) {
        (Some(tiles), Spec::Image(spec)) => tiles.least_picture([spec.height, spec.width]),
        _ => [0; 2],
    }
}

/// Times of a model that could not be timed: a guess that lets the governor lower the interval.
const UNTIMED: Timed = Timed { infer_ms: 1.0, cpu_ms: 1.0 };

/// Everything that the measurements depend on.
fn depends_on(planner: &Planner, full: StagesKey, job: &Job<'_>) -> String {
    let regions = &planner.regions();
    let (sample, offered) = (job.feed.sample(regions, [0; 2]), job.feed.capture_sizes(regions));
    let Planner { bundle, engine, preprocess, task, .. } = planner;
    let digest = bundle.digest();
    let (version, debug, kernels) = (env!("CARGO_PKG_VERSION"), cfg!(debug_assertions), model::kernels());
    let second = planner.second_key();
    let (board, max_batch, manifest) = (job.board, job.max_batch, bundle.manifest());
    format!(
        "{digest} {version} {debug} {board} {kernels} {engine:?} {full:?} {max_batch} {sample:?} {preprocess:?} {task:?} {manifest:?} {offered:?} {second}"
    )
}

/// Remembered measurements can be true: a file may be damaged without being unreadable.
fn plausible(candidates: &[Candidate], full: StagesKey) -> bool {
    let sane = |c: &Candidate| {
        let times = [c.cost.infer_ms, c.cost.cpu_ms].iter().all(|ms| ms.is_finite() && *ms > 0.0);
        times && c.batch >= 1 && c.threads >= 1 && c.cost.accuracy.is_none_or(|a| (0.0..=1.0).contains(&a))
    };
    candidates.first().is_some_and(|first| key(first) == full) && candidates.iter().all(sane)
}

fn key(c: &Candidate) -> StagesKey {
    StagesKey { variant: c.variant, resolution: c.resolution, batch: c.batch, threads: c.threads }
}

fn candidate(key: StagesKey, timed: Timed, accuracy: Option<f32>) -> Candidate {
    let StagesKey { variant, resolution, batch, threads } = key;
    let cost = Cost { infer_ms: timed.infer_ms, cpu_ms: timed.cpu_ms, accuracy };
    Candidate { capture: None, resolution, batch, variant, threads, cost }
}

/// One calibration at work.
struct Session<'a> {
    planner: &'a Planner,
    frame: &'a Frame,
    captures: &'a Captures,
    until: Instant,
    max_batch: usize,
    lock: Option<&'a MeasurementLock>,
    measured: Vec<VariantCosts>,
}

/// Measurements of a variant at one resolution.
struct VariantCosts {
    /// The resolution is the variant's own.
    own: bool,
    candidates: Vec<Candidate>,
}

impl Session<'_> {
    /// Every variant at every resolution first, with smaller pictures while there is time, then batches and threads of each. `main` is
    /// compiled for full work, which takes `timed`.
    fn variants(&mut self, main: &mut Stages, timed: Timed) {
        let full = main.key();
        let until = Instant::now() + VARIANTS_WITHIN;
        let variants = if self.planner.comparable() { self.planner.bundle.variants().len() } else { 1 };
        for variant in 0..variants {
            let Some(mut loaded) = self.load(variant, full) else { continue };
            let own = Planner::own_resolution(&loaded);
            for resolution in self.resolutions(&loaded, own) {
                let key = StagesKey { variant, resolution, ..full };
                let candidates = if key == full {
                    Ok(self.with_captures(main, timed))
                } else if self.measured.len() >= MAX_VARIANTS || Instant::now() >= until || self.ended() {
                    Err("there is no time for it".into())
                } else {
                    self.time(&mut loaded, key, |stages, timed| self.with_captures(stages, timed))
                };
                match candidates {
                    Ok(candidates) => self.measured.push(VariantCosts { own: resolution == own, candidates }),
                    Err(error) => self.leave_out(key, &error),
                }
            }
        }
        if self.max_batch <= 1 && full.threads <= 1 {
            return;
        }
        let mut loaded: Option<(usize, LoadedModel)> = None;
        for index in 0..self.measured.len() {
            let Some(first) = self.measured[index].candidates.first().copied() else { continue };
            if Instant::now() >= self.until || self.ended() {
                break;
            }
            if loaded.as_ref().is_none_or(|(variant, _)| *variant != first.variant) {
                loaded = self.load(first.variant, full).map(|model| (first.variant, model));
            }
            if let Some((_, loaded)) = &mut loaded {
                let further = self.batches_and_threads(loaded, first);
                self.measured[index].candidates.extend(further);
            }
        }
    }

    fn load(&self, variant: usize, full: StagesKey) -> Option<LoadedModel> {
        let loaded = self.planner.load(variant);
        loaded.inspect_err(|error| self.leave_out(StagesKey { variant, ..full }, error)).ok()
    }

    /// A variant's own resolution, then those below it that its graph can take.
    fn resolutions(&self, loaded: &LoadedModel, own: Option<u32>) -> Vec<Option<u32>> {
        let mut all = vec![own];
        let sizes = loaded.sizes();
        let side = |size: &[usize; 2]| u32::try_from(size[0].max(size[1])).ok();
        let area = |size: &[usize; 2]| size[0] * size[1];
        let Some(first) = sizes.iter().find(|s| side(s) == own) else { return all };
        for size in sizes.iter().filter(|s| area(s) < area(first)) {
            if self.planner.comparable() && !all.contains(&side(size)) {
                all.push(side(size));
            }
        }
        all
    }

    /// Batches of 2, 4, … and fewer threads, as far as each lowers the CPU time of an item.
    fn batches_and_threads(&self, loaded: &mut LoadedModel, first: Candidate) -> Vec<Candidate> {
        let mut all = Vec::new();
        let mut alone = first;
        for threads in fewer_threads(first.threads) {
            if threads != first.threads {
                let key = StagesKey { threads, ..key(&first) };
                let Some(fewer) = self.try_out(loaded, key).filter(|c| pays(c, &alone)) else { break };
                all.push(fewer);
                alone = fewer;
            }
            let mut smaller = alone;
            let mut batch = 2;
            while batch <= self.max_batch {
                let key = StagesKey { batch, ..key(&alone) };
                let Some(larger) = self.try_out(loaded, key).filter(|c| pays(c, &smaller)) else { break };
                all.push(larger);
                smaller = larger;
                batch *= 2;
            }
        }
        all
    }

    /// `None` when there is no time left, or it fails.
    fn try_out(&self, loaded: &mut LoadedModel, key: StagesKey) -> Option<Candidate> {
        if Instant::now() >= self.until || self.ended() {
            return None;
        }
        match self.time(loaded, key, |_, timed| candidate(key, timed, None)) {
            Ok(candidate) => Some(candidate),
            Err(error) => {
                self.leave_out(key, &error);
                None
            }
        }
    }

    /// Compiles stages for `key`, times them, and gives both to `then`.
    fn time<T>(
        &self,
        loaded: &mut LoadedModel,
        key: StagesKey,
        then: impl FnOnce(&mut Stages, Timed) -> T,
    ) -> Result<T, String> {
        let mut stages = self.planner.compile(loaded, key).map_err(|e| e.to_string())?;
        let timed = time(&mut stages, self.frame, self.until, self.lock).map_err(|e| e.to_string())?;
        Ok(then(&mut stages, timed))
    }

    /// Costs of `stages`, first with pictures as configured (`timed`), then with each smaller one that has enough pixels for them.
    fn with_captures(&self, stages: &mut Stages, timed: Timed) -> Vec<Candidate> {
        let first = candidate(stages.key(), timed, None);
        let mut all = vec![first];
        let spec = stages.spec().clone();
        for (side, frame) in self.captures.enough_for(&spec) {
            if Instant::now() >= self.until || self.ended() {
                break;
            }
            match time(stages, frame, self.until, self.lock) {
                Ok(Timed { infer_ms, cpu_ms }) => {
                    let cost = Cost { infer_ms, cpu_ms, ..first.cost };
                    all.push(Candidate { capture: Some(side), cost, ..first });
                }
                Err(error) => self.leave_out(stages.key(), &error),
            }
        }
        all
    }

    /// The measurements are of no use any more.
    fn ended(&self) -> bool {
        self.lock.is_some_and(MeasurementLock::ended)
    }

    fn leave_out(&self, key: StagesKey, error: &dyn std::fmt::Display) {
        let model = self.planner.bundle.manifest().name.as_str();
        tracing::debug!(model, ?key, %error, "left out of the ladder");
    }

    /// The candidates with their accuracy.
    fn finish(mut self) -> Vec<Candidate> {
        let worth = self.accuracies();
        for (measured, accuracy) in self.measured.iter_mut().zip(worth) {
            measured.candidates.iter_mut().for_each(|c| c.cost.accuracy = accuracy);
        }
        let all: Vec<Candidate> = self.measured.iter().flat_map(|f| f.candidates.iter().copied()).collect();
        let full_known = all.first().is_some_and(|full| full.cost.accuracy.is_some());
        let (kept, unknown): (Vec<_>, Vec<_>) = all.into_iter().partition(|c| c.cost.accuracy.is_some() || !full_known);
        unknown.iter().for_each(|c| self.leave_out(key(c), &"its accuracy is not known"));
        kept
    }

    /// Accuracy of each of `measured`, in order.
    fn accuracies(&self) -> Vec<Option<f32>> {
        let variants = self.planner.bundle.variants();
        let figure = |variant: usize| variants.get(variant).and_then(|f: &Variant| f.accuracy);
        let variant = |f: &VariantCosts| f.candidates.first().map_or(0, |c| c.variant);
        let given = |f: &VariantCosts| if f.own { figure(variant(f)) } else { None };
        let shares: Vec<Option<f64>> = if self.measured.len() > 1 && self.measured.iter().any(|f| given(f).is_none()) {
            self.golden_shares()
        } else {
            vec![None; self.measured.len()]
        };
        let own_share = |wanted: usize| {
            let own = self.measured.iter().position(|f| f.own && variant(f) == wanted)?;
            shares.get(own).copied().flatten()
        };
        let one = |(measured, share): (&VariantCosts, &Option<f64>)| {
            let own = (figure(variant(measured)), own_share(variant(measured)));
            given(measured).or_else(|| estimate(*share, own, (figure(0), own_share(0))))
        };
        self.measured.iter().zip(&shares).map(one).map(|a| a.map(|a| a.clamp(0.0, 1.0) as f32)).collect()
    }

    /// Share of the golden inputs that each of `measured` gets right; `None` where there are none, or no time.
    fn golden_shares(&self) -> Vec<Option<f64>> {
        let none = vec![None; self.measured.len()];
        let bundle = &self.planner.bundle;
        if bundle.goldens().is_empty() {
            return none;
        }
        // A golden input is one item: the pipeline's regions and task settings are not for it.
        let Ok(planner) = Planner::of_bundle(bundle.clone(), self.planner.engine, self.planner.threads) else {
            return none;
        };
        let until = Instant::now() + GOLDEN_BUDGET;
        let share = |measured: &VariantCosts| {
            if self.ended() {
                return None;
            }
            let key = StagesKey { batch: 1, ..key(measured.candidates.first()?) };
            let right = planner
                .load(key.variant)
                .and_then(|mut loaded| planner.compile(&mut loaded, key))
                .map_err(|e| e.to_string())
                .and_then(|mut stages| offline::golden_share(&planner, &mut stages, until).map_err(|e| e.to_string()));
            right.unwrap_or_else(|error| {
                self.leave_out(key, &error);
                None
            })
        };
        self.measured.iter().map(share).collect()
    }
}

/// Accuracy of a variant at a resolution that has no figure: the figure of the variant itself (else that of the main one, else 1) times
/// the share of golden inputs that are right here for each that is right there. `variant` and `main` are the figure and the share at
/// their own resolution. A few golden inputs are a coarse measure: ten of them tell a loss from 10 % on.
fn estimate(share: Option<f64>, variant: (Option<f64>, Option<f64>), main: (Option<f64>, Option<f64>)) -> Option<f64> {
    let share = share?;
    let lowered = |(figure, own): (Option<f64>, Option<f64>)| {
        let own = own.filter(|own| *own > 0.0)?;
        Some(figure? * (share / own).min(1.0))
    };
    match (variant.0, main.0) {
        (Some(_), _) => lowered(variant),
        (None, Some(_)) => lowered(main),
        (None, None) => Some(share),
    }
}

/// `c` takes clearly less CPU time for an item than `before`.
fn pays(c: &Candidate, before: &Candidate) -> bool {
    let of_an_item = |c: &Candidate| c.cost.cpu_ms / c.batch.max(1) as f32;
    of_an_item(c) <= of_an_item(before) * PAYS
}

/// `most`, then the powers of two below it, down to 1.
fn fewer_threads(most: usize) -> impl Iterator<Item = usize> {
    let powers = (0..usize::BITS).rev().map(|shift| 1_usize << shift).filter(move |&threads| threads < most);
    std::iter::once(most).chain(powers)
}

/// Times of an inference of a whole batch, its preprocessing and its task included.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Timed {
    infer_ms: f32,
    cpu_ms: f32,
}

/// The shortest of a few runs over `frame`: the first one, which warms up, counts only when there is no time for another.
/// `lock` keeps running pipelines out of it.
fn time(
    stages: &mut Stages,
    frame: &Frame,
    until: Instant,
    lock: Option<&MeasurementLock>,
) -> Result<Timed, StageError> {
    let _alone = lock.map(MeasurementLock::measure);
    let threads = stages.key().threads.max(1);
    let start = Instant::now();
    let mut best: Option<Timed> = None;
    for round in 0..ROUNDS {
        let (wall, own, all) = (Instant::now(), cpu(ClockId::ThreadCPUTime), cpu(ClockId::ProcessCPUTime));
        for index in 0..stages.frames() {
            stages.prepare(frame, index)?;
        }
        stages.infer()?;
        for index in 0..stages.frames() {
            stages.interpret(index, Duration::ZERO, frame.time)?;
        }
        let infer_ms = ms(wall.elapsed());
        let own = ms(cpu(ClockId::ThreadCPUTime).saturating_sub(own));
        let all = ms(cpu(ClockId::ProcessCPUTime).saturating_sub(all));
        let (infer_ms, cpu_ms) = if threads == 1 {
            // One thread that waits for nothing takes its CPU time on an idle board, however busy this one is right now.
            (own, own)
        } else {
            // Other threads of the process may be at work on something else: no more than the plan's own can have been busy with this.
            (infer_ms, all.min(infer_ms * threads as f32).max(own))
        };
        let now = Timed { infer_ms: infer_ms.max(1e-3), cpu_ms: cpu_ms.max(1e-3) };
        best = match best {
            Some(best) if round > 1 => {
                Some(Timed { infer_ms: best.infer_ms.min(now.infer_ms), cpu_ms: best.cpu_ms.min(now.cpu_ms) })
            }
            _ => Some(now),
        };
        if start.elapsed() >= ROUNDS_WITHIN || Instant::now() >= until {
            break;
        }
    }
    Ok(best.unwrap_or(UNTIMED))
}

fn ms(duration: Duration) -> f32 {
    duration.as_secs_f32() * 1e3
}

fn cpu(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
