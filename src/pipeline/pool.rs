//! The pool of shared plans: pipelines with the same model in the same variant share one where a run for all of them costs less
//! than a run for each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::key::StagesKey;
use super::resolved::{Feed, Resolved};
use super::shared_plan::{Seat, SharedPlan, Together};
use crate::frame::TensorViewMut;
use crate::model::{Engine, Model, ModelError};

/// A common run has to take at most this share of the time of single runs …
const PAYS: f64 = 0.95;

/// … with this much added for each pipeline beside the first: about what it takes to put a thread to sleep and to wake it. A model
/// that runs in less gains nothing, whatever its batch.
const HANDOVER: Duration = Duration::from_micros(20);

/// Timed runs of each side at most, and at least where there is time …
const ROUNDS: usize = 15;
const LEAST_ROUNDS: usize = 3;

/// … and the time for them all: the usual one, and the most for a large model on a slow board.
const BUDGET: Duration = Duration::from_millis(100);
const MOST: Duration = Duration::from_secs(3);

/// Key of a shared plan: pipelines that differ in any of these have plans of their own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// The bundle's identity: a variant is another file in another bundle, though the main file be the same.
    pub(crate) digest: String,
    /// The arithmetic.
    pub(crate) engine: Engine,
    /// Variant, resolution and threads.
    pub(crate) stages: StagesKey,
    /// Items of one pipeline.
    pub(crate) items: usize,
}

/// The terms on which one pipeline shares a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SharingTerms {
    /// Pipelines that may share one plan.
    pub(crate) places: usize,
    /// Time between two inputs; zero = not known.
    pub(crate) interval: Duration,
    /// From capture to result; zero = any.
    pub(crate) deadline: Duration,
}

impl SharingTerms {
    /// The terms of `pipeline` among `all` pipelines. A pipeline without `max_batch`, in tiles, or with a source that gives as much as is
    /// taken, keeps its own plan.
    pub(crate) fn of(pipeline: &Resolved, all: &[Resolved], frame_interval: Duration) -> Option<SharingTerms> {
        let Resolved { config, feed } = pipeline;
        let alike = |other: &&Resolved| {
            let other = &other.config;
            other.governor.max_batch > 1
                && (&other.model, other.engine, other.threads) == (&config.model, config.engine, config.threads)
                && other.preprocess.regions.len() == config.preprocess.regions.len()
                && other.preprocess.tiles.is_none()
        };
        let members: Vec<_> = all.iter().filter(alike).collect();
        let most = members.iter().map(|member| member.config.governor.max_batch as usize).min()?;
        let interval = frame_interval.max(Duration::from_millis(config.governor.interval_ms));
        let endless = matches!(feed, Feed::Source { source, .. } if source.kind().is_unpaced()) && interval.is_zero();
        let places = members.len().min(most);
        let deadline = Duration::from_millis(config.governor.deadline_ms);
        let alone = config.preprocess.tiles.is_some() || !config.task.needs_model();
        (!alone && config.governor.max_batch > 1 && places > 1 && !endless).then_some(SharingTerms {
            places,
            interval,
            deadline,
        })
    }

    /// A run of this length leaves time: inputs may come at any moment of the run before.
    fn allows(&self, run: Duration) -> bool {
        (self.interval.is_zero() || run * 2 <= self.interval) && (self.deadline.is_zero() || run * 2 <= self.deadline)
    }
}

/// Measures a single run and one for all.
pub(crate) type Timing = fn(&mut dyn Model, &mut dyn Model) -> Result<[Duration; 2], ModelError>;

/// The shared plans of a set of pipelines.
pub(crate) struct Pool {
    timing: Timing,
    pipelines: Vec<Resolved>,
    groups: Mutex<HashMap<Key, Group>>,
}

#[derive(Default)]
struct Group {
    plans: Vec<Weak<SharedPlan>>,
    /// A common run was measured and does not pay.
    hopeless: bool,
    /// The terms of every member.
    terms: Vec<SharingTerms>,
}

/// A plan for one pipeline.
pub(crate) enum PlanHandle {
    /// Its own.
    Own(Compiled),
    /// A seat in one that it shares.
    Seat(Seat),
}

/// A compiled plan and the arithmetic that runs in it.
pub(crate) type Compiled = (Box<dyn Model>, &'static str);

impl PlanHandle {
    /// The arithmetic that runs.
    pub(crate) fn engine(&self) -> &'static str {
        match self {
            PlanHandle::Own((_, engine)) => engine,
            PlanHandle::Seat(seat) => seat.engine(),
        }
    }

    /// The plan as this pipeline sees it.
    pub(crate) fn model(&self) -> &dyn Model {
        match self {
            PlanHandle::Own((model, _)) => model.as_ref(),
            PlanHandle::Seat(seat) => seat,
        }
    }

    /// Makes the next run the first one of a new stream, where the model keeps something between runs.
    pub(crate) fn reset_state(&mut self) {
        if let PlanHandle::Own((model, _)) = self {
            model.reset_state();
        }
    }

    /// Input `index`, to be written before a run.
    pub(crate) fn input_mut(&mut self, index: usize) -> TensorViewMut<'_> {
        match self {
            PlanHandle::Own((model, _)) => model.input_mut(index),
            PlanHandle::Seat(seat) => seat.input_mut(index),
        }
    }

    /// Runs, with others where the plan is shared: no later than to have the output by `deadline`. Gives the time of the run, of a
    /// common one this pipeline's part.
    ///
    /// # Errors
    /// As [`Model::run`].
    pub(crate) fn run_by(&mut self, deadline: Option<Instant>) -> Result<Duration, ModelError> {
        match self {
            PlanHandle::Own((model, _)) => timed(model.as_mut()),
            PlanHandle::Seat(seat) => seat.run_by(deadline).map(|()| seat.took()),
        }
    }
}

