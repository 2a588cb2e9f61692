//! One compiled plan for several pipelines with the same model.
//!
//! ```text
//!            input brought               every other input that is likely has come, or it is time
//! preparing ───────────────▶ waiting ───────────────────────────────────────────────────────────▶ in the run ─▶ done
//!     ▲                                                                                                          │
//!     └────────────────────────────── each pipeline reads its own output ────────────────────────────────────────┘
//! ```
//!
//! Each worker holds a [`Seat`], which is a [`Model`] with room for the pipeline's own items. One of the waiting workers runs the
//! plan for all of them: there is no thread for it. While a run goes on, others may bring what the next one takes; a seat holds
//! one input, so that nothing queues up.

mod buffer;
mod round;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::frame::{TensorSpec, TensorView, TensorViewMut};
use crate::model::{Model, ModelError};
use buffer::{Buffer, stacks};
use round::{Decision, SeatTiming, decide, longest_wait};

/// A worker whose input is in a run looks this often for its end, should it not be woken.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The plan with its seats.
pub(crate) struct SharedPlan {
    /// The arithmetic that runs.
    engine: &'static str,
    inputs: Vec<TensorSpec>,
    outputs: Vec<TensorSpec>,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Away during a run.
    plans: Option<Plans>,
    /// Time of a run for all; zero while there is no plan for all.
    run: Duration,
    /// Part `place` of the plan for all belongs to seat `place`.
    seats: Vec<Option<Place>>,
}

struct Plans {
    /// For one pipeline.
    one: Box<dyn Model>,
    /// For all of them, once there are several.
    all: Option<Together>,
}

/// A plan with room for every seat.
pub(crate) struct Together {
    /// The plan.
    pub(crate) model: Box<dyn Model>,
    /// Time of one of its runs.
    pub(crate) run: Duration,
    /// Time of a run for a single pipeline.
    pub(crate) run_of_one: Duration,
}

/// State of a seat that the others see.
struct Place {
    timing: SeatTiming,
    /// The input that was brought and room for the output; away during a run.
    job: Option<Job>,
    done: Option<(Job, Result<(), ModelError>)>,
}

/// Input and output of one pipeline.
#[derive(Debug, Default)]
struct Job {
    inputs: Vec<Buffer>,
    outputs: Vec<Buffer>,
    /// This pipeline's part of the time of the run.
    took: Duration,
}

impl SharedPlan {
    /// A plan for one pipeline, which runs by `engine`, with places for `places`.
    pub(crate) fn new(one: Box<dyn Model>, engine: &'static str, places: usize) -> Arc<SharedPlan> {
        let (inputs, outputs) = (one.inputs().to_vec(), one.outputs().to_vec());
        let seats = (0..places.max(1)).map(|_| None).collect();
        let state = Mutex::new(State { plans: Some(Plans { one, all: None }), run: Duration::ZERO, seats });
        Arc::new(SharedPlan { engine, inputs, outputs, state, changed: Condvar::new() })
    }

    /// A free seat; `None` = all are taken.
    pub(crate) fn sit(self: &Arc<Self>) -> Option<Seat> {
        let mut state = self.lock();
        let place = state.seats.iter().position(Option::is_none)?;
        let timing = SeatTiming { until: None, rhythm: None };
        *state.seats.get_mut(place)? = Some(Place { timing, job: None, done: None });
        drop(state);
        let buffers = |specs: &[TensorSpec]| specs.iter().map(Buffer::of).collect();
        let job = Job { inputs: buffers(&self.inputs), outputs: buffers(&self.outputs), took: Duration::ZERO };
        Some(Seat { shared: self.clone(), place, job })
    }

    /// There is a plan for all.
    pub(crate) fn is_together(&self) -> bool {
        self.with_plans(|plans| plans.all.is_some())
    }

    /// `all` has the inputs and outputs of as many single runs as there are places.
    pub(crate) fn fits(&self, all: &dyn Model) -> bool {
        let places = self.lock().seats.len();
        stacks(&self.inputs, all.inputs(), places) && stacks(&self.outputs, all.outputs(), places)
    }

