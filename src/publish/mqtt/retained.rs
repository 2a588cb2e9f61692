//! The retained messages that this node has published, by broker and by the node's name of that time, so that those which are no
//! longer its own can be cleared: a broker keeps them for ever.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::sys;

/// Topics for each broker, and brokers, that are remembered at most. A topic without room is never cleared.
const TOPICS: usize = 512;
const BROKERS: usize = 8;
/// Largest file.
const FILE_BYTES: u64 = 1 << 20;

/// Owner of the topics on a broker, and the file that remembers them.
#[derive(Clone, Debug)]
pub struct Keep {
    /// File of the manifest.
    pub file: PathBuf,
    /// Pipelines, below whose names topics are the node's.
    pub pipelines: Vec<String>,
}

/// Topics by the first levels (`<prefix>/<node>`) of the node that published them.
type Roots = BTreeMap<String, BTreeSet<String>>;

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Manifest {
    brokers: BTreeMap<String, Roots>,
}

/// A retained message that is no longer this node's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ghost {
    /// First levels of the node that published it.
    pub(super) root: String,
    /// Its topic.
    pub(super) topic: String,
}

/// Retained messages of a node, at one broker.
#[derive(Debug, Default)]
pub(super) struct Retained {
    /// `None` = nothing is remembered.
    file: Option<PathBuf>,
    broker: String,
    root: String,
    pipelines: Vec<String>,
    manifest: Manifest,
    /// Topics published by this run.
    published: HashSet<String>,
    changed: bool,
}

impl Retained {
    /// Reads the topics that are remembered of `broker`, for the node with these first levels of topics. A file that cannot be used is begun anew.
    pub(super) fn open(keep: Keep, broker: String, root: String) -> Self {
        let manifest = load(&keep.file).unwrap_or_else(|why| {
            tracing::warn!("{}: {why}: retained messages of before are not cleared", keep.file.display());
            Manifest::default()
        });
        let Keep { file, pipelines } = keep;
        Retained { file: Some(file), broker, root, pipelines, manifest, ..Retained::default() }
    }

    /// Names the pipelines anew; returns the topics of this run that are no longer the node's by that.
    pub(super) fn own(&mut self, pipelines: Vec<String>) -> Vec<String> {
        self.pipelines = pipelines;
        let gone = self.ghosts(false).into_iter().map(|ghost| ghost.topic);
        gone.filter(|topic| self.published.contains(topic)).collect()
    }

    /// Notes a retained message that will be published; one without payload clears its topic.
    pub(super) fn publish(&mut self, topic: &str, is_empty: bool) {
        if self.file.is_none() || (!is_empty && self.published.contains(topic)) {
            return;
        }
        let roots = self.manifest.brokers.entry(self.broker.clone()).or_default();
        let root = roots.entry(self.root.clone()).or_default();
        if is_empty {
            self.published.remove(topic);
            self.changed |= root.remove(topic);
            return;
        }
        self.published.insert(topic.to_owned());
        // It may have been another name's before.
        let elsewhere = roots.iter_mut().filter(|(root, _)| **root != self.root);
        self.changed |= elsewhere.fold(false, |changed, (_, topics)| topics.remove(topic) | changed);
        let room = roots.values().map(BTreeSet::len).sum::<usize>() < TOPICS;
        let root = roots.entry(self.root.clone()).or_default();
        self.changed |= room && root.insert(topic.to_owned());
    }

    /// Retained messages that are no longer the node's. `settled` = everything that the node publishes at a start was published, so
    /// that a topic outside its own levels that was not is one of before.
    pub(super) fn ghosts(&self, settled: bool) -> Vec<Ghost> {
        let Some(roots) = self.manifest.brokers.get(&self.broker) else { return Vec::new() };
        let all = roots.iter().flat_map(|(root, topics)| topics.iter().map(move |topic| (root, topic)));
        let ghosts = all.filter(|(root, topic)| {
            if **root != self.root {
                return true;
            }
            match topic.strip_prefix(root.as_str()).and_then(|rest| rest.strip_prefix('/')) {
                Some(rest) => match rest.split_once('/') {
                    Some((pipeline, _)) => !self.pipelines.iter().any(|name| name == pipeline),
                    None => false,
                },
                None => settled && !self.published.contains(*topic),
            }
        });
        ghosts.map(|(root, topic)| Ghost { root: root.clone(), topic: topic.clone() }).collect()
    }

    /// `true` where the topics with these first levels may be another node's by now.
    pub(super) fn is_of_another(&self, root: &str) -> bool {
        root != self.root
    }

    /// Notes that a topic was cleared.
    pub(super) fn cleared(&mut self, ghost: &Ghost) {
        if let Some(topics) = self.roots().and_then(|roots| roots.get_mut(&ghost.root)) {
            topics.remove(&ghost.topic);
            self.published.remove(&ghost.topic);
            self.changed = true;
        }
    }

