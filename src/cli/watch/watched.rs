//! Everything that is known of the watched nodes, made of their messages. Pure, and bounded whatever they send.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use super::journal::{Entry, Journal, Tone};
use super::messages::{Event, Info, Message, PipelineMessage, Response, Unread, read};
use super::node::{Glance, LABEL, Node, REASON, Vitals, named};
use super::text::clean;
use crate::frame::{Incoming, NodeName, PipelineName};
use crate::publish::payload::{Governor, Health, Rung};

/// Nodes that are kept. For a further one the node that is offline and was silent longest goes; where all are online it is counted.
const MOST_NODES: usize = 64;
/// A longer payload is not looked at.
const MOST_BYTES: usize = 512 << 10;
/// Answers that wait to be taken; further ones are left out.
const MOST_RESPONSES: usize = 16;
/// Names in a line of the journal.
const NAMED: usize = 4;

/// The watched nodes.
#[derive(Debug)]
pub struct Watched {
    prefix: String,
    /// Begin of the transactions whose answers are kept.
    identity: String,
    /// By name.
    pub nodes: BTreeMap<NodeName, Node>,
    /// The log of changes.
    pub journal: Journal,
    /// Messages that were not understood.
    pub unread: u64,
    /// Messages of nodes and pipelines for which there was no room.
    pub crowded: u64,
    /// Answers to this watcher's requests, newest last, until they are taken.
    pub responses: Vec<(NodeName, Response)>,
    /// Counts up with every message, for whoever draws.
    pub revision: u64,
}

impl Watched {
    /// Of the nodes below `prefix`, none so far; answers to transactions that begin with `identity` are kept.
    pub fn new(prefix: &str, identity: &str) -> Watched {
        Watched {
            prefix: prefix.into(),
            identity: identity.into(),
            nodes: BTreeMap::new(),
            journal: Journal::default(),
            unread: 0,
            crowded: 0,
            responses: Vec::new(),
            revision: 0,
        }
    }

    /// Takes a message that came at `now`, `time` on the wall clock.
    pub fn take(&mut self, incoming: &Incoming, now: Instant, time: SystemTime) {
        self.revision += 1;
        let Incoming { topic, payload, retain } = incoming;
        if payload.len() > MOST_BYTES {
            self.unread += 1;
            return;
        }
        let (name, message) = match read(&self.prefix, topic, payload) {
            Ok(read) => read,
            Err(Unread::Elsewhere) => return,
            Err(Unread::Form) => {
                self.unread += 1;
                return;
            }
        };
        if matches!(message, Message::Gone) {
            self.nodes.remove(&name);
            return;
        }
        if !self.make_room(&name) {
            self.crowded += 1;
            return;
        }
        let node = self.nodes.entry(name.clone()).or_insert_with(|| Node::new(now));
        node.heard = now;
        let mut told = Told { journal: &mut self.journal, node: &name, time };
        match message {
            Message::Gone => {}
            Message::Online(online) => state(node, online, *retain, &mut told),
            Message::Info(Info { version, board }) => {
                node.version = clean(&version, LABEL);
                node.board = clean(&board, LABEL);
            }
            Message::Health(health) => vitals(node, &health, now, &mut told),
            Message::Governor(governor) => ladder(node, *governor, now, &mut told),
            Message::Response(response) => {
                let is_ours = response.transaction.as_ref().is_some_and(|t| t.starts_with(&self.identity));
                if is_ours && self.responses.len() < MOST_RESPONSES {
                    self.responses.push((name, response));
                }
            }
            Message::Pipeline(pipeline, message) => {
                if !of_pipeline(node, &pipeline, message, now, &mut told) {
                    self.crowded += 1;
                }
            }
        }
    }

    /// `true` where the node is known, or may be.
    fn make_room(&mut self, name: &NodeName) -> bool {
        if self.nodes.contains_key(name) || self.nodes.len() < MOST_NODES {
            return true;
        }
        let silent =
            self.nodes.iter().filter(|(_, node)| node.online == Some(false)).min_by_key(|(_, node)| node.heard);
        let silent = silent.map(|(name, _)| name.clone());
        silent.is_some_and(|silent| self.nodes.remove(&silent).is_some())
    }
}

/// The log, for lines of one node.
struct Told<'a> {
    journal: &'a mut Journal,
    node: &'a NodeName,
    time: SystemTime,
}

impl Told<'_> {
    fn add(&mut self, pipeline: Option<&PipelineName>, tone: Tone, text: String) {
        let (node, pipeline) = (self.node.clone(), pipeline.cloned());
        self.journal.add(Entry { time: self.time, node, pipeline, text, tone });
    }
}

fn state(node: &mut Node, online: bool, retain: bool, told: &mut Told<'_>) {
    // What the broker kept from before is no news.
    if node.online != Some(online) && !retain {
        let (tone, word) = if online { (Tone::Good, "online") } else { (Tone::Bad, "offline") };
        told.add(None, tone, word.into());
    }
    node.online = Some(online);
}

