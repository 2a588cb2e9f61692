//! Age of work, without trust in anybody's clock.

use std::time::{Duration, Instant};

/// Ages by the server's stamps and this computer's monotonic clock. The youngest message that was ever seen counts as new, so that clocks
/// which differ make an age too small and never too large.
#[derive(Debug, Default)]
pub(super) struct Ages {
    begin: Option<Instant>,
    /// Smallest difference between the two clocks, in ns.
    least: Option<i128>,
}

impl Ages {
    /// Age at `now` of a message that came to the server at `published`, in ns since 1970 by its clock.
    pub(super) fn age(&mut self, published: i128, now: Instant) -> Duration {
        let begin = *self.begin.get_or_insert(now);
        let difference = now.saturating_duration_since(begin).as_nanos() as i128 - published;
        let least = self.least.map_or(difference, |least| least.min(difference));
        self.least = Some(least);
        Duration::from_nanos(u64::try_from(difference - least).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_youngest_message_counts_as_new() {
        let (now, ms) = (Instant::now(), 1_000_000_i128);
        // The server's clock is years off; that is no age.
        let server = 50_i128 * 365 * 86_400 * 1000 * ms;
        let mut ages = Ages::default();
        assert_eq!(ages.age(server - 500 * ms, now), Duration::ZERO, "nothing younger is known");
        let later = now + Duration::from_secs(1);
        assert_eq!(ages.age(server + 1000 * ms, later), Duration::ZERO);
        assert_eq!(ages.age(server, later), Duration::from_secs(1));
        assert_eq!(ages.age(server, later + Duration::from_secs(2)), Duration::from_secs(3));
    }
}
