//! The gate in front of rumqttd: accepts clients, checks their packets, and forwards them.
//!
//! ```text
//! client ──CONNECT──▶ valid? ──▶ one of its id there? it goes ──▶ greet rumqttd ──CONNACK──▶ pass packets on
//!                       │ no                                          │ no answer
//!                       ▼                                             ▼
//!              CONNACK code or close                     a greeting of our own: is it dead?
//! ```

use std::cell::{Cell, RefCell, RefMut};
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::WriteHalf;
use tokio::sync::{Mutex, Notify};
use tokio::time::timeout;

use super::complaints::Complaints;
use super::daemon_user::daemon_user;
use super::ids::{Entry, Ids};
use super::inner::{HANDSHAKE, Inner, Verdict, close, next_packet};
use super::ledger::{LIMITS, Ledger};
use super::packet::{self, Connect, Packet, SERVER_UNAVAILABLE, connack, examine, kind};
use super::rumqttd::CLIENTS;
use crate::publish::PublishError;

/// Open sockets at one time, including those without a CONNECT yet.
const SOCKETS: usize = 2 * CLIENTS;
/// Time for a client to leave when another with its id has connected.
const TAKE_OVER: Duration = Duration::from_secs(3);
/// Time for a client to take one packet.
const STALLED: Duration = Duration::from_secs(30);
/// SUBSCRIBE packets of one client with a pending amended answer.
const AMENDED: usize = 64;

/// Serves `listener` with the rumqttd at `inner`, on a thread of its own.
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

/// State shared by the clients' tasks. All run on one thread, and no borrow is held across an await.
struct Gate {
    inner: Inner,
    complaints: Complaints,
    /// Ledger of stored messages, with the address of its inner broker.
    ledger: RefCell<(SocketAddr, Ledger)>,
    ids: RefCell<Ids>,
    /// Tells the client with that number to leave.
    go: RefCell<HashMap<u64, Rc<Notify>>>,
    /// A client has left.
    gone: Notify,
    sockets: Cell<usize>,
    clients: Cell<usize>,
}

