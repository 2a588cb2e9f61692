//! `leptond capture`: what a source gives, without a model: pictures to look at, their rate, size and colours.

mod first;
mod picture;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Serialize;
use serde_json::json;

use super::output::written;
use super::source_pairs::source_of_pairs;
use super::span::span;
use super::words::counted;
use super::{Failure, choice};
use crate::config;
use crate::frame::{Frame, Payload, Window};
use crate::source::{self, Next, Source, SourceError};
use picture::{Look, look, rounded, save};

/// Arguments of `leptond capture`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The source, as in [pipeline.source]: type=v4l2 device=/dev/video0 format=yuyv width=1280; without one and without
    /// --pipeline, one picture of the first camera that works is saved
    #[arg(value_name = "KEY=VALUE")]
    source: Vec<String>,
    /// Take the source of this pipeline of the configuration instead
    #[arg(long, value_name = "NAME", conflicts_with = "source")]
    pipeline: Option<String>,
    /// Configuration file for --pipeline
    #[arg(long, value_name = "FILE", requires = "pipeline")]
    config: Option<PathBuf>,
    /// Stop after this many frames; 0 = never
    #[arg(short = 'n', long, default_value_t = 10)]
    frames: u64,
    /// Stop after this long, for instance 20s; without it, a source that gives nothing is given up after 10 s
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    duration: Option<Duration>,
    /// Save each picture into this directory: JPEG and PNG as they come, raw ones as PNG
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print every figure of a picture, its colours as well
    #[arg(long)]
    raw: bool,
    /// One JSON object per event, and a summary as the last one
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    if args.source.is_empty() && args.pipeline.is_none() {
        if args.json {
            return Err(Failure::Usage("--json is for a source that is named, such as type=v4l2".into()));
        }
        if let Some(dir) = &args.out {
            fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        }
        let _log = crate::telemetry::init(&quiet());
        return first::run(args.out);
    }
    let config = source_config(&args)?;
    let patience = first::PATIENCE + config.kind().frame_interval() * 2;
    let _log = crate::telemetry::init(&quiet());
    if let Some(dir) = &args.out {
        fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    }
    let mut source =
        source::open(&config, source::Context::default()).map_err(|error| Failure::Failed(error.into()))?;
    let summary = match capture(source.as_mut(), &args, patience, &mut io::stdout().lock()) {
        Err(Stopped::Write(error)) => return written(Err(error)).map(drop),
        Err(Stopped::Failed(error)) => return Err(error.into()),
        Ok(summary) => summary,
    };
    if summary.frames == 0 {
        let trouble = if summary.trouble.is_empty() { "it said nothing" } else { &summary.trouble };
        return Err(anyhow::anyhow!("{}: nothing came: {trouble}", source.describe()).into());
    }
    Ok(())
}

/// Log of warnings only: the lines say what is told of a source.
fn quiet() -> crate::telemetry::Config {
    crate::telemetry::Config { level: "warn".into(), ..crate::telemetry::Config::default() }
}

/// The source that the arguments describe, checked as in a configuration file.
fn source_config(args: &Args) -> Result<source::Config, Failure> {
    let Some(name) = &args.pipeline else { return source_of_pairs(&args.source).map_err(Failure::Usage) };
    let options = config::Options { file: args.config.clone(), skip_files: true, ..config::Options::default() };
    let loaded = config::load(&options).map_err(|errors| Failure::Config(errors.to_string()))?;
    let file = args.config.as_deref().unwrap_or(Path::new(config::DEFAULT_FILE));
    let pipeline = choice::pipeline(&loaded.config, file, Some(name), |_| true)?;
    let unknown = || Failure::Usage(format!("--pipeline {name}: its source is not in the configuration"));
    loaded.config.source_of(&pipeline.source).cloned().ok_or_else(unknown)
}

/// An early end of a capture.
enum Stopped {
    Write(io::Error),
    Failed(anyhow::Error),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Stopped::Write(error)
    }
}

#[derive(Debug, Default, Serialize)]
struct Summary {
    source: String,
    frames: u64,
    bad: u64,
    lost: u64,
    /// From the first frame to the last.
    seconds: f64,
    fps: f64,
    /// The newest thing that went wrong.
    #[serde(skip_serializing_if = "String::is_empty")]
    trouble: String,
    /// Of the newest picture.
    #[serde(flatten)]
    picture: Option<Look>,
}

