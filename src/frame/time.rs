//! Wall-clock times as they are published.

use std::time::{Duration, SystemTime};

/// A wall-clock time as RFC 3339 in UTC with milliseconds, the form of every published time.
///
/// Years before 1970 and after 9999, from a board without a clock, become the nearest representable time.
pub fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(sane(time)).to_string()
}

/// `time` clamped to the range of RFC 3339: humantime panics beyond it.
fn sane(time: SystemTime) -> SystemTime {
    // 9999-12-31T23:59:59Z.
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    SystemTime::UNIX_EPOCH + time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().min(LAST)
}

pub(super) fn serialize_time<S: serde::Serializer>(time: &SystemTime, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(&humantime::format_rfc3339_millis(sane(*time)))
}

pub(super) fn serialize_time_option<S: serde::Serializer>(time: &Option<SystemTime>, s: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(t) => serialize_time(t, s),
        None => s.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_clock_is_told_as_well_as_can_be() {
        let epoch = SystemTime::UNIX_EPOCH;
        assert_eq!(rfc3339(epoch + Duration::from_millis(1_500)), "1970-01-01T00:00:01.500Z");
        assert_eq!(rfc3339(epoch - Duration::from_secs(5)), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(epoch + Duration::from_secs(1 << 40)), "9999-12-31T23:59:59.000Z");
    }
}
