//! The requests of one connection: taken within their budget, done, answered.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::Notify;

use super::apply::{self, Applied, Change, Return, Trial};
use super::desk::{Asker, Desk, Wish};
use super::detect_set;
use super::in_force::{Applies, end};
use super::limit::{Admission, Budget, refusal};
use super::model_list;
use super::pause::Pause;
use super::pictures::Pictures;
use super::read::{Asked, Request, read};
use super::response::{Ticket, render};
use super::stored::Recovered;
use super::switches::Switches;
use super::trial::Verdict;
use super::work::{Done, Owed, Reply, Work};
use crate::frame::{Incoming, rfc3339};
use crate::publish::requests::{Requests, Verb};
use crate::publish::topics::Topics;
use crate::publish::{Class, Message, Publisher};
use crate::runtime::DaemonError;
use crate::runtime::aside;
use crate::runtime::node::Node;
use crate::runtime::session::Session;
use crate::runtime::set::PipelineSet;
use crate::runtime::snapshot_requests::SnapshotRequests;
use crate::telemetry::RateLimited;
use leptond_governor::Order;

/// Requests that wait to be looked at, and as many behind them; when both are full the oldest is dropped and counted with
/// the connection's `received_dropped`.
const WAITING: usize = 16;

/// Messages taken from the connection at once; the control loop has its turn before more.
const AT_ONCE: usize = 64;

/// Complaints of one kind are logged at most this often.
const LOG_EVERY: Duration = Duration::from_secs(60);

/// A start that is younger cannot be followed by another: systemd gives up on a service that starts five times within two minutes.
const RESTART_AFTER: Duration = Duration::from_secs(60);

/// The requests of one connection.
pub(in crate::runtime) struct Commands {
    /// `None` = none is permitted, and nothing is subscribed to.
    requests: Option<Receiver<Incoming>>,
    /// The same for the switches.
    switched: Option<Receiver<Incoming>>,
    topics: Topics,
    publisher: Arc<dyn Publisher>,
    /// The page's changes.
    desk: Arc<Desk>,
    /// Largest packet.
    most_bytes: usize,
    allowed: Requests,
    means: Means,
    wake: Arc<Notify>,
    budget: Budget,
    /// Looked at and not answered yet; at most as many as the budget admits at once, and a refusal.
    owed: Vec<Owed>,
    /// One thing at a time; a request for another one meanwhile is refused.
    work: Option<Work>,
    trial: Option<Trial>,
    pictures: Pictures,
    listing: Option<Listing>,
    switches: Switches,
    log: RateLimited,
}

/// What a run can do for requests.
#[derive(Clone, Copy, Debug)]
pub(in crate::runtime) struct Means {
    /// Start of the process.
    pub(in crate::runtime) started: Instant,
    /// A service manager starts the process again when it ends.
    pub(in crate::runtime) restarts: bool,
}

/// A list of models that is being made, and who asked for it.
type Listing = (Arc<std::sync::OnceLock<Value>>, Ticket);

/// The answer to a change that stays.
fn kept(keys: &[String]) -> Value {
    serde_json::json!({ "kept": true, "changed": keys })
}

impl Commands {
    /// Subscribes to the requests of this node that `mqtt.requests` permits, and looks at `desk`; `wake` is notified when there is something
    /// to take.
    ///
    /// # Errors
    /// [`DaemonError::Config`] when a topic cannot be subscribed to.
    pub(in crate::runtime) fn subscribe(
        node: &Node,
        mqtt: &crate::publish::Config,
        means: Means,
        desk: Arc<Desk>,
        wake: Arc<Notify>,
    ) -> Result<Self, DaemonError> {
        desk.attend(wake.clone());
        let allowed = &mqtt.requests;
        let subscribe = |filter: String| {
            let wake = wake.clone();
            let wake = Box::new(move || wake.notify_one());
            let inbox = node.mqtt.subscribe_with(&filter, WAITING, Some(wake));
            inbox.map_err(|e| DaemonError::Config(e.to_string()))
        };
        // Where none is permitted, nobody can make the broker send us anything.
        let none = allowed.permitted().is_empty();
        let requests = if none { None } else { Some(subscribe(node.topics.requests())?) };
        let switched = if allowed.allow(Verb::DetectSet) { Some(subscribe(node.topics.detect_sets())?) } else { None };
        let picture_wake = wake.clone();
        Ok(Commands {
            requests,
            switched,
            topics: node.topics.clone(),
            publisher: node.mqtt.clone(),
            desk,
            most_bytes: mqtt.max_packet_bytes,
            allowed: allowed.clone(),
            means,
            wake,
            budget: Budget::new(Instant::now()),
            owed: Vec::new(),
            work: None,
            trial: None,
            pictures: Pictures::new(SnapshotRequests::new(move || picture_wake.notify_one())),
            listing: None,
            switches: Switches::default(),
            log: RateLimited::new(LOG_EVERY),
        })
    }

