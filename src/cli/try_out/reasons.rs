//! Reasons for which a result is not what a person may have hoped for, in words.

use crate::frame::{MeterProblem, MeterReading, Outcome, PlaceRead, Quality, Reading, Unreadable};
use crate::pipeline::Planner;

/// Lines about the outcome, each a sentence without its full stop.
pub fn of(outcome: &Outcome, planner: &Planner) -> Vec<String> {
    let least = planner.least_score();
    match outcome {
        Outcome::Meter(reading) => meter(reading, least),
        Outcome::Reading(reading) => row(reading, least),
        Outcome::Classify { unreadable: Some(cause), .. } => vec![format!("not told: {}", of_unreadable(*cause))],
        Outcome::Classify { label, score, .. } if label.is_empty() => {
            vec![format!("not told: the best score, {score:.3}, is below min_score{}", number(least))]
        }
        Outcome::Text { text: None, score, .. } => {
            vec![format!("not told: a character is uncertain, or there is no text; mean score {score:.3}")]
        }
        Outcome::Anomaly { calibrating: true, .. } => {
            vec!["not told: it is still being learnt what is usual; run learns it from the source".into()]
        }
        Outcome::Detect { detections, .. } if detections.is_empty() => vec![match &planner.task {
            task if task.objects().is_some_and(|config| !config.labels.is_empty()) => {
                format!("nothing reaches min_score{} among the labels that are asked for", number(least))
            }
            _ => format!("nothing reaches min_score{}", number(least)),
        }],
        _ => Vec::new(),
    }
}

fn number(least: Option<f32>) -> String {
    least.map(|least| format!(" {least}")).unwrap_or_default()
}

/// A meter: the problem, then each place that has a part in it.
fn meter(reading: &MeterReading, least: Option<f32>) -> Vec<String> {
    let Some(problem) = reading.problem else { return Vec::new() };
    let advice = match problem {
        MeterProblem::NotAligned => "is the camera where it was when the reference picture was taken?",
        MeterProblem::Unreadable | MeterProblem::Uncertain => "the drawn picture shows where it looks",
        MeterProblem::Unconfirmed => "run takes a number that two pictures show",
        MeterProblem::Backwards | MeterProblem::TooFast => "run takes it when it stays so (confirm)",
    };
    let mut lines = vec![format!("held: {problem}; {advice}")];
    for (what, places) in [("digit", &reading.digits), ("dial", &reading.dials)] {
        let doubts = places.iter().enumerate().filter_map(|(i, place)| Some((i + 1, doubt(place, least)?)));
        lines.extend(doubts.map(|(number, doubt)| format!("{what} {number} of {}: {doubt}", places.len())));
    }
    lines
}

/// Doubt about one place of a meter.
fn doubt(place: &PlaceRead, least: Option<f32>) -> Option<String> {
    let read = &place.read;
    if let Some(cause) = read.unreadable {
        return Some(of_unreadable(cause).into());
    }
    match read.position {
        None => Some(format!("uncertain, score {:.3}", read.score)),
        Some(position) if least.is_some_and(|least| read.score < least) => {
            Some(format!("stands at {position:.1} by {:.3}, which is below min_score{}", read.score, number(least)))
        }
        Some(position) if place.digit.is_none() => {
            Some(format!("stands at {position:.1}, which does not go with its neighbour"))
        }
        Some(_) => None,
    }
}

/// A row of digits.
fn row(reading: &Reading, least: Option<f32>) -> Vec<String> {
    let why = match reading.quality {
        Quality::Good => return Vec::new(),
        Quality::Rolling => "drums stand between two numbers",
        Quality::Unconfirmed => "run takes a number that several pictures show",
        Quality::Uncertain => "a digit is uncertain",
        Quality::Unreadable => "a digit cannot be read",
    };
    let mut lines = vec![format!("held: {why}")];
    for (i, region) in reading.regions.iter().enumerate() {
        let doubt = match (&region.label, region.unreadable) {
            (_, Some(cause)) => of_unreadable(cause).to_owned(),
            (Some(label), None) if least.is_some_and(|least| region.score < least) => {
                format!("{label} by {:.3}, which is below min_score{}", region.score, number(least))
            }
            _ => continue,
        };
        lines.push(format!("digit {} of {}: {doubt}", i + 1, reading.regions.len()));
    }
    lines
}

fn of_unreadable(cause: Unreadable) -> &'static str {
    match cause {
        Unreadable::LowContrast => "hardly any contrast there: is it lit, is the place right?",
        Unreadable::OutOfFocus => "out of focus there, or the place is not right",
        Unreadable::NoDigit => "the model sees nothing to read there: is the place right?",
    }
}