/// Takes frames until there are enough, the time is over, or none has come within `patience` where no time is given.
fn capture(source: &mut dyn Source, args: &Args, patience: Duration, out: &mut impl Write) -> Result<Summary, Stopped> {
    let begun = Instant::now();
    let mut summary = Summary::default();
    let mut first = None;
    let mut frame = Frame::empty();
    let mut idle = String::new();
    let mut rgb = Vec::new();
    loop {
        let event = match source.next(&mut frame) {
            Ok(Next::Frame) => {
                summary.frames += 1;
                let captured = frame.captured;
                let age_ms = rounded(captured.elapsed().as_secs_f64() * 1e3);
                summary.seconds = captured.saturating_duration_since(*first.get_or_insert(captured)).as_secs_f64();
                idle.clear();
                match &frame.payload {
                    Payload::Window(window) => Some(window_event(summary.frames, window)),
                    Payload::Image(image) => match look(image, &mut rgb) {
                        Ok(look) => {
                            if let Some(dir) = &args.out {
                                save(dir, &format!("{:06}", summary.frames), image, &look, &rgb)
                                    .map_err(Stopped::Failed)?;
                            }
                            let event =
                                json!({ "event": "frame", "frame": summary.frames, "age_ms": age_ms, "picture": look });
                            summary.picture = Some(look);
                            Some(event)
                        }
                        Err(reason) => {
                            summary.bad += 1;
                            Some(trouble(&mut summary, "bad", reason.to_string()))
                        }
                    },
                }
            }
            Ok(Next::Idle(reason)) if reason == idle => None,
            Ok(Next::Idle(reason)) => {
                idle.clone_from(&reason);
                Some(trouble(&mut summary, "idle", reason))
            }
            Ok(Next::End) => break,
            Err(SourceError::Bad { reason, .. }) => {
                summary.bad += 1;
                Some(trouble(&mut summary, "bad", reason))
            }
            Err(SourceError::Lost { reason, .. }) => {
                summary.lost += 1;
                Some(trouble(&mut summary, "lost", reason))
            }
            Err(error @ SourceError::Fatal { .. }) => return Err(Stopped::Failed(error.into())),
        };
        if let Some(event) = event {
            tell(&event, args, out)?;
        }
        let enough = args.frames > 0 && summary.frames >= args.frames;
        let hopeless = args.duration.is_none() && summary.frames == 0 && begun.elapsed() >= patience;
        if enough || hopeless || args.duration.is_some_and(|limit| begun.elapsed() >= limit) {
            break;
        }
    }
    summary.source = source.describe();
    if summary.seconds > 0.0 {
        summary.fps = (summary.frames - 1) as f64 / summary.seconds;
    }
    let mut event = json!({ "event": "summary" });
    if let (Some(event), Ok(serde_json::Value::Object(values))) =
        (event.as_object_mut(), serde_json::to_value(&summary))
    {
        event.extend(values);
    }
    tell(&event, args, out)?;
    Ok(summary)
}

fn trouble(summary: &mut Summary, event: &str, reason: String) -> serde_json::Value {
    summary.trouble.clone_from(&reason);
    json!({ "event": event, "reason": reason })
}

fn window_event(number: u64, window: &Window) -> serde_json::Value {
    json!({ "event": "frame", "frame": number, "rows": window.rows, "channels": window.channels.to_vec() })
}

/// A line for a script or for a person.
fn tell(event: &serde_json::Value, args: &Args, out: &mut impl Write) -> io::Result<()> {
    if args.json {
        writeln!(out, "{event}")?;
    } else if args.raw {
        let values = event.as_object().into_iter().flatten().filter(|(key, _)| *key != "event");
        let words: Vec<String> = values.map(|(key, value)| format!("{key} {value}")).collect();
        writeln!(out, "{:<8}{}", event["event"].as_str().unwrap_or_default(), words.join("  "))?;
    } else {
        writeln!(out, "{}", words(event))?;
    }
    out.flush()
}