    /// The sink that takes the pictures that were asked for.
    pub(in crate::runtime) fn sink(&self) -> SnapshotRequests {
        self.pictures.sink()
    }

    /// Answers for a change that the start took back.
    pub(in crate::runtime) fn recovered(&self, recovered: Recovered) {
        let Recovered { words, transaction } = recovered;
        let ticket = Ticket { verb: Verb::ConfigSet.name().into(), transaction };
        self.send(&ticket, Err(&words));
        // Who asked is not known any more where the client gave no identifier.
        self.desk.finish(Err(words));
    }

    /// Takes the requests that came and does those that are done at once; `true` if the governor was given an order, so that it is its
    /// turn. [`Commands::answer`] follows.
    pub(in crate::runtime) fn take(&mut self, session: &mut Session, now: Instant) -> bool {
        if let Some(Wish { change, reply }) = self.desk.take() {
            let asker = Asker::Page(Some(reply));
            match self.is_free() {
                Ok(()) => self.work = Some(Work::Change(change, asker)),
                Err(busy) => _ = self.reply(asker, Err(&busy)),
            }
        }
        self.desk.take_readings().iter().for_each(|pipeline| session.set.read_now(pipeline));
        let mut ordered = false;
        for _ in 0..AT_ONCE {
            if let Some(message) = self.requests.as_ref().and_then(|inbox| inbox.try_recv().ok()) {
                ordered |= self.request(&message, session, now);
            } else if let Some(message) = self.switched.as_ref().and_then(|inbox| inbox.try_recv().ok()) {
                ordered |= self.switch(&message, session, now);
            } else {
                break;
            }
        }
        ordered
    }

    /// Answers what was taken, with what is in force now, and tells what has come of earlier requests.
    pub(in crate::runtime) fn answer(&mut self, set: &PipelineSet, now: Instant) {
        for Owed { ticket, result } in std::mem::take(&mut self.owed) {
            match result {
                Ok(Reply::InForce) => {
                    self.send(&ticket, Ok(&serde_json::to_value(Applies::of(set)).unwrap_or_default()));
                }
                Ok(Reply::Data(data)) => self.send(&ticket, Ok(&data)),
                Ok(Reply::Later) => {}
                Err(error) => self.send(&ticket, Err(&error)),
            }
        }
        for (ticket, result) in self.pictures.settle(&self.topics, &*self.publisher, self.most_bytes, now) {
            self.send(&ticket, result.as_ref().map_err(String::as_str));
        }
        if let Some((models, ticket)) = self.listing.take() {
            match models.get() {
                Some(models) => self.send(&ticket, Ok(models)),
                None if Arc::strong_count(&models) > 1 => self.listing = Some((models, ticket)),
                None => self.send(&ticket, Err("the list of models could not be made")),
            }
        }
        for turned in self.switches.turned(set.switches()) {
            let payload = turned.on.map(|on| if on { "ON" } else { "OFF" }).unwrap_or_default();
            let topic = self.topics.detect_state(&turned.pipeline);
            self.publisher.publish(Message { topic, payload: payload.into(), class: Class::State, timing: None });
        }
        self.judge(set, now);
    }

