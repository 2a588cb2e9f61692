//! A run over pictures and tables, by what the bundle's manifest says: `leptond infer` and `leptond try`.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::drawn::Gallery;
use crate::cli::Failure;
use crate::cli::output::{tell, written};
use crate::frame::{
    ChannelShare, Detection, Frame, MeterReading, Outcome, Payload, PlaceRead, PositionRead, Quality, Spec,
};
use crate::pipeline::Planner;
use crate::pipeline::offline::{self, Item};

/// Words about a result and the frame that it is of, beside the line that has it; each becomes a line of its own.
pub type Remarks<'a> = dyn FnMut(&Frame, &Outcome) -> Vec<String> + 'a;

/// Way in which results are shown.
pub struct Shown<'a> {
    /// Directory for drawn pictures.
    pub gallery: Option<Gallery>,
    /// One JSON object for each result instead of a line.
    pub json: bool,
    /// Pipeline that an object names.
    pub pipeline: Option<&'a str>,
    /// More words about a line.
    pub remarks: Option<&'a mut Remarks<'a>>,
}

/// Runs the stages over every file in the order given; one line per frame or window. A file that cannot be read or used is
/// reported, the others still run, and the command fails at the end.
pub fn run(planner: &Planner, inputs: &[PathBuf], shown: Shown<'_>) -> Result<(), Failure> {
    let Shown { mut gallery, json, pipeline, mut remarks } = shown;
    let mut stages = planner.stages(&planner.full()).map_err(anyhow::Error::from)?;
    if gallery.is_some() && !matches!(stages.spec(), Spec::Image(_)) {
        return Err(Failure::Usage("--draw is for pictures, and this model takes windows of readings".into()));
    }
    let regions = &planner.regions();
    let mut failed = 0_u64;
    for input in inputs {
        // What a task remembers (smoothing, hysteresis) belongs to one file.
        planner.forget(&mut stages).map_err(anyhow::Error::from)?;
        let path = input.display().to_string();
        let mut source = match offline::open(&path, stages.spec()) {
            Ok(source) => source,
            Err(error) => {
                tell(&format!("error: {error}"));
                failed += 1;
                continue;
            }
        };
        let mut out = std::io::stdout().lock();
        let mut printed = Ok(true);
        let mut came = false;
        let ran = offline::run(&mut stages, source.as_mut(), |Item { origin, seq, frame, result, infer }| {
            came = true;
            let output = match result {
                Ok(output) => output,
                Err(error) => {
                    tell(&format!("error: {origin}: {error}"));
                    failed += 1;
                    return true;
                }
            };
            if let (Some(gallery), Some(Payload::Image(image))) = (&mut gallery, frame.map(|frame| &frame.payload)) {
                match gallery.add(origin, image, &output.outcome, regions) {
                    Ok(drawn) if drawn.file_name() != std::path::Path::new(origin).file_name() => {
                        tell(&format!("{origin} is drawn in {}", drawn.display()));
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tell(&format!("error: {origin}: cannot be drawn: {error:#}"));
                        failed += 1;
                    }
                }
            }
            let mut lines = if json {
                object(pipeline, origin, seq, &output.outcome, infer)
            } else {
                format!("{origin}: {} ({:.2} ms)", sentence(&output.outcome), infer.as_secs_f64() * 1e3)
            };
            if let (Some(remarks), Some(frame), false) = (&mut remarks, frame, json) {
                for remark in remarks(frame, &output.outcome) {
                    lines.push_str("\n  ");
                    lines.push_str(&remark);
                }
            }
            printed = written(writeln!(out, "{lines}"));
            matches!(printed, Ok(true))
        });
        if let Err(error) = ran {
            tell(&format!("error: {error}"));
            failed += 1;
        } else if !came {
            let whole = match stages.spec() {
                Spec::Image(_) => "picture".to_string(),
                Spec::Window(spec) => format!("window of {} rows", spec.rows),
                Spec::Readings => "reading".to_string(),
            };
            tell(&format!("error: {path}: there is no whole {whole} in it"));
            failed += 1;
        }
        // A reader that went away (`| head`) ends the run and is no failure.
        if !printed? {
            return Ok(());
        }
    }
    if failed > 0 {
        return Err(anyhow::anyhow!("{failed} inputs gave no result").into());
    }
    Ok(())
}

fn object(pipeline: Option<&str>, origin: &str, seq: u64, outcome: &Outcome, infer: Duration) -> String {
    let mut object = json!({ "input": origin, "seq": seq, "infer_ms": infer.as_secs_f64() * 1e3 });
    if let Some(name) = pipeline {
        object["pipeline"] = name.into();
    }
    if let (Some(object), Ok(serde_json::Value::Object(outcome))) =
        (object.as_object_mut(), serde_json::to_value(outcome))
    {
        object.extend(outcome);
    }
    object.to_string()
}

