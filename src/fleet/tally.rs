//! Counts of the work for others, and what else its thread tells of itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::compute::RefusalKind;
use super::spare::{Seen, Spare};
use crate::frame::NodeName;
use crate::frame::status::Fleet;

/// Nodes that are counted each by itself.
const NODES: usize = 64;

/// Counts one more of `node`; of very many nodes the later ones together under `others`.
pub(super) fn count(counts: &mut BTreeMap<String, u64>, node: &NodeName) {
    let known = counts.contains_key(&**node) || counts.len() < NODES;
    *counts.entry(if known { node.to_string() } else { "others".into() }).or_default() += 1;
}

/// State that the control loop and the worker share.
#[derive(Clone, Debug)]
pub(super) struct Tally(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    status: Fleet,
    refused: BTreeMap<RefusalKind, u64>,
    spare: Spare,
}

impl Tally {
    pub(super) fn new(group: String, spare: Spare) -> Tally {
        let status = Fleet { group, ..Fleet::default() };
        Tally(Arc::new(Mutex::new(Inner { status, refused: BTreeMap::new(), spare })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state at `now`.
    pub(super) fn status(&self, now: Instant) -> Fleet {
        let inner = self.lock();
        Fleet {
            busy: (inner.spare.busy_at(now) * 1000.0).round() / 1000.0,
            held: inner.spare.share(now).err(),
            refused: inner.refused.iter().map(|(kind, count)| (kind.word().to_owned(), *count)).collect(),
            ..inner.status.clone()
        }
    }

    /// Takes over a look at this computer.
    pub(super) fn observe(&self, seen: Seen, now: Instant) {
        self.lock().spare.observe(seen, now);
    }

    /// True while work may be taken.
    pub(super) fn may_take(&self, now: Instant) -> bool {
        self.lock().spare.share(now).is_ok()
    }

    /// Notes an inference, and gives the pause that is due after it.
    pub(super) fn computed(&self, took: Duration, now: Instant) -> Duration {
        let mut inner = self.lock();
        inner.spare.computed(took, now);
        inner.spare.pause(took, now)
    }

    /// A model computes from now on.
    pub(super) fn ready(&self, model: &str) {
        self.lock().status.models.push(model.to_owned());
    }

    /// A model does not compute, for this reason.
    pub(super) fn unusable(&self, reason: &str) {
        self.lock().status.unusable.push(reason.to_owned());
    }

    /// A picture of `from` was answered.
    pub(super) fn done(&self, from: &NodeName) {
        let mut inner = self.lock();
        inner.status.done += 1;
        count(&mut inner.status.of, from);
    }

    /// A picture has no result.
    pub(super) fn refused(&self, kind: RefusalKind) {
        *self.lock().refused.entry(kind).or_default() += 1;
    }

    /// Pictures were given back.
    pub(super) fn returned(&self, count: u64) {
        self.lock().status.returned += count;
    }

    /// A connection is there, to a server of `version`.
    pub(super) fn connected(&self, version: String) {
        let mut inner = self.lock();
        inner.status.connected = true;
        inner.status.server = Some(version);
        inner.status.fault = None;
    }

    /// The connection is lost.
    pub(super) fn disconnected(&self) {
        self.lock().status.connected = false;
    }

    /// Nothing can be taken, for this reason.
    pub(super) fn fault(&self, reason: String) {
        let mut inner = self.lock();
        inner.status.connected = false;
        inner.status.fault = Some(reason);
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::Use;
    use super::*;

    #[test]
    fn many_nodes_are_counted_in_bounded_memory() {
        let now = Instant::now();
        let tally = Tally::new("home".into(), Spare::new(Use::Any, 1, 1, now));
        for node in 0..200 {
            tally.done(&NodeName::new(&format!("node{node}")).unwrap());
        }
        tally.refused(RefusalKind::Picture);
        tally.refused(RefusalKind::Picture);
        let status = tally.status(now);
        assert_eq!((status.done, status.of.len(), status.of["others"]), (200, NODES + 1, 200 - NODES as u64));
        assert_eq!(status.refused, BTreeMap::from([("picture".to_owned(), 2)]));
    }
}
