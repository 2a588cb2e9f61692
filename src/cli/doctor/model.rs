//! The models: do they load, do they compute what they should, are they fast enough?

use std::path::PathBuf;

use super::super::progress::spinner;
use super::finding::Finding;
use crate::config::Config;
use crate::model;
use crate::pipeline::offline;
use crate::pipeline::{self, Measured, PipelineError, Places, Resolved};
use crate::runtime::status::Status;
use crate::sys::Roots;
use leptond_governor as governor;

/// What is known of the model of one pipeline.
pub struct Facts {
    /// Name of the pipeline.
    pub pipeline: String,
    /// As configured.
    pub model: String,
    /// What came of loading it.
    pub state: State,
    /// How late a result may be, in ms; `None` where no deadline is given.
    pub deadline_ms: Option<f64>,
    /// Time between two frames at full work in ms; `None` where it is not known.
    pub interval_ms: Option<f64>,
}

/// What came of it.
pub enum State {
    /// There is none of that name.
    Missing,
    /// It cannot be used.
    Broken(String),
    /// It works.
    Works {
        /// Version and engine.
        what: String,
        /// Golden inputs that were tried; each gave what it should.
        golden: usize,
        /// How fast it is.
        speed: Speed,
    },
}

/// How fast it is, and how that is known.
pub enum Speed {
    /// The daemon that runs says so: from a frame to its result, 95 of 100 results, in ms.
    Observed {
        /// In ms.
        p95_ms: f64,
        /// Position on the governor's ladder now, its length, and the reason.
        rung: Option<(usize, usize, String)>,
    },
    /// Measured by us, or remembered.
    Measured {
        /// One inference at full work in ms.
        infer_ms: f64,
        /// The rungs below, with what each takes and the least time between two frames, in ms.
        rungs: Vec<(String, f64, f64)>,
        /// Whether this build's times mean anything.
        optimised: bool,
    },
    /// It could not be measured.
    Unknown(String),
}

/// Loads and measures each; one that the daemon runs is not measured beside it. What was measured earlier is remembered in `state`.
pub fn gather(config: &Config, state: Option<PathBuf>, status: Option<&Status>) -> Vec<Facts> {
    let places = Places { models: config.models.dirs.clone(), state };
    config.resolved().iter().map(|p| facts(p, &places, status)).collect()
}

fn facts(resolved: &Resolved, places: &Places, status: Option<&Status>) -> Facts {
    let pipeline = &resolved.config;
    let deadline = pipeline.governor.deadline_ms;
    let frame = resolved.feed.frame_interval().as_secs_f64() * 1e3;
    let interval = frame.max(pipeline.governor.interval_ms as f64);
    Facts {
        pipeline: pipeline.name.to_string(),
        model: pipeline.model.clone(),
        state: spinner(&format!("loading {}", pipeline.model), || state(resolved, places, status)),
        deadline_ms: (deadline > 0).then_some(deadline as f64),
        interval_ms: (interval > 0.0).then_some(interval),
    }
}

fn state(resolved: &Resolved, places: &Places, status: Option<&Status>) -> State {
    let pipeline = &resolved.config;
    let bundle = match model::open(&pipeline.model, &places.models) {
        None => return State::Missing,
        Some(Err(error)) => return State::Broken(error.to_string()),
        Some(Ok(bundle)) => bundle,
    };
    let golden = match offline::golden(&bundle, pipeline.engine) {
        Ok((tried, failures)) => match failures.first() {
            None => tried,
            Some(first) => {
                let reason =
                    format!("{} of {tried} golden inputs give something else: {}", failures.len(), first.reason);
                return State::Broken(reason);
            }
        },
        Err(error) => return State::Broken(error.to_string()),
    };
    let what = format!("{} {}", bundle.manifest().name, bundle.manifest().version);
    let speed = match observed(&pipeline.name, status) {
        Some(speed) => speed,
        None => match pipeline::measure(resolved, places, &Roots::default()) {
            Ok(measured) => speed(&measured),
            Err(PipelineError::Fit(_, misfit)) => return State::Broken(misfit.to_string()),
            Err(error) => Speed::Unknown(error.to_string()),
        },
    };
    State::Works { what: what.trim().to_owned(), golden, speed }
}

