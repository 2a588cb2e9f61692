//! `jsonl` and `csv`: readings that another program writes, one a line.
//!
//! A plain file is read at the interval and may be looped; a FIFO, a serial line and standard input are read as the
//! lines come. A line that cannot be understood is a bad reading, named by file and line number. The first lines of a plain
//! file are looked at ahead of time, since they say more together than the first one alone.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::channels::Fault;
use super::config::{MissingPolicy, SensorConfig, SensorKind, missing};
use super::csv::{self, Csv};
use super::json;
use super::lines::{FileKind, Line, Lines, MOST_LINE};
use super::noted::noted;
use super::reading::NAP;
use super::stream::{self, Stream};
use crate::frame::Frame;
use crate::source::backoff::Backoff;
use crate::source::contract::{Next, Source, SourceError};

/// Lines and bytes of a plain file that are looked at ahead of time.
const SURVEY_LINES: usize = 512;
const SURVEY_BYTES: usize = 1 << 18;

/// Longest time that one call spends on lines that are there already.
const MOST_TIME: Duration = Duration::from_millis(100);

/// Readings from lines.
pub struct Table {
    path: PathBuf,
    /// For people: the path or `standard input`.
    origin: String,
    /// `None` while it is away.
    lines: Option<Lines>,
    form: Form,
    stream: Stream,
    /// Time of the latest reading as its writer noted it, in s.
    noted: Option<f64>,
    /// The first lines were looked at, or need not be.
    surveyed: bool,
    interval: Duration,
    due: Instant,
    repeat: bool,
    /// Readings since the file was begun.
    readings: u64,
    backoff: Backoff,
}

/// Format of a line.
enum Form {
    Jsonl,
    Csv(Box<Csv>),
}

/// Content of a line.
enum Taken {
    Reading { complete: bool },
    Nothing,
}

impl Table {
    /// Opens the file for a model that names the channels `model` (or none), and that wants readings with `gaps`. A device node (`/dev/ttyACM0`) need not be
    /// there yet, and with `waits` nothing else need be.
    ///
    /// # Errors
    /// [`SourceError::Fatal`] when it cannot be opened, or when values are to be held in a file that is read as fast as it is
    /// taken.
    pub fn open(
        config: &SensorConfig,
        (model, gaps): (&[String], bool),
        dev: &Path,
        waits: bool,
    ) -> Result<Self, SourceError> {
        let path = PathBuf::from(&config.path);
        let origin = if config.path == "-" { "standard input".to_owned() } else { config.path.clone() };
        let fatal = |reason: String| SourceError::Fatal { origin: origin.clone(), reason };
        if config.path.is_empty() {
            let kind = if config.kind == SensorKind::Csv { "csv" } else { "jsonl" };
            let reason = format!("kind {kind} needs a path: a file, a FIFO, or - for standard input");
            return Err(SourceError::Fatal { origin: "sensor".into(), reason });
        }
        let mut backoff = Backoff::default();
        let lines = match Lines::open(&path) {
            Ok(lines) => Some(lines),
            Err(error) if path.starts_with(dev) || waits && error.kind() == std::io::ErrorKind::NotFound => {
                backoff.failed(Instant::now());
                None
            }
            Err(error) => return Err(fatal(error.to_string())),
        };
        let is_plain = lines.as_ref().is_some_and(|lines| lines.kind() == FileKind::Plain);
        if is_plain && config.interval_ms == 0 && config.missing == Some(MissingPolicy::Hold) {
            let reason = "missing = \"hold\" needs interval_ms for a file: nothing else says how much time lies between its readings";
            return Err(fatal(reason.into()));
        }
        let csv = csv::Settings { header: config.header, delimiter: config.delimiter, decimal: config.decimal };
        Ok(Table {
            path,
            lines,
            form: if config.kind == SensorKind::Csv { Form::Csv(Box::new(Csv::new(csv))) } else { Form::Jsonl },
            stream: Stream::new(&stream::Settings {
                channels: config.channels.clone(),
                model: model.to_vec(),
                window: config.window,
                stride: config.stride,
                missing: missing(config.missing, gaps),
                hold_s: config.hold_s,
            }),
            noted: None,
            surveyed: !is_plain,
            interval: Duration::from_millis(config.interval_ms),
            due: Instant::now(),
            repeat: config.repeat,
            readings: 0,
            backoff,
            origin,
        })
    }

