//! Nodes that are killed, freeze or stop, and a server that is started again, in the middle of a run.

use std::time::{Duration, Instant};

use super::nodes::{Running, by_input, fleet, lines, map_command, pictures, summary, wait_ready, words, worker};
use super::server::Nats;
use crate::common;
use crate::daemon::Daemon;
use crate::mosquitto::wait_until;

/// Lease of the workers.
const LEASE: Duration = Duration::from_secs(2);
const FILES: usize = 240;

/// Runs a `map` over three workers, in whose middle `strike` does something; gives the time from then to its end, and the time that the
/// files left would have taken at the rate before.
fn struck(
    test: &str,
    strike: impl FnOnce(&mut Nats, &mut Vec<Daemon>),
) -> Option<(Duration, Duration, serde_json::Value)> {
    let mut server = Nats::start(test)?;
    let dir = tempfile::tempdir().unwrap();
    let folder = pictures(dir.path(), FILES, [800, 600]);
    let mut workers: Vec<Daemon> = ["one", "two", "three"].map(|name| worker(&server, name)).into();
    workers.iter().for_each(wait_ready);
    let output = dir.path().join("results.jsonl");
    let begun = Instant::now();
    let running = Running::start(map_command(&server, &folder, &output));
    wait_until("some lines", || lines(&output).len() >= 20);
    strike(&mut server, &mut workers);
    let (at, there) = (Instant::now(), lines(&output).len());
    let rate = there as f64 / (at - begun).as_secs_f64();
    let ended = running.end();
    let took = at.elapsed();
    assert!(ended.status.success(), "{}", words(&ended));
    assert_eq!(by_input(&output).len(), FILES);
    assert!(there < FILES, "it was over before anything happened");
    Some((took, Duration::from_secs_f64((FILES - there) as f64 / rate), summary(&ended)))
}

/// The run ends no later than the lost node's share of the work takes the others, and one lease.
fn in_time(took: Duration, expected: Duration) {
    let most = expected.mul_f64(3.0) + LEASE + common::patiently(Duration::from_secs(6));
    assert!(took < most, "{took:?}, and {most:?} is the most");
}

#[test]
fn a_killed_worker_loses_nothing() {
    let result = struck("a_killed_worker_loses_nothing", |_, workers| {
        // SIGKILL.
        drop(workers.pop());
    });
    let Some((took, expected, _)) = result else { return };
    in_time(took, expected);
}

#[test]
fn a_frozen_worker_loses_nothing() {
    let result = struck("a_frozen_worker_loses_nothing", |_, workers| workers[0].signal("STOP"));
    let Some((took, expected, _)) = result else { return };
    in_time(took, expected);
}

#[test]
fn a_server_that_starts_again_loses_nothing() {
    let result = struck("a_server_that_starts_again_loses_nothing", |server, _| server.restart());
    let Some((took, expected, _)) = result else { return };
    in_time(took, expected + Duration::from_secs(10));
}

#[test]
fn a_worker_that_stops_gives_back_what_it_has_and_ends_in_time() {
    let result = struck("a_worker_that_stops_gives_back_what_it_has_and_ends_in_time", |_, workers| {
        let mut worker = workers.pop().unwrap();
        worker.signal("TERM");
        let (status, took) = worker.wait();
        assert!(status.success() && took < common::patiently(Duration::from_secs(2)), "{status} after {took:?}");
    });
    let Some((_, _, told)) = result else { return };
    assert_eq!(told["trouble"]["forged"], 0, "{told}");
}

#[test]
fn a_worker_waits_for_a_server_that_comes_later() {
    let Some(mut server) = Nats::start("a_worker_waits_for_a_server_that_comes_later") else { return };
    server.kill();
    let node = worker(&server, "early");
    node.wait_log("the group cannot be worked for");
    wait_until("the fault is told", || {
        fleet(&node)["fault"].as_str().is_some_and(|fault| fault.contains("can be reached"))
    });
    server.restart();
    node.wait_log("connected to the group");
    wait_until("the fault is gone", || fleet(&node)["connected"] == true && fleet(&node)["fault"].is_null());
}
