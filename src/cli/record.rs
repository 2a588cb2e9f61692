//! `leptond record`: readings of a sensor into a CSV file, to train on or to run a model over later.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::progress::Counter;
use super::span::span;
use super::{Failure, tell};
use crate::frame::{Frame, Window, rfc3339};
use crate::source::{self, MissingPolicy, Next, SensorConfig, SensorKind, SourceError};

/// Arguments of `leptond record`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What is read: machine, iio, hwmon or thermal
    #[arg(long, default_value = "machine", value_name = "KIND", value_parser = kind)]
    sensor: SensorKind,
    /// With iio, hwmon and thermal: the device or zone by name; all if not given
    #[arg(long, default_value = "", hide_default_value = true)]
    device: String,
    /// Channels to keep, in this order; all if not given
    #[arg(long, value_delimiter = ',')]
    channels: Vec<String>,
    /// Time between two readings in ms
    #[arg(long, default_value_t = 500, value_name = "MS", value_parser = clap::value_parser!(u64).range(10..=3_600_000))]
    interval_ms: u64,
    /// How long, for instance 10m; until interrupted if not given
    #[arg(long = "for", value_name = "TIME", value_parser = span)]
    duration: Option<Duration>,
    /// The CSV file; standard output if not given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn kind(text: &str) -> Result<SensorKind, String> {
    match text {
        "machine" => Ok(SensorKind::Machine),
        "iio" => Ok(SensorKind::Iio),
        "hwmon" => Ok(SensorKind::Hwmon),
        "thermal" => Ok(SensorKind::Thermal),
        _ => Err("one of machine, iio, hwmon, thermal".into()),
    }
}

/// Runs the subcommand.
pub fn run(args: Args) -> Result<(), Failure> {
    let config = SensorConfig {
        kind: args.sensor,
        path: args.device.clone(),
        channels: args.channels.clone(),
        interval_ms: args.interval_ms,
        // A recording keeps its gaps.
        missing: Some(MissingPolicy::Nan),
        ..SensorConfig::default()
    };
    let mut sensor = source::open(&config.into(), source::Context::default()).map_err(|e| Failure::Failed(e.into()))?;
    let place = args.output.as_deref().unwrap_or(Path::new("standard output"));
    let out: Box<dyn Write> = match &args.output {
        Some(path) => Box::new(File::create(path).with_context(|| path.display().to_string())?),
        None => Box::new(io::stdout().lock()),
    };
    match copy(sensor.as_mut(), &mut BufWriter::new(out), args.duration) {
        // The reader of a pipe has seen enough.
        Err(Stopped::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(Stopped::Write(error)) => {
            Err(Failure::Failed(anyhow::Error::new(error).context(place.display().to_string())))
        }
        Err(Stopped::Source(error)) => Err(Failure::Failed(error.into())),
        Ok(()) => Ok(()),
    }
}

/// An early end of a recording.
enum Stopped {
    Source(SourceError),
    Write(io::Error),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Stopped::Write(error)
    }
}

/// Writes a line per reading, each at once, so that an interrupted recording is whole up to there. What keeps the sensor
/// silent is told on standard error when it changes.
fn copy(sensor: &mut dyn source::Source, out: &mut impl Write, duration: Option<Duration>) -> Result<(), Stopped> {
    let begun = Instant::now();
    let mut frame = Frame::empty();
    let mut told = String::new();
    let mut headed = false;
    let mut counter = Counter::new("seconds");
    loop {
        let trouble = match sensor.next(&mut frame) {
            Ok(Next::Frame) => {
                let time = rfc3339(frame.time);
                let window = frame.window_mut();
                if !headed {
                    writeln!(out, "time,{}", window.channels.join(","))?;
                    headed = true;
                }
                write_row(out, &time, window)?;
                out.flush()?;
                String::new()
            }
            Ok(Next::End) => return Ok(()),
            // Between two readings it is idle as well, and nobody wants to be told.
            Ok(Next::Idle(reason)) if headed || reason.starts_with("waiting") => told.clone(),
            Ok(Next::Idle(reason)) => reason,
            Err(error @ SourceError::Fatal { .. }) => return Err(Stopped::Source(error)),
            Err(error) => error.to_string(),
        };
        if trouble != told && !trouble.is_empty() {
            tell(&trouble);
        }
        told = trouble;
        if let Some(duration) = duration {
            counter.set(begun.elapsed().as_secs() as usize, duration.as_secs() as usize);
            if begun.elapsed() >= duration {
                return Ok(());
            }
        }
    }
}

/// One line: the time, and a value per channel, empty where there is none.
fn write_row(out: &mut impl Write, time: &str, window: &Window) -> io::Result<()> {
    write!(out, "{time}")?;
    for value in &window.data {
        if value.is_finite() {
            write!(out, ",{value}")?;
        } else {
            write!(out, ",")?;
        }
    }
    writeln!(out)
}