    /// Looks at the first lines of a plain file, and goes back to its beginning.
    fn survey(&mut self) -> std::io::Result<()> {
        let Some(lines) = &mut self.lines else { return Ok(()) };
        let (mut first, mut bytes) = (Vec::new(), 0);
        while first.len() < SURVEY_LINES && bytes < SURVEY_BYTES {
            match lines.next(Duration::ZERO)? {
                Line::Text(line) => {
                    bytes += line.len();
                    first.push(csv::decode(without_bom(line)).into_owned());
                }
                Line::TooLong => {}
                Line::Nothing | Line::End => break,
            }
        }
        lines.rewind()?;
        match &mut self.form {
            Form::Jsonl => {
                first.iter().filter_map(|line| json::read(line.as_bytes()).ok()).for_each(|v| self.stream.learn(&v));
            }
            Form::Csv(csv) => {
                csv.survey(&first);
                let mut ahead = csv.clone();
                first.iter().filter_map(|line| ahead.read(line).ok().flatten()).for_each(|v| self.stream.learn(&v));
            }
        }
        Ok(())
    }

    /// Takes one line; says whether it was a reading and completed a window.
    fn take(&mut self) -> Result<Option<Taken>, SourceError> {
        if !std::mem::replace(&mut self.surveyed, true) {
            self.survey().map_err(|error| self.lost(error.to_string()))?;
        }
        let Some(lines) = &mut self.lines else { return Ok(None) };
        let is_plain = lines.kind() == FileKind::Plain;
        let number = lines.number + 1;
        let bad = |reason: String| SourceError::Bad { origin: format!("{}:{number}", self.origin), reason };
        let line = match lines.next(NAP) {
            Ok(Line::Text(line)) => line,
            Ok(Line::TooLong) => {
                self.stream.gap();
                return Err(bad(format!("a line longer than {MOST_LINE} bytes")));
            }
            Ok(Line::Nothing) => return Ok(None),
            Ok(Line::End) => return self.end().map(|()| None),
            Err(error) => return Err(self.lost(error.to_string())),
        };
        if number == 1 && (line.starts_with(b"\xff\xfe") || line.starts_with(b"\xfe\xff")) {
            return Err(self.useless("it is UTF-16; iconv -f UTF-16 -t UTF-8 makes UTF-8 of it".into()));
        }
        // Each writer of a FIFO may begin with one.
        let line = without_bom(line);
        if line.trim_ascii().is_empty() {
            return Ok(Some(Taken::Nothing));
        }
        let now = Instant::now();
        let text;
        let values = match &mut self.form {
            Form::Jsonl => json::read(line).map(Some),
            Form::Csv(csv) => {
                text = csv::decode(line);
                csv.read(&text)
            }
        };
        let values = match values {
            Ok(Some(values)) => values,
            Ok(None) => return Ok(Some(Taken::Nothing)),
            Err(reason) => {
                self.stream.gap();
                return Err(bad(reason));
            }
        };
        // Of a file that is read as fast as it is taken nothing else says when a reading was made: each counts as a second.
        let counted = (is_plain && self.interval.is_zero()).then_some(self.readings as f64);
        self.noted = noted(&values).or(counted);
        let complete = match self.stream.take(&values, now) {
            Ok(complete) => complete,
            Err(Fault::Header(reason)) if is_plain => return Err(self.useless(reason)),
            Err(fault) => {
                // It was a reading, even if none that could be used.
                self.readings += 1;
                return Err(bad(fault.into_reason()));
            }
        };
        self.readings += 1;
        Ok(Some(Taken::Reading { complete }))
    }

    /// The file can never give a reading.
    fn useless(&mut self, reason: String) -> SourceError {
        self.lines = None;
        self.repeat = false;
        SourceError::Fatal { origin: self.origin.clone(), reason }
    }

