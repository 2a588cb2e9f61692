//! Client ids: one connected client for each, and their names at the inner broker.
//!
//! rumqttd 0.20 remembers every client id for ever, refuses ids with `+ $ # /`, and crashes when a client connects while its
//! predecessor of the same id is still leaving. It therefore never sees client ids: a client with a clean session gets the next
//! of [`CLEAN`] names, one with a persistent session a name of its own. Pure.

use std::collections::{BTreeSet, HashMap};

/// Names for clients with a clean session; more than connected clients, so that none is reused at once.
const CLEAN: u32 = 512;
/// Persistent sessions at most; further clients get clean ones.
const SESSIONS: usize = 32;

/// The clients of one inner broker.
#[derive(Default)]
pub(super) struct Ids {
    /// Number of each connected client by its id.
    living: HashMap<String, u64>,
    numbers: u64,
    next: u32,
    in_use: BTreeSet<u32>,
    /// Slot of each client id with a persistent session.
    sessions: HashMap<String, usize>,
}

/// A connected client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Unique number.
    pub(super) number: u64,
    /// Name at the inner broker.
    pub(super) name: String,
    /// The session is clean, either as requested or because all session slots are taken.
    pub(super) clean: bool,
    client_id: String,
    /// Clean name to be returned.
    lent: Option<u32>,
    /// The session ends with the connection.
    ends: bool,
}

impl Ids {
    /// Number of the connected client with `client_id`. It has to leave before another connects.
    pub(super) fn living(&self, client_id: &str) -> Option<u64> {
        self.living.get(client_id).copied()
    }

    /// Registers a client; no other with its id may be connected. The empty id is never shared.
    pub(super) fn enter(&mut self, client_id: &str, clean: bool) -> Entry {
        self.numbers += 1;
        let number = self.numbers;
        if !client_id.is_empty() {
            self.living.insert(client_id.to_owned(), number);
        }
        let mut slot = self.sessions.get(client_id).copied();
        if slot.is_none() && !clean {
            slot = (0..SESSIONS).find(|slot| !self.sessions.values().any(|taken| taken == slot));
            if let Some(slot) = slot {
                self.sessions.insert(client_id.to_owned(), slot);
            }
        }
        let client_id = client_id.to_owned();
        if let Some(slot) = slot {
            return Entry { number, name: format!("session-{slot}"), clean, client_id, lent: None, ends: clean };
        }
        while self.in_use.contains(&self.next) {
            self.next = (self.next + 1) % CLEAN;
        }
        let lent = self.next;
        self.in_use.insert(lent);
        self.next = (self.next + 1) % CLEAN;
        Entry { number, name: format!("clean-{lent}"), clean: true, client_id, lent: Some(lent), ends: false }
    }

    /// Releases a client that the inner broker has forgotten.
    pub(super) fn leave(&mut self, entry: &Entry) {
        if self.living.get(&entry.client_id) == Some(&entry.number) {
            self.living.remove(&entry.client_id);
        }
        if let Some(lent) = entry.lent {
            self.in_use.remove(&lent);
        }
        if entry.ends {
            self.sessions.remove(&entry.client_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_names_go_round_and_none_is_used_twice_at_a_time() {
        let mut ids = Ids::default();
        let stays = ids.enter("stays", true);
        let mut names = std::collections::HashSet::new();
        for n in 0..3 * CLEAN {
            let entry = ids.enter(&n.to_string(), true);
            assert_ne!(entry.name, stays.name);
            names.insert(entry.name.clone());
            ids.leave(&entry);
        }
        assert_eq!(names.len(), CLEAN as usize - 1, "however many come, the inner broker knows so many");
        assert_eq!(ids.living.len(), 1);
    }

    #[test]
    fn a_kept_session_has_its_name_until_a_clean_one_ends_it() {
        let mut ids = Ids::default();
        let first = ids.enter("a/b", false);
        assert_eq!((first.name.as_str(), first.clean), ("session-0", false));
        ids.leave(&first);
        let again = ids.enter("a/b", false);
        assert_eq!(again.name, first.name);
        ids.leave(&again);
        let clean = ids.enter("a/b", true);
        assert_eq!((clean.name.as_str(), clean.clean), ("session-0", true));
        ids.leave(&clean);
        assert!(ids.sessions.is_empty());
    }

    #[test]
    fn sessions_are_kept_for_so_many_and_the_rest_are_clean() {
        let mut ids = Ids::default();
        for n in 0..SESSIONS {
            let entry = ids.enter(&n.to_string(), false);
            assert!(!entry.clean);
            ids.leave(&entry);
        }
        let more = ids.enter("more", false);
        assert!(more.clean && more.name.starts_with("clean-"), "{more:?}");
    }

    #[test]
    fn nobody_is_the_empty_id() {
        let mut ids = Ids::default();
        let (a, b) = (ids.enter("", true), ids.enter("", true));
        assert_ne!(a.name, b.name);
        assert_eq!(ids.living(""), None);
        let named = ids.enter("x", true);
        assert_eq!(ids.living("x"), Some(named.number));
        ids.leave(&named);
        assert_eq!(ids.living("x"), None);
    }
}
