//! Shares of the nodes in a run.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use crate::fleet::{Answer, Trouble};

/// Counts of a run.
#[derive(Default)]
pub(super) struct Shares {
    nodes: BTreeMap<String, Node>,
    kept: usize,
    failed: usize,
    seconds: f64,
    trouble: Trouble,
}

#[derive(Default)]
struct Node {
    done: usize,
    infer: Duration,
}

impl Shares {
    pub(super) fn new(kept: usize) -> Shares {
        Shares { kept, ..Shares::default() }
    }

    /// Counts a result.
    pub(super) fn add(&mut self, answer: &Answer) {
        if let Ok(computed) = &answer.result {
            let node = self.nodes.entry(answer.node.to_string()).or_default();
            node.done += 1;
            node.infer += computed.infer;
        }
    }

    /// Counts a file without a result.
    pub(super) fn add_failed(&mut self) {
        self.failed += 1;
    }

    /// Takes over what the end of the run tells.
    pub(super) fn end(&mut self, took: Duration, trouble: Trouble) {
        self.seconds = took.as_secs_f64();
        self.trouble = trouble;
    }

    fn done(&self) -> usize {
        self.nodes.values().map(|node| node.done).sum()
    }

    /// Lines that this run wrote.
    pub(super) fn lines(&self) -> usize {
        self.done() + self.failed
    }

    /// Files without a result.
    pub(super) fn failed(&self) -> usize {
        self.failed
    }

    /// The counts as JSON.
    pub(super) fn json(&self) -> String {
        let node = |node: &Node| {
            let infer_ms = node.infer.as_secs_f64() * 1e3 / node.done.max(1) as f64;
            json!({ "done": node.done, "infer_ms": (infer_ms * 1e3).round() / 1e3 })
        };
        let nodes: BTreeMap<&String, _> = self.nodes.iter().map(|(name, one)| (name, node(one))).collect();
        json!({
            "done": self.done(),
            "failed": self.failed,
            "kept": self.kept,
            "seconds": (self.seconds * 1e3).round() / 1e3,
            "nodes": nodes,
            "trouble": self.trouble,
        })
        .to_string()
    }

    /// The counts as lines for people.
    pub(super) fn table(&self) -> String {
        let done = self.done();
        let rate = if self.seconds > 0.0 { done as f64 / self.seconds } else { 0.0 };
        let mut lines = vec![format!("{done} files in {:.1} s, {rate:.1} per second", self.seconds)];
        let width = self.nodes.keys().map(String::len).max().unwrap_or(0);
        for (name, node) in &self.nodes {
            let (share, infer) = (node.done as f64 / done.max(1) as f64, node.infer / node.done.max(1) as u32);
            lines.push(format!(
                "  {name:width$}  {:>6}  {:>5.1} %  {:.1} ms in the model",
                node.done,
                share * 100.0,
                infer.as_secs_f64() * 1e3
            ));
        }
        if !self.trouble.is_clean() {
            let Trouble { forged, garbage, refused, last, .. } = &self.trouble;
            lines.push(format!(
                "not believed: {garbage} messages that are no answers, {forged} answers to nothing; {refused} refusals after which \
                 another node was tried (the last: {})",
                last.as_deref().unwrap_or("a refusal")
            ));
        }
        lines.join("\n")
    }
}
