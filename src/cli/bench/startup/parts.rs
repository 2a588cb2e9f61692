//! The parts of a start, by the marks that the daemon sends.

use std::time::Duration;

use serde::Serialize;

/// The marks of a start that are its parts, with what they are for people. Each part ends at its mark and begins at the one before.
const PARTS: [(&str, &str); 16] = [
    ("program", "program loaded"),
    ("configuration", "configuration read"),
    ("sandbox", "files given up (landlock)"),
    ("broker client", "broker client started"),
    ("model found", "model found and read"),
    ("model tried", "model loaded by a child, if it was never seen"),
    ("engine chosen", "integers or floats chosen"),
    ("model parsed", "model parsed"),
    ("plan compiled", "plan compiled"),
    ("ladder", "ladder looked up, plan warmed"),
    ("source opened", "source opened"),
    ("threads", "threads started"),
    ("first frame", "first frame captured"),
    ("first result", "first result"),
    ("ready", "READY=1 sent"),
    ("calibrated", "calibrated in the background"),
];

/// One part of one start.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Part {
    pub(super) part: &'static str,
    #[serde(skip)]
    pub(super) words: &'static str,
    /// `None` for what belongs to the whole process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pipeline: Option<String>,
    /// From the start of the program.
    pub(super) start_ms: f64,
    pub(super) length_ms: f64,
    /// Of the time to the first result, in percent; 0 for what comes later.
    pub(super) share_percent: f64,
}

/// One start.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Start {
    pub(super) first_result_ms: f64,
    pub(super) ready_ms: f64,
    pub(super) parts: Vec<Part>,
}

/// The starts of one kind.
#[derive(Debug, Serialize)]
pub(super) struct Starts {
    pub(super) median_ms: f64,
    pub(super) worst_ms: f64,
    /// Time to the first result of each, in the order of the runs.
    pub(super) first_result_ms: Vec<f64>,
    /// The start in the middle.
    pub(super) breakdown: Start,
}

/// Moment that a starting program told.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mark {
    pub(super) at_ns: u64,
    pub(super) name: String,
    pub(super) pipeline: Option<String>,
}

impl Mark {
    /// `1234 plan compiled\tdoor`.
    pub(super) fn parse(text: &str) -> Option<Mark> {
        let (at_ns, rest) = text.split_once(' ')?;
        let (name, pipeline) = match rest.split_once('\t') {
            Some((name, pipeline)) => (name, Some(pipeline.to_owned())),
            None => (rest, None),
        };
        Some(Mark { at_ns: at_ns.parse().ok()?, name: name.into(), pipeline })
    }
}

/// The parts between the marks of a program that was started at `began_ns`. `None` before there was a result and READY=1.
pub(super) fn breakdown(began_ns: u64, marks: &[Mark]) -> Option<Start> {
    let mut marks: Vec<&Mark> = marks.iter().collect();
    marks.sort_by_key(|mark| mark.at_ns);
    let ms = |at_ns: u64| Duration::from_nanos(at_ns.saturating_sub(began_ns)).as_secs_f64() * 1e3;
    let at = |name: &str| Some(ms(marks.iter().find(|m| m.name == name)?.at_ns));
    let (first_result_ms, ready_ms) = (at("first result")?, at("ready")?);
    let mut before_ms = 0.0;
    let mut parts = Vec::new();
    for mark in &marks {
        let Some((part, words)) = PARTS.iter().copied().find(|(name, _)| *name == mark.name) else { continue };
        let end_ms = ms(mark.at_ns);
        let length_ms = end_ms - before_ms;
        let counts = end_ms <= first_result_ms;
        let share_percent = if counts { 100.0 * length_ms / first_result_ms } else { 0.0 };
        let pipeline = mark.pipeline.clone();
        parts.push(Part { part, words, pipeline, start_ms: before_ms, length_ms, share_percent });
        before_ms = end_ms;
    }
    Some(Start { first_result_ms, ready_ms, parts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_ends_at_its_mark_and_the_shares_are_those_of_the_first_result() {
        let told = ["1000000 program", "3000000 plan compiled\tdoor", "4000000 ready", "5000000 first result\tdoor"];
        let marks: Vec<Mark> = told.iter().filter_map(|text| Mark::parse(text)).collect();
        assert_eq!(breakdown(0, &marks[..3]), None, "there is no result yet");
        let start = breakdown(0, &marks).unwrap();
        assert_eq!((start.first_result_ms, start.ready_ms), (5.0, 4.0));
        let parts: Vec<_> = start.parts.iter().map(|p| (p.part, p.start_ms, p.length_ms, p.share_percent)).collect();
        let expected = [
            ("program", 0.0, 1.0, 20.0),
            ("plan compiled", 1.0, 2.0, 40.0),
            ("ready", 3.0, 1.0, 20.0),
            ("first result", 4.0, 1.0, 20.0),
        ];
        assert_eq!(parts, expected);
        assert_eq!(start.parts[1].pipeline.as_deref(), Some("door"));
    }

    #[test]
    fn what_is_no_mark_is_left_out() {
        for text in ["", "x", "12", "x program"] {
            assert_eq!(Mark::parse(text), None, "{text}");
        }
    }
}
