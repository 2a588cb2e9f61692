//! `jsonl` and `csv`: readings that somebody else writes, one a line.
//!
//! A plain file is read at the interval and may be looped; a FIFO, a serial line and standard input are read as the
//! lines come. A line that cannot be understood is a bad reading, named by file and line number.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use super::lines::{Kind, Line, Lines, MOST_LINE};
use super::values::{Chooser, Field, Values};
use super::window::Windower;
use super::{NAP, Next, SensorConfig, SensorKind, Source, SourceError};
use crate::frame::Frame;
use crate::source::backoff::Backoff;

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
    chooser: Chooser,
    windower: Option<Windower>,
    window: u32,
    stride: u32,
    interval: Duration,
    due: Instant,
    repeat: bool,
    /// Readings since the file was begun.
    readings: u64,
    backoff: Backoff,
}

/// How a line is to be read.
enum Form {
    Jsonl,
    /// With the header's names and its delimiter, once it was read.
    Csv(Option<Header>),
}

struct Header {
    names: Vec<String>,
    delimiter: u8,
}

/// What a line was.
enum Taken {
    Reading { complete: bool },
    Nothing,
}

impl Table {
    /// Opens the file. A device node (`/dev/ttyACM0`) need not be there yet, and with `waits` nothing else need be.
    ///
    /// # Errors
    /// [`SourceError::Fatal`] when it cannot be opened.
    pub fn open(config: &SensorConfig, dev: &std::path::Path, waits: bool) -> Result<Self, SourceError> {
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
        Ok(Table {
            path,
            lines,
            form: if config.kind == SensorKind::Csv { Form::Csv(None) } else { Form::Jsonl },
            chooser: Chooser::new(&config.channels),
            windower: None,
            window: config.window,
            stride: config.stride,
            interval: Duration::from_millis(config.interval_ms),
            due: Instant::now(),
            repeat: config.repeat,
            readings: 0,
            backoff,
            origin,
        })
    }

    /// Takes one line; says whether it was a reading and completed a window.
    fn take(&mut self) -> Result<Option<Taken>, SourceError> {
        let Some(lines) = &mut self.lines else { return Ok(None) };
        let number = lines.number + 1;
        let bad = |reason: String| SourceError::Bad { origin: format!("{}:{number}", self.origin), reason };
        let line = match lines.next(NAP) {
            Ok(Line::Text(line)) => line,
            Ok(Line::TooLong) => return Err(bad(format!("a line longer than {MOST_LINE} bytes"))),
            Ok(Line::Nothing) => return Ok(None),
            Ok(Line::End) => return self.end().map(|()| None),
            Err(error) => return Err(self.lost(error.to_string())),
        };
        let line = if number == 1 { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) } else { line };
        if line.trim_ascii().is_empty() {
            return Ok(Some(Taken::Nothing));
        }
        let values = match &mut self.form {
            Form::Jsonl => Values::of_json(line).map_err(bad)?,
            Form::Csv(header) => {
                let text = std::str::from_utf8(line).map_err(|_| bad("not UTF-8".into()))?;
                match csv_line(header, text).map_err(bad)? {
                    Some(values) => values,
                    None => return Ok(Some(Taken::Nothing)),
                }
            }
        };
        let row = self.chooser.choose(&values).map_err(bad)?;
        self.readings += 1;
        let complete = match &mut self.windower {
            Some(windower) => windower.push(row),
            slot => {
                let row = row.to_vec();
                let windower = Windower::new(self.chooser.channels().clone(), self.window, self.stride);
                slot.insert(windower).push(&row)
            }
        };
        Ok(Some(Taken::Reading { complete }))
    }

    /// The file is at its end, or all writers are gone: begins again where that makes sense.
    fn end(&mut self) -> Result<(), SourceError> {
        let readings = std::mem::take(&mut self.readings);
        let kind = self.lines.as_ref().map(Lines::kind);
        match kind {
            Some(Kind::Plain) if readings == 0 => {
                self.lines = None;
                Err(SourceError::Fatal { origin: self.origin.clone(), reason: "no reading in it".into() })
            }
            Some(Kind::Plain) if self.repeat => {
                // No window spans the seam.
                if let Some(windower) = &mut self.windower {
                    windower.clear();
                }
                if let Form::Csv(header) = &mut self.form {
                    *header = None;
                }
                let rewound = self.lines.as_mut().map_or(Ok(()), Lines::rewind);
                rewound.map_err(|e| self.lost(e.to_string()))
            }
            Some(Kind::Fifo) => {
                // The next writer may be there at once, or in a month.
                match Lines::open(&self.path) {
                    Ok(lines) => {
                        self.lines = Some(lines);
                        Ok(())
                    }
                    Err(error) => Err(self.lost(error.to_string())),
                }
            }
            Some(Kind::Device) => Err(self.lost("it went away".into())),
            Some(Kind::Plain | Kind::Stdin) | None => {
                self.lines = None;
                self.repeat = false;
                Ok(())
            }
        }
    }

    fn lost(&mut self, reason: String) -> SourceError {
        self.lines = None;
        self.backoff.failed(Instant::now());
        if let Some(windower) = &mut self.windower {
            windower.clear();
        }
        SourceError::Lost { origin: self.origin.clone(), reason }
    }

    /// Whether there is nothing to come back: the end was reached, not lost.
    fn is_over(&self) -> bool {
        self.lines.is_none() && self.backoff.is_clear()
    }
}