impl Pool {
    /// For `pipelines`, which are started at the same time.
    pub(crate) fn new(pipelines: &[Resolved], timing: Timing) -> Self {
        Pool { timing, pipelines: pipelines.to_vec(), groups: Mutex::default() }
    }

    /// The terms on which `pipeline` may share, if it may; `frame_interval` is the time between two frames of its source.
    pub(crate) fn terms(&self, pipeline: &Resolved, frame_interval: Duration) -> Option<SharingTerms> {
        SharingTerms::of(pipeline, &self.pipelines, frame_interval)
    }

    /// A plan for a pipeline: a seat where it pays to share, else its own. `compile` makes a plan for so many items.
    ///
    /// The first to come gets a seat and has the plan to itself; with the second it is measured whether a common run pays.
    ///
    /// # Errors
    /// Those of `compile` for the pipeline's own items.
    pub(crate) fn plan<E: std::fmt::Display>(
        &self,
        name: &str,
        key: Key,
        terms: SharingTerms,
        compile: impl Fn(usize) -> Result<Compiled, E>,
    ) -> Result<PlanHandle, E> {
        let items = key.items;
        // Held while it compiles, so that two that come at once do not both come first.
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let group = groups.entry(key).or_default();
        group.plans.retain(|plan| plan.strong_count() > 0);
        if group.plans.is_empty() {
            group.terms.clear();
        }
        if group.hopeless {
            return Ok(PlanHandle::Own(compile(items)?));
        }
        if !group.terms.contains(&terms) {
            group.terms.push(terms);
        }
        for shared in group.plans.iter().filter_map(Weak::upgrade) {
            let Some(seat) = shared.sit() else { continue };
            if shared.is_together() {
                return Ok(PlanHandle::Seat(seat));
            }
            // Measured with this one, so that the workers of the shared plan are not held up.
            let mut own = compile(items)?;
            let all = || compile(items * terms.places);
            let joined = self.join(name, &shared, own.0.as_mut(), terms.places, group, all);
            return Ok(if joined { PlanHandle::Seat(seat) } else { PlanHandle::Own(own) });
        }
        let (one, engine) = compile(items)?;
        if one.state_bytes() > 0 {
            // What one pipeline's stream has left behind is nothing to another's.
            group.hopeless = true;
            return Ok(PlanHandle::Own((one, engine)));
        }
        let shared = SharedPlan::new(one, engine, terms.places);
        group.plans.push(Arc::downgrade(&shared));
        // A new plan has a free seat; were there none, the pipeline would have a plan of its own.
        match shared.sit() {
            Some(seat) => Ok(PlanHandle::Seat(seat)),
            None => Ok(PlanHandle::Own(compile(items)?)),
        }
    }

    /// Compiles a plan for all of `shared` and measures it against runs of `one`; `true` if they share it from now on.
    fn join<E: std::fmt::Display>(
        &self,
        name: &str,
        shared: &SharedPlan,
        one: &mut dyn Model,
        places: usize,
        group: &mut Group,
        compile: impl FnOnce() -> Result<Compiled, E>,
    ) -> bool {
        let measured = compile().map_err(|e| e.to_string()).and_then(|(mut all, _)| {
            if !shared.fits(all.as_ref()) {
                return Err("a batch does not lead every input and output".to_owned());
            }
            (self.timing)(one, all.as_mut()).map(|times| (all, times)).map_err(|e| e.to_string())
        });
        let (model, [run_of_one, run]) = match measured {
            Ok(measured) => measured,
            Err(reason) => {
                group.hopeless = true;
                tracing::info!(pipeline = name, pipelines = places, reason, "each pipeline keeps its own plan");
                return false;
            }
        };
        let (singly_ms, together_ms) = (ms(run_of_one * places as u32), ms(run));
        let reason = if !pays(run_of_one, run, places) {
            "a common run does not pay"
        } else if !group.terms.iter().all(|terms| terms.allows(run)) {
            "a common run takes too long"
        } else {
            tracing::info!(pipeline = name, pipelines = places, singly_ms, together_ms, "pipelines share one plan");
            shared.run_together(Together { model, run, run_of_one });
            return true;
        };
        group.hopeless = true;
        tracing::info!(
            pipeline = name,
            pipelines = places,
            singly_ms,
            together_ms,
            reason,
            "each pipeline keeps its own plan"
        );
        false
    }
}

/// One run of `all` is clearly less than `places` runs of `one`.
fn pays(one: Duration, all: Duration, places: usize) -> bool {
    let (one, all, others) = (one.as_secs_f64(), all.as_secs_f64(), places.saturating_sub(1) as f64);
    all + others * HANDOVER.as_secs_f64() <= PAYS * one * places as f64
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Shortest run of each; they take turns, so that a busy moment hits both.
pub(crate) fn measure(one: &mut dyn Model, all: &mut dyn Model) -> Result<[Duration; 2], ModelError> {
    one.run()?;
    all.run()?;
    let start = Instant::now();
    let mut best = [Duration::MAX; 2];
    for round in 1..=ROUNDS {
        best[0] = best[0].min(timed(one)?);
        best[1] = best[1].min(timed(all)?);
        if start.elapsed() > if round < LEAST_ROUNDS { MOST } else { BUDGET } {
            break;
        }
    }
    Ok(best)
}

fn timed(plan: &mut dyn Model) -> Result<Duration, ModelError> {
    let start = Instant::now();
    plan.run()?;
    Ok(start.elapsed())
}

#[cfg(test)]
mod tests;
