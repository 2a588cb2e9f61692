//! Looking for a broker, and trying one as the daemon would use it.

use std::net::{TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::publish;
use crate::publish::mqtt::attempt::{Attempt, attempt};

/// Usual addresses of a broker.
const USUAL: [(&str, u16); 2] = [("localhost", 1883), ("homeassistant.local", 1883)];
/// Longest time for a name to be found and a port to answer.
const LOOK: Duration = Duration::from_secs(2);
/// Longest time of the whole test.
const TEST: Duration = Duration::from_secs(8);

/// Of the usual places, the first that answers; asked at the same time, in bounded time.
pub fn suggestion() -> Option<(String, u16)> {
    let (found, answers) = mpsc::channel();
    for (i, (host, port)) in USUAL.into_iter().enumerate() {
        let found = found.clone();
        // A resolver cannot be interrupted: a thread that outlives its answer only finds the channel closed.
        std::thread::spawn(move || {
            let _nobody_waits = found.send((i, reach(host, port).is_ok()));
        });
    }
    drop(found);
    let end = Instant::now() + LOOK;
    let mut best: Option<usize> = None;
    while let Ok((i, open)) = answers.recv_timeout(end.saturating_duration_since(Instant::now())) {
        if open {
            best = Some(best.map_or(i, |b| b.min(i)));
        }
        if best == Some(0) {
            break;
        }
    }
    best.and_then(|i| USUAL.get(i)).map(|(host, port)| ((*host).to_owned(), *port))
}

/// Looks whether anything answers at an address, in bounded time.
///
/// # Errors
/// The fault, for people.
pub fn answers(host: &str, port: u16) -> Result<(), String> {
    let (found, answer) = mpsc::channel();
    let host = host.to_owned();
    // A resolver cannot be interrupted: a thread that outlives its answer only finds the channel closed.
    std::thread::spawn(move || {
        let _nobody_waits = found.send(reach(&host, port));
    });
    answer.recv_timeout(TEST).unwrap_or_else(|_| Err(format!("nothing answered within {} s", TEST.as_secs())))
}

/// Connects to the first addresses of a name until one answers.
fn reach(host: &str, port: u16) -> Result<(), String> {
    let addresses =
        (host, port).to_socket_addrs().map_err(|error| format!("the name {host:?} is not found ({error})"))?;
    let mut reason = "the name has no address".to_owned();
    for address in addresses.take(4) {
        match TcpStream::connect_timeout(&address, LOOK) {
            Ok(_) => return Ok(()),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(reason)
}

/// Tries the broker as the daemon would use it, without disturbing one that runs.
///
/// # Errors
/// The fault, for people.
pub fn test(config: &publish::Config, node: &str) -> Result<(), String> {
    match attempt(config, node, TEST).map_err(|error| error.to_string())? {
        Attempt::Works { .. } => Ok(()),
        Attempt::Failed(trouble) => Err(trouble.words),
        Attempt::RequestsDenied { filter } => {
            Err(format!("connected, but not allowed to subscribe to {filter} (the broker's ACL)"))
        }
        Attempt::NotReturned { topic } => Err(format!(
            "connected, but a message on {topic} did not come back: the broker's ACL forbids to publish it, or only to read it \
             there, which does no harm"
        )),
    }
}
