//! Events that wait to be sent, and what of them goes to disk when. Pure: jobs out, outcomes in, `now` as an argument.

mod disk;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::config::OutboxConfig;
use super::record::Record;
use super::storage::{Committed, Job, Opened, Outcome};
use super::waiting::{Clock, Waiting};
use crate::frame::status::Outbox;
use disk::Disk;

pub use disk::Notice;

/// Events in `head` that are on disk as well, and events of one read.
const AHEAD: usize = 1024;
/// Their bytes; a single larger event is taken all the same.
const AHEAD_BYTES: usize = 1 << 20;
/// Events and bytes of one commit.
const BATCH: usize = 4096;
const BATCH_BYTES: usize = 1 << 20;

/// Bounds on events in memory.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Events (and results) at most.
    pub events: usize,
    /// Bytes of payload at most.
    pub bytes: usize,
}

/// Events that were never sent in this run, in order.
#[derive(Debug)]
pub struct Backlog {
    room: Room,
    head: VecDeque<Waiting>,
    tail: VecDeque<Waiting>,
    /// Events of `head` and `tail` that are not on disk, and their bytes.
    unstored: usize,
    unstored_bytes: usize,
    /// Id of the next event.
    next: i64,
    /// Events up to this id are on disk, or done with.
    stored_to: i64,
    /// The last id before those that are on disk only.
    held_to: i64,
    /// Events on disk only, between `head` and `tail`.
    on_disk_only: u64,
    /// Ids taken from `tail` past those on disk, because the disk did not answer.
    overtook: Option<(i64, i64)>,
    disk: Option<Disk>,
    recovered: u64,
    expired: u64,
    lost: u64,
}

impl Backlog {
    /// Events in memory only.
    pub fn in_memory(room: Room) -> Backlog {
        Backlog {
            room,
            head: VecDeque::new(),
            tail: VecDeque::new(),
            unstored: 0,
            unstored_bytes: 0,
            next: 1,
            stored_to: 0,
            held_to: 0,
            on_disk_only: 0,
            overtook: None,
            disk: None,
            recovered: 0,
            expired: 0,
            lost: 0,
        }
    }

    /// Events in memory and on disk, since `now`. The first job opens the log.
    pub fn on_disk(room: Room, config: &OutboxConfig, now: Instant) -> Backlog {
        Backlog { disk: Some(Disk::new(config, now)), ..Backlog::in_memory(room) }
    }

    /// Adds an event, the newest.
    pub fn push(&mut self, topic: String, payload: Vec<u8>, now: Instant) {
        let expires = self.disk.as_ref().and_then(|disk| now.checked_add(disk.ttl()));
        let event = Waiting { id: self.next, topic: topic.into(), payload: payload.into(), since: now, expires };
        self.next += 1;
        self.unstored += 1;
        self.unstored_bytes += event.payload.len();
        if self.on_disk_only == 0 { self.head.push_back(event) } else { self.tail.push_back(event) }
    }

    /// Drops the oldest event that is in memory only, and counts it. Returns `false` without one.
    pub fn drop_oldest(&mut self) -> bool {
        for events in [&mut self.head, &mut self.tail] {
            let at = events.partition_point(|event| event.id <= self.stored_to);
            if let Some(event) = events.remove(at) {
                self.unstored -= 1;
                self.unstored_bytes -= event.payload.len();
                self.lost += 1;
                return true;
            }
        }
        false
    }

    /// Takes the oldest event, unless it must be read from disk first.
    pub fn take(&mut self, now: Instant) -> Option<Waiting> {
        if self.disk.as_ref().is_some_and(|disk| disk.is_opening(now)) {
            return None;
        }
        loop {
            let from_head = self.head.pop_front();
            let event = match from_head {
                Some(event) => event,
                None if self.passes_disk(now) => {
                    let event = self.tail.pop_front()?;
                    let first = self.overtook.map_or(event.id, |(first, _)| first);
                    self.overtook = Some((first, event.id));
                    event
                }
                None => return None,
            };
            if event.id > self.stored_to {
                self.unstored -= 1;
                self.unstored_bytes -= event.payload.len();
            }
            if self.on_disk_only == 0 {
                self.held_to = self.held_to.max(event.id);
            }
            if event.expires.is_none_or(|at| now < at) {
                return Some(event);
            }
            self.expired += 1;
        }
    }

    /// `true` when [`Backlog::take`] gives an event now, but for its age.
    pub fn has_next(&self, now: Instant) -> bool {
        !self.disk.as_ref().is_some_and(|disk| disk.is_opening(now))
            && (!self.head.is_empty() || !self.tail.is_empty() && self.passes_disk(now))
    }

    /// Events, on disk and in memory.
    pub fn waiting(&self) -> u64 {
        (self.head.len() + self.tail.len()) as u64 + self.on_disk_only
    }

