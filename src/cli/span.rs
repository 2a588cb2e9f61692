//! Time spans as people type them.

use std::time::Duration;

/// A span such as `20s`, `5m` or `1h 30m`.
///
/// # Errors
/// The fault, with a span that is right.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let number = text.trim();
    if !number.is_empty() && number != "0" && number.parse::<f64>().is_ok() {
        return Err(format!("which unit? {number}s is in seconds, {number}m in minutes, {number}h in hours"));
    }
    humantime::parse_duration(text).map_err(|error| format!("{error}; a span is for instance 20s, 5m or 1h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_without_a_unit_is_answered_with_units() {
        assert_eq!(span("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(span("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(span("0"), Ok(Duration::ZERO));
        for text in ["5", " 5 ", "90"] {
            let error = span(text).unwrap_err();
            assert!(error.contains(&format!("{}s is in seconds", text.trim())), "{error}");
        }
        for text in ["", "soon", "5x", "-5s", "1e9999s"] {
            assert!(span(text).unwrap_err().contains("20s"), "{text}");
        }
    }
}
