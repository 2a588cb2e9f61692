//! The models: whether each loads, computes what it should and is fast enough.

use std::path::PathBuf;

use super::Level;
use crate::config::Config;
use crate::model;
use crate::pipeline::offline;
use crate::pipeline::{self, Measured, PipelineError, Places, Resolved};
use crate::runtime::status::Status;
use crate::sys::Roots;
use leptond_governor as governor;

/// Facts about the model of one pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Name of the pipeline.
    pub pipeline: String,
    /// As configured.
    pub model: String,
    /// Result of loading it.
    pub state: State,
    /// Deadline of a result after its frame, in ms; `None` where no deadline is given.
    pub deadline_ms: Option<f64>,
    /// Time between two frames at full work in ms; `None` where it is not known.
    pub interval_ms: Option<f64>,
}

/// Result of loading a model.
#[derive(Clone, Debug, PartialEq)]
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
        /// Its speed.
        speed: Speed,
    },
}

/// Speed of a model, and the source of that figure.
#[derive(Clone, Debug, PartialEq)]
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
        /// The points of its ladder, full work first.
        rungs: Vec<Rung>,
        /// The build is optimised, so that its times mean something.
        optimised: bool,
    },
    /// It could not be measured.
    Unknown(String),
}

/// A point of a ladder.
#[derive(Clone, Debug, PartialEq)]
pub struct Rung {
    /// Its number, from 0.
    pub number: usize,
    /// Variant, resolution and batch.
    pub work: String,
    /// One inference in ms.
    pub infer_ms: f64,
}

/// Loads and measures each; one that the daemon runs is not measured beside it. What was measured earlier is remembered in `state`. `around` runs the work on
/// the model that it is told of, so that a caller can show what takes its time.
pub fn gather(
    config: &Config,
    state: Option<PathBuf>,
    status: Option<&Status>,
    around: &dyn Fn(&str, &mut dyn FnMut()),
) -> Vec<Facts> {
    let places = Places { models: config.models.dirs.clone(), state };
    config.resolved().iter().map(|p| facts(p, &places, status, around)).collect()
}

fn facts(
    resolved: &Resolved,
    places: &Places,
    status: Option<&Status>,
    around: &dyn Fn(&str, &mut dyn FnMut()),
) -> Facts {
    let pipeline = &resolved.config;
    let deadline = pipeline.governor.deadline_ms;
    let frame = resolved.feed.frame_interval().as_secs_f64() * 1e3;
    let interval = frame.max(pipeline.governor.interval_ms as f64);
    let mut loaded = State::Missing;
    around(pipeline.model_name(), &mut || loaded = state(resolved, places, status));
    Facts {
        pipeline: pipeline.name.to_string(),
        model: pipeline.model_name().to_owned(),
        state: loaded,
        deadline_ms: (deadline > 0).then_some(deadline as f64),
        interval_ms: (interval > 0.0).then_some(interval),
    }
}

fn state(resolved: &Resolved, places: &Places, status: Option<&Status>) -> State {
    let pipeline = &resolved.config;
    let readings =
        pipeline.task.kind().filter(|kind| !kind.needs_model()).map(|kind| Ok(model::Bundle::readings(kind)));
    let bundle = match readings.or_else(|| model::open(pipeline.model_name(), &places.models)) {
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
        let size = setpoint.resolution.map(|pixels| format!(", {pixels} px")).unwrap_or_default();
        let batch = if setpoint.batch > 1 { format!(", batch {}", setpoint.batch) } else { String::new() };
        let variant = measured.planner.variant_name(setpoint.variant);
        Rung { number: setpoint.rung, work: format!("{variant}{size}{batch}"), infer_ms: f64::from(rung.cost.infer_ms) }
    };
    let rungs: Vec<_> = measured.ladder.rungs.iter().map(rung).collect();
    let infer_ms = rungs.first().map_or(0.0, |full| full.infer_ms);
    Speed::Measured { infer_ms, rungs, optimised: !cfg!(debug_assertions) }
}

/// A finding about the model of a pipeline.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "fields have their meaning and unit in their names")]
pub enum Finding {
    /// There is none of that name.
    Missing { pipeline: String, model: String },
    /// It cannot be used; `shipped`: it is part of the program.
    Broken { pipeline: String, model: String, shipped: bool, reason: String },
    /// It loads, and its golden inputs give what they should.
    Works { pipeline: String, what: String, golden: usize },
    /// Its speed against what is asked of it.
    Speed { facts: Facts, speed: Speed, pace: Pace },
}

