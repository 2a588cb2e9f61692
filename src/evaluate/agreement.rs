//! Outcomes of two models for the same input beside each other.

use super::boxes::{SAME, pair_boxes};
use super::difference::Difference;
use crate::frame::{ClassMap, Detection, Outcome, RawOutput};

/// Distance in tenths of a turn within which two positions are the same.
const SAME_POSITION: f32 = 0.3;

/// Agreement of two outcomes of one input.
#[derive(Clone, Debug, PartialEq)]
pub enum Agreement {
    /// The best class of each.
    Class {
        /// It is the same.
        same: bool,
        /// Absolute difference of its score in both.
        score_difference: f64,
    },
    /// Objects, matched one to one where label and place (IoU of at least 0.5) are the same.
    Boxes {
        /// Objects that both have.
        matched: u64,
        /// Objects that the reference alone has.
        lost: u64,
        /// Objects that the other alone has.
        added: u64,
        /// Sum of the matched objects' IoU.
        overlap: f64,
        /// Sum over the matched objects' key points of the distance, as a part of the box's diagonal, and their number.
        keypoints: (f64, u64),
    },
    /// A text, or the labels, digits or positions of several places.
    Reading {
        /// All of it is the same, or nothing can be read by both.
        same: bool,
        /// Places that are the same.
        places_same: u64,
        /// Places.
        places: u64,
    },
    /// A single number: an anomaly's score.
    Number {
        /// That of the reference.
        reference: f64,
        /// That of the other.
        other: f64,
        /// Both say the same of whether it is an anomaly; `None` while one of them does not know.
        same_verdict: Option<bool>,
    },
    /// A class for each place.
    Places {
        /// Places of the same class.
        same: u64,
        /// Places of the reference.
        places: u64,
    },
    /// Bare values.
    Values {
        /// Their difference.
        difference: Difference,
        /// The largest value of the first output is at the same place; `None` where that output has a single value, or none that is finite.
        same_largest: Option<bool>,
    },
    /// The outcomes are not of one kind or shape, so that there is nothing to compare.
    Incomparable,
}

/// Compares the outcomes of two models for the same input. What a task remembers of earlier inputs is left out where an outcome tells it apart.
pub fn agreement(reference: &Outcome, other: &Outcome) -> Agreement {
    match (reference, other) {
        (Outcome::Classify { .. }, Outcome::Classify { .. }) => classes(reference, other),
        (Outcome::Detect { detections: a, .. }, Outcome::Detect { detections: b, .. }) => objects(a, b),
        (Outcome::Reading(a), Outcome::Reading(b)) => {
            places(a.regions.iter().map(|r| &r.label), b.regions.iter().map(|r| &r.label), |a, b| a == b)
        }
        (Outcome::Text { text: a, regions: first, .. }, Outcome::Text { text: b, regions: second, .. }) => {
            if first.is_empty() && second.is_empty() {
                return places([a].into_iter(), [b].into_iter(), |a, b| a == b);
            }
            places(first.iter().map(|r| &r.text), second.iter().map(|r| &r.text), |a, b| a == b)
        }
        (Outcome::Position { positions: a }, Outcome::Position { positions: b }) => {
            places(a.iter().map(|p| p.position), b.iter().map(|p| p.position), near)
        }
        (Outcome::Meter(a), Outcome::Meter(b)) => {
            let digits = |reading: &crate::frame::MeterReading| {
                reading.digits.iter().chain(&reading.dials).map(|place| place.digit).collect::<Vec<_>>()
            };
            places(digits(a).into_iter(), digits(b).into_iter(), |a, b| a == b)
        }
        (
            Outcome::Anomaly { score: a, anomalous: is_a, threshold: at_a, .. },
            Outcome::Anomaly { score: b, anomalous: is_b, threshold: at_b, .. },
        ) => Agreement::Number {
            reference: f64::from(*a),
            other: f64::from(*b),
            same_verdict: (at_a.is_some() && at_b.is_some()).then_some(is_a == is_b),
        },
        (
            Outcome::Channels { score: a, anomalous: is_a, calibrating: false, .. },
            Outcome::Channels { score: b, anomalous: is_b, calibrating: false, .. },
        ) => Agreement::Number {
            reference: f64::from(a.unwrap_or(0.0)),
            other: f64::from(b.unwrap_or(0.0)),
            same_verdict: Some(is_a == is_b),
        },
        (Outcome::Semantic { map: a, .. }, Outcome::Semantic { map: b, .. }) => areas(a, b),
        (Outcome::Raw { outputs: a }, Outcome::Raw { outputs: b }) => values(a, b),
        _ => Agreement::Incomparable,
    }
}