    /// Events in memory only.
    pub fn unstored(&self) -> usize {
        self.unstored
    }

    /// Bytes of payload of [`Backlog::unstored`].
    pub fn unstored_bytes(&self) -> usize {
        self.unstored_bytes
    }

    /// Events on disk only.
    pub fn on_disk_only(&self) -> u64 {
        self.on_disk_only
    }

    /// Events found at the start, given up for age or disk space, and lost for lack of memory.
    pub fn counts(&self) -> (u64, u64, u64) {
        (self.recovered, self.expired, self.lost)
    }

    /// `true` while the disk takes what is in memory at a stop.
    pub fn is_safe(&self) -> bool {
        self.disk.as_ref().is_some_and(Disk::is_healthy)
    }

    /// `true` when `event` is on disk.
    pub fn is_stored(&self, event: &Waiting) -> bool {
        event.id <= self.stored_to
    }

    /// State of the outbox; `outstanding`: events that were taken and are not done with.
    pub fn status<'a>(&self, outstanding: impl Iterator<Item = &'a Waiting>) -> Option<Outbox> {
        let disk = self.disk.as_ref()?;
        let (mut stored, mut unstored) = (0, 0);
        outstanding.for_each(|event| if self.is_stored(event) { stored += 1 } else { unstored += 1 });
        let in_both = (self.head.len() + self.tail.len() - self.unstored) as u64;
        Some(Outbox {
            events_in_memory: self.unstored as u64 + unstored,
            events_on_disk: self.on_disk_only + in_both + stored,
            recovered: self.recovered,
            expired: self.expired,
            lost: self.lost,
            ..disk.status()
        })
    }

    /// Waits no longer for another owner of the directory, since a stop was asked for.
    pub fn hurry(&mut self) {
        if let Some(disk) = &mut self.disk {
            disk.hurried = true;
        }
    }

    /// Asks for everything to be written, whatever the budget says, and for an end.
    pub fn finish(&mut self) {
        if let Some(disk) = &mut self.disk {
            disk.finishing = true;
        }
    }

    /// `true` when everything was written after [`Backlog::finish`], or cannot be.
    pub fn is_finished(&self) -> bool {
        self.disk.as_ref().is_none_or(|disk| disk.finished)
    }

    /// The next job for the disk, if one is due. `outstanding`: events that were taken and are not done with, in any order.
    pub fn next_job(&mut self, outstanding: &[&Waiting], connected: bool, clock: Clock) -> Option<Job> {
        let first = self.first(outstanding);
        let Backlog { head, tail, on_disk_only, stored_to, held_to, unstored, unstored_bytes, room, disk, .. } = self;
        let (head, tail, disk) = (&*head, &*tail, disk.as_mut()?);
        if disk.is_busy() {
            return None;
        }
        if !disk.is_open() {
            return disk.open(clock);
        }
        let wants_more = head.len() < AHEAD / 2 && *on_disk_only > 0 && connected;
        if wants_more && !disk.finishing && disk.may_read(clock) {
            return Some(disk.read(*held_to, AHEAD, AHEAD_BYTES, clock));
        }
        let taken = outstanding.iter().filter(|event| event.id > *stored_to);
        let waiting = |events: &VecDeque<Waiting>| events.iter().find(|e| e.id > *stored_to).map(|e| e.since);
        let oldest = taken.clone().map(|event| event.since).min();
        let oldest = oldest.into_iter().chain(waiting(head)).chain(waiting(tail)).min();
        if let Some(oldest) = oldest {
            let many = !connected && *unstored >= disk.commit_records();
            let full = *unstored >= room.events / 2 || *unstored_bytes >= room.bytes / 2;
            if !disk.may_commit(oldest, many || full, clock) {
                return disk.checkpoint(first, *stored_to, *held_to, clock);
            }
            let mut events: Vec<&Waiting> = taken.copied().collect();
            events.sort_unstable_by_key(|event| event.id);
            events.extend(head.iter().chain(tail).filter(|event| event.id > *stored_to));
            let mut bytes = 0;
            let fits = |event: &&Waiting| {
                let before = bytes;
                bytes += event.payload.len() + event.topic.len();
                before < BATCH_BYTES
            };
            let batch: Vec<&Waiting> = events.into_iter().take(BATCH).take_while(fits).collect();
            let commit = disk.commit(&batch, first, *held_to, clock);
            return commit.or_else(|| disk.checkpoint(first, *stored_to, *held_to, clock));
        }
        disk.checkpoint(first, *stored_to, *held_to, clock)
    }

    /// Takes in what came of the job. `written_bytes` were written for it.
    pub fn done(&mut self, outcome: Outcome, written_bytes: u64, clock: Clock) {
        let Some(disk) = &mut self.disk else { return };
        let batch_to = disk.done(&outcome, written_bytes, clock);
        match outcome {
            Outcome::Opened(opened) => self.opened(&opened),
            Outcome::Committed(committed) => self.committed(batch_to, committed),
            Outcome::Read(records) => self.read(records, clock),
            Outcome::Failed(_) => {
                if disk.gave_up_reading() {
                    self.disk_is_empty();
                }
            }
        }
    }

    /// Notices for the log since the last call.
    pub fn notices(&mut self, now: Instant) -> Vec<Notice> {
        self.disk.as_mut().map_or_else(Vec::new, |disk| disk.notices(now))
    }

    /// Time until a job may be due without anything happening.
    pub fn pause(&self, now: Instant) -> Duration {
        self.disk.as_ref().map_or(Duration::from_secs(1), |disk| disk.pause(now, self.unstored > 0))
    }

    fn opened(&mut self, opened: &Opened) {
        self.recovered += opened.waiting;
        if let Some(disk) = &self.disk {
            self.held_to = disk.relative(opened.checkpoint.first) - 1;
        }
        self.on_disk_only = opened.waiting;
        if self.on_disk_only > 0 {
            self.tail = std::mem::take(&mut self.head);
        } else {
            self.held_to = 0;
        }
    }

    fn committed(&mut self, to: i64, committed: Committed) {
        let Backlog { head, tail, stored_to, unstored, unstored_bytes, .. } = self;
        for event in head.iter().chain(&*tail).filter(|event| event.id > *stored_to && event.id <= to) {
            *unstored -= 1;
            *unstored_bytes -= event.payload.len();
        }
        *stored_to = (*stored_to).max(to);
        let removed = committed.removed.min(self.on_disk_only);
        self.expired += removed;
        self.on_disk_only -= removed;
        if self.on_disk_only == 0 && removed == 0 {
            self.spill_head();
        } else {
            let stored = self.tail.partition_point(|event| event.id <= self.stored_to);
            self.tail.drain(..stored);
            self.on_disk_only += stored as u64;
            self.merge();
        }
    }

    /// Leaves on disk what is more than `head` is to hold.
    fn spill_head(&mut self) {
        let mut bytes = 0;
        let holds = |event: &&Waiting| {
            bytes += event.payload.len();
            bytes <= AHEAD_BYTES
        };
        let keep = self.head.iter().take(AHEAD).take_while(holds).count().max(1);
        if self.head.len() <= keep {
            return;
        }
        let mut rest = self.head.split_off(keep);
        let stored = rest.partition_point(|event| event.id <= self.stored_to);
        rest.drain(..stored);
        self.on_disk_only = stored as u64;
        if stored > 0 {
            self.held_to = self.head.back().map_or(self.held_to, |event| event.id);
            self.tail = rest;
        } else {
            self.head.append(&mut rest);
        }
    }

    fn read(&mut self, records: Vec<Record>, clock: Clock) {
        let Some(disk) = &self.disk else { return };
        if records.is_empty() {
            self.disk_is_empty();
            return;
        }
        for record in records {
            let id = disk.relative(record.id);
            self.held_to = self.held_to.max(id);
            if self.overtook.is_some_and(|(first, last)| (first..=last).contains(&id)) {
                continue;
            }
            self.on_disk_only = self.on_disk_only.saturating_sub(1);
            let age = disk.age(&record, id <= 0, clock);
            let expires = clock.now.checked_add(disk.ttl().saturating_sub(age));
            let Record { topic, payload, .. } = record;
            self.head.push_back(Waiting { id, topic, payload, since: clock.now, expires });
        }
        self.merge();
    }

    /// Gives up events on disk that cannot be read: they are lost.
    fn disk_is_empty(&mut self) {
        self.lost += self.on_disk_only;
        self.held_to = self.held_to.max(self.stored_to);
        self.on_disk_only = 0;
        self.merge();
    }

    fn merge(&mut self) {
        if self.on_disk_only == 0 {
            self.head.append(&mut self.tail);
            self.overtook = None;
        }
    }

    /// `true` when `tail` may be sent before what is on disk.
    fn passes_disk(&self, now: Instant) -> bool {
        self.on_disk_only > 0 && self.disk.as_ref().is_some_and(|disk| disk.is_stuck(now))
    }

    /// The oldest id that is not done with.
    fn first(&self, outstanding: &[&Waiting]) -> i64 {
        let taken = outstanding.iter().map(|event| event.id).min();
        let head = self.head.front().map(|event| event.id);
        let disk = (self.on_disk_only > 0).then_some(self.held_to + 1);
        let tail = self.tail.front().map(|event| event.id);
        [taken, head, disk, tail].into_iter().flatten().min().unwrap_or(self.next)
    }
}

#[cfg(test)]
mod tests;
