//! Requests over MQTT: taken in a bounded number, handed to the governor, answered.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;

use super::DaemonError;
use super::node::Node;
use super::request::{self, Applies, Asked, Request, Response, RungInForce};
use super::running::Running;
use super::set::PipelineSet;
use crate::frame::{Incoming, rfc3339};
use crate::publish::requests::Requests;
use crate::publish::topics::Topics;
use crate::publish::{Class, Message, Publisher, payload};
use crate::telemetry::RateLimited;
use leptond_governor::Order;

/// Requests that wait to be looked at, and as many behind them; when both are full the oldest is dropped and counted with
/// the connection's `received_dropped`.
const WAITING: usize = 16;

/// Requests looked at between two readings of the board: a flood of them takes no more of the loop than this.
const PER_TURN: u32 = 8;

/// Complaints of one kind are logged at most this often.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// The requests of one connection.
pub(super) struct Answers {
    inbox: Receiver<Incoming>,
    topics: Topics,
    publisher: Arc<dyn Publisher>,
    /// Requests that may still be looked at in this turn.
    left: u32,
    /// Looked at and not answered yet; at most [`PER_TURN`].
    owed: Vec<Owed>,
    /// The requests that the configuration permits.
    allowed: Requests,
    log: RateLimited,
}

struct Owed {
    verb: String,
    transaction: Option<String>,
    result: Result<(), String>,
}

impl Answers {
    /// Subscribes to this node's requests, of which `allowed` are done; `wake` is notified when some come.
    ///
    /// # Errors
    /// [`DaemonError::Config`] when the topic cannot be subscribed to.
    pub(super) fn subscribe(node: &Node, allowed: &Requests, wake: Arc<Notify>) -> Result<Self, DaemonError> {
        let wake = Box::new(move || wake.notify_one());
        let inbox = node
            .mqtt
            .subscribe_with(&node.topics.requests(), WAITING, Some(wake))
            .map_err(|e| DaemonError::Config(e.to_string()))?;
        Ok(Answers {
            inbox,
            topics: node.topics.clone(),
            publisher: node.mqtt.clone(),
            left: PER_TURN,
            owed: Vec::new(),
            allowed: allowed.clone(),
            log: RateLimited::new(LOG_EVERY),
        })
    }

    /// A new turn of the loop begins.
    pub(super) fn turn(&mut self) {
        self.left = PER_TURN;
    }

    /// Further requests are taken in this turn.
    pub(super) fn has_time(&self) -> bool {
        self.left > 0
    }

    /// Takes the requests that came and gives the governor its orders; `true` if there were any, so that it is its turn.
    /// [`Answers::answer`] follows.
    pub(super) fn take(&mut self, set: &mut PipelineSet, now: Instant) -> bool {
        let mut ordered = false;
        while self.has_time() {
            let Ok(message) = self.inbox.try_recv() else { return ordered };
            self.left -= 1;
            let Some(asked) = self.read(&message, set, now) else { continue };
            let result = asked.request.map(|request| self.perform(request, set, now));
            ordered |= result.is_ok();
            self.owed.push(Owed { verb: asked.verb, transaction: asked.transaction, result });
        }
        if let Some(suppressed) = self.log.admit("many", now) {
            tracing::warn!(
                suppressed,
                "requests come fast: {PER_TURN} are answered in each turn, the oldest others dropped"
            );
        }
        ordered
    }

    /// Answers the requests that were taken, with what is in force now.
    pub(super) fn answer(&mut self, set: &PipelineSet) {
        for owed in std::mem::take(&mut self.owed) {
            let response = Response::new(owed.transaction, owed.result.map(|()| self.applies(set)));
            let topic = self.topics.response(&owed.verb);
            let payload = payload::json(&response);
            self.publisher.publish(Message { topic, payload, class: Class::Response, timing: None });
        }
    }

    fn read(&mut self, message: &Incoming, set: &PipelineSet, now: Instant) -> Option<Asked> {
        if message.retain {
            // The broker gives it at every connection: an order of one moment would be given again for ever.
            if let Some(suppressed) = self.log.admit("retained", now) {
                tracing::warn!(
                    topic = message.topic,
                    suppressed,
                    "a retained request is ignored: publish it without retain"
                );
            }
            return None;
        }
        let names: Vec<&str> = set.iter().map(|r| r.config.name.as_str()).collect();
        let asked = request::parse(self.topics.verb(&message.topic)?, &message.payload, &names, &self.allowed)?;
        if let Err(error) = &asked.request
            && let Some(suppressed) = self.log.admit("wrong", now)
        {
            tracing::warn!(verb = asked.verb, error, suppressed, "a request that cannot be done");
        }
        Some(asked)
    }

    fn perform(&mut self, request: Request, set: &mut PipelineSet, now: Instant) {
        match request {
            Request::Governor { order, for_ } => {
                set.order(&order, for_, now);
                self.tell(&order, set, now);
            }
            Request::Pause { pipeline, paused } => {
                let name = pipeline.as_deref();
                if let Some(suppressed) = self.log.admit("pause", now) {
                    tracing::info!(
                        pipeline = name.unwrap_or("all"),
                        paused,
                        suppressed,
                        "asked to pause, or to resume"
                    );
                }
                set.pause(name, paused);
            }
        }
    }

    fn applies(&self, set: &PipelineSet) -> Applies {
        let rung = |running: &Running| {
            let setpoint = set.governor().status(&running.config.name)?.setpoint;
            let paused = setpoint.paused || running.shared.paused();
            Some((running.config.name.to_string(), RungInForce { rung: setpoint.rung, of: setpoint.of, paused }))
        };
        Applies { mode: set.governor().mode(), pipelines: set.iter().filter_map(rung).collect(), until: end(set) }
    }

    /// Logs an order, once a minute: a client may change its mind as often as it likes.
    fn tell(&mut self, order: &Order, set: &PipelineSet, now: Instant) {
        let Some(suppressed) = self.log.admit("order", now) else { return };
        let until = end(set);
        match order {
            Order::Mode(mode) => tracing::info!(?mode, until, suppressed, "governor: asked for a mode"),
            Order::Fix { pipeline, rung } => {
                let pipeline = pipeline.as_deref().unwrap_or("all");
                tracing::info!(pipeline, rung, until, suppressed, "governor: asked for a rung");
            }
            Order::Release => tracing::info!(suppressed, "governor: asked to go by the configuration again"),
        }
    }
}

/// End of the orders in force, RFC 3339.
fn end(set: &PipelineSet) -> Option<String> {
    let left = set.orders_end_in(Instant::now()).filter(|left| !left.is_zero())?;
    Some(rfc3339(SystemTime::now() + left))
}