    /// From now on runs are for all that are there.
    pub(crate) fn run_together(&self, all: Together) {
        let run = all.run;
        self.with_plans(|plans| plans.all = Some(all));
        self.lock().run = run;
    }

    fn with_plans<T>(&self, work: impl FnOnce(&mut Plans) -> T) -> T {
        let mut state = self.lock();
        loop {
            if let Some(plans) = state.plans.as_mut() {
                return work(plans);
            }
            state = self.wait(state, LOOK_EVERY);
        }
    }

    /// A panic elsewhere leaves the state whole: each change is one step, and a run puts back what it took.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, most: Duration) -> MutexGuard<'a, State> {
        self.changed.wait_timeout(state, most).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// One pipeline's place in a shared plan. Dropping it gives the place back.
pub(crate) struct Seat {
    shared: Arc<SharedPlan>,
    place: usize,
    job: Job,
}

impl Seat {
    /// Runs over this pipeline's input, with those of the others that come in time: no later than to have the output by `deadline`,
    /// without one after a short wait.
    ///
    /// # Errors
    /// As [`Model::run`]; the others are not affected.
    pub(crate) fn run_by(&mut self, deadline: Option<Instant>) -> Result<(), ModelError> {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        state.bring(self.place, std::mem::take(&mut self.job), deadline, Instant::now());
        loop {
            if let Some((job, result)) = state.take_done(self.place) {
                self.job = job;
                return result;
            }
            let left = match state.next(self.place, Instant::now()) {
                Next::Wait(left) => left,
                Next::Run(run) => {
                    drop(state);
                    run.perform(&shared);
                    state = shared.lock();
                    continue;
                }
            };
            state = shared.wait(state, left);
        }
    }

    /// The arithmetic that runs.
    pub(crate) fn engine(&self) -> &'static str {
        self.shared.engine
    }

    /// This pipeline's part of the time of the last run.
    pub(crate) fn took(&self) -> Duration {
        self.job.took
    }
}

impl Model for Seat {
    fn inputs(&self) -> &[TensorSpec] {
        &self.shared.inputs
    }

    fn outputs(&self) -> &[TensorSpec] {
        &self.shared.outputs
    }

    fn input_mut(&mut self, index: usize) -> TensorViewMut<'_> {
        self.job.inputs[index].view_mut(&self.shared.inputs[index])
    }

    fn run(&mut self) -> Result<(), ModelError> {
        self.run_by(None)
    }

    fn output(&self, index: usize) -> TensorView<'_> {
        self.job.outputs[index].view(&self.shared.outputs[index])
    }

    fn input(&self, index: usize) -> TensorView<'_> {
        self.job.inputs[index].view(&self.shared.inputs[index])
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(seat) = self.shared.lock().seats.get_mut(self.place) {
            *seat = None;
        }
        self.shared.changed.notify_all();
    }
}

/// Next step of a waiting worker.
enum Next {
    /// Looks again after so long, or when something changes.
    Wait(Duration),
    /// Runs the plan for all that are waiting.
    Run(Run),
}

impl State {
    fn bring(&mut self, place: usize, job: Job, deadline: Option<Instant>, now: Instant) {
        let run = self.run;
        if let Some(Some(seat)) = self.seats.get_mut(place) {
            let before = seat.timing.rhythm.map(|(last, _)| now.saturating_duration_since(last));
            // The first input has no rhythm yet; a gap of zero keeps it from being waited for.
            let gap = before.unwrap_or(Duration::ZERO);
            let wait = longest_wait(before, deadline, run, now);
            seat.timing = SeatTiming { until: Some(now + wait), rhythm: Some((now, gap)) };
            seat.job = Some(job);
        }
    }

    fn take_done(&mut self, place: usize) -> Option<(Job, Result<(), ModelError>)> {
        self.seats.get_mut(place)?.as_mut()?.done.take()
    }

