//! The plans of one pipeline: the one that is wanted, those that are kept, and the thread that compiles another.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::key::StagesKey;
use super::planner::Planner;
use super::stages::Stages;

/// Plans that are kept beside the one that runs, so that going back needs no compilation. The one that was left longest ago gives
/// way; it is compiled again when it is wanted.
const KEPT: usize = 3;

/// Bytes of weights that all kept plans hold together. A plan that is larger by itself is not kept.
const KEPT_BYTES: usize = 32 << 20;

/// Compiles plans in the background and hands them to the worker.
pub(crate) struct Plans {
    pipeline: String,
    planner: Arc<Planner>,
    state: Mutex<State>,
}

struct State {
    /// The plan of the present setpoint.
    wanted: StagesKey,
    /// The plan that the worker runs.
    running: StagesKey,
    /// The wanted plan, compiled: a slot of one, the newest wins.
    next: Option<Stages>,
    /// Plans that were left, the latest last; at most [`KEPT`] and [`KEPT_BYTES`].
    kept: Vec<Stages>,
    /// The thread that compiles is at work; there is one at most, and it looks again when it is done.
    compiling: bool,
    /// The model's files are others by now: no further plan can be compiled from them.
    stale: bool,
}

impl Plans {
    /// For a worker that starts with the plan `running`.
    pub(crate) fn new(pipeline: &str, planner: Arc<Planner>, running: StagesKey) -> Arc<Self> {
        let state = State { wanted: running, running, next: None, kept: Vec::new(), compiling: false, stale: false };
        Arc::new(Plans { pipeline: pipeline.into(), planner, state: Mutex::new(state) })
    }

    /// Asks for another plan. It is there at once where it was kept, else when it is compiled; a later call takes the place of an
    /// earlier one. Returns at once.
    pub(crate) fn want(self: &Arc<Self>, wanted: StagesKey) {
        let mut state = self.lock();
        state.wanted = wanted;
        if !state.must_compile() || state.compiling {
            return;
        }
        if state.stale {
            state.wanted = state.running;
            return;
        }
        state.compiling = true;
        drop(state);
        let plans = self.clone();
        let thread = std::thread::Builder::new().name(format!("plan {}", self.pipeline));
        if let Err(error) = thread.spawn(move || plans.compile()) {
            tracing::error!(pipeline = self.pipeline, %error, "no thread to compile another plan: the present one stays");
            let mut state = self.lock();
            (state.compiling, state.wanted) = (false, state.running);
        }
    }

    /// The worker runs the wanted plan.
    pub(crate) fn settled(&self) -> bool {
        let state = self.lock();
        state.wanted == state.running
    }

    /// For the worker, at a frame boundary: the plan that is to run from now on, if it is another one.
    pub(crate) fn take_next(&self) -> Option<Stages> {
        let mut state = self.lock();
        let next = state.next.take()?;
        state.running = next.key();
        Some(next)
    }

    /// Keeps a plan that was left for when it is wanted again.
    pub(crate) fn keep(&self, left: Stages) {
        let gone = self.lock().keep(left);
        // Outside the lock: a plan with threads waits for them.
        drop(gone);
    }

    /// Compiles until what is wanted is there.
    fn compile(&self) {
        loop {
            let key = {
                let mut state = self.lock();
                if !state.must_compile() {
                    state.compiling = false;
                    return;
                }
                state.wanted
            };
            match self.planner.load(key.variant).and_then(|mut loaded| self.planner.compile_shared(&mut loaded, key)) {
                Ok(stages) => self.keep_or_offer(stages),
                Err(error) => {
                    let stale = error.is_stale();
                    let (pipeline, error) = (self.pipeline.as_str(), error.to_string());
                    if stale {
                        tracing::warn!(
                            pipeline,
                            error,
                            "the plans that are compiled stay until a reload (systemctl reload leptond), which takes the new model"
                        );
                    } else {
                        tracing::error!(
                            pipeline,
                            error,
                            ?key,
                            "cannot compile the plan of another rung: the present one stays"
                        );
                    }
                    let mut state = self.lock();
                    state.stale |= stale;
                    if state.wanted == key {
                        state.wanted = state.running;
                    }
                }
            }
        }
    }