    /// Does what takes the control loop, if there is something. `applied` is called with what applies now, before whoever asked is told: an
    /// answer is not to come before others can see what it says.
    pub(in crate::runtime) async fn work(
        &mut self,
        session: &mut Session,
        options: &crate::runtime::Options,
        signals: &mut aside::Signals,
        applied: &mut dyn FnMut(&Session),
    ) -> Done {
        match self.work.take() {
            None => Done::Nothing,
            Some(Work::Restart) => Done::Restart,
            Some(Work::Change(change, asker)) => {
                match apply::change(session, options, signals, change, asker.transaction()).await {
                    Change::Applied(change) => {
                        let Applied { keys, watch, stored, data } = *change;
                        applied(session);
                        tracing::info!(changed = keys.join(", "), "config/set: on trial for a minute");
                        let asker = self.reply(asker, Ok(&data));
                        self.trial = Some(Trial { asker, keys, watch, stored });
                        Done::Reloaded
                    }
                    Change::Nothing => {
                        self.reply(asker, Ok(&serde_json::json!({ "changed": [] })));
                        Done::Nothing
                    }
                    Change::Refused(why) => {
                        tracing::warn!(why, "config/set: nothing was changed");
                        self.reply(asker, Err(&why));
                        Done::Nothing
                    }
                    Change::Stop(signal) => Done::Stop(signal),
                }
            }
            Some(Work::RollBack(reason)) => {
                let Some(trial) = self.trial.take() else { return Done::Nothing };
                match apply::roll_back(session, options, signals, &trial).await {
                    Return::Done => {
                        tracing::error!(reason, "config/set: the change is taken back");
                        applied(session);
                        self.reply(trial.asker, Err(&format!("rolled back: {reason}")));
                        Done::Reloaded
                    }
                    Return::Failed(why) => {
                        tracing::error!(reason, why, "config/set: the change cannot be taken back");
                        self.reply(trial.asker, Err(&format!("{reason}; and it cannot be taken back: {why}")));
                        Done::Nothing
                    }
                    Return::Stop(signal) => Done::Stop(signal),
                }
            }
        }
    }

    /// Ends a trial without a verdict, since a person acted: the daemon stops as asked, or loads its file again. The change stays.
    pub(in crate::runtime) fn end_trial(&mut self) {
        if let Some(trial) = self.trial.take() {
            trial.stored.keep();
            if matches!(trial.asker, Asker::Page(_)) {
                self.desk.finish(Ok(kept(&trial.keys)));
            }
        }
    }

    fn judge(&mut self, set: &PipelineSet, now: Instant) {
        let verdict = self.trial.as_ref().map(|trial| trial.watch.judge(&apply::seen(set), now));
        match verdict {
            None | Some(Verdict::Open) => {}
            Some(Verdict::Failed(reason)) => self.work = Some(Work::RollBack(reason)),
            Some(Verdict::Kept) => {
                let Some(Trial { asker, keys, stored, .. }) = self.trial.take() else { return };
                stored.keep();
                tracing::info!(changed = keys.join(", "), "config/set: the change stays");
                self.reply(asker, Ok(&kept(&keys)));
            }
        }
    }

    fn request(&mut self, message: &Incoming, session: &mut Session, now: Instant) -> bool {
        let Some(verb) = self.topics.verb(&message.topic).map(str::to_owned) else { return false };
        let Some(admission) = self.admit(message, now) else { return false };
        let names: Vec<&str> = session.set.names().collect();
        let Some(asked) = read(&verb, &message.payload, &names, &self.allowed) else { return false };
        let Asked { verb, transaction, request } = asked;
        let ticket = Ticket { verb, transaction };
        let request = if admission == Admission::Admitted { request } else { Err(refusal()) };
        let result = request.and_then(|request| self.perform(request, &ticket, session, now));
        if let Err(error) = &result
            && let Some(suppressed) = self.log.admit("wrong", now)
        {
            tracing::warn!(verb = ticket.verb, error, suppressed, "a request that cannot be done");
        }
        let ordered = matches!(result, Ok(Reply::InForce));
        self.owed.push(Owed { ticket, result });
        ordered
    }

    /// A switch is answered by its state. A wrong position is logged and changes nothing.
    fn switch(&mut self, message: &Incoming, session: &mut Session, now: Instant) -> bool {
        let Some(pipeline) = self.topics.switched(&message.topic).map(str::to_owned) else { return false };
        if self.admit(message, now) != Some(Admission::Admitted) {
            return false;
        }
        let names: Vec<&str> = session.set.names().collect();
        match detect_set::read(&pipeline, &message.payload, &names) {
            Ok(pause) => {
                self.pause(&pause, &mut session.set, now);
                true
            }
            Err(error) => {
                if let Some(suppressed) = self.log.admit("switch", now) {
                    tracing::warn!(topic = message.topic, error, suppressed, "a switch that cannot be turned");
                }
                false
            }
        }
    }

    /// `None` for a message that is not looked at.
    fn admit(&mut self, message: &Incoming, now: Instant) -> Option<Admission> {
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
        let admission = self.budget.admit(now);
        if admission != Admission::Admitted
            && let Some(suppressed) = self.log.admit("many", now)
        {
            tracing::warn!(suppressed, "requests come fast: {}", refusal());
        }
        Some(admission).filter(|admission| *admission != Admission::Dropped)
    }

