//! What a start takes, phase by phase: marks for whoever started the process and wants to know (`leptond bench --startup`).

use std::collections::HashSet;
use std::os::unix::net::UnixDatagram;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Names the datagram socket that marks go to: a path. Without it [`mark`] does nothing.
pub const SOCKET: &str = "LEPTOND_STARTUP_SOCKET";

/// Who listens, and what has been said.
struct Listener {
    socket: UnixDatagram,
    said: Mutex<HashSet<String>>,
}

/// Time since some point that is the same for every process of this machine (`CLOCK_MONOTONIC`).
pub fn clock() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Says that `phase` of the start is over now, of one pipeline where it is one's own. The first time counts.
pub fn mark(pipeline: Option<&str>, phase: &str) {
    static LISTENER: OnceLock<Option<Listener>> = OnceLock::new();
    let listener = LISTENER.get_or_init(|| {
        let path = std::env::var_os(SOCKET)?;
        let socket = UnixDatagram::unbound().ok()?;
        socket.connect(path).ok()?;
        Some(Listener { socket, said: Mutex::default() })
    });
    let Some(Listener { socket, said }) = listener else { return };
    let line = format!("{}\t{phase}", pipeline.unwrap_or(""));
    let now_us = clock().as_micros();
    if said.lock().unwrap_or_else(PoisonError::into_inner).insert(line.clone()) {
        // Whoever listened may be gone, which is no matter of ours.
        let _ = socket.send(format!("{now_us}\t{line}").as_bytes());
    }
}
