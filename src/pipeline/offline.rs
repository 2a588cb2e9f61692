//! Stages over files instead of a live source: `leptond infer`, and the golden inputs that `leptond check` runs.

use std::path::Path;
use std::time::{Duration, Instant};

use super::error::PlanError;
use super::planner::Planner;
use super::stages::Stages;
use crate::frame::{Frame, Outcome, PositionRead, Quality, Reading, Spec, Unreadable};
use crate::model::manifest::Golden;
use crate::model::{Bundle, Engine};
use crate::source::{self, FilesConfig, Next, SensorConfig, SensorKind, Source, SourceError};
use crate::task::TaskOutput;
use leptond_governor::Setpoint;

/// One golden input that did not give what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoldenFailure {
    /// The file.
    pub file: String,
    /// Expected and found.
    pub reason: String,
}

/// Reason for which files could not be run over.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// The stages cannot be made.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The file cannot be read at all.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A file of a kind that the model does not take.
    #[error("{0}")]
    Kind(String),
}

/// Opens one file (or directory, or glob) for a model that wants `spec`: pictures, or CSV and JSON Lines cut into windows
/// that do not overlap, of the channels that the model names. A reading without a value for one of them is left out.
///
/// # Errors
/// [`OfflineError::Kind`] when the model wants the other kind, [`OfflineError::Source`] when it cannot be opened.
pub fn open(path: &str, spec: &Spec) -> Result<Box<dyn Source>, OfflineError> {
    let table = SensorKind::of_file(Path::new(path));
    let mut channels = Vec::new();
    let config: source::Config = match (table, spec) {
        (Some(kind), Spec::Window(spec)) => {
            channels.clone_from(&spec.channels);
            let rows = u32::try_from(spec.rows).unwrap_or(u32::MAX);
            SensorConfig {
                kind,
                path: path.into(),
                interval_ms: 0,
                window: rows,
                stride: rows,
                ..SensorConfig::default()
            }
            .into()
        }
        (Some(kind), Spec::Readings) => {
            SensorConfig { kind, path: path.into(), interval_ms: 0, ..SensorConfig::default() }.into()
        }
        (None, Spec::Image(_)) => FilesConfig { path: path.into(), repeat: false, fps: 0.0 }.into(),
        (Some(_), Spec::Image(_)) => {
            return Err(OfflineError::Kind(format!("{path}: the model takes pictures, this is a table of numbers")));
        }
        (None, Spec::Window(_) | Spec::Readings) => {
            return Err(OfflineError::Kind(format!("{path}: it takes readings, give a .csv or .jsonl file")));
        }
    };
    let gaps = matches!(spec, Spec::Readings);
    Ok(source::open(&config, source::Context { channels, gaps, ..source::Context::default() })?)
}

/// Result of one frame of a run over files.
pub struct Item<'a> {
    /// The file (or file and line) that it came from.
    pub origin: &'a str,
    /// Counts the frames that could be read, from 1.
    pub seq: u64,
    /// The frame itself, where it could be read.
    pub frame: Option<&'a Frame>,
    /// What the stages said, or why the frame gave nothing.
    pub result: Result<TaskOutput, String>,
    /// Time in the model.
    pub infer: Duration,
}

