//! Readings of meters: a row of digits and dials joined to one number.

use std::fmt;

use serde::{Serialize, Serializer};

use super::quality::{LastGood, Quality, Unreadable};
use super::status::Meter;

/// Position of one drum or dial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PositionRead {
    /// Position in tenths of a turn, 0.0 up to 10.0; `None` where there is nothing to read, or it is uncertain.
    #[serde(serialize_with = "hundredths")]
    pub position: Option<f32>,
    /// Share of the model's answer that speaks for it, 0.0 to 1.0.
    pub score: f32,
    /// Cause of a missing position; `None` where it is there, or only uncertain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<Unreadable>,
}

/// One place of a meter's number: a drum or a dial.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlaceRead {
    /// Digit of this place in the number that this picture shows; `None` where that is not known.
    pub digit: Option<u8>,
    /// Position that the digit was decided from, with its score.
    #[serde(flatten)]
    pub read: PositionRead,
}

/// Reading of a meter: the last one that is believed, and its relation to the present picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeterReading {
    /// The number that is believed, in `unit`; `None` before the first.
    pub value: Option<f64>,
    /// Its digits with leading zeros and decimal point, such as `00412.357`.
    pub label: Option<String>,
    /// Unit of the number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The number that this picture shows by itself; `None` where a place cannot be read.
    pub raw_value: Option<f64>,
    /// Lowest score of the places, 0.0 to 1.0; 0.0 when one cannot be read.
    pub score: f32,
    /// Quality of this picture's reading.
    pub quality: Quality,
    /// `value` is an earlier picture's reading, because this one's is not believed.
    pub held: bool,
    /// Reason for which this picture's reading is not believed.
    pub problem: Option<MeterProblem>,
    /// Mean rate of the last minutes in `unit` per hour; `None` while too little was seen.
    pub rate_per_hour: Option<f64>,
    /// Drums, most significant first.
    pub digits: Vec<PlaceRead>,
    /// Dials, most significant first.
    pub dials: Vec<PlaceRead>,
    /// The last good reading; `None` before the first.
    #[serde(flatten)]
    pub last_good: Option<LastGood>,
}

/// Reason for which a reading of a meter is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MeterProblem {
    /// The marks of the reference picture are not where they can be: the camera was moved, or something covers the meter.
    NotAligned,
    /// A drum or dial cannot be read.
    Unreadable,
    /// A drum or dial is read with doubt, or does not go with its neighbour.
    Uncertain,
    /// The first reading, or the first one for long, is read once more.
    Unconfirmed,
    /// The number is below the one that is believed.
    Backwards,
    /// The number is further on than `max_rate` allows.
    TooFast,
}

impl MeterProblem {
    /// Word of a payload.
    pub fn word(self) -> &'static str {
        match self {
            MeterProblem::NotAligned => "not_aligned",
            MeterProblem::Unreadable => "unreadable",
            MeterProblem::Uncertain => "uncertain",
            MeterProblem::Unconfirmed => "unconfirmed",
            MeterProblem::Backwards => "backwards",
            MeterProblem::TooFast => "too_fast",
        }
    }
}

impl fmt::Display for MeterProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MeterProblem::NotAligned => "the alignment marks are not found",
            MeterProblem::Unreadable => "a digit or dial cannot be read",
            MeterProblem::Uncertain => "a digit or dial is uncertain",
            MeterProblem::Unconfirmed => "not confirmed yet",
            MeterProblem::Backwards => "below the last reading",
            MeterProblem::TooFast => "further on than the meter can run",
        })
    }
}

/// Number of a meter as people read it, of a count of its lowest place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeterNumber {
    /// Drums and dials.
    pub places: usize,
    /// Of them behind the decimal point.
    pub decimals: usize,
}

impl MeterNumber {
    /// The number in the meter's unit. Up to 15 places it is exact to the last one in every JSON reader.
    pub fn value(&self, counts: u64) -> f64 {
        self.text(counts).parse().unwrap_or(0.0)
    }

    /// The digits with leading zeros and decimal point.
    pub fn text(&self, counts: u64) -> String {
        let mut text = format!("{counts:0places$}", places = self.places.max(self.decimals + 1));
        if self.decimals > 0 {
            text.insert(text.len() - self.decimals, '.');
        }
        text
    }
}

/// True if `label`, digits with a decimal point, is the number `truth`, digits alone, or its neighbour: of the lowest place, which turns all
/// the time, that is as near as it can be read.
pub fn is_near_truth(label: &str, truth: &str) -> bool {
    let digits: String = label.chars().filter(|c| *c != '.').collect();
    let range = 10_u64.saturating_pow(u32::try_from(truth.len()).unwrap_or(u32::MAX));
    match (digits.parse::<u64>(), truth.parse::<u64>()) {
        (Ok(read), Ok(truth)) if digits.len() > 1 => [0, 1, range - 1].contains(&(read.abs_diff(truth) % range)),
        _ => false,
    }
}

/// Reading in words: the number with its unit, and whether it is this picture's.
impl fmt::Display for MeterReading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = self.unit.as_deref().map(|unit| format!(" {unit}")).unwrap_or_default();
        match (&self.label, self.problem) {
            (Some(label), None) => write!(f, "{label}{unit}"),
            (Some(label), Some(problem)) if self.held => write!(f, "{label}{unit} (held: {problem})"),
            (Some(label), Some(problem)) => write!(f, "{label}{unit} ({problem})"),
            (None, Some(problem)) => write!(f, "no reading ({problem})"),
            (None, None) => write!(f, "no reading ({})", self.quality),
        }
    }
}

impl MeterReading {
    /// A reading of nothing, of a meter like `meter`.
    pub fn nothing(meter: &Meter, problem: MeterProblem) -> MeterReading {
        MeterReading {
            value: None,
            label: None,
            unit: meter.unit.clone(),
            raw_value: None,
            score: 0.0,
            quality: Quality::Unreadable,
            held: false,
            problem: Some(problem),
            rate_per_hour: None,
            digits: Vec::new(),
            dials: Vec::new(),
            last_good: None,
        }
    }
}

impl Serialize for MeterProblem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

fn hundredths<S: Serializer>(position: &Option<f32>, serializer: S) -> Result<S::Ok, S::Error> {
    position.map(|p| (f64::from(p) * 100.0).round() / 100.0).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_place_may_be_off_by_one() {
        assert!(is_near_truth("00412.357", "00412357") && is_near_truth("00412.358", "00412357"));
        assert!(is_near_truth("99999.999", "00000000") && !is_near_truth("00412.359", "00412357"));
        assert!(!is_near_truth("none", "00412357") && !is_near_truth("", ""));
    }

    #[test]
    fn numbers_are_exact_and_keep_their_zeros() {
        let number = |places, decimals| MeterNumber { places, decimals };
        for (number, counts, text, value) in [
            (number(9, 4), 4_283_571, "00428.3571", 428.3571),
            (number(5, 0), 412, "00412", 412.0),
            (number(3, 3), 7, "0.007", 0.007),
            (number(15, 4), 999_999_999_999_999, "99999999999.9999", 99_999_999_999.999_9),
        ] {
            assert_eq!((number.text(counts).as_str(), number.value(counts)), (text, value));
        }
    }
}
