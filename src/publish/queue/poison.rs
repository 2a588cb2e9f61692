//! Detection of poison messages: messages on which the broker closes the connection.
//!
//! Some brokers disconnect a client that sends a message too large for them or not allowed. Sent again after every reconnect,
//! such a message would block the queue for ever. Of several messages in flight the culprit is unknown, since acknowledgements
//! of the others may be lost with the connection. After some disconnects in a row, messages therefore go one at a time, and one
//! that was alone at several of them goes after all others, until the poison message is identified and given up.
//!
//! A broken network ends connections in the same way. The difference: a broker with a poison message accepts other messages. No
//! message is given up unless another was acknowledged since its first disconnect. A state that was given up is retried from
//! time to time, since the broker's configuration may have changed.

use std::time::Duration;

/// Disconnects in a row after which messages go one at a time; a single one may be a restart of the broker.
const CAUTIOUS_AFTER: u32 = 2;

/// Time until a state that was given up is retried over a working connection; doubled each time.
const RETRY_AFTER: Duration = Duration::from_secs(60);
/// Doublings of [`RETRY_AFTER`] at most.
const RETRY_DOUBLINGS: u32 = 6;

/// Pause before retry number `retries` of a state that was given up.
pub(super) fn retry_pause(retries: u32) -> Duration {
    RETRY_AFTER * (1 << retries.min(RETRY_DOUBLINGS))
}

/// Class of a QoS 1 message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QosClass {
    State,
    Event,
}

/// Messages acknowledged so far.
#[derive(Clone, Copy, Debug, Default)]
struct Acknowledged {
    states: u64,
    events: u64,
}

/// Disconnects with one message alone in flight.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Disconnects {
    pub(super) count: u32,
    /// Acknowledgements before the first of them.
    before: Acknowledged,
}

/// Evidence over all messages.
#[derive(Debug)]
pub(super) struct Detector {
    /// Disconnects on a message alone before it is given up.
    limit: u32,
    /// Disconnects in a row with a QoS 1 message in flight.
    in_a_row: u32,
    /// Messages acknowledged so far, copies included.
    acknowledged: Acknowledged,
}

impl Detector {
    pub(super) fn new(limit: u32) -> Self {
        Detector { limit, in_a_row: 0, acknowledged: Acknowledged::default() }
    }

    /// Messages go one at a time and without results.
    pub(super) fn cautious(&self) -> bool {
        self.in_a_row >= CAUTIOUS_AFTER
    }

    /// The last connection ended with a QoS 1 message in flight.
    pub(super) fn is_alert(&self) -> bool {
        self.in_a_row > 0
    }

    /// Everything was delivered: earlier disconnects mean nothing.
    pub(super) fn all_delivered(&mut self) {
        self.in_a_row = 0;
    }

    /// Notes an acknowledgement.
    pub(super) fn acknowledged(&mut self, class: QosClass) {
        match class {
            QosClass::State => self.acknowledged.states += 1,
            QosClass::Event => self.acknowledged.events += 1,
        }
    }

    /// Notes that the broker closed the connection. Returns `true` when a single message was in flight by intent.
    pub(super) fn disconnected(&mut self, in_flight: bool) -> bool {
        let alone = self.cautious();
        self.in_a_row = self.in_a_row.saturating_add(u32::from(in_flight));
        alone
    }

    /// Notes a disconnect on `message` alone. Returns `true` when it is poison: the broker accepts others of its class, or, after
    /// twice as many disconnects, any others. `only`: no other message exists to compare with.
    pub(super) fn is_poison(&self, message: &mut Disconnects, class: QosClass, only: bool) -> bool {
        if message.count == 0 {
            message.before = self.acknowledged;
        }
        message.count = message.count.saturating_add(1);
        let states = self.acknowledged.states > message.before.states;
        let events = self.acknowledged.events > message.before.events;
        let same_class = if class == QosClass::State { states } else { events };
        message.count >= self.limit && same_class || message.count >= 2 * self.limit && (states || events || only)
    }

    /// Rank in the order of sending while cautious: 0 for messages with few disconnects, then by their number.
    pub(super) fn rank(&self, message: Disconnects) -> u32 {
        if message.count < self.limit { 0 } else { message.count }
    }
}
