//! The thread that computes: one for all models of a node, so that the work of others never takes more than its threads.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::compute::{Compute, Computed, Opener, Picture, Refusal, RefusalKind};
use super::digest::ModelDigest;
use super::error::FleetError;
use super::names::Lane;
use super::tally::Tally;

/// A model that is ready to compute.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    /// Its place on the bench.
    pub(super) index: usize,
    /// Its digest.
    pub(super) digest: ModelDigest,
    /// Pictures of one inference.
    pub(super) batch: usize,
}

/// Results of one inference.
pub(super) struct Done {
    /// For each picture its own.
    pub(super) results: Vec<Result<Computed, Refusal>>,
    /// Time at which it was begun.
    pub(super) begun: Instant,
    /// Pause that is due before the next one.
    pub(super) pause: Duration,
}

/// One inference that is wanted.
struct Order {
    model: usize,
    pictures: Vec<Picture>,
    done: oneshot::Sender<Done>,
}

#[derive(Default)]
struct Queue {
    urgent: VecDeque<Order>,
    other: VecDeque<Order>,
    stop: bool,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way to the thread. No queue of it grows: each puller waits for its inference before it orders the next.
#[derive(Clone)]
pub(super) struct Bench(Arc<Shared>);

impl Bench {
    /// Starts the thread, which opens the models first and tells of each that is ready.
    ///
    /// # Errors
    /// [`FleetError::System`] without a thread.
    pub(super) fn start(
        openers: Vec<Opener>,
        tally: Tally,
        ready: mpsc::Sender<Ready>,
    ) -> Result<(Bench, JoinHandle<()>), FleetError> {
        let shared = Arc::new(Shared::default());
        let bench = Bench(shared.clone());
        let run = move || work(openers, &tally, ready, &shared);
        let thread = std::thread::Builder::new().name("fleet-compute".into()).spawn(run);
        thread.map(|thread| (bench, thread)).map_err(|e| FleetError::System(format!("no thread for fleet work: {e}")))
    }

    /// Orders an inference; the answer never comes where the thread stops before.
    pub(super) fn order(&self, model: usize, lane: Lane, pictures: Vec<Picture>) -> oneshot::Receiver<Done> {
        let (done, receiver) = oneshot::channel();
        let order = Order { model, pictures, done };
        let mut queue = self.0.lock();
        match lane {
            Lane::Work => queue.urgent.push_back(order),
            Lane::Map => queue.other.push_back(order),
        }
        drop(queue);
        self.0.wake.notify_one();
        receiver
    }

    /// Ends the thread after the inference that it is in.
    pub(super) fn stop(&self) {
        let mut queue = self.0.lock();
        queue.stop = true;
        queue.urgent.clear();
        queue.other.clear();
        drop(queue);
        self.0.wake.notify_one();
    }
}

fn work(openers: Vec<Opener>, tally: &Tally, ready: mpsc::Sender<Ready>, shared: &Shared) {
    let mut models: Vec<Box<dyn Compute>> = Vec::new();
    for open in openers {
        if shared.lock().stop {
            return;
        }
        match open() {
            Ok(model) if models.iter().any(|other| other.digest() == model.digest()) => {}
            Ok(model) => {
                tally.ready(model.name());
                let one = Ready { index: models.len(), digest: model.digest().clone(), batch: model.batch().max(1) };
                tracing::info!(model = model.name(), digest = %one.digest, "computes for other nodes");
                models.push(model);
                // Nobody listens any more where the node stops.
                let _ = ready.blocking_send(one);
            }
            Err(error) => {
                tracing::error!(error, "a model does not compute for other nodes");
                tally.unusable(&error);
            }
        }
    }
    drop(ready);
    while let Some(Order { model, pictures, done }) = next(shared) {
        let begun = Instant::now();
        let results = models.get_mut(model).map(|model| run(model.as_mut(), &pictures)).unwrap_or_default();
        let results = complete(results, pictures.len());
        let now = Instant::now();
        let pause = tally.computed(now - begun, now);
        // The node may have stopped meanwhile.
        let _ = done.send(Done { results, begun, pause });
    }
}

/// Runs a model. One that panics on a picture of somebody else takes nothing else with it.
fn run(model: &mut dyn Compute, pictures: &[Picture]) -> Vec<Result<Computed, Refusal>> {
    catch_unwind(AssertUnwindSafe(|| model.run(pictures))).unwrap_or_else(|_| {
        tracing::error!(model = model.name(), "a model panicked on work of another node");
        pictures.iter().map(|_| Err(Refusal::new(RefusalKind::Failed, "the model panicked on it"))).collect()
    })
}

/// Waits for the next order, the urgent ones first; `None` at the stop.
fn next(shared: &Shared) -> Option<Order> {
    let mut queue = shared.lock();
    loop {
        if queue.stop {
            return None;
        }
        if let Some(order) = queue.urgent.pop_front() {
            return Some(order);
        }
        if let Some(order) = queue.other.pop_front() {
            return Some(order);
        }
        queue = shared.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
}

/// As many results as there were pictures.
fn complete(mut results: Vec<Result<Computed, Refusal>>, pictures: usize) -> Vec<Result<Computed, Refusal>> {
    results.resize_with(pictures, || Err(Refusal::new(RefusalKind::Failed, "the model gave no result")));
    results
}