    /// Next step of the worker at `place`, whose input was brought, at `now`.
    fn next(&mut self, place: usize, now: Instant) -> Next {
        let in_run = !matches!(self.seats.get(place), Some(Some(Place { job: Some(_), .. })));
        let Some(plans) = self.plans.take_if(|_| !in_run) else { return Next::Wait(LOOK_EVERY) };
        if plans.all.is_some() {
            let timings = self.seats.iter().flatten().map(|seat| seat.timing);
            if let Decision::Wait(until) = decide(timings, now) {
                self.plans = Some(plans);
                return Next::Wait(until.saturating_duration_since(now));
            }
        }
        let jobs = self.seats.iter_mut().enumerate().filter_map(|(place, seat)| {
            let seat = seat.as_mut()?;
            let job = seat.job.take()?;
            seat.timing.until = None;
            Some((place, job, Ok(())))
        });
        Next::Run(Run { jobs: jobs.collect(), plans })
    }
}

/// One run: the plans and the inputs, out of the others' reach.
struct Run {
    jobs: Vec<(usize, Job, Result<(), ModelError>)>,
    plans: Plans,
}

/// Puts a run's plans and results back, also when the run panics.
struct PutBack<'a> {
    shared: &'a SharedPlan,
    run: Option<Run>,
}

impl Run {
    fn perform(self, shared: &SharedPlan) {
        let mut back = PutBack { shared, run: Some(self) };
        let Some(run) = back.run.as_mut() else { return };
        // Stands if the run does not come to its end.
        for (_, _, result) in &mut run.jobs {
            *result = Err(broken_off());
        }
        let Plans { one, all } = &mut run.plans;
        let count = run.jobs.len() as u32;
        let together = all.as_mut().filter(|all| count > 1 && all.run < all.run_of_one * count);
        if together.is_some_and(|all| all_at_once(all.model.as_mut(), &mut run.jobs)) {
            return;
        }
        for (_, job, result) in &mut run.jobs {
            let start = Instant::now();
            *result = pass(one.as_mut(), [(0, &mut *job)]);
            job.took = start.elapsed();
        }
    }
}

/// One run for all jobs; `false` if it failed. One input of several may be what fails it, so that they are tried one by one then.
fn all_at_once(model: &mut dyn Model, jobs: &mut [(usize, Job, Result<(), ModelError>)]) -> bool {
    let start = Instant::now();
    if pass(model, jobs.iter_mut().map(|(place, job, _)| (*place, job))).is_err() {
        return false;
    }
    let took = start.elapsed() / jobs.len().max(1) as u32;
    for (_, job, result) in jobs {
        (job.took, *result) = (took, Ok(()));
    }
    true
}

/// Takes each job's input to its place, runs, and brings each its output.
fn pass<'a>(model: &mut dyn Model, jobs: impl IntoIterator<Item = (usize, &'a mut Job)>) -> Result<(), ModelError> {
    let mut jobs: Vec<_> = jobs.into_iter().collect();
    for (place, job) in &jobs {
        for (index, input) in job.inputs.iter().enumerate() {
            input.write_to(model.input_mut(index), *place);
        }
    }
    model.run()?;
    for (place, job) in &mut jobs {
        for (index, output) in job.outputs.iter_mut().enumerate() {
            output.read_from(model.output(index), *place);
        }
    }
    Ok(())
}

fn broken_off() -> ModelError {
    ModelError::Run { model: "shared plan".into(), reason: "the run was broken off".into() }
}

impl Drop for PutBack<'_> {
    fn drop(&mut self) {
        let Some(Run { jobs, plans }) = self.run.take() else { return };
        let mut state = self.shared.lock();
        state.plans = Some(plans);
        for (place, job, result) in jobs {
            if let Some(Some(seat)) = state.seats.get_mut(place) {
                seat.done = Some((job, result));
            }
        }
        drop(state);
        self.shared.changed.notify_all();
    }
}
