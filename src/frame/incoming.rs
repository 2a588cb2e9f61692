//! Messages received on a subscription.

/// One message received on a subscription, for a source that reads MQTT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Topic of the message.
    pub topic: String,
    /// Payload, of any content.
    pub payload: Vec<u8>,
    /// RETAIN flag: the broker kept the message from before the subscription.
    pub retain: bool,
}