fn observed(pipeline: &str, status: Option<&Status>) -> Option<Speed> {
    let status = status?;
    let p95_ms = f64::from(*status.p95_ms.get(pipeline)?);
    let rung = status.governor.pipelines.get(pipeline).map(|r| (r.rung, r.of, r.reason.clone()));
    Some(Speed::Observed { p95_ms, rung })
}

fn speed(measured: &Measured) -> Speed {
    let rung = |rung: &governor::OperatingPoint| {
        let setpoint = &rung.setpoint;
        let interval_ms = setpoint.interval.as_secs_f64() * 1e3;
        let size = setpoint.resolution.map(|pixels| format!(", {pixels} px")).unwrap_or_default();
        let batch = if setpoint.batch > 1 { format!(", batch {}", setpoint.batch) } else { String::new() };
        let words =
            format!("rung {} ({}{size}{batch})", setpoint.rung, measured.planner.variant_name(setpoint.variant));
        (words, f64::from(rung.cost.infer_ms), interval_ms)
    };
    let rungs: Vec<_> = measured.ladder.rungs.iter().map(rung).collect();
    let infer_ms = rungs.first().map_or(0.0, |(_, ms, _)| *ms);
    Speed::Measured { infer_ms, rungs, optimised: !cfg!(debug_assertions) }
}

/// What to make of them.
pub fn judge(facts: &[Facts]) -> Vec<Finding> {
    facts.iter().flat_map(one).collect()
}

fn one(facts: &Facts) -> Vec<Finding> {
    let Facts { pipeline: name, model, .. } = facts;
    match &facts.state {
        State::Missing => {
            let finding = Finding::trouble("model", format!("{name}: {model} is not there"));
            vec![match model.contains('/') {
                true => finding
                    .advice("is the path right? Names of installed models need none")
                    .command("leptond model list"),
                false => finding.command("leptond model list").command(format!("sudo leptond model add {model}")),
            }]
        }
        State::Broken(reason) => {
            let finding = Finding::trouble("model", format!("{name}: {model} cannot be used: {reason}"));
            let installed = !model.contains('/') && !model::shipped().any(|shipped| shipped == model);
            vec![match installed {
                true => finding.command(format!("sudo leptond model remove {model} && sudo leptond model add {model}")),
                false => finding.command(format!("leptond inspect {model}")),
            }]
        }
        State::Works { what, golden, speed } => {
            let proof =
                if *golden == 0 { "loads".into() } else { format!("loads; {golden} golden inputs as they should be") };
            vec![Finding::ok("model", format!("{name}: {what} {proof}")), pace(facts, speed)]
        }
    }
}

fn pace(facts: &Facts, speed: &Speed) -> Finding {
    let name = &facts.pipeline;
    match speed {
        Speed::Unknown(reason) => Finding::unknown("speed", format!("{name}: {reason}")),
        Speed::Observed { p95_ms, rung } => {
            let at = rung.as_ref().filter(|(rung, ..)| *rung > 0);
            let at = at.map(|(rung, of, reason)| format!(", at rung {rung} of {of} ({reason})")).unwrap_or_default();
            let text = format!("{name}: 95 % of results within {p95_ms:.0} ms of their frame{at}");
            match facts.deadline_ms {
                Some(deadline) if *p95_ms > deadline => {
                    let text = format!("{text}, deadline_ms is {deadline:.0}");
                    Finding::warning("speed", text).command("leptond check --ladder").command("leptond probe --watch")
                }
                Some(deadline) => Finding::ok("speed", format!("{text}, deadline_ms is {deadline:.0}")),
                None => Finding::ok("speed", text),
            }
        }
        Speed::Measured { infer_ms, rungs, optimised } => measured(facts, *infer_ms, rungs, *optimised),
    }
}

