//! Bounds of the queue, and refused messages.

use std::time::Duration;

use crate::publish::outbox::Room;

/// Bounds of a [`Queue`](super::Queue).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Results and events waiting at most.
    pub waiting: usize,
    /// Bytes of payload of waiting results and events at most.
    pub waiting_bytes: usize,
    /// Largest packet in bytes.
    pub packet_bytes: usize,
    /// Most QoS 1 messages in flight.
    pub in_flight: usize,
    /// Most messages submitted to the client library and not written yet.
    pub submitted: usize,
    /// State topics at most.
    pub states: usize,
    /// Responses waiting at most; the oldest is dropped.
    pub responses: usize,
    /// Pictures waiting at most, one for each topic; the one that has waited longest is dropped.
    pub pictures: usize,
    /// Bytes of waiting pictures at most.
    pub picture_bytes: usize,
    /// Age at which a waiting result is dropped, since its `frame_age_ms` would be wrong.
    pub result_age: Duration,
    /// Disconnects on a message alone in flight before it is given up. Messages go alone after two disconnects in a row.
    pub tries: u32,
}

impl Limits {
    /// Bounds of the events among them.
    pub(super) fn room(&self) -> Room {
        Room { events: self.waiting, bytes: self.waiting_bytes }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            waiting: 256,
            waiting_bytes: 16 << 20,
            packet_bytes: 1 << 20,
            in_flight: 32,
            submitted: 8,
            states: 256,
            responses: 64,
            pictures: 64,
            picture_bytes: 8 << 20,
            result_age: Duration::from_secs(5),
            tries: 3,
        }
    }
}

/// The message was refused, and counted as dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The message is too large for a packet.
    #[error("a message of {bytes} bytes for {topic} is over max_packet_bytes = {limit}")]
    Oversize {
        /// Its topic.
        topic: String,
        /// Size of the packet.
        bytes: usize,
        /// Largest packet.
        limit: usize,
    },
    /// Empty, too long, or with a wildcard.
    #[error("{0:?} is not a topic that can be published to")]
    Topic(String),
    /// Too many different state topics.
    #[error("no room for the state of {0}: too many topics")]
    States(String),
}

/// Size of a PUBLISH packet with QoS 1 in bytes (MQTT 3.1.1, section 3.3).
pub fn packet_bytes(topic: &str, payload: &[u8]) -> usize {
    let remaining = 2 + topic.len() + 2 + payload.len();
    let length_bytes = match remaining {
        0..128 => 1,
        128..16_384 => 2,
        16_384..2_097_152 => 3,
        _ => 4,
    };
    1 + length_bytes + remaining
}
