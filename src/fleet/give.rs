//! The giver's side: a bounded window of work that is awaited, answers from its own subject only, and another attempt for what was lost on
//! the way.

mod counts;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::stream::Stream;
use async_nats::{Message, Subscriber};
use futures_util::StreamExt as _;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::compute::{Picture, Refusal, RefusalKind};
use super::config::Config;
use super::connect::{Connection, words};
use super::digest::ModelDigest;
use super::error::FleetError;
use super::names::{Lane, consumer};
use super::outstanding::{Awaited, Outstanding, Unwanted};
use super::streams;
use super::version::Version;
use super::wire::{Answer, HEADER_BYTES, Job, read_answer};
use crate::frame::NodeName;
use crate::sys::random;
pub use counts::Trouble;

/// Pieces of work that are awaited at once, and their size in bytes.
const WINDOW: usize = 256;
const WINDOW_BYTES: usize = 32 << 20;
/// Attempts for one piece of work at most.
const ATTEMPTS: u32 = 5;
/// Time between two looks at the queue.
const LOOK: Duration = Duration::from_secs(1);
/// Age of work after which its place in the queue is looked at.
const OLD: Duration = Duration::from_millis(1500);
/// Time for an answer to come after its work has left the queue.
const GRACE: Duration = Duration::from_secs(1);
/// Time to the next attempt to hand work to the server.
const AGAIN: Duration = Duration::from_millis(250);
/// Time for a look at the queue.
const WITHIN: Duration = Duration::from_secs(2);
/// Time for the withdrawal of unfinished work.
const WITHDRAW_WITHIN: Duration = Duration::from_millis(800);

/// A word that nobody can guess: an id of work, or the subject of its answer.
fn word() -> Result<String, FleetError> {
    random::word().map_err(|error| FleetError::System(format!("no random numbers: {error}")))
}

/// News of work that was given.
#[derive(Debug)]
pub enum Told<T> {
    /// It was answered.
    Answered {
        /// The giver's own name for it.
        tag: T,
        /// The answer.
        answer: Box<Answer>,
        /// Time since it was given.
        total: Duration,
    },
    /// It has no answer and will have none.
    Failed {
        /// The giver's own name for it.
        tag: T,
        /// The reason.
        reason: String,
    },
    /// Nothing happened for a while.
    Nothing,
}

/// A way to hand work for one model to a group.
pub struct Giver<T> {
    connection: Connection,
    config: Config,
    node: NodeName,
    model: ModelDigest,
    stream: Stream,
    token: String,
    answers: Subscriber,
    outstanding: Outstanding<T>,
    handed: JoinSet<(String, Result<PublishAck, PublishError>)>,
    /// Work that the server did not take, and when it is handed over again.
    again: Vec<(Instant, String)>,
    look_at: Instant,
    trouble: Trouble,
}

impl<T> Giver<T> {
    /// Connects to the group of `config` as `node`, to give work for `model`.
    ///
    /// # Errors
    /// [`FleetError`].
    pub async fn open(config: &Config, node: NodeName, model: ModelDigest, now: Instant) -> Result<Self, FleetError> {
        let connection = Connection::open(config, &node).await?;
        let token = word()?;
        let subject = config.group.answers(&token);
        let subscribed = connection.client.subscribe(subject.clone()).await;
        let answers = subscribed.map_err(|e| connection.failed(&format!("subscribe to {subject}"), &e))?;
        let stream = streams::stream(&connection, config, Lane::Map).await?;
        Ok(Giver {
            connection,
            config: config.clone(),
            node,
            model,
            stream,
            token,
            answers,
            outstanding: Outstanding::new(WINDOW, WINDOW_BYTES),
            handed: JoinSet::new(),
            again: Vec::new(),
            look_at: now + LOOK,
            trouble: Trouble::default(),
        })
    }

    /// Version of the server.
    pub fn server(&self) -> Version {
        self.connection.version
    }

    /// Largest picture that can be given, in bytes.
    pub fn most_bytes(&self) -> usize {
        self.config.max_payload_bytes.min(self.connection.client.max_payload().saturating_sub(HEADER_BYTES))
    }

    /// True where another picture may be given.
    pub fn has_room(&self) -> bool {
        self.outstanding.has_room()
    }

    /// Pictures that are awaited.
    pub fn awaited(&self) -> usize {
        self.outstanding.len()
    }

    /// Whatever did not go as it should.
    pub fn trouble(&self) -> &Trouble {
        &self.trouble
    }

    /// Gives a picture of no more than [`Giver::most_bytes`] to the group; `tag` comes back with its answer.
    ///
    /// # Errors
    /// [`FleetError`] when nothing can be given any more.
    pub async fn give(&mut self, tag: T, picture: Picture, now: Instant) -> Result<(), FleetError> {
        let id = word()?;
        self.outstanding.give(id.clone(), tag, picture, now);
        self.hand(&id).await
    }

