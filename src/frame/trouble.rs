//! Faults of single channels of a source of numbers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Way in which a channel is not as usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trouble {
    /// It jumped, for a moment.
    Spike,
    /// It moves away slowly.
    Drift,
    /// Its level, or its course over the day, is another one.
    Level,
    /// It always varied, and does not any more.
    Stuck,
    /// It has no value, or none has come for far longer than usual.
    Dead,
    /// It is above its limit.
    Above,
    /// It is below its limit.
    Below,
}

impl Trouble {
    /// Name in payloads.
    pub fn word(self) -> &'static str {
        match self {
            Trouble::Spike => "spike",
            Trouble::Drift => "drift",
            Trouble::Level => "level",
            Trouble::Stuck => "stuck",
            Trouble::Dead => "dead",
            Trouble::Above => "above",
            Trouble::Below => "below",
        }
    }
}

/// A channel that is not as usual.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChannelFault {
    /// Name of the channel.
    pub channel: String,
    /// In which way.
    pub fault: Trouble,
    /// Distance: in robust spreads; of what is stuck or dead, in longest usual times; of a limit, in units of the channel beyond it.
    pub distance: f32,
    /// Its value; `None` where it has none.
    pub value: Option<f32>,
    /// The value that is usual at this time, or the limit; `None` where none is known.
    pub usual: Option<f32>,
}

impl fmt::Display for ChannelFault {
    /// `soc_celsius: spike, 12.3 spreads off, 85 where 41.2 is usual`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ChannelFault { channel, fault, distance, value, usual } = self;
        write!(f, "{channel}: {}", fault.word())?;
        match (fault, value, usual) {
            (Trouble::Above | Trouble::Below, Some(value), Some(limit)) => {
                write!(f, ", {value} where the limit is {limit}")
            }
            (Trouble::Above | Trouble::Below, ..) => Ok(()),
            (Trouble::Stuck | Trouble::Dead, value, _) => {
                let shown = value.map_or(String::new(), |value| format!(" at {value}"));
                write!(f, "{shown}, for {distance:.1} times the longest usual time")
            }
            (_, Some(value), Some(usual)) => {
                write!(f, ", {distance:.1} spreads off, {value} where {usual:.4} is usual")
            }
            _ => write!(f, ", {distance:.1} spreads off"),
        }
    }
}
