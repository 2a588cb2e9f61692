//! Frames of pipelines given to the group while they are fresh: one thread for the network, a seat for each pipeline. Nothing is given twice:
//! whoever waits for a frame computes it itself when no answer comes in time.

mod seat;
mod session;
mod shared;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::{mpsc, watch};

use super::assist::join_by;
use super::config::Config;
use super::digest::ModelDigest;
use super::error::FleetError;
use crate::frame::status::Given;
use crate::frame::{NodeName, PipelineName};
use seat::Order;
pub use seat::Seat;
use session::Session;
pub use shared::Returned;
use shared::{SeatState, Shared};

/// Frames that wait to be handed to the server; further ones are not taken.
const QUEUE: usize = 64;

/// The way to the group for the frames of all pipelines of a node.
pub struct Live {
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
    stop: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
    group: String,
}

impl Live {
    /// Connects to the group of `config` as `node`, again and again. Returns at once; what cannot be reached is logged, and is part of the
    /// status.
    ///
    /// # Errors
    /// [`FleetError::System`] when the system gives no thread.
    pub fn start(config: Config, node: NodeName) -> Result<Live, FleetError> {
        let shared = Arc::new(Shared::new(config.max_payload_bytes));
        let group = config.group.to_string();
        let (orders, ordered) = mpsc::channel(QUEUE);
        let (stop, stopped) = watch::channel(false);
        let session = Session::new(config, node, shared.clone(), ordered, stopped);
        let run = move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(session.run()),
            Err(error) => tracing::error!(%error, "no runtime: nothing is given to other nodes"),
        };
        let thread = std::thread::Builder::new().name("fleet-give".into()).spawn(run);
        let thread = thread.map_err(|e| FleetError::System(format!("no thread for the group: {e}")))?;
        Ok(Live { shared, orders, stop, thread: Mutex::new(Some(thread)), group })
    }

    /// Name of the group.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// A seat for the frames of `pipeline`, to be computed with `model`; `wake` is called on the network's thread whenever something came
    /// back.
    pub fn seat(&self, pipeline: PipelineName, model: ModelDigest, wake: impl Fn() + Send + Sync + 'static) -> Seat {
        let state = Arc::new(SeatState::new(pipeline, model, Box::new(wake)));
        self.shared.take_seat(&state);
        Seat::new(state, self.shared.clone(), self.orders.clone())
    }

    /// Tells that this node waits for work of others at `now`: the server counts it among those that wait, until its pull has ended.
    pub fn waits_too(&self, now: Instant) {
        self.shared.waits_too(now);
    }

    /// Counts and state.
    pub fn status(&self) -> Given {
        self.shared.given().clone()
    }

    /// Ends the connection by `deadline`; `false` where its thread goes on.
    pub fn stop(&self, deadline: Instant) -> bool {
        // The other end is the thread, which may have ended.
        let _ = self.stop.send(true);
        self.shared.open.store(false, Ordering::Release);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        thread.is_none_or(|thread| join_by(thread, deadline))
    }
}
