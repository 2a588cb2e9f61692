//! Entries of the queue at each stage of their way to the broker.

use std::time::Instant;

use super::pictures::Picture;
use super::poison::Disconnects;
use crate::publish::Timing;

/// One packet to submit to the MQTT client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Full topic.
    pub topic: String,
    /// Payload.
    pub payload: Vec<u8>,
    /// QoS 1, else QoS 0.
    pub acknowledged: bool,
    /// RETAIN flag.
    pub retain: bool,
}

/// The retained state of one topic.
#[derive(Debug)]
pub(super) struct State {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    /// Counts the payloads of the topic.
    pub(super) version: u64,
    /// Waits to be sent.
    pub(super) dirty: bool,
    pub(super) written: bool,
    pub(super) acknowledged: bool,
    /// Disconnects on this topic alone since its last acknowledgement.
    pub(super) disconnects: Disconnects,
    /// Given up until a new payload, a connection after a good one, or `retry_at`.
    pub(super) abandoned: bool,
    /// Time of the next attempt with an abandoned state.
    pub(super) retry_at: Option<Instant>,
    /// Attempts with the abandoned state since its last acknowledgement.
    pub(super) retries: u32,
}

impl State {
    /// A state that waits to be sent for the first time.
    pub(super) fn new(topic: String, payload: Vec<u8>) -> State {
        State {
            topic,
            payload,
            version: 0,
            dirty: true,
            written: false,
            acknowledged: false,
            disconnects: Disconnects::default(),
            abandoned: false,
            retry_at: None,
            retries: 0,
        }
    }

    /// Replaces the payload, which then waits to be sent.
    pub(super) fn replace(&mut self, payload: Vec<u8>) {
        *self = State {
            version: self.version + 1,
            disconnects: self.disconnects,
            retries: self.retries,
            ..State::new(std::mem::take(&mut self.topic), payload)
        };
    }

    /// Notes an acknowledgement of the present payload.
    pub(super) fn acknowledge(&mut self) {
        self.acknowledged = true;
        (self.disconnects, self.retry_at, self.retries) = (Disconnects::default(), None, 0);
    }
}

/// An event or a response, which must arrive.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) written: bool,
    /// Disconnects on this event alone.
    pub(super) disconnects: Disconnects,
}

impl Event {
    /// An event that was never sent.
    pub(super) fn new(topic: String, payload: Vec<u8>) -> Event {
        Event { topic, payload, written: false, disconnects: Disconnects::default() }
    }
}

/// A result that waits to be sent.
#[derive(Debug)]
pub(super) struct QueuedResult {
    pub(super) topic: String,
    pub(super) payload: Vec<u8>,
    pub(super) timing: Option<Timing>,
    pub(super) since: Instant,
}

/// A packet submitted to the client and not written yet.
#[derive(Debug)]
pub(super) enum Submitted {
    State { index: usize, version: u64, written: bool, acknowledged: bool },
    Event(Event),
    Result { timing: Option<Timing> },
    Picture(Picture),
}

/// A QoS 1 packet written and not acknowledged yet.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) packet_id: u16,
    pub(super) since: Instant,
    pub(super) message: InFlightMessage,
}

/// The message of a packet in flight.
#[derive(Debug)]
pub(super) enum InFlightMessage {
    State { index: usize, version: u64, acknowledged: bool },
    Event(Event),
}
