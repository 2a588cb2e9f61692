//! The thread of the network: connects, hands frames to the server, takes answers, and looks for nodes that have time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_nats::Message;
use async_nats::jetstream::stream::Stream;
use futures_util::StreamExt as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

use super::super::config::Config;
use super::super::connect::{Connection, words};
use super::super::digest::ModelDigest;
use super::super::error::FleetError;
use super::super::names::{Lane, consumer};
use super::super::outstanding::{Outstanding, Unwanted};
use super::super::retries::Retries;
use super::super::streams;
use super::super::wire::{HEADER_BYTES, Job, read_answer};
use super::seat::Order;
use super::shared::{Returned, SeatState, Shared};
use crate::frame::NodeName;
use crate::sys::random;

/// Frames that are awaited at once, of all pipelines, and their size in bytes; further ones are not given.
const WINDOW: usize = 256;
const WINDOW_BYTES: usize = 16 << 20;
/// Time between two looks for frames that nobody waits for any more, and for what the server refused.
const TURN: Duration = Duration::from_millis(100);
/// Time between two looks for nodes that have time.
const LOOK: Duration = Duration::from_secs(1);
/// Time for such a look.
const LOOK_WITHIN: Duration = Duration::from_secs(2);

/// A frame that is awaited.
struct Tag {
    seat: Arc<SeatState>,
    frame: u64,
    within: Duration,
}

/// All that outlives a connection.
pub(super) struct Session {
    config: Config,
    node: NodeName,
    shared: Arc<Shared>,
    orders: mpsc::Receiver<Order>,
    stop: watch::Receiver<bool>,
    outstanding: Outstanding<Tag>,
}

/// One connection.
struct Open {
    connection: Connection,
    stream: Stream,
    token: String,
}

impl Session {
    pub(super) fn new(
        config: Config,
        node: NodeName,
        shared: Arc<Shared>,
        orders: mpsc::Receiver<Order>,
        stop: watch::Receiver<bool>,
    ) -> Session {
        Session { config, node, shared, orders, stop, outstanding: Outstanding::new(WINDOW, WINDOW_BYTES) }
    }

    /// Gives until told to stop.
    pub(super) async fn run(mut self) {
        let mut retries = Retries::new("nothing can be given to other nodes");
        while !*self.stop.borrow() {
            let begun = Instant::now();
            let result = self.session().await;
            self.close();
            let Err(error) = result else { continue };
            let (wait, error) = retries.failed(&error, begun.elapsed());
            self.shared.given().fault = Some(error);
            tokio::select! {
                () = sleep(wait) => {}
                _ = self.stop.changed() => {}
            }
        }
    }

    /// Takes nothing more, and waits for nothing.
    fn close(&mut self) {
        self.shared.open.store(false, Ordering::Release);
        self.shared.given().connected = false;
        self.shared.seats().iter().for_each(|seat| seat.waiting.store(0, Ordering::Relaxed));
    }

    async fn open(&self) -> Result<Open, FleetError> {
        let connection = Connection::open(&self.config, &self.node).await?;
        let token = random::word().map_err(|e| FleetError::System(format!("no random numbers: {e}")))?;
        let stream = streams::stream(&connection, &self.config, Lane::Work).await?;
        Ok(Open { connection, stream, token })
    }

    /// One connection, until it cannot be used or a stop.
    async fn session(&mut self) -> Result<(), FleetError> {
        let mut stop = self.stop.clone();
        let Open { connection, mut stream, token } = tokio::select! {
            opened = self.open() => opened?,
            _ = stop.changed() => return Ok(()),
        };
        let subject = self.config.group.answers(&token);
        let subscribed = connection.client.subscribe(subject.clone()).await;
        let mut answers = subscribed.map_err(|e| connection.failed(&format!("subscribe to {subject}"), &e))?;
        let mut link = connection.link();
        let mut connections = link.borrow_and_update().connections;
        self.opened(&connection);
        let mut turn = interval(TURN);
        let mut looks: JoinSet<(ModelDigest, usize)> = JoinSet::new();
        let mut look_at = Instant::now();
        loop {
            tokio::select! {
                biased;
                _ = stop.changed() => return Ok(()),
                message = answers.next() => match message {
                    Some(message) => self.answered(&message, connection.client.max_payload()),
                    None => {
                        let reason = "the connection ended".into();
                        return Err(FleetError::Server { what: "wait for answers".into(), reason });
                    }
                },
                Some(order) = self.orders.recv() => self.give(order, &connection, &token).await?,
                changed = link.changed() => {
                    let now = *link.borrow_and_update();
                    if changed.is_err() || !now.connected {
                        self.close();
                        continue;
                    }
                    connection.check()?;
                    if now.connections != connections {
                        connections = now.connections;
                        // A server that was started again has forgotten what it had in memory.
                        stream = streams::stream(&connection, &self.config, Lane::Work).await?;
                    }
                    self.opened(&connection);
                }
                Some(Ok((model, waiting))) = looks.join_next(), if !looks.is_empty() => {
                    let seats = self.shared.seats();
                    seats.iter().filter(|seat| seat.model == model).for_each(|seat| {
                        seat.waiting.store(waiting, Ordering::Relaxed);
                    });
                }
                _ = turn.tick() => {
                    let now = Instant::now();
                    let missed = self.outstanding.expire(|tag| tag.within, now).len();
                    self.shared.given().missed += missed as u64;
                    if let Some(reason) = connection.take_refusal() {
                        return Err(FleetError::Rights { what: "give work to the group".into(), reason });
                    }
                    if now >= look_at && looks.is_empty() && link.borrow().connected {
                        look_at = now + LOOK;
                        self.look(&stream, &mut looks);
                    }
                }
            }
        }
    }

