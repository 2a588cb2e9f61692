use proptest::prelude::*;

use super::*;
use crate::frame::status::OutboxFault;
use crate::publish::outbox::Segments;
use crate::publish::outbox::fault::StorageError;
use crate::publish::outbox::record::Checkpoint;
use crate::publish::outbox::storage::Storage;

const ROOM: Room = Room { events: 40, bytes: 4000 };
const DAY: u64 = 86_400;
const NODE_STARTED_S: u64 = 20_000 * DAY;

/// A disk that fails when it is told to.
struct Faulty {
    log: Segments,
    fails: Option<std::io::ErrorKind>,
}

impl Faulty {
    fn check(&self) -> Result<(), StorageError> {
        self.fails.map_or(Ok(()), |kind| Err(StorageError::of("d".as_ref(), kind.into())))
    }
}

impl Storage for Faulty {
    fn open(&mut self) -> Result<Opened, StorageError> {
        self.check().and_then(|()| self.log.open())
    }

    fn commit(&mut self, records: &[Record], checkpoint: Checkpoint, held: u64) -> Result<Committed, StorageError> {
        self.check().and_then(|()| self.log.commit(records, checkpoint, held))
    }

    fn read(&mut self, after: u64, most: usize, most_bytes: usize) -> Result<Vec<Record>, StorageError> {
        self.log.read(after, most.min(7), most_bytes)
    }
}

/// A run of the daemon over a directory, in virtual time.
struct Run {
    backlog: Backlog,
    disk: Faulty,
    started: Instant,
    at: Duration,
    outstanding: VecDeque<Waiting>,
    pushed: u64,
    name: &'static str,
}

impl Run {
    fn start(dir: &std::path::Path, config: &OutboxConfig, room: Room, name: &'static str) -> Run {
        let started = Instant::now();
        let log = Segments::new(dir, "leptond", "attic", config.max_bytes, Duration::from_secs(1 << 40));
        let backlog = Backlog::on_disk(room, config, started);
        let (disk, outstanding) = (Faulty { log, fails: None }, VecDeque::new());
        let mut run = Run { backlog, disk, started, at: Duration::ZERO, outstanding, pushed: 0, name };
        run.work(false);
        run
    }

    fn clock(&self) -> Clock {
        Clock { now: self.started + self.at, unix_s: NODE_STARTED_S + self.at.as_secs() }
    }

    fn push(&mut self, bytes: usize) {
        self.pushed += 1;
        let payload = format!("{}{:06} {}", self.name, self.pushed, "x".repeat(bytes));
        while self.backlog.unstored() >= self.backlog.room.events && self.backlog.drop_oldest() {}
        self.backlog.push("t".into(), payload.into(), self.clock().now);
    }

    /// Does every job that is due.
    fn work(&mut self, connected: bool) -> usize {
        let mut jobs = 0;
        loop {
            let outstanding: Vec<&Waiting> = self.outstanding.iter().collect();
            let clock = self.clock();
            let Some(job) = self.backlog.next_job(&outstanding, connected, clock) else { return jobs };
            jobs += usize::from(!matches!(job, Job::Read { .. }));
            let outcome = job.perform(&mut self.disk);
            self.backlog.done(outcome, 0, clock);
        }
    }

    fn take(&mut self) -> Option<String> {
        let event = self.backlog.take(self.clock().now)?;
        let name = String::from_utf8_lossy(&event.payload[..7]).into_owned();
        self.outstanding.push_back(event);
        Some(name)
    }

    fn drain(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            self.work(true);
            let Some(name) = self.take() else { return all };
            self.outstanding.clear();
            all.push(name);
        }
    }

    fn status(&self) -> Outbox {
        self.backlog.status(self.outstanding.iter()).unwrap()
    }
}

fn names(run: &str, range: std::ops::RangeInclusive<u64>) -> Vec<String> {
    range.map(|n| format!("{run}{n:06}")).collect()
}

#[test]
fn nothing_is_written_while_the_broker_keeps_up() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run::start(dir.path(), &OutboxConfig::default(), ROOM, "a");
    for second in 0..1000 {
        run.at = Duration::from_secs(second);
        run.push(10);
        assert!(run.take().is_some());
        assert_eq!(run.work(true), 0);
        // Acknowledged 4 s later.
        if second >= 4 {
            run.outstanding.pop_front();
        }
    }
    assert_eq!(run.status().bytes_on_disk, 0);
    run.at += Duration::from_secs(2);
    assert_eq!(run.work(true), 1, "the oldest is 5 s old: it and all others are written");
    assert_eq!((run.status().events_on_disk, run.status().events_in_memory), (4, 0));
    run.outstanding.clear();
    run.at += Duration::from_secs(5);
    assert_eq!(run.work(true), 1, "and that they are done with");
    run.at += Duration::from_secs(500);
    run.push(1);
    assert_eq!((run.take().is_some(), run.work(true)), (true, 0));
}

