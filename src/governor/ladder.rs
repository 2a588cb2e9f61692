//! The ladder of one pipeline, made of the measured cost of its variants.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::PipelineConfig;
use crate::setpoint::{Assignment, Setpoint};

/// A source that gives frames as fast as they are taken is thought to give one per inference, but no more than this many a
/// second.
const FASTEST_PER_S: f64 = 240.0;

/// Longest interval of a pipeline without `min_fps`.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);

/// A rung has to lower the load to this share of the one before it at least …
const WORTH_A_RUNG: f64 = 0.85;
/// … and by this many cores: less is not noticed by any board.
const NOTICEABLE_CORES: f64 = 0.002;

/// Measured cost of one variant of the work on this board, and its accuracy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Time of one inference of the whole batch on the idle board, its preprocessing included, in ms.
    pub infer_ms: f32,
    /// CPU time that it takes, all threads together, in ms.
    pub cpu_ms: f32,
    /// Accuracy in the bundle's own measure, 0 to 1; `None` = not known.
    pub accuracy: Option<f32>,
}

/// One way to do the work at any interval, with its measured cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// Size of the captured picture, longer side in pixels; `None` = as configured.
    pub capture: Option<u32>,
    /// Model input size, longer side in pixels; `None` = the model's own.
    pub resolution: Option<u32>,
    /// Items gathered for one inference.
    pub batch: usize,
    /// Index of the model's variant; 0 = the main one.
    #[serde(rename = "form")]
    pub variant: usize,
    /// Threads of one inference.
    pub threads: usize,
    /// The measured cost.
    pub cost: Cost,
}

/// One step of a ladder.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OperatingPoint {
    /// The setpoint.
    pub setpoint: Setpoint,
    /// Its cost.
    pub cost: Cost,
}

/// One pipeline as the governor sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct PipelineLadder {
    /// The pipeline's name.
    pub name: Arc<str>,
    /// The lowest weight steps down first.
    pub weight: f32,
    /// Time between two frames of the source; zero when it gives them as fast as they are taken.
    pub frame_interval: Duration,
    /// A result later than this after its frame was captured is a missed deadline; zero = none.
    pub deadline: Duration,
    /// From [`ladder`]: full work first, least work last; never empty.
    pub rungs: Vec<OperatingPoint>,
    /// Only full work has been timed so far, and that once: a measured ladder takes the place of this one later.
    pub provisional: bool,
}

impl PipelineLadder {
    /// A ladder for the pipeline `name`; see [`ladder`].
    pub fn new(name: &str, config: &PipelineConfig, frame_interval: Duration, candidates: &[Candidate]) -> Self {
        PipelineLadder {
            name: name.into(),
            weight: config.weight,
            frame_interval,
            deadline: Duration::from_millis(config.deadline_ms),
            rungs: ladder(config, frame_interval, candidates),
            provisional: false,
        }
    }

    /// The assignment of `setpoint` on this ladder.
    pub fn assignment(&self, setpoint: Setpoint) -> Assignment {
        let infer_ms = self.rungs.get(setpoint.rung).map_or(0.0, |rung| rung.cost.infer_ms);
        Assignment {
            setpoint,
            deadline: self.deadline,
            frame_interval: self.frame_interval,
            infer: Duration::from_secs_f32((infer_ms / 1e3).clamp(0.0, 3600.0)),
            provisional: self.provisional,
        }
    }

    /// Full work.
    pub fn first(&self) -> Assignment {
        self.assignment(self.rungs.first().map_or_else(Setpoint::full, |rung| rung.setpoint.clone()))
    }

    /// Items a second that `rung` looks at on the idle board.
    pub fn items_per_s(&self, rung: &OperatingPoint) -> f64 {
        items_per_s(rung.setpoint.interval, rung.setpoint.batch, &rung.cost, self.frame_interval)
    }

    /// Items a second that `rung` is to look at, whatever this board can do.
    pub fn wanted_per_s(&self, rung: &OperatingPoint) -> f64 {
        1.0 / rung.setpoint.interval.max(self.frame_interval).as_secs_f64().max(1.0 / FASTEST_PER_S)
    }

    /// CPU cores that `rung` keeps busy on the idle board.
    pub fn cores(&self, rung: &OperatingPoint) -> f64 {
        self.items_per_s(rung) * cpu_s_per_item(rung.setpoint.batch, &rung.cost)
    }

    /// Worth of `rung` on the idle board: accurate answers a second (unknown accuracy counts as full).
    pub fn worth_per_s(&self, rung: &OperatingPoint) -> f64 {
        self.items_per_s(rung) * worth(&rung.cost)
    }
}