    /// The file is at its end, or all writers are gone: begins again where that makes sense.
    fn end(&mut self) -> Result<(), SourceError> {
        let readings = std::mem::take(&mut self.readings);
        let kind = self.lines.as_ref().map(Lines::kind);
        match kind {
            Some(FileKind::Plain) if readings == 0 => {
                self.lines = None;
                Err(SourceError::Fatal { origin: self.origin.clone(), reason: "no reading in it".into() })
            }
            Some(FileKind::Plain) if self.repeat => {
                // No window spans the seam.
                self.stream.clear();
                if let Form::Csv(csv) = &mut self.form {
                    csv.rewind();
                }
                let rewound = self.lines.as_mut().map_or(Ok(()), Lines::rewind);
                rewound.map_err(|e| self.lost(e.to_string()))
            }
            Some(FileKind::Fifo) => {
                // The next writer may be there at once, or in a month.
                match Lines::open(&self.path) {
                    Ok(lines) => {
                        self.lines = Some(lines);
                        Ok(())
                    }
                    Err(error) => Err(self.lost(error.to_string())),
                }
            }
            Some(FileKind::Device) => Err(self.lost("it went away".into())),
            Some(FileKind::Plain | FileKind::Stdin) | None => {
                self.lines = None;
                self.repeat = false;
                Ok(())
            }
        }
    }

    fn lost(&mut self, reason: String) -> SourceError {
        self.lines = None;
        self.backoff.failed(Instant::now());
        self.stream.clear();
        SourceError::Lost { origin: self.origin.clone(), reason }
    }

    /// True if the end was reached, not lost: nothing will come back.
    fn is_over(&self) -> bool {
        self.lines.is_none() && self.backoff.is_clear()
    }
}

impl Source for Table {
    fn live(&self) -> bool {
        let plain = self.lines.as_ref().is_some_and(|l| l.kind() == FileKind::Plain);
        !(plain && self.interval.is_zero())
    }

    fn describe(&self) -> String {
        format!("{} {}", if matches!(self.form, Form::Jsonl) { "jsonl" } else { "csv" }, self.origin)
    }

    fn next(&mut self, frame: &mut Frame) -> Result<Next, SourceError> {
        let begun = Instant::now();
        if self.lines.is_none() {
            if self.is_over() {
                return Ok(Next::End);
            }
            if self.backoff.is_due(begun) {
                match Lines::open(&self.path) {
                    Ok(lines) => {
                        self.lines = Some(lines);
                        self.backoff.worked();
                    }
                    Err(_) => {
                        self.backoff.failed(begun);
                    }
                }
            }
            if self.lines.is_none() {
                std::thread::sleep(NAP);
                return Ok(Next::Idle(format!("{} is not there", self.origin)));
            }
        }
        let paced = self.lines.as_ref().is_some_and(|l| l.kind() == FileKind::Plain) && !self.interval.is_zero();
        if paced {
            let left = self.due.saturating_duration_since(begun);
            std::thread::sleep(left.min(NAP));
            if left > NAP {
                return Ok(Next::Idle("waiting for the next reading's time".into()));
            }
        }
        loop {
            let Some(taken) = self.take()? else {
                let over = self.is_over();
                return Ok(if over { Next::End } else { Next::Idle(format!("waiting for a line of {}", self.origin)) });
            };
            let now = Instant::now();
            if let Taken::Reading { complete } = taken {
                if paced {
                    self.due = (self.due + self.interval).max(now);
                }
                if complete {
                    let window = frame.window_mut();
                    self.stream.fill(window);
                    window.noted = self.noted;
                    (frame.captured, frame.time, frame.truth) = (now, SystemTime::now(), None);
                    frame.origin.clone_from(&self.origin);
                    return Ok(Next::Frame);
                }
                if paced {
                    return Ok(Next::Idle("waiting for the next reading's time".into()));
                }
            }
            if begun.elapsed() > MOST_TIME {
                return Ok(Next::Idle("the window is not full yet".into()));
            }
        }
    }
}

/// A line without the byte order mark of UTF-8 before it.
fn without_bom(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
}

#[cfg(test)]
mod tests;
