//! A pipeline's seat: frames out, answers back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc;

use super::super::compute::Picture;
use super::shared::{Returned, SeatState, Shared};
use crate::frame::NodeName;

/// A frame that is on its way out.
pub(super) struct Order {
    pub(super) seat: Arc<SeatState>,
    pub(super) frame: u64,
    pub(super) picture: Picture,
    pub(super) within: Duration,
}

/// A pipeline's way to the group.
pub struct Seat {
    state: Arc<SeatState>,
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
}

impl Seat {
    pub(super) fn new(state: Arc<SeatState>, shared: Arc<Shared>, orders: mpsc::Sender<Order>) -> Seat {
        Seat { state, shared, orders }
    }

    /// True while frames can be given.
    pub fn is_open(&self) -> bool {
        self.shared.open.load(Ordering::Acquire)
    }

    /// Largest picture that can be given, in bytes.
    pub fn most_bytes(&self) -> usize {
        self.shared.most_bytes.load(Ordering::Relaxed)
    }

    /// Nodes that wait for work with the model, as the server said within the last second or two.
    pub fn waiting(&self) -> usize {
        if self.is_open() { self.state.waiting.load(Ordering::Relaxed) } else { 0 }
    }

    /// Gives a picture of no more than [`Seat::most_bytes`]; `frame` comes back with its answer, if one comes within `within`. `false` where
    /// nothing can be given now.
    pub fn give(&self, frame: u64, picture: Picture, within: Duration) -> bool {
        let order = Order { seat: self.state.clone(), frame, picture, within };
        self.is_open() && self.orders.try_send(order).is_ok()
    }

    /// Counts a result of `node` that was believed.
    pub fn accepted(&self, node: &NodeName) {
        self.shared.accepted(node);
    }

    /// Counts an answer that cannot be one of the model.
    pub fn distrusted(&self) {
        self.shared.given().untrusted += 1;
    }

    /// The answers that have come since the last call.
    pub fn returned(&self) -> Vec<Returned> {
        self.state.take()
    }
}