async fn serve(listener: tokio::net::TcpListener, inner: SocketAddr) {
    let gate = Rc::new(Gate {
        inner: Inner::new(inner),
        complaints: Complaints::default(),
        ledger: RefCell::new((inner, Ledger::new())),
        ids: RefCell::default(),
        go: RefCell::default(),
        gone: Notify::new(),
        sockets: Cell::new(0),
        clients: Cell::new(0),
    });
    loop {
        match listener.accept().await {
            Ok((_, from)) if gate.sockets.get() >= SOCKETS => {
                let text = format!("the embedded broker turned {from} away: {SOCKETS} connections are open");
                gate.complaints.tell("sockets", &text);
            }
            Ok((client, from)) => {
                let gate = gate.clone();
                gate.sockets.set(gate.sockets.get() + 1);
                tokio::task::spawn_local(async move {
                    if let Err(error) = gate.client(client, from).await {
                        tracing::debug!("embedded broker: client {from}: {error}");
                    }
                    gate.sockets.set(gate.sockets.get() - 1);
                });
            }
            // Out of file descriptors, for instance: only waiting helps.
            Err(e) => {
                gate.complaints.tell("accept", &format!("the embedded broker cannot accept a client: {e}"));
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

impl Gate {
    /// Serves one client, from its CONNECT to its end.
    async fn client(&self, mut client: TcpStream, from: SocketAddr) -> io::Result<()> {
        client.set_nodelay(true)?;
        let (read, mut write) = client.split();
        let mut read = BufReader::with_capacity(4096, read);
        let mut packet = Vec::new();
        if !timeout(HANDSHAKE, next_packet(&mut read, &mut packet)).await?? {
            return Ok(());
        }
        let connect = match Connect::parse(&packet) {
            Ok(connect) => connect,
            Err(refused) => {
                let text = format!("the embedded broker turned a client at {from} away: {}", refused.reason);
                self.complaints.tell("connect", &text);
                return write.write_all(&refused.answer).await;
            }
        };
        let own = connect.username.as_deref() == Some(daemon_user());
        // The daemon has a reserved place.
        if !own && self.clients.get() >= CLIENTS {
            let text = format!("the embedded broker turned a client at {from} away: it takes {CLIENTS} at most");
            self.complaints.tell("clients", &text);
            return write.write_all(&connack(SERVER_UNAVAILABLE)).await;
        }
        if !self.take_over(&connect.client_id).await {
            return write.write_all(&connack(SERVER_UNAVAILABLE)).await;
        }
        let go = Rc::new(Notify::new());
        let entry = self.ids.borrow_mut().enter(&connect.client_id, connect.clean);
        self.go.borrow_mut().insert(entry.number, go.clone());
        self.clients.set(self.clients.get() + usize::from(!own));
        let result = async {
            let Some((broker, hello)) = self.let_in(connect, &entry, own).await else {
                return write.write_all(&connack(SERVER_UNAVAILABLE)).await;
            };
            write.write_all(&hello).await?;
            let mut client =
                Client { gate: self, from, own, write: Mutex::new(write), amended: RefCell::default(), broker };
            let ended = tokio::select! {
                ended = client.pass_on(read, &mut packet) => ended,
                () = go.notified() => Ok(()),
            };
            close(client.broker).await;
            ended
        }
        .await;
        self.clients.set(self.clients.get() - usize::from(!own));
        self.go.borrow_mut().remove(&entry.number);
        self.ids.borrow_mut().leave(&entry);
        self.gone.notify_waiters();
        result
    }

    /// Disconnects an existing client with this id (section 3.1.4). Returns `true` when there is none within [`TAKE_OVER`].
    async fn take_over(&self, client_id: &str) -> bool {
        let left = async {
            loop {
                let gone = self.gone.notified();
                let Some(number) = self.ids.borrow().living(client_id) else { return };
                if let Some(go) = self.go.borrow().get(&number) {
                    go.notify_one();
                }
                gone.await;
            }
        };
        timeout(TAKE_OVER, left).await.is_ok()
    }

    /// Connects a client to the inner broker. Returns the connection and its CONNACK. An unresponsive broker is examined, and
    /// tried once more.
    async fn let_in(&self, mut connect: Connect, entry: &Entry, own: bool) -> Option<(TcpStream, Vec<u8>)> {
        connect.clean = entry.clean;
        for _ in 0..2 {
            if let Some(will) = &mut connect.will {
                // A will counts as published from here on, since it may be at any time.
                will.retain = will.retain && self.retain(&will.topic, will.payload.len(), own);
                if !self.ledger().topic(&LIMITS, &will.topic, own) {
                    self.complaints.tell("topics", &format!("the embedded broker refused a client: {TOPICS}"));
                    return None;
                }
            }
            let address = self.inner.address();
            match self.inner.greet(&connect.encode(&entry.name)).await {
                Ok(greeted) => return Some(greeted),
                Err(error) => tracing::debug!("embedded broker: no answer to CONNECT: {error}"),
            }
            match self.inner.examine(address).await {
                Verdict::Lives | Verdict::Replaced => {}
                Verdict::Dead => return None,
            }
        }
        None
    }

    /// Ledger of the present inner broker; replaces the one of a dead broker.
    fn ledger(&self) -> RefMut<'_, Ledger> {
        let mut books = self.ledger.borrow_mut();
        if books.0 != self.inner.address() {
            *books = (self.inner.address(), Ledger::new());
        }
        RefMut::map(books, |(_, ledger)| ledger)
    }

    /// `true` when the inner broker may keep a retained message.
    fn retain(&self, topic: &str, payload_bytes: usize, own: bool) -> bool {
        let kept = self.ledger().retain(&LIMITS, topic, payload_bytes, own);
        if !kept {
            let text = format!(
                "the embedded broker passes a retained message on {topic:?} on but does not keep it: it keeps {} topics and \
                 {} MiB at most",
                LIMITS.retained,
                LIMITS.retained_bytes >> 20
            );
            self.complaints.tell("retained", &text);
        }
        kept
    }
}

const TOPICS: &str = "it has seen as many different topics as it can remember; restart leptond";

/// A connected client.
struct Client<'a> {
    gate: &'a Gate,
    from: SocketAddr,
    own: bool,
    /// Write side to the client; locked for whole packets.
    write: Mutex<WriteHalf<'a>>,
    /// Filters of a SUBSCRIBE by packet id, `true` for those forwarded to the inner broker.
    amended: RefCell<HashMap<u16, Vec<bool>>>,
    broker: TcpStream,
}

impl Client<'_> {
    /// Forwards packets in both directions until one side ends.
    async fn pass_on(
        &mut self,
        mut read: BufReader<tokio::net::tcp::ReadHalf<'_>>,
        packet: &mut Vec<u8>,
    ) -> io::Result<()> {
        let Client { gate, from, own, write, amended, broker } = self;
        let (from_broker, mut to_broker) = broker.split();
        let mut from_broker = BufReader::with_capacity(4096, from_broker);
        let upwards = async {
            while next_packet(&mut read, packet).await? {
                match examine(packet) {
                    Ok(Packet::Publish { topic, retain, payload_bytes }) => {
                        if !gate.ledger().topic(&LIMITS, &topic, *own) {
                            gate.complaints
                                .tell("topics", &format!("the embedded broker closed a connection: {TOPICS}"));
                            break;
                        }
                        // rumqttd removes the retained message at any empty one.
                        if (retain || payload_bytes == 0)
                            && !gate.retain(&topic, payload_bytes, *own)
                            && let Some(first) = packet.first_mut()
                        {
                            *first &= !1;
                        }
                        to_broker.write_all(packet).await?;
                    }
                    Ok(Packet::Subscribe { packet_id, filters }) => {
                        let asked =
                            filters.iter().map(|(filter, _)| gate.may_subscribe(filter, *own)).collect::<Vec<_>>();
                        let some = asked.contains(&true);
                        if asked.contains(&false) {
                            if amended.borrow().len() >= AMENDED {
                                break;
                            }
                            *packet = subscribe(packet_id, &filters, &asked);
                            amended.borrow_mut().insert(packet_id, asked);
                        }
                        if some {
                            to_broker.write_all(packet).await?;
                        } else {
                            let suback = amend(amended, &packet::packet(kind::SUBACK << 4, &packet_id.to_be_bytes()));
                            send(write, &suback).await?;
                        }
                    }
                    Ok(Packet::Unsubscribe { packet_id }) => {
                        to_broker.write_all(packet).await?;
                        // rumqttd acknowledges each filter separately, except those without a subscription.
                        let unsuback = packet::packet(kind::UNSUBACK << 4, &packet_id.to_be_bytes());
                        send(write, &unsuback).await?;
                    }
                    Ok(Packet::Other) => to_broker.write_all(packet).await?,
                    Ok(Packet::Disconnect) => {
                        to_broker.write_all(packet).await?;
                        break;
                    }
                    Err(reason) => {
                        let text = format!("the embedded broker closed the connection of {from}: {reason}");
                        gate.complaints.tell("packet", &text);
                        break;
                    }
                }
                packet.shrink_to(16 << 10);
            }
            Ok(())
        };
        let downwards = async {
            let mut packet = Vec::new();
            while next_packet(&mut from_broker, &mut packet).await? {
                match packet.first().map(|first| first >> 4) {
                    Some(kind::UNSUBACK) => continue,
                    Some(kind::SUBACK) => packet = amend(amended, &packet),
                    _ => {}
                }
                send(write, &packet).await?;
                packet.shrink_to(16 << 10);
            }
            Ok(())
        };
        tokio::select! {
            ended = upwards => ended,
            ended = downwards => ended,
        }
    }
}

impl Gate {
    /// `true` when a filter may be forwarded to the inner broker. Filters with `$` are refused: rumqttd has no such topics and
    /// would disconnect.
    fn may_subscribe(&self, filter: &str, own: bool) -> bool {
        if filter.starts_with('$') {
            return false;
        }
        let room = self.ledger().filter(&LIMITS, filter, own);
        if !room {
            let text = format!(
                "the embedded broker refused a subscription to {filter:?}: it keeps {} different ones at most",
                LIMITS.filters
            );
            self.complaints.tell("filters", &text);
        }
        room
    }
}

/// Sends a whole packet to the client. A client that takes nothing within [`STALLED`] is disconnected.
async fn send(write: &Mutex<WriteHalf<'_>>, packet: &[u8]) -> io::Result<()> {
    let sending = async { write.lock().await.write_all(packet).await };
    timeout(STALLED, sending).await?
}

/// The SUBSCRIBE with the filters to forward.
fn subscribe(packet_id: u16, filters: &[(String, u8)], asked: &[bool]) -> Vec<u8> {
    let mut body = packet_id.to_be_bytes().to_vec();
    for ((filter, qos), _) in filters.iter().zip(asked).filter(|(_, asked)| **asked) {
        body.extend(packet::string(filter.as_bytes()));
        body.push(*qos);
    }
    packet::packet((kind::SUBSCRIBE << 4) | 2, &body)
}

/// The SUBACK completed with a failure (0x80) for each filter that was not forwarded.
fn amend(amended: &RefCell<HashMap<u16, Vec<bool>>>, suback: &[u8]) -> Vec<u8> {
    let header = 1 + suback.iter().skip(1).take(3).take_while(|b| **b & 0x80 != 0).count() + 1;
    let Some(&[high, low]) = suback.get(header..header + 2) else { return suback.to_vec() };
    let packet_id = u16::from_be_bytes([high, low]);
    let Some(asked) = amended.borrow_mut().remove(&packet_id) else { return suback.to_vec() };
    let mut granted = suback.iter().skip(header + 2).copied();
    let codes = asked.into_iter().map(|asked| if asked { granted.next().unwrap_or(0x80) } else { 0x80 });
    let body: Vec<u8> = [high, low].into_iter().chain(codes).collect();
    packet::packet(kind::SUBACK << 4, &body)
}

#[cfg(test)]
mod tests;
