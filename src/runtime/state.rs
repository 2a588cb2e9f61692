//! State of one running pipeline: counters, status, assignment, the slot that its frames come through.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use leptond_governor::{Assignment, Load};

use super::gate::GateState;
use super::light::Light;
use super::offload::Seen;
use super::slot::Slot;
use crate::frame::{Outcome, Quality, is_near_truth};
use crate::pipeline::measurement_lock::MeasurementLock;
use crate::pipeline::plans::Plans;
use crate::telemetry::PipelineCounters;

/// A source that gives nothing for this long beyond the time of a frame is said to be idle.
const IDLE_AFTER: Duration = Duration::from_secs(10);

/// Load is judged by the results of this long, …
const JUDGED_BY: Duration = Duration::from_secs(10);
/// … or of this many inferences, where they are rare.
const JUDGED_BY_INFERENCES: u32 = 4;
/// Fewer results than this say nothing of latency.
const LEAST_RESULTS: usize = 3;

/// Activity of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PipelineStatus {
    /// Frames come.
    Running,
    /// Nothing to do, for this reason.
    Idle(String),
    /// The source came to its end.
    Ended,
    /// The source can never work.
    Failed(String),
    /// Told to stop.
    Stopped,
}

/// State of one pipeline, which its worker, the thread that captures for it and the control loop share.
pub struct Shared {
    /// The pipeline's name.
    pub name: String,
    /// Counters and latencies.
    pub counters: PipelineCounters,
    /// Answers that were right and wrong, where the source knows the truth.
    pub truth: Truth,
    pub(super) slot: Slot,
    /// Its motion gate, where it has one.
    pub(super) gate: Option<Arc<GateState>>,
    /// The model that runs needs more of a picture than its luminance.
    pub(super) colour: AtomicBool,
    pub(super) plans: Arc<Plans>,
    pub(super) turn: Arc<MeasurementLock>,
    /// The source waits for its readers and loses nothing.
    lossless: AtomicBool,
    stop: AtomicBool,
    /// A person's pause, beside the governor's.
    held: AtomicBool,
    /// Capture time of the newest frame that was worked on at the present setpoint.
    newest: Mutex<Option<Instant>>,
    /// And since when, where another reason of idleness does not count as a change.
    life: Mutex<(PipelineStatus, Instant)>,
    assignment: Mutex<Arc<Assignment>>,
    /// Light of a meter.
    pub(super) light: OnceLock<Light>,
    /// Work given to other nodes.
    pub(super) seen: OnceLock<Arc<Seen>>,
    /// The next frame is wanted now.
    wish: AtomicBool,
    wake: Arc<dyn Fn() + Send + Sync>,
}

/// Counts of answers beside the truth that the source knew.
#[derive(Debug, Default)]
pub struct Truth {
    /// Right answers.
    pub right: AtomicU64,
    /// All answers with a known truth.
    pub known: AtomicU64,
    /// Pictures of a known truth that were given no answer of their own: the last good reading was held.
    pub held: AtomicU64,
}