    /// Waits for news, for a quarter of a second at most.
    ///
    /// # Errors
    /// [`FleetError`] when nothing can be given any more.
    pub async fn next(&mut self) -> Result<Told<T>, FleetError> {
        loop {
            tokio::select! {
                biased;
                message = self.answers.next() => {
                    let Some(message) = message else {
                        return Err(FleetError::Server { what: "wait for answers".into(), reason: "the connection ended".into() });
                    };
                    if let Some(told) = self.answered(&message, Instant::now()) {
                        return Ok(told);
                    }
                }
                Some(handed) = self.handed.join_next(), if !self.handed.is_empty() => {
                    // A task of it neither panics nor is cancelled.
                    let Ok((id, result)) = handed else { continue };
                    if let Some(told) = self.taken(&id, result, Instant::now()).await? {
                        return Ok(told);
                    }
                }
                () = tokio::time::sleep(AGAIN) => return self.turn(Instant::now()).await,
            }
            if Instant::now() >= self.look_at {
                return self.turn(Instant::now()).await;
            }
        }
    }

    /// Nodes that wait for work of this model or are at it, as far as the server knows; a node counts for each pull and piece.
    pub async fn at_it(&mut self) -> usize {
        let info = timeout(WITHIN, self.stream.consumer_info(consumer(&self.model))).await;
        let at_it = info.ok().and_then(Result::ok).map_or(0, |info| info.num_waiting + info.num_ack_pending);
        // A right to look is wanted, and not needed.
        let _ = self.connection.take_refusal();
        at_it
    }

    /// True while the connection is up.
    pub fn is_connected(&self) -> bool {
        self.connection.link().borrow().connected
    }

    /// Takes back what is not finished, as far as the server lets it within a second.
    pub async fn withdraw(mut self) {
        let mut withdrawals = JoinSet::new();
        for sequence in self.outstanding.iter_mut().filter_map(|(_, one)| one.sequence) {
            let stream = self.stream.clone();
            withdrawals.spawn(async move { stream.delete_message(sequence).await.is_ok() });
        }
        let all = async { while withdrawals.join_next().await.is_some() {} };
        // Nobody waits for the answers to the rest, and their time ends.
        let _ = timeout(WITHDRAW_WITHIN, all).await;
        let _ = timeout(WITHDRAW_WITHIN, self.connection.client.flush()).await;
    }

    /// Hands one attempt to the server.
    async fn hand(&mut self, id: &str) -> Result<(), FleetError> {
        let Some(one) = self.outstanding.get_mut(id) else { return Ok(()) };
        let job = Job {
            id: id.to_owned(),
            answer: self.token.clone(),
            from: self.node.clone(),
            model: self.model.clone(),
            pipeline: None,
            deadline: None,
            picture: one.picture.clone(),
        };
        // The same attempt twice is one message.
        let message = PublishMessage::build()
            .headers(job.headers())
            .message_id(format!("{id}.{}", one.attempt))
            .payload(job.picture.bytes);
        let subject = self.config.group.subject(Lane::Map, &self.model);
        match self.connection.jetstream.send_publish(subject, message).await {
            Ok(handed) => {
                let id = id.to_owned();
                self.handed.spawn(async move { (id, handed.await) });
                Ok(())
            }
            Err(error) if error.kind() == PublishErrorKind::TimedOut => {
                self.again.push((Instant::now() + AGAIN, id.to_owned()));
                Ok(())
            }
            Err(error) => Err(self.connection.failed("hand work to the server", &error)),
        }
    }

    /// Takes note of the server's word on an attempt.
    async fn taken(
        &mut self,
        id: &str,
        result: Result<PublishAck, PublishError>,
        now: Instant,
    ) -> Result<Option<Told<T>>, FleetError> {
        let error = match result {
            Ok(ack) => {
                if let Some(one) = self.outstanding.get_mut(id) {
                    one.sequence = Some(ack.sequence);
                }
                return Ok(None);
            }
            Err(error) => error,
        };
        let reason = words(&error);
        if let Some(reason) = self.connection.take_refusal() {
            return Err(FleetError::Rights { what: "hand work to the group".into(), reason });
        }
        let too_large =
            error.kind() == PublishErrorKind::MaxPayloadExceeded || reason.contains("message size exceeds maximum");
        if too_large {
            let refusal = Refusal::new(RefusalKind::TooLarge, format!("the group's queue does not take it: {reason}"));
            return Ok(self.fail(id, refusal.to_string()));
        }
        if reason.contains("maximum bytes exceeded") || reason.contains("maximum messages exceeded") {
            self.trouble.full += 1;
        } else {
            self.trouble.unacknowledged += 1;
            tracing::debug!(reason, "the server did not take work, again");
        }
        if error.kind() == PublishErrorKind::StreamNotFound && self.is_connected() {
            self.stream = streams::stream(&self.connection, &self.config, Lane::Map).await?;
        }
        self.again.push((now + AGAIN, id.to_owned()));
        Ok(None)
    }