fn measured(facts: &Facts, infer_ms: f64, rungs: &[(String, f64, f64)], optimised: bool) -> Finding {
    let name = &facts.pipeline;
    let build = if optimised { "" } else { " (in a build without optimisation)" };
    let digits = if infer_ms < 1.0 { 3 } else { 1 };
    let text = format!("{name}: {infer_ms:.digits$} ms for one inference{build}");
    if let Some(deadline) = facts.deadline_ms {
        let text = format!("{text}, deadline_ms is {deadline:.0}");
        if infer_ms <= deadline {
            return Finding::ok("speed", text);
        }
        let fits = rungs.iter().find(|(_, ms, _)| *ms <= deadline);
        let finding = Finding::warning("speed", text).command("leptond check --ladder");
        return match fits {
            Some((rung, ms, _)) => finding.advice(format!(
                "the governor lowers the work to {rung}, {ms:.1} ms; a smaller model does it at full work"
            )),
            None => finding.advice("no rung of its ladder is fast enough: a smaller model, or a longer deadline_ms"),
        };
    }
    match facts.interval_ms {
        Some(interval) if infer_ms > interval => {
            let (does, wanted) = (1e3 / infer_ms.max(0.001), 1e3 / interval);
            let text =
                format!("{text}: {does:.1} of {wanted:.1} frames a second can be looked at, the newest each time");
            Finding::warning("speed", text)
                .advice(format!("lower source.fps to {:.1}, or take a smaller model", (does * 0.8).max(0.1)))
                .command("leptond check --ladder")
        }
        Some(interval) => Finding::ok("speed", format!("{text}, a frame every {interval:.0} ms")),
        None => Finding::ok("speed", text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    fn check(speed: Speed, deadline_ms: Option<f64>, interval_ms: Option<f64>, level: Level, parts: &[&str]) {
        let facts = Facts {
            pipeline: "p".into(),
            model: "m".into(),
            state: State::Works { what: "m 1".into(), golden: 3, speed },
            deadline_ms,
            interval_ms,
        };
        let findings = one(&facts);
        let shown = format!("{findings:?}");
        assert!(findings.len() == 2 && findings[0].level == Level::Ok && findings[1].level == level, "{shown}");
        parts.iter().for_each(|part| assert!(shown.contains(part), "{part}: {shown}"));
    }

    #[test]
    fn fast_enough_or_not() {
        let measured = || Speed::Measured {
            infer_ms: 120.0,
            rungs: vec![("rung 0 (full)".into(), 120.0, 0.0), ("rung 1 (full, 96 px)".into(), 40.0, 0.0)],
            optimised: true,
        };
        let observed = |p95_ms| Speed::Observed { p95_ms, rung: Some((1, 4, "hot".into())) };
        check(measured(), Some(200.0), None, Level::Ok, &["120.0 ms", "deadline_ms is 200"]);
        check(measured(), Some(50.0), None, Level::Warning, &["rung 1 (full, 96 px), 40.0 ms", "check --ladder"]);
        check(measured(), Some(10.0), None, Level::Warning, &["no rung of its ladder"]);
        check(measured(), None, Some(66.7), Level::Warning, &["8.3 of 15.0 frames", "source.fps to 6.7"]);
        check(measured(), None, Some(200.0), Level::Ok, &["a frame every 200 ms"]);
        check(measured(), None, None, Level::Ok, &["120.0 ms"]);
        check(observed(90.0), Some(100.0), None, Level::Ok, &["within 90 ms", "rung 1 of 4 (hot)"]);
        check(observed(190.0), Some(100.0), None, Level::Warning, &["deadline_ms is 100"]);
        check(Speed::Unknown("why".into()), None, None, Level::Unknown, &["why"]);
    }

    #[test]
    fn what_does_not_load_says_how_to_get_it() {
        for (model, state, part) in [
            ("person", State::Missing, "sudo leptond model add person"),
            ("person", State::Broken("its hash differs".into()), "model remove person"),
            ("/m/x.onnx", State::Broken("not ONNX".into()), "leptond inspect /m/x.onnx"),
        ] {
            let facts =
                Facts { pipeline: "p".into(), model: model.into(), state, deadline_ms: None, interval_ms: None };
            let findings = one(&facts);
            assert!(findings[0].level == Level::Trouble && format!("{findings:?}").contains(part), "{findings:?}");
        }
    }
}