impl Source for Table {
    fn live(&self) -> bool {
        let plain = self.lines.as_ref().is_some_and(|l| l.kind() == Kind::Plain);
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
        let paced = self.lines.as_ref().is_some_and(|l| l.kind() == Kind::Plain) && !self.interval.is_zero();
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
                if let (true, Some(windower)) = (complete, &self.windower) {
                    windower.fill(frame.window_mut());
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

/// Reads one line of a CSV file (RFC 4180, without line ends inside quotes): `None` for a header.
///
/// The first line is the header; its first of `,` `;` and tab is the delimiter of all. A later line in which no field is a
/// number, none is empty and one is a name of the old header is the header of a writer that began anew.
fn csv_line<'a>(header: &mut Option<Header>, text: &'a str) -> Result<Option<Values<'a>>, String> {
    let delimiter = match header {
        Some(header) => header.delimiter,
        None => *text.as_bytes().iter().find(|b| matches!(b, b',' | b';' | b'\t')).unwrap_or(&b','),
    };
    let fields = split(text, delimiter)?;
    let is_name = |f: &Field<'_>| matches!(f, Field::Other(_));
    let is_known = |f: &Field<'_>| match (f, header.as_ref()) {
        (Field::Other(name), Some(header)) => header.names.iter().any(|known| known == name.trim()),
        _ => false,
    };
    if header.is_none() && !fields.iter().any(is_name) {
        return Err("the first line must be a header with the names of the channels".into());
    }
    if header.is_none() || (fields.iter().all(is_name) && fields.iter().any(is_known)) {
        let names: Vec<String> = fields
            .into_iter()
            .map(|field| match field {
                Field::Other(name) => name.trim().to_owned(),
                Field::Number(number) => number.to_string(),
                Field::Missing => String::new(),
            })
            .collect();
        *header = Some(Header { names, delimiter });
        return Ok(None);
    }
    let names = header.as_ref().map_or(&[][..], |h| &h.names);
    if fields.len() != names.len() {
        return Err(format!("{} fields, and the header has {}", fields.len(), names.len()));
    }
    // Names are copied because the header may change while the values are in use.
    Ok(Some(Values::Named(names.iter().map(|n| n.clone().into()).zip(fields).collect())))
}

fn split(text: &str, delimiter: u8) -> Result<Vec<Field<'_>>, String> {
    if !text.contains('"') {
        return Ok(text.split(char::from(delimiter)).map(Field::of_text).collect());
    }
    if text.bytes().filter(|b| *b == b'"').count() % 2 == 1 {
        return Err("a quote that does not end on its line".into());
    }
    let mut reader = csv::ReaderBuilder::new();
    let mut reader = reader.has_headers(false).delimiter(delimiter).flexible(true).from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    reader.read_record(&mut record).map_err(|e| e.to_string())?;
    Ok(record.iter().map(|field| Field::of_text(field.to_owned())).collect())
}

#[cfg(test)]
mod tests;
