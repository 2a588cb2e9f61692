//! `[pipeline.source]` with `type = "sensor"`.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::window;
use crate::frame::diagnostic::{Diagnostic, quoted, unique};

/// Numbers in time, cut into windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SensorConfig {
    /// Kind of sensor.
    pub kind: SensorKind,
    /// For `jsonl` and `csv`: a file, a FIFO, or `-` for standard input. For `iio`, `hwmon` and `thermal`: a device or zone
    /// name (`bme280`, `cpu_thermal`); empty = all.
    pub path: String,
    /// Channels to keep, in this order; empty = those that the model names, else all that are found, in their own order. For
    /// `jsonl`, a path leads into objects and arrays (`ENERGY.Power`, `phases[0].volts`; a dot within a key is written `\.`); for
    /// `csv`, `#3` is the third column.
    pub channels: Vec<String>,
    /// A reading without a value for one of the channels: leave it out, hold the last value, or pass the gap on; unset = `skip`, for
    /// the tasks `baseline` and `threshold` `nan`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<MissingPolicy>,
    /// For `missing = "hold"`: longest time for which a value is held, in s.
    #[schemars(range(min = 1, max = 86_400))]
    pub hold_s: u32,
    /// For `csv`: whether the first line has the names of the columns.
    pub header: Header,
    /// For `csv`: what stands between the fields.
    pub delimiter: Delimiter,
    /// For `csv`: what stands between whole and fractional digits.
    pub decimal: Decimal,
    /// Time between two readings in ms (`jsonl` and `csv` from a plain file: 0 = as fast as they are taken).
    #[schemars(range(min = 0, max = 3_600_000))]
    pub interval_ms: u64,
    /// Readings in one window.
    #[schemars(range(min = 1, max = 100_000))]
    pub window: u32,
    /// Readings from the start of one window to the start of the next.
    #[schemars(range(min = 1, max = 100_000))]
    pub stride: u32,
    /// For `jsonl` and `csv` from a plain file: start again at the end.
    #[serde(rename = "loop")]
    pub repeat: bool,
}

impl Default for SensorConfig {
    fn default() -> Self {
        SensorConfig {
            kind: SensorKind::Machine,
            path: String::new(),
            channels: Vec::new(),
            missing: None,
            hold_s: HOLD_S,
            header: Header::Auto,
            delimiter: Delimiter::Auto,
            decimal: Decimal::Auto,
            interval_ms: 500,
            window: 1,
            stride: 1,
            repeat: false,
        }
    }
}

/// Default of `hold_s`.
pub(in crate::source) const HOLD_S: u32 = 60;

/// The treatment that is configured, else what the readers want.
pub(in crate::source) fn missing(configured: Option<MissingPolicy>, gaps: bool) -> MissingPolicy {
    configured.unwrap_or(if gaps { MissingPolicy::Nan } else { MissingPolicy::Skip })
}

/// Treatment of a reading that has no value for one of the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MissingPolicy {
    /// The reading is left out and counted; no window spans it.
    #[default]
    Skip,
    /// The channel's last value stands in, for at most `hold_s`; after that as `skip`.
    Hold,
    /// The model gets the channel's mean, where its manifest says one; otherwise the window is refused.
    Nan,
}

/// First line of a CSV file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Header {
    /// Seen by the first lines; refused where that cannot be told.
    #[default]
    Auto,
    /// The first line has the names.
    Present,
    /// The first line is a reading; `channels` are the columns of numbers in their order.
    Absent,
}

/// Character between the fields of a CSV file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Delimiter {
    /// Seen by the first lines.
    #[default]
    Auto,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// The tabulator.
    Tab,
}

/// Character between the whole and the fractional digits in a CSV file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decimal {
    /// Seen by numbers that have only one meaning; one that has two is refused until then.
    #[default]
    Auto,
    /// `.`
    Point,
    /// `,`
    Comma,
}

/// Kind of sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SensorKind {
    /// This computer: CPU per core, memory, PSI, load, temperatures, network and disk rates.
    #[default]
    Machine,
    /// One JSON object (or array of numbers) per line.
    Jsonl,
    /// Comma separated values with a header line.
    Csv,
    /// Linux industrial I/O devices (`/sys/bus/iio`).
    Iio,
    /// Hardware monitors (`/sys/class/hwmon`).
    Hwmon,
    /// Thermal zones (`/sys/class/thermal`).
    Thermal,
}

impl SensorKind {
    /// The kind of table in a file, by its extension; `None` where it is none.
    pub fn of_file(path: &Path) -> Option<SensorKind> {
        let extension = path.extension()?.to_string_lossy().to_lowercase();
        match extension.as_str() {
            "csv" => Some(SensorKind::Csv),
            "jsonl" | "ndjson" => Some(SensorKind::Jsonl),
            _ => None,
        }
    }
}

impl SensorConfig {
    /// True for lines of a file, FIFO or standard input.
    pub(super) fn reads_lines(&self) -> bool {
        matches!(self.kind, SensorKind::Jsonl | SensorKind::Csv)
    }

    /// Faults of the values alone.
    pub(super) fn faults(&self) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        found.extend(window::check(self.window, self.stride));
        found.extend(unique(&self.channels, "channels"));
        if self.reads_lines() && self.path.is_empty() {
            found.push(
                Diagnostic::error("path", "missing: kind \"jsonl\" and \"csv\" read a file")
                    .allowed("a file, a FIFO, or \"-\" for standard input"),
            );
        }
        if self.kind == SensorKind::Machine && !self.path.is_empty() {
            found.push(Diagnostic::warning("path", "has no effect with kind \"machine\""));
        }
        if !self.reads_lines() && self.interval_ms == 0 {
            found.push(
                Diagnostic::error("interval_ms", "0 is for files only")
                    .found("0")
                    .allowed("a whole number, 1 to 3600000 ms"),
            );
        }
        let (header, delimiter, decimal) = (self.header, self.delimiter, self.decimal);
        for (key, is_default) in [
            ("header", header == Header::default()),
            ("delimiter", delimiter == Delimiter::default()),
            ("decimal", decimal == Decimal::default()),
        ] {
            if !is_default && self.kind != SensorKind::Csv {
                found.push(Diagnostic::warning(key, "has no effect: it is for kind \"csv\""));
            }
        }
        if delimiter == Delimiter::Comma && decimal == Decimal::Comma {
            found.push(
                Diagnostic::warning("decimal", "numbers with a comma must be in quotes between commas")
                    .help("delimiter is \"comma\" as well"),
            );
        }
        if self.repeat && (!self.reads_lines() || self.path == "-") {
            found.push(Diagnostic::warning("loop", "has no effect: there is no file to begin again"));
        }
        found
    }

    /// Faults of the file that it names.
    pub(super) fn file_faults(&self) -> Vec<Diagnostic> {
        let path = std::path::Path::new(&self.path);
        let message = match path {
            _ if !self.reads_lines() || self.path == "-" || self.path.is_empty() => return Vec::new(),
            path if path.is_dir() => "is a directory",
            path if path.exists() => return Vec::new(),
            _ => "there is no such file",
        };
        let diagnostic = Diagnostic::error("path", message).found(quoted(&self.path));
        vec![diagnostic.allowed("a file, a FIFO, or \"-\" for standard input")]
    }
}
