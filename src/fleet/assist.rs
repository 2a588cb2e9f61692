//! A node as a worker: two threads, one for the network and one that computes.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use super::bench::Bench;
use super::compute::Opener;
use super::config::Config;
use super::error::FleetError;
use super::session::Worker;
use super::spare::{Seen, Spare};
use super::tally::Tally;
use crate::frame::NodeName;
use crate::frame::status::Fleet;

/// Time between two looks for the end of the threads.
const LOOK: Duration = Duration::from_millis(5);

/// Work for the group that goes on until it is stopped.
pub struct Assist {
    tally: Tally,
    bench: Bench,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Assist {
    /// Begins to work for the group of `config` as `node`, with the models that `openers` open. Returns at once; what cannot be reached or
    /// opened is logged, and is part of the status.
    ///
    /// # Errors
    /// [`FleetError::System`] when the system gives no thread.
    pub fn start(config: Config, node: NodeName, openers: Vec<Opener>, spare: Spare) -> Result<Assist, FleetError> {
        let tally = Tally::new(config.group.to_string(), spare);
        let (tell, ready) = mpsc::channel(openers.len().max(1));
        let (bench, computing) = Bench::start(openers, tally.clone(), tell)?;
        let (stop, stopped) = watch::channel(false);
        let worker =
            Worker { config: Arc::new(config), node, tally: tally.clone(), bench: bench.clone(), ready, stop: stopped };
        let network = std::thread::Builder::new().name("fleet".into()).spawn(move || {
            match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(worker.run()),
                Err(error) => worker.tally.fault(format!("no runtime: {error}")),
            }
        });
        let mut assist = Assist { tally, bench, stop, threads: vec![computing] };
        match network {
            Ok(network) => {
                assist.threads.push(network);
                Ok(assist)
            }
            Err(error) => {
                assist.bench.stop();
                Err(FleetError::System(format!("no thread for the group: {error}")))
            }
        }
    }

    /// Tells what this computer has to spare.
    pub fn observe(&self, seen: Seen, now: Instant) {
        self.tally.observe(seen, now);
    }

    /// True while work may be taken.
    pub fn takes(&self, now: Instant) -> bool {
        self.tally.may_take(now)
    }

    /// Counts, and the state of it.
    pub fn status(&self, now: Instant) -> Fleet {
        self.tally.status(now)
    }

    /// Gives back what is unfinished and ends the threads by `deadline`; `false` where one goes on: an inference cannot be cut short.
    pub fn stop(mut self, deadline: Instant) -> bool {
        // The other end is the thread, which may have ended.
        let _ = self.stop.send(true);
        let network = self.threads.pop();
        let ended = network.is_none_or(|thread| join_by(thread, deadline));
        // Only now: an inference that was about to end is still answered.
        self.bench.stop();
        let computed = self.threads.drain(..).all(|thread| join_by(thread, deadline));
        ended && computed
    }
}

/// Waits for the end of a thread until `deadline`; `false` where it goes on, or panicked.
pub(super) fn join_by(thread: JoinHandle<()>, deadline: Instant) -> bool {
    while !thread.is_finished() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(LOOK);
    }
    thread.join().is_ok()
}