#[test]
fn a_crash_costs_the_last_commit_interval_and_the_next_run_sends_the_rest_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run::start(dir.path(), &OutboxConfig::default(), ROOM, "a");
    for second in 0..5000 {
        run.at = Duration::from_secs(second);
        run.push(10);
        run.work(false);
    }
    drop(run);
    let mut run = Run::start(dir.path(), &OutboxConfig::default(), ROOM, "b");
    (0..3).for_each(|_| run.push(1));
    let recovered = run.status().recovered;
    assert!((4995..=5000).contains(&recovered), "{recovered}");
    let sent = run.drain();
    assert_eq!(sent, [names("a", 1..=recovered), names("b", 1..=3)].concat());
    assert_eq!(run.backlog.counts(), (recovered, 0, 0));
}

#[test]
fn a_stop_writes_everything_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run::start(dir.path(), &OutboxConfig::default(), ROOM, "a");
    (0..30).for_each(|_| run.push(10));
    run.take();
    run.backlog.finish();
    assert_eq!(run.work(false), 1);
    assert!(run.backlog.is_finished());
    drop(run);
    assert_eq!(Run::start(dir.path(), &OutboxConfig::default(), ROOM, "b").drain(), names("a", 1..=30));
}

#[test]
fn a_day_offline_stays_within_the_budget_and_the_disk_and_keeps_the_newest() {
    for (max_bytes, room) in [(64 << 20, 1024), (4 << 20, 1024), (4 << 20, 64)] {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let config = OutboxConfig { max_bytes, ..OutboxConfig::default() };
        let room = Room { events: room, bytes: 16 << 20 };
        let mut run = Run::start(dir.path(), &config, room, "a");
        let (mut intervals, mut jobs) = (Vec::new(), 0);
        for second in 0..DAY {
            run.at = Duration::from_secs(second);
            run.push(270);
            jobs += run.work(false);
            let status = run.status();
            intervals.push(status.commit_interval_s);
            assert!(status.bytes_on_disk <= max_bytes && status.written_bytes_today <= config.write_bytes_per_day);
            assert!(status.events_in_memory <= room.events as u64);
        }
        let status = run.status();
        intervals.dedup();
        println!(
            "{max_bytes} bytes, {} events in memory: {jobs} commits, {status:?}, intervals {intervals:?}",
            room.events
        );
        run.at += Duration::from_secs(1);
        let sent = run.drain();
        let (_, expired, lost) = run.backlog.counts();
        assert_eq!(sent.len() as u64 + expired + lost, DAY);
        assert_eq!(sent.last().map(String::as_str), Some("a086400"));
        assert!(sent.is_sorted());
        assert!(room.events < 1024 || lost == 0, "the budget lasts for the day");
        if max_bytes == 4 << 20 && lost == 0 {
            // The oldest are in memory as well, and need no disk.
            let newest = &sent[AHEAD..];
            let from = DAY + 1 - newest.len() as u64;
            assert!(newest == names("a", from..=DAY) && newest.len() > 10_000, "the newest {}", newest.len());
        }
    }
}

#[test]
fn old_events_are_given_up_in_memory_and_on_disk_and_a_clock_that_is_set_late_ages_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let config = OutboxConfig { ttl_s: 1000, ..OutboxConfig::default() };
    let mut run = Run::start(dir.path(), &config, Room { events: 5000, bytes: 1 << 20 }, "a");
    for second in 0..2000 {
        run.at = Duration::from_secs(second);
        run.push(1);
        run.work(false);
    }
    run.at = Duration::from_secs(2000);
    assert_eq!(run.drain(), names("a", 1002..=2000));
    assert_eq!(run.backlog.counts().1, 1001);
}

#[test]
fn a_full_disk_is_said_once_and_events_go_on_in_memory_and_then_to_disk_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run::start(dir.path(), &OutboxConfig::default(), ROOM, "a");
    let mut said = Vec::new();
    for second in 0..300 {
        run.at = Duration::from_secs(second);
        run.disk.fails = (100..200).contains(&second).then_some(std::io::ErrorKind::StorageFull);
        run.push(1);
        run.work(false);
        let now = run.clock().now;
        said.extend(run.backlog.notices(now).into_iter().map(|notice| match notice {
            Notice::Fault { fault, .. } => format!("{fault:?}"),
            Notice::Recovered => "again".into(),
            Notice::Opened { .. } => "opened".into(),
        }));
        assert!(run.status().fault.is_none_or(|fault| fault == OutboxFault::Full && second > 100));
    }
    assert_eq!(said, ["Full", "again"]);
    let sent = run.drain();
    let lost = run.backlog.counts().2;
    assert!((1..=110).contains(&lost), "{lost}: the memory holds 40");
    assert_eq!(sent.len() as u64 + lost, 300);
    assert!(sent.is_sorted());
}

