//! A worker's side of one queue: pulls no more than there is room for, gathers a batch, answers, and acknowledges after the answer.

mod age;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{Consumer, pull};
use async_nats::jetstream::{self, AckKind};
use async_nats::{HeaderMap, StatusCode, Subject};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant as Time, sleep_until, timeout};

use super::bench::{Bench, Done, Ready};
use super::compute::{Computed, Refusal, RefusalKind};
use super::config::Config;
use super::connect::{Connection, words};
use super::error::FleetError;
use super::names::Lane;
use super::streams;
use super::tally::Tally;
use super::wire::{Answer, HEADER_BYTES, Job, Limits, read_job};
use crate::frame::NodeName;
use age::Ages;

/// Time for which the server keeps a pull.
const PULL: Duration = Duration::from_secs(3);
/// Time after which a pull that nothing came of is taken for lost, beyond [`PULL`].
const LOST: Duration = Duration::from_secs(1);
/// Time that a picture waits for others to fill its batch.
const GATHER: Duration = Duration::from_millis(20);
/// Time between two looks at what is spare.
const LOOK: Duration = Duration::from_millis(200);
/// Time to the next pull after the server refused one.
const REFUSED: Duration = Duration::from_millis(250);
/// Time that an inference may still take at a stop.
const FINISH: Duration = Duration::from_millis(300);

/// State that every queue of a node shares.
#[derive(Clone)]
pub(super) struct Common {
    pub(super) connection: Arc<Connection>,
    pub(super) config: Arc<Config>,
    pub(super) node: NodeName,
    pub(super) tally: Tally,
    pub(super) bench: Bench,
    pub(super) stop: watch::Receiver<bool>,
}

/// One piece of work that was taken.
struct Held {
    job: Job,
    /// Subject of its acknowledgement.
    ack: Subject,
    came: Instant,
}

/// An inference that goes on.
struct AtWork {
    held: Vec<Held>,
    done: oneshot::Receiver<Done>,
}

/// A worker's side of one queue.
pub(super) struct Puller {
    common: Common,
    ready: Ready,
    lane: Lane,
    limits: Limits,
    lease: Duration,
    held: VecDeque<Held>,
    at_work: Option<AtWork>,
    ages: Ages,
    /// Messages of the present pull that have not come, and when they are given up.
    asked: usize,
    asked_until: Instant,
    /// No pull before.
    ask_after: Instant,
    /// No inference before.
    work_after: Instant,
    /// Next sign that work goes on.
    sign_at: Instant,
}

impl Puller {
    pub(super) fn new(common: Common, ready: Ready, lane: Lane, now: Instant) -> Puller {
        let limits = Limits { model: ready.digest.clone(), payload_bytes: common.config.max_payload_bytes };
        let lease = Duration::from_secs(common.config.lease_s.into());
        Puller {
            common,
            ready,
            lane,
            limits,
            lease,
            held: VecDeque::new(),
            at_work: None,
            ages: Ages::default(),
            asked: 0,
            asked_until: now,
            ask_after: now,
            work_after: now,
            sign_at: now,
        }
    }

    /// Works until told to stop; what is unfinished then is given back.
    ///
    /// # Errors
    /// [`FleetError`] when the queue cannot be seen; everything that was taken is given back.
    pub(super) async fn run(mut self) -> Result<(), FleetError> {
        let result = self.serve().await;
        self.give_back().await;
        result
    }

    async fn open(&mut self) -> Result<Consumer<pull::Config>, FleetError> {
        let Common { connection, config, .. } = &self.common;
        let stream = streams::stream(connection, config, self.lane).await?;
        let consumer = streams::workers(connection, config, &stream, self.lane, &self.ready.digest).await?;
        let lease = consumer.cached_info().config.ack_wait;
        if lease != self.lease {
            tracing::warn!(
                lease_s = lease.as_secs(),
                "another node chose the lease of the group's queue: fleet.lease_s has no effect"
            );
            self.lease = lease;
        }
        Ok(consumer)
    }

