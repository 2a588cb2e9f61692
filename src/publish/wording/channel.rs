//! A channel of an anomaly, in words.

use serde::Deserialize;

use crate::frame::{AnomalyChannels, ChannelFault, ChannelShare};

/// A channel of an anomaly: its share of the score, or its own fault.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ChannelWords {
    channel: String,
    share: f64,
    fault: Option<String>,
    distance: Option<f64>,
    value: Option<f64>,
}

impl ChannelWords {
    /// Of an event of this process.
    pub(super) fn of(channels: &AnomalyChannels) -> Vec<ChannelWords> {
        match channels {
            AnomalyChannels::Shares(shares) => shares.iter().map(ChannelWords::of_share).collect(),
            AnomalyChannels::Faults(faults) => faults.iter().map(ChannelWords::of_fault).collect(),
        }
    }

    /// Of a share of this process.
    pub(super) fn of_share(share: &ChannelShare) -> ChannelWords {
        ChannelWords { channel: share.channel.to_string(), share: share.share.into(), ..ChannelWords::default() }
    }

    /// Of a fault of this process.
    pub(super) fn of_fault(found: &ChannelFault) -> ChannelWords {
        ChannelWords {
            channel: found.channel.clone(),
            fault: Some(found.fault.word().into()),
            distance: Some(found.distance.into()),
            value: found.value.map(f64::from),
            ..ChannelWords::default()
        }
    }

    /// True for a fault of its own.
    pub(super) fn is_fault(&self) -> bool {
        self.fault.is_some()
    }

    /// `soc_celsius spike at 85 (41.7)`: value, and how far that is off; of a share `soc_celsius 71 %`.
    pub(super) fn words(&self) -> String {
        let ChannelWords { channel, share, fault, distance, value } = self;
        let Some(fault) = fault else { return format!("{channel} {:.0} %", share * 100.0) };
        let value = value.map_or(String::new(), |value| format!(" at {value}"));
        format!("{channel} {fault}{value} ({})", distance.map_or("–".into(), |distance| format!("{distance:.1}")))
    }
}
