//! The time of a reading as its writer noted it: `2024-07-27T10:51:55Z`, `27.07.2024 10:51`, seconds or milliseconds since 1970.

use super::number::{Field, is_time_name};
use super::values::{Key, Values};

/// Numbers of seconds, milliseconds, microseconds and nanoseconds since 1970 are told apart by their size: each is of a time between
/// 1973 and 5138.
const UNITS: [(f64, f64); 4] = [(1e8, 1.0), (1e11, 1e3), (1e14, 1e6), (1e17, 1e9)];

/// The time in s since some midnight, by the writer's own clock and in its own zone; `None` where a reading has none that can be
/// understood. A date and a time of day in fields of their own are taken together.
pub fn noted(values: &Values<'_>) -> Option<f64> {
    let Values::Named { keys, fields, .. } = values else { return None };
    let times =
        keys.iter().zip(fields).filter(|(key, _)| !key.nested && key.path.len() <= 1 && is_time_name(key.leaf()));
    let (mut day, mut clock) = (None, None);
    for (key, field) in times {
        match field {
            Field::Number(number) => {
                if let Some(time) = of_number(key, *number) {
                    return Some(time);
                }
            }
            Field::Other(text) => match parse(text) {
                (Some(date), Some(time)) => return Some(date + time),
                (date, time) => (day, clock) = (day.or(date), clock.or(time)),
            },
            Field::Missing | Field::Nested(_) => {}
        }
    }
    Some(day? + clock?)
}

/// A number of s, ms, µs or ns since 1970; smaller ones where the name says what they are, as the time since a start.
fn of_number(key: &Key, number: f64) -> Option<f64> {
    if let Some((_, unit)) = UNITS.iter().rev().find(|(least, _)| number >= *least) {
        return Some(number / unit);
    }
    let name = key.leaf().to_lowercase();
    let says = |words: &[&str]| name.split(|c: char| !c.is_alphanumeric()).any(|token| words.contains(&token));
    let unit = match () {
        () if says(&["ms", "millis"]) => 1e3,
        () if says(&["us"]) => 1e6,
        () if says(&["ns"]) => 1e9,
        () if says(&["s", "sec", "secs", "seconds"]) || name == "time" || name == "ts" || name == "timestamp" => 1.0,
        () => return None,
    };
    (number >= 0.0).then_some(number / unit)
}

/// Date and time of day of a text, each in s, as far as it has them.
fn parse(text: &str) -> (Option<f64>, Option<f64>) {
    let text = text.trim().trim_matches('"');
    let (first, rest) = text.split_once(['T', ' ', '_', ',']).unwrap_or((text, ""));
    match date(first) {
        Some(day) => (Some(day), time_of_day(rest.trim())),
        None => (None, time_of_day(text)),
    }
}

/// `2024-07-27`, `2024/07/27`, `27.07.2024` or `20240727`, in s since 1970.
fn date(text: &str) -> Option<f64> {
    let number = |part: &str| part.parse::<i64>().ok().filter(|_| part.bytes().all(|b| b.is_ascii_digit()));
    let parts: Vec<&str> = text.split(['-', '/', '.']).collect();
    let (year, month, day) = match parts.as_slice() {
        [year, month, day] if year.len() == 4 => (number(year)?, number(month)?, number(day)?),
        // With points the day comes first; with slashes that differs from country to country.
        [day, month, year] if year.len() == 4 && text.contains('.') => (number(year)?, number(month)?, number(day)?),
        [compact] if compact.len() == 8 => {
            (number(compact.get(..4)?)?, number(compact.get(4..6)?)?, number(compact.get(6..)?)?)
        }
        _ => return None,
    };
    if !(1900..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since 1970, the year taken to begin in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some(days as f64 * 86_400.0)
}

/// `10:51`, `10:51:55.250` or `105155`; a zone behind it is left out, and `PM` is reckoned with.
fn time_of_day(text: &str) -> Option<f64> {
    let (text, half) = match text.to_ascii_uppercase() {
        upper if upper.ends_with("PM") => (text.get(..text.len() - 2)?.trim_end(), Some(12.0)),
        upper if upper.ends_with("AM") => (text.get(..text.len() - 2)?.trim_end(), Some(0.0)),
        _ => (text, None),
    };
    let end = text.find(|c: char| !c.is_ascii_digit() && !":.,".contains(c)).unwrap_or(text.len());
    let clock = text.get(..end)?.replace(',', ".");
    let parts: Vec<&str> = clock.split(':').collect();
    let number = |part: &str| part.parse::<f64>().ok();
    let (hours, minutes, seconds) = match parts.as_slice() {
        [hours, minutes] => (number(hours)?, number(minutes)?, 0.0),
        [hours, minutes, seconds] => (number(hours)?, number(minutes)?, number(seconds)?),
        [compact] if compact.len() == 6 => {
            (number(compact.get(..2)?)?, number(compact.get(2..4)?)?, number(compact.get(4..)?)?)
        }
        _ => return None,
    };
    let hours = half.map_or(hours, |half| hours % 12.0 + half);
    let sane = (0.0..=24.0).contains(&hours) && (0.0..60.0).contains(&minutes) && (0.0..=61.0).contains(&seconds);
    sane.then_some(hours * 3600.0 + minutes * 60.0 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::sensor::json;

    #[test]
    fn times_as_loggers_write_them() {
        let of = |text: &str| noted(&json::read(text.as_bytes()).unwrap());
        // date -ud '2024-07-27 10:51:55' +%s
        let expected = Some(1_722_077_515.0);
        for text in [
            r#"{"Time": "2024-07-27T10:51:55", "a": 1}"#,
            r#"{"time": "2024-07-27T10:51:55Z"}"#,
            r#"{"timestamp": "2024-07-27 10:51:55+02:00"}"#,
            r#"{"zeit": "27.07.2024 10:51:55"}"#,
            r#"{"datetime": "2024/07/27 10:51:55 AM"}"#,
            r#"{"ts": "20240727T105155"}"#,
            r#"{"Datum": "27.07.2024", "Uhrzeit": "10:51:55"}"#,
            r#"{"ts": 1722077515}"#,
            r#"{"ts_ms": 1722077515000}"#,
            r#"{"epoch": 1722077515000000}"#,
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
        assert_eq!(of(r#"{"time_s": 12.5}"#), Some(12.5));
        assert_eq!(of(r#"{"time_ms": 2500}"#), Some(2.5));
        assert_eq!(of(r#"{"date": "2024-02-29 23:59:59,5"}"#), Some(1_709_251_199.5));
        for text in [
            r#"{"a": 1}"#,
            r#"{"time": "10:51:55"}"#,
            r#"{"time": "yesterday"}"#,
            r#"{"date": "2024-07-27"}"#,
            r#"{"date": "07/27/2024 10:51"}"#,
            r#"{"time": null}"#,
            r#"{"time": "2024-13-27 10:51"}"#,
            r#"{"time": "2024-07-27 10:71"}"#,
            r#"{"time": "é:1"}"#,
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
