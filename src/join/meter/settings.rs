//! Form and limits of a meter.

use std::time::Duration;

use crate::frame::MeterNumber;
use crate::frame::status;

/// Kind of one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A digit on a drum or display.
    Digit,
    /// A pointer over a dial.
    Dial {
        /// The pointer turns clockwise as the meter counts.
        clockwise: bool,
    },
}

/// Form and limits of one meter.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Its places, most significant first: digits, then dials.
    pub places: Vec<Kind>,
    /// Unit and digits behind the decimal point.
    pub meter: status::Meter,
    /// Highest rate in units per hour; `None` = not limited.
    pub max_rate: Option<f64>,
    /// Digits are known to the whole digit only, and not how far their drums have turned.
    pub whole_digits: bool,
    /// It may run backwards as well.
    pub negative: bool,
    /// Least score of a place.
    pub min_score: f32,
    /// Pictures in a row that a first reading, or the first one for long, is read in.
    pub confirm: u32,
    /// Each picture stands for itself: its number is told with its quality, without any history.
    pub single: bool,
    /// Time for which a reading that contradicts the last one is read until it is believed; `None` = never.
    pub relearn: Option<Duration>,
}

impl Settings {
    /// Form of its number.
    pub(super) fn number(&self) -> MeterNumber {
        MeterNumber { places: self.places.len(), decimals: usize::from(self.meter.decimals) }
    }

    /// Counts of the lowest place in one unit.
    pub(super) fn counts_per_unit(&self) -> f64 {
        10_f64.powi(self.meter.decimals.into())
    }

    /// One more than the largest count.
    pub(super) fn range(&self) -> u64 {
        10_u64.saturating_pow(u32::try_from(self.places.len()).unwrap_or(u32::MAX))
    }
}
