//! One running pipeline: two threads (capture, infer) and what they share with the control loop.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::prepare::Prepared;
use super::set::Surroundings;
use super::slot::Slot;
use super::stages::{Planner, Stages};
use super::worker::Worker;
use super::{capture, worker};
use crate::config::PipelineConfig;
use crate::frame::Outcome;
use crate::governor::{PipelineLadder, Setpoint};
use crate::telemetry::PipelineCounters;

/// A source that gives nothing for this long is said to be idle.
const IDLE_AFTER: Duration = Duration::from_secs(10);

/// What a pipeline is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
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

/// What the two threads and the control loop share.
pub struct Shared {
    /// The pipeline's name.
    pub name: String,
    /// Counters and latencies.
    pub counters: PipelineCounters,
    /// Answers that were right and wrong, where the source knows the truth.
    pub truth: Truth,
    pub(super) slot: Slot,
    stop: AtomicBool,
    /// And since when, where another reason of idleness does not count as a change.
    life: Mutex<(Life, Instant)>,
    setpoint: Mutex<Setpoint>,
    next_stages: Mutex<Option<Stages>>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

/// How often the answer was the truth that the source knew.
#[derive(Debug, Default)]
pub struct Truth {
    /// Right answers.
    pub right: AtomicU64,
    /// All answers with a known truth.
    pub known: AtomicU64,
}

impl Truth {
    /// Counts an answer beside the truth. Only outcomes with a label can be right.
    pub(super) fn count(&self, truth: &str, outcome: &Outcome) {
        self.known.fetch_add(1, Ordering::Relaxed);
        if matches!(outcome, Outcome::Classify { label, .. } if label == truth) {
            self.right.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Shared {
    /// What applies now.
    pub fn setpoint(&self) -> Setpoint {
        lock(&self.setpoint).clone()
    }

    /// What the pipeline is doing.
    pub fn life(&self) -> Life {
        lock(&self.life).0.clone()
    }

    /// Why nothing comes, once that has lasted: a camera between two frames is not idle.
    pub fn idle(&self, now: Instant) -> Option<String> {
        let (life, since) = &*lock(&self.life);
        match life {
            Life::Idle(reason) if now.saturating_duration_since(*since) >= IDLE_AFTER => Some(reason.clone()),
            Life::Failed(reason) => Some(format!("failed: {reason}")),
            Life::Ended => Some("the source has ended".into()),
            Life::Idle(_) | Life::Running | Life::Stopped => None,
        }
    }

    pub(super) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    pub(super) fn set_life(&self, life: Life) {
        let mut now = lock(&self.life);
        if now.0 != life {
            let over = matches!(life, Life::Ended | Life::Failed(_));
            let still_idle = matches!((&now.0, &life), (Life::Idle(_), Life::Idle(_)));
            let since = if still_idle { now.1 } else { Instant::now() };
            *now = (life, since);
            drop(now);
            if over {
                (self.wake)();
            }
        }
    }

    /// Stages compiled for a new setpoint, once, for the worker to swap in at a frame boundary.
    pub(super) fn take_next_stages(&self) -> Option<Stages> {
        lock(&self.next_stages).take()
    }
}

/// A panic elsewhere leaves these values whole: each is replaced in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A pipeline at work.
pub struct Running {
    /// As configured.
    pub config: PipelineConfig,
    /// Compiles the stages anew for another setpoint.
    pub planner: Arc<Planner>,
    /// How far its work may be lowered; the first rung is full work.
    pub ladder: PipelineLadder,
    /// The arithmetic that runs.
    pub engine: &'static str,
    /// Shared with its threads.
    pub shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    /// Starts the two threads.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(prepared: Prepared, surroundings: &Surroundings) -> std::io::Result<Running> {
        let Prepared { config, planner, stages, source, ladder } = prepared;
        let Surroundings { publisher, topics, results, heartbeats, wake } = surroundings.clone();
        let shared = Arc::new(Shared {
            name: config.name.clone(),
            counters: PipelineCounters::default(),
            truth: Truth::default(),
            slot: Slot::default(),
            stop: AtomicBool::new(false),
            life: Mutex::new((Life::Idle("starting".into()), Instant::now())),
            setpoint: Mutex::new(ladder.rungs.first().map_or_else(Setpoint::full, |r| r.setpoint.clone())),
            next_stages: Mutex::new(None),
            wake,
        });
        let engine = stages.engine();
        let mut running = Running { config, planner, ladder, engine, shared: shared.clone(), threads: Vec::new() };
        let spawn = |running: &mut Running, role: &str, body: Box<dyn FnOnce() + Send>| {
            let thread = std::thread::Builder::new().name(format!("{role} {}", shared.name)).spawn(body)?;
            running.threads.push(thread);
            std::io::Result::Ok(())
        };
        let now = Instant::now();
        let worker = Worker::new(shared.clone(), stages, publisher, &topics, results);
        let heart = heartbeats.register(&format!("infer {}", shared.name), worker::FRAME_WITHIN, now);
        let result = spawn(&mut running, "infer", Box::new(move || worker.run(&heart))).and_then(|()| {
            let heart = heartbeats.register(&format!("capture {}", shared.name), worker::FRAME_WITHIN, now);
            let shared = shared.clone();
            spawn(&mut running, "capture", Box::new(move || capture::run(source, &shared, &heart)))
        });
        if let Err(error) = result {
            running.shared.slot.close();
            running.stop();
            return Err(error);
        }
        Ok(running)
    }

    /// Applies a setpoint: the interval at once, another resolution or batch when its plan is compiled (in the background).
    pub fn apply(&self, setpoint: &Setpoint) {
        let before = {
            let mut now = lock(&self.shared.setpoint);
            std::mem::replace(&mut *now, setpoint.clone())
        };
        if (before.resolution, before.batch) == (setpoint.resolution, setpoint.batch) {
            return;
        }
        let (planner, shared, wanted) = (self.planner.clone(), self.shared.clone(), setpoint.clone());
        let compile = move || match planner.stages(&wanted) {
            // A later setpoint may have come meanwhile; its own thread brings the right plan then.
            Ok(stages) if shared.setpoint() == wanted => *lock(&shared.next_stages) = Some(stages),
            Ok(_) => {}
            Err(error) => tracing::error!(
                pipeline = shared.name,
                error = error.to_string(),
                "cannot compile the plan of rung {}: the present one stays",
                wanted.rung
            ),
        };
        if let Err(error) =
            std::thread::Builder::new().name(format!("plan {}", self.shared.name)).spawn(compile).map(drop)
        {
            tracing::error!(pipeline = self.shared.name, %error, "no thread to compile another plan: the present one stays");
        }
    }

    /// Tells both threads to stop; returns at once.
    pub fn request_stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
    }

    /// Whether both threads have ended.
    pub fn finished(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Stops both threads and waits for them.
    pub fn stop(mut self) {
        self.request_stop();
        self.threads.drain(..).for_each(join);
    }

    /// Waits for both threads, which were told to stop, until `deadline`; whether they had ended by then.
    pub fn join_by(&mut self, deadline: Instant) -> bool {
        while !self.finished() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        self.threads.drain(..).for_each(join);
        true
    }
}

fn join(thread: JoinHandle<()>) {
    let name = thread.thread().name().unwrap_or("?").to_string();
    if thread.join().is_err() {
        tracing::error!(thread = name, "panicked");
    }
}
