//! CSV lines as readings: delimiter, header and decimal mark of files that say none of them.
//!
//! RFC 4180, but for quoted fields that go over several lines: those lines are refused. What could mean two things is
//! refused with the key that decides it.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use super::config::{Decimal, Delimiter, Header};
use super::number::{Field, FieldKind, Mark, decimal, kind};
use super::values::{Key, Naming, Values};

/// Most lines that a quoted field is expected to go over; a quote that has not ended by then was none.
const MOST_QUOTED_LINES: u32 = 16;

/// Most words of readings that are remembered.
const MOST_WORDS: usize = 64;

/// Delimiters that are looked for. A semicolon or tab is never part of a number, so they go before the comma.
const DELIMITERS: [char; 3] = ['\t', ';', ','];

/// Keys of the configuration that say what a file does not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// First line: a header or a reading.
    pub header: Header,
    /// Between the fields.
    pub delimiter: Delimiter,
    /// Between whole and fractional digits.
    pub decimal: Decimal,
}

/// Reads the lines of one file.
#[derive(Clone, Debug)]
pub struct Csv {
    settings: Settings,
    delimiter: Option<char>,
    mark: Option<Mark>,
    /// Names of the columns, once they are known, and their origin.
    columns: Option<(Arc<[Key]>, Naming)>,
    /// First line, while it is not known whether it is a header.
    unclear: Option<Vec<String>>,
    /// A line that may have been the header of another table.
    suspect: Option<Vec<String>>,
    /// Words that stood in readings, which make no header of a line that has them.
    words: HashSet<String>,
    /// A line before the columns were known could not be read: it may have been the header.
    lost_first: bool,
    /// Lines since a quoted field began that did not end on its line.
    quoted: u32,
}

impl Csv {
    /// Begins before the first line.
    pub fn new(settings: Settings) -> Self {
        let delimiter = match settings.delimiter {
            Delimiter::Auto => None,
            Delimiter::Comma => Some(','),
            Delimiter::Semicolon => Some(';'),
            Delimiter::Tab => Some('\t'),
        };
        let mark = match settings.decimal {
            Decimal::Auto => None,
            Decimal::Point => Some(Mark::Point),
            Decimal::Comma => Some(Mark::Comma),
        };
        Csv {
            settings,
            delimiter,
            mark,
            columns: None,
            unclear: None,
            suspect: None,
            words: HashSet::new(),
            lost_first: false,
            quoted: 0,
        }
    }

