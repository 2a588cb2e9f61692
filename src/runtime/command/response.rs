//! Answers to requests.

use serde::Serialize;
use serde_json::Value;

use crate::publish::payload;

/// Longest error in bytes; what is beyond is cut.
const MOST_ERROR_BYTES: usize = 4096;

/// Bytes of a packet beside topic and payload.
const PACKET_BYTES: usize = 16;

/// A request that is to be answered.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct Ticket {
    /// The verb of its topic.
    pub(super) verb: String,
    /// The sender's identifier.
    pub(super) transaction: Option<String>,
}

/// The answer to a request.
#[derive(Debug, Serialize)]
struct Response<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<&'a str>,
}

/// The payload of the answer on `topic`; where it does not fit into a packet of `most_bytes`, an error that says so.
pub(super) fn render(
    transaction: Option<&str>,
    result: Result<&Value, &str>,
    topic: &str,
    most_bytes: usize,
) -> Vec<u8> {
    let payload = match result {
        Ok(data) => payload::json(&Response { status: "ok", error: None, data: Some(data), transaction }),
        Err(error) => return failure(transaction, error),
    };
    if payload.len() + topic.len() + PACKET_BYTES <= most_bytes {
        return payload;
    }
    let error = format!(
        "the answer has {} bytes, more than a packet (mqtt.max_packet_bytes = {most_bytes}): ask for a part where there are any, or raise it",
        payload.len()
    );
    failure(transaction, &error)
}

fn failure(transaction: Option<&str>, error: &str) -> Vec<u8> {
    let end = error.floor_char_boundary(MOST_ERROR_BYTES);
    let error = error.get(..end).unwrap_or_default();
    payload::json(&Response { status: "error", error: Some(error), data: None, transaction })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_says_what_applies_or_what_is_wrong() {
        let check = |transaction, result: Result<&Value, &str>, expected: Value| {
            let payload = render(transaction, result, "a/response/x", 10_240);
            assert_eq!(serde_json::from_slice::<Value>(&payload).unwrap(), expected);
        };
        let data = json!({"mode": "auto"});
        check(Some("7"), Ok(&data), json!({"status": "ok", "data": {"mode": "auto"}, "transaction": "7"}));
        check(None, Err("no"), json!({"status": "error", "error": "no"}));
        let long = "ä".repeat(9000);
        let payload = render(None, Err(&long), "t", 10_240);
        assert!(payload.len() < 4200, "{}", payload.len());
        let large = json!("x".repeat(11_000));
        let payload: Value = serde_json::from_slice(&render(Some("t"), Ok(&large), "t", 10_240)).unwrap();
        assert!(
            payload["error"].as_str().is_some_and(|e| e.contains("11") && e.contains("max_packet_bytes")),
            "{payload}"
        );
        assert_eq!(payload["transaction"], "t");
    }
}
