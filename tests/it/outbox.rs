//! Events while the broker is away: a real broker behind a proxy with faults, and a publisher that is a process of its own and is killed.

mod drain;

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use leptond::publish::mqtt::{Kept, Mqtt};
use leptond::publish::outbox::OutboxConfig;
use leptond::publish::{Class, Config, Message, Publisher};

use crate::mosquitto::{Listener, Mosquitto, Received, wait_until};
use crate::support::{FaultProxy, Faults};

const TOPIC: &str = "leptond/attic/door/event";
/// Price of a SIGKILL: the commit interval, and the time until the commit is on disk.
const INTERVAL: Duration = Duration::from_secs(1);
const COMMIT: Duration = Duration::from_millis(700);

fn config(port: u16) -> Config {
    let outbox = OutboxConfig { commit_interval_s: INTERVAL.as_secs(), ..OutboxConfig::default() };
    Config { host: "127.0.0.1".into(), port, outbox, ..Config::default() }
}

/// Events of a node kept in `dir`.
fn kept(dir: &Path) -> Kept<'_> {
    Kept { outbox: Some(dir), ..Kept::default() }
}

/// A broker whose own queue for a listener has no bound: it acknowledges what it then drops.
fn broker(test: &str) -> Option<Mosquitto> {
    Mosquitto::with(test, |_| "allow_anonymous true\nmax_queued_messages 0\n".into())
}

fn event(run: &str, seq: u64) -> Message {
    let payload = format!("{{\"pad\":\"{}\",\"seq\":{seq},\"run\":\"{run}\"}}", "x".repeat(260));
    Message { topic: TOPIC.into(), payload: payload.into_bytes(), class: Class::Event, timing: None }
}

/// The publisher: not a test of its own, but what the tests below start as a process. 20 events a second, each noted before it is published.
#[test]
#[ignore = "a part of the tests beside it"]
fn publisher() {
    let Ok(settings) = std::env::var("LEPTOND_TEST_OUTBOX") else { return };
    let [port, dir, run] = settings.split(' ').collect::<Vec<_>>()[..] else { panic!("{settings}") };
    let dir = PathBuf::from(dir);
    let mut notes = std::fs::File::create(dir.join(format!("run-{run}"))).unwrap();
    let mqtt = Mqtt::start_keeping(&config(port.parse().unwrap()), "attic", kept(&dir.join("outbox"))).unwrap();
    let started = Instant::now();
    let mut most_rss = 0;
    for seq in 1.. {
        let at = Duration::from_millis(50) * u32::try_from(seq).unwrap();
        std::thread::sleep(at.saturating_sub(started.elapsed()));
        if dir.join("stop").exists() {
            break;
        }
        let unix_ms = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        most_rss = most_rss.max(statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096);
        let outbox = mqtt.stats().outbox.unwrap();
        let fault = outbox.fault.map_or("none".into(), |fault| format!("{fault:?}"));
        writeln!(notes, "{seq} {unix_ms} {most_rss} {} {fault}", outbox.lost).unwrap();
        mqtt.publish(event(run, seq));
    }
    assert!(mqtt.stop(Instant::now() + Duration::from_secs(2)), "{:?}", mqtt.stats());
}

struct Process {
    child: Child,
}

impl Process {
    fn start(port: u16, dir: &Path, run: &str, file_bytes: Option<u64>) -> Process {
        let program = std::env::current_exe().unwrap();
        let mut command = match file_bytes {
            // bash counts in units of 1024 bytes; the shell ignores SIGXFSZ for its child, which then sees EFBIG as from a full disk.
            Some(bytes) => {
                let mut shell = Command::new("bash");
                let limit = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", bytes / 1024);
                shell.arg("-c").arg(limit).arg(program);
                shell
            }
            None => Command::new(program),
        };
        command.args(["--ignored", "--exact", "outbox::publisher", "--nocapture"]);
        command.env("LEPTOND_TEST_OUTBOX", format!("{port} {} {run}", dir.display()));
        let log = std::fs::File::create(dir.join(format!("log-{run}"))).unwrap();
        let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let publisher = Process { child };
        wait_until("the publisher is at work", || notes(dir, run).len() > 3);
        publisher
    }

    /// SIGKILL; the time of it in ms since 1970.
    fn kill(mut self) -> u128 {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sequence number, time in ms, most resident memory, events lost and fault, as the publisher noted them.
type Note = (u64, u128, u64, u64, String);

fn notes(dir: &Path, run: &str) -> Vec<Note> {
    let text = std::fs::read_to_string(dir.join(format!("run-{run}"))).unwrap_or_default();
    let note = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let [seq, at, rss, lost, fault] = words[..] else { return None };
        Some((seq.parse().ok()?, at.parse().ok()?, rss.parse().ok()?, lost.parse().ok()?, fault.to_owned()))
    };
    text.lines().filter_map(note).collect()
}

/// Everything that arrived, also over restarts of the broker.
struct Collector {
    before: Vec<Received>,
    listener: Option<Listener>,
}

impl Collector {
    fn start(broker: &Mosquitto) -> Collector {
        Collector { before: Vec::new(), listener: Some(broker.listen(TOPIC)) }
    }