impl Truth {
    /// Counts an answer beside the truth. Only outcomes with a label can be right.
    pub(super) fn count(&self, truth: &str, outcome: &Outcome) {
        let right = match outcome {
            Outcome::Classify { label, .. } => label == truth,
            // What stands there then is said to be the reading of an earlier picture, or none.
            Outcome::Reading(reading) if reading.held || reading.label.is_none() => {
                self.held.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Outcome::Reading(reading) => reading.label.as_deref() == Some(truth),
            Outcome::Meter(reading) if reading.held || reading.label.is_none() => {
                self.held.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Outcome::Meter(reading) => reading.label.as_deref().is_some_and(|label| is_near_truth(label, truth)),
            Outcome::Text { text, .. } => text.as_deref() == Some(truth),
            Outcome::Detect { .. }
            | Outcome::Semantic { .. }
            | Outcome::Position { .. }
            | Outcome::Anomaly { .. }
            | Outcome::Channels { .. }
            | Outcome::Raw { .. } => false,
        };
        self.known.fetch_add(1, Ordering::Relaxed);
        if right {
            self.right.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Shared {
    /// The state of a pipeline that starts on `assignment`.
    pub(super) fn new(
        name: &str,
        plans: Arc<Plans>,
        turn: Arc<MeasurementLock>,
        assignment: Assignment,
        gate: Option<Arc<GateState>>,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Arc<Shared> {
        Arc::new(Shared {
            name: name.to_owned(),
            counters: PipelineCounters::default(),
            truth: Truth::default(),
            slot: Slot::default(),
            gate,
            colour: AtomicBool::new(true),
            plans,
            turn,
            lossless: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            held: AtomicBool::new(false),
            light: OnceLock::new(),
            seen: OnceLock::new(),
            wish: AtomicBool::new(false),
            newest: Mutex::new(None),
            life: Mutex::new((PipelineStatus::Idle("starting".into()), Instant::now())),
            assignment: Mutex::new(Arc::new(assignment)),
            wake,
        })
    }

    /// Applies an assignment: the interval and a pause at once; another variant, resolution, batch or number of threads when its
    /// plan is there.
    pub(super) fn apply(&self, assignment: Assignment) {
        // In this order, so that no result of the old plan is taken for one of the new rung.
        self.plans.want((&assignment.setpoint).into());
        *lock(&self.assignment) = Arc::new(assignment);
        self.restart(Instant::now());
    }

    /// The present assignment.
    pub fn assignment(&self) -> Arc<Assignment> {
        lock(&self.assignment).clone()
    }

    /// The present status.
    pub fn life(&self) -> PipelineStatus {
        lock(&self.life).0.clone()
    }

    /// Asks for the next frame now, whatever the interval.
    pub(super) fn read_now(&self) {
        match self.light.get() {
            Some(light) => light.ask(),
            None => self.wish.store(true, Ordering::Release),
        }
    }

    /// True once after [`Shared::read_now`].
    pub(super) fn take_wish(&self) -> bool {
        self.wish.swap(false, Ordering::AcqRel)
    }

    /// A good reading came.
    pub(super) fn note_reading(&self, outcome: &Outcome) {
        if let (Some(light), Outcome::Meter(reading)) = (self.light.get(), outcome)
            && reading.quality == Quality::Good
        {
            light.read(self.assignment().setpoint.interval);
        }
    }

    /// A person's wish: no frame is let through until it is taken back. What has been gathered is finished.
    pub fn pause(&self, paused: bool) {
        if self.held.swap(paused, Ordering::AcqRel) != paused {
            self.restart(Instant::now());
        }
    }

    /// Paused by a request or by the governor: no frame is let through.
    pub(super) fn paused(&self) -> bool {
        self.held.load(Ordering::Acquire) || lock(&self.assignment).setpoint.paused
    }

    /// Load at the present setpoint.
    pub fn load(&self, now: Instant) -> Load {
        let assignment = self.assignment();
        let Assignment { setpoint, frame_interval, .. } = &*assignment;
        let open = self.gate.as_ref().map(|gate| !gate.is_closed());
        if assignment.provisional {
            // It is held now and then by what measures it: that is not held against it.
            return Load { idle: self.idle(now).is_some(), open, ..Load::default() };
        }
        let pace = setpoint.interval.max(*frame_interval);
        let inferences = u32::try_from(setpoint.batch).unwrap_or(u32::MAX).saturating_mul(JUDGED_BY_INFERENCES);
        let window = pace.saturating_mul(inferences).max(JUDGED_BY);
        let ms = |d: Duration| d.as_secs_f32() * 1e3;
        Load {
            p95_ms: self.counters.recent.p95(window, LEAST_RESULTS, now).map(ms),
            infer_ms: self.counters.recent_infer.median(window, now).map(ms),
            dropped: self.counters.overwritten.get(),
            frame_age_ms: lock(&self.newest).map(|captured| ms(now.saturating_duration_since(captured))),
            idle: self.idle(now).is_some(),
            open,
            group: self.seen.get().and_then(|seen| seen.group(&assignment, now)),
        }
    }

    /// Nothing moves in what it sees.
    pub(super) fn is_gated(&self) -> bool {
        self.gate.as_ref().is_some_and(|gate| gate.is_closed())
    }

    /// A frame that was captured at `captured` has been worked on by the plan that is wanted.
    pub(super) fn worked_on(&self, captured: Instant) {
        *lock(&self.newest) = Some(captured);
    }

    /// Forgets the load so far: another setpoint applies from `now` on.
    pub(super) fn restart(&self, now: Instant) {
        self.counters.recent.restart(now);
        self.counters.recent_infer.restart(now);
        self.counters.overwritten.restart();
        *lock(&self.newest) = None;
    }

    /// Reason of idleness, once it has lasted: a camera between two frames is not idle.
    pub fn idle(&self, now: Instant) -> Option<String> {
        if self.held.load(Ordering::Acquire) {
            return Some("paused by request".into());
        }
        // A source of one picture in ten minutes is not idle for most of them.
        let patience = IDLE_AFTER + lock(&self.assignment).frame_interval;
        let (life, since) = &*lock(&self.life);
        match life {
            PipelineStatus::Idle(reason) if now.saturating_duration_since(*since) >= patience => Some(reason.clone()),
            PipelineStatus::Failed(reason) => Some(format!("failed: {reason}")),
            PipelineStatus::Ended => Some("the source has ended".into()),
            PipelineStatus::Idle(_) | PipelineStatus::Running | PipelineStatus::Stopped => None,
        }
    }

    /// True once a frame has been worked on, with a result or an error.
    pub(super) fn answered(&self) -> bool {
        self.counters.inferences.load(Ordering::Relaxed) + self.counters.errors.load(Ordering::Relaxed) > 0
    }

    /// True once nothing will come any more.
    pub(super) fn over(&self) -> bool {
        self.stopping()
            || matches!(self.life(), PipelineStatus::Ended | PipelineStatus::Failed(_) | PipelineStatus::Stopped)
    }

    /// Asks the worker to stop after the frame it is at.
    pub(super) fn request_stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// The source of its frames waits for its readers and loses nothing.
    pub(super) fn lossless(&self) -> bool {
        self.lossless.load(Ordering::Relaxed)
    }

    pub(super) fn set_lossless(&self) {
        self.lossless.store(true, Ordering::Relaxed);
    }

    pub(super) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Nothing is captured for the pipeline any more; an end by itself stays its status.
    pub(super) fn set_stopped(&self) {
        if matches!(self.life(), PipelineStatus::Running | PipelineStatus::Idle(_)) {
            self.set_status(PipelineStatus::Stopped);
        }
    }

    pub(super) fn set_status(&self, life: PipelineStatus) {
        let mut now = lock(&self.life);
        if now.0 != life {
            let over = matches!(life, PipelineStatus::Ended | PipelineStatus::Failed(_));
            let still_idle = matches!((&now.0, &life), (PipelineStatus::Idle(_), PipelineStatus::Idle(_)));
            let since = if still_idle { now.1 } else { Instant::now() };
            *now = (life, since);
            drop(now);
            if over {
                (self.wake)();
            }
        }
    }
}

/// A panic elsewhere leaves these values whole: each is replaced in one step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