    fn fail(&mut self, id: &str, reason: String) -> Option<Told<T>> {
        let one = self.outstanding.take(id).ok()?;
        Some(Told::Failed { tag: one.tag, reason })
    }

    /// Makes news of a message on the subject of answers; `None` where it is none.
    fn answered(&mut self, message: &Message, now: Instant) -> Option<Told<T>> {
        let most = self.connection.client.max_payload();
        let answer = match read_answer(message.headers.as_ref(), &message.payload, most) {
            Ok(answer) => answer,
            Err(reason) => {
                self.trouble.garbage(reason);
                return None;
            }
        };
        let id = answer.id.clone();
        let Some(one) = self.outstanding.get_mut(&id) else {
            match self.outstanding.unwanted(&id) {
                Unwanted::Repeated | Unwanted::Late => self.trouble.repeated += 1,
                Unwanted::Unknown => self.trouble.forged(&answer.node),
            }
            return None;
        };
        if answer.model != self.model {
            self.trouble.garbage(format!("{}: computed with the model {}", answer.node, answer.model));
            return None;
        }
        if let Err(refusal) = &answer.result
            && refusal.kind.may_pass()
        {
            // Another node may know better. The work has left the queue, which the next look finds.
            self.trouble.refused += 1;
            one.trouble = Some(format!("{}: {refusal}", answer.node));
            one.missing = Some(now - GRACE.min(now.saturating_duration_since(one.given)));
            return None;
        }
        let Awaited { tag, given, .. } = self.outstanding.take(&id).ok()?;
        Some(Told::Answered { tag, answer: Box::new(answer), total: now.saturating_duration_since(given) })
    }

    /// One turn of what is due by the clock.
    async fn turn(&mut self, now: Instant) -> Result<Told<T>, FleetError> {
        // A subscription that is refused is told some time after it was asked for.
        if let Some(reason) = self.connection.take_refusal() {
            return Err(FleetError::Rights { what: "give work to the group".into(), reason });
        }
        // While there is no connection the client only piles up what it is handed.
        let connected = self.is_connected();
        let due = self.again.extract_if(.., |(at, _)| connected && *at <= now);
        let due: Vec<String> = due.map(|(_, id)| id).collect();
        for id in due {
            self.hand(&id).await?;
        }
        if now < self.look_at {
            return Ok(Told::Nothing);
        }
        self.look_at = now + LOOK;
        let told = self.look(now).await?;
        self.look_at = Instant::now() + LOOK;
        Ok(told.unwrap_or(Told::Nothing))
    }

    /// Looks for work that has left the queue without an answer: the answer was lost, or the work was.
    async fn look(&mut self, now: Instant) -> Result<Option<Told<T>>, FleetError> {
        let is_old = |one: &Awaited<T>| now.saturating_duration_since(one.given) >= OLD;
        let oldest = self.outstanding.iter_mut().any(|(_, one)| is_old(one) && one.sequence.is_some());
        if !oldest || !self.is_connected() {
            return Ok(None);
        }
        let looked = timeout(WITHIN, self.stream.info_builder().with_deleted(true).fetch()).await;
        let Ok(Ok(looked)) = looked else {
            return match self.connection.take_refusal() {
                Some(reason) => Err(FleetError::Rights { what: "look at the group's queue".into(), reason }),
                None => Ok(None),
            };
        };
        let state = looked.info.state;
        let gone: HashSet<u64> = state.deleted.unwrap_or_default().into_iter().collect();
        let is_there = |sequence: u64| {
            sequence >= state.first_sequence && sequence <= state.last_sequence && !gone.contains(&sequence)
        };
        let mut again = Vec::new();
        for (id, one) in self.outstanding.iter_mut() {
            let Some(sequence) = one.sequence.filter(|_| is_old(one)) else { continue };
            if is_there(sequence) {
                one.missing = None;
                continue;
            }
            let missing = *one.missing.get_or_insert(now);
            if now.saturating_duration_since(missing) >= GRACE {
                again.push(id.clone());
            }
        }
        for id in again {
            let Some(one) = self.outstanding.get_mut(&id) else { continue };
            if one.attempt >= ATTEMPTS {
                let last = one.trouble.take().unwrap_or_else(|| "it left the queue, and no answer came".into());
                return Ok(self.fail(&id, format!("no node gave a result in {ATTEMPTS} attempts; the last: {last}")));
            }
            one.attempt += 1;
            (one.sequence, one.missing) = (None, None);
            self.trouble.attempts += 1;
            self.hand(&id).await?;
        }
        Ok(None)
    }
}