    async fn serve(&mut self) -> Result<(), FleetError> {
        let client = self.common.connection.client.clone();
        let mut consumer = self.open().await?;
        let inbox = Subject::from(client.new_inbox());
        let subscribed = client.subscribe(inbox.clone()).await;
        let mut messages = subscribed.map_err(|e| self.common.connection.failed("subscribe to an inbox", &e))?;
        let mut link = self.common.connection.link();
        let mut connections = link.borrow_and_update().connections;
        let mut stop = self.common.stop.clone();
        while !*stop.borrow() {
            let now = Instant::now();
            self.begin(now);
            if self.wants(now) && link.borrow().connected {
                let batch = self.room();
                let pull = pull::BatchConfig { batch, expires: Some(PULL), ..pull::BatchConfig::default() };
                match consumer.request_batch(pull, inbox.clone()).await {
                    Ok(()) => (self.asked, self.asked_until) = (batch, now + PULL + LOST),
                    Err(error) => return Err(self.common.connection.failed("pull work", &error)),
                }
            }
            self.sign(now).await;
            let next = Time::from_std(self.next_look(now));
            tokio::select! {
                biased;
                _ = stop.changed() => {}
                changed = link.changed() => {
                    if changed.is_err() {
                        return Err(ended());
                    }
                    let now = *link.borrow_and_update();
                    if now.connected && now.connections != connections {
                        connections = now.connections;
                        // The server forgot the pull, and may have forgotten a queue in its memory.
                        self.asked = 0;
                        consumer = self.open().await?;
                    }
                }
                done = finished(&mut self.at_work) => self.answer(done).await,
                message = messages.next() => match message {
                    None => return Err(ended()),
                    Some(message) => {
                        if let Some(code) = message.status.filter(|code| *code != StatusCode::OK) {
                            if self.pull_ended(code, message.description.as_deref()) {
                                consumer = self.open().await?;
                            }
                        } else {
                            self.take(message).await;
                        }
                    }
                },
                () = sleep_until(next) => {}
            }
        }
        Ok(())
    }

    /// Pieces that may still be taken: one batch is computed, one waits.
    fn room(&self) -> usize {
        let inside = self.held.len() + self.at_work.as_ref().map_or(0, |work| work.held.len());
        (2 * self.ready.batch).saturating_sub(inside)
    }

    /// True where it is time for another pull.
    fn wants(&mut self, now: Instant) -> bool {
        if now >= self.asked_until {
            self.asked = 0;
        }
        self.asked == 0 && self.room() > 0 && now >= self.ask_after && self.common.tally.may_take(now)
    }

    /// Time of the next look when nothing happens.
    fn next_look(&self, now: Instant) -> Instant {
        let gathered = self.held.front().filter(|_| self.at_work.is_none()).map(|first| {
            let whole = self.held.len() >= self.ready.batch || self.asked == 0;
            let by = if whole { now } else { first.came + GATHER };
            by.max(self.work_after)
        });
        (now + LOOK).min(gathered.unwrap_or(now + LOOK)).max(now + Duration::from_millis(1))
    }

    /// Begins an inference where one is due.
    fn begin(&mut self, now: Instant) {
        let whole = self.held.len() >= self.ready.batch || self.asked == 0;
        let waited = self.held.front().is_some_and(|first| now >= first.came + GATHER);
        if self.at_work.is_some() || self.held.is_empty() || now < self.work_after || !(whole || waited) {
            return;
        }
        let held: Vec<Held> = self.held.drain(..self.held.len().min(self.ready.batch)).collect();
        let pictures = held.iter().map(|one| one.job.picture.clone()).collect();
        let done = self.common.bench.order(self.ready.index, self.lane, pictures);
        self.at_work = Some(AtWork { held, done });
    }

    /// Takes note of the end of a pull; true where the queue is to be looked for again.
    fn pull_ended(&mut self, code: StatusCode, words: Option<&str>) -> bool {
        match code {
            StatusCode::IDLE_HEARTBEAT => false,
            StatusCode::TIMEOUT | StatusCode::NOT_FOUND => {
                self.asked = 0;
                false
            }
            code => {
                tracing::debug!(code = code.as_u16(), words, "a pull ended");
                let now = Instant::now();
                (self.asked, self.ask_after) = (0, now + REFUSED);
                let words = words.unwrap_or_default().to_ascii_lowercase();
                code == StatusCode::NO_RESPONDERS || words.contains("deleted")
            }
        }
    }

