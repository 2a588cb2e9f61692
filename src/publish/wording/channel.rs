//! A channel that is not as it should be, in words.

use serde::Deserialize;

use crate::frame::ChannelFault;

/// A channel that is not as it should be.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Channel {
    channel: String,
    fault: String,
    distance: Option<f64>,
    value: Option<f64>,
}

impl Channel {
    /// Of a fault of this process.
    pub(super) fn of(found: &ChannelFault) -> Channel {
        Channel {
            channel: found.channel.clone(),
            fault: found.fault.word().into(),
            distance: Some(found.distance.into()),
            value: found.value.map(f64::from),
        }
    }

    /// `soc_celsius spike at 85 (41.7)`: value, and how far that is off.
    pub(super) fn words(&self) -> String {
        let Channel { channel, fault, distance, value } = self;
        let value = value.map_or(String::new(), |value| format!(" at {value}"));
        format!("{channel} {fault}{value} ({})", distance.map_or("–".into(), |distance| format!("{distance:.1}")))
    }
}
