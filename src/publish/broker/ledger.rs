//! Limits on what clients make the inner broker store: rumqttd 0.20 itself keeps every retained message, topic and filter for
//! ever. Pure.

use std::collections::{HashMap, HashSet};

/// Bounds on stored messages and names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Topics with a retained message.
    pub(super) retained: usize,
    /// Bytes of retained messages, topics included.
    pub(super) retained_bytes: usize,
    /// Topics ever published to, and bytes of their names. rumqttd caches the matching filters of each.
    pub(super) topics: usize,
    pub(super) topic_bytes: usize,
    /// Filters ever subscribed to; rumqttd keeps a message log for each.
    pub(super) filters: usize,
    pub(super) filter_bytes: usize,
}

/// Bounds for all other clients together. The daemon has as much for itself, so that they cannot exhaust its share.
pub(super) const LIMITS: Limits = Limits {
    retained: 2048,
    retained_bytes: 8 << 20,
    topics: 65_536,
    topic_bytes: 4 << 20,
    filters: 256,
    filter_bytes: 256 << 10,
};

/// Messages and names stored by one inner broker.
pub(super) struct Ledger {
    own: Account,
    others: Account,
}

#[derive(Default)]
struct Account {
    /// Bytes of the retained message of each topic.
    retained: HashMap<String, usize>,
    retained_bytes: usize,
    topics: Names,
    filters: Names,
}

#[derive(Default)]
struct Names {
    seen: HashSet<Box<str>>,
    bytes: usize,
}

impl Names {
    /// Adds `name`. Returns `false` when it is new and there is no room.
    fn admit(&mut self, name: &str, most: usize, most_bytes: usize) -> bool {
        if self.seen.contains(name) {
            return true;
        }
        if self.seen.len() >= most || self.bytes + name.len() > most_bytes {
            return false;
        }
        self.bytes += name.len();
        self.seen.insert(name.into());
        true
    }
}

impl Account {
    fn retain(&mut self, limits: &Limits, topic: &str, bytes: usize) -> bool {
        let before = self.retained.get(topic).copied();
        let kept = self.retained_bytes - before.unwrap_or_default() + topic.len() + bytes;
        if kept > limits.retained_bytes || (before.is_none() && self.retained.len() >= limits.retained) {
            return false;
        }
        self.retained_bytes = kept;
        self.retained.insert(topic.to_owned(), topic.len() + bytes);
        true
    }

    fn forget(&mut self, topic: &str) {
        self.retained_bytes -= self.retained.remove(topic).unwrap_or_default();
    }
}

impl Ledger {
    pub(super) fn new() -> Self {
        Ledger { own: Account::default(), others: Account::default() }
    }

    /// Stores (or, without payload, removes) a retained message on `topic`. Returns `false` without room for it. `own`: the
    /// daemon's.
    pub(super) fn retain(&mut self, limits: &Limits, topic: &str, payload_bytes: usize, own: bool) -> bool {
        let (mine, theirs) = if own { (&mut self.own, &mut self.others) } else { (&mut self.others, &mut self.own) };
        if payload_bytes > 0 && !mine.retain(limits, topic, payload_bytes) {
            return false;
        }
        // It replaces the other account's message, or removes both.
        theirs.forget(topic);
        if payload_bytes == 0 {
            mine.forget(topic);
        }
        true
    }

    /// Notes a message published to `topic`. Returns `false` when the topic is new and there is no room.
    pub(super) fn topic(&mut self, limits: &Limits, topic: &str, own: bool) -> bool {
        let account = if own { &mut self.own } else { &mut self.others };
        account.topics.admit(topic, limits.topics, limits.topic_bytes)
    }

    /// Notes a subscription to `filter`. Returns `false` when the filter is new and there is no room.
    pub(super) fn filter(&mut self, limits: &Limits, filter: &str, own: bool) -> bool {
        let account = if own { &mut self.own } else { &mut self.others };
        account.filters.admit(filter, limits.filters, limits.filter_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Limits =
        Limits { retained: 3, retained_bytes: 100, topics: 3, topic_bytes: 10, filters: 2, filter_bytes: 10 };

    #[test]
    fn retained_messages_are_bounded_by_count_and_bytes() {
        let mut ledger = Ledger::new();
        for topic in ["a", "b", "c"] {
            assert!(ledger.retain(&SMALL, topic, 10, false));
        }
        assert!(!ledger.retain(&SMALL, "d", 1, false), "three topics");
        assert!(ledger.retain(&SMALL, "a", 70, false), "a replacement");
        assert!(!ledger.retain(&SMALL, "a", 78, false), "101 bytes with the topics");
        assert!(ledger.retain(&SMALL, "a", 77, false), "exactly 100");
        assert!(ledger.retain(&SMALL, "b", 0, false), "removed");
        assert!(ledger.retain(&SMALL, "d", 9, false), "in its place");
        assert_eq!((ledger.others.retained.len(), ledger.others.retained_bytes), (3, 78 + 11 + 10));
    }

    #[test]
    fn the_daemon_has_room_of_its_own() {
        let mut ledger = Ledger::new();
        for topic in ["a", "b", "c"] {
            assert!(ledger.retain(&SMALL, topic, 1, false));
            assert!(ledger.topic(&SMALL, topic, false));
        }
        assert!(!ledger.topic(&SMALL, "d", false) && ledger.topic(&SMALL, "d", true));
        assert!(ledger.retain(&SMALL, "d", 50, true));
        assert!(ledger.retain(&SMALL, "a", 40, true), "it takes over a topic, and with it the other's room");
        assert!(ledger.retain(&SMALL, "e", 1, false));
        assert!(!ledger.retain(&SMALL, "f", 1, false));
    }

    #[test]
    fn topics_and_filters_are_remembered_once() {
        let mut ledger = Ledger::new();
        assert!((0..9).all(|_| ledger.topic(&SMALL, "abcd", false)));
        assert!(ledger.topic(&SMALL, "efghij", false));
        assert!(!ledger.topic(&SMALL, "k", false), "11 bytes");
        assert!(ledger.filter(&SMALL, "a/#", false) && ledger.filter(&SMALL, "b/#", false));
        assert!(!ledger.filter(&SMALL, "c/#", false) && ledger.filter(&SMALL, "a/#", false));
    }

    proptest::proptest! {
        #[test]
        fn the_books_balance(steps in proptest::collection::vec((0u8..6, 0usize..60, proptest::bool::ANY), 0..200)) {
            let mut ledger = Ledger::new();
            for (topic, bytes, own) in steps {
                ledger.retain(&SMALL, &topic.to_string(), bytes, own);
                for account in [&ledger.own, &ledger.others] {
                    proptest::prop_assert_eq!(account.retained.values().sum::<usize>(), account.retained_bytes);
                    proptest::prop_assert!(account.retained_bytes <= SMALL.retained_bytes);
                    proptest::prop_assert!(account.retained.len() <= SMALL.retained);
                }
            }
        }
    }
}