    /// Forgets topics that are another node's.
    pub(super) fn forget(&mut self, root: &str) {
        self.changed |= self.roots().is_some_and(|roots| roots.remove(root).is_some());
    }

    /// File and content where something changed since the last call.
    pub(super) fn unsaved(&mut self) -> Option<(PathBuf, Vec<u8>)> {
        if !std::mem::take(&mut self.changed) {
            return None;
        }
        let brokers = &mut self.manifest.brokers;
        brokers.values_mut().for_each(|roots| roots.retain(|_, topics| !topics.is_empty()));
        brokers.retain(|_, roots| !roots.is_empty());
        while brokers.len() > BROKERS {
            let Some(other) = brokers.keys().find(|broker| **broker != self.broker).cloned() else { break };
            brokers.remove(&other);
        }
        let bytes = serde_json::to_vec_pretty(&self.manifest).ok()?;
        Some((self.file.clone()?, bytes))
    }

    fn roots(&mut self) -> Option<&mut Roots> {
        self.manifest.brokers.get_mut(&self.broker)
    }
}

fn load(file: &Path) -> Result<Manifest, String> {
    match sys::file::read_text(file, FILE_BYTES) {
        Ok(text) => serde_json::from_str(&text).map_err(|e| e.to_string()),
        Err(error) if error.is_missing() => Ok(Manifest::default()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(file: &Path, broker: &str, root: &str, pipelines: &[&str]) -> Retained {
        let pipelines = pipelines.iter().map(|name| (*name).to_owned()).collect();
        Retained::open(Keep { file: file.into(), pipelines }, broker.into(), root.into())
    }

    fn save(retained: &mut Retained) {
        let (file, bytes) = retained.unsaved().expect("it changed");
        sys::atomic::replace(&file, &bytes).unwrap();
        assert_eq!(retained.unsaved(), None, "only where something changed");
    }

    fn topics(ghosts: Vec<Ghost>) -> Vec<String> {
        ghosts.into_iter().map(|ghost| ghost.topic).collect()
    }

    #[test]
    fn a_removed_pipeline_leaves_ghosts_and_one_that_said_nothing_yet_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("retained.json");
        let mut before = open(&file, "b:1", "l/attic", &["meter", "door"]);
        for topic in ["l/attic/state", "l/attic/meter/state", "l/attic/door/snapshot", "ha/device/attic/config"] {
            before.publish(topic, false);
        }
        assert_eq!(before.ghosts(true), []);
        save(&mut before);
        assert_eq!(before.own(vec!["meter".into()]), ["l/attic/door/snapshot"]);

        let mut after = open(&file, "b:1", "l/attic", &["meter"]);
        assert_eq!(topics(after.ghosts(false)), ["l/attic/door/snapshot"]);
        assert_eq!(topics(after.ghosts(true)), ["ha/device/attic/config", "l/attic/door/snapshot"]);
        after.publish("ha/device/attic/config", false);
        assert_eq!(topics(after.ghosts(true)), ["l/attic/door/snapshot"]);
        assert_eq!(after.unsaved(), None, "it was known");
        after.cleared(&after.ghosts(false)[0].clone());
        save(&mut after);
        assert_eq!(open(&file, "b:1", "l/attic", &["meter"]).ghosts(false), []);
        assert_eq!(open(&file, "other:1", "l/roof", &[]).ghosts(true), [], "of another broker nothing is cleared");
    }

    #[test]
    fn a_renamed_node_leaves_everything() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("retained.json");
        let mut before = open(&file, "b:1", "l/attic", &["meter"]);
        before.publish("l/attic/state", false);
        before.publish("ha/device/attic/config", false);
        before.publish("shared", false);
        save(&mut before);
        let mut after = open(&file, "b:1", "l/roof", &["meter"]);
        after.publish("l/roof/state", false);
        after.publish("shared", false);
        assert_eq!(topics(after.ghosts(false)), ["ha/device/attic/config", "l/attic/state"]);
        assert!(after.ghosts(false).iter().all(|ghost| after.is_of_another(&ghost.root)));
        after.forget("l/attic");
        assert_eq!(after.ghosts(true), []);
        after.publish("shared", true);
        save(&mut after);
        assert!(!std::fs::read_to_string(&file).unwrap().contains("shared"));
    }

    #[test]
    fn it_is_bounded_and_a_broken_file_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("retained.json");
        std::fs::write(&file, "{").unwrap();
        for broker in 0..20 {
            let mut retained = open(&file, &format!("b:{broker}"), "l/attic", &[]);
            for n in 0..600 {
                retained.publish(&format!("l/attic/p/{n}"), false);
            }
            assert_eq!(retained.ghosts(true).len(), TOPICS);
            save(&mut retained);
        }
        let manifest = load(&file).unwrap();
        assert_eq!(manifest.brokers.len(), BROKERS);
        assert!(manifest.brokers.contains_key("b:19"));
        assert!(std::fs::metadata(&file).unwrap().len() < FILE_BYTES);
    }
}