/// An event in words.
fn words(event: &serde_json::Value) -> String {
    let count = |key: &str| event[key].as_u64().unwrap_or_default();
    let kind = event["event"].as_str().unwrap_or_default();
    match kind {
        "frame" => {
            let picture = &event["picture"];
            let what = match (picture["width"].as_u64(), event["channels"].as_array()) {
                (Some(width), _) => {
                    let format = picture["format"].as_str().unwrap_or_default();
                    let age = event["age_ms"].as_f64().unwrap_or_default();
                    format!("{width} × {} {format}, {age:.0} ms old", picture["height"])
                }
                (None, Some(channels)) => {
                    let named = channels.iter().filter_map(|channel| channel.as_str()).collect::<Vec<_>>().join(", ");
                    format!("{} of {named}", counted(count("rows") as usize, "reading"))
                }
                (None, None) => String::new(),
            };
            format!("{:>6}  {what}", count("frame"))
        }
        "summary" => {
            let mut text = counted(count("frames") as usize, "frame");
            if let Some(fps) = event["fps"].as_f64().filter(|fps| *fps > 0.0) {
                text += &format!(", {fps:.1} a second");
            }
            for (key, word) in [("bad", "damaged"), ("lost", "lost")] {
                if count(key) > 0 {
                    text += &format!(", {} {word}", count(key));
                }
            }
            format!("{text}: {}", event["source"].as_str().unwrap_or_default())
        }
        _ => format!("{kind:>6}  {}", event["reason"].as_str().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(source: &[&str]) -> Args {
        Args {
            source: source.iter().map(|s| (*s).to_owned()).collect(),
            pipeline: None,
            config: None,
            frames: 3,
            duration: None,
            out: None,
            raw: false,
            json: true,
        }
    }

    #[test]
    fn pairs_become_a_checked_source() {
        let config = source_config(&args(&["type=v4l2", "device=/dev/video2", "format=nv12", "fps=7.5"])).unwrap();
        let source::Config::V4l2(config) = config else { panic!("{config:?}") };
        assert_eq!(
            (config.device, config.format, config.fps, config.width),
            ("/dev/video2".into(), source::V4l2Format::Nv12, 7.5, 640)
        );
        for (pairs, expected) in [
            (&["type=v4l2", "width=7"][..], "width"),
            (&["type=v4l2", "colour=red"], "colour"),
            (&["type=webcam"], "webcam"),
            (&["v4l2"], "KEY=VALUE"),
        ] {
            let Err(Failure::Usage(message)) = source_config(&args(pairs)) else { panic!("{pairs:?} was accepted") };
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn events_end_with_a_summary_and_pictures_are_saved() {
        let dir = tempfile::tempdir().unwrap();
        let config = source_config(&args(&["type=synthetic", "fps=100", "width=64", "height=48"])).unwrap();
        let mut source = source::open(&config, source::Context::default()).unwrap();
        let mut out = Vec::new();
        let args = Args { out: Some(dir.path().to_owned()), ..args(&[]) };
        let summary = capture(source.as_mut(), &args, first::PATIENCE, &mut out).ok().unwrap();
        assert_eq!((summary.frames, summary.bad, summary.lost), (3, 0, 0));
        let lines: Vec<serde_json::Value> =
            String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let frames: Vec<_> = lines.iter().filter(|line| line["event"] == "frame").collect();
        assert_eq!((frames.len(), &frames[0]["picture"]["width"]), (3, &json!(64)));
        let last = lines.last().unwrap();
        assert_eq!((&last["event"], &last["frames"], &last["width"]), (&json!("summary"), &json!(3), &json!(64)));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
        assert!(fs::read(dir.path().join("000003.jpg")).unwrap().starts_with(&[0xff, 0xd8]));
    }

    #[test]
    fn people_get_words_and_arrays_only_where_they_ask() {
        let config = source_config(&args(&["type=synthetic", "fps=100", "width=64", "height=48"])).unwrap();
        let said = |raw| {
            let mut source = source::open(&config, source::Context::default()).unwrap();
            let mut out = Vec::new();
            let args = Args { json: false, raw, frames: 2, ..args(&[]) };
            capture(source.as_mut(), &args, first::PATIENCE, &mut out).ok().unwrap();
            String::from_utf8(out).unwrap()
        };
        let text = said(false);
        assert!(text.contains("64 × 48 Jpeg") && text.contains("2 frames") && !text.contains('['), "{text}");
        assert!(said(true).contains("strips_rgb"));
    }

    #[test]
    fn a_source_that_gives_nothing_is_given_up() {
        let config = source_config(&args(&["type=v4l2", "device=/dev/video-none"])).unwrap();
        let mut source = source::open(&config, source::Context::default()).unwrap();
        let summary = capture(source.as_mut(), &args(&[]), Duration::from_millis(300), &mut Vec::new()).ok().unwrap();
        assert_eq!(summary.frames, 0);
        assert!(summary.trouble.contains("video-none"), "{}", summary.trouble);
    }
}
