//! Messages received on a subscription.

/// One message that came in on a subscription, for a source that takes its input from MQTT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The topic it was published on.
    pub topic: String,
    /// Its bytes, whatever they hold.
    pub payload: Vec<u8>,
    /// Whether the broker kept it from before we subscribed.
    pub retain: bool,
}