    fn all(&self) -> Vec<Received> {
        let now = self.listener.as_ref().map(Listener::messages).unwrap_or_default();
        self.before.iter().cloned().chain(now).collect()
    }

    /// Kills the broker, which forgets everything, and starts it again after `pause`; the way to it is closed meanwhile.
    fn restart(&mut self, broker: &mut Mosquitto, proxy: &FaultProxy, pause: Duration) {
        proxy.close();
        // What the broker has acknowledged has left it for the listener.
        std::thread::sleep(Duration::from_millis(300));
        self.before = self.all();
        self.listener = None;
        broker.kill();
        std::thread::sleep(pause);
        broker.restart();
        self.listener = Some(broker.listen(TOPIC));
        proxy.open();
    }
}

/// The account at the end.
#[derive(Debug, Default)]
struct Account {
    published: usize,
    arrived: usize,
    duplicates: usize,
    unmarked: usize,
    /// Lost within the last commit interval before a SIGKILL, and otherwise.
    excused: usize,
    missing: Vec<(String, u64)>,
    out_of_order: usize,
    most_rss: u64,
    lost_by_count: u64,
}

fn account(dir: &Path, runs: &[(String, Option<u128>)], all: &[Received]) -> Account {
    let mut account = Account::default();
    let order: BTreeMap<&str, usize> = runs.iter().enumerate().map(|(n, (run, _))| (run.as_str(), n)).collect();
    let (mut seen, mut newest) = (HashSet::new(), (0, 0));
    for message in all {
        let json = message.json();
        let (run, seq) = (json["run"].as_str().unwrap().to_owned(), json["seq"].as_u64().unwrap());
        let place = (order[run.as_str()], seq);
        if seen.insert((run, seq)) {
            account.out_of_order += usize::from(place < newest);
            newest = newest.max(place);
        } else {
            account.duplicates += 1;
            account.unmarked += usize::from(json["resent"] != true);
        }
    }
    account.arrived = seen.len();
    for (run, killed) in runs {
        for (seq, at, rss, lost, _) in notes(dir, run) {
            account.published += 1;
            account.most_rss = account.most_rss.max(rss);
            account.lost_by_count = account.lost_by_count.max(lost);
            if !seen.contains(&(run.clone(), seq)) {
                let late = killed.is_some_and(|killed| at + (INTERVAL + COMMIT).as_millis() > killed);
                if late { account.excused += 1 } else { account.missing.push((run.clone(), seq)) }
            }
        }
    }
    account
}

/// One fault after another, for `length` in all, with a SIGKILL at three moments.
fn storm(test: &str, length: Duration) {
    let Some(mut broker) = broker(test) else { return };
    let proxy = FaultProxy::start(broker.port);
    let dir = tempfile::tempdir().unwrap();
    let mut collector = Collector::start(&broker);
    let mut runs: Vec<(String, Option<u128>)> = Vec::new();
    let mut publisher = Process::start(proxy.port, dir.path(), "r0", None);
    let healthy = Faults::default();
    let faulty = [
        Faults { cut_after: Some(700), ..healthy },
        Faults { frozen: true, ..healthy },
        Faults { bytes_per_s: Some(1000), ..healthy },
        Faults { mean_bytes_to_loss: Some(2000), ..healthy },
    ];
    let started = Instant::now();
    let trouble = (length / 16).clamp(Duration::from_secs(2), Duration::from_secs(20));
    for turn in 0.. {
        if started.elapsed() >= length {
            break;
        }
        match turn % 6 {
            n @ 0..=3 => {
                proxy.set_both(faulty[n]);
                std::thread::sleep(trouble);
            }
            4 => collector.restart(&mut broker, &proxy, trouble),
            _ => {
                broker.freeze();
                std::thread::sleep(trouble);
                broker.thaw();
            }
        }
        // In the middle of the trouble's aftermath, or before it is over.
        if runs.len() < 3 && started.elapsed() >= length * (runs.len() as u32 + 1) / 4 {
            if turn % 2 == 0 {
                proxy.heal();
            }
            runs.push((format!("r{}", runs.len()), Some(publisher.kill())));
            publisher = Process::start(proxy.port, dir.path(), &format!("r{}", runs.len()), None);
        }
        proxy.heal();
        std::thread::sleep(trouble / 3);
    }
    std::fs::write(dir.path().join("stop"), "").unwrap();
    runs.push((format!("r{}", runs.len()), None));
    let deadline = Instant::now() + Duration::from_secs(60);
    while publisher.child.try_wait().unwrap().is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(50));
    }
    // What the stop left on disk is sent by the next start.
    let rest = Mqtt::start_keeping(&config(proxy.port), "attic", kept(&dir.path().join("outbox"))).unwrap();
    wait_until("everything is delivered", || {
        rest.stats().connected && rest.flush(Instant::now() + Duration::from_secs(20))
    });
    std::thread::sleep(Duration::from_millis(500));
    let account = account(dir.path(), &runs, &collector.all());
    println!("{:?} of trouble, {} connections: {account:?}", started.elapsed(), proxy.accepted());
    let dropped = broker.log().lines().filter(|line| line.contains("dropped")).count();
    assert!(account.missing.is_empty() && dropped == 0, "{dropped} complaints of the broker: {account:?}");
    assert_eq!((account.unmarked, account.out_of_order, account.lost_by_count), (0, 0, 0), "{account:?}");
    assert!(account.excused <= 3 * ((INTERVAL + COMMIT).as_millis() / 50) as usize, "{account:?}");
    assert!(account.most_rss < 80 << 20, "{account:?}");
}

