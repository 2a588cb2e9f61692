//! Numbers as text: one grammar for CSV cells and for JSON strings, which accepts nothing that could mean two numbers.

use std::borrow::Cow;

/// Character between the whole and the fractional digits of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// `21.5`
    Point,
    /// `21,5`
    Comma,
}

/// One value of a reading.
#[derive(Clone, Debug, PartialEq)]
pub enum Field<'a> {
    /// A number; true and false are 1 and 0.
    Number(f64),
    /// No reading: `null`, an empty field, or one of the words and signs that loggers write instead ([`is_no_reading`]).
    Missing,
    /// An object or array, where JSON has one.
    Nested(&'static str),
    /// Anything else, as it was written.
    Other(Cow<'a, str>),
}

/// Kind of a [`Field`], as far as it tells names, times and data apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// An empty field.
    Empty,
    /// A sign or word for "no reading".
    NoReading,
    /// A number.
    Number,
    /// A date or a time of day.
    Time,
    /// Begins like a number and is none: `21.5 °C`, `1.234,56`, `0x1F`, `5V`.
    AlmostNumber,
    /// Any other text.
    Word,
}

impl<'a> Field<'a> {
    /// Reads a text whose numbers have their decimals behind `mark`: an optional sign, digits, at most one mark, an optional
    /// exponent. Hexadecimal numbers, digit groups, units, infinities and what exceeds an `f32` are no numbers.
    pub fn of_text(text: impl Into<Cow<'a, str>>, mark: Mark) -> Self {
        let text = text.into();
        let trimmed = text.trim();
        if trimmed.is_empty() || is_no_reading(trimmed) {
            return Field::Missing;
        }
        let number = match decimal(trimmed) {
            Some(found) if found.mark.is_none() || found.mark == Some(mark) => match mark {
                Mark::Point => trimmed.parse::<f64>().ok(),
                Mark::Comma => trimmed.replace(',', ".").parse::<f64>().ok(),
            },
            _ => None,
        };
        match number {
            Some(number) if (number as f32).is_finite() => Field::Number(number),
            _ => Field::Other(text),
        }
    }
}

/// Kind of a text whose numbers have their decimals behind either mark.
pub fn kind(text: &str) -> FieldKind {
    let text = text.trim();
    if text.is_empty() {
        FieldKind::Empty
    } else if is_no_reading(text) {
        FieldKind::NoReading
    } else if decimal(text).is_some() {
        FieldKind::Number
    } else if is_time(text) {
        FieldKind::Time
    } else if text.trim_start_matches(['+', '-', '.', ',']).starts_with(|c: char| c.is_ascii_digit()) {
        FieldKind::AlmostNumber
    } else {
        FieldKind::Word
    }
}

/// Words that loggers and home automation write where there is no reading, in lower case.
const NO_READING: [&str; 22] = [
    "nan",
    "-nan",
    "+nan",
    "nan(ind)",
    "-nan(ind)",
    "-1.#ind",
    "1.#qnan",
    "na",
    "n/a",
    "n.a.",
    "#n/a",
    "#nv",
    "<na>",
    "null",
    "nil",
    "none",
    "missing",
    "unknown",
    "unavailable",
    "undefined",
    "undef",
    "no data",
];

/// True if `text` stands for "no reading": such a word, or nothing but `-`, `?`, `*` and the like.
fn is_no_reading(text: &str) -> bool {
    text.chars().all(|c| matches!(c, '-' | '–' | '—' | '_' | '?' | '*' | '.'))
        || (text.len() <= 12 && NO_READING.iter().any(|word| text.eq_ignore_ascii_case(word)))
}

/// Parts of a decimal number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal<'a> {
    /// Digits before the mark.
    pub whole: &'a str,
    /// The mark, if there is one.
    pub mark: Option<Mark>,
    /// Digits behind the mark.
    pub fraction: &'a str,
    /// An exponent follows.
    pub exponent: bool,
}

impl Decimal<'_> {
    /// True if its mark can be read as one between thousands as well: `1.234` and `12,345`, not `0.234` or `1.23`.
    pub fn may_be_thousands(&self) -> bool {
        self.mark.is_some()
            && !self.exponent
            && self.fraction.len() == 3
            && (1..=3).contains(&self.whole.len())
            && !self.whole.starts_with('0')
    }
}

