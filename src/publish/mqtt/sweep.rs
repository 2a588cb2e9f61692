//! Decisions on retained messages that are no longer this node's. Pure: messages and times in, actions out.
//!
//! A name that this node had may be another node's by now. So the `state` topic of that name is looked at first:
//!
//! ```text
//!            ┌─ refused: nothing is known, nothing is done ─▶ left
//!  asked ────┤                        ┌─ `offline` ─▶ cleared
//!            └─ granted ─▶ `online` ──┴─ still `online` after 2.5 keep-alives: another node's ─▶ forgotten
//!                   └─ no message in 3 s, or `offline` ─▶ cleared
//! ```
//!
//! `online` may also be what this node itself left when its power was cut: the broker then says `offline` for it after one and a half
//! keep-alives.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::retained::{Ghost, Retained};

/// Time for a retained message to come after its subscription.
const RETAINED: Duration = Duration::from_secs(3);
/// Time of a connection after which everything was published that is at a start.
const SETTLED: Duration = Duration::from_secs(60);
/// Messages without acknowledgement.
const CLEARING: usize = 4;
/// Time between two looks where nothing happened.
const LOOK: Duration = Duration::from_millis(200);

/// Next step of a sweep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Subscribe(String),
    Unsubscribe(String),
    /// An empty retained message.
    Clear(String),
}

/// Owner of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Asked,
    Silent {
        since: Instant,
    },
    Online {
        since: Instant,
    },
    /// Nobody.
    None,
    Unknown,
}

/// The sweep of one connection.
#[derive(Debug)]
pub(super) struct Sweep {
    since: Instant,
    /// Time after which a node that is `online` lives.
    lives_after: Duration,
    owners: BTreeMap<String, Owner>,
    /// Ghosts on their way to the socket, and without acknowledgement.
    submitted: VecDeque<Ghost>,
    clearing: HashMap<u16, Ghost>,
    /// Ghosts that the broker did not let go.
    refused: Vec<Ghost>,
    /// Time of the last look, while nothing has happened since.
    looked: Option<Instant>,
}

impl Sweep {
    /// The sweep of a connection that was made `now`.
    pub(super) fn new(keep_alive: Duration, now: Instant) -> Self {
        Sweep {
            since: now,
            lives_after: keep_alive.mul_f64(2.5),
            owners: BTreeMap::new(),
            submitted: VecDeque::new(),
            clearing: HashMap::new(),
            refused: Vec::new(),
            looked: None,
        }
    }

    /// Returns the steps that are due.
    pub(super) fn next(&mut self, retained: &mut Retained, now: Instant) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.looked.is_some_and(|at| now.saturating_duration_since(at) < LOOK) {
            return actions;
        }
        self.looked = Some(now);
        for ghost in retained.ghosts(now.saturating_duration_since(self.since) >= SETTLED) {
            if self.is_on_its_way(&ghost) {
                continue;
            }
            if retained.is_of_another(&ghost.root) {
                match self.owners.get(&ghost.root) {
                    Some(Owner::None) => {}
                    Some(Owner::Silent { since }) if now.saturating_duration_since(*since) >= RETAINED => {
                        self.decided(&ghost.root, Owner::None, &mut actions);
                    }
                    Some(Owner::Online { since }) if now.saturating_duration_since(*since) >= self.lives_after => {
                        tracing::info!("{} is another node's by now: its retained messages stay", ghost.root);
                        self.decided(&ghost.root, Owner::Unknown, &mut actions);
                        retained.forget(&ghost.root);
                        continue;
                    }
                    Some(_) => continue,
                    None => {
                        self.owners.insert(ghost.root.clone(), Owner::Asked);
                        actions.push(Action::Subscribe(state_topic(&ghost.root)));
                        continue;
                    }
                }
            }
            if self.submitted.len() + self.clearing.len() < CLEARING {
                actions.push(Action::Clear(ghost.topic.clone()));
                self.submitted.push_back(ghost);
            }
        }
        actions
    }

    /// Notes the answer to a subscription.
    pub(super) fn subscribed(&mut self, filter: &str, refused: bool, now: Instant) {
        if let Some(owner) = self.owner(filter).filter(|owner| **owner == Owner::Asked) {
            *owner = if refused { Owner::Unknown } else { Owner::Silent { since: now } };
            self.looked = None;
        }
    }

    /// Notes a received message.
    pub(super) fn received(&mut self, topic: &str, payload: &[u8], now: Instant) {
        let Some(owner) = self.owner(topic).filter(|owner| !matches!(owner, Owner::None | Owner::Unknown)) else {
            return;
        };
        let json: serde_json::Value = serde_json::from_slice(payload).unwrap_or_default();
        *owner = match (json.get("state").and_then(serde_json::Value::as_str), *owner) {
            (Some("online"), Owner::Online { since }) => Owner::Online { since },
            (Some("online"), _) => Owner::Online { since: now },
            // The wait of its subscription is over at once.
            _ => Owner::Silent { since: now.checked_sub(RETAINED).unwrap_or(now) },
        };
        self.looked = None;
    }

    /// Notes that the oldest of the submitted messages was written.
    pub(super) fn written(&mut self, id: u16) {
        if let Some(ghost) = self.submitted.pop_front() {
            self.clearing.insert(id, ghost);
        }
    }

    /// Notes an acknowledgement. Returns `true` where it is one of the sweep's.
    pub(super) fn acknowledged(&mut self, id: u16, refused: bool, retained: &mut Retained) -> bool {
        let Some(ghost) = self.clearing.remove(&id) else { return false };
        self.looked = None;
        if refused {
            self.refused.push(ghost);
        } else {
            tracing::info!("the retained message on {} was cleared: it is no longer this node's", ghost.topic);
            retained.cleared(&ghost);
        }
        true
    }

    fn decided(&mut self, root: &str, owner: Owner, actions: &mut Vec<Action>) {
        self.owners.insert(root.to_owned(), owner);
        actions.push(Action::Unsubscribe(state_topic(root)));
    }

    fn owner(&mut self, topic: &str) -> Option<&mut Owner> {
        self.owners.get_mut(topic.strip_suffix("/state")?)
    }

    fn is_on_its_way(&self, ghost: &Ghost) -> bool {
        self.submitted.contains(ghost) || self.refused.contains(ghost) || self.clearing.values().any(|one| one == ghost)
    }
}

