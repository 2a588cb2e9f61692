//! The gate in front of rumqttd: accepts clients, looks at what they send, and passes it on packet by packet.

use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{CLIENTS, PACKET_BYTES, start_inner};
use crate::publish::PublishError;

/// For a client to say CONNECT, and for rumqttd to answer it.
const HANDSHAKE: Duration = Duration::from_secs(5);
const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;
/// Connect flag: there is a will.
const WILL: u8 = 4;
const UNBEARABLE: &str = "begins with a letter beyond ASCII, which this broker does not survive";

/// Serves `listener` by the rumqttd at `inner`, on a thread of its own, for ever.
pub(super) fn spawn(listener: TcpListener, inner: SocketAddr) -> Result<(), PublishError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let run = move || {
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => serve(listener, inner).await,
                Err(e) => tracing::error!("the embedded broker cannot accept clients: {e}"),
            }
        });
    };
    std::thread::Builder::new().name("leptond-gate".into()).spawn(run)?;
    Ok(())
}

/// Where rumqttd is now.
struct Inner {
    address: Cell<SocketAddr>,
    clients: Cell<usize>,
}

async fn serve(listener: tokio::net::TcpListener, inner: SocketAddr) {
    let inner = Rc::new(Inner { address: Cell::new(inner), clients: Cell::new(0) });
    loop {
        match listener.accept().await {
            Ok((client, from)) => {
                let inner = inner.clone();
                tokio::task::spawn_local(async move {
                    inner.clients.set(inner.clients.get() + 1);
                    if let Err(reason) = client_of(client, &inner).await {
                        tracing::debug!("embedded broker: client {from}: {reason}");
                    }
                    inner.clients.set(inner.clients.get() - 1);
                });
            }
            // Out of file descriptors, for instance: waiting is all that helps.
            Err(e) => {
                tracing::warn!("the embedded broker cannot accept a client: {e}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// One client, from its CONNECT to its end.
async fn client_of(mut client: TcpStream, inner: &Inner) -> io::Result<()> {
    client.set_nodelay(true)?;
    let (read, mut write) = client.split();
    let mut read = BufReader::with_capacity(4096, read);
    let mut packet = Vec::new();
    if !timeout(HANDSHAKE, next_packet(&mut read, &mut packet)).await?? {
        return Ok(());
    }
    let answer = match examine(&mut packet) {
        Ok(()) if inner.clients.get() > CLIENTS => {
            tracing::warn!("the embedded broker turned a client away: it takes {CLIENTS} at most");
            Some(vec![0x20, 2, 0, 3])
        }
        Ok(()) => None,
        Err(refused) => {
            tracing::warn!("the embedded broker turned a client away: {}", refused.reason);
            Some(refused.answer)
        }
    };
    if let Some(answer) = answer {
        return write.write_all(&answer).await;
    }
    let address = inner.address.get();
    let Ok((broker, hello)) = timeout(HANDSHAKE, greet(address, &packet)).await.unwrap_or_else(|e| Err(e.into()))
    else {
        revive(inner, address).await;
        return Ok(());
    };
    write.write_all(&hello).await?;
    let (mut from_broker, mut to_broker) = broker.into_split();
    let upwards = async {
        while next_packet(&mut read, &mut packet).await? {
            if let Some(topic) = unbearable_topic(&packet) {
                tracing::warn!("the embedded broker closed a connection: its topic {topic:?} {UNBEARABLE}");
                break;
            }
            to_broker.write_all(&packet).await?;
            packet.shrink_to(16 << 10);
        }
        Ok(())
    };
    tokio::select! {
        ended = upwards => ended,
        copied = tokio::io::copy(&mut from_broker, &mut write) => copied.map(|_| ()),
    }
}

/// Says CONNECT to rumqttd and gives the connection with its answer, which must have come before anything else happens to
/// the connection: rumqttd does not survive a client of the same id after one that left without waiting for it.
async fn greet(address: SocketAddr, connect: &[u8]) -> io::Result<(TcpStream, Vec<u8>)> {
    let mut broker = TcpStream::connect(address).await?;
    broker.set_nodelay(true)?;
    broker.write_all(connect).await?;
    let mut answer = Vec::new();
    if next_packet(&mut broker, &mut answer).await? {
        Ok((broker, answer))
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// Starts another rumqttd in place of the one at `dead`, unless that was done already.
async fn revive(inner: &Inner, dead: SocketAddr) {
    if inner.address.get() != dead {
        return;
    }
    // Blocks this thread for the few ms that it takes: there is nobody to serve meanwhile.
    match start_inner() {
        Ok(address) => {
            tracing::error!(
                "the embedded broker died and was started anew: retained messages of other clients are lost"
            );
            inner.address.set(address);
        }
        Err(e) => tracing::error!("the embedded broker died and cannot be started anew: {e}"),
    }
}

/// Reads one whole packet, header included, into `packet`; `false` at the end of the stream.
async fn next_packet(read: &mut (impl AsyncRead + Unpin), packet: &mut Vec<u8>) -> io::Result<bool> {
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

/// Why a client is turned away, and what it is told.
#[derive(Debug, PartialEq, Eq)]
struct Refused {
    reason: String,
    answer: Vec<u8>,
}

/// Looks at a CONNECT packet (MQTT 3.1.1, section 3.1). A keep-alive of 0 (never), which rumqttd does not take, becomes
/// the longest there is.
fn examine(packet: &mut [u8]) -> Result<(), Refused> {
    let refused = |reason: &str, answer: &[u8]| Refused { reason: reason.into(), answer: answer.into() };
    let nonsense = || refused("what it sent first is not an MQTT CONNECT", &[]);
    if packet.first().is_none_or(|b| b >> 4 != CONNECT) {
        return Err(nonsense());
    }
    let header = header_bytes(packet);
    let (protocol, level_at) = string_at(packet, header).ok_or_else(nonsense)?;
    let protocol = protocol.to_vec();
    let level = *packet.get(level_at).ok_or_else(nonsense)?;
    match (protocol.as_slice(), level) {
        (b"MQTT", 4) => {}
        (b"MQTT", 5) => {
            return Err(refused("it speaks MQTT 5; this broker knows 3.1.1", &[0x20, 3, 0, 0x84, 0]));
        }
        _ => return Err(refused("it does not speak MQTT 3.1.1", &[0x20, 2, 0, 1])),
    }
    let keep_alive = packet.get_mut(level_at + 2..level_at + 4).ok_or_else(nonsense)?;
    if keep_alive == [0, 0] {
        keep_alive.fill(0xff);
    }
    let (id, will_at) = string_at(packet, level_at + 4).ok_or_else(nonsense)?;
    let id = std::str::from_utf8(id).map_err(|_| nonsense())?;
    if id.contains(['+', '$', '#', '/']) {
        let reason = format!("its client id {id:?} holds one of + $ # / which this broker does not take");
        return Err(refused(&reason, &[0x20, 2, 0, 2]));
    }
    let flags = *packet.get(level_at + 1).ok_or_else(nonsense)?;
    if flags & WILL != 0 {
        let (topic, _) = string_at(packet, will_at).ok_or_else(nonsense)?;
        if !bearable(topic) {
            let reason = format!("the topic of its will, {:?}, {UNBEARABLE}", String::from_utf8_lossy(topic));
            return Err(refused(&reason, &[0x20, 2, 0, 5]));
        }
    }
    Ok(())
}

/// The topic of a PUBLISH that rumqttd would not survive.
fn unbearable_topic(packet: &[u8]) -> Option<String> {
    if packet.first().is_none_or(|b| b >> 4 != PUBLISH) {
        return None;
    }
    let (topic, _) = string_at(packet, header_bytes(packet))?;
    (!bearable(topic)).then(|| String::from_utf8_lossy(topic).into_owned())
}

fn bearable(topic: &[u8]) -> bool {
    topic.first().is_none_or(u8::is_ascii)
}

/// Bytes before the variable header.
fn header_bytes(packet: &[u8]) -> usize {
    1 + packet.iter().skip(1).take(4).take_while(|b| **b & 0x80 != 0).count() + 1
}

/// A length-prefixed string and where it ends.
fn string_at(packet: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let length = packet.get(at..at + 2)?;
    let end = at + 2 + usize::from(u16::from_be_bytes([length[0], length[1]]));
    Some((packet.get(at + 2..end)?, end))
}

#[cfg(test)]
mod tests;
