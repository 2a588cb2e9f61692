//! The ladder of one pipeline: what it may be lowered to, in the order in which that is done.

use std::time::Duration;

use super::{PipelineConfig, Setpoint};

/// First lowered interval of a source that gives frames as fast as they are taken.
const UNKNOWN_INTERVAL: Duration = Duration::from_millis(50);

/// Longest interval of a pipeline without `min_fps`.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);

/// One pipeline as the governor sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct PipelineLadder {
    /// The pipeline's name.
    pub name: String,
    /// The lowest weight steps down first.
    pub weight: f32,
    /// Time between two frames of the source; zero when it gives them as fast as they are taken.
    pub frame_interval: Duration,
    /// From [`ladder`]: full work first, least work last; never empty.
    pub rungs: Vec<Setpoint>,
}

impl PipelineLadder {
    /// A ladder for the pipeline `name`; see [`ladder`].
    pub fn new(name: &str, config: &PipelineConfig, frame_interval: Duration, sizes: &[u32]) -> Self {
        let rungs = ladder(config, frame_interval, sizes);
        PipelineLadder { name: name.into(), weight: config.weight, frame_interval, rungs }
    }
}

/// The rungs of one pipeline, full work first, each less work than the one before: the interval is doubled as far as
/// `min_fps` allows, then the resolution goes down as far as `min_resolution` allows, then the batch is doubled up to
/// `max_batch` (as long as gathering it leaves the deadline in reach).
///
/// `frame_interval` is the time between two frames of the source, zero when it gives them as fast as they are taken.
/// `sizes` are the model input sizes that the bundle offers, in pixels of the longer side, its default first; empty for a
/// model with one size and for sensor windows.
pub fn ladder(config: &PipelineConfig, frame_interval: Duration, sizes: &[u32]) -> Vec<Setpoint> {
    let full = Duration::from_millis(config.interval_ms);
    let native = sizes.first().copied();
    let mut rungs = vec![(full, native, 1)];

    let longest = longest_interval(config.min_fps);
    let mut interval = full.max(frame_interval);
    if interval.is_zero() {
        interval = UNKNOWN_INTERVAL;
        if interval < longest {
            rungs.push((interval, native, 1));
        }
    }
    while interval < longest {
        // Steps of a factor below 1.2 are not worth a change.
        let doubled = interval * 2;
        interval = if doubled.mul_f64(1.2) >= longest { longest } else { doubled };
        rungs.push((interval, native, 1));
    }

    let mut smaller: Vec<u32> = sizes.iter().copied().filter(|s| Some(*s) < native).collect();
    smaller.retain(|s| *s >= config.min_resolution);
    smaller.sort_unstable_by(|a, b| b.cmp(a));
    smaller.dedup();
    let (interval, mut size, _) = rungs.last().copied().unwrap_or((full, native, 1));
    for next in smaller {
        size = Some(next);
        rungs.push((interval, size, 1));
    }

    let deadline = Duration::from_millis(config.deadline_ms);
    let spacing = interval.max(frame_interval);
    let mut batch: u32 = 1;
    while let Some(next) = batch.checked_mul(2).filter(|b| *b <= config.max_batch) {
        let wait = spacing.saturating_mul(next - 1);
        if !deadline.is_zero() && wait >= deadline {
            break;
        }
        batch = next;
        rungs.push((interval, size, batch));
    }

    let of = rungs.len();
    let setpoint = |(rung, (interval, resolution, batch)): (usize, (Duration, Option<u32>, u32))| Setpoint {
        rung,
        of,
        interval,
        resolution,
        batch: batch as usize,
    };
    rungs.into_iter().enumerate().map(setpoint).collect()
}

fn longest_interval(min_fps: f32) -> Duration {
    let seconds = if min_fps > 0.0 { 1.0 / f64::from(min_fps) } else { f64::INFINITY };
    if seconds < LONGEST_INTERVAL.as_secs_f64() { Duration::from_secs_f64(seconds) } else { LONGEST_INTERVAL }
}
