//! The measurements of pipelines that were never measured on this board, while they run: the first result does not wait for them.
//!
//! A thread of its own compiles one candidate after another, with less claim to the CPU than the pipelines (where the kernel lets
//! it), and times each while every worker stands at a frame boundary ([`MeasurementLock`]): a time taken beside a running inference would
//! be that of a board which shares its caches, its memory and its cores. A worker is held for the few runs of one candidate.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::state::Shared;
use crate::pipeline::Uncalibrated;
use crate::pipeline::measurement_lock::MeasurementLock;
use crate::telemetry::mark_of;
use leptond_governor::PipelineLadder;

/// A source that gives nothing for this long is not waited for.
const FIRST_RESULT_WITHIN: Duration = Duration::from_secs(10);

/// Interval between two looks for the first results.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Added to the niceness of the thread that measures.
const NICE: i32 = 10;

/// Measures in the background and keeps the ladders until they are taken. Dropping it ends the measurements under way.
pub(super) struct Calibrator {
    lock: Arc<MeasurementLock>,
    done: Arc<Done>,
}

/// Ladders that were measured and not yet taken: one of each pipeline at most.
#[derive(Default)]
struct Done {
    ladders: Mutex<Vec<(Arc<Shared>, PipelineLadder)>>,
    told: Notify,
}

impl Calibrator {
    pub(super) fn new(lock: Arc<MeasurementLock>) -> Self {
        Calibrator { lock, done: Arc::default() }
    }

    /// Measures these pipelines, one after another. Returns at once.
    pub(super) fn start(&self, pipelines: Vec<(Arc<Shared>, Uncalibrated)>) {
        if pipelines.is_empty() {
            return;
        }
        let (lock, done) = (self.lock.clone(), self.done.clone());
        let thread = std::thread::Builder::new().name("calibrate".into());
        if let Err(error) = thread.spawn(move || measure(&pipelines, &lock, &done)) {
            tracing::error!(%error, "no thread to measure with: the governor can change nothing but the interval");
        }
    }

    /// Waits until [`Calibrator::take`] has something to give.
    pub(super) async fn told(&self) {
        self.done.told.notified().await;
    }

    /// The ladders measured since the last call.
    pub(super) fn take(&self) -> Vec<(Arc<Shared>, PipelineLadder)> {
        std::mem::take(&mut *self.done.ladders.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Calibrator {
    fn drop(&mut self) {
        self.lock.end();
    }
}

fn measure(pipelines: &[(Arc<Shared>, Uncalibrated)], lock: &MeasurementLock, done: &Done) {
    // Of this thread, as Linux has it. A service that may not (its system calls are filtered) measures all the same.
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "calibration has the priority of the pipelines");
    }
    let until = Instant::now() + FIRST_RESULT_WITHIN;
    let waiting = || pipelines.iter().any(|(shared, _)| !shared.answered() && !shared.over());
    while waiting() && Instant::now() < until && !lock.ended() {
        std::thread::sleep(LOOK_EVERY);
    }
    for (shared, uncalibrated) in pipelines {
        let _alone = lock.calibrate();
        if lock.ended() || shared.over() {
            continue;
        }
        match uncalibrated.measure(lock) {
            Ok(Some(ladder)) => {
                uncalibrated.say(&ladder, false);
                done.ladders.lock().unwrap_or_else(PoisonError::into_inner).push((shared.clone(), ladder));
                done.told.notify_one();
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(
                pipeline = shared.name,
                %error,
                "cannot be measured: the governor can change nothing but its interval"
            ),
        }
        mark_of("calibrated", &shared.name);
    }
}