    fn perform(
        &mut self,
        request: Request,
        ticket: &Ticket,
        session: &mut Session,
        now: Instant,
    ) -> Result<Reply, String> {
        match request {
            Request::ConfigGet(wanted) => wanted.answer(&session.config, &session.digest).map(Reply::Data),
            Request::ConfigSet(change) => {
                self.is_free()?;
                self.work = Some(Work::Change(change, Asker::Client(ticket.clone())));
                Ok(Reply::Later)
            }
            Request::ConfigSchema => Ok(Reply::Data(serde_json::json!({ "schema": crate::config::schema() }))),
            Request::Governor(wanted) => {
                session.set.order(&wanted.order, wanted.duration, now);
                self.tell(&wanted.order, &session.set, now);
                Ok(Reply::InForce)
            }
            Request::Pause(pause) => {
                self.pause(&pause, &mut session.set, now);
                Ok(Reply::InForce)
            }
            Request::Snapshot(wanted) => {
                self.pictures.ask(&session.set, &wanted.pipeline, ticket, now)?;
                Ok(Reply::Later)
            }
            Request::Reading(wanted) => {
                session.set.read_now(&wanted.pipeline);
                Ok(Reply::Data(serde_json::json!({ "pipeline": &*wanted.pipeline })))
            }
            Request::ModelList => {
                self.list(session, ticket)?;
                Ok(Reply::Later)
            }
            Request::Restart => {
                self.may_restart(now)?;
                self.is_free()?;
                tracing::warn!("asked to restart");
                self.work = Some(Work::Restart);
                Ok(Reply::Data(serde_json::json!({ "restarting": true })))
            }
        }
    }

    /// Refuses what would disturb a change of the configuration.
    fn is_free(&self) -> Result<(), String> {
        if let Some(trial) = &self.trial {
            let left = trial.watch.until().saturating_duration_since(Instant::now());
            let until = rfc3339(std::time::SystemTime::now() + left);
            return Err(format!("a change of the configuration is on trial until {until}: wait for its second answer"));
        }
        if self.work.is_some() {
            return Err("a change of the configuration or a restart is about to be done".into());
        }
        Ok(())
    }

    fn may_restart(&self, now: Instant) -> Result<(), String> {
        if !self.means.restarts {
            return Err("this run was not started by systemd: nothing would start it again".into());
        }
        let age = now.saturating_duration_since(self.means.started);
        if age < RESTART_AFTER {
            let left = (RESTART_AFTER - age).as_secs() + 1;
            return Err(format!("leptond has just started: systemd gives up on quick restarts, ask again in {left} s"));
        }
        Ok(())
    }

    /// Begins to list the models, on a thread of its own: their files are read.
    fn list(&mut self, session: &Session, ticket: &Ticket) -> Result<(), String> {
        if self.listing.is_some() {
            return Err("a list of models is being made: wait for its answer".into());
        }
        let models = Arc::new(std::sync::OnceLock::new());
        let (place, config, wake) = (models.clone(), session.config.clone(), self.wake.clone());
        let make = move || {
            // Nobody else sets it.
            let _ = place.set(serde_json::to_value(model_list::list(&config)).unwrap_or_default());
            drop(place);
            wake.notify_one();
        };
        let thread = std::thread::Builder::new().name("models".into()).spawn(make);
        thread.map_err(|error| format!("no thread to list the models: {error}"))?;
        self.listing = Some((models, ticket.clone()));
        Ok(())
    }

    fn pause(&mut self, pause: &Pause, set: &mut PipelineSet, now: Instant) {
        let Pause { pipeline, paused } = pause;
        let name = pipeline.as_deref();
        if let Some(suppressed) = self.log.admit("pause", now) {
            tracing::info!(pipeline = name.unwrap_or("all"), paused, suppressed, "asked to pause, or to resume");
        }
        set.pause(name, *paused);
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

    /// Answers the one who asked for a change, once or once more.
    fn reply(&self, asker: Asker, result: Result<&Value, &str>) -> Asker {
        match asker {
            Asker::Client(ticket) => {
                self.send(&ticket, result);
                Asker::Client(ticket)
            }
            Asker::Page(first) => {
                let answer = result.cloned().map_err(str::to_owned);
                match first {
                    // It may have gone meanwhile.
                    Some(reply) => _ = reply.send(answer),
                    None => self.desk.finish(answer),
                }
                Asker::Page(None)
            }
        }
    }

    fn send(&self, ticket: &Ticket, result: Result<&Value, &str>) {
        let topic = self.topics.response(&ticket.verb);
        let payload = render(ticket.transaction.as_deref(), result, &topic, self.most_bytes);
        self.publisher.publish(Message { topic, payload, class: Class::Response, timing: None });
    }
}