fn vitals(node: &mut Node, health: &Health, now: Instant, told: &mut Told<'_>) {
    let Health { uptime_s, rss_bytes, cpu_percent, soc_celsius, throttled, ref mqtt, .. } = *health;
    let before = node.vitals.map(|vitals| vitals.throttled).unwrap_or_default();
    for (was, is, begins, ends) in [
        (before.now, throttled.now, "throttled: the clock is lowered because of heat", "no longer throttled"),
        (before.under_voltage, throttled.under_voltage, "the supply voltage is too low", "the supply is good again"),
    ] {
        match (was == Some(true), is == Some(true)) {
            (false, true) => told.add(None, Tone::Bad, begins.into()),
            (true, false) => told.add(None, Tone::Good, ends.into()),
            _ => {}
        }
    }
    if let Some(celsius) = soc_celsius {
        node.temperature.push(celsius.into(), now);
    }
    let (queued, dropped) = (mqtt.queued, mqtt.dropped);
    let started = now.checked_sub(Duration::from_secs(uptime_s));
    node.vitals = Some(Vitals { started, rss_bytes, cpu_percent, soc_celsius, throttled, queued, dropped });
    node.mode = clean(&health.governor.mode, LABEL);
    node.standing = clean(&health.governor.state, LABEL);
    for (name, figures) in &health.pipelines {
        let Ok(name) = PipelineName::new(name) else { continue };
        let Some(pipeline) = node.pipeline(&name) else { break };
        let idle = figures.idle.as_deref().map(|reason| clean(reason, REASON));
        match (&idle, &pipeline.idle) {
            (Some(reason), None) => told.add(Some(&name), Tone::Bad, format!("no results: {reason}")),
            (None, Some(_)) => told.add(Some(&name), Tone::Good, "results again".into()),
            _ => {}
        }
        pipeline.fps = figures.fps;
        pipeline.p95_ms = Some(figures.latency_ms.p95).filter(|ms| *ms > 0.0);
        (pipeline.drops, pipeline.errors, pipeline.idle) = (figures.drops, figures.errors, idle);
    }
}

fn ladder(node: &mut Node, governor: Governor, now: Instant, told: &mut Told<'_>) {
    node.mode = clean(&governor.standing.mode, LABEL);
    node.standing = clean(&governor.standing.state, LABEL);
    node.forecast = governor.forecast;
    if let Some(forecast) = governor.forecast {
        node.temperature.push(forecast.soc_celsius.into(), now);
    }
    for (name, rung) in governor.pipelines {
        let Ok(name) = PipelineName::new(&name) else { continue };
        let Some(pipeline) = node.pipeline(&name) else { break };
        let rung = Rung {
            reason: clean(&rung.reason, REASON),
            model: clean(&rung.model, LABEL),
            since: clean(&rung.since, LABEL),
            ..rung
        };
        if let Some(before) = &pipeline.rung {
            let (tone, place) = match (rung.paused, before.paused) {
                (true, false) => (Tone::Doubtful, "paused".into()),
                (false, true) => (Tone::Good, format!("goes on, rung {} of {}", rung.rung, rung.of)),
                _ if rung.rung > before.rung => (Tone::Doubtful, format!("down to rung {} of {}", rung.rung, rung.of)),
                _ if rung.rung < before.rung => (Tone::Good, format!("up to rung {} of {}", rung.rung, rung.of)),
                _ => (Tone::Plain, String::new()),
            };
            if !place.is_empty() {
                told.add(Some(&name), tone, format!("{place}: {}", rung.reason));
            }
        }
        pipeline.rung = Some(rung);
    }
}

/// Takes a message of a pipeline; `false` where there is no room for it.
fn of_pipeline(
    node: &mut Node,
    name: &PipelineName,
    message: PipelineMessage,
    now: Instant,
    told: &mut Told<'_>,
) -> bool {
    if matches!(message, PipelineMessage::Gone) {
        node.pipelines.remove(name);
        return true;
    }
    let Some(pipeline) = node.pipeline(name) else { return false };
    match message {
        PipelineMessage::Gone => {}
        PipelineMessage::Result(answer) => pipeline.result(&answer, now),
        PipelineMessage::State(answer) => pipeline.glance = Glance::of(&answer),
        PipelineMessage::Working(working) => pipeline.rests = !working,
        PipelineMessage::Event(event) => {
            let (tone, text) = words(&event);
            told.add(Some(name), tone, text);
        }
    }
    true
}

/// The line of an event: what happened to what, where, and how sure that is.
fn words(event: &Event) -> (Tone, String) {
    let few = |names: &[String]| names.iter().take(NAMED).map(|name| clean(name, LABEL)).collect::<Vec<_>>().join(", ");
    let mut text = format!("{:<6} {}", clean(&event.kind, LABEL), clean(&event.label, LABEL));
    let attributes = event.attributes.values().filter_map(|attribute| attribute.label.clone()).collect::<Vec<_>>();
    if !attributes.is_empty() {
        text += &format!(" ({})", few(&attributes));
    }
    let fault = event.channels.first().and_then(|channel| channel.fault());
    if let Some(fault) = &fault {
        text += &format!(" {}", clean(fault, LABEL));
    }
    match event.score.filter(|_| fault.is_none()) {
        Some(score) if (0.0..=1.0).contains(&score) && event.label != "anomaly" => {
            text += &format!(" {:.0} %", score * 100.0)
        }
        Some(score) => text += &format!(" {score:.3}"),
        None => {}
    }
    if fault.is_none() && !event.channels.is_empty() {
        text += &format!("  in {}", named(&event.channels));
    }
    if !event.zones.is_empty() {
        text += &format!("  in {}", few(&event.zones));
    }
    if !event.loitering.is_empty() {
        text += &format!("  loiters in {}", few(&event.loitering));
    }
    if let Some(crossing) = event.crossings.last() {
        text += &format!("  crossed {} {}", clean(&crossing.line, LABEL), clean(&crossing.direction, LABEL));
    }
    if event.stationary {
        text += "  stands still";
    }
    if let Some(track) = event.track_id {
        text += &format!("  #{track}");
    }
    if event.resent {
        text += &format!("  (late, of {})", clean(&event.start_time, 19));
    }
    let tone = match event.kind.as_str() {
        "new" if event.label == "anomaly" => Tone::Bad,
        "new" => Tone::Plain,
        _ => Tone::Dim,
    };
    (tone, text)
}

#[cfg(test)]
mod tests;
