//! How much a queue holds, and what it does not take.

use std::time::Duration;

/// Bounds of a [`Queue`](super::Queue).
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Results and events waiting at most.
    pub waiting: usize,
    /// Bytes of payload of waiting results and events at most.
    pub waiting_bytes: usize,
    /// Largest packet in bytes.
    pub packet_bytes: usize,
    /// QoS 1 messages on their way without acknowledgement at most.
    pub in_flight: usize,
    /// Messages handed to the client library but not yet written at most.
    pub submitted: usize,
    /// State topics at most.
    pub states: usize,
    /// A result that waited longer than this is dropped: its `frame_age_ms` would lie.
    pub result_age: Duration,
    /// Times that the broker hangs up on a message that is alone on its way before it is given up. Messages go alone
    /// after two hang-ups in a row.
    pub tries: u32,
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
            result_age: Duration::from_secs(5),
            tries: 3,
        }
    }
}

/// Why a message was not taken. It was counted as dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It would not fit into a packet.
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
