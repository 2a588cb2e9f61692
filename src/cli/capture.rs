//! `leptond capture`: what a source gives, without a model: pictures to look at, their rate, size and colours.

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
use super::{Failure, choice};
use crate::config;
use crate::draw::{self, Canvas};
use crate::frame::{Frame, Image, Payload, PixelFormat, Window};
use crate::preprocess;
use crate::source::{self, Next, Source, SourceError};

/// Arguments of `leptond capture`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The source, as in [pipeline.source]: type=v4l2 device=/dev/video0 format=yuyv width=1280
    #[arg(value_name = "KEY=VALUE", required_unless_present = "pipeline")]
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
    /// Stop after this long, for instance 20s
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    duration: Option<Duration>,
    /// Save each picture into this directory: JPEG and PNG as they come, raw ones as PNG
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// One JSON object per event, and a summary as the last one
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let config = source_config(&args)?;
    let _log = crate::telemetry::init(&crate::telemetry::Config::default());
    if let Some(dir) = &args.out {
        fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    }
    let mut source =
        source::open(&config, source::Context::default()).map_err(|error| Failure::Failed(error.into()))?;
    let summary = match capture(source.as_mut(), &args, &mut io::stdout().lock()) {
        Err(Stopped::Write(error)) => return written(Err(error)).map(drop),
        Err(Stopped::Failed(error)) => return Err(error.into()),
        Ok(summary) => summary,
    };
    if summary.frames == 0 {
        return Err(anyhow::anyhow!("{}: nothing came: {}", source.describe(), summary.trouble).into());
    }
    Ok(())
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

/// Format, size and colours of a picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Look {
    format: String,
    width: u32,
    height: u32,
    /// Red, green and blue from 0 to 255, averaged over the picture.
    mean_rgb: [f64; 3],
    /// The same for each of eight upright strips of the lower half, left to right.
    strips_rgb: [[f64; 3]; 8],
}

fn capture(source: &mut dyn Source, args: &Args, out: &mut impl Write) -> Result<Summary, Stopped> {
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
                                save(dir, summary.frames, image, &look, &rgb).map_err(Stopped::Failed)?;
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
            tell(&event, args.json, out)?;
        }
        let enough = args.frames > 0 && summary.frames >= args.frames;
        if enough || args.duration.is_some_and(|limit| begun.elapsed() >= limit) {
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
    tell(&event, args.json, out)?;
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
fn tell(event: &serde_json::Value, json: bool, out: &mut impl Write) -> io::Result<()> {
    if json {
        writeln!(out, "{event}")?;
    } else {
        let values = event.as_object().into_iter().flatten().filter(|(key, _)| *key != "event");
        let words: Vec<String> = values.map(|(key, value)| format!("{key} {value}")).collect();
        writeln!(out, "{:<8}{}", event["event"].as_str().unwrap_or_default(), words.join("  "))?;
    }
    out.flush()
}

fn look(image: &Image, rgb: &mut Vec<u8>) -> Result<Look, preprocess::PreprocessError> {
    let [width, height] = preprocess::to_rgb(image, rgb)?;
    let (w, h) = (width as usize, height as usize);
    let strip = |i: usize| mean(rgb, w, h / 2..h, i * w / 8..(i + 1) * w / 8);
    Ok(Look {
        format: format!("{:?}", image.format),
        width,
        height,
        mean_rgb: mean(rgb, w, 0..h, 0..w),
        strips_rgb: std::array::from_fn(strip),
    })
}

/// The mean colour of a rectangle of a packed RGB picture.
fn mean(rgb: &[u8], width: usize, rows: std::ops::Range<usize>, columns: std::ops::Range<usize>) -> [f64; 3] {
    let mut sum = [0u64; 3];
    let mut count = 0u64;
    for row in rows {
        let line = rgb.get(3 * (row * width + columns.start)..3 * (row * width + columns.end)).unwrap_or_default();
        for pixel in line.chunks_exact(3) {
            for (sum, value) in sum.iter_mut().zip(pixel) {
                *sum += u64::from(*value);
            }
            count += 1;
        }
    }
    sum.map(|sum| rounded(sum as f64 / count.max(1) as f64))
}

fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn save(dir: &Path, number: u64, image: &Image, look: &Look, rgb: &[u8]) -> anyhow::Result<()> {
    let (suffix, encoded) = match image.format {
        PixelFormat::Jpeg => ("jpg", None),
        PixelFormat::Png => ("png", None),
        PixelFormat::Bmp => ("bmp", None),
        _ => {
            let canvas = Canvas::new([look.width, look.height], rgb.to_vec());
            ("png", Some(draw::encode(&canvas, draw::Format::Png)?))
        }
    };
    let path = dir.join(format!("{number:06}.{suffix}"));
    fs::write(&path, encoded.as_deref().unwrap_or(&image.data)).with_context(|| path.display().to_string())
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
    fn strips_are_told_apart() {
        // Eight strips of two pixels, strip i all i * 30; the upper half is black.
        let row: Vec<u8> = (0..16u8).flat_map(|x| [x / 2 * 30; 3]).collect();
        let image = Image {
            format: PixelFormat::Rgb8,
            width: 16,
            height: 4,
            stride: 0,
            full: None,
            data: [vec![0; 96], row.repeat(2)].concat(),
        };
        let look = look(&image, &mut Vec::new()).unwrap();
        assert_eq!(look.strips_rgb, std::array::from_fn(|i| [i as f64 * 30.0; 3]));
        assert_eq!(look.mean_rgb, [52.5; 3]);
    }

    #[test]
    fn events_end_with_a_summary_and_pictures_are_saved() {
        let dir = tempfile::tempdir().unwrap();
        let config = source_config(&args(&["type=synthetic", "fps=100", "width=64", "height=48"])).unwrap();
        let mut source = source::open(&config, source::Context::default()).unwrap();
        let mut out = Vec::new();
        let args = Args { out: Some(dir.path().to_owned()), ..args(&[]) };
        let summary = capture(source.as_mut(), &args, &mut out).ok().unwrap();
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
}