    fn opened(&self, connection: &Connection) {
        let most = connection.client.max_payload().saturating_sub(HEADER_BYTES);
        self.shared.most_bytes.store(self.config.max_payload_bytes.min(most), Ordering::Relaxed);
        let mut given = self.shared.given();
        (given.connected, given.fault) = (true, None);
        given.server = Some(connection.version.to_string());
        drop(given);
        self.shared.open.store(true, Ordering::Release);
    }

    /// Hands a frame to the server. No answer of it is waited for: a frame that did not get there is missed like any other.
    async fn give(&mut self, order: Order, connection: &Connection, token: &str) -> Result<(), FleetError> {
        let Order { seat, frame, picture, within } = order;
        if !self.outstanding.has_room() {
            self.shared.given().missed += 1;
            return Ok(());
        }
        let id = random::word().map_err(|e| FleetError::System(format!("no random numbers: {e}")))?;
        let job = Job {
            id: id.clone(),
            answer: token.to_owned(),
            from: self.node.clone(),
            model: seat.model.clone(),
            pipeline: Some(seat.pipeline.clone()),
            deadline: Some(within),
            picture: picture.clone(),
        };
        let subject = self.config.group.subject(Lane::Work, &seat.model);
        self.outstanding.give(id, Tag { seat, frame, within }, picture, Instant::now());
        self.shared.given().frames += 1;
        let headers = job.headers();
        let sent = connection.client.publish_with_headers(subject, headers, job.picture.bytes).await;
        if let Err(error) = sent {
            tracing::debug!(error = words(&error), "a frame cannot be sent");
        }
        Ok(())
    }

    /// Takes a message on the subject of answers.
    fn answered(&mut self, message: &Message, most_bytes: usize) {
        let read = read_answer(message.headers.as_ref(), &message.payload, most_bytes);
        let mut given = self.shared.given();
        let answer = match read {
            Ok(answer) => answer,
            Err(reason) => {
                tracing::debug!(reason, "a message that is no answer");
                given.untrusted += 1;
                return;
            }
        };
        let Some(one) = self.outstanding.get_mut(&answer.id) else {
            match self.outstanding.unwanted(&answer.id) {
                Unwanted::Late => given.late += 1,
                Unwanted::Repeated | Unwanted::Unknown => given.untrusted += 1,
            }
            return;
        };
        if answer.model != one.tag.seat.model {
            given.untrusted += 1;
            return;
        }
        let Ok(one) = self.outstanding.take(&answer.id) else { return };
        if let Err(refusal) = &answer.result {
            *given.refused.entry(refusal.kind.word().to_owned()).or_default() += 1;
        }
        drop(given);
        one.tag.seat.hand(Returned { frame: one.tag.frame, answer });
    }

    /// Asks the server how many nodes wait for work with each model.
    fn look(&self, stream: &Stream, looks: &mut JoinSet<(ModelDigest, usize)>) {
        let mut models: Vec<ModelDigest> = self.shared.seats().iter().map(|seat| seat.model.clone()).collect();
        models.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        models.dedup();
        // This node waits for work of others as well, and does not count as another one.
        let own = self.shared.own(Instant::now());
        for model in models {
            let stream = stream.clone();
            looks.spawn(async move {
                let info = timeout(LOOK_WITHIN, stream.consumer_info(consumer(&model))).await;
                // A model that no node ever computed with has no consumer.
                let waiting = info.ok().and_then(Result::ok).map_or(0, |info| info.num_waiting);
                (model, waiting.saturating_sub(own))
            });
        }
    }
}