    /// Takes a message, or refuses it with an answer.
    async fn take(&mut self, message: async_nats::Message) {
        self.asked = self.asked.saturating_sub(1);
        let now = Instant::now();
        let context = self.common.connection.jetstream.clone();
        let message = jetstream::Message { message, context };
        let (delivered, published) = match message.info() {
            Ok(info) => (info.delivered, info.published.unix_timestamp_nanos()),
            // Somebody who may write to the inbox: no work of the queue.
            Err(_) => return self.common.tally.refused(RefusalKind::Malformed),
        };
        let Some(ack) = message.message.reply.clone() else { return };
        let age = self.ages.age(published, now);
        let message = message.message;
        let read = read_job(message.headers.as_ref(), &message.payload, &self.limits);
        let job = match read {
            Ok(job) => job,
            Err(no) => return self.refuse(no.to, no.refusal, ack).await,
        };
        if job.from == self.common.node && self.lane == Lane::Work {
            // Whoever gives a frame away has no time for it: it is for another one.
            return self.acknowledge(&ack, AckKind::Nak(None)).await;
        }
        let to = Some((job.id.clone(), job.answer.clone()));
        if delivered > i64::from(self.common.config.max_deliveries) {
            let reason = format!("delivered {} times, and no node finished it", delivered - 1);
            return self.refuse(to, Refusal::new(RefusalKind::GivenUp, reason), ack).await;
        }
        if job.deadline.is_some_and(|deadline| age > deadline) {
            let reason = format!("it waited for {} ms in the queue", age.as_millis());
            return self.refuse(to, Refusal::new(RefusalKind::Expired, reason), ack).await;
        }
        self.held.push_back(Held { job, ack, came: now });
    }

    async fn refuse(&mut self, to: Option<(String, String)>, refusal: Refusal, ack: Subject) {
        tracing::debug!(%refusal, "work refused");
        self.common.tally.refused(refusal.kind);
        if let Some((id, token)) = to {
            self.send(id, &token, Duration::ZERO, Err(refusal)).await;
        }
        self.acknowledge(&ack, AckKind::Ack).await;
    }

    /// Answers a whole inference.
    async fn answer(&mut self, done: Option<Done>) {
        let Some(AtWork { held, .. }) = self.at_work.take() else { return };
        let Some(Done { results, begun, pause }) = done else {
            // The bench has stopped; everything is given back at the end.
            self.held.extend(held);
            return;
        };
        self.work_after = Instant::now() + pause;
        for (Held { job, ack, came }, result) in held.into_iter().zip(results) {
            match &result {
                Ok(_) => self.common.tally.done(&job.from),
                Err(refusal) => self.common.tally.refused(refusal.kind),
            }
            let queue = begun.saturating_duration_since(came);
            self.send(job.id, &job.answer, queue, result).await;
            self.acknowledge(&ack, AckKind::Ack).await;
        }
    }

    async fn send(&self, id: String, token: &str, queue: Duration, result: Result<Computed, Refusal>) {
        let Common { connection, config, node, .. } = &self.common;
        let most = connection.client.max_payload().saturating_sub(HEADER_BYTES);
        let result = result.and_then(|computed| match computed.outcome.len() {
            bytes if bytes <= most => Ok(computed),
            bytes => {
                let reason = format!("a result of {bytes} bytes, and the server takes {most}");
                Err(Refusal::new(RefusalKind::TooLarge, reason))
            }
        });
        let answer = Answer { id, node: node.clone(), model: self.ready.digest.clone(), queue, result };
        let (headers, payload): (HeaderMap, Bytes) = answer.message();
        let subject = config.group.answers(token);
        if let Err(error) = connection.client.publish_with_headers(subject, headers, payload).await {
            tracing::warn!(error = words(&error), "an answer cannot be sent");
        }
    }

    async fn acknowledge(&self, ack: &Subject, kind: AckKind) {
        // One that is lost costs a second inference, whose answer the giver drops.
        let _ = self.common.connection.client.publish(ack.clone(), kind.into()).await;
    }

    /// Tells the server that the work goes on, well before the lease ends.
    async fn sign(&mut self, now: Instant) {
        if now < self.sign_at {
            return;
        }
        self.sign_at = now + self.lease / 3;
        let working = self.at_work.iter().flat_map(|work| &work.held);
        for one in self.held.iter().chain(working) {
            self.acknowledge(&one.ack, AckKind::Progress).await;
        }
    }

    /// Finishes an inference that is about to end, and gives the rest back.
    async fn give_back(&mut self) {
        if let Ok(done) = timeout(FINISH, finished(&mut self.at_work)).await
            && done.is_some()
        {
            self.answer(done).await;
        }
        let unfinished: Vec<Held> =
            self.held.drain(..).chain(self.at_work.take().into_iter().flat_map(|work| work.held)).collect();
        for one in &unfinished {
            self.acknowledge(&one.ack, AckKind::Nak(None)).await;
        }
        self.common.tally.returned(unfinished.len() as u64);
    }
}

/// The connection was given up by the client.
fn ended() -> FleetError {
    FleetError::Server { what: "wait for work".into(), reason: "the connection ended".into() }
}

/// The results of the inference that goes on, `None` where its thread has ended; waits for ever where none goes on.
async fn finished(at_work: &mut Option<AtWork>) -> Option<Done> {
    match at_work {
        Some(work) => (&mut work.done).await.ok(),
        None => std::future::pending().await,
    }
}