#[test]
fn no_event_is_lost_in_a_storm_of_faults() {
    storm("no_event_is_lost_in_a_storm_of_faults", Duration::from_secs(36));
}

#[test]
#[ignore = "takes LEPTOND_OUTBOX_MINUTES, 10 by default: tests/bench/outbox/run"]
fn no_event_is_lost_in_a_long_storm() {
    let minutes = std::env::var("LEPTOND_OUTBOX_MINUTES").ok().and_then(|m| m.parse().ok()).unwrap_or(10);
    storm("no_event_is_lost_in_a_long_storm", Duration::from_secs(60 * minutes));
}

#[test]
fn a_stop_without_broker_loses_nothing() {
    let Some(broker) = broker("a_stop_without_broker_loses_nothing") else { return };
    let proxy = FaultProxy::start(broker.port);
    let dir = tempfile::tempdir().unwrap();
    let listener = broker.listen(TOPIC);
    proxy.close();
    let one = Mqtt::start_keeping(&config(proxy.port), "attic", kept(dir.path())).unwrap();
    (1..=500).for_each(|seq| one.publish(event("one", seq)));
    let began = Instant::now();
    assert!(one.stop(Instant::now() + Duration::from_secs(2)), "{:?}", one.stats());
    assert!(began.elapsed() < Duration::from_secs(2));
    proxy.open();
    let two = Mqtt::start_keeping(&config(proxy.port), "attic", kept(dir.path())).unwrap();
    (1..=3).for_each(|seq| two.publish(event("two", seq)));
    let all = listener.wait_for("all events", |all| all.len() >= 503);
    let seqs: Vec<u64> = all.iter().map(|message| message.json()["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=500).chain(1..=3).collect::<Vec<_>>());
    let resent = |message: &&Received| message.json()["resent"] == true;
    assert_eq!(all.iter().filter(resent).count(), 500, "those of the run before, and no others");
    let stats = two.stats();
    assert_eq!((stats.outbox.unwrap().recovered, stats.dropped), (500, 0));
    assert_eq!(stats.taken, stats.published + stats.dropped + stats.replaced + stats.queued);
    assert!(two.stop(Instant::now() + Duration::from_secs(2)));
}

#[test]
fn a_disk_that_is_full_is_said_and_leaves_nothing_corrupt() {
    let Some(broker) = broker("a_disk_that_is_full") else { return };
    let proxy = FaultProxy::start(broker.port);
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(&broker);
    proxy.close();
    // Files end at 64 KiB, which are reached after some 9 s.
    let publisher = Process::start(proxy.port, dir.path(), "full", Some(64 << 10));
    wait_until("it says so", || notes(dir.path(), "full").last().is_some_and(|note| note.4 == "Full"));
    std::thread::sleep(Duration::from_secs(3));
    proxy.open();
    wait_until("it recovers", || {
        let (notes, arrived) = (notes(dir.path(), "full"), collector.all().len());
        arrived + 20 > notes.len()
    });
    std::fs::write(dir.path().join("stop"), "").unwrap();
    std::thread::sleep(Duration::from_secs(3));
    drop(publisher);
    let rest = Mqtt::start_keeping(&config(proxy.port), "attic", kept(&dir.path().join("outbox"))).unwrap();
    wait_until("everything is delivered", || {
        rest.stats().connected && rest.flush(Instant::now() + Duration::from_secs(20))
    });
    std::thread::sleep(Duration::from_millis(300));
    let account = account(dir.path(), &[("full".into(), None)], &collector.all());
    println!("{account:?}");
    assert!(account.missing.is_empty() && account.unmarked == 0 && account.out_of_order == 0, "{account:?}");
}