/// Takes a decimal number apart; `None` for anything else.
pub fn decimal(text: &str) -> Option<Decimal<'_>> {
    let digits = |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, rest) = rest.split_at(digits(rest));
    let mark = match rest.as_bytes().first() {
        Some(b'.') => Some(Mark::Point),
        Some(b',') => Some(Mark::Comma),
        _ => None,
    };
    let rest = rest.get(usize::from(mark.is_some())..)?;
    let (fraction, rest) = rest.split_at(if mark.is_some() { digits(rest) } else { 0 });
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let exponent = rest.strip_prefix(['e', 'E']);
    let is_whole = match exponent {
        Some(power) => {
            let power = power.strip_prefix(['+', '-']).unwrap_or(power);
            !power.is_empty() && digits(power) == power.len()
        }
        None => rest.is_empty(),
    };
    is_whole.then_some(Decimal { whole, mark, fraction, exponent: exponent.is_some() })
}

/// True if a text holds a date (`2024-07-27`, `27.07.2024`, `7/27/24`, `27-Jul-2024`, `20240727T105155`) or a time of day.
fn is_time(text: &str) -> bool {
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let compact = text.as_bytes();
    let compact = compact.len() >= 15
        && compact.get(8) == Some(&b'T')
        && compact.iter().take(15).enumerate().all(|(i, b)| i == 8 || b.is_ascii_digit());
    compact || text.split([' ', 'T', '_', ',']).any(|part| is_clock(part) || is_date(part))
}

fn is_clock(text: &str) -> bool {
    let mut parts = text.split(':');
    let (hours, minutes) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let is_short = |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    is_short(hours) && minutes.get(..2).is_some_and(|m| m.bytes().all(|b| b.is_ascii_digit()))
}

fn is_date(text: &str) -> bool {
    ['-', '/', '.'].into_iter().any(|separator| {
        let parts: Vec<&str> = text.split(separator).collect();
        let [first, middle, last] = parts.as_slice() else { return false };
        let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let month =
            number(middle) && middle.len() <= 2 || middle.len() >= 3 && middle.bytes().all(|b| b.is_ascii_alphabetic());
        let lengths = (first.len(), last.len());
        number(first) && month && number(last) && matches!(lengths, (4, 1..=2) | (1..=2, 2 | 4))
    })
}

/// True if a column or key of this name holds the time of a reading, which is no channel unless it is asked for.
pub fn is_time_name(name: &str) -> bool {
    const TIMES: [&str; 24] = [
        "time",
        "times",
        "timestamp",
        "timestamps",
        "ts",
        "date",
        "datetime",
        "epoch",
        "unixtime",
        "zeit",
        "zeitstempel",
        "datum",
        "uhrzeit",
        "fecha",
        "hora",
        "heure",
        "horodatage",
        "ora",
        "tijd",
        "tid",
        "czas",
        "dato",
        "clock",
        "utc",
    ];
    const BESIDE: [&str; 19] = [
        "s", "ms", "us", "ns", "sec", "secs", "seconds", "millis", "utc", "gmt", "local", "unix", "iso", "iso8601",
        "time", "date", "stamp", "system", "rtc",
    ];
    let name = name.to_lowercase();
    let mut tokens = name.split(|c: char| !c.is_alphanumeric()).filter(|t| !t.is_empty()).peekable();
    tokens.peek().is_some()
        && tokens.clone().any(|t| TIMES.contains(&t))
        && tokens.all(|t| TIMES.contains(&t) || BESIDE.contains(&t))
}