fn state_topic(root: &str) -> String {
    format!("{root}/state")
}

#[cfg(test)]
mod tests {
    use super::super::retained::Keep;
    use super::*;

    const S: Duration = Duration::from_secs(1);

    /// A node called `roof` that was `attic` before.
    fn renamed(dir: &std::path::Path) -> Retained {
        let keep = Keep { file: dir.join("retained.json"), pipelines: vec!["meter".into()] };
        let mut before = Retained::open(keep.clone(), "b:1".into(), "l/attic".into());
        before.publish("l/attic/info", false);
        before.publish("l/attic/state", false);
        let (file, bytes) = before.unsaved().unwrap();
        std::fs::write(file, bytes).unwrap();
        Retained::open(keep, "b:1".into(), "l/roof".into())
    }

    /// A sweep that waits for what the old name's state says.
    fn listening(retained: &mut Retained, now: Instant) -> Sweep {
        let mut sweep = Sweep::new(30 * S, now);
        sweep.next(retained, now);
        sweep.subscribed("l/attic/state", false, now);
        sweep
    }

    fn clear() -> Vec<Action> {
        vec![
            Action::Unsubscribe("l/attic/state".into()),
            Action::Clear("l/attic/info".into()),
            Action::Clear("l/attic/state".into()),
        ]
    }

    #[test]
    fn topics_of_a_name_that_nobody_has_are_cleared() {
        for says in [None, Some(r#"{"state":"offline"}"#), Some("nonsense")] {
            let dir = tempfile::tempdir().unwrap();
            let (mut retained, now) = (renamed(dir.path()), Instant::now());
            let mut sweep = Sweep::new(30 * S, now);
            assert_eq!(sweep.next(&mut retained, now), [Action::Subscribe("l/attic/state".into())]);
            assert_eq!(sweep.next(&mut retained, now + 100 * S), [], "no answer yet");
            sweep.subscribed("l/attic/state", false, now + S);
            let mut at = now + 4 * S;
            if let Some(says) = says {
                sweep.received("l/attic/state", says.as_bytes(), now + S);
                at = now + S;
            } else {
                assert_eq!(sweep.next(&mut retained, now + 3 * S), [], "it may still come");
            }
            assert_eq!(sweep.next(&mut retained, at), clear());
            assert_eq!(sweep.next(&mut retained, at), [], "once");
            sweep.written(7);
            sweep.written(8);
            assert!(!sweep.acknowledged(6, false, &mut retained));
            assert!(sweep.acknowledged(7, false, &mut retained));
            assert!(sweep.acknowledged(8, true, &mut retained));
            assert_eq!(retained.ghosts(false).len(), 1, "the one that was refused is tried by another connection");
            assert_eq!(sweep.next(&mut retained, at + S), []);
        }
    }

    #[test]
    fn topics_of_a_node_that_lives_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (mut retained, now) = (renamed(dir.path()), Instant::now());
        let mut sweep = listening(&mut retained, now);
        sweep.received("l/attic/state", br#"{"state":"online"}"#, now);
        sweep.received("l/attic/state", br#"{"state":"online"}"#, now + 50 * S);
        assert_eq!(sweep.next(&mut retained, now + 74 * S), []);
        assert_eq!(sweep.next(&mut retained, now + 75 * S), [Action::Unsubscribe("l/attic/state".into())]);
        assert_eq!(retained.ghosts(true), []);
    }

    #[test]
    fn what_a_power_cut_left_online_is_cleared_once_its_will_is_out() {
        let dir = tempfile::tempdir().unwrap();
        let (mut retained, now) = (renamed(dir.path()), Instant::now());
        let mut sweep = listening(&mut retained, now);
        sweep.received("l/attic/state", br#"{"state":"online"}"#, now);
        sweep.received("l/attic/state", br#"{"state":"offline"}"#, now + 45 * S);
        assert_eq!(sweep.next(&mut retained, now + 45 * S), clear());
    }

    #[test]
    fn where_the_name_may_not_be_looked_at_nothing_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let (mut retained, now) = (renamed(dir.path()), Instant::now());
        let mut sweep = Sweep::new(30 * S, now);
        sweep.next(&mut retained, now);
        sweep.subscribed("l/attic/state", true, now);
        assert_eq!(sweep.next(&mut retained, now + 1000 * S), []);
        assert_eq!(retained.ghosts(false).len(), 2);
    }
}