fn classes(reference: &Outcome, other: &Outcome) -> Agreement {
    let (Outcome::Classify { top: a, unreadable: why_a, .. }, Outcome::Classify { top: b, unreadable: why_b, .. }) =
        (reference, other)
    else {
        return Agreement::Incomparable;
    };
    match (a.first(), b.first()) {
        (Some(best), Some(other)) => {
            let there = b.iter().find(|scored| scored.label == best.label).map_or(0.0, |scored| scored.score);
            let score_difference = f64::from((best.score - there).abs());
            Agreement::Class { same: best.label == other.label, score_difference }
        }
        (None, None) => Agreement::Class { same: why_a == why_b, score_difference: 0.0 },
        (Some(one), None) | (None, Some(one)) => {
            Agreement::Class { same: false, score_difference: f64::from(one.score) }
        }
    }
}

fn objects(reference: &[Detection], other: &[Detection]) -> Agreement {
    let found = pair_boxes(reference, other, SAME);
    let mut keypoints = (0.0, 0);
    for &(i, j, _) in &found.pairs {
        let [x1, y1, x2, y2] = reference[i].bbox.map(f64::from);
        let diagonal = (x2 - x1).hypot(y2 - y1);
        for (a, b) in reference[i].keypoints.iter().zip(&other[j].keypoints).filter(|_| diagonal > 0.0) {
            keypoints.0 += f64::from(a.x - b.x).hypot(f64::from(a.y - b.y)) / diagonal;
            keypoints.1 += 1;
        }
    }
    Agreement::Boxes {
        matched: found.pairs.len() as u64,
        lost: found.lost as u64,
        added: found.added as u64,
        overlap: found.pairs.iter().map(|pair| pair.2).sum(),
        keypoints,
    }
}

/// Compares places one by one; places that only one has are not the same.
fn places<T>(
    reference: impl ExactSizeIterator<Item = T>,
    other: impl ExactSizeIterator<Item = T>,
    same: impl Fn(T, T) -> bool,
) -> Agreement {
    let places = reference.len().max(other.len()) as u64;
    let places_same = reference.zip(other).filter_map(|(a, b)| same(a, b).then_some(())).count() as u64;
    Agreement::Reading { same: places_same == places, places_same, places }
}

fn near(a: Option<f32>, b: Option<f32>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => ((a - b + 5.0).rem_euclid(10.0) - 5.0).abs() <= SAME_POSITION,
        (None, None) => true,
        _ => false,
    }
}

/// Compares two maps at the centres of the reference's cells.
fn areas(reference: &ClassMap, other: &ClassMap) -> Agreement {
    let (a, b) = (cells(reference), cells(other));
    if a.len() != reference.width * reference.height || b.len() != other.width * other.height || b.is_empty() {
        return Agreement::Incomparable;
    }
    let along = |at: f64, from: f32, to: f32, cells: usize| {
        let (from, to) = (f64::from(from), f64::from(to));
        let cell = ((at - from) / (to - from) * cells as f64).floor();
        (cell >= 0.0 && cell < cells as f64).then_some(cell as usize)
    };
    let [x1, y1, x2, y2] = reference.bbox.map(f64::from);
    let mut same = 0;
    for (index, class) in a.iter().enumerate() {
        let (row, column) = (index / reference.width, index % reference.width);
        let x = x1 + (column as f64 + 0.5) / reference.width as f64 * (x2 - x1);
        let y = y1 + (row as f64 + 0.5) / reference.height as f64 * (y2 - y1);
        let there = along(x, other.bbox[0], other.bbox[2], other.width)
            .zip(along(y, other.bbox[1], other.bbox[3], other.height))
            .map(|(column, row)| b[row * other.width + column]);
        same += u64::from(there == Some(*class));
    }
    Agreement::Places { same, places: a.len() as u64 }
}

/// The class of each cell, no more than the map has.
fn cells(map: &ClassMap) -> Vec<usize> {
    let all = map.width * map.height;
    map.runs.iter().flat_map(|&[class, cells]| std::iter::repeat_n(class, cells.min(all))).take(all).collect()
}

fn values(reference: &[RawOutput], other: &[RawOutput]) -> Agreement {
    if reference.len() != other.len() || reference.iter().zip(other).any(|(a, b)| a.shape != b.shape) {
        return Agreement::Incomparable;
    }
    let mut difference = Difference::default();
    for (a, b) in reference.iter().zip(other) {
        difference.add(&Difference::of(&a.values, &b.values));
    }
    let largest = |output: &RawOutput| {
        let values = output.values.iter().enumerate().filter(|(_, value)| value.is_finite());
        values.max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0))).map(|(place, _)| place)
    };
    let same_largest = reference.first().zip(other.first()).filter(|(a, _)| a.values.len() > 1 && !a.truncated);
    let same_largest = same_largest.and_then(|(a, b)| Some(largest(a)? == largest(b)?));
    Agreement::Values { difference, same_largest }
}

#[cfg(test)]
#[path = "agreement_tests.rs"]
mod tests;
