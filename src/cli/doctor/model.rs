//! Words about models.

use super::shown::Shown;
use crate::diagnose::model::{Facts, Finding, Pace, Speed};

/// The finding for people.
pub fn shown(finding: &Finding) -> Shown {
    let shown = |text: String| Shown::new(finding.level(), "model", text);
    match finding {
        Finding::Missing { pipeline, model } => {
            let shown = shown(format!("{pipeline}: {model} is not there"));
            match model.contains('/') {
                true => {
                    shown.advice("is the path right? Names of installed models need none").command("leptond model list")
                }
                false => shown.command("leptond model list").command(format!("sudo leptond model add {model}")),
            }
        }
        Finding::Broken { pipeline, model, shipped, reason } => {
            let shown = shown(format!("{pipeline}: {model} cannot be used: {reason}"));
            match *shipped || model.contains('/') {
                true => shown.command(format!("leptond inspect {model}")),
                false => shown.command(format!("sudo leptond model remove {model} && sudo leptond model add {model}")),
            }
        }
        Finding::Works { pipeline, what, golden: 0 } => shown(format!("{pipeline}: {what} loads")),
        Finding::Works { pipeline, what, golden } => {
            shown(format!("{pipeline}: {what} loads; {golden} golden inputs as they should be"))
        }
        Finding::Speed { facts, speed, pace } => {
            let text = format!("{}: {}", facts.pipeline, speed_text(facts, speed));
            speed_shown(Shown::new(finding.level(), "speed", text), speed, pace)
        }
    }
}

fn speed_text(facts: &Facts, speed: &Speed) -> String {
    let text = match speed {
        Speed::Unknown(reason) => return reason.clone(),
        Speed::Observed { p95_ms, rung } => {
            let at = rung.as_ref().filter(|(rung, ..)| *rung > 0);
            let at = at.map(|(rung, of, reason)| format!(", at rung {rung} of {of} ({reason})")).unwrap_or_default();
            format!("95 % of results within {p95_ms:.0} ms of their frame{at}")
        }
        Speed::Measured { infer_ms, optimised, .. } => {
            let build = if *optimised { "" } else { " (in a build without optimisation)" };
            let digits = if *infer_ms < 1.0 { 3 } else { 1 };
            format!("{infer_ms:.digits$} ms for one inference{build}")
        }
    };
    match (facts.deadline_ms, speed, facts.interval_ms) {
        (Some(deadline), ..) => format!("{text}, deadline_ms is {deadline:.0}"),
        (None, Speed::Measured { infer_ms, .. }, Some(interval)) if *infer_ms <= interval => {
            format!("{text}, a frame every {interval:.0} ms")
        }
        _ => text,
    }
}

fn speed_shown(shown: Shown, speed: &Speed, pace: &Pace) -> Shown {
    match (pace, speed) {
        (Pace::Enough | Pace::Unknown, _) => shown,
        (Pace::Late { .. }, Speed::Observed { .. }) => {
            shown.command("leptond check --ladder").command("leptond probe --watch")
        }
        (Pace::Late { fitting: Some(rung) }, _) => shown.command("leptond check --ladder").advice(format!(
            "the governor lowers the work to rung {} ({}), {:.1} ms; a smaller model does it at full work",
            rung.number, rung.work, rung.infer_ms
        )),
        (Pace::Late { fitting: None }, _) => shown
            .command("leptond check --ladder")
            .advice("no rung of its ladder is fast enough: a smaller model, or a longer deadline_ms"),
        (Pace::Behind { possible_per_s, wanted_per_s }, _) => shown
            .and(format!(
                ": {possible_per_s:.1} of {wanted_per_s:.1} frames a second can be looked at, the newest each time"
            ))
            .advice(format!("lower source.fps to {:.1}, or take a smaller model", (possible_per_s * 0.8).max(0.1)))
            .command("leptond check --ladder"),
    }
}
