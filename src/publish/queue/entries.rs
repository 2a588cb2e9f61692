//! Entries of the queue at each stage of their way to the broker.

use std::time::Instant;

use super::pictures::Picture;
use super::poison::Disconnects;
use crate::publish::outbox::Waiting;
use crate::publish::{Timing, payload};

/// Properties that MQTT 5 sends beside a payload; MQTT 3.1.1 sends none of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// MIME type of the payload.
    pub content_type: Option<&'static str>,
    /// Time in s after which the broker no longer delivers the message.
    pub expiry_s: Option<u32>,
    /// User properties.
    pub user: Vec<(String, String)>,
}

/// One packet to submit to the MQTT client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// Full topic.
    pub topic: String,
    /// Payload.
    pub payload: Vec<u8>,
    /// QoS 1, else QoS 0.
    pub acknowledged: bool,
    /// RETAIN flag.
    pub retain: bool,
    /// Properties that MQTT 5 sends beside the payload.
    pub properties: Properties,
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
    pub(super) item: Waiting,
    /// It goes to no disk and carries no `resent`.
    pub(super) is_response: bool,
    /// It was given to the client library before, in this run or an earlier one.
    pub(super) submitted: bool,
    pub(super) written: bool,
    /// Disconnects on this event alone.
    pub(super) disconnects: Disconnects,
}

impl Event {
    /// An event out of the backlog.
    pub(super) fn new(item: Waiting) -> Event {
        let submitted = item.is_recovered();
        Event { item, is_response: false, submitted, written: false, disconnects: Disconnects::default() }
    }

    /// A response.
    pub(super) fn response(topic: String, payload: Vec<u8>, now: Instant) -> Event {
        let item = Waiting::outside(topic, payload, now);
        Event { item, is_response: true, submitted: false, written: false, disconnects: Disconnects::default() }
    }

    /// The packet, which says so where it may have been sent before.
    pub(super) fn packet(&mut self) -> Packet {
        let Event { item, is_response, submitted, .. } = self;
        let again = std::mem::replace(submitted, true) && !*is_response;
        let payload = if again { payload::resent(&item.payload) } else { item.payload.to_vec() };
        let user = if again { vec![("resent".to_owned(), "true".to_owned())] } else { Vec::new() };
        let properties = Properties { user, ..Properties::default() };
        Packet { topic: item.topic.as_ref().to_owned(), payload, acknowledged: true, retain: false, properties }
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
