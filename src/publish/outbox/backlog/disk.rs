//! State of the disk as the backlog sees it: the job under way, faults and when it is tried again, the budget.

use std::time::{Duration, Instant};

use crate::frame::status::{Outbox, OutboxFault};
use crate::publish::outbox::budget::Budget;
use crate::publish::outbox::config::OutboxConfig;
use crate::publish::outbox::fault::StorageError;
use crate::publish::outbox::record::{Checkpoint, Record};
use crate::publish::outbox::storage::{Job, Outcome};
use crate::publish::outbox::waiting::{Clock, Waiting};

/// Time that events wait for the log to be opened, so that those of earlier runs go first.
const OPENING: Duration = Duration::from_secs(10);
/// Time for which another owner of the directory may be the one that this one takes over from.
const HANDOVER: Duration = Duration::from_secs(3);
/// Time after which the disk is called slow.
const SLOW: Duration = Duration::from_secs(10);
/// Time after which events in memory no longer wait for those on disk.
const STUCK: Duration = Duration::from_secs(30);
/// Longest time between attempts after a failure.
const RETRY: Duration = Duration::from_secs(60);
/// Failed reads in a row after which what is on disk is given up.
const READS: u32 = 5;
/// Bytes that a commit writes at least, and a checkpoint at most.
const LEAST_BYTES: u64 = 8192;
const PAGE_BYTES: u64 = 4096;
/// Bytes of a record besides topic and payload, rounded up.
const RECORD_BYTES: usize = 32;

/// Something to be logged.
#[derive(Debug)]
pub enum Notice {
    /// The log was opened, and had something in it.
    Opened {
        /// Events of earlier runs.
        events: u64,
        /// Bytes that are no records.
        damaged_bytes: u64,
    },
    /// Events are kept in memory only from now on.
    Fault {
        /// The kind.
        fault: OutboxFault,
        /// The system's words; empty where there are none.
        words: String,
    },
    /// Events are written to disk again.
    Recovered,
}

/// The job under way.
#[derive(Clone, Copy, Debug)]
enum Doing {
    Open,
    /// Events up to `to` are being written, with a checkpoint at `first`.
    Commit {
        to: i64,
        first: i64,
    },
    Read,
}

/// The disk.
#[derive(Debug)]
pub(super) struct Disk {
    ttl: Duration,
    commit_records: usize,
    budget: Budget,
    started: Instant,
    open: bool,
    /// Id on disk of the event 0.
    base: u64,
    doing: Option<(Doing, Instant)>,
    retry_at: Option<Instant>,
    failures: u32,
    failed_reads: u32,
    fault: Option<OutboxFault>,
    told: Option<OutboxFault>,
    /// The first event that the newest checkpoint says is not done with, and its time.
    checkpointed: i64,
    checkpoint_at: Option<Instant>,
    bytes: u64,
    notices: Vec<Notice>,
    /// A stop was asked for: events wait for no other owner of the directory any more.
    pub(super) hurried: bool,
    pub(super) finishing: bool,
    pub(super) finished: bool,
}

impl Disk {
    pub(super) fn new(config: &OutboxConfig, now: Instant) -> Disk {
        let interval = Duration::from_secs(config.commit_interval_s);
        Disk {
            ttl: Duration::from_secs(config.ttl_s),
            commit_records: config.commit_records,
            budget: Budget::new(config.write_bytes_per_day, interval),
            started: now,
            open: false,
            base: 0,
            doing: None,
            retry_at: None,
            failures: 0,
            failed_reads: 0,
            fault: None,
            told: None,
            checkpointed: 0,
            checkpoint_at: None,
            bytes: 0,
            notices: Vec::new(),
            hurried: false,
            finishing: false,
            finished: false,
        }
    }

    pub(super) fn ttl(&self) -> Duration {
        self.ttl
    }

