//! Choices and wishes of a person: keys in, actions out. Pure.

use std::time::{Duration, Instant};

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use serde_json::json;

use super::journal::Tone;
use super::messages::Response;
use super::text::clean;
use super::watched::Watched;
use crate::frame::{NodeName, PipelineName};

/// Modes that can be asked for.
pub const MODES: [&str; 3] = ["auto", "quiet", "performance"];

/// Time that a node has for its answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Time that a notice stays.
const NOTICE: Duration = Duration::from_secs(8);
/// Lines of the journal that a page key goes back or forth.
const PAGE: usize = 5;

/// Choices made by keys.
#[derive(Debug)]
pub struct Ui {
    /// The node, and the pipeline of it, that are shown; `None` while there is none.
    pub chosen: Option<Row>,
    /// A person chose it.
    by_hand: bool,
    /// A window over the screen.
    pub popup: Popup,
    /// The last word about a request.
    pub notice: Option<Notice>,
    /// Newest lines of the journal that are left out, for a look at older ones.
    pub skipped: usize,
    /// The request that waits for its answer.
    pending: Option<Pending>,
    /// Begin of every transaction of this watcher.
    identity: String,
    asked: u64,
}

/// A row of the list: a node, or a pipeline of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The node.
    pub node: NodeName,
    /// The pipeline.
    pub pipeline: Option<PipelineName>,
}

/// A window over the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Popup {
    /// Nothing.
    None,
    /// The keys.
    Help,
    /// The choice of a mode; the index of [`MODES`] that is chosen.
    Mode(usize),
}

/// A word about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its weight.
    pub tone: Tone,
    /// The words.
    pub text: String,
    since: Instant,
}

/// An action that a key asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing but drawing.
    None,
    /// End.
    Quit,
    /// Give the terminal back to the shell for a while.
    Suspend,
    /// Send a request.
    Ask {
        /// To this node.
        node: NodeName,
        /// Of this kind.
        verb: &'static str,
        /// JSON.
        payload: String,
    },
}

#[derive(Debug)]
struct Pending {
    node: NodeName,
    transaction: String,
    what: String,
    since: Instant,
}

impl Ui {
    /// Nothing chosen; transactions begin with `identity`.
    pub fn new(identity: &str) -> Ui {
        Ui {
            chosen: None,
            by_hand: false,
            popup: Popup::None,
            notice: None,
            skipped: 0,
            pending: None,
            identity: identity.into(),
            asked: 0,
        }
    }

