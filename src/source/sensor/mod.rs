//! `sensor`: numbers in time, cut into windows.
//!
//! [`machine`] and [`sysfs`] are asked at an interval; [`table`] takes the lines of a file, a FIFO or standard input.

pub(super) mod channels;
pub(super) mod config;
mod csv;
mod gaps;
pub(super) mod json;
mod lines;
mod machine;
mod number;
mod reading;
mod sampled;
pub(super) mod stream;
mod sysfs;
mod table;
#[cfg(test)]
mod tests;
mod values;
pub(super) mod window;

use std::path::Path;
use std::time::{Duration, Instant};

use config::{MissingPolicy, SensorConfig, SensorKind};
use machine::Machine;
use sampled::Sampled;
use sysfs::Sysfs;
use table::Table;

use super::contract::{Context, Next, Source, SourceError};
use super::kind::{Device, Frames, Paths, SourceKind};
use crate::frame::Frame;
use crate::frame::diagnostic::Diagnostic;
use crate::sys::landlock;

/// Time for one look at what a source gives now.
const LOOK: Duration = Duration::from_millis(500);

/// Path that stands for standard input.
const STDIN: &str = "-";

impl SourceKind for SensorConfig {
    fn open(&self, context: Context) -> Result<Box<dyn Source>, SourceError> {
        let Context { roots, waits, channels: model, .. } = context;
        let sampled = match self.kind {
            SensorKind::Machine => {
                let now = Instant::now();
                let reading = Machine::open(roots, now)?;
                let due = now + Duration::from_millis(self.interval_ms);
                Sampled::new(self, &model, "machine".into(), Box::new(reading), due)?
            }
            SensorKind::Iio | SensorKind::Hwmon | SensorKind::Thermal => {
                let kind = format!("{:?}", self.kind).to_lowercase();
                let name = if self.path.is_empty() { kind } else { format!("{kind} {}", self.path) };
                let wanted = if self.channels.is_empty() { &model } else { &self.channels };
                let reading = Sysfs::new(roots, self.kind, &self.path, wanted);
                Sampled::new(self, &model, name, Box::new(reading), Instant::now())?
            }
            SensorKind::Jsonl | SensorKind::Csv => {
                return Ok(Box::new(Table::open(self, &model, &roots.dev, waits)?));
            }
        };
        Ok(Box::new(sampled))
    }

    fn describe(&self) -> String {
        format!("sensor {:?} {}", self.kind, self.path).to_lowercase().trim().to_owned()
    }

    fn frames(&self) -> Frames<'_> {
        Frames::Windows { rows: self.window, channels: &self.channels }
    }

    fn frame_interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms.saturating_mul(u64::from(self.stride)))
    }

    fn exclusive_device(&self) -> Option<Device> {
        (self.path == STDIN).then(|| Device { name: "standard input".into(), key: "path" })
    }

    fn paths(&self) -> Paths {
        match self.kind {
            SensorKind::Jsonl | SensorKind::Csv if self.path != STDIN => {
                Paths { read: vec![landlock::directory(Path::new(&self.path))], ..Paths::default() }
            }
            SensorKind::Iio => Paths { devices: vec!["/dev".into()], ..Paths::default() },
            _ => Paths::default(),
        }
    }

    fn check(&self) -> Vec<Diagnostic> {
        self.faults()
    }

    fn check_files(&self) -> Vec<Diagnostic> {
        self.file_faults()
    }

    fn refusal(&self, model: &[String]) -> Option<String> {
        let lines = self.reads_lines();
        // From a FIFO or a serial line a reading would be taken away.
        if lines && !Path::new(&self.path).is_file() {
            return None;
        }
        let interval_ms = if lines { 0 } else { 10 };
        let missing = MissingPolicy::Skip;
        let single = SensorConfig { window: 1, stride: 1, repeat: false, interval_ms, missing, ..self.clone() };
        let context = Context { channels: model.to_vec(), ..Context::default() };
        let mut source = match single.open(context) {
            Ok(source) => source,
            Err(error) => return Some(reason_of(error)),
        };
        let end = Instant::now() + LOOK;
        let (mut frame, mut refused) = (Frame::empty(), None);
        while Instant::now() < end {
            match source.next(&mut frame) {
                Ok(Next::Frame) => return None,
                Ok(Next::Idle(_)) => {}
                Ok(Next::End) => break,
                Err(SourceError::Fatal { reason, .. }) => return Some(reason),
                Err(error) => refused = Some(reason_of(error)),
            }
        }
        refused
    }
}

fn reason_of(error: SourceError) -> String {
    match error {
        SourceError::Bad { reason, .. } | SourceError::Lost { reason, .. } | SourceError::Fatal { reason, .. } => {
            reason
        }
    }
}