/// Says that a text is no number, and why where that can be told: `"21,5" is not a number (a decimal comma, or thousands?)`.
pub fn complaint(text: &str) -> String {
    let start: String = text.chars().take(40).collect();
    let trimmed = text.trim();
    let groups = || trimmed.contains(',') && trimmed.contains('.');
    let why = match decimal(trimmed) {
        // Each is a number under the other mark, or none at all if it is too large.
        Some(Decimal { mark: Some(Mark::Comma), .. }) => " (a decimal comma, or thousands?)",
        Some(Decimal { mark: Some(Mark::Point), exponent: false, .. }) => " (a decimal point, or thousands?)",
        Some(_) => " in single precision",
        None if kind(trimmed) == FieldKind::AlmostNumber && groups() => " (digit groups are not read)",
        None if kind(trimmed) == FieldKind::AlmostNumber && !trimmed.ends_with(|c: char| c.is_ascii_digit()) => {
            " (a unit belongs into the name)"
        }
        None => "",
    };
    format!("{start:?} is not a number{why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_missing_readings_and_what_is_neither() {
        let number = |n: f64| Field::Number(n);
        let other = |text: &'static str| Field::Other(text.into());
        for (text, point, comma) in [
            ("21.5", number(21.5), other("21.5")),
            ("21,5", other("21,5"), number(21.5)),
            (" +7 ", number(7.0), number(7.0)),
            ("-.5", number(-0.5), other("-.5")),
            ("5.", number(5.0), other("5.")),
            ("1.5E-3", number(0.0015), other("1.5E-3")),
            ("1,5e3", other("1,5e3"), number(1500.0)),
            ("007", number(7.0), number(7.0)),
            ("1e39", other("1e39"), other("1e39")),
            ("1e-60", number(1e-60), number(1e-60)),
            ("18446744073709551616", number(18_446_744_073_709_551_616.0), number(18_446_744_073_709_551_616.0)),
        ] {
            assert_eq!(Field::of_text(text, Mark::Point), point, "{text:?} with points");
            assert_eq!(Field::of_text(text, Mark::Comma), comma, "{text:?} with commas");
        }
        for text in
            ["", " ", "-", "---", "??", "NaN", "-nan", "n/a", "NA", "null", "None", "unknown", "unavailable", "#N/A"]
        {
            assert_eq!(Field::of_text(text, Mark::Point), Field::Missing, "{text:?}");
        }
        for text in [
            "1.234,56",
            "1,234.56",
            "1.234.567",
            "1 234",
            "1'234",
            "0x1F",
            "1_000",
            "21.5 °C",
            "21.5C",
            "50%",
            "inf",
            "-inf",
            "Infinity",
            "1e",
            "e5",
            "--5",
            "+-5",
            "1.2.3",
            "on",
            "true",
            "12:00",
            "5V",
            "٣",
            "1e5.5",
            "\u{0}5",
            "5\u{0}",
        ] {
            for mark in [Mark::Point, Mark::Comma] {
                assert_eq!(Field::of_text(text, mark), Field::Other(text.into()), "{text:?}");
            }
        }
    }

    #[test]
    fn kinds_of_text() {
        for (kind_of, texts) in [
            (FieldKind::Empty, &["", "  "][..]),
            (FieldKind::NoReading, &["---", "NaN", "n/a"]),
            (FieldKind::Number, &["21.5", "21,5", "-3", "1e5", ".5"]),
            (
                FieldKind::Time,
                &[
                    "12:00",
                    "2024-01-01 12:00:00",
                    "2024-01-01T12:00:00.5Z",
                    "27.07.2024",
                    "27.7.24 08:15",
                    "7/27/2024",
                    "27-Jul-2024 08:15",
                    "20240727T105155Z",
                    "12:00:00,5",
                ],
            ),
            (FieldKind::AlmostNumber, &["21.5 °C", "1.234,56", "0x1F", "5V", "1 234", "-40 °C"]),
            (FieldKind::Word, &["temp", "a, left", "°C", "OK", "T1", "Date/Time", "inf"]),
        ] {
            for text in texts {
                assert_eq!(kind(text), kind_of, "{text:?}");
            }
        }
    }

    #[test]
    fn names_of_times() {
        for name in [
            "time",
            "Time",
            "TIMESTAMP",
            "ts",
            "Date/Time",
            "date_time",
            "Time (s)",
            "time_ms",
            "Zeit",
            "Datum",
            "unix time",
            "timestamp_utc",
        ] {
            assert!(is_time_name(name), "{name}");
        }
        for name in ["", "t", "temp", "uptime", "time_to_failure", "run time hours", "s", "data", "updates", "ms"] {
            assert!(!is_time_name(name), "{name}");
        }
    }

    #[test]
    fn thousands_are_suspected_where_they_can_be() {
        let may = |text| decimal(text).unwrap().may_be_thousands();
        assert!(["1.234", "12,345", "999.000", "-1.234"].into_iter().all(may));
        assert!(!["0.234", "1.23", "1234.567", ".234", "1.2345", "1.234e2", "1234"].into_iter().any(may));
    }
}