    /// Does what a key asks for.
    pub fn key(&mut self, key: KeyEvent, watched: &Watched, connected: bool, now: Instant) -> Action {
        if key.kind == KeyEventKind::Release {
            return Action::None;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c' | 'd') => Action::Quit,
                KeyCode::Char('z') => Action::Suspend,
                _ => Action::None,
            };
        }
        if let Popup::Mode(at) = self.popup {
            return self.mode_key(key.code, at, connected, now);
        }
        if self.popup == Popup::Help {
            self.popup = Popup::None;
            return if key.code == KeyCode::Char('q') { Action::Quit } else { Action::None };
        }
        match key.code {
            KeyCode::Char('q') => return Action::Quit,
            KeyCode::Char('?' | 'h') => self.popup = Popup::Help,
            KeyCode::Up | KeyCode::Char('k') => self.step(watched, -1),
            KeyCode::Down | KeyCode::Char('j') => self.step(watched, 1),
            KeyCode::Tab => self.next_node(watched, true),
            KeyCode::BackTab => self.next_node(watched, false),
            KeyCode::PageUp => self.skipped = (self.skipped + PAGE).min(watched.journal.len().saturating_sub(1)),
            KeyCode::PageDown => self.skipped = self.skipped.saturating_sub(PAGE),
            KeyCode::End => self.skipped = 0,
            KeyCode::Char('m') => self.popup = Popup::Mode(self.mode_in_force(watched)),
            KeyCode::Char('p') => return self.pause("pipeline/pause", "pause", connected, now),
            KeyCode::Char('r') => return self.pause("pipeline/resume", "resume", connected, now),
            _ => {}
        }
        Action::None
    }

    /// Keeps the choice on something that is there, and takes answers that came.
    pub fn settle(&mut self, watched: &Watched, answers: Vec<(NodeName, Response)>, now: Instant) {
        let rows = rows(watched);
        let a_pipeline = rows.iter().find(|row| row.pipeline.is_some());
        match &self.chosen {
            Some(chosen) if rows.contains(chosen) && (self.by_hand || chosen.pipeline.is_some()) => {}
            Some(chosen) if self.by_hand && watched.nodes.contains_key(&chosen.node) => {
                self.chosen = Some(Row { node: chosen.node.clone(), pipeline: None });
            }
            _ => self.chosen = a_pipeline.or(rows.first()).cloned(),
        }
        for (node, response) in answers {
            self.answered(&node, &response, now);
        }
        if self.pending.as_ref().is_some_and(|pending| now.saturating_duration_since(pending.since) >= ANSWER)
            && let Some(pending) = self.pending.take()
        {
            let text = format!("{}: no answer from {}", pending.what, pending.node);
            self.say(Tone::Bad, text, now);
        }
        if self.notice.as_ref().is_some_and(|notice| now.saturating_duration_since(notice.since) >= NOTICE) {
            self.notice = None;
        }
    }

    /// Shows a word in the last line.
    pub fn say(&mut self, tone: Tone, text: String, now: Instant) {
        self.notice = Some(Notice { tone, text, since: now });
    }

    fn answered(&mut self, node: &NodeName, response: &Response, now: Instant) {
        let is_ours =
            |pending: &Pending| pending.node == *node && response.transaction.as_ref() == Some(&pending.transaction);
        if !self.pending.as_ref().is_some_and(is_ours) {
            return;
        }
        let Some(Pending { what, node, .. }) = self.pending.take() else { return };
        if response.status == "ok" {
            self.say(Tone::Good, format!("{what}: done by {node}"), now);
        } else {
            let reason = response.error.as_deref().unwrap_or("refused without a reason");
            self.say(Tone::Bad, format!("{what}: {}", clean(reason, 200)), now);
        }
    }

    fn step(&mut self, watched: &Watched, by: isize) {
        let rows = rows(watched);
        let at = self.chosen.as_ref().and_then(|chosen| rows.iter().position(|row| row == chosen));
        let next = at.map_or(0, |at| at.saturating_add_signed(by).min(rows.len().saturating_sub(1)));
        self.chosen = rows.get(next).cloned();
        self.by_hand = true;
    }

    fn next_node(&mut self, watched: &Watched, forward: bool) {
        let nodes: Vec<&NodeName> = watched.nodes.keys().collect();
        let at = self.chosen.as_ref().and_then(|chosen| nodes.iter().position(|node| **node == chosen.node));
        let count = nodes.len().max(1);
        let next = at.map_or(0, |at| if forward { at + 1 } else { at + count - 1 } % count);
        self.chosen = nodes.get(next).map(|node| Row { node: (*node).clone(), pipeline: None });
        self.by_hand = true;
    }

    fn mode_in_force(&self, watched: &Watched) -> usize {
        let node = self.chosen.as_ref().and_then(|chosen| watched.nodes.get(&chosen.node));
        node.and_then(|node| MODES.iter().position(|mode| *mode == node.mode)).unwrap_or(0)
    }

    fn mode_key(&mut self, key: KeyCode, at: usize, connected: bool, now: Instant) -> Action {
        self.popup = Popup::None;
        match key {
            KeyCode::Up | KeyCode::Char('k') => self.popup = Popup::Mode(at.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.popup = Popup::Mode((at + 1).min(MODES.len() - 1)),
            KeyCode::Enter => {
                let Some(chosen) = self.chosen.clone() else { return Action::None };
                let mode = MODES[at.min(MODES.len() - 1)];
                let what = format!("mode {mode}");
                return self.ask(chosen.node, "governor/set", what, json!({ "mode": mode }), connected, now);
            }
            _ => {}
        }
        Action::None
    }

    fn pause(&mut self, verb: &'static str, word: &str, connected: bool, now: Instant) -> Action {
        let Some(Row { node, pipeline }) = self.chosen.clone() else { return Action::None };
        let (what, payload) = match &pipeline {
            Some(pipeline) => (format!("{word} {pipeline}"), json!({ "pipeline": pipeline })),
            None => (format!("{word} all of {node}"), json!({})),
        };
        self.ask(node, verb, what, payload, connected, now)
    }

    fn ask(
        &mut self,
        node: NodeName,
        verb: &'static str,
        what: String,
        mut payload: serde_json::Value,
        connected: bool,
        now: Instant,
    ) -> Action {
        // It would wait in the queue, and be obeyed when nobody expects it any more.
        if !connected {
            self.say(Tone::Bad, format!("{what}: the broker is away"), now);
            return Action::None;
        }
        self.asked += 1;
        let transaction = format!("{}-{}", self.identity, self.asked);
        payload["transaction"] = transaction.clone().into();
        self.say(Tone::Dim, format!("{what}: asked {node}"), now);
        self.pending = Some(Pending { node: node.clone(), transaction, what, since: now });
        Action::Ask { node, verb, payload: payload.to_string() }
    }
}

/// Every node, each with its pipelines below it.
pub fn rows(watched: &Watched) -> Vec<Row> {
    let of_node = |(name, node): (&NodeName, &super::node::Node)| {
        let pipelines =
            node.pipelines.keys().map(|pipeline| Row { node: name.clone(), pipeline: Some(pipeline.clone()) });
        let rows: Vec<Row> = std::iter::once(Row { node: name.clone(), pipeline: None }).chain(pipelines).collect();
        rows
    };
    watched.nodes.iter().flat_map(of_node).collect()
}

#[cfg(test)]
mod tests;
