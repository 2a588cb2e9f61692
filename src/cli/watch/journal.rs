//! The log of changes, newest last, in bounded memory.

use std::collections::VecDeque;
use std::time::SystemTime;

use crate::frame::{NodeName, PipelineName};

/// Lines that are kept; the oldest goes.
const KEPT: usize = 500;

/// Weight of a line; decides its colour, beside its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Nothing special.
    Plain,
    /// All is well again.
    Good,
    /// Uncertain, or less than it might be.
    Doubtful,
    /// A person may want to look.
    Bad,
    /// Of less interest.
    Dim,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Time at which it came here.
    pub time: SystemTime,
    /// The node.
    pub node: NodeName,
    /// The pipeline, where it is of one.
    pub pipeline: Option<PipelineName>,
    /// The words.
    pub text: String,
    /// Its weight.
    pub tone: Tone,
}

/// The latest lines.
#[derive(Debug, Default)]
pub struct Journal {
    entries: VecDeque<Entry>,
}

impl Journal {
    /// Takes a line.
    pub fn add(&mut self, entry: Entry) {
        if self.entries.len() >= KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    /// The last `count` lines before the newest `skipped` ones, oldest first.
    pub fn last(&self, count: usize, skipped: usize) -> Vec<&Entry> {
        self.entries.iter().rev().skip(skipped).take(count).rev().collect()
    }

    /// Number of lines.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_lines_go() {
        let mut journal = Journal::default();
        for n in 0..1000 {
            journal.add(Entry {
                time: SystemTime::UNIX_EPOCH,
                node: NodeName::new("attic").unwrap(),
                pipeline: None,
                text: n.to_string(),
                tone: Tone::Plain,
            });
        }
        let text = |count, skipped| journal.last(count, skipped).iter().map(|e| e.text.clone()).collect::<Vec<_>>();
        assert_eq!(
            (journal.len(), text(2, 0), text(2, 499)),
            (500, vec!["998".into(), "999".into()], vec!["500".into()])
        );
    }
}
