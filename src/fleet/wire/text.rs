//! Text of messages: headers, reasons, outcomes.

use async_nats::HeaderMap;
use serde_json::Value;

/// Longest value of a header that is read, in bytes.
const VALUE_BYTES: usize = 128;
/// Keys that the reader of an outcome sets itself.
const RESERVED: [&str; 9] =
    ["input", "infer_ms", "queue_ms", "total_ms", "computed_by", "model", "rung", "error", "refused"];

/// The value of a header that is given once.
pub(super) fn of<'a>(headers: Option<&'a HeaderMap>, name: &str) -> Option<&'a str> {
    once(headers, name, VALUE_BYTES)
}

fn once<'a>(headers: Option<&'a HeaderMap>, name: &str, most_bytes: usize) -> Option<&'a str> {
    let mut all = headers?.get_all(name);
    let value = all.next().map(|value| value.as_str()).filter(|value| value.len() <= most_bytes)?;
    all.next().is_none().then_some(value)
}

/// A header of up to `most_bytes` that may be missing.
///
/// # Errors
/// Failure where it is longer or given twice.
pub(super) fn settings<'a>(
    headers: Option<&'a HeaderMap>,
    name: &str,
    most_bytes: usize,
) -> Result<Option<&'a str>, ()> {
    if headers.and_then(|headers| headers.get(name)).is_none() {
        return Ok(None);
    }
    once(headers, name, most_bytes).map(Some).ok_or(())
}

/// A header that may be missing.
///
/// # Errors
/// Failure where it is there, and `read` makes nothing of it.
pub(super) fn optional<T>(
    headers: Option<&HeaderMap>,
    name: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, ()> {
    if headers.and_then(|headers| headers.get(name)).is_none() {
        return Ok(None);
    }
    of(headers, name).and_then(read).map(Some).ok_or(())
}

/// The first `most` bytes of `text`, or a few fewer.
pub(super) fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// `text` of somebody else, fit for a message.
pub(super) fn shown(text: &str) -> String {
    format!("{:?}", cut(text, 32))
}

/// `text` of somebody else as one line without control characters.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Checks that `text` is an outcome: one line, a JSON object with `task`, none of whose keys is one of the reader's own.
///
/// # Errors
/// The fault.
pub(super) fn check_outcome(text: &str) -> Result<(), String> {
    if text.contains(['\n', '\r']) || !text.starts_with('{') || !text.ends_with('}') {
        return Err("the answer is no JSON object in one line".into());
    }
    let value: Value = serde_json::from_str(text).map_err(|e| format!("the answer is no JSON: {e}"))?;
    let Value::Object(object) = value else { return Err("the answer is no JSON object".into()) };
    if !object.get("task").is_some_and(Value::is_string) {
        return Err("the answer names no task".into());
    }
    match RESERVED.iter().find(|key| object.contains_key(**key)) {
        Some(key) => Err(format!("the answer has the key {key:?}, which is not its own to say")),
        None => Ok(()),
    }
}