/// Speed of a model against what is asked of it.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "fields have their meaning and unit in their names")]
pub enum Pace {
    /// It is fast enough, or nothing is asked of it.
    Enough,
    /// Results miss the deadline; the rung of the ladder that keeps it, where one does.
    Late { fitting: Option<Rung> },
    /// Frames come faster than they can be looked at; both in frames a second.
    Behind { possible_per_s: f64, wanted_per_s: f64 },
    /// It could not be measured.
    Unknown,
}

impl Finding {
    /// Severity.
    pub fn level(&self) -> Level {
        match self {
            Finding::Missing { .. } | Finding::Broken { .. } => Level::Trouble,
            Finding::Works { .. } => Level::Ok,
            Finding::Speed { pace, .. } => match pace {
                Pace::Enough => Level::Ok,
                Pace::Late { .. } | Pace::Behind { .. } => Level::Warning,
                Pace::Unknown => Level::Unknown,
            },
        }
    }
}

/// The findings that the facts give.
pub fn judge(facts: &[Facts]) -> Vec<Finding> {
    facts.iter().flat_map(one).collect()
}

fn one(facts: &Facts) -> Vec<Finding> {
    let (pipeline, model) = (facts.pipeline.clone(), facts.model.clone());
    match &facts.state {
        State::Missing => vec![Finding::Missing { pipeline, model }],
        State::Broken(reason) => {
            let shipped = model::shipped().any(|shipped| shipped == model);
            vec![Finding::Broken { pipeline, model, shipped, reason: reason.clone() }]
        }
        State::Works { what, golden, speed } => vec![
            Finding::Works { pipeline, what: what.clone(), golden: *golden },
            Finding::Speed { facts: facts.clone(), pace: pace(facts, speed), speed: speed.clone() },
        ],
    }
}

fn pace(facts: &Facts, speed: &Speed) -> Pace {
    match (speed, facts.deadline_ms, facts.interval_ms) {
        (Speed::Unknown(_), ..) => Pace::Unknown,
        (Speed::Observed { p95_ms, .. }, Some(deadline), _) if *p95_ms > deadline => Pace::Late { fitting: None },
        (Speed::Measured { infer_ms, rungs, .. }, Some(deadline), _) if *infer_ms > deadline => {
            Pace::Late { fitting: rungs.iter().find(|rung| rung.infer_ms <= deadline).cloned() }
        }
        (Speed::Measured { infer_ms, .. }, None, Some(interval)) if *infer_ms > interval => {
            Pace::Behind { possible_per_s: 1e3 / infer_ms.max(0.001), wanted_per_s: 1e3 / interval }
        }
        (Speed::Observed { .. } | Speed::Measured { .. }, ..) => Pace::Enough,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        speed: Speed,
        deadline_ms: Option<f64>,
        interval_ms: Option<f64>,
        level: Level,
        expected: impl Fn(&Pace) -> bool,
    ) {
        let facts = Facts {
            pipeline: "p".into(),
            model: "m".into(),
            state: State::Works { what: "m 1".into(), golden: 3, speed },
            deadline_ms,
            interval_ms,
        };
        let findings = one(&facts);
        assert!(matches!(&findings[0], Finding::Works { golden: 3, .. }), "{findings:?}");
        let Finding::Speed { pace, .. } = &findings[1] else { panic!("{findings:?}") };
        assert!(expected(pace) && findings[1].level() == level, "{findings:?}");
    }

    #[test]
    fn fast_enough_or_not() {
        let rung = |number, infer_ms| Rung { number, work: "full".into(), infer_ms };
        let measured =
            || Speed::Measured { infer_ms: 120.0, rungs: vec![rung(0, 120.0), rung(1, 40.0)], optimised: true };
        let observed = |p95_ms| Speed::Observed { p95_ms, rung: Some((1, 4, "hot".into())) };
        let enough = |pace: &Pace| *pace == Pace::Enough;
        check(measured(), Some(200.0), None, Level::Ok, enough);
        check(measured(), Some(50.0), None, Level::Warning, |pace| {
            matches!(pace, Pace::Late { fitting: Some(Rung { number: 1, .. }) })
        });
        check(measured(), Some(10.0), None, Level::Warning, |pace| *pace == Pace::Late { fitting: None });
        check(measured(), None, Some(66.7), Level::Warning, |pace| {
            matches!(pace, Pace::Behind { possible_per_s: 8.3..8.4, wanted_per_s: 14.9..15.1 })
        });
        check(measured(), None, Some(200.0), Level::Ok, enough);
        check(measured(), None, None, Level::Ok, enough);
        check(observed(90.0), Some(100.0), None, Level::Ok, enough);
        check(observed(190.0), Some(100.0), None, Level::Warning, |pace| *pace == Pace::Late { fitting: None });
        check(Speed::Unknown("why".into()), None, None, Level::Unknown, |pace| *pace == Pace::Unknown);
    }
}