    pub(super) fn is_busy(&self) -> bool {
        self.doing.is_some() || self.finished
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// `true` while events wait for those of earlier runs.
    pub(super) fn is_opening(&self, now: Instant) -> bool {
        let patience = match self.fault {
            None | Some(OutboxFault::Slow) => OPENING,
            // The owner goes on or is about to end. It has what is in the directory in either case.
            Some(OutboxFault::Locked) if !self.hurried => HANDOVER,
            Some(_) => Duration::ZERO,
        };
        !self.open && now.saturating_duration_since(self.started) < patience
    }

    /// `true` when the job under way will hardly end.
    pub(super) fn is_stuck(&self, now: Instant) -> bool {
        self.doing.is_some_and(|(_, since)| now.saturating_duration_since(since) > STUCK)
    }

    /// `true` when a last commit can be expected to work.
    pub(super) fn is_healthy(&self) -> bool {
        matches!(self.fault, None | Some(OutboxFault::BudgetSpent))
    }

    /// Events in memory at which they are written before their time, while the broker is away.
    pub(super) fn commit_records(&self) -> usize {
        self.commit_records.saturating_mul(1 << self.budget.doublings().min(16))
    }

    pub(super) fn status(&self) -> Outbox {
        Outbox {
            bytes_on_disk: self.bytes,
            written_bytes_today: self.budget.written(),
            commit_interval_s: self.budget.interval().as_secs(),
            fault: self.fault,
            ..Outbox::default()
        }
    }

    /// `id` as it is counted in this run.
    pub(super) fn relative(&self, id: u64) -> i64 {
        id as i64 - self.base as i64
    }

    /// Age of an event that was read.
    pub(super) fn age(&self, record: &Record, recovered: bool, clock: Clock) -> Duration {
        let seconds = match (recovered, record.wall_s) {
            (true, 0) => 0,
            (true, wall_s) => clock.unix_s.saturating_sub(u64::from(wall_s)),
            // The wall clock may have been set meanwhile; the time since the start has not.
            (false, _) => self.uptime_s(clock.now).saturating_sub(u64::from(record.uptime_s)),
        };
        Duration::from_secs(seconds)
    }

    /// The attempt to open the log, if one is due.
    pub(super) fn open(&mut self, clock: Clock) -> Option<Job> {
        if self.finishing && self.failures > 0 {
            self.finished = true;
            return None;
        }
        self.is_due(clock.now).then(|| self.begin(Doing::Open, Job::Open, clock))
    }

    pub(super) fn may_read(&self, clock: Clock) -> bool {
        self.failed_reads == 0 || self.is_due(clock.now)
    }

    pub(super) fn read(&mut self, after: i64, most: usize, most_bytes: usize, clock: Clock) -> Job {
        let after = self.absolute(after);
        self.begin(Doing::Read, Job::Read { after, most, most_bytes }, clock)
    }

    /// `true` when events are due of which the oldest waits since `oldest`. `early`: there are many.
    pub(super) fn may_commit(&mut self, oldest: Instant, early: bool, clock: Clock) -> bool {
        if self.finishing {
            return true;
        }
        let age = clock.now.saturating_duration_since(oldest);
        if !early && age < self.budget.interval() || !self.is_due(clock.now) {
            return false;
        }
        self.within_budget(LEAST_BYTES, clock)
    }

    /// Writes events, unless the budget is spent.
    pub(super) fn commit(&mut self, batch: &[&Waiting], first: i64, held: i64, clock: Clock) -> Option<Job> {
        let bytes: usize = batch.iter().map(|e| e.payload.len() + e.topic.len() + RECORD_BYTES).sum();
        if !self.finishing && !self.within_budget(bytes as u64 + 2 * PAGE_BYTES, clock) {
            return None;
        }
        let to = batch.last()?.id;
        let records = batch.iter().map(|event| self.record(event, clock)).collect();
        Some(self.commit_job(records, to, first, held, clock))
    }

    /// Writes what is done with, when that is due.
    pub(super) fn checkpoint(&mut self, first: i64, stored_to: i64, held: i64, clock: Clock) -> Option<Job> {
        let progress = first > self.checkpointed && self.checkpointed <= stored_to && self.bytes > 0;
        if self.finishing && !progress {
            self.finished = true;
        }
        let interval = self.budget.interval();
        let last = self.checkpoint_at.unwrap_or(self.started);
        let due = clock.now.saturating_duration_since(last) >= interval && self.is_due(clock.now);
        let allowed = due && self.budget.allows_checkpoint(LEAST_BYTES);
        (progress && (allowed || self.finishing)).then(|| self.commit_job(Vec::new(), i64::MIN, first, held, clock))
    }

    /// Takes in what came of the job; returns the last event that it wrote.
    pub(super) fn done(&mut self, outcome: &Outcome, written_bytes: u64, clock: Clock) -> i64 {
        let doing = self.doing.take();
        self.budget.today(self.day(clock));
        let estimate = if let Outcome::Committed(committed) = outcome { committed.page_bytes } else { 0 };
        self.budget.spend(written_bytes.max(estimate));
        match outcome {
            Outcome::Failed(error) => {
                self.failed(error, matches!(doing, Some((Doing::Read, _))), clock.now);
                return i64::MIN;
            }
            Outcome::Opened(opened) => {
                self.open = true;
                self.base = opened.last;
                self.bytes = opened.bytes;
                self.checkpointed = self.relative(opened.checkpoint.first);
                self.budget.resume(opened.checkpoint.day, opened.checkpoint.written_bytes);
                self.budget.today(self.day(clock));
                if opened.waiting > 0 || opened.damaged_bytes > 0 {
                    let (events, damaged_bytes) = (opened.waiting, opened.damaged_bytes);
                    self.notices.push(Notice::Opened { events, damaged_bytes });
                }
            }
            Outcome::Committed(committed) => self.bytes = committed.bytes,
            Outcome::Read(_) => {
                self.failed_reads = 0;
                if self.failures > 0 {
                    return i64::MIN;
                }
            }
        }
        self.failures = 0;
        self.retry_at = None;
        self.fault = None;
        if let Some((Doing::Commit { to, first }, _)) = doing {
            (self.checkpointed, self.checkpoint_at) = (first, Some(clock.now));
            if self.told.take().is_some() {
                self.notices.push(Notice::Recovered);
            }
            return to;
        }
        i64::MIN
    }

    /// `true` once, when reading failed so often that it is given up.
    pub(super) fn gave_up_reading(&mut self) -> bool {
        let over = self.failed_reads >= READS;
        if over {
            self.failed_reads = 0;
        }
        over
    }

    pub(super) fn notices(&mut self, now: Instant) -> Vec<Notice> {
        if self.doing.is_some_and(|(_, since)| now.saturating_duration_since(since) > SLOW) && self.fault.is_none() {
            self.tell(OutboxFault::Slow, String::new());
        }
        std::mem::take(&mut self.notices)
    }

    pub(super) fn pause(&self, now: Instant, unstored: bool) -> Duration {
        let idle = !unstored && self.bytes == 0 && self.open;
        let most = Duration::from_millis(if idle { 1000 } else { 100 });
        self.retry_at.map_or(most, |at| at.saturating_duration_since(now).clamp(Duration::from_millis(10), most))
    }

    fn begin(&mut self, doing: Doing, job: Job, clock: Clock) -> Job {
        self.doing = Some((doing, clock.now));
        job
    }

    fn commit_job(&mut self, records: Vec<Record>, to: i64, first: i64, held: i64, clock: Clock) -> Job {
        self.budget.today(self.day(clock));
        let checkpoint =
            Checkpoint { first: self.absolute(first), day: self.budget.day(), written_bytes: self.budget.written() };
        let held = self.absolute(held);
        self.begin(Doing::Commit { to, first }, Job::Commit { records, checkpoint, held }, clock)
    }

    fn record(&self, event: &Waiting, clock: Clock) -> Record {
        let age = clock.now.saturating_duration_since(event.since).as_secs();
        Record {
            id: self.absolute(event.id),
            wall_s: clock.unix_s.saturating_sub(age).try_into().unwrap_or(0),
            uptime_s: self.uptime_s(event.since).try_into().unwrap_or(u32::MAX),
            topic: event.topic.clone(),
            payload: event.payload.clone(),
        }
    }

    fn within_budget(&mut self, bytes: u64, clock: Clock) -> bool {
        self.budget.today(self.day(clock));
        let allowed = self.budget.allows(bytes);
        if !allowed {
            self.tell(OutboxFault::BudgetSpent, String::new());
        }
        allowed
    }

    fn failed(&mut self, error: &StorageError, read: bool, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.failed_reads += u32::from(read);
        let fault = error.fault();
        let handover = now.saturating_duration_since(self.started) < HANDOVER && fault == OutboxFault::Locked;
        let pause = if handover { Duration::from_millis(100) } else { Duration::from_secs(1 << self.failures.min(6)) };
        self.retry_at = now.checked_add(pause.min(RETRY));
        self.fault = Some(fault);
        self.finished |= self.finishing;
        if !handover {
            self.tell(fault, error.to_string());
        }
    }

    fn tell(&mut self, fault: OutboxFault, words: String) {
        self.fault = Some(fault);
        if self.told.replace(fault) != Some(fault) {
            self.notices.push(Notice::Fault { fault, words });
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.finishing || self.retry_at.is_none_or(|at| now >= at)
    }

    fn absolute(&self, id: i64) -> u64 {
        self.base.saturating_add_signed(id)
    }

    fn uptime_s(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.started).as_secs()
    }

    /// Day of `clock`, in days since 1970, or since the start without a clock.
    fn day(&self, clock: Clock) -> u32 {
        let seconds = if clock.unix_s > 0 { clock.unix_s } else { self.uptime_s(clock.now) };
        (seconds / 86_400).try_into().unwrap_or(u32::MAX)
    }
}
