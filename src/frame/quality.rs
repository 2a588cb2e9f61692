//! Quality of readings, and causes of missing ones.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::time::serialize_time;

/// Cause of an unreadable region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unreadable {
    /// Hardly any contrast: covered, unlit, overexposed, fogged. Detected before the model runs.
    LowContrast,
    /// No edge as sharp as a digit's. Detected before the model runs.
    OutOfFocus,
    /// The model's answer is the class that means "nothing to read here" ([`TaskSpec::none`](super::TaskSpec::none)).
    NoDigit,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unreadable::LowContrast => "low contrast",
            Unreadable::OutOfFocus => "out of focus",
            Unreadable::NoDigit => "no digit",
        })
    }
}

/// Quality of the reading of one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quality {
    /// Every region was read with at least the least score, and the reading is plausible.
    Good,
    /// Drums stand between the last good reading and its neighbour; an ordinary moment of a counter.
    Rolling,
    /// Read with certainty, but implausible after the last good reading; accepted once it is confirmed.
    Unconfirmed,
    /// A region's score is below the least one.
    Uncertain,
    /// A region is unreadable; `regions` tells the cause of each.
    Unreadable,
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Quality::Good => "good",
            Quality::Rolling => "rolling",
            Quality::Unconfirmed => "unconfirmed",
            Quality::Uncertain => "uncertain",
            Quality::Unreadable => "unreadable",
        })
    }
}

/// Properties of the last good reading.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LastGood {
    /// Score at its last reading.
    #[serde(skip)]
    pub score: f32,
    /// Time of its last reading (wall clock).
    #[serde(rename = "last_good_time", serialize_with = "serialize_time")]
    pub time: SystemTime,
    /// Time since then in s, to the tenth; `None` where unknown, because it was read in an earlier run and the clock is now
    /// behind that time.
    #[serde(rename = "last_good_age_s")]
    pub age_s: Option<f64>,
}

impl LastGood {
    /// A reading of `time` that is `age` old now; `None` = not known.
    pub fn new(score: f32, time: SystemTime, age: Option<Duration>) -> LastGood {
        LastGood { score, time, age_s: age.map(|age| (age.as_secs_f64() * 10.0).round() / 10.0) }
    }
}