/// The rungs of one pipeline, full work first, each costing clearly less than the one before and worth more than any that
/// costs no more: of every combination of `candidates` and intervals within the floors of `config`, those that no other
/// dominates.
///
/// `candidates` starts with full work; `frame_interval` is the time between two frames of the source, zero when it gives them
/// as fast as they are taken. Only full work may miss the floors and the deadline: there may be nothing better.
pub fn ladder(config: &PipelineConfig, frame_interval: Duration, candidates: &[Candidate]) -> Vec<OperatingPoint> {
    let Some(full) = candidates.first() else { return Vec::new() };
    let deadline = Duration::from_millis(config.deadline_ms);
    let first = Duration::from_millis(config.interval_ms);
    let allowed = |c: &&Candidate| {
        let native = full.resolution;
        let size = c.resolution.or(native).unwrap_or(u32::MAX);
        let accurate = c.cost.accuracy.is_none_or(|a| a >= config.min_accuracy);
        c.batch >= 1 && size >= config.min_resolution && accurate
    };
    let mut points: Vec<Point> = Vec::new();
    for candidate in candidates.iter().filter(allowed) {
        for interval in intervals(first, frame_interval, config.min_fps, &candidate.cost) {
            let waited =
                interval.max(frame_interval).saturating_mul(u32::try_from(candidate.batch - 1).unwrap_or(u32::MAX));
            let latency = waited + Duration::from_secs_f32((candidate.cost.infer_ms / 1e3).clamp(0.0, 3600.0));
            if deadline.is_zero() || latency <= deadline {
                points.push(Point::new(candidate, interval, frame_interval));
            }
        }
    }
    let mut rungs = vec![Point::new(full, first, frame_interval)];
    // Cheapest last; of two that cost the same the one that is worth more first.
    points.sort_by(|a, b| b.cores.total_cmp(&a.cores).then(b.worth.total_cmp(&a.worth)));
    let mut best_below = vec![0.0_f64; points.len() + 1];
    for i in (0..points.len()).rev() {
        best_below[i] = best_below[i + 1].max(points[i].worth);
    }
    for (i, point) in points.iter().enumerate() {
        let last = &rungs[rungs.len() - 1];
        let dominated = best_below[i + 1] >= point.worth;
        let cheaper = point.cores <= last.cores * WORTH_A_RUNG && point.cores <= last.cores - NOTICEABLE_CORES;
        if !dominated && cheaper {
            rungs.push(*point);
        }
    }
    let of = rungs.len();
    rungs.into_iter().enumerate().map(|(rung, point)| point.rung(rung, of)).collect()
}

/// A candidate at an interval.
#[derive(Clone, Copy)]
struct Point<'a> {
    candidate: &'a Candidate,
    interval: Duration,
    cores: f64,
    worth: f64,
}

impl<'a> Point<'a> {
    fn new(candidate: &'a Candidate, interval: Duration, frame_interval: Duration) -> Self {
        let items = items_per_s(interval, candidate.batch, &candidate.cost, frame_interval);
        let cores = items * cpu_s_per_item(candidate.batch, &candidate.cost);
        Point { candidate, interval, cores, worth: items * worth(&candidate.cost) }
    }

    fn rung(self, rung: usize, of: usize) -> OperatingPoint {
        let Candidate { capture, resolution, batch, variant, threads, cost } = *self.candidate;
        let interval = self.interval;
        OperatingPoint {
            setpoint: Setpoint {
                rung,
                of,
                interval,
                capture,
                resolution,
                batch,
                variant,
                threads,
                paused: false,
                offload: false,
            },
            cost,
        }
    }
}

/// 1, 1.5, 2, 3, 4, 6, … times the first interval, up to what `min_fps` allows.
fn intervals(first: Duration, frame_interval: Duration, min_fps: f32, cost: &Cost) -> Vec<Duration> {
    let seconds = if min_fps > 0.0 { 1.0 / f64::from(min_fps) } else { f64::INFINITY };
    let longest =
        if seconds < LONGEST_INTERVAL.as_secs_f64() { Duration::from_secs_f64(seconds) } else { LONGEST_INTERVAL };
    let mut all = vec![first];
    let mut base = first.max(frame_interval);
    if base.is_zero() {
        base = Duration::from_secs_f64((f64::from(cost.infer_ms) / 1e3).clamp(1.0 / FASTEST_PER_S, 3600.0));
    }
    for octave in 0..24 {
        for factor in [1.0, 1.5] {
            let interval = base.mul_f64(factor * f64::from(1_u32 << octave));
            if interval > base && interval < longest {
                all.push(interval);
            }
        }
    }
    if longest > base {
        all.push(longest);
    }
    all
}

fn items_per_s(interval: Duration, batch: usize, cost: &Cost, frame_interval: Duration) -> f64 {
    let asked = 1.0 / interval.max(frame_interval).as_secs_f64().max(1.0 / FASTEST_PER_S);
    let possible = batch as f64 / (f64::from(cost.infer_ms) / 1e3).max(1e-6);
    asked.min(possible)
}

fn cpu_s_per_item(batch: usize, cost: &Cost) -> f64 {
    f64::from(cost.cpu_ms) / 1e3 / batch.max(1) as f64
}

fn worth(cost: &Cost) -> f64 {
    f64::from(cost.accuracy.unwrap_or(1.0))
}

/// Leaves out the rungs of a ladder that was given as it is (not by [`ladder`]) that another one dominates: it costs no more
/// and is worth no less. The first rung stays, and so does the order.
pub fn undominated(ladder: &mut PipelineLadder) {
    let figures: Vec<(f64, f64)> = ladder.rungs.iter().map(|r| (ladder.cores(r), ladder.worth_per_s(r))).collect();
    let dominated = |i: usize| {
        let (cores, worth) = figures[i];
        // Of two that are alike the first one stays.
        let better = |(j, (c, w)): (usize, &(f64, f64))| {
            *c <= cores && *w >= worth && (*c < cores || *w > worth || j < i) && j != i
        };
        figures.iter().enumerate().any(better)
    };
    let keep: Vec<bool> = (0..figures.len()).map(|i| i == 0 || !dominated(i)).collect();
    let mut keep = keep.into_iter();
    ladder.rungs.retain(|_| keep.next().unwrap_or(true));
}