    /// Looks at the first lines of a file ahead of time, to know delimiter, decimal mark and header better than the first
    /// line alone says.
    pub fn survey(&mut self, lines: &[String]) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).filter(|line| !line.trim().is_empty()).collect();
        let begin = usize::from(lines.first().is_some_and(|line| excel_delimiter(line).is_some()));
        let lines = lines.get(begin..).unwrap_or_default();
        let Some(first) = lines.first() else { return };
        if self.delimiter.is_none() && begin == 0 {
            let fits = |delimiter: &char| {
                let width = |line: &str| split(line, *delimiter).map_or(0, |fields| fields.len());
                let columns = width(first);
                columns > 1 && lines.iter().filter(|line| width(line) == columns).count() * 2 > lines.len()
            };
            self.delimiter = DELIMITERS.into_iter().find(fits);
        }
        let Some(delimiter) = self.delimiter else { return };
        let rows: Vec<Vec<Cow<'_, str>>> = lines.iter().filter_map(|line| split(line, delimiter).ok()).collect();
        if self.mark.is_none() {
            let (mut points, mut commas) = (0, 0);
            for number in rows.iter().flatten().filter_map(|field| decimal(field.trim())) {
                match number.mark {
                    Some(_) if number.may_be_thousands() => {}
                    Some(Mark::Point) => points += 1,
                    Some(Mark::Comma) => commas += 1,
                    None => {}
                }
            }
            // Where both are there, each line is judged by itself, and refused if it has both.
            self.mark = match (points, commas) {
                (1.., 0) => Some(Mark::Point),
                (0, 1..) => Some(Mark::Comma),
                _ => None,
            };
        }
    }

    /// Begins again at the first line of the same file.
    pub fn rewind(&mut self) {
        (self.columns, self.unclear, self.suspect, self.quoted) = (None, None, None, 0);
        self.lost_first = false;
    }

    /// Reads one line: `None` for a header and for a line without any field.
    ///
    /// # Errors
    /// A message saying why the line is no reading.
    pub fn read<'a>(&mut self, line: &'a str) -> Result<Option<Values<'a>>, String> {
        if line.contains('\0') {
            self.lost_first |= self.columns.is_none();
            return Err("it holds NUL bytes: damaged, or UTF-16".into());
        }
        if self.quoted > 0 {
            return Err(self.within_quotes(line));
        }
        if self.columns.is_none()
            && self.unclear.is_none()
            && let Some(delimiter) = excel_delimiter(line)
        {
            self.delimiter = self.delimiter.or(Some(delimiter));
            return Ok(None);
        }
        let found = DELIMITERS.into_iter().find(|d| split(line, *d).is_ok_and(|fields| fields.len() > 1));
        let delimiter = self.delimiter.or(found).unwrap_or(',');
        let mut fields = split(line, delimiter)
            .inspect_err(|fault| {
                self.quoted = u32::from(matches!(fault, SplitFault::Open));
                self.lost_first |= self.columns.is_none();
            })
            .map_err(|fault| fault.reason())?;
        if fields.iter().all(|field| field.trim().is_empty()) && (self.columns.is_none() || fields.len() == 1) {
            return Ok(None);
        }
        if self.columns.is_none() && self.begin(&fields, delimiter)? {
            return Ok(None);
        }
        self.delimiter = Some(delimiter);
        // A delimiter behind the last field moves nothing.
        let width = self.columns.as_ref().map_or(0, |(keys, _)| keys.len());
        while fields.len() > width && fields.last().is_some_and(|field| field.trim().is_empty()) {
            fields.pop();
        }
        if self.is_header_again(&fields)? {
            return Ok(None);
        }
        let Some((keys, naming)) = &self.columns else { return Ok(None) };
        let (keys, naming) = (Arc::clone(keys), *naming);
        if fields.len() != keys.len() {
            let of = if naming == Naming::Header { "the header" } else { "the first line" };
            return Err(format!("{} fields, and {of} has {}", fields.len(), keys.len()));
        }
        let mark = self.decimal_mark(&fields, delimiter)?;
        for word in fields.iter().map(|field| field.trim()).filter(|field| kind(field) == FieldKind::Word) {
            if self.words.len() < MOST_WORDS && !self.words.contains(word) {
                self.words.insert(word.to_owned());
            }
        }
        let fields = fields.into_iter().map(|field| Field::of_text(field, mark)).collect();
        Ok(Some(Values::Named { keys, fields, naming }))
    }

    /// A line within a quoted field, or the one that ends it.
    fn within_quotes(&mut self, line: &str) -> String {
        let delimiter = self.delimiter.unwrap_or(',');
        let quoted = format!("\"{line}");
        let reason = format!("within a quoted field that began {} lines before", self.quoted);
        let ended = !matches!(split(&quoted, delimiter), Err(SplitFault::Open));
        self.quoted = if ended || self.quoted >= MOST_QUOTED_LINES { 0 } else { self.quoted + 1 };
        reason
    }

    /// Takes the first line, or the second where the first left it open; says whether it was a header.
    fn begin(&mut self, fields: &[Cow<'_, str>], delimiter: char) -> Result<bool, String> {
        let texts = || fields.iter().map(|field| field.trim().to_owned()).collect::<Vec<_>>();
        let is_header = match (self.settings.header, self.unclear.take()) {
            (Header::Present, _) => true,
            (Header::Absent, _) => false,
            (Header::Auto, None) => match first_line(fields) {
                Some(false) if self.lost_first => {
                    return Err("a line before it could not be read and may have had the names of the columns".into());
                }
                Some(is_header) => is_header,
                None => {
                    (self.unclear, self.delimiter) = (Some(texts()), Some(delimiter));
                    return Ok(true);
                }
            },
            (Header::Auto, Some(first)) => {
                if !differs(&first, fields) {
                    let shown = first.join(&delimiter.to_string());
                    self.unclear = Some(first);
                    return Err(format!(
                        "whether the first line ({shown:?}) has the names of the columns cannot be told; header = \"present\" or \
                         \"absent\" says so"
                    ));
                }
                self.columns = Some((header(&first), Naming::Header));
                return Ok(false);
            }
        };
        if is_header {
            self.columns = Some((header(&texts()), Naming::Header));
            self.delimiter = Some(delimiter);
        } else {
            let keys = (1..=fields.len()).map(|n| Key::of_column(format!("#{n}"), n)).collect();
            let in_order = self.settings.header == Header::Absent;
            self.columns = Some((keys, Naming::Columns { in_order }));
        }
        Ok(is_header)
    }

    /// True if the line is a header: the known one of a writer that began anew, or another one, which then holds.
    fn is_header_again(&mut self, fields: &[Cow<'_, str>]) -> Result<bool, String> {
        let Some((keys, naming)) = &self.columns else { return Ok(false) };
        let width = keys.len();
        if let Some(suspect) = self.suspect.take()
            && (fields.len() == suspect.len() || fields.len() != width)
            // A word that stays the same from line to line is no name of a column.
            && !suspect.iter().zip(fields).any(|(before, now)| before == now.trim())
        {
            tracing::warn!(names = suspect.join(", "), "another header: the columns have changed");
            self.columns = Some((header(&suspect), Naming::Header));
            return Ok(false);
        }
        let is_name = |field: &Cow<'_, str>| kind(field) == FieldKind::Word;
        let same = *naming == Naming::Header
            && fields.len() == width
            && keys.iter().zip(fields).all(|(key, field)| key.leaf() == field.trim());
        if same {
            return Ok(true);
        }
        let is_empty = |field: &Cow<'_, str>| field.trim().is_empty();
        let texts: Vec<String> = fields.iter().map(|field| field.trim().to_owned()).collect();
        let is_known = |text: &&String| !text.is_empty() && keys.iter().any(|key| key.leaf() == text.as_str());
        let known = if *naming == Naming::Header { texts.iter().filter(is_known).count() } else { 0 };
        // Also beside what is no name: the values below it stand in its order.
        if known > 1 || (known == 1 && !fields.iter().any(|field| kind(field) == FieldKind::Number)) {
            tracing::warn!(names = texts.join(", "), "another header: the columns have changed");
            self.columns = Some((header(&texts), Naming::Header));
            return Ok(true);
        }
        if !fields.iter().all(|field| is_name(field) || is_empty(field)) || !fields.iter().any(is_name) {
            return Ok(false);
        }
        let distinct =
            (1..texts.len()).all(|i| texts.get(i).is_none_or(|t| texts.iter().take(i).all(|other| other != t)));
        let seen = texts.iter().any(|text| self.words.contains(text));
        if texts.len() > 1 && distinct && !seen && !fields.iter().any(is_empty) {
            self.suspect = Some(texts);
            return Err("neither a reading nor the known header".into());
        }
        Ok(false)
    }

    /// The decimal mark of a line.
    fn decimal_mark(&mut self, fields: &[Cow<'_, str>], delimiter: char) -> Result<Mark, String> {
        if let Some(mark) = self.mark {
            return Ok(mark);
        }
        let numbers = || fields.iter().filter_map(|field| decimal(field.trim()).map(|number| (field, number)));
        let certain = |mark| numbers().find(|(_, n)| n.mark == Some(mark) && !n.may_be_thousands());
        let decides = "decimal = \"point\" or \"comma\" says which it is";
        match (certain(Mark::Point), certain(Mark::Comma)) {
            (Some((point, _)), Some((comma, _))) => {
                return Err(format!(
                    "{:?} has a decimal point and {:?} a decimal comma; {decides}",
                    point.trim(),
                    comma.trim()
                ));
            }
            (Some(_), None) => self.mark = Some(Mark::Point),
            (None, Some(_)) => self.mark = Some(Mark::Comma),
            (None, None) => {
                let unclear =
                    numbers().find(|(_, n)| n.mark == Some(Mark::Comma) || (n.mark.is_some() && delimiter != ','));
                if let Some((unclear, _)) = unclear {
                    return Err(format!("{:?} may have decimals or thousands; {decides}", unclear.trim()));
                }
                // Between commas a point is what it is in every language that separates fields by commas.
                if numbers().any(|(_, n)| n.mark.is_some()) {
                    self.mark = Some(Mark::Point);
                }
            }
        }
        Ok(self.mark.unwrap_or(Mark::Point))
    }
}

/// Columns of a header.
fn header(names: &[String]) -> Arc<[Key]> {
    let mut names: Vec<&String> = names.iter().collect();
    // A delimiter behind the last name makes no column.
    while names.len() > 1 && names.last().is_some_and(|name| name.is_empty()) {
        names.pop();
    }
    names.into_iter().enumerate().map(|(i, name)| Key::of_column(name, i + 1)).collect()
}

/// The delimiter of Excel's line `sep=;`.
fn excel_delimiter(line: &str) -> Option<char> {
    let mut rest = line.trim_end_matches([' ', '\r']).strip_prefix("sep=")?.chars();
    rest.next().filter(|c| DELIMITERS.contains(c) && rest.next().is_none())
}

/// True for a first line with the names of the columns, which are all words; false for one with a time, a sign for "no reading"
/// or nothing but numbers. `None` for words and numbers, which may be names (`5V`, `2024`).
fn first_line(fields: &[Cow<'_, str>]) -> Option<bool> {
    let kinds: Vec<FieldKind> = fields.iter().map(|field| kind(field)).collect();
    let has = |wanted: FieldKind| kinds.contains(&wanted);
    if has(FieldKind::Time) || has(FieldKind::NoReading) {
        return Some(false);
    }
    match (has(FieldKind::Word), has(FieldKind::Number), has(FieldKind::AlmostNumber)) {
        (true, false, false) => Some(true),
        (false, true, false) => Some(false),
        _ => None,
    }
}

/// True if the second line shows that the first one has names: what was a word there is a number or a time here.
fn differs(first: &[String], second: &[Cow<'_, str>]) -> bool {
    let is_data = |k: FieldKind| matches!(k, FieldKind::Number | FieldKind::Time | FieldKind::NoReading);
    first.len() == second.len()
        && first.iter().zip(second).any(|(name, field)| match kind(name) {
            FieldKind::Word => is_data(kind(field)) || kind(field) == FieldKind::AlmostNumber,
            FieldKind::AlmostNumber => is_data(kind(field)),
            _ => false,
        })
}

/// Reason why a line cannot be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SplitFault {
    /// A quoted field does not end on the line.
    Open,
    /// Something stands between a closing quote and the delimiter.
    Behind,
}

impl SplitFault {
    fn reason(self) -> String {
        match self {
            SplitFault::Open => "a quote that does not end on its line".into(),
            SplitFault::Behind => "text behind a closing quote".into(),
        }
    }
}

/// Splits a line into its fields. A quote is one at the beginning of a field only; within quotes, `""` is a quote.
fn split(line: &str, delimiter: char) -> Result<Vec<Cow<'_, str>>, SplitFault> {
    let mut fields = Vec::new();
    let mut rest = Some(line);
    while let Some(text) = rest {
        let Some(mut quoted) = text.strip_prefix('"') else {
            let (field, behind) =
                text.split_once(delimiter).map_or((text, None), |(field, behind)| (field, Some(behind)));
            fields.push(Cow::Borrowed(field));
            rest = behind;
            continue;
        };
        let mut field = String::new();
        let behind = loop {
            let (part, behind) = quoted.split_once('"').ok_or(SplitFault::Open)?;
            field += part;
            let Some(more) = behind.strip_prefix('"') else { break behind };
            field.push('"');
            quoted = more;
        };
        fields.push(Cow::Owned(field));
        rest = match behind.strip_prefix(delimiter) {
            None if behind.trim().is_empty() => None,
            None => return Err(SplitFault::Behind),
            more => more,
        };
    }
    Ok(fields)
}

/// Decodes a line: UTF-8, else Windows-1252, which Latin-1 is a part of.
pub fn decode(line: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(line) {
        Ok(text) => text.into(),
        Err(_) => line.iter().map(|&byte| windows_1252(byte)).collect::<String>().into(),
    }
}

/// The character of a byte in Windows-1252 (WHATWG Encoding Standard, index windows-1252).
fn windows_1252(byte: u8) -> char {
    const HIGH: [u16; 32] = [
        0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D,
        0x017D, 0x8F, 0x90, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A,
        0x0153, 0x9D, 0x017E, 0x0178,
    ];
    let code = byte.checked_sub(0x80).and_then(|i| HIGH.get(usize::from(i)));
    code.and_then(|&code| char::from_u32(code.into())).unwrap_or(char::from(byte))
}

#[cfg(test)]
mod tests;