fn sentence(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Reading(reading) => match (&reading.label, reading.quality) {
            (Some(label), Quality::Good) => format!("{label} {:.3}", reading.score),
            (Some(label), quality) => format!("{label} (held: {quality})"),
            (None, quality) => format!("no reading ({quality})"),
        },
        Outcome::Classify { top, unreadable: Some(reason), .. } if top.is_empty() => {
            format!("nothing to read ({reason})")
        }
        Outcome::Classify { top, .. } => {
            top.iter().map(|s| format!("{} {:.3}", s.label, s.score)).collect::<Vec<_>>().join(", ")
        }
        Outcome::Detect { detections, .. } if detections.is_empty() => "nothing found".into(),
        Outcome::Detect { detections, .. } => {
            let one = |d: &Detection| {
                let [x1, y1, x2, y2] = d.bbox;
                let more = match (&d.corners, d.keypoints.len(), d.polygons.len()) {
                    (Some(corners), _, _) => {
                        let corners: Vec<String> = corners.iter().map(|[x, y]| format!("{x:.0},{y:.0}")).collect();
                        format!(" corners {}", corners.join(" "))
                    }
                    (None, 0, 0) => String::new(),
                    (None, 0, rings) => {
                        format!(" outline of {} points", d.polygons.iter().take(rings).flatten().count())
                    }
                    (None, points, _) => format!(" {points} key points"),
                };
                format!("{} {:.3} [{x1:.0}, {y1:.0}, {x2:.0}, {y2:.0}]{more}", d.label, d.score)
            };
            detections.iter().map(one).collect::<Vec<_>>().join("; ")
        }
        Outcome::Meter(reading) => meter(reading),
        Outcome::Position { positions } => positions.iter().map(position).collect::<Vec<_>>().join(", "),
        Outcome::Semantic { classes, .. } => {
            classes.iter().map(|class| format!("{} {:.3}", class.label, class.share)).collect::<Vec<_>>().join(", ")
        }
        Outcome::Text { text, score, regions } => {
            let one = |text: &Option<String>, score: f32| match text {
                Some(text) => format!("{text:?} {score:.3}"),
                None => format!("no text ({score:.3})"),
            };
            match regions.len() {
                0 => one(text, *score),
                _ => regions.iter().map(|read| one(&read.text, read.score)).collect::<Vec<_>>().join(", "),
            }
        }
        Outcome::Channels { calibrating: true, .. } => "learning".into(),
        Outcome::Channels { channels, score, .. } if channels.is_empty() => {
            score.map_or("normal".into(), |score| format!("normal, at most {score:.1} spreads off"))
        }
        Outcome::Channels { channels, .. } => channels.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        Outcome::Anomaly { score, threshold, anomalous, channels, .. } => {
            let limit = threshold.map_or("no threshold".into(), |t| format!("threshold {t:.4}"));
            let one = |channel: &ChannelShare| format!("{} {:.0} %", channel.channel, channel.share * 100.0);
            let most: Vec<String> = channels.iter().map(one).collect();
            let of = if most.is_empty() { String::new() } else { format!(" in {}", most.join(", ")) };
            format!("score {score:.4} ({limit}){}", if *anomalous { format!(", ANOMALY{of}") } else { of })
        }
        Outcome::Raw { outputs } => outputs
            .iter()
            .map(|o| {
                let shown: Vec<String> = o.values.iter().take(8).map(|v| format!("{v:.4}")).collect();
                let more = if o.values.len() > shown.len() { ", …" } else { "" };
                format!("{} {:?} [{}{more}]", o.name, o.shape, shown.join(", "))
            })
            .collect::<Vec<_>>()
            .join("; "),
    }
}

/// `00428.3571 m³ good (digits 0 0 4.1 2.0 8.4, dials 3.5 5.7 7.1 1.2)`.
fn meter(reading: &MeterReading) -> String {
    let unit = reading.unit.as_deref().map(|unit| format!(" {unit}")).unwrap_or_default();
    let number = reading.label.as_deref().map_or("no reading".into(), |label| format!("{label}{unit}"));
    let why = reading.problem.map(|problem| format!(": {problem}")).unwrap_or_default();
    let places = |name: &str, places: &[PlaceRead]| {
        let each: Vec<String> = places.iter().map(|place| position(&place.read)).collect();
        (!each.is_empty()).then(|| format!("{name} {}", each.join(" ")))
    };
    let parts: Vec<String> =
        [places("digits", &reading.digits), places("dials", &reading.dials)].into_iter().flatten().collect();
    format!("{number} {}{why} ({})", reading.quality, parts.join(", "))
}

fn position(read: &PositionRead) -> String {
    // Just below the end of the turn is its begin.
    let tenth = |position: f32| (position * 10.0).round() % 100.0 / 10.0;
    read.position.map_or_else(|| "?".into(), |position| format!("{:.1}", tenth(position)))
}