    fn keep_or_offer(&self, stages: Stages) {
        let mut state = self.lock();
        let gone = if state.wanted == stages.key() {
            state.next.replace(stages).map(|unwanted| state.keep(unwanted))
        } else {
            Some(state.keep(stages))
        };
        drop(state);
        drop(gone);
    }

    /// A panic elsewhere leaves the state whole: each part is replaced in one step.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Brings the wanted plan to `next` if it is there; `true` if it has to be compiled.
    fn must_compile(&mut self) -> bool {
        let wanted = self.wanted;
        if self.next.as_ref().is_some_and(|next| next.key() == wanted) {
            return false;
        }
        if let Some(unwanted) = self.next.take() {
            drop(self.keep(unwanted));
        }
        if self.running == wanted {
            return false;
        }
        match self.kept.iter().position(|kept| kept.key() == wanted) {
            Some(index) => {
                self.next = Some(self.kept.remove(index));
                false
            }
            None => true,
        }
    }

    /// Keeps `left` and gives the plans that have to go for it.
    fn keep(&mut self, left: Stages) -> Vec<Stages> {
        self.kept.push(left);
        let mut gone = Vec::new();
        let bytes = |kept: &[Stages]| kept.iter().map(Stages::weights_bytes).sum::<usize>();
        while self.kept.len() > KEPT || bytes(&self.kept) > KEPT_BYTES {
            gone.push(self.kept.remove(0));
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::model::Engine;
    use crate::pipeline::open_bundle;
    use crate::{preprocess, task};
    use leptond_governor::Setpoint;

    fn batch(batch: usize) -> StagesKey {
        StagesKey::from(&Setpoint { batch, ..Setpoint::full() })
    }

    fn plans() -> (Arc<Plans>, Stages) {
        let bundle = open_bundle("machine-anomaly", &[]).unwrap();
        let (fit, task) = (preprocess::Config::default(), task::Config::default());
        let planner = Arc::new(Planner::new(bundle, Engine::F32, 1, fit, &task).unwrap());
        let stages = planner.stages(&Setpoint::full()).unwrap();
        (Plans::new("test", planner, stages.key()), stages)
    }

    /// The part of a worker at a frame boundary, once the plan is there.
    fn swap(plans: &Plans, stages: &mut Stages) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(next) = plans.take_next() {
                plans.keep(stages.replace_with(next));
                return;
            }
            assert!(Instant::now() < deadline, "the plan was never compiled");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn a_plan_that_was_left_is_there_at_once() {
        let (plans, mut stages) = plans();
        assert!(plans.settled());
        plans.want(batch(2));
        assert!(!plans.settled());
        swap(&plans, &mut stages);
        assert!(plans.settled());
        assert_eq!(stages.frames(), 2);
        plans.want(batch(1));
        assert_eq!(plans.take_next().map(|s| s.frames()), Some(1), "without compiling");
    }

    #[test]
    fn the_plan_left_longest_ago_gives_way() {
        let (plans, mut stages) = plans();
        for frames in 2..=5 {
            plans.want(batch(frames));
            swap(&plans, &mut stages);
            assert_eq!(stages.frames(), frames);
        }
        let kept: Vec<usize> = plans.lock().kept.iter().map(Stages::frames).collect();
        assert_eq!(kept, [2, 3, 4]);
    }

    #[test]
    fn a_plan_that_is_not_wanted_any_more_or_cannot_be_compiled_changes_nothing() {
        let (plans, stages) = plans();
        plans.want(batch(3));
        plans.want(stages.key());
        assert!(plans.settled());
        plans.want(StagesKey { variant: 7, ..batch(1) });
        let deadline = Instant::now() + Duration::from_secs(60);
        while plans.lock().compiling {
            assert!(Instant::now() < deadline, "the thread does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(plans.settled(), "there is no such variant: the present plan stays");
        assert!(plans.take_next().is_none());
    }
}