/// Runs every frame of `source` through `stages` and gives each result to `each`, which ends the run by returning false.
/// A frame that cannot be read or used is given as its error, and the run goes on.
///
/// # Errors
/// [`SourceError`] when the source cannot go on.
pub fn run(
    stages: &mut Stages,
    source: &mut dyn Source,
    mut each: impl FnMut(Item<'_>) -> bool,
) -> Result<(), SourceError> {
    let started = Instant::now();
    let mut seq = 0;
    frames(source, |frame| {
        let frame = match frame {
            Ok(frame) => frame,
            Err((origin, reason)) => {
                return each(Item { origin, seq, frame: None, result: Err(reason), infer: Duration::ZERO });
            }
        };
        seq = frame.seq;
        let mut infer = Duration::ZERO;
        let result = stages.prepare(frame, 0).and_then(|()| {
            let before = Instant::now();
            stages.infer()?;
            infer = before.elapsed();
            stages.interpret(0, started.elapsed(), frame.time)
        });
        let result = result.map_err(|e| e.to_string());
        each(Item { origin: &frame.origin, seq, frame: Some(frame), result, infer })
    })
}

/// Gives every frame of `source` to `each`, counted from 1, which ends it by returning false. One that cannot be read is given as where it came
/// from and why.
///
/// # Errors
/// [`SourceError`] when the source cannot go on.
pub(super) fn frames(
    source: &mut dyn Source,
    mut each: impl FnMut(Result<&Frame, (&str, String)>) -> bool,
) -> Result<(), SourceError> {
    let mut frame = Frame::empty();
    loop {
        let goes_on = match source.next(&mut frame) {
            Ok(Next::Frame) => {
                frame.seq += 1;
                each(Ok(&frame))
            }
            Ok(Next::Idle(_)) => true,
            Ok(Next::End) => false,
            Err(SourceError::Bad { origin, reason }) => each(Err((&origin, reason))),
            Err(error) => return Err(error),
        };
        if !goes_on {
            return Ok(());
        }
    }
}

/// Runs the golden inputs of a bundle and returns how many there are and which failed.
///
/// # Errors
/// When the model cannot be used at all.
pub fn golden(bundle: &Bundle, engine: Engine) -> Result<(usize, Vec<GoldenFailure>), OfflineError> {
    let planner = Planner::of_bundle(bundle.clone(), engine, 1)?;
    let mut stages = planner.stages(&Setpoint::full())?;
    let mut failures = Vec::new();
    for golden in bundle.goldens() {
        let reason = run_golden(&planner, &mut stages, golden)?;
        failures.extend(reason.map(|reason| GoldenFailure { file: golden.file.clone(), reason }));
    }
    Ok((bundle.goldens().len(), failures))
}

/// Share of a bundle's golden inputs that `stages`, compiled by `planner` for one frame at a time, get right, 0 to 1. `None` where there
/// are none, or not all were run by `until`.
///
/// # Errors
/// When an input cannot be read.
pub(crate) fn golden_share(
    planner: &Planner,
    stages: &mut Stages,
    until: Instant,
) -> Result<Option<f64>, OfflineError> {
    let goldens = planner.bundle.goldens();
    let mut right = 0_usize;
    for golden in goldens {
        if Instant::now() >= until {
            return Ok(None);
        }
        right += usize::from(run_golden(planner, stages, golden)?.is_none());
    }
    Ok((!goldens.is_empty()).then(|| right as f64 / goldens.len() as f64))
}

/// Difference from the golden input, if any.
fn run_golden(planner: &Planner, stages: &mut Stages, golden: &Golden) -> Result<Option<String>, OfflineError> {
    // What a task remembers belongs to one input.
    planner.forget(stages)?;
    let path = planner.bundle.path().join(&golden.file).display().to_string();
    let mut source = open(&path, stages.spec())?;
    let mut outcomes = Vec::new();
    let mut failed = None;
    run(stages, source.as_mut(), |item| {
        match item.result {
            Ok(output) => outcomes.push(output.outcome),
            Err(error) => failed = Some(error),
        }
        true
    })?;
    Ok(failed.or_else(|| disagreement(golden, &outcomes)))
}

fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Classify { .. } => "a class",
        Outcome::Reading(_) => "a reading",
        Outcome::Detect { .. } => "objects",
        Outcome::Semantic { .. } => "shares of classes",
        Outcome::Position { .. } => "positions",
        Outcome::Meter(_) => "a meter's number",
        Outcome::Text { .. } => "text",
        Outcome::Anomaly { .. } => "an anomaly's score",
        Outcome::Channels { .. } => "channels",
        Outcome::Raw { .. } => "outputs as they are",
    }
}

/// Most that a golden position may be off, in tenths of a turn.
const POSITION_SLACK: f32 = 0.3;

/// Difference from the golden position, if any; `None` = there is none to be read.
fn wrong_position(expected: Option<f32>, positions: &[PositionRead]) -> Option<String> {
    let found = positions.first().and_then(|read| read.position);
    let near = match (expected, found) {
        (Some(expected), Some(found)) => ((expected - found + 5.0).rem_euclid(10.0) - 5.0).abs() <= POSITION_SLACK,
        (None, None) => true,
        _ => false,
    };
    let words = |position: Option<f32>| position.map_or_else(|| "none".to_owned(), |p| format!("{p:.2}"));
    (!near).then(|| format!("expected the position {}, found {}", words(expected), words(found)))
}

/// Difference from the golden input, if any; `outcomes` is what came.
fn disagreement(golden: &Golden, outcomes: &[Outcome]) -> Option<String> {
    let Some(last) = outcomes.last() else { return Some("gave no result".into()) };
    if let Outcome::Position { positions } = last {
        return wrong_position(golden.position, positions);
    }
    if let Some(expected) = &golden.label {
        return match last {
            Outcome::Classify { label, .. } if label == expected => None,
            // The class for "nothing to read here" is an answer that a golden input may ask for, and no label that is published.
            Outcome::Classify { top, unreadable: Some(Unreadable::NoDigit), .. }
                if top.first().is_some_and(|best| *best.label == **expected) =>
            {
                None
            }
            Outcome::Classify { label, score, .. } => {
                Some(format!("expected {expected:?}, found {label:?} (score {score:.3})"))
            }
            Outcome::Reading(Reading { label: Some(label), quality: Quality::Good, .. }) if label == expected => None,
            Outcome::Reading(Reading { label, quality, score, .. }) => Some(format!(
                "expected {expected:?}, found {:?} ({quality:?}, score {score:.3})",
                label.as_deref().unwrap_or_default()
            )),
            Outcome::Text { text: Some(text), .. } if text == expected => None,
            Outcome::Text { text, score, .. } => Some(format!(
                "expected {expected:?}, found {:?} (score {score:.3})",
                text.as_deref().unwrap_or_default()
            )),
            other => Some(format!("expected the label {expected:?}, found {}", kind(other))),
        };
    }
    if let Some(expected) = golden.anomalous {
        let flagged = outcomes.iter().any(|o| matches!(o, Outcome::Anomaly { anomalous: true, .. }));
        return (flagged != expected).then(|| format!("expected anomalous = {expected}, found {flagged}"));
    }
    let found: Vec<&str> = match last {
        Outcome::Detect { detections, .. } => detections.iter().map(|d| &*d.label).collect(),
        Outcome::Semantic { classes, .. } => classes.iter().map(|class| &*class.label).collect(),
        _ => Vec::new(),
    };
    let missing: Vec<&str> = golden.labels.iter().map(String::as_str).filter(|l| !found.contains(l)).collect();
    (!missing.is_empty()).then(|| format!("expected {missing:?} among the detections, found {found:?}"))
}
