//! Counts of what a giver met that was not as it should be.

use serde::Serialize;

use crate::frame::NodeName;

/// Whatever did not go as it should, with the last words on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Trouble {
    /// Answers to work that was answered before.
    pub repeated: u64,
    /// Answers to work that was never given.
    pub forged: u64,
    /// Messages that are no answers, or of another model.
    pub garbage: u64,
    /// Refusals of one node after which others were tried.
    pub refused: u64,
    /// Further attempts for work that was lost on the way.
    pub attempts: u64,
    /// Times that the server did not say that it has the work.
    pub unacknowledged: u64,
    /// Times that the group's queue was full.
    pub full: u64,
    /// The latest reason of those that are somebody's fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
}

impl Trouble {
    pub(super) fn garbage(&mut self, reason: String) {
        tracing::debug!(reason, "a message that is no answer");
        self.garbage += 1;
        self.last = Some(reason);
    }

    pub(super) fn forged(&mut self, node: &NodeName) {
        self.forged += 1;
        self.last = Some(format!("{node}: an answer to work that was never given"));
    }

    /// True where nothing of it is somebody's fault.
    pub fn is_clean(&self) -> bool {
        self.forged == 0 && self.garbage == 0 && self.refused == 0
    }
}