#[test]
fn events_wait_for_the_log_but_not_for_ever() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run::start(dir.path(), &OutboxConfig::default(), ROOM, "a");
    run.backlog = Backlog::on_disk(ROOM, &OutboxConfig::default(), run.started);
    run.push(1);
    assert_eq!(run.take(), None);
    let clock = run.clock();
    assert!(matches!(run.backlog.next_job(&[], true, clock), Some(Job::Open)), "a job that does not end");
    run.at = Duration::from_secs(11);
    assert_eq!(run.take(), Some("a000001".into()));
    let now = run.clock().now;
    assert!(matches!(run.backlog.notices(now)[..], [Notice::Fault { fault: OutboxFault::Slow, .. }]));
    assert!(run.backlog.notices(now).is_empty());
}

#[derive(Clone, Debug)]
enum Step {
    Push(u8),
    Work(bool),
    Take,
    Acknowledge(u8),
    Wait(u8),
    Fail(bool),
    Restart(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (1u8..40).prop_map(Step::Push),
        6 => any::<bool>().prop_map(Step::Work),
        6 => Just(Step::Take),
        4 => any::<u8>().prop_map(Step::Acknowledge),
        3 => (1u8..9).prop_map(Step::Wait),
        1 => any::<bool>().prop_map(Step::Fail),
        1 => any::<bool>().prop_map(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_event_is_sent_in_order_or_counted(steps in prop::collection::vec(step(), 1..120)) {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let config = OutboxConfig::default();
        let mut run = Run::start(dir.path(), &config, ROOM, "r");
        let (mut sent, mut pushed, mut uncounted) = (Vec::new(), 0, 0);
        let mut gone = (0, 0);
        for step in steps {
            match step {
                Step::Push(many) => (0..many).for_each(|_| run.push(5)),
                Step::Work(connected) => drop(run.work(connected)),
                Step::Take => if run.outstanding.len() < 8 { sent.extend(run.take()) },
                Step::Acknowledge(which) => if !run.outstanding.is_empty() {
                    let at = usize::from(which) % run.outstanding.len();
                    run.outstanding.remove(at);
                },
                Step::Wait(seconds) => run.at += Duration::from_secs(u64::from(seconds)),
                Step::Fail(fails) => run.disk.fails = fails.then_some(std::io::ErrorKind::StorageFull),
                Step::Restart(clean) => {
                    run.disk.fails = None;
                    if clean {
                        run.backlog.finish();
                        run.work(false);
                    }
                    let (_, expired, lost) = run.backlog.counts();
                    gone = (gone.0 + expired, gone.1 + lost);
                    uncounted += run.status().events_in_memory;
                    prop_assert!(!clean || run.status().events_in_memory == 0);
                    pushed = run.pushed;
                    let before = run.status().events_on_disk;
                    drop(run);
                    run = Run::start(dir.path(), &config, ROOM, "r");
                    run.pushed = pushed;
                    prop_assert!(run.status().recovered >= before);
                }
            }
            prop_assert!(run.backlog.unstored() <= ROOM.events);
            prop_assert!(run.backlog.head.len() <= ROOM.events + AHEAD);
            let unstored = run.backlog.head.iter().chain(&run.backlog.tail).filter(|e| !run.backlog.is_stored(e)).count();
            prop_assert_eq!(unstored, run.backlog.unstored());
        }
        run.disk.fails = None;
        run.at += Duration::from_secs(100);
        pushed = pushed.max(run.pushed);
        sent.extend(run.drain());
        let (_, expired, lost) = run.backlog.counts();
        let distinct: std::collections::BTreeSet<_> = sent.iter().collect();
        prop_assert_eq!(gone.0 + expired, 0);
        prop_assert!(distinct.len() as u64 + gone.1 + lost + uncounted >= pushed, "{} of {pushed} arrived, {} lost", distinct.len(), gone.1 + lost);
        // First arrivals are in order.
        let mut seen = std::collections::HashSet::new();
        let firsts: Vec<_> = sent.iter().filter(|name| seen.insert((*name).clone())).collect();
        prop_assert!(firsts.is_sorted(), "{firsts:?}");
    }
}
