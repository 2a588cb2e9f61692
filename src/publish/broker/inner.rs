//! The rumqttd behind the gate: probed when it does not answer a client, and replaced a bounded number of times (the threads of a
//! dead one cannot be ended).

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::packet::Connect;
use super::rumqttd::{self, PACKET_BYTES};

/// Time for rumqttd to answer a CONNECT.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(5);
/// Client id of the gate's probe; no client has it.
const PROBE: &str = "gate-probe";

/// The rumqttd in service.
pub(super) struct Inner {
    address: Cell<SocketAddr>,
    revivals: RefCell<Revivals>,
    /// Held during probe and replacement.
    examining: tokio::sync::Mutex<()>,
}

/// Result of examining a rumqttd that did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It answers the probe: the client was at fault, or the problem was temporary.
    Lives,
    /// A new one is in service.
    Replaced,
    /// It is dead and is not replaced now.
    Dead,
}

impl Inner {
    pub(super) fn new(address: SocketAddr) -> Self {
        Inner { address: Cell::new(address), revivals: RefCell::default(), examining: tokio::sync::Mutex::new(()) }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address.get()
    }

    /// Sends CONNECT and waits for the answer. Returns the connection and its CONNACK. The caller must not drop the connection
    /// before the answer: rumqttd crashes at a client whose predecessor of the same id left without waiting for it.
    ///
    /// # Errors
    /// No CONNACK in time.
    pub(super) async fn greet(&self, connect: &[u8]) -> io::Result<(TcpStream, Vec<u8>)> {
        let greeting = async {
            let mut broker = TcpStream::connect(self.address.get()).await?;
            broker.set_nodelay(true)?;
            broker.write_all(connect).await?;
            let mut answer = Vec::new();
            match next_packet(&mut broker, &mut answer).await? {
                true if answer.first() == Some(&0x20) => Ok((broker, answer)),
                _ => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            }
        };
        timeout(HANDSHAKE, greeting).await?
    }

    /// Examines a rumqttd at `address` that did not answer a client, and replaces a dead one.
    pub(super) async fn examine(&self, address: SocketAddr) -> Verdict {
        let _one_at_a_time = self.examining.lock().await;
        if self.address.get() != address {
            return Verdict::Replaced;
        }
        let hello = Connect { client_id: PROBE.into(), username: None, clean: true, keep_alive: 60, will: None };
        if let Ok((broker, _)) = self.greet(&hello.encode(PROBE)).await {
            close(broker).await;
            return Verdict::Lives;
        }
        match self.revivals.borrow_mut().due(Instant::now()) {
            Due::Now => {}
            Due::Wait => return Verdict::Dead,
            Due::Never { tell } => {
                if tell {
                    tracing::error!(
                        "the embedded broker died {MOST} times and is not restarted: restart leptond, or use mosquitto \
                         (broker.enabled = false and mqtt.host)"
                    );
                }
                return Verdict::Dead;
            }
        }
        match tokio::task::spawn_blocking(rumqttd::start).await {
            Ok(Ok(address)) => {
                tracing::error!(
                    "the embedded broker died and was restarted: retained messages of other clients are lost"
                );
                self.address.set(address);
                Verdict::Replaced
            }
            Ok(Err(e)) => {
                tracing::error!("the embedded broker died and cannot be restarted: {e}");
                Verdict::Dead
            }
            Err(e) => {
                tracing::error!("the embedded broker died and cannot be restarted: {e}");
                Verdict::Dead
            }
        }
    }
}

/// Closes a connection to rumqttd and waits for the other side to close, when it has forgotten the client.
pub(super) async fn close(mut broker: TcpStream) {
    const MOMENT: Duration = Duration::from_secs(2);
    let leave = async {
        broker.shutdown().await?;
        let mut rest = [0; 4096];
        while broker.read(&mut rest).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    // A connection that does not close in time is abandoned: it only matters for the reuse of its name, 500 clients later.
    let _ = timeout(MOMENT, leave).await;
}

/// Restarts at most.
const MOST: u32 = 5;
/// Least time between two restarts.
const PAUSES: [Duration; MOST as usize] = [
    Duration::ZERO,
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(600),
];

#[derive(Default)]
struct Revivals {
    done: u32,
    last: Option<Instant>,
    told: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Due {
    Now,
    Wait,
    Never { tell: bool },
}

impl Revivals {
    /// Decides on a restart, and counts it.
    fn due(&mut self, now: Instant) -> Due {
        let Some(pause) = PAUSES.get(self.done as usize) else {
            return Due::Never { tell: !std::mem::replace(&mut self.told, true) };
        };
        if self.last.is_some_and(|last| now.saturating_duration_since(last) < *pause) {
            return Due::Wait;
        }
        self.done += 1;
        self.last = Some(now);
        Due::Now
    }
}

/// Reads one whole packet, header included, into `packet`. Returns `false` at the end of the stream.
pub(super) async fn next_packet(read: &mut (impl AsyncRead + Unpin), packet: &mut Vec<u8>) -> io::Result<bool> {
    packet.clear();
    let mut byte = [0];
    if read.read(&mut byte).await? == 0 {
        return Ok(false);
    }
    packet.push(byte[0]);
    let mut remaining = 0usize;
    for shift in [0, 7, 14, 21] {
        read.read_exact(&mut byte).await?;
        packet.push(byte[0]);
        remaining |= usize::from(byte[0] & 0x7f) << shift;
        if byte[0] & 0x80 == 0 {
            break;
        }
        if shift == 21 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not an MQTT packet"));
        }
    }
    if remaining > PACKET_BYTES {
        let reason = format!("a packet of {remaining} bytes; {PACKET_BYTES} is the limit");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    let got = read.take(remaining as u64).read_to_end(packet).await?;
    if got < remaining { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(true) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_started_again_less_and_less_often_and_then_no_more() {
        let (mut revivals, start) = (Revivals::default(), Instant::now());
        let mut started = Vec::new();
        for second in 0..3000 {
            let due = revivals.due(start + Duration::from_secs(second));
            match due {
                Due::Now => started.push(second),
                Due::Never { tell } => assert_eq!(tell, second == started.last().unwrap() + 1, "told once"),
                Due::Wait => {}
            }
        }
        assert_eq!(started, [0, 5, 35, 155, 755]);
    }
}
